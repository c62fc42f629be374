"""Retraining: real trainings of N-HiTS at the test budget on a hundred days, and when a model is put in use."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from hpo_lib.cli.main import main
from hpo_lib.families.contract import RECIPES, get_family
from hpo_lib.paths import ModelPaths, RunPaths
from hpo_lib.records.files import load_predictions, write_json
from tests.study.fakes import DEFAULTS, FakeFamily


class Place:
    """A folder with the data, a dataset of two ages, and the command."""

    def __init__(self, folder: Path, toml: Callable[..., Path]) -> None:
        self.folder = folder
        self.old = toml("old", "2019-04-24 23:00", "2019-05-09 23:00")
        self.new = toml("new")
        self.models = ModelPaths(folder / "models", "NHITS_Q", "tiny")
        self.defaults = dict(get_family("NHITS_Q").defaults)

    def study(self, job_id: str, status: str = "complete", **params: float) -> Path:
        run = RunPaths(self.folder / "runs", "NHITS_Q", "tiny", job_id)
        data = {"source": "csv", "sha256": "0" * 64}
        result = {
            "schema_version": 2, "model": "NHITS_Q", "dataset": "tiny", "job_id": job_id, "status": status,
            "best_params": {**self.defaults, **params}, "optimization_date": job_id,
            "provenance": {"data": data, "preset": "test", "recipe": asdict(RECIPES["standard"])},
        }  # fmt: skip
        write_json(run.best_params, result)
        return run.best_params

    def retrain(self, dataset: Path, *options: str) -> int:
        folders = ["--runs-dir", f"{self.folder}/runs", "--out", f"{self.folder}/models"]
        return main(["retrain", "--model", "NHITS_Q", "--dataset", str(dataset), "--test", *folders, *options])

    @property
    def in_use(self) -> int:
        return int(json.loads(self.models.current.read_text(encoding="utf-8"))["version"])

    def facts(self, version: int) -> dict:
        return json.loads(self.models.facts(version).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def place(tiny_toml: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("retrain"), tiny_toml)


def test_when_the_seed_or_the_data_differs_then_it_is_another_version(tiny_toml, tmp_path, monkeypatch, capsys) -> None:
    """With a family that needs no training. The dates of the second version lie in the days that the first one saw."""
    family, place = FakeFamily(), Place(tmp_path, tiny_toml)
    family.name, place.defaults = "NHITS_Q", DEFAULTS
    monkeypatch.setattr("hpo_lib.benchmark.retrain.get_family", lambda name: family)
    place.study("2025-01-01", "stopped")
    assert place.retrain(place.new) == 2
    assert "its study is stopped, expected a complete one" in capsys.readouterr().err
    place.study("2024-01-01")
    later = tiny_toml("later", "2019-05-24 23:00", "2019-06-02 23:00")
    for dataset, seed in ((place.new, "1"), (place.new, "2"), (place.new, "2"), (later, "2")):
        assert place.retrain(dataset, "--seed", seed, "--replace") == 0
    assert [place.facts(version)["key"]["seed"] for version in place.models.versions()] == family.seeds == [1, 2, 2]
    cards = [place.models.card(version).read_text(encoding="utf-8") for version in (1, 2, 3)]
    assert ["chose its weights on days up to 2019-05-24" in card for card in cards] == [False, True, False]


@pytest.mark.slow
def test_when_data_moves_on_then_a_better_model_is_put_in_use_and_a_worse_one_only_when_asked(place, capsys) -> None:
    # One long story, since each chapter needs the models of the one before.
    assert place.retrain(place.old) == 2
    assert "holds no usable study of NHITS_Q on tiny; make one with `hpo run`" in capsys.readouterr().err

    # The first model: parameters of the newest study, though its data was other data.
    place.study("2025-01-01", lr=1e-5)
    place.study("2025-02-01", lr=1e-5, dropout=0.2)
    assert place.retrain(place.old) == 0
    assert place.in_use == 1
    assert place.facts(1)["key"]["params"]["dropout"] == 0.2
    assert place.facts(1)["comparison"] is None

    # Newer data and a far better learning rate: compared over the same days, and put in use.
    good = place.study("2025-03-01", lr=1e-3)
    assert place.retrain(place.new, "--params", str(good)) == 0
    assert place.in_use == 2
    verdict = place.facts(2)["comparison"]
    assert verdict["pinball"] < verdict["pinball_before"]
    assert verdict["days"] == len(load_predictions(place.models.validation(2)).origins) == 15
    card = place.models.card(2).read_text(encoding="utf-8")
    assert "| validation, v001 before it | 15 |" in card
    assert "Compared with the version before: pinball loss" in card

    # A worse one is trained and kept, but not put in use.
    bad = place.study("2025-04-01", lr=1e-5)
    capsys.readouterr()
    assert place.retrain(place.new, "--params", str(bad)) == 1
    error = capsys.readouterr().err
    assert "is worse than v002 (pinball loss" in error
    assert "give --replace to put the new one in use anyway" in error
    assert place.in_use == 2
    assert place.models.versions() == [1, 2, 3]

    # When asked, it is: without another training.
    written = place.models.weights(3).stat().st_mtime_ns
    assert place.retrain(place.new, "--params", str(bad), "--replace") == 0
    assert place.in_use == 3
    assert place.models.weights(3).stat().st_mtime_ns == written
    assert json.loads(place.models.current.read_text(encoding="utf-8"))["before"] == 2

    # Nothing new: nothing happens, with the parameters of the version in use.
    before = place.models.current.read_bytes()
    assert place.retrain(place.new) == 0
    assert "was already trained in this way" in capsys.readouterr().out
    assert place.models.current.read_bytes() == before

    # Files that cannot be read are named, with what to do.
    place.models.weights(3).write_bytes(b"no pickle")
    assert place.retrain(place.old, "--params", str(good)) == 2
    assert "model.pickle: cannot be read" in capsys.readouterr().err
    place.models.current.write_text("{}", encoding="utf-8")
    assert place.retrain(place.new) == 2
    assert "current.json: does not name a version" in capsys.readouterr().err
