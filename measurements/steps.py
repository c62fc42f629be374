"""A training step and the evaluation of a family, against what its library does by itself."""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from darts.models import NeuralForecastModel, TFTModel
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import ModuleStage, TorchTrainingBatch
from neuralforecast.models.timesnet import TimesBlock
from torch import nn

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import RECIPES, STANDARD, Budget, Family, Params, get_family
from hpo_lib.families.tft_q import TftQ
from hpo_lib.families.timesnet_layers import PastCovariateTimesNet
from hpo_lib.families.timesnet_q import TimesnetQ
from hpo_lib.families.training import DartsForecaster, untrained_module
from hpo_lib.families.windows import Scaling, TrainingWindows
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements import reference
from measurements.reference import BATCH_SIZE
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


class StockTftQ(TftQ):
    """The family with darts' own model; not registered."""

    def darts_model(self, network: dict[str, Any], common: dict[str, Any]) -> TFTModel:
        return TFTModel(**network, **common)


def training_windows(family: Family, dataset: Dataset) -> TrainingWindows:
    """The windows that a trial of the family trains on."""
    origins, plain = dataset.training_origins(), RECIPES["plain"]
    scaling = Scaling.fit(dataset, plain)
    forecaster = DartsForecaster(dataset, scaling, plain, family.calendar_as_past)
    return TrainingWindows(forecaster.source(dataset.windows(origins)), origins)


def spread_batch(windows: TrainingWindows, size: int) -> TorchTrainingBatch:
    """``size`` windows spread evenly over the training split."""
    return windows.__getitems__(list(range(0, len(windows), len(windows) // size))[:size])


def step_seconds(
    module: PLForecastingModule, batch: TorchTrainingBatch, fused: bool | None = None
) -> Callable[[], float]:
    """A function that does one optimiser step and returns its seconds."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4, fused=fused)
    module.train()

    def step() -> float:
        begun = time.perf_counter()
        optimizer.zero_grad()
        output = module(batch.to_module_input(stage=ModuleStage.TRAIN))
        module.likelihood.compute_loss(output.prediction, batch.future_target, None).backward()
        optimizer.step()
        return time.perf_counter() - begun

    return step


def timesnet_step(dataset: Dataset, repeats: int, batch_size: int = BATCH_SIZE) -> Measured:
    """Seconds of one step of stock TimesNet and of ours: same batch, same sizes, both float32.

    neuralforecast trains in float32 whatever the series are stored in; float64 would flatter us.
    """
    ours = get_family("TIMESNET_Q")
    windows = training_windows(ours, dataset)
    batch = spread_batch(windows, batch_size)
    stock, fast = (
        step_seconds(untrained_module(family, ours.defaults, windows[0]), batch)
        for family in (StockTimesnetQ(), ours)
    )
    fast()  # warms up; beside a stock step this costs nothing
    note = "stock blocks of neuralforecast, which trains in float32 itself"
    return _in_turns(stock, fast, repeats, note, ours.defaults, batch_size)


def tft_step(
    dataset: Dataset, repeats: int, batch_size: int = BATCH_SIZE, hidden_size: int = 64
) -> Measured:
    """Seconds of one step of darts' own model in float64, and of ours in float32 with the fused
    optimiser that it trains with: same batch, same weights.
    """
    ours = get_family("TFT_Q")
    params = {**ours.defaults, "hidden_size": hidden_size}
    windows = training_windows(ours, dataset)
    batch = spread_batch(windows, batch_size)
    tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
    in_float64 = TorchTrainingBatch(
        **{name: tensor if tensor is None else tensor.double() for name, tensor in tensors.items()}
    )
    stock = step_seconds(untrained_module(StockTftQ(), params, windows[0]).double(), in_float64)
    fast = step_seconds(untrained_module(ours, params, windows[0]), batch, fused=True)
    stock(), fast()  # warm up
    return _in_turns(stock, fast, repeats, "stock darts model in float64", params, batch_size)


def _in_turns(
    stock: Callable[[], float],
    ours: Callable[[], float],
    repeats: int,
    note: str,
    params: Params,
    batch_size: int,
) -> Measured:
    details = {"batch_size": batch_size, "params": dict(params)}
    return Measured.of_pairs(
        [(stock(), ours()) for _ in range(repeats)], "s", note=note, details=details
    )


def evaluation(name: str, dataset: Dataset, repeats: int, windows: int) -> Measured:
    """Windows per second, scores included: the reference predicts ``windows`` of the validation
    origins one by one, ours all of them.

    Both are trained only for a moment, because the cost does not depend on the forecast. All of our
    network is kept: the linear baseline alone would cost next to nothing.

    Raises:
        RuntimeError: our network was not evaluated.
    """
    one_by_one = _reference(name, dataset)
    family, origins = get_family(name), dataset.validation_origins
    budget, whole = Budget(steps=1, batch_size=8, checks=1), replace(STANDARD, residual_share=False)
    forecaster = family.fit(family.defaults, dataset, budget, seed=1, recipe=whole)

    def ours(origins: np.ndarray) -> QuantileForecasts:
        return forecaster.forecasts(dataset, origins)

    def rate(forecasts: Callable[[np.ndarray], QuantileForecasts], origins: np.ndarray) -> float:
        begun = time.perf_counter()
        evaluate(forecasts(origins), dataset.scales)
        return len(origins) / (time.perf_counter() - begun)

    passes: list[int] = []
    hook = forecaster.module.register_forward_hook(lambda *_: passes.append(1))
    one_by_one(origins[:1]), ours(origins)  # warm up
    hook.remove()
    if not passes:
        raise RuntimeError(f"{name} forecast {len(origins)} windows without its network")
    pairs = [(rate(one_by_one, origins[:windows]), rate(ours, origins)) for _ in range(repeats)]
    how = "quantiles by nf.predict"
    if name != "TIMESNET_Q":
        how = f"{reference.SAMPLES} sampled paths, float64"
    return Measured.of_pairs(
        pairs,
        "windows/s",
        higher_is_better=True,
        note=f"reference: one call per window, {how}",
        details={
            "windows": [min(windows, len(origins)), len(origins)],
            "network_passes": len(passes),
            "params": dict(family.defaults),
        },
    )


def _reference(name: str, dataset: Dataset) -> Callable[[np.ndarray], QuantileForecasts]:
    params = get_family(name).defaults
    if name == "TIMESNET_Q":
        from measurements import reference_timesnet  # neuralforecast, which only this family needs

        trained = reference_timesnet.timesnet(dataset, params, steps=1, windows=2)
        return lambda origins: reference_timesnet.timesnet_forecasts(trained, dataset, origins)
    series = reference.ScaledSeries.of(dataset)
    model = reference.darts_model(
        reference.REFERENCE_MODELS[name],
        params,
        epochs=1,
        limit_train_batches=1,
        limit_val_batches=0,
    )
    reference.fit(model, series)
    return lambda origins: reference.forecasts(model, series, dataset, origins)
