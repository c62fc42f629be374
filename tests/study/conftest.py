"""Studies of a fake family, and the tiny dataset as files for studies in other processes."""

import functools
from types import SimpleNamespace

import optuna
import pytest

from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import code_provenance
from hpo_lib.records.storage import Storage
from hpo_lib.settings import Settings
from hpo_lib.study.progress import write_optuna_figures
from hpo_lib.study.run import run_study
from tests.postgres import postgres_server, postgres_url
from tests.study.fakes import FakeFamily
from tests.study.processes import study_in

__all__ = ["postgres_server", "postgres_url", "study_in"]

TOML = """
name = "tiny"
title = "A hundred days of water"
csv = "tiny.csv"
unit = "m3/h"
target = "water_consumption"
frequency = "h"
timezone = "Europe/Copenhagen"
country = "DK"
past_covariates = ["temp", "water_lag_24h"]
future_covariates = ["hour_sin", "hour_cos", "is_weekend"]
[splits]
train_end = "{}"
val_end = "{}"
"""


def opened(files, storage="journal"):
    """A study as optuna has it, to be written as well."""
    return optuna.load_study(study_name=files.study_name, storage=Storage(files, storage).open())


@pytest.fixture
def files(tmp_path):
    return RunPaths(tmp_path, "FAKE_Q", "tiny", "a")


code_provenance_once = functools.cache(code_provenance)


def fake_study(fake, monkeypatch):
    """Has studies be of this family, and neither ask git again nor draw; see ``html_figures``."""
    monkeypatch.setattr("hpo_lib.study.proof.get_family", lambda name: fake)
    monkeypatch.setattr("hpo_lib.study.run.code_provenance", code_provenance_once)
    monkeypatch.setattr("hpo_lib.study.run.write_optuna_figures", lambda *_: None)
    return fake


@pytest.fixture
def family(monkeypatch):
    return fake_study(FakeFamily(), monkeypatch)


@pytest.fixture
def ten_minutes_each(family, monkeypatch):
    """Each training takes ten minutes by the clock of the study."""
    clock = SimpleNamespace(now=0.0)

    def before(call):
        clock.now += 600

    family.before = before
    for module in ("run", "progress", "proof"):
        stopped = SimpleNamespace(monotonic=lambda: clock.now)
        monkeypatch.setattr(f"hpo_lib.study.{module}.time", stopped)


@pytest.fixture
def html_figures(family, monkeypatch):
    """Has studies of the fake family draw theirs."""
    monkeypatch.setattr("hpo_lib.study.run.write_optuna_figures", write_optuna_figures)


@pytest.fixture
def start(tmp_path, tiny_dataset, family):
    """Runs a study of the module's fake family under job id ``a``; in a journal, which is faster
    than SQLite.
    """

    def run(trials=family.trials, dataset=tiny_dataset, runs_dir=tmp_path, **given):
        chosen = {
            "job_id": "a",
            "preset": "test",
            "space": "plan",
            "policy": "calibrated",
            "storage": "journal",
            **given,
        }
        settings = Settings.create(
            "FAKE_Q", "tiny", trials=trials, runs_dir=str(runs_dir), **chosen
        )
        return run_study(settings, dataset, progress=False)

    return run


@pytest.fixture(scope="session")
def tiny_toml(tiny_dataset, tmp_path_factory):
    """Makes a TOML of the tiny dataset, beside its CSV, with these ends of the training and
    validation splits.
    """
    folder = tmp_path_factory.mktemp("tiny")
    tiny_dataset.frame.to_csv(folder / "tiny.csv")

    def make(name="tiny", train_end="2019-05-09 23:00", val_end="2019-05-24 23:00"):
        file = folder / f"{name}.toml"
        file.write_text(TOML.format(train_end, val_end), encoding="utf-8")
        return file

    return make
