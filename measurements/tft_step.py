"""One training step of the TFT: darts' own model in float64 against the family's in float32, same
batch, same weights.

PYTHONPATH=. python measurements/tft_step.py [--data-dir DIR] [--dataset FILE.toml] [--batch-size
32]
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from darts.models import TFTModel
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import ModuleStage, TorchTrainingBatch
from darts.utils.likelihood_models.torch import QuantileRegression

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.models import RECIPES, Params
from hpo_lib.families.tft_q import TftQ
from hpo_lib.families.windows import Scaling, TrainingWindows, WindowSource
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

REPEATS = 5


class StockTftQ(TftQ):
    """The family with darts' own model; not registered."""

    def darts_model(self, network: dict[str, Any], common: dict[str, Any]) -> TFTModel:
        return TFTModel(**network, **common)


def tft_step(
    dataset: Dataset, batch_size: int = 32, params: Params = TftQ.defaults, repeats: int = REPEATS
) -> tuple[list[float], list[float]]:
    """Seconds of a step (forward, loss, backward, optimiser), in turns: darts in float64, ours in
    float32.
    """
    source = WindowSource.build(
        dataset,
        dataset.windows(dataset.training_origins()),
        Scaling.fit(dataset, RECIPES["plain"]),
        RECIPES["plain"],
        calendar_as_past=False,
    )
    windows = TrainingWindows(source, dataset.training_origins())
    batch = windows.__getitems__(torch.linspace(0, len(windows) - 1, batch_size).int().tolist())
    reference = _step(
        _module(StockTftQ(), params, windows).double(), _in_float64(batch), fused=None
    )
    ours = _step(_module(TftQ(), params, windows), batch, fused=True)
    times = [(reference(), ours()) for _ in range(repeats + 1)][1:]  # the first warms up
    return [both[0] for both in times], [both[1] for both in times]


def _module(family: TftQ, params: Params, windows: TrainingWindows) -> PLForecastingModule:
    model = family.create_model(
        params,
        {
            "input_chunk_length": HISTORY,
            "output_chunk_length": HORIZON,
            "likelihood": QuantileRegression(list(QUANTILE_LEVELS)),
            "random_state": 42,
        },
    )
    model.train_sample, model.output_dim = windows[0], 1
    return model._init_model()


def _in_float64(batch: TorchTrainingBatch) -> TorchTrainingBatch:
    tensors = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return TorchTrainingBatch(
        **{name: tensor if tensor is None else tensor.double() for name, tensor in tensors.items()}
    )


def _step(
    module: PLForecastingModule, batch: TorchTrainingBatch, fused: bool | None
) -> Callable[[], float]:
    """A function that does one optimiser step and returns its seconds; the family trains with a
    fused optimiser.
    """
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="water_centrum")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--hidden-size", type=int, nargs="+", default=[32, 64])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(load_spec(arguments.dataset), arguments.data_dir)
    for hidden_size in arguments.hidden_size:
        params = {**TftQ.defaults, "hidden_size": hidden_size}
        reference, ours = map(statistics.median, tft_step(dataset, arguments.batch_size, params))
        print(
            f"hidden {hidden_size:4}: {reference:.4f} s, {ours:.4f} s, {reference / ours:.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
