"""One training step of a family against the library's own model with the same mathematics."""

import time
from collections.abc import Callable
from typing import Any

import torch
from darts.models import NeuralForecastModel
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import ModuleStage, TorchTrainingBatch
from darts.utils.likelihood_models.torch import QuantileRegression
from neuralforecast.models.timesnet import TimesBlock
from torch import nn

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import RECIPES, Params, get_family
from hpo_lib.families.timesnet_layers import PastCovariateTimesNet
from hpo_lib.families.timesnet_q import TimesnetQ
from hpo_lib.families.windows import Scaling, TrainingWindows, WindowSource
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS
from measurements.reference import BATCH_SIZE, quiet
from measurements.table import Measured


class StockTimesNet(PastCovariateTimesNet):
    """TimesNet with neuralforecast's own blocks, fed with the same columns."""

    def __init__(
        self, hidden_size: int, conv_hidden_size: int, top_k: int, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(hidden_size, conv_hidden_size, top_k, dropout, **kwargs)
        self.model = nn.ModuleList(
            TimesBlock(self.input_size, self.h, top_k, hidden_size, conv_hidden_size, num_kernels=6)
            for _ in range(self.encoder_layers)
        )


class StockTimesnetQ(TimesnetQ):
    """The family with the stock model; not registered."""

    def darts_model(self, network: dict[str, Any], common: dict[str, Any]) -> Any:
        return NeuralForecastModel(model=StockTimesNet, model_kwargs=network, **common)


def darts_family(name: str) -> DartsFamily:
    """The registered family, as one whose model darts holds."""
    family = get_family(name)
    assert isinstance(family, DartsFamily)
    return family


def training_windows(family: DartsFamily, dataset: Dataset) -> TrainingWindows:
    """The windows that a trial of the family trains on."""
    scaling = Scaling.fit(dataset, RECIPES["plain"])
    source = WindowSource.build(
        dataset,
        dataset.windows(dataset.training_origins()),
        scaling,
        RECIPES["plain"],
        calendar_as_past=family.calendar_as_past,
    )
    return TrainingWindows(source, dataset.training_origins())


def spread_batch(windows: TrainingWindows, size: int) -> TorchTrainingBatch:
    """``size`` windows spread evenly over the training split."""
    return windows.__getitems__(list(range(0, len(windows), len(windows) // size))[:size])


def untrained_module(
    family: DartsFamily, params: Params, windows: TrainingWindows
) -> PLForecastingModule:
    """The family's module with fresh weights, the same for every call."""
    common: dict[str, Any] = {
        "input_chunk_length": HISTORY,
        "output_chunk_length": HORIZON,
        "likelihood": QuantileRegression(list(QUANTILE_LEVELS)),
        "random_state": 42,
    }
    with quiet():
        model = family.create_model(params, common)
        model.train_sample, model.output_dim = windows[0], 1
        return model._init_model()


def step_seconds(module: PLForecastingModule, batch: TorchTrainingBatch) -> Callable[[], float]:
    """A function that does one optimiser step and returns its seconds."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    module.train()

    def step() -> float:
        begun = time.perf_counter()
        optimizer.zero_grad()
        output = module(batch.to_module_input(stage=ModuleStage.TRAIN))
        module.likelihood.compute_loss(output.prediction, batch.future_target, None).backward()
        optimizer.step()
        return time.perf_counter() - begun

    return step


def timesnet_step(
    dataset: Dataset, repeats: int, batch_size: int = BATCH_SIZE, **smaller: int
) -> Measured:
    """Seconds of one step of stock TimesNet and of ours: same batch, same sizes, both float32.

    neuralforecast trains in float32 whatever the series are stored in; float64 would flatter us.
    ``smaller`` replaces some of the default hyperparameters, for a trial run of the benchmark.
    """
    ours = darts_family("TIMESNET_Q")
    windows = training_windows(ours, dataset)
    batch = spread_batch(windows, batch_size)
    params = {**ours.defaults, **smaller}
    stock, fast = (
        step_seconds(untrained_module(family, params, windows), batch)
        for family in (StockTimesnetQ(), ours)
    )
    fast()  # warms up; beside a stock step this costs nothing
    pairs = [(stock(), fast()) for _ in range(repeats)]
    return Measured(
        tuple(pair[0] for pair in pairs),
        tuple(pair[1] for pair in pairs),
        unit="s",
        note="stock blocks of neuralforecast, which trains in float32 itself",
        details={
            "batch_size": batch_size,
            "params": dict(params),
            "precision": ["float32", "float32"],
        },
    )
