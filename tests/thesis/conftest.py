"""Made-up studies and benchmarks with figures to compute by hand, and the simulated records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.benchmark.tables import Benchmark, BenchmarkRow
from hpo_lib.families.search_space import FloatRange
from hpo_lib.figures.evidence import Evidence, find_evidence
from hpo_lib.paths import BenchmarkPaths, RunPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import QuantileForecasts
from tests.conftest import SIMULATED_RECORDS, SIMULATED_RUNS

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


def made_up_study(model="TFT_Q", trials=TRIALS, **result):
    """Chosen is trial 4; the front is 3, 4, 1."""
    data = {
        "source": "csv",
        "path": "tiny.csv",
        "sha256": "ab",
        "unit": "m3/h",
        "train_end": "2019-05-09 23:00:00+00:00",
        "val_end": "2019-05-24 23:00:00+00:00",
        "test_end": None,
        "first_hour": "2019-03-01 00:00:00+00:00",
        "last_hour": "2019-06-08 23:00:00+00:00",
        "hours_filled": 7,
        "past_covariates": ["a", "b"],
        "future_covariates": ["c"],
    }
    found = {
        "model": model,
        "dataset": "tiny",
        "job_id": "1",
        "objectives": None,
        "schema_version": 2,
        "best_trial_number": 4,
        "best_mae": 3.0,
        "best_picp": 77.0,
        "n_pareto_optimal": 3,
        "failures": [],
        "default_trial": {"mae": 4.0},
        "validation_metrics": {},
        "best_params": {"lr": 0.05},
        "training_time_hours": 0.5,
        "n_completed": 4,
        "n_pruned": 1,
        "n_failed": 0,
        "status": "complete",
        "optimization_date": "2026-01-01",
        "provenance": {"data": data, "preset": "laptop", "device": "cpu"},
    } | result
    run = RunPaths(Path("runs"), model, "tiny", "1")
    study = StoredStudy(run, found, run.best_params)
    vars(study).update(  # what it would read from its storage
        has_storage=True,
        trials=tuple(trials),
        search_space={"lr": FloatRange(0.001, 1, log=True)},
    )
    return study


def forecasts(dataset, origins, error=0.0, half_width=1.0):
    """Forecasts whose median is too low by ``error`` in every hour."""
    hours = origins[:, None] + np.arange(1, 25)
    actual = dataset.target.to_numpy()[hours]
    middle = actual - error
    values = np.stack([middle - half_width, middle, middle + half_width], axis=2)
    return QuantileForecasts(values, actual, pd.DatetimeIndex(dataset.index[origins]))


def row(
    dataset,
    model,
    params,
    val_error,
    test_error,
    half_width=1.0,
):
    return BenchmarkRow(
        model,
        params,
        validation=forecasts(dataset, dataset.validation_origins, val_error, half_width),
        test=forecasts(dataset, dataset.test_origins, test_error, half_width),
    )


@pytest.fixture(scope="session")
def benchmark(tiny_dataset):
    """TFT is best on validation, N-HiTS on test."""
    rows = [
        row(tiny_dataset, "NAIVE_24H", "own", 3, 3),
        row(tiny_dataset, "LINEAR_Q", "own", 2, 2),
        row(tiny_dataset, "NHITS_Q", "default", 1.5, 0.75),
        row(tiny_dataset, "NHITS_Q", "best", 1.0, 0.25),
        row(tiny_dataset, "TFT_Q", "best", 0.5, 0.5),
        row(tiny_dataset, "MIXTURE", "own", 0.5, 0.4),
    ]
    return Benchmark(
        BenchmarkPaths(Path("out"), "tiny", "laptop-standard"),
        tiny_dataset.spec,
        tiny_dataset.scales,
        rows,
    )


@pytest.fixture
def evidence(benchmark, tiny_dataset):
    return Evidence((made_up_study(),), (benchmark,), {"tiny": tiny_dataset.spec}, ())


@pytest.fixture(scope="session")
def heat():
    """What is found in the simulated records of heat."""
    return find_evidence(*HEAT)
