"""A worker with a family that sleeps instead of training: one process of a study, as a cluster starts several.

python fake_worker.py DATASET.pickle RUNS_DIR STORAGE TRIALS WORKER SECONDS_PER_TRIAL BEGIN_TOGETHER

No trial ends before BEGIN_TOGETHER workers are in the middle of one, however long some of them take to start.
"""

import hashlib
import pickle
import sys
import time
from pathlib import Path

import numpy as np

from hpo_lib.families.contract import Budget, Family, Forecaster
from hpo_lib.families.search_space import Choice, FloatRange, IntRange
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.settings import Settings
from hpo_lib.study import run


class Canned(Forecaster):
    best_step = 1

    def __init__(self, validation):
        self.validation = validation

    def predict(self, frame, origins):
        raise NotImplementedError


class SleepingFamily(Family):
    name = "SLEEPING_Q"
    title = "Sleeping"
    search_space = {"width": Choice((2, 4, 8)), "depth": IntRange(1, 4), "lr": FloatRange(1e-5, 1e-2, log=True)}  # noqa: RUF012
    defaults = {"width": 4, "depth": 2, "lr": 1e-3}  # noqa: RUF012
    budgets = {"test": Budget(20, 8, 1)}  # noqa: RUF012
    seconds = 0.0
    begun = Path()
    together = 1

    def fit(self, params, dataset, budget, *, seed, on_check=None, **rest):
        self.begun.touch()
        while len(list(self.begun.parent.glob("begun-*"))) < self.together:
            time.sleep(0.02)
        time.sleep(self.seconds)
        origins = dataset.validation_origins
        actual = dataset.target.to_numpy()[origins[:, None] + np.arange(1, 25)]
        rng = np.random.default_rng(hashlib.sha256(repr(sorted(params.items())).encode()).digest()[0])
        median = actual + rng.standard_normal(actual.shape) / params["width"]
        values = np.stack([median - params["depth"] / 4, median, median + params["depth"] / 4], axis=2)
        return Canned(QuantileForecasts(values=values, actual=actual, origins=dataset.index[origins]))

    def refit(self, *arguments, **rest):
        raise NotImplementedError


def main(dataset: str, runs_dir: str, storage: str, trials: str, worker: str, seconds: str, together: str) -> None:
    family = SleepingFamily()
    family.seconds, family.together = float(seconds), int(together)
    family.begun = Path(runs_dir) / f"begun-{worker}"
    run.get_family = lambda name: family
    run.code_provenance = lambda threads: {}  # spares the import of torch for the device's name
    settings = Settings.create(
        family.name, "tiny", trials=int(trials), job_id="a", preset="test", storage=storage, worker=int(worker),
        runs_dir=runs_dir,
    )  # fmt: skip
    run.run_study(settings, pickle.loads(Path(dataset).read_bytes()), progress=False)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
