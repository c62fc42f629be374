"""Records of this and earlier versions open for ever: study, executed notebook, benchmark, model in
use.

`tests/data_of_versions/make.py` makes them once per version.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.benchmark.tables import load_rows
from hpo_lib.daily.versions import in_use
from hpo_lib.launch.status import study_status
from hpo_lib.paths import ModelPaths, benchmarks
from hpo_lib.records.read_write import read_record
from hpo_lib.records.study import StoredStudy, study_runs
from hpo_lib.records.trainings import MODEL_VERSION
from hpo_lib.records.verify import verify
from tests.conftest import hpo
from tests.daily.conftest import Utility, quantiles
from tests.data_of_versions.make import DATASET, FAMILY

HERE = Path(__file__).resolve().parent / "data_of_versions"
VERSIONS = sorted(folder.name for folder in HERE.iterdir() if (folder / "papermill_runs").is_dir())


@pytest.fixture(params=VERSIONS)
def kept(request, tmp_path):
    """A copy of the records of a version."""
    return shutil.copytree(HERE / request.param, tmp_path / "kept")


@pytest.fixture
def utility(tmp_path, tiny_dataset):
    """The data that they were made of."""
    return Utility(tmp_path, tiny_dataset.target)


@pytest.fixture
def run(kept):
    (found,) = study_runs(kept / "papermill_runs")
    return found


def test_when_a_study_was_kept_then_its_trials_forecasts_and_state_are_read(run):
    study = StoredStudy.read(run)
    assert study.has_storage
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    assert study.chosen.params == study.result["best_params"]
    assert {len(study.predictions(trial.number).origins) for trial in study.complete} == {15}
    assert (study_status(run, []).state, study_status(run, []).describe()) == (
        "done",
        "done 3 of 3",
    )
    assert set(study.chosen.params) <= set(study.search_space)
    record = read_record(run.notebook)
    assert (record.complete, record.error) == (True, "")


def test_when_a_study_was_kept_then_every_figure_of_it_is_computed_again(run, utility):
    told = verify(run.best_params, utility.folder, str(utility.toml))
    assert told.told == []
    assert told.n_figures > 100


def test_when_records_were_kept_then_the_reports_show_them(kept, run):
    for command in ("status", "analyze"):
        assert DATASET in hpo(command, "--runs-dir", run.runs_dir).out


def test_when_a_benchmark_was_kept_then_its_rows_are_read(kept, utility):
    (own,) = benchmarks(kept / "benchmark_results")
    rows = {row.model: row for row in load_rows(own)}
    assert len(rows[FAMILY].test.origins) == len(utility.dataset().test_origins)


def test_when_a_model_was_in_use_then_it_forecasts_as_it_did_or_says_to_train_it_again(
    kept, utility
):
    utility.models = ModelPaths(kept / "models", FAMILY, DATASET)
    version = in_use(utility.models)
    assert utility.run("watch", code=None).code in (0, 1)
    if version.facts["key"]["version"] != MODEL_VERSION:
        said = utility.run("forecast --out", utility.folder / "out.csv", code=2)
        assert "train it again with `hpo retrain`" in said.err
        return
    before = pd.read_csv(kept / "forecast.csv")
    np.testing.assert_allclose(quantiles(utility.forecast()), quantiles(before), rtol=1e-4)


@pytest.mark.parametrize("version", VERSIONS)
def test_when_records_are_kept_then_they_are_small_and_name_no_machine(version):
    files = [file for file in (HERE / version).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 300_000
    assert not [
        file.name
        for file in files
        if b"/tmp/" in file.read_bytes() or b"/home/" in file.read_bytes()
    ]
