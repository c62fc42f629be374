"""The records that come with the project: real, complete, of the present code, the source of every
tracked figure.
"""

import dataclasses
import hashlib
import json
import re

import pytest

from hpo_lib import paths
from hpo_lib.data.spec import development_datasets, load_spec
from hpo_lib.families.models import RECIPES, family_names, get_family
from hpo_lib.figures.build import PICTURES
from hpo_lib.figures.tables import TABLES
from hpo_lib.paths import RunPaths, benchmarks
from hpo_lib.records.read_write import read_record
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import MODEL_VERSION, read_training
from measurements import accuracy_tables

MAX_MB = 30
STUDIES = [
    RunPaths(paths.RUNS_DIR, model, dataset, "published")
    for dataset in development_datasets()
    for model in family_names()
]
SIDECARS = sorted(
    file
    for folder in (paths.FIGURES_DIR, paths.TABLES_DIR, paths.CARDS_DIR)
    for file in folder.glob("*.json")
)


def without_thermal(recipe):
    """No published study shows the weather of the day ahead, so this changes nothing."""
    return {key: value for key, value in recipe.items() if key != "thermal"}


@pytest.mark.parametrize("run", STUDIES, ids=lambda run: run.folder.name)
def test_when_a_study_is_published_then_it_is_real_complete_and_of_the_present_code(run):
    study = StoredStudy.of_file(run.best_params)
    family = get_family(run.model)
    made = study.provenance
    assert study.result["status"] == "complete"
    assert study.source == "csv"
    assert study.data["path"].startswith("data/")
    assert study.unit == load_spec(run.dataset).unit
    assert made["preset"] == "laptop"
    assert made["budget"] == dataclasses.asdict(family.budgets["laptop"])
    assert without_thermal(made["recipe"]) == without_thermal(RECIPES["standard"].stored())
    assert made["family_version"] == MODEL_VERSION
    assert family.defaults.items() <= study.default.params.items()
    assert study.has_storage
    assert all(run.trial_predictions(trial.number).is_file() for trial in study.complete)
    assert read_record(run.notebook).complete


@pytest.mark.parametrize("dataset", development_datasets())
def test_when_a_benchmark_is_published_then_tuned_untuned_and_baselines_are_of_the_present_code(
    dataset,
):
    (place,) = [place for place in benchmarks(paths.BENCHMARK_DIR) if place.dataset == dataset]
    assert read_record(place.folder.parent / "benchmark.ipynb").complete
    rows = set()
    for file in place.records():
        training = read_training(file)
        key = training["key"]
        model = training["model"]
        assert training["provenance"]["data"]["source"] == "csv"
        assert key["version"] == MODEL_VERSION
        if model in family_names():
            family = get_family(model)
            assert key["budget"] == dataclasses.asdict(family.budgets["laptop"])
            if training["params"] == "default":
                assert key["recipe"] == without_thermal(RECIPES["standard"].stored())
                assert key["params"] == dict(family.defaults)
        rows.add((model, training["params"]))
    assert rows >= {(model, params) for model in family_names() for params in ("default", "best")}
    assert {"NAIVE_24H", "NAIVE_168H", "LINEAR_Q", "LIGHTGBM_Q"} <= {model for model, _ in rows}


def test_when_records_are_published_then_they_are_small_and_name_no_machine():
    files = [file for run in STUDIES for file in run.folder.rglob("*published*") if file.is_file()]
    files += [file for run in STUDIES for file in run.predictions.rglob("*")]
    files += [
        file
        for name in development_datasets()
        for file in (paths.BENCHMARK_DIR / name).rglob("*.*")
    ]
    assert (
        sum(file.stat().st_size for file in {file for file in files if file.is_file()})
        < MAX_MB * 1e6
    )
    for file in files:
        if file.suffix in (".json", ".ipynb"):
            found = re.findall(
                r"(?:/home|/root|/tmp|/work|/Users)/[\w./-]+", file.read_text(encoding="utf-8")
            )
            assert found == [], file


def test_when_figures_are_in_the_repository_then_none_is_missing():
    assert {file.stem for file in SIDECARS} >= {*PICTURES, *TABLES}
    assert {file.stem for file in SIDECARS if file.parent == paths.CARDS_DIR} == {
        run.folder.name for run in STUDIES
    }


@pytest.mark.parametrize("sidecar", SIDECARS, ids=lambda file: file.stem)
def test_when_a_figure_is_in_the_repository_then_it_was_made_from_the_published_records(sidecar):
    content = json.loads(sidecar.read_bytes())
    assert content["marked"] == ""
    assert all((sidecar.parent / name).is_file() for name in content["files"])
    assert content["records"]
    for name, sha256 in content["records"].items():
        assert "published" in name or name.startswith(paths.BENCHMARK_DIR.name)
        assert hashlib.sha256((paths.PROJECT_ROOT / name).read_bytes()).hexdigest() == sha256, name


def test_when_the_page_on_accuracy_shows_tables_then_they_are_those_of_the_published_benchmarks():
    page = accuracy_tables.PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- table of ") == len(development_datasets())
    assert accuracy_tables.with_tables(page) == page
