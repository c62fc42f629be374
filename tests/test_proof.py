"""The statistics of the proof: hand-worked forecasts, and simulated ones of which the truth is
known.
"""

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.scales import Scales
from hpo_lib.records.trial import Proof, TrialRecord
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import winkler
from hpo_lib.scoring.uncertainty import compare_seeds, daily_scores, leaders


def scores(mae, wide=None, picp=80.0):
    """Daily scores of days with these errors; the interval score is twice the error unless it is
    given.
    """
    error = np.asarray(mae, dtype=float)
    return {
        "mae": error,
        "winkler": 2 * error if wide is None else np.asarray(wide),
        "picp": np.full(len(error), picp),
    }


def correlated(rng, n, correlation=0.5):
    """[n] standard normal days, each correlated with the day before."""
    found = rng.standard_normal(n)
    for day in range(1, n):
        found[day] = correlation * found[day - 1] + np.sqrt(1 - correlation**2) * found[day]
    return found


def proven_share(effect, studies=200, days=365, seed_noise=0.005):
    """Share of simulated comparisons that prove a challenger whose error is lower by ``effect`` (a
    share).

    Both share the weather of a day; each configuration and each seed has days of its own and a luck
    of its own.
    """
    proven = 0
    for number in range(studies):
        rng = np.random.default_rng(number)
        weather = 1 + 0.3 * correlated(rng, days)

        def trained(change, rng=rng, weather=weather):
            own = weather - change + 0.08 * correlated(rng, days)
            luck = seed_noise * rng.standard_normal(2)
            return [scores(own + one + 0.03 * correlated(rng, days)) for one in luck]

        proven += compare_seeds(trained(effect), trained(0.0)).proven
    return proven / studies


def test_when_a_challenger_is_equal_then_noise_proves_it_in_fewer_than_5_percent_of_studies():
    assert proven_share(0.0) < 0.05


@pytest.mark.parametrize("effect, at_least", [(0.06, 0.99), (0.04, 0.85)])
def test_when_a_challenger_is_truly_better_then_it_is_nearly_always_proven(effect, at_least):
    assert proven_share(effect, 60) >= at_least


def test_when_every_day_is_better_by_the_same_share_then_the_changes_are_that_share_unspread():
    challenger = scores(np.full(28, 1.8), np.full(28, 3.8))
    found = compare_seeds([challenger] * 2, [scores(np.full(28, 2.0))] * 2)
    assert found.mae_change == pytest.approx([-10] * 3)
    assert found.winkler_calibrated_change == pytest.approx([-5] * 3)
    assert found.score_change == pytest.approx([-7.5] * 3)
    assert (found.probability, found.picp_calibrated, found.proven) == (1.0, 80.0, True)


def test_when_two_seeds_disagree_more_than_the_challenger_gains_then_nothing_is_proven():
    """Days alone would prove it: each is better on average by 1 % without any noise of days."""
    default = [scores(np.full(100, mae)) for mae in (0.98, 1.02)]
    challenger = [scores(np.full(100, mae)) for mae in (0.97, 1.01)]
    found = compare_seeds(challenger, default)
    assert found.score_change[0] == pytest.approx(-1)
    # The standard error is sqrt((2 * 0.0004 + 2 * 0.0004) / 2 * 2 / 2) = 2.83 %; t = -0.354 with 2
    # degrees of freedom.
    assert found.probability == pytest.approx(0.621, abs=0.03)
    assert found.score_change[2] == pytest.approx(-1 + 2.92 * 2.83, rel=0.1)
    one_seed = compare_seeds(challenger[:1], default[:1])
    assert (one_seed.probability, one_seed.proven) == (1.0, True)


@pytest.mark.parametrize("picp, proven", [(75.0, True), (74.9, False), (85.0, True), (85.1, False)])
def test_when_coverage_after_correction_is_off_then_a_better_challenger_is_not_proven(picp, proven):
    found = compare_seeds([scores(np.full(28, 1.0), picp=picp)] * 2, [scores(np.full(28, 2.0))] * 2)
    assert found.probability == 1.0
    assert found.proven is proven


def test_when_forecasts_are_the_same_then_they_are_not_better():
    same = [scores(np.arange(1.0, 29.0))] * 2
    assert compare_seeds(same, same).probability == 0.0


# Who challenges


@pytest.fixture
def days():
    noise = np.random.default_rng(0).standard_normal((10, 60))
    return lambda mean, row=0, spread=0.1: mean + spread * (noise[row] - noise[row].mean())


def test_when_trials_are_ranked_then_the_best_and_those_within_a_standard_error_challenge(days):
    default = scores(days(1.0))
    means = {1: 0.9, 2: 0.905, 3: 0.95, 4: 1.01}
    candidates = {number: scores(days(mean, number)) for number, mean in means.items()}
    # The paired difference of two trials has a standard error of about 0.1 * sqrt(2 / 60) = 0.018.
    assert leaders(candidates, default, 2) == [1, 2]
    assert leaders(candidates, default, 1) == [1]
    assert leaders({3: candidates[3], 1: candidates[1]}, default, 2) == [1]
    assert leaders({3: scores(days(0.925, 3)), 1: candidates[1]}, default, 2) == [1], (
        "within two standard errors"
    )
    assert leaders({4: candidates[4]}, default, 2) == []
    assert leaders({1: scores(days(0.9, 1), days(2.3, 1))}, default, 2) == [], (
        "its intervals are worse by more"
    )


def test_when_coverage_after_correction_is_off_then_a_trial_does_not_challenge(days):
    candidates = {
        1: scores(days(0.5), picp=74.0),
        2: scores(days(0.9), picp=84.9),
        3: scores(days(0.4), picp=85.1),
    }
    assert leaders(candidates, scores(days(1.0)), 2) == [2]


def test_when_a_day_is_scored_then_its_interval_is_the_corrected_one():
    index = pd.date_range("2023-01-01 00:00Z", periods=24 * 50, freq="h")
    target = pd.Series(10 + np.random.default_rng(2).standard_normal(len(index)), index=index)
    positions = np.arange(23, len(index) - 24, 24)
    actual = target.to_numpy()[positions[:, None] + np.arange(1, 25)]
    narrow = QuantileForecasts(
        np.full((*actual.shape, 3), 10) + np.array([-0.1, 0, 0.1]), actual, index[positions]
    )
    scales = Scales.of(target, target.to_numpy())
    found = daily_scores(narrow, scales)
    corrected = calibrate(narrow, None, scales)
    assert found["mae"] == pytest.approx(np.abs(actual - 10).mean(axis=1))
    assert found["winkler"].mean() == pytest.approx(winkler(corrected))
    assert found["winkler"].mean() < 0.7 * winkler(narrow)
    assert 70 < found["picp"].mean() < 85


@pytest.mark.parametrize(
    "days, cause", [(13, "validation has 13 days, and fewer than 14 prove nothing"), (14, "")]
)
def test_when_validation_is_short_then_nobody_challenges_and_it_is_said(days, cause):
    trials = [TrialRecord(number, "complete", {}) for number in (0, 1)]
    scored = [scores(np.full(days, 1.0 - 0.2 * number)) for number in (0, 1)]
    found = Proof(42, False, scored.__getitem__, None).challengers(trials)
    assert found == ([] if cause else [1], cause)
