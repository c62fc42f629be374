"""What every baseline promises: the information set of the families, and choices made on validation
alone.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import training_origins
from hpo_lib.families import linear_baseline
from hpo_lib.families.feature_table import make_feature_table
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import seasonal_naive
from tests.contract.conftest import KNOWN, ORIGIN, disturbed, forecast


@pytest.fixture(scope="module", params=baselines())
def baseline(request):
    return baselines()[request.param]


@pytest.mark.slow
def test_when_a_baseline_is_trained_in_full_then_it_beats_the_naive_forecast(
    baseline, tiny_dataset
):
    forecaster = baseline.fit(tiny_dataset, seed=1)
    naive = seasonal_naive(tiny_dataset, tiny_dataset.validation_origins, 168)
    assert metrics.mae(forecaster.validation) < 0.8 * metrics.mae(naive)
    assert metrics.pinball(forecaster.validation) < 0.8 * metrics.pinball(naive)
    assert 50 < metrics.picp(forecaster.validation) < 98


@pytest.mark.parametrize("with_two_years", [True, False])
def test_when_training_covers_no_two_years_then_the_time_of_year_does_not_count(
    with_two_years, baseline, quickly_fitted, tiny_dataset, monkeypatch
):
    """Of 1680 hours to train on; with validation 2040, which may not change the columns that
    validation judged.
    """
    monkeypatch.setattr(linear_baseline, "HOURS_OF_A_YEAR", 700 if with_two_years else 900)
    like = None if with_two_years else quickly_fitted(baseline.name)
    fitted = baseline.fit(tiny_dataset, seed=1, quick=True, like=like)
    later = tiny_dataset.frame.set_index(tiny_dataset.index + pd.Timedelta(days=140))
    moved = forecast(fitted, later, ORIGIN) != forecast(fitted, tiny_dataset.frame, ORIGIN)
    assert moved.any() == with_two_years


def test_when_the_first_training_days_change_then_a_quick_training_changes_too(
    baseline, quickly_fitted, tiny_dataset
):
    """It learns from days of the whole split, as families do; beside them, the last days alone
    would look too bad.
    """
    frame = disturbed(tiny_dataset.frame, KNOWN, slice(0, 48))
    again = baseline.fit(replace(tiny_dataset, frame=frame), seed=1, quick=True)
    assert (again.validation.values != quickly_fitted(baseline.name).validation.values).any()


# The feature table


def test_when_a_window_is_described_then_its_numbers_are_those_worked_by_hand(tiny_dataset):
    """The target counts hours from 1000: the level of origin 1999 is the mean of 2976 ... 2999."""
    frame = tiny_dataset.frame.assign(water_consumption=1000.0 + np.arange(len(tiny_dataset.frame)))
    table = make_feature_table(tiny_dataset, Windows(frame, np.array([1999, 400])), weeks=3)
    level = 2987.5
    assert table.level.tolist() == [level, 1388.5]

    def feature(name, origin=0):
        return (table.features[origin, :, table.names.index(name)] + 1) * table.level[origin]

    ahead = np.arange(1.0, 25)
    assert (table.target[0] + 1) * level == pytest.approx(2999 + ahead)
    for days in (*range(1, 8), 14, 21):
        assert feature(f"same_hour_{days}d") == pytest.approx(2999 + ahead - 24 * days)
    for weeks_before, name in enumerate(("week_mean", "week_mean_2", "week_mean_3")):
        assert feature(name) == pytest.approx(2999 - 83.5 - 168 * weeks_before)
    # A third week before the first hour counts as the second.
    assert np.array_equal(feature("same_hour_14d", 1), feature("same_hour_21d", 1))
    assert feature("same_hour_mean") == pytest.approx(2999 + ahead - 24 * 4)
    assert feature("hour_before_1d") == pytest.approx(2999 + ahead - 25)
    assert feature("hour_after_1d") == pytest.approx(np.minimum(2999 + ahead - 23, 2999))
    assert feature("last_0") == pytest.approx(2999)
    assert feature("last_12") == pytest.approx(2987)
    assert feature("day_mean_0") == pytest.approx(level)
    assert feature("day_mean_6") == pytest.approx(level - 144)
    assert feature("mean_3h") == pytest.approx(2998)
    assert table.features[0, :, table.names.index("log_level")] == pytest.approx(np.log(level))


@pytest.mark.parametrize("before, floor", [(200.0, 2), (-200.0, 200)])
def test_when_the_last_day_is_near_zero_then_one_percent_of_the_mean_size_is_the_level(
    before, floor, tiny_dataset
):
    target = np.where(np.arange(len(tiny_dataset.frame)) < 970, before, 0.0)
    target[1000:1680] = 200.0  # the mean size of the training split is about 200
    dataset = replace(tiny_dataset, frame=tiny_dataset.frame.assign(water_consumption=target))
    levels = [
        make_feature_table(dataset, dataset.windows(np.array([999])), given).level[0]
        for given in (None, 7.0)
    ]
    assert levels == pytest.approx([floor * 1650 / 1680, 7])


def test_when_the_forecast_day_is_a_day_off_then_days_alike_are_the_last_weekend(tiny_dataset):
    origin = int(
        tiny_dataset.index.get_loc(pd.Timestamp("2019-04-12 23:00Z"))
    )  # a Friday: Saturday is forecast
    frame = tiny_dataset.frame.assign(
        water_consumption=100.0 + 10 * tiny_dataset.frame["is_weekend"]
    )
    table = make_feature_table(tiny_dataset, Windows(frame, np.array([origin])))

    def feature(name):
        return (table.features[0, :, table.names.index(name)] + 1) * table.level[0]

    assert feature("same_hour_alike") == pytest.approx(110)
    assert feature("same_hour_latest_alike") == pytest.approx(110)
    assert feature("same_hour_1d") == pytest.approx(100)
    assert feature("same_hour_mean") == pytest.approx((2 * 110 + 5 * 100) / 7)


# The linear baseline alone


def test_when_the_linear_baseline_stands_alone_then_its_levels_are_of_out_of_fold_residuals(
    tiny_dataset, quickly_fitted
):
    fitted = quickly_fitted("RESIDUAL_LINEAR")
    fitted = baselines()["RESIDUAL_LINEAR"].fit(tiny_dataset, like=fitted)
    learnt = tiny_dataset.trained_through_validation()
    origins = training_origins(learnt.positions.train, near_hours=1)
    linear = LinearBaseline.fit(learnt, origins, LinearOptions(False))
    table = make_feature_table(learnt, learnt.windows(origins), seasons=False)
    residuals = table.target - linear.relative_out_of_fold(table)
    test = tiny_dataset.test_origins
    frame = tiny_dataset.frame
    expected = linear.quantiles(learnt, Windows(frame, test))[:, :, 1]
    level = frame["water_consumption"].rolling(24).mean().to_numpy()[test]
    found = fitted.forecasts(tiny_dataset, test)
    assert found.median == pytest.approx(expected, rel=1e-12)
    for step in (0, 13, 23):
        low, middle, high = np.quantile(residuals[:, step], [0.1, 0.5, 0.9])
        assert found.lower[:, step] == pytest.approx(expected[:, step] + (low - middle) * level)
        assert found.upper[:, step] == pytest.approx(expected[:, step] + (high - middle) * level)
