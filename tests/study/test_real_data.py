"""A real heat and a real water series, and each family on one, from the raw files to the record."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import family_names
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import load_predictions
from hpo_lib.records.result import load_result
from hpo_lib.settings import Settings
from hpo_lib.study.run import run_study
from tests.conftest import hpo

pytestmark = pytest.mark.slow

RAW = {"heat": "nordbyen", "water_centrum": "centrum"}
ORIGINS = {"heat": 365, "water_centrum": 122}
"""Days of the validation split: the year 2018, and September to December 2019."""


@pytest.mark.parametrize("model, series", zip(family_names(), cycle(RAW), strict=False))
def test_when_a_study_runs_on_real_data_then_it_scores_every_day_of_validation_with_sane_numbers(
    model, series, root, tmp_path, capsys
):
    raw = root.parent / "shared/data/raw"
    if not raw.is_dir():
        pytest.skip("the real series are not here: no ../shared/data/raw beside the repository")
    spec = load_spec(root / f"datasets/development/{series}.toml")
    file = f"{RAW[series]}_CombinedDataframe_SummedAveraged_withoutOutliers.csv"
    holidays = f"--school-holidays {raw / 'school_holidays.csv'}"
    hpo(f"prepare --dataset {spec.path} --raw {raw / file} --out {tmp_path / spec.csv} {holidays}")
    prepared = load_dataset(replace(spec, twin=None), tmp_path)
    folders = {"data_dir": str(tmp_path), "runs_dir": str(tmp_path)}
    given = {"preset": "test", "trials": 1, "job_id": "real", **folders}
    run_study(Settings.create(model, str(spec.path), **given), progress=False)
    assert "SIMULATED" not in capsys.readouterr().out

    files = RunPaths(tmp_path, model, spec.name, "real")
    record = load_result(files.best_params)
    assert record["provenance"]["data"]["sha256"] == prepared.sha256
    assert record["n_completed"] == 1

    n_origins = ORIGINS[spec.path.stem]
    forecasts = load_predictions(files.trial_predictions(0))
    assert forecasts.values.shape == (n_origins, 24, 3)
    hours = prepared.index[prepared.positions.val]
    assert forecasts.origins[0] + np.timedelta64(1, "h") == hours[0]
    assert np.array_equal(forecasts.actual.ravel(), prepared.target.loc[hours].to_numpy())

    scores = record["validation_metrics"]
    # After a handful of steps a forecast is poor, yet it must beat the spread of the whole series.
    assert scores["mae"] < prepared.target.std()
    assert 0 <= scores["picp"] <= 100
