"""Overhead of a study beside training and scoring, and the gain of a second worker.

Overhead is measured on N-HiTS whose training is left out; the rest of a trial is real: the claim,
the sampler, the predictions on disk, the scores, the storage, the JSON. The workers are measured on
whole small studies by `hpo run`.
"""

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import get_family
from hpo_lib.paths import PROJECT_ROOT, RunPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.settings import Settings
from hpo_lib.study.run import run_study
from measurements.table import Measured

CHECKS = 8
ENDS = 20
"""Trials at both ends of a study whose overhead is compared."""


class _Untrained:
    """Stands in for a family's ``fit``: the value of the day before with noise, eight checks."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.elsewhere: list[float] = []

    def __call__(self, params: Any, dataset: Dataset, *_: Any, on_check: Any = None, **__: Any):
        self.begun.append(time.perf_counter())
        origins = dataset.validation_origins
        hours = origins[:, None] + np.arange(1, 25)
        target = dataset.target.to_numpy()
        noise = np.random.default_rng(len(self.begun)).standard_normal(hours.shape) / 10
        median = target[hours - 24] + target.std() * noise
        values = median[:, :, None] + target.std() * np.array([-0.5, 0, 0.5])
        forecasts = QuantileForecasts(values, target[hours], dataset.index[origins])
        for step in range(CHECKS if on_check else 0):
            on_check(step, forecasts)
        begun = time.perf_counter()
        evaluate(forecasts, dataset.scales)  # time of scoring alone
        now = time.perf_counter()
        self.elsewhere.append(now - self.begun[-1] + (now - begun))
        return SimpleNamespace(best_step=1, shares=None, validation=forecasts)


def overhead(dataset: Dataset, trials: int) -> Measured:
    """Seconds of each trial of a study beyond training and scoring, with SQLite; the note tells how
    they grow, and of a journal.
    """
    seconds = {storage: _overhead(dataset, storage, trials) for storage in ("sqlite", "journal")}
    notes = (
        f"{storage}: first {ENDS} trials {statistics.median(each[:ENDS]):.2g} s, "
        f"last {statistics.median(each[-ENDS:]):.2g} s"
        for storage, each in seconds.items()
    )
    return Measured((), tuple(seconds["sqlite"]), "s", note="; ".join(notes))


def _overhead(dataset: Dataset, storage: str, trials: int) -> list[float]:
    untrained, family = _Untrained(), get_family("NHITS_Q")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.object(family, "fit", untrained),
    ):
        settings = Settings.create(
            family.name,
            dataset.spec.name,
            trials=trials,
            preset="test",
            policy="calibrated",
            early_stopping=False,
            storage=storage,
            runs_dir=folder,
            job_id=f"overhead-{time.time_ns()}",
        )
        run_study(settings, dataset, progress=False)
    # From one call of `fit` to the next, less the call itself and one evaluation.
    pairs = zip(untrained.begun, untrained.begun[1:], untrained.elsewhere, strict=False)
    return [end - begin - fit for begin, end, fit in pairs]


def two_workers(
    dataset: Dataset, data_dir: Path | None, repeats: int, trials: int, preset: str
) -> Measured:
    """Finished N-HiTS trials per hour of one worker, and of two, with the threads that each gets by
    default.

    They take turns on separate studies without early stopping, so that every trial costs the same;
    one worker has all cores for its threads. The start of processes counts, as it does for a user,
    so a longer study gains a little more.
    """

    def rate(workers: int, seed: int) -> float:
        how = f"run --trials {trials} --seed {seed} --preset {preset} --workers {workers}"
        return trials_per_hour("NHITS_Q", dataset, data_dir, how)

    pairs = [(rate(1, repeat), rate(2, repeat)) for repeat in range(repeats)]
    return Measured.of_pairs(pairs, "trials/h", higher_is_better=True)


def trials_per_hour(model: str, dataset: Dataset, data_dir: Path | None, how: str) -> float:
    """Of a new study, from the start of its command on: ``hpo`` with the words ``how``."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunPaths(Path(folder), model, dataset.spec.name, "measured")
        study = (
            f"{how} --model {model} --job-id {run.job_id} --policy calibrated --storage journal "
            "--no-early-stopping"
        )
        words = [*study.split(), "--dataset", str(dataset.spec.path), "--runs-dir", folder]
        words += ["--data-dir", str(data_dir)] if data_dir else []
        words += ["--simulated"] * dataset.is_simulated
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
        environment.pop("OMP_NUM_THREADS", None)  # as many as a worker takes by itself
        command = [sys.executable, "-m", "hpo_lib", *words]
        begun = time.perf_counter()
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - begun
        if ended.returncode:
            raise RuntimeError(ended.stderr.strip() or f"exit code {ended.returncode}")
        return 3600 * StoredStudy.read(run).result["n_completed"] / seconds
