import dataclasses

import numpy as np
import pytest

from hpo_lib.data.splits import HORIZON
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import SEASONAL_LAGS, evaluate, seasonal_naive, validation_baselines


def with_target(dataset, target):
    return dataclasses.replace(dataset, frame=dataset.frame.assign(water_consumption=target))


def hours(dataset):
    return np.arange(float(len(dataset.frame)))


@pytest.mark.parametrize("lag", SEASONAL_LAGS)
def test_when_the_target_repeats_itself_then_the_value_a_period_ago_has_no_error_and_no_width(
    tiny_dataset, lag
):
    dataset = with_target(tiny_dataset, 5 + hours(tiny_dataset) % lag)
    f = seasonal_naive(dataset, dataset.validation_origins, lag)
    assert metrics.mae(f) == metrics.mean_width(f) == 0
    assert metrics.picp(f) == 100


@pytest.mark.parametrize("lag", SEASONAL_LAGS)
def test_when_the_target_rises_by_one_an_hour_then_the_forecast_is_a_lag_too_low(tiny_dataset, lag):
    dataset = with_target(tiny_dataset, hours(tiny_dataset))
    origins = np.array([1700, 1724])
    f = seasonal_naive(dataset, origins, lag)
    assert (f.actual == origins[:, None] + np.arange(1, 25)).all()
    assert (f.median == f.actual - lag).all()
    # All errors in training equal the lag, so the upper level is exactly right and the lower one is
    # the median.
    assert (f.upper == f.actual).all()
    assert (f.lower == f.median).all()


def test_when_errors_of_training_are_known_then_the_interval_is_their_quantiles(tiny_dataset):
    # In training each day has one level, which alternates from 5 to 7 to 5: errors are +2 and -2,
    # half of each. The forecast of hour h is the value of hour h a day ago, so the interval reaches
    # 2 to either side.
    dataset = with_target(tiny_dataset, 5 + 2 * (hours(tiny_dataset) // 24 % 2))
    f = seasonal_naive(dataset, dataset.validation_origins, 24)
    assert np.unique(f.median - f.lower).tolist() == np.unique(f.upper - f.median).tolist() == [2]
    assert metrics.mae(f) == 2


@pytest.mark.parametrize("lag", SEASONAL_LAGS)
def test_when_everything_after_an_origin_changes_then_its_forecast_does_not(tiny_dataset, lag):
    origin = int(tiny_dataset.validation_origins[3])
    altered = tiny_dataset.target.to_numpy().copy()
    altered[origin + 1 :] = 1e6
    before = seasonal_naive(tiny_dataset, np.array([origin]), lag)
    after = seasonal_naive(with_target(tiny_dataset, altered), np.array([origin]), lag)
    assert (before.values == after.values).all()
    assert (after.actual == 1e6).all()
    assert list(after.origins) == [tiny_dataset.index[origin]]


def test_when_validation_changes_then_the_width_of_the_interval_does_not(tiny_dataset):
    altered = tiny_dataset.target.to_numpy().copy()
    altered[tiny_dataset.positions.val] *= 50
    origins = tiny_dataset.validation_origins
    before = seasonal_naive(tiny_dataset, origins, 24)
    after = seasonal_naive(with_target(tiny_dataset, altered), origins, 24)
    assert after.upper - after.lower == pytest.approx(before.upper - before.lower)


# Evaluation


def test_when_baselines_are_scored_then_both_have_every_score_over_every_validation_origin(
    tiny_dataset,
):
    scores = validation_baselines(tiny_dataset)
    assert list(scores) == ["naive_24h", "naive_168h"]
    direct = seasonal_naive(tiny_dataset, tiny_dataset.validation_origins, 168)
    assert scores["naive_168h"] == evaluate(direct, tiny_dataset.scales)
    assert set(scores["naive_24h"]) == {
        *metrics.METRICS,
        "mase",
        "winkler_calibrated",
        "picp_calibrated",
    }


def test_when_mase_is_scaled_then_only_the_training_split_sets_the_scale(tiny_dataset):
    f = seasonal_naive(tiny_dataset, tiny_dataset.validation_origins, 24)
    train = tiny_dataset.target.to_numpy()[:1680]
    assert evaluate(f, tiny_dataset.scales)["mase"] == pytest.approx(
        metrics.mae(f) / np.abs(train[24:] - train[:-24]).mean()
    )


@pytest.mark.parametrize("lag", [0, 1, HORIZON - 1])
def test_when_the_lag_is_shorter_than_the_horizon_then_it_is_refused(tiny_dataset, lag):
    with pytest.raises(
        ValueError, match=rf"^lag is {lag}, expected at least the horizon of 24 hours$"
    ):
        seasonal_naive(tiny_dataset, tiny_dataset.validation_origins, lag)
