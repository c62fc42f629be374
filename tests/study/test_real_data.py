"""Each family on a real heat and a real water series, from the raw files to the record."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import family_names
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import load_predictions
from hpo_lib.records.result import load_result
from tests.study.processes import python

pytestmark = pytest.mark.slow

RAW = {"heat": "nordbyen", "water_centrum": "centrum"}
ORIGINS = {"heat": 365, "water_centrum": 122}
"""Days of the validation split: the year 2018, and September to December 2019."""


def hpo(root, command, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    ended = python(root, "-m", "hpo_lib", command, *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


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
    file = f"{RAW[request.param]}_CombinedDataframe_SummedAveraged_withoutOutliers.csv"
    options = {"raw": raw / file, "school-holidays": raw / "school_holidays.csv"}
    hpo(root, "prepare", dataset=toml, out=data_dir / spec.csv, **options)
    return load_dataset(replace(spec, twin=None), data_dir)


@pytest.mark.parametrize("model", family_names())
def test_when_a_study_runs_on_real_data_then_it_scores_every_day_of_validation_with_sane_numbers(
    model, prepared, root, tmp_path
):
    spec = prepared.spec
    csv = Path(prepared.path)
    data_dir = csv.parents[len(Path(spec.csv).parts) - 1]
    folders = {"data-dir": data_dir, "runs-dir": tmp_path}
    options = {"preset": "test", "trials": 1, "job-id": "real", **folders}
    assert "SIMULATED" not in hpo(root, "run", model=model, dataset=spec.path, **options)

    files = RunPaths(tmp_path, model, spec.name, "real")
    record = load_result(files.best_params)
    data = record["provenance"]["data"]
    expected = {
        "source": "csv",
        "sha256": prepared.sha256,
        "path": prepared.path,
        "unit": spec.unit,
    }
    assert expected.items() <= data.items()
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
