"""What several test folders share: a dataset small enough to train on in a second, stored studies,
the root.
"""

import gc
import io
import json
import os
import random
import re
import socket
import sqlite3
import sys
from collections import namedtuple
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from hpo_lib.benchmark.train import Plan
from hpo_lib.cli.main import main
from hpo_lib.data.dataset import Dataset, fingerprint_frame
from hpo_lib.data.spec import DatasetSpec, Splits
from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import load_predictions, write_json, write_predictions
from hpo_lib.records.result import study_result
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.objectives import FORMER_PAIR
from hpo_lib.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
ABSENT = str(ROOT / "tests/absent")
# In this process, and in those that tests start, which have this checkout's package wherever they
# run.
sys.path.insert(0, ABSENT)
os.environ["PYTHONPATH"] = os.pathsep.join([ABSENT, str(ROOT)])

DAYS = 100

SIMULATED_RECORDS = Path(__file__).parent / "simulated_records"
"""Three studies and a benchmark of simulated heat, as `measurements/publish.py` makes them; nobody
may change them.
"""

SIMULATED_RUNS = SIMULATED_RECORDS / "papermill_runs"

CODE = {"hpo_lib": "1", "git_commit": None, "packages": {}, "device": "cpu, 2 threads", "seed": 42}
"""The part of a record's provenance that is not of the data."""

_frozen_modules = 0


def pytest_runtest_setup():
    """Leave what libraries made as they were imported out of garbage collection.

    Each training begins with a full collection, which would walk over all of that: half a second
    each time.
    """
    global _frozen_modules
    if len(sys.modules) > _frozen_modules + 100:
        gc.freeze()
        _frozen_modules = len(sys.modules)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_made_to_outlive_a_power_failure():
    """A test would wait for the disk hundreds of times."""

    def connected(connection, _):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = off")

    event.listen(Engine, "connect", connected)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def twins_simulated_once():
    """Simulate each twin once per process, where a dataset is loaded: it takes most of a second."""
    from hpo_lib.data import twins

    simulate = twins.simulate
    made = {}

    def simulated(spec):
        if (key := repr(spec)) not in made:
            made[key] = simulate(spec)
        return made[key].copy()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(twins, "simulate", simulated)
        yield


def free_port():
    """One below the range from which the system takes ports, drawn so that no other test has it."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def text_of(name):
    """Of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def short_twin(folder, name="heat"):
    """A TOML of this name whose simulated data has 14 months to train on instead of eight years."""
    text = text_of(f"datasets/{name}.toml")
    text, count = re.subn('^start = "20.*$', 'start = "2022-09-01 00:00"', text, flags=re.MULTILINE)
    assert count == 1
    toml = folder / f"{name}.toml"
    toml.write_text(text, encoding="utf-8")
    return toml


def refusal(sentence, error=InputError):
    """``with refusal(sentence):`` passes if the block raises an error of exactly this sentence."""
    return pytest.raises(error, match=rf"\A{re.escape(sentence)}\Z")


Said = namedtuple("Said", "code out err")


def hpo(words, *more, code=0):
    """``hpo("report winter --runs-dir", folder)``: what the command says until it ends with this
    code, or with any where it is None.
    """
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        ended = main([*words.split(), *map(str, more)])
    assert code in (ended, None), err.getvalue()
    return Said(ended, out.getvalue(), err.getvalue())


def made_forecasts(actual, half_width=1.0, median=0.0, start="2019-01-06 23:00", first=0):
    """Of consecutive days, from the day ``first`` on: a median, and as far to both sides of it."""
    middle, width = (np.zeros_like(actual) + x for x in (median, half_width))
    origins = pd.date_range(start, periods=len(actual) + first, tz="UTC")[first:]
    values = np.stack([middle - width, middle, middle + width], axis=2)
    return QuantileForecasts(values, actual, origins)


def essentials(params):
    """A best_params JSON of a study of one trial with these hyperparameters."""
    trial = TrialRecord(0, "complete", params, 0.2, 1.0, {"mae": 0.2, "picp": 81.0})
    return record_of(RunPaths(Path(), "NHITS_Q", "heat", "one"), [trial])


def record_of(run, trials, **stated):
    """A best_params JSON of a study of these trials; ``stated`` as in `study_result`."""
    defaults = {
        "objectives": FORMER_PAIR,
        "policy": "calibrated",
        "status": "complete",
        "settled": None,
        "n_trials": len(trials),
        "storage_path": "",
        "optimization_date": "2026-01-16T10:30:00+00:00",
        "baselines": {},
        "provenance": {},
    }
    return study_result(run, trials, **{**defaults, **stated})


def executed(*, ended=True, error=""):
    """An executed notebook, as far as it is read."""
    outputs = [{"output_type": "error", "ename": "StudyError", "evalue": error}] if error else []
    cell = {"cell_type": "code", "source": "x", "outputs": outputs, "execution_count": 1}
    run = {
        "end_time": "2026-01-16T12:00:00" if ended else None,
        "exception": True if error else None,
    }
    return {"metadata": {"papermill": run}, "cells": [cell]}


def change(file, place, new):
    """Change a value at some place in a JSON file; the value before and after."""
    content = part = json.loads(file.read_bytes())
    for name in place[:-1]:
        part = part[name]
    before = part[place[-1]]
    part[place[-1]] = after = new(before)
    file.write_text(json.dumps(content), encoding="utf-8")
    return before, after


@pytest.fixture(scope="session")
def root():
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_dataset():
    """100 smooth days from 2019-03-01: 70 to train (rows 0 to 1679), 15 to validate (1680 to 2039),
    15 to test.

    Nobody may change its frame; take a copy.
    """
    index = pd.date_range("2019-03-01 00:00Z", periods=DAYS * 24, freq="h", name="timestamp")
    hours = np.arange(len(index))
    noise = np.random.default_rng(7).standard_normal(len(index))
    weekend = (index.day_of_week >= 5).astype(float)
    temp = 8 + 5 * np.sin(2 * np.pi * hours / 24 - 2) + 4 * np.sin(hours / 300)
    target = 10 + 3 * np.sin(2 * np.pi * hours / 24) - 1.5 * weekend - 0.1 * temp + 0.1 * noise
    columns = {
        "water_consumption": target,
        "temp": temp,
        "water_lag_24h": np.concatenate([target[:24], target[:-24]]),
        "hour_sin": np.sin(2 * np.pi * hours / 24),
        "hour_cos": np.cos(2 * np.pi * hours / 24),
        "is_weekend": weekend,
    }
    frame = pd.DataFrame(columns, index=index)
    spec = DatasetSpec(
        name="tiny",
        title="A hundred days of water",
        csv="tiny.csv",
        unit="m3/h",
        target="water_consumption",
        frequency="h",
        timezone="Europe/Copenhagen",
        country="DK",
        past_covariates=("temp", "water_lag_24h"),
        future_covariates=("hour_sin", "hour_cos", "is_weekend"),
        splits=Splits(pd.Timestamp("2019-05-09 23:00Z"), pd.Timestamp("2019-05-24 23:00Z")),
        path=Path("tiny.toml"),
    )
    return Dataset(
        spec=spec,
        frame=frame,
        past=spec.past_covariates,
        future=spec.future_covariates,
        source="csv",
        path="tiny.csv",
        sha256=fingerprint_frame(frame),
        n_filled=0,
    )


def quick_plan(dataset, out, **given):
    """A benchmark of the baselines alone, with two seeds, at the smallest budget."""
    how = {name: given.pop(name) for name in ("preset", "recipe") if name in given}
    settings = Settings.create(
        "NHITS_Q", "tiny", runs_dir=out / "runs", **{"preset": "test", **how}
    )
    quick = {"models": (), "params": "default", "seeds": 2, "refit": False, "out": out}
    return Plan(dataset, settings, **{**quick, **given})


@pytest.fixture(scope="session")
def stored_studies(tmp_path_factory):
    """Two studies as `hpo run` leaves them, of invented forecasts: the first with its storage, the
    second without.

    Trial 0, the untuned default, is beaten; trial 1 failed; trials 2, 3 and 4 are the front, and 4
    is chosen.
    """
    runs_dir = tmp_path_factory.mktemp("stored")
    _store_study(RunPaths(runs_dir, "NHITS_Q", "heat", "first"), "simulated", with_storage=True)
    _store_study(RunPaths(runs_dir, "TFT_Q", "water_centrum", "second"), "csv", with_storage=False)
    return runs_dir


def _store_study(run, source, *, with_storage):
    random = np.random.default_rng(3)
    actual = 3 + np.sin(2 * np.pi * np.arange(24) / 24) + 0.3 * random.standard_normal((40, 24))
    trials = [TrialRecord(1, "failed", {"lr": 0.1}, cause="RuntimeError: no memory", seconds=1.0)]
    for number, error, half_width in (
        (0, 0.5, 0.42),
        (2, 0.2, 0.14),
        (3, 0.25, 0.27),
        (4, 0.3, 0.385),
    ):
        median = actual + error * random.standard_normal(actual.shape)
        forecasts = made_forecasts(actual, half_width, median, "2023-10-31 23:00")
        write_predictions(run.trial_predictions(number), forecasts)
        scores = metrics.score(load_predictions(run.trial_predictions(number)), 2.0)
        mae = scores["mae"]
        penalty = abs(scores["picp"] - 80)
        trials.append(
            TrialRecord(number, "complete", {"lr": 0.001 * (number + 1)}, mae, penalty, scores)
        )
    trials.sort(key=lambda trial: trial.number)
    data = {"unit": "kWh/h" if run.dataset == "heat" else "m3/h", "source": source}
    result = record_of(
        run,
        trials,
        optimization_date="2026-01-16",
        baselines={"naive_24h": dict(trials[0].scores)},
        provenance={"data": data, "early_stopping": "off", "preset": "laptop"},
    )
    write_json(run.best_params, result)
    if not with_storage:
        return
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import TrialState, create_trial

    study = optuna.create_study(
        study_name=run.study_name,
        storage=f"sqlite:///{run.sqlite}",
        directions=["minimize", "minimize"],
    )
    for trial in trials:
        done = trial.state == "complete"
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if done else TrialState.FAIL,
                values=[trial.mae, trial.picp_penalty] if done else None,
                params=dict(trial.params),
                distributions={"lr": FloatDistribution(1e-5, 1, log=True)},
                user_attrs={"scores": dict(trial.scores)} if done else {"cause": trial.cause},
            )
        )
