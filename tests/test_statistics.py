"""Bootstrap, Diebold-Mariano and conditional coverage against numbers worked by hand and against
other libraries.
"""

from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from hpo_lib.errors import InputError
from hpo_lib.scoring import uncertainty
from hpo_lib.scoring.evaluation import conditional_coverage
from hpo_lib.scoring.uncertainty import (
    bootstrap_intervals,
    compare,
    daily_losses,
    diebold_mariano,
    reliability,
)
from tests.conftest import made_forecasts as forecasts


def noise(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 24))


# Bootstrap


@pytest.mark.parametrize(
    "losses, block_days, bounds",
    [
        # Blocks of one day: the means 0, 4, 4, 8 are equally likely.
        ([0, 8], 1, (0, 8)),
        # Two blocks of 5 days: each holds day 0 of 10 in half of its draws, for blocks go round, so
        # that 1, 2, 1 of 4 means are 0, 1 and 2.
        ([10, *[0] * 9], 5, (0, 2)),
        # A block is the whole series.
        ([1, 2, 6], 3, (3, 3)),
    ],
)
def test_when_days_are_drawn_in_blocks_then_the_interval_is_the_one_worked_by_hand(
    losses, block_days, bounds, monkeypatch
):
    monkeypatch.setattr(uncertainty, "BLOCK_DAYS", block_days)
    f = forecasts(np.repeat(np.array(losses, dtype=float)[:, None], 24, axis=1))
    assert bootstrap_intervals(f)["mae"] == (np.mean(losses), *bounds)


def test_when_days_are_independent_then_the_interval_is_that_of_the_central_limit_theorem(
    monkeypatch,
):
    monkeypatch.setattr(uncertainty, "BLOCK_DAYS", 1)
    f = forecasts(np.random.default_rng(3).exponential(size=(400, 1)) * np.ones((1, 24)))
    losses = daily_losses(f)["mae"]
    interval = bootstrap_intervals(f)["mae"]
    half = 1.96 * losses.std() / 20
    assert interval.low == pytest.approx(losses.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(losses.mean() + half, abs=0.15 * half)


# Diebold-Mariano


def test_when_eight_days_have_two_lags_then_variance_and_correction_are_those_worked_by_hand():
    """d = 0, 2, 0, 2, 0, 2, 1, 1: mean 1, deviations -1, 1, -1, 1, -1, 1, 0, 0; variance 6/8,
    covariances of lags 1 and 2 are -5/8 and 4/8.

    With Bartlett weights 2/3 and 1/3 the long-run variance is 6/8 - 2 * 2/3 * 5/8 + 2 * 1/3 * 4/8 =
    1/4, of the mean 1/32. Harvey's factor for h = 3 is sqrt((8 + 1 - 6 + 3 * 2 / 8) / 8) =
    sqrt(15/32).
    """
    result = diebold_mariano(np.array([0.0, 2, 0, 2, 0, 2, 1, 1]), np.zeros(8))
    assert (result.difference, result.lags, result.n) == (1, 2, 8)
    assert result.statistic == pytest.approx(np.sqrt(15))


@pytest.mark.parametrize("n, horizon", [(20, 3), (200, 5), (600, 6)])
def test_when_differences_are_correlated_then_the_variance_is_that_of_statsmodels(n, horizon):
    rng = np.random.default_rng(6)
    a = np.convolve(rng.standard_normal(n + 4), np.ones(5), "valid") ** 2
    b = rng.exponential(size=n)
    fitted = sm.OLS(a - b, np.ones(n)).fit(
        cov_type="HAC", cov_kwds={"maxlags": horizon - 1, "use_correction": False}
    )
    factor = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    result = diebold_mariano(a, b)
    assert result.lags == horizon - 1
    assert result.statistic == pytest.approx(float(fitted.tvalues[0]) * factor)
    assert result.p_value == pytest.approx(2 * stats.t.sf(abs(result.statistic), n - 1))


def test_when_the_loser_is_named_first_then_only_the_sign_changes():
    y = noise(60)
    better = forecasts(y)
    worse = forecasts(y, median=3.0)
    there = compare(better, worse)
    back = compare(worse, better)
    assert there.statistic == pytest.approx(-back.statistic)
    assert there.difference < -1
    assert there.p_value == pytest.approx(back.p_value)
    assert there.p_value < 1e-6


def test_when_losses_are_identical_then_nothing_tells_them_apart():
    a = np.random.default_rng(9).exponential(size=100)
    assert diebold_mariano(a, a.copy()).p_value == 1
    constant = diebold_mariano(a + 1, a)
    assert constant.p_value == 0
    assert constant.statistic == np.inf


def test_when_there_are_too_few_days_then_it_says_how_many_are_wanted():
    with pytest.raises(
        ValueError, match="6 days are too few for a Diebold-Mariano test, expected over 6"
    ):
        diebold_mariano(np.zeros(6), np.ones(6))


def test_when_days_differ_then_forecasts_are_not_compared():
    f = forecasts(noise(40))
    for other in (forecasts(noise(40), start="2019-01-07 23:00"), forecasts(noise(40, seed=1))):
        with pytest.raises(InputError, match="levels, days or data cannot be"):
            compare(f, other)


# Conditional coverage


def coverage_of(f, timezone, training=(-2.0, -1.0, 1.0, 2.0), hemisphere="north"):
    """Conditional coverage by group where the dataset is of that place."""
    spec = SimpleNamespace(tz=ZoneInfo(timezone), hemisphere=hemisphere)
    terciles = np.nanquantile(training, [1 / 3, 2 / 3])
    return conditional_coverage(f, spec, terciles).set_index(["by", "group"])


def test_when_an_hour_is_never_covered_then_only_its_row_says_so_in_local_time():
    """Every forecast misses at 05:00 UTC of 7 winter days, which is 06:00 in Copenhagen. Day 0 is
    Monday 2019-01-07.
    """
    y = np.zeros((7, 24))
    y[:, 5] = 10  # step 6 after 23:00 UTC
    table = coverage_of(forecasts(y), "Europe/Copenhagen")
    assert table.loc[("hour", "06"), "picp"] == 0
    assert table.loc["hour"].drop("06")["picp"].eq(100).all()
    assert table.loc[("weekday", "Monday"), "hours"] == 24  # 23 of the first UTC day, 1 of the last
    assert table.loc["season"].index.tolist() == ["winter"]
    assert table.loc[("season", "winter"), "picp"] == pytest.approx(100 * 23 / 24)
    assert (table["picp_low"] == table["picp"]).loc["hour"].all()  # all days are alike
    assert table.loc[("season", "winter"), "mae"] == pytest.approx(10 / 24)
    assert table.loc[("season", "winter"), "mean_width"] == 2
    assert table["hours"].groupby("by").sum().unique().tolist() == [168]
    south = coverage_of(forecasts(y), "UTC", hemisphere="south")
    assert south.loc["season"].index.tolist() == ["summer"]


def test_when_levels_are_grouped_then_by_the_forecast_and_by_terciles_of_training():
    training = [np.nan, *np.arange(1.0, 8)]  # the terciles are 3 and 5
    median = np.repeat([[2.0], [3.0], [4.0], [6.0]], 24, axis=1)
    y = median.copy()
    y[3] -= 5  # the high day is missed altogether, and its actuals are low
    table = coverage_of(forecasts(y, median=median), "UTC", training)
    assert table.loc["level", "hours"].to_dict() == {"low": 24, "middle": 48, "high": 24}
    assert table.loc["level", "picp"].to_dict() == {"low": 100, "middle": 100, "high": 0}


# Reliability


def test_when_actuals_are_in_known_bins_then_reliability_is_the_one_worked_by_hand():
    """Of 24 hours 6 are at each of the three quantiles, which counts as below, and 6 above."""
    y = np.repeat([-1.0, 0.0, 1.0, 2.0], 6)[None, :]
    one = reliability(forecasts(y))
    assert one["observed"].tolist() == one["observed_low"].tolist() == [0.25, 0.5, 0.75]
    # Of 28 days a week is below all quantiles: blocks of a week draw it never or several times.
    y = np.repeat(np.where(np.arange(28) < 7, -2.0, 2.0)[:, None], 24, axis=1)
    ((low, high),) = (
        reliability(forecasts(y))[["observed_low", "observed_high"]].drop_duplicates().to_numpy()
    )
    assert low < 0.1
    assert 0.4 < high < 0.8
