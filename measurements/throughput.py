"""Overhead of a study beside training and scoring, and the gain of a second worker.

    python -m measurements.throughput [--data-dir DIR] [--dataset
    datasets/development/water_centrum.toml] [--workers]

Overhead is measured with a family that trains nothing; the rest of a trial is real: the claim, the
sampler, the predictions on disk, the scores, the storage, the JSON. The workers are measured on
whole small studies of N-HiTS.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import Budget, Family, Forecaster, get_family
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.settings import Settings
from hpo_lib.study import run

TRIALS = 150
REPEATS = 3


class _Canned(Forecaster):
    best_step = 1

    def __init__(self, validation: QuantileForecasts) -> None:
        self.validation = validation

    def predict(self, *arguments: Any) -> QuantileForecasts:
        raise NotImplementedError


class _Untrained(Family):
    """N-HiTS' search space, the value of the day before with noise as its forecast, eight checks
    without training.
    """

    name, title = "UNTRAINED_Q", "Untrained"
    search_space = get_family("NHITS_Q").search_space
    defaults = get_family("NHITS_Q").defaults
    budgets: Mapping[str, Budget] = {"test": Budget(steps=8, batch_size=8, checks=8)}

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.elsewhere: list[float] = []

    def fit(
        self,
        params: Any,
        dataset: Dataset,
        budget: Budget,
        *,
        seed: int,
        on_check: Any = None,
        **rest: Any,
    ) -> Any:
        self.begun.append(time.perf_counter())
        origins = dataset.validation_origins
        hours = origins[:, None] + np.arange(1, 25)
        target = dataset.target.to_numpy()
        noise = (
            np.random.default_rng(len(self.begun)).standard_normal(hours.shape) * target.std() / 10
        )
        values = np.stack(
            [
                target[hours - 24] + noise + width
                for width in (-target.std() / 2, 0, target.std() / 2)
            ],
            2,
        )
        forecasts = QuantileForecasts(
            values=values, actual=target[hours], origins=dataset.index[origins]
        )
        for step in range(budget.checks):
            on_check(step, forecasts)
        begun = time.perf_counter()
        evaluate(forecasts, dataset)  # time of scoring alone
        now = time.perf_counter()
        self.elsewhere.append(now - self.begun[-1] + (now - begun))
        return _Canned(forecasts)

    def refit(self, *arguments: Any, **rest: Any) -> Forecaster:
        raise NotImplementedError


def overhead_per_trial(
    dataset: Dataset, data_dir: Path | None = None, *, storage: str = "sqlite", trials: int = TRIALS
) -> list[float]:
    """Seconds of each trial of a study beyond training and scoring, in the order of the trials.

    Args:
        dataset: prepared data; its validation split says how much is written per trial.
        data_dir: not needed, the data is read already.
        storage: ``sqlite``, ``journal`` or a database URL.
        trials: of the study, of which each adds to what the storage holds.
    """
    family = _Untrained()
    before = run.get_family
    run.get_family = lambda name: family  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            settings = Settings.create(
                family.name,
                dataset.spec.name,
                trials=trials,
                preset="test",
                storage=storage,
                runs_dir=folder,
                job_id=f"overhead-{time.time_ns()}",
            )
            run.run_study(settings, dataset, progress=False)
    finally:
        run.get_family = before
    # From one call of `fit` to the next, less the call itself and one evaluation.
    pairs = zip(family.begun, family.begun[1:], family.elsewhere, strict=False)
    return [end - begin - fit for begin, end, fit in pairs]


def two_workers(
    dataset: Dataset,
    data_dir: Path | None = None,
    *,
    trials: int = 4,
    repeats: int = REPEATS,
    preset: str = "laptop",
) -> tuple[list[float], list[float]]:
    """Finished N-HiTS trials per hour of one worker, and of two, with the threads that each gets by
    default.

    They take turns on separate studies without early stopping, so that every trial costs the same;
    one worker has all cores for its threads. The start of processes counts, as it does for a user,
    so a longer study gains a little more.
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(repeats):
        for workers in rates:
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                settings = Settings.create(
                    "NHITS_Q",
                    dataset.spec.name,
                    trials=trials,
                    preset=preset,
                    seed=repeat,
                    workers=workers,
                    storage="journal",
                    early_stopping=False,
                    runs_dir=folder,
                    job_id=f"{workers}-{repeat}",
                )
                begun = time.perf_counter()
                found = run.run_study(settings, dataset, progress=False)
                rates[workers].append(
                    3600 * found.result["n_completed"] / (time.perf_counter() - begun)
                )
    return rates[1], rates[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="water_centrum")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument(
        "--workers", action="store_true", help="measure two workers against one too (minutes)"
    )
    arguments = parser.parse_args()
    dataset = load_dataset(load_spec(arguments.dataset), arguments.data_dir)
    print(
        f"{dataset.path} ({dataset.source}), {len(dataset.validation_origins)} validation origins"
    )
    for storage in ("sqlite", "journal"):
        seconds = overhead_per_trial(dataset, storage=storage)
        first, last = statistics.median(seconds[:20]), statistics.median(seconds[-20:])
        print(
            f"overhead per trial, {storage}: first 20 {first:.3f} s, last 20 {last:.3f} s",
            flush=True,
        )
    if arguments.workers:
        one, two = map(statistics.median, two_workers(dataset))
        print(f"trials per hour: one worker {one:.1f}, two {two:.1f}, {two / one:.2f}x")


if __name__ == "__main__":
    main()
