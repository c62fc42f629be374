"""Made-up studies and benchmarks with figures to compute by hand, and the simulated records."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpo_lib.benchmark.tables import Benchmark, BenchmarkRow
from hpo_lib.families.search_space import FloatRange
from hpo_lib.figures.evidence import Evidence, find_evidence
from hpo_lib.paths import BenchmarkPaths, RunPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import Training
from hpo_lib.records.trial import TrialRecord
from tests.conftest import SIMULATED_RECORDS, SIMULATED_RUNS, made_forecasts

# Studies, benchmarks and CSV of simulated heat; nobody may change them.
HEAT = (SIMULATED_RUNS, SIMULATED_RECORDS / "benchmark_results")


def trial(number, mae, penalty, state="complete", **other):
    scores = {"picp": 80 - penalty, "winkler": 4 * mae}
    return TrialRecord(number, state, {"lr": 0.01 * (number + 1)}, mae, penalty, scores, **other)


TRIALS = (
    trial(0, 4, 4, seconds=10.0),
    trial(1, 5, 2, seconds=20.0),
    TrialRecord(2, "stopped", {"lr": 0.5}, seconds=3.0),
    trial(3, 2, 6, seconds=30.0),
    trial(4, 3, 3, seconds=40.0),
    TrialRecord(5, "running", {"lr": 0.6}),
)

RECORD = """{
  "dataset": "tiny", "job_id": "1", "objectives": null, "schema_version": 2,
  "best_trial_number": 4, "best_mae": 3.0, "best_picp": 77.0, "n_pareto_optimal": 3,
  "failures": [], "default_trial": {"mae": 4.0}, "validation_metrics": {},
  "best_params": {"lr": 0.05}, "training_time_hours": 0.05, "n_completed": 4, "n_pruned": 1,
  "n_failed": 0, "status": "complete", "optimization_date": "2026-01-01",
  "provenance": {"preset": "laptop", "device": "cpu", "data": {
    "source": "csv", "path": "tiny.csv", "sha256": "ab", "unit": "m3/h",
    "train_end": "2019-05-09 23:00:00+00:00", "val_end": "2019-05-24 23:00:00+00:00",
    "test_end": null, "first_hour": "2019-03-01 00:00:00+00:00",
    "last_hour": "2019-06-08 23:00:00+00:00", "hours_filled": 7,
    "past_covariates": ["a", "b"], "future_covariates": ["c"]}}}"""


def made_up_study(model="TFT_Q", trials=TRIALS, **result):
    """Chosen is trial 4; the front is 3, 4, 1. Of its 180 seconds the proof took 77."""
    run = RunPaths(Path("runs"), model, "tiny", "1")
    study = StoredStudy(run, json.loads(RECORD) | {"model": model} | result, run.best_params)
    vars(study).update(  # what it would read from its storage
        has_storage=True, trials=tuple(trials), search_space={"lr": FloatRange(0.001, 1, log=True)}
    )
    return study


def forecasts(dataset, origins, error=0.0, half_width=1.0):
    """Forecasts whose median is too low by ``error`` in every hour."""
    actual = dataset.target.to_numpy()[origins[:, None] + np.arange(1, 25)]
    return made_forecasts(actual, half_width, actual - error, dataset.index[origins[0]])


def made_up_benchmark(dataset, rows):
    """Rows of model, params, error of validation and test, and half the width."""
    splits = (dataset.validation_origins, dataset.test_origins)
    made = []
    for model, params, *errors, width in map(str.split, rows.strip().splitlines()):
        both = [
            forecasts(dataset, split, float(error), float(width))
            for split, error in zip(splits, errors, strict=True)
        ]
        trainings = [] if model == "MIXTURE" else [Training({"seconds": 1.0, "key": {}}, *both)]
        made.append(BenchmarkRow(model, params, *both, trainings))
    paths = BenchmarkPaths(Path("out"), "tiny", "laptop-standard")
    return Benchmark(paths, dataset.spec, dataset.scales, made)


@pytest.fixture(scope="session")
def benchmark(tiny_dataset):
    """TFT is best on validation, N-HiTS on test."""
    rows = """
NAIVE_24H       own     3   3    1
LINEAR_Q        own     2   2    1
RESIDUAL_LINEAR own     2.5 1.5  1
NHITS_Q         default 1.5 0.75 1
NHITS_Q         best    1   0.25 1
TFT_Q           best    0.5 0.5  1
MIXTURE         own     0.5 0.4  1
"""
    return made_up_benchmark(tiny_dataset, rows)


@pytest.fixture
def evidence(benchmark, tiny_dataset):
    return Evidence((made_up_study(),), (benchmark,), {"tiny": tiny_dataset.spec}, ())


@pytest.fixture(scope="session")
def heat():
    """What is found in the simulated records of heat."""
    return find_evidence(*HEAT)


def table(frame, columns):
    """Columns of a frame as lines of text, numbers with four digits."""
    rows = frame[columns.split()].astype(object).to_numpy().tolist()
    texts = [[f"{one:.4g}" if isinstance(one, float) else str(one) for one in row] for row in rows]
    return "\n".join(map(" ".join, texts))


def of_days(errors, start="2019-01-01 23:00"):
    """Forecasts of one day per error, which is that of every hour; intervals are 2 wide."""
    actual = np.asarray(errors, dtype=float)[:, None] * np.ones((1, 24))
    return made_forecasts(actual, start=start)
