"""Calibration against series whose truth is known."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_lib.data.scales import Scales
from hpo_lib.errors import InputError
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import MODES, ROLLING_DAYS, calibrate, conformal_quantile
from hpo_lib.scoring.forecasts import QuantileForecasts
from tests.conftest import made_forecasts

START = pd.Timestamp("2019-01-01 23:00Z")
H = 24


def forecasts(error, half_width, median=100.0, first=0):
    """N days of median plus and minus half_width, of which the actual is the median plus ``error``
    [N, H].
    """
    return made_forecasts(median + error, half_width, median, "2019-01-01 23:00", first)


def flat_target(days, value=100.0):
    index = pd.date_range(START - pd.Timedelta(hours=23), periods=(days + 1) * H, freq="h")
    return pd.Series(value, index=index)


def scales(target):
    return Scales.of(target, target.to_numpy())


def calibrated_by(test, warm_up, target, mode="rolling", days=ROLLING_DAYS):
    with patch("hpo_lib.scoring.calibration.ROLLING_DAYS", days):
        return calibrate(test, warm_up, scales(target), mode)


def normal(n, seed, sd=1.0):
    return np.random.default_rng(seed).standard_normal((n, H)) * sd


def split_in_two(f, at):
    return f.rows(slice(at)), f.rows(slice(at, None))


# The conformal quantile


@pytest.mark.parametrize(
    "weights, expected",
    [
        ([1.0] * 9, 8),  # ceil(10 * 0.8)
        ([1.0] * 10, 9),  # ceil(11 * 0.8)
        ([1.0] * 2, 2),  # ceil(3 * 0.8) = 3 of 2: the largest
        # Half weights below: 4 * 0.5 + 5 = 7, and 1 for the next score; 0.8 * 8 = 6.4 is passed at
        # 2 + 5 = 7.
        ([0.5] * 4 + [1.0] * 5, 9),
        # Half weights above: the same 6.4 of 5 + 4 * 0.5 is passed at 5 + 3 * 0.5 = 6.5.
        ([1.0] * 5 + [0.5] * 4, 8),
        # One score counts for all: 0.8 * (1 + 8 * 0.01 + 1) = 1.664 is more than there is.
        ([1.0] + [0.01] * 8, 9),
    ],
)
def test_when_scores_are_counted_or_weighted_then_the_one_that_covers_eighty_percent_is_taken(
    weights, expected
):
    assert conformal_quantile(np.arange(1.0, len(weights) + 1), np.array(weights)) == expected


# Coverage where the truth is known


@pytest.mark.parametrize("half_width", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("mode", ["split", "rolling"])
def test_when_scores_are_exchangeable_then_coverage_is_eighty_percent_within_binomial_error(
    mode, half_width
):
    """Independent normal errors, intervals far too narrow or too wide: 4 800 test hours, 30 days of
    scores at least.
    """
    warm_up, test = split_in_two(forecasts(normal(500, seed=1), half_width), 300)
    calibrated = calibrated_by(test, warm_up, flat_target(501), mode, days=120)
    inside = int(metrics.covered(calibrated).sum())
    # The margin comes from at least 120 * 24 scores, whose own coverage error is that of their
    # binomial.
    assert abs(inside / 4800 - 0.8) < 3 * np.sqrt(0.8 * 0.2 * (1 / 4800 + 1 / 2880))
    assert abs(metrics.picp(test) - 80) > 5


def test_when_the_series_drifts_then_the_split_mode_fails_and_the_rolling_one_does_not():
    n = 600
    spread = np.exp(np.linspace(0, 1.5, n))[
        :, None
    ]  # errors become 4.5 times as large, the intervals do not
    warm_up, test = split_in_two(forecasts(normal(n, seed=3, sd=spread), 1.2816), 200)
    target = flat_target(n + 1)
    assert metrics.picp(calibrated_by(test, warm_up, target, "split")) < 65
    rolling = calibrated_by(test, warm_up, target, days=30)
    assert metrics.picp(rolling) == pytest.approx(80, abs=2)
    assert metrics.winkler(rolling) < metrics.winkler(test)


def test_when_the_level_changes_then_scores_divided_by_it_keep_the_coverage_of_the_split_mode():
    """Ten times the demand, ten times the error and ten times the interval: one share of the level
    fits both.
    """
    scale = np.where(np.arange(400) < 200, 1.0, 10.0)[:, None]
    f = forecasts(normal(400, seed=4) * scale, 0.5 * scale, 100 * scale)
    warm_up, test = split_in_two(f, 200)
    index = flat_target(401).index
    target = pd.Series(np.where(np.arange(len(index)) < 200 * H, 100.0, 1000.0), index=index)
    assert metrics.picp(calibrated_by(test, warm_up, target, "split")) == pytest.approx(80, abs=2)
    assert metrics.picp(calibrated_by(test, warm_up, flat_target(401), "split")) < 50


# What is known when


def test_when_later_actuals_change_then_the_rolling_interval_is_the_same_bit_for_bit():
    warm_up, test = split_in_two(forecasts(normal(90, seed=5), 0.7), 40)
    target = flat_target(91) + np.random.default_rng(6).random(92 * H)
    before = calibrated_by(test, warm_up, target, days=20)
    for day in (0, 1, 25, 49):
        origin = test.origins[day]
        actual = test.actual.copy()
        actual[day:] += 1000  # the day that begins at this origin is not known there
        altered = QuantileForecasts(test.values, actual, test.origins)
        after = calibrated_by(altered, warm_up, target.where(target.index <= origin, 1e6), days=20)
        assert (after.values[: day + 1] == before.values[: day + 1]).all()
        if day < 49:
            assert (after.values[day + 1] != before.values[day + 1]).any()


@pytest.mark.parametrize("side", [1, -1])
def test_when_one_day_is_over_then_its_scores_move_the_very_next_interval(side):
    """By hand: a window of 1 day, intervals from 2 on one side to 6 on the other one.

    Day 0 misses by 3 on all hours, so day 1 is 3 wider to each side; day 1 is 2 inside the nearer
    bound, so day 2 moves in by 2, and day 2 by 3, of which the median stops the nearer one.
    """
    given = forecasts(side * np.array([[5.0] * H, [0.0] * H, [-1.0] * H, [0.0] * H]), 2.0)
    near, far = (-1, 0) if side == 1 else (0, -1)
    given.values[:, :, far] -= 4 * side
    f = calibrated_by(given, None, flat_target(5), days=1)
    assert np.unique(side * (f.values[:, :, [near, far]] - 100), axis=1)[:, 0] == pytest.approx(
        np.array([[2, -6], [5, -9], [0, -4], [0, -3]])  # nothing is known on the first day
    )
    assert (f.median == 100).all()


def test_when_a_window_is_given_then_days_before_it_do_not_count():
    error = normal(60, seed=8)
    loud = error.copy()
    loud[:20] *= 100
    target = flat_target(61)
    quiet = calibrated_by(forecasts(error, 1.0), None, target, days=30)
    noisy = calibrated_by(forecasts(loud, 1.0), None, target, days=30)
    assert (noisy.values[50:] == quiet.values[50:]).all()
    assert (noisy.values[49] != quiet.values[49]).any()
    later = forecasts(
        error[:1], 1.0, first=31
    )  # begins 30 days after the last hour of the only day before it
    assert (
        calibrated_by(later, forecasts(loud[:1], 1.0), target, days=30).values == later.values
    ).all()


def test_when_validation_is_given_then_the_first_test_days_live_on_it():
    warm_up, test = split_in_two(forecasts(normal(40, seed=9), 0.2), 35)
    calibrated = calibrated_by(test, warm_up, flat_target(41), days=30)
    level = 100
    scores = (np.abs(warm_up.actual - 100) - 0.2)[-30:] / 100
    # The newest day weighs 1, the oldest 1/30.
    margin = conformal_quantile(scores.ravel(), np.repeat(np.arange(1, 31) / 30, H))
    assert calibrated.upper[0] == pytest.approx(test.upper[0] + level * margin)


def test_when_the_target_turns_negative_then_bounds_below_zero_begin_after_that():
    target = flat_target(61) - 99
    target.iloc[40 * H] = -1
    given = forecasts(normal(60, seed=2, sd=5), 1.0, 1.0)
    lowest = calibrated_by(given, None, target).lower.min(axis=1)
    assert (lowest[10:40].min(), lowest[41:].max() < 0) == (0, True)


@pytest.mark.parametrize(
    "lowest, zero_from, least", [(0.0, 24, 0.01 * 100 * 24 / 72), (-100.0, 48, 100 * 48 / 72)]
)
def test_when_the_target_is_near_zero_then_its_level_is_a_share_of_its_size_or_all_if_ever_negative(
    lowest, zero_from, least
):
    target = flat_target(3)
    target.iloc[zero_from:] = 0.0
    target.iloc[30] = lowest
    origins = pd.DatetimeIndex([target.index[23], target.index[71]])
    assert scales(target).at(origins)["level"].to_numpy() == pytest.approx([100, least])
    with pytest.raises(InputError, match=r"no 24 hours up to the forecast origin 2019-01-01 22:00"):
        scales(target).at(origins[:1] - pd.Timedelta(hours=1))


# What stays, and what is refused


@pytest.mark.parametrize("warm_up", [None, forecasts(np.zeros((0, H)), 1.0)], ids=["none", "empty"])
def test_when_the_mode_is_none_then_nothing_changes_and_others_say_what_is_wrong(warm_up):
    f = forecasts(normal(5, seed=1), 1.0)
    assert calibrated_by(f, warm_up, flat_target(6), "none") is f
    with pytest.raises(InputError, match="calibration split needs validation forecasts"):
        calibrated_by(f, warm_up, flat_target(6), "split")
    with pytest.raises(InputError, match=r"calibration is 'roling'; did you mean rolling\?"):
        calibrated_by(f, warm_up, flat_target(6), "roling")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(MODES), st.floats(0, 3))
def test_when_anything_is_calibrated_then_quantiles_do_not_cross_and_the_median_stays(
    seed, mode, width
):
    rng = np.random.default_rng(seed)
    warm_up, test = split_in_two(
        forecasts(rng.standard_t(2, (30, H)), width * rng.random((30, H))), 15
    )
    # It checks crossing itself.
    calibrated = calibrated_by(test, warm_up, flat_target(31), mode)
    assert (calibrated.median == test.median).all()
    assert (calibrated.actual == test.actual).all()


@pytest.mark.parametrize("earlier, lowest", [(1.0, 0.0), (-1.0, -9.0)])
def test_when_the_target_was_never_negative_then_no_bound_is(earlier, lowest):
    """By hand: every hour misses by 10 above a half-width of 1 around a median of 1, so bounds move
    out by 9.
    """
    given = forecasts(np.full((3, H), 10.0), 1.0, median=1.0, first=1)
    target = flat_target(4)
    target.iloc[0] = earlier
    f = calibrated_by(given, None, target, days=1)
    assert np.unique(f.lower[0]).tolist() == [0]
    assert np.unique(f.lower[1]) == pytest.approx([lowest])
    assert np.unique(f.upper[1]) == pytest.approx([11])
