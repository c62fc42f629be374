"""Each family on the real heat series and on a real water series, from the raw files to the record."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import family_names
from hpo_lib.paths import RunPaths
from hpo_lib.records.files import load_predictions
from hpo_lib.records.result import load_result

pytestmark = pytest.mark.slow

RAW = {"heat": "nordbyen", "water_centrum": "centrum"}
ORIGINS = {"heat": 365, "water_centrum": 122}
"""Days of the validation split: the year 2018, and September to December 2019."""


def hpo(root, *arguments):
    command = [sys.executable, "-m", "hpo_lib", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.fixture(scope="module")
def raw(root):
    folder = root.parent / "shared" / "data" / "raw"
    if not folder.is_dir():
        pytest.skip("the real series are not here: no ../shared/data/raw beside the repository")
    return folder


@pytest.fixture(scope="module", params=RAW)
def prepared(request, root, raw, tmp_path_factory):
    """The engineered CSV that `hpo prepare` makes of a raw one, in a data folder of its own."""
    toml = root / "datasets" / "development" / f"{request.param}.toml"
    spec = load_spec(toml)
    data_dir = tmp_path_factory.mktemp("data")
    made = hpo(
        root,
        "prepare",
        "--dataset",
        str(toml),
        "--raw",
        str(raw / f"{RAW[request.param]}_CombinedDataframe_SummedAveraged_withoutOutliers.csv"),
        "--school-holidays",
        str(raw / "school_holidays.csv"),
        "--out",
        str(data_dir / spec.csv),
    )
    assert made.returncode == 0, made.stderr
    return load_dataset(replace(spec, twin=None), data_dir)


@pytest.mark.parametrize("model", family_names())
def test_when_a_study_runs_on_real_data_then_it_scores_every_day_of_validation_with_sane_numbers(
    model, prepared, root, tmp_path
):
    spec = prepared.spec
    csv = Path(prepared.path)
    data_dir = csv.parents[len(Path(spec.csv).parts) - 1]
    run = hpo(
        root,
        "run",
        "--model",
        model,
        "--dataset",
        str(spec.path),
        "--test",
        "--trials",
        "1",
        "--job-id",
        "real",
        "--data-dir",
        str(data_dir),
        "--runs-dir",
        str(tmp_path),
    )
    assert run.returncode == 0, run.stderr
    assert "SIMULATED" not in run.stdout

    files = RunPaths(tmp_path, model, spec.name, "real")
    record = load_result(files.best_params)
    data = record["provenance"]["data"]
    assert data["source"] == "csv"
    assert data["sha256"] == prepared.sha256
    assert data["path"] == prepared.path
    assert data["unit"] == spec.unit
    assert record["n_completed"] == 1

    n_origins = ORIGINS[spec.path.stem]
    forecasts = load_predictions(files.trial_predictions(0))
    assert forecasts.values.shape == (n_origins, 24, 3)
    hours = prepared.index[prepared.positions.val]
    assert forecasts.origins[0] + np.timedelta64(1, "h") == hours[0]
    assert np.array_equal(forecasts.actual.ravel(), prepared.target.loc[hours].to_numpy())

    scores = {key: value for key, value in record["validation_metrics"].items() if key != "by_step"}
    assert np.isfinite(list(scores.values())).all()
    # After a handful of steps a forecast is poor, yet it must beat the spread of the whole series.
    assert scores["mae"] < prepared.target.std()
    assert 0 <= scores["picp"] <= 100
    assert np.isfinite(record["validation_metrics"]["by_step"]["mae"]).all()
