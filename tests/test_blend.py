"""Mixtures of quantile forecasts, by hand and by a known optimum."""

import numpy as np
import pandas as pd
import pytest

from hpo_lib.errors import InputError
from hpo_lib.scoring import metrics
from hpo_lib.scoring.blend import blend, fitted_weights, greedy_weights, judged_ensemble
from hpo_lib.scoring.forecasts import QuantileForecasts

RNG = np.random.default_rng(5)
ACTUAL = 10 + RNG.normal(size=(40, 24))


def forecasts(center, spread=1.0, days=40, start="2019-03-01 23:00"):
    origins = pd.date_range(start, periods=days, freq="D", tz="UTC")
    median = np.broadcast_to(center, (days, 24))
    values = median[:, :, None] + spread * np.array([-1.0, 0.0, 1.0])
    return QuantileForecasts(values, ACTUAL[:days], origins)


def test_when_forecasts_are_blended_then_each_level_is_the_weighted_mean_of_that_level():
    a, b = forecasts(10.0, 1.0), forecasts(14.0, 3.0)
    assert blend([a, b]).values[0, 0] == pytest.approx([10.0, 12.0, 14.0])
    assert blend([a, b], [0.75, 0.25]).values[3, 7] == pytest.approx([9.5, 11.0, 12.5])
    assert (blend([a]).values == a.values).all()


@pytest.mark.parametrize(
    "other",
    [
        forecasts(10.0, days=39),
        forecasts(10.0, start="2019-03-02 23:00"),
        QuantileForecasts(
            forecasts(10.0).values, ACTUAL, forecasts(10.0).origins, (0.05, 0.5, 0.95)
        ),
    ],
    ids=["fewer days", "other days", "other levels"],
)
def test_when_forecasts_are_not_of_the_same_days_and_levels_then_they_are_not_blended(
    other,
):
    with pytest.raises(InputError, match="levels, days or data cannot be"):
        blend([forecasts(10.0), other])


def test_when_weights_are_fitted_then_no_grid_point_has_a_lower_pinball_loss():
    members = [forecasts(ACTUAL + RNG.normal(size=ACTUAL.shape) * s, s) for s in (0.6, 1.0)]
    weights = fitted_weights(members)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    best = metrics.pinball(blend(members, weights))
    grid = [metrics.pinball(blend(members, [w, 1 - w])) for w in np.linspace(0, 1, 101)]
    assert best <= min(grid) + 1e-9
    assert 0 < weights[1] < weights[0]
    assert best < min(grid[0], grid[-1])  # two noisy members are better together


# Ensembles


def points(*errors):
    """All three quantiles of a day are off by that day's error, which costs half of it."""
    f = forecasts(ACTUAL[: len(errors)] + np.array(errors)[:, None], 0.0, days=len(errors))
    return QuantileForecasts(f.values, f.actual, f.origins)


@pytest.mark.parametrize(
    ("errors", "weights"),
    [
        ((-1, 1, 4), (1 / 2, 1 / 2, 0)),
        ((-1, 2, 4), (2 / 3, 1 / 3, 0)),
        ((3, 2, 4), (0, 1, 0)),
    ],
)
def test_when_an_ensemble_without_error_exists_then_greedy_selection_finds_its_weights(
    errors, weights
):
    members = [points(*[error] * 20) for error in errors]
    assert greedy_weights(members) == pytest.approx(weights)


def test_when_many_members_would_help_then_no_more_than_allowed_are_chosen(monkeypatch):
    members = [forecasts(ACTUAL + RNG.normal(size=ACTUAL.shape), 1.0) for _ in range(12)]
    assert (greedy_weights(members) > 0).sum() == 5
    monkeypatch.setattr("hpo_lib.scoring.blend.MOST_MEMBERS", 2)
    few = greedy_weights(members)
    assert (few > 0).sum() == 2
    monkeypatch.setattr("hpo_lib.scoring.blend.GREEDY_ROUNDS", 1)
    one = greedy_weights(members)
    assert metrics.pinball(blend(members, few)) < metrics.pinball(blend(members, one))


def test_when_two_trials_err_independently_then_their_ensemble_pays():
    members = [forecasts(ACTUAL + RNG.normal(size=ACTUAL.shape), 1.2) for _ in range(2)]
    verdict = judged_ensemble([*members, forecasts(30.0)], chosen=0)
    assert verdict.pays
    assert verdict.weights == pytest.approx([0.5, 0.5, 0], abs=0.11)
    assert -35 < verdict.percent < -15  # the mean of two independent errors is 29 % smaller


def test_when_an_ensemble_wins_only_on_the_days_that_selected_it_then_it_is_refused():
    """Member k is better than the chosen one in four fifths of the days, and much worse in the
    fifth k.
    """
    fifths = np.arange(40) // 8
    lucky = [points(*np.where(fifths == k, 1.7, 0.8)) for k in range(5)]
    verdict = judged_ensemble([points(*[1.0] * 40), *lucky], chosen=0)
    assert not verdict.pays
    assert verdict.percent == pytest.approx(70)
    assert verdict.weights.tolist() == [1, 0, 0, 0, 0, 0]


def test_when_an_ensemble_is_better_by_less_than_a_standard_error_then_it_does_not_pay():
    """Every seventh day the two are wrong by 4 to either side; on the others the chosen one is
    better than both.
    """
    seventh = np.arange(40) % 7 == 0
    verdict = judged_ensemble(
        [points(*np.where(seventh, 4, 1)), points(*np.where(seventh, -4, 2))], chosen=0
    )
    assert verdict.percent == pytest.approx(-12.069, abs=0.001)
    assert not verdict.pays
    assert verdict.weights.tolist() == [1, 0]


@pytest.mark.parametrize(("n", "days"), [(1, 40), (2, 3)])
def test_when_there_is_too_little_to_judge_then_the_chosen_trial_stays(n, days):
    verdict = judged_ensemble([points(*[error] * days) for error in (-1, 1)[:n]], chosen=0)
    assert not verdict.pays
    assert verdict.weights.tolist() == [1, 0][:n]
