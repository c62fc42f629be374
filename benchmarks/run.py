"""Speed of training and evaluation, each as a ratio to a reference measured in the same run, interleaved.

    python benchmarks/run.py [--data-dir DIR] [--dataset datasets/development/water_centrum.toml] [--out FILE.json]

`make bench` runs it on the simulated twin. Ratios, not seconds, are what to compare between machines.
"""

import argparse
import contextlib
import io
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import reference
import torch
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import ModuleStage, TorchTrainingBatch

from hpo_lib import paths
from hpo_lib.data.load import Dataset, load_dataset
from hpo_lib.data.registry import load_spec
from hpo_lib.data.splits import training_origins
from hpo_lib.evaluation import evaluate
from hpo_lib.families import get_family
from hpo_lib.families.base import Budget
from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.windows import Scaling, TrainingWindows, WindowSource
from hpo_lib.provenance import code_provenance

REPEATS = 3


def training_windows(family: DartsFamily, dataset: Dataset) -> TrainingWindows:
    scaling = Scaling.fit(dataset)
    source = WindowSource.build(dataset, dataset.frame, scaling, calendar_as_past=family.calendar_as_past)
    return TrainingWindows(source, training_origins(dataset.index, dataset.spec.splits))


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


def timesnet_step(dataset: Dataset, batch_size: int = 32) -> tuple[float, float]:
    """Median seconds of one training step: stock TimesNet, ours; same weights' shapes, same batch, float32."""
    ours, stock = get_family("TIMESNET_Q"), reference.StockTimesnetQ()
    assert isinstance(ours, DartsFamily)
    windows = training_windows(ours, dataset)
    batch = windows.__getitems__(list(range(0, 50 * batch_size, 50)))
    steps = [step_seconds(reference.untrained_module(f, ours.defaults, windows), batch) for f in (stock, ours)]
    times = [[step() for step in steps] for _ in range(REPEATS + 1)][1:]  # the first warms up
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def windows_per_second(name: str, dataset: Dataset, one_by_one: int) -> tuple[float, float]:
    """Validation windows per second: sampled one by one through darts, and ours with all scores."""
    family = get_family(name)
    assert isinstance(family, DartsFamily)
    stop = dataset.positions.val.stop
    target = reference.series(dataset, (dataset.spec.target,), slice(0, stop)).astype(np.float32)
    past, future = dataset.past, dataset.future
    if family.calendar_as_past:
        covariates = {"past_covariates": reference.series(dataset, (*past, *future), slice(0, stop))}
    else:
        covariates = {
            "past_covariates": reference.series(dataset, past, slice(0, stop)),
            "future_covariates": reference.series(dataset, future, slice(0, stop)),
        }
    covariates = {role: values.astype(np.float32) for role, values in covariates.items()}
    stock = reference.StockTimesnetQ() if name == "TIMESNET_Q" else family
    model = reference.plain_model(stock, family.defaults)
    model.fit(target, **covariates, max_samples_per_ts=8, verbose=False)
    origins = dataset.validation_origins
    begun = time.perf_counter()
    reference.predict_one_by_one(model, target, covariates, origins[:one_by_one], samples=100)
    plain = one_by_one / (time.perf_counter() - begun)

    forecaster = family.fit(family.defaults, dataset, Budget(steps=1, batch_size=8, checks=1), seed=1)
    rates = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        evaluate(forecaster.predict(dataset.frame, origins), dataset)
        rates.append(len(origins) / (time.perf_counter() - begun))
    return plain, statistics.median(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="water_centrum")
    parser.add_argument("--data-dir", type=Path, default=paths.DATA_DIR)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.fabric", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
    dataset = load_dataset(load_spec(arguments.dataset), arguments.data_dir)
    rows = []

    def report(work: str, plain: float, ours: float, ratio: float, unit: str) -> None:
        rows.append({"work": work, "reference": plain, "ours": ours, "unit": unit, "ratio": ratio})
        print(f"{work:55} {plain:10.4g} {ours:10.4g} {unit:10} {ratio:8.1f}x", flush=True)

    print(f"{dataset.path} ({dataset.source}), {arguments.threads} threads\n")
    print(f"{'work':55} {'reference':>10} {'ours':>10} {'':10} {'ratio':>9}")
    with contextlib.redirect_stderr(io.StringIO()):
        plain, ours = timesnet_step(dataset)
        report("TIMESNET_Q training step, batch 32", plain, ours, plain / ours, "s")
        for name, count in (("NHITS_Q", 40), ("TFT_Q", 10), ("TIMESNET_Q", 4)):
            plain, ours = windows_per_second(name, dataset, count)
            report(f"{name} evaluation", plain, ours, ours / plain, "windows/s")
    if arguments.out:
        content = {"dataset": dataset.path, "threads": arguments.threads, "rows": rows, **code_provenance()}
        arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
