"""The mixture: weights by hand, what may move them, and members that say nothing."""

import numpy as np
import pandas as pd
import pytest

from hpo_lib.errors import InputError
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.mixture import mean_of, mixture
from tests.conftest import made_forecasts

START = "2020-01-01 23:00"
DAYS = pd.date_range(START, periods=60, tz="UTC")


def forecasts(values, actual):
    """One value [N] for all hours and levels of each day, and one actual."""
    values, actual = (
        np.repeat(np.array(x, dtype=float)[:, None], 24, axis=1) for x in (values, actual)
    )
    return made_forecasts(actual, 0, values, START)


@pytest.fixture
def members():
    """Three with their own errors, the first the best, on days that are alike."""
    rng = np.random.default_rng(1)
    actual = rng.normal(10, 1, (60, 24))
    return [
        made_forecasts(actual, 1, actual + rng.normal(0, sd, (60, 24)), START)
        for sd in (0.3, 0.6, 1.2)
    ]


def test_when_two_members_forecast_two_days_then_the_weights_are_those_worked_by_hand():
    # Actual 0, members at +1 and -3 on the first day: the mean is -1, below the actual at every
    # level, so the slope of its loss is -level, 0.5 in the mean. The first member's distance from
    # the mixture is -2 upwards: it gains 2 x 0.5 = 1, the second loses as much.
    one = forecasts([1, 4], [0, 0])
    two = forecasts([-3, 0], [0, 0])
    mixed, weights = mixture([one, two])
    assert weights[0] == pytest.approx([0.5, 0.5])
    assert mixed.values[0] == pytest.approx(-1.0)
    # Rates: min(1 / (2 x 1), sqrt(ln 2 / 1)) = 1/2 for both, whose steps are +1/2 and -1/2.
    # Regrets: 1 x (1 - 1/2) / 2 = 1/4 and -1 x (1 + 1/2) / 2 = -3/4. No step is above 1/2.
    odds = np.exp(0.5 * (0.25 + 0.75))
    assert weights[1] == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])
    assert mixed.values[1] == pytest.approx(4 * weights[1, 0])


def test_when_all_actuals_are_low_then_too_low_a_lower_quantile_gains_more_than_an_upper_one():
    # The slope of the loss is 1 - level: 0.9 at the lowest, 0.1 at the highest.
    actual = np.full((2, 24), -10.0)
    low, narrow = (
        QuantileForecasts(np.broadcast_to(np.array(values), (2, 24, 3)), actual, DAYS[:2])
        for values in ([0.0, 2.0, 4.0], [1.0, 2.0, 2.0])
    )
    _, weights = mixture([low, narrow])
    assert weights[1, 0] > 0.5


def test_when_the_days_go_by_then_weights_sum_to_one_follow_the_gains_and_keep_quantiles_sorted(
    members,
):
    mixed, weights = mixture(members)
    assert weights.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (weights[0] == 1 / 3).all()
    assert weights[-1, 0] > 0.7
    assert (np.diff(mixed.values, axis=2) >= 0).all()
    assert mixed.levels == members[0].levels
    # Each level is the mean of that level, and of no other.
    stacked = np.stack([member.values for member in members])
    assert mixed.values == pytest.approx(np.einsum("nm,mnhq->nhq", weights, stacked))
    assert np.array_equal(mixed.actual, members[0].actual)


@pytest.mark.parametrize("day", [0, 30, 59])
def test_when_a_later_value_changes_then_no_weight_moves_that_was_made_before_it(members, day):
    _, before = mixture(members)
    actual = members[0].actual.copy()
    actual[day:] += 100.0
    changed = []
    for member in members:
        values = member.values.copy()
        values[day + 1 :] -= 50.0
        changed.append(QuantileForecasts(values, actual, DAYS))
    _, after = mixture(changed)
    assert np.array_equal(before[: day + 1], after[: day + 1])
    if day < 59:
        assert not np.array_equal(before[day + 1], after[day + 1])
    # The actuals of the last days need not be known yet.
    actual[day:] = np.nan
    _, unknown = mixture([QuantileForecasts(one.values, actual, DAYS) for one in members])
    assert np.array_equal(before[: day + 1], unknown[: day + 1])


def test_when_origins_are_closer_than_the_horizon_then_a_day_counts_after_it_has_ended(members):
    half_days = pd.date_range("2020-01-01 23:00Z", periods=60, freq="12h")
    _, weights = mixture([QuantileForecasts(m.values, m.actual, half_days) for m in members])
    assert np.array_equal(weights[0], weights[1])  # the first day has not ended
    assert not np.array_equal(weights[1], weights[2])


def test_when_a_member_is_silent_for_a_week_then_the_others_share_its_weight_and_it_comes_back(
    members,
):
    week = np.arange(60) // 7 == 4
    mixed, weights = mixture([members[0].rows(~week), *members[1:]])
    assert np.array_equal(mixed.origins, DAYS)
    assert (weights[week, 0] == 0).all()
    assert weights.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    back = int(np.flatnonzero(week)[-1]) + 1
    assert weights[back, 0] > 0.5, "the week says nothing against it"
    assert np.array_equal(weights[: back - 7], mixture(members)[1][: back - 7])
    mixed, weights = mixture([members[0].rows(slice(0, 40)), members[1].rows(slice(20, 60))])
    assert np.array_equal(mixed.origins, DAYS)
    assert (weights[:20] == [1, 0]).all()
    assert (weights[40:] == [0, 1]).all()
    assert mixed.values[:20] == pytest.approx(members[0].values[:20], abs=1e-12)


@pytest.mark.parametrize(
    "values, actual, levels, sentence",
    [
        (slice(None), slice(0, 59), (0.1, 0.5, 0.9), "of different data cannot be mixed"),
        (slice(None), slice(0, 60), (0.2, 0.5, 0.8), "different levels or horizons"),
    ],
)
def test_when_members_do_not_belong_together_then_a_sentence_says_so(
    members, values, actual, levels, sentence
):
    truth = members[0].actual + (np.arange(60) >= actual.stop)[:, None]
    other = QuantileForecasts(members[1].values[values], truth, DAYS, levels)
    with pytest.raises(InputError, match=sentence):
        mixture([members[0], other])


def test_when_seeds_are_averaged_then_level_by_level_and_of_the_same_days_alone(members):
    assert mean_of(members[:2]).values == pytest.approx((members[0].values + members[1].values) / 2)
    with pytest.raises(InputError, match="different levels, days or data"):
        mean_of([members[0], members[1].rows(slice(1, None))])
