"""Every metric against numbers worked by hand on two origins of three hours."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hpo_lib.data.scales import Scales
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from tests.conftest import refusal

with pytest.MonkeyPatch.context() as without:
    without.setitem(
        sys.modules, "numba", None
    )  # with it, the import compiles every score for seconds
    import scoringrules

ACTUAL = [[10, 20, 0], [8, 16, 30]]
#        inside         1 below       on the lower   on the upper   2 above        inside
VALUES = [[(8, 9, 12), (21, 22, 25), (0, 1, 2)], [(4, 6, 8), (10, 12, 14), (28, 31, 33)]]
# |y - median| 1, 2, 1, 2, 4, 1 (sum 11); squared 1, 4, 1, 4, 16, 1 (sum 27); widths 4, 4, 2, 4, 4,
# 5 (sum 23)


def forecasts(values, actual, levels=(0.1, 0.5, 0.9)):
    y = np.asarray(actual, dtype=float)
    origins = pd.date_range("2019-01-01 23:00Z", periods=len(y))
    return QuantileForecasts(np.asarray(values, dtype=float), y, origins, levels)


EXAMPLE = forecasts(VALUES, ACTUAL)

BY_HAND = {
    "mae": 11 / 6,
    "rmse": (27 / 6) ** 0.5,
    # The mean actual is 84 / 6 = 14, so the third hour is divided by 1 % of it, 0.14, and not by 0.
    "mape": 100 / 6 * (1 / 10 + 2 / 20 + 1 / 0.14 + 2 / 8 + 4 / 16 + 1 / 30),
    "smape": 200 / 6 * (1 / 19 + 2 / 42 + 1 / 1 + 2 / 14 + 4 / 28 + 1 / 61),
    "wape": 100 * 11 / 84,
    "picp": 100 * 4 / 6,
    "mean_width": 23 / 6,
    # alpha = 0.2, so a miss costs 10 times its size: 4, 4 + 10 * 1, 2, 4, 4 + 10 * 2, 5
    "winkler": (4 + 14 + 2 + 4 + 24 + 5) / 6,
    # level 0.1: 0.2, 0.9, 0, 0.4, 0.6, 0.2; level 0.5: half of 11; level 0.9: 0.2, 0.5, 0.2, 0,
    # 1.8, 0.3
    "pinball": (2.3 + 5.5 + 3.0) / 18,
}


@pytest.mark.parametrize("name", metrics.METRICS)
def test_when_the_example_is_scored_then_every_metric_is_the_number_worked_by_hand(name):
    assert metrics.METRICS[name](EXAMPLE) == pytest.approx(BY_HAND[name], rel=1e-12)


def test_when_an_actual_is_on_a_bound_or_zero_then_edges_of_metrics_are_those_by_hand():
    assert metrics.covered(EXAMPLE).tolist() == [[True, False, True], [True, False, True]]
    assert metrics.picp(forecasts([[(1, 1, 2), (1, 1, 2)]], [[2.0, np.nextafter(2.0, 3.0)]])) == 50
    assert metrics.smape(forecasts([[(0, 0, 0), (0, 1, 1)]], [[0, 0]])) == 100  # of 0 and of 200
    assert metrics.by_step(EXAMPLE) == {"mae": [1.5, 3.0, 1.0], "picp": [100.0, 0.0, 100.0]}


def test_when_everything_is_scored_then_every_metric_and_mase_are_there():
    scores = metrics.score(EXAMPLE, 2.0)
    assert list(scores) == [*metrics.METRICS, "mase"]
    assert all(isinstance(value, float) for value in scores.values())
    assert scores["mase"] == metrics.mae(EXAMPLE) / 2


# Edges of single metrics


def mase_scale(training):
    hours = pd.date_range("2020-01-01 00:00Z", periods=len(training), freq="h")
    return Scales.of(pd.Series(training, hours), training).mase


@pytest.mark.parametrize("training", [np.arange(24.0), np.tile(np.arange(24.0), 3)])
def test_when_training_is_too_short_or_repeats_itself_then_mase_says_so(training):
    sentence = (
        "MASE has no scale: the training target repeats itself exactly, or is not longer than 24 "
        "hours"
    )
    with refusal(sentence, ValueError):
        metrics.mase(EXAMPLE, mase_scale(training))
    assert metrics.mase(EXAMPLE, mase_scale(np.arange(25.0))) == pytest.approx(11 / 6 / 24)


# Properties

ROUNDED = st.integers(-10_000, 10_000).map(lambda whole: whole / 100)
POSITIVE = st.integers(1, 10_000).map(lambda whole: whole / 100)


@st.composite
def any_forecasts(draw, elements=ROUNDED):
    n = draw(st.integers(1, 4))
    h = draw(st.integers(1, 3))
    values = draw(arrays.arrays(float, (n, h, 3), elements=elements))
    return forecasts(np.sort(values, axis=2), draw(arrays.arrays(float, (n, h), elements=elements)))


@settings(max_examples=50, deadline=None)
@given(any_forecasts(POSITIVE), st.sampled_from([0.001, 0.5, 3.6, 1000.0]))
def test_when_the_unit_is_changed_then_scores_in_the_unit_scale_and_the_others_stay(f, factor):
    training = np.arange(30.0) ** 1.5
    before = metrics.score(f, mase_scale(training))
    changed = forecasts(f.values * factor, f.actual * factor)
    after = metrics.score(changed, mase_scale(training * factor))
    for name, value in before.items():
        expected = factor * value if metrics.in_target_unit(name) else value
        assert after[name] == pytest.approx(expected, rel=1e-9, abs=1e-12), name


@settings(max_examples=50, deadline=None)
@given(any_forecasts(), ROUNDED)
def test_when_forecasts_and_actuals_move_together_then_errors_widths_and_scores_stay(f, shift):
    # A weighted interval score in a public library adds w * median where w * |y - median| belongs:
    # it fails here.
    moved = forecasts(f.values + shift, f.actual + shift)
    for name in ("mae", "rmse", "mean_width", "winkler", "pinball"):
        assert metrics.METRICS[name](moved) == pytest.approx(metrics.METRICS[name](f), abs=1e-9), (
            name
        )


@settings(max_examples=50, deadline=None)
@given(any_forecasts())
def test_when_another_library_scores_the_same_forecasts_then_pinball_and_interval_score_agree(f):
    theirs = np.stack(
        [
            scoringrules.quantile_score(f.actual, f.values[:, :, q], level)
            for q, level in enumerate(f.levels)
        ],
        axis=2,
    )
    assert metrics.pinball_losses(f) == pytest.approx(theirs, abs=1e-9)
    interval = scoringrules.interval_score(f.actual.ravel(), f.lower.ravel(), f.upper.ravel(), 0.2)
    assert metrics.interval_scores(f).ravel() == pytest.approx(np.atleast_1d(interval), abs=1e-9)


def test_when_other_levels_are_used_then_the_price_of_a_miss_follows_them():
    f = forecasts([[(2, 3, 4)]], [[5]], levels=(0.05, 0.5, 0.95))
    assert metrics.winkler(f) == pytest.approx(2 + 2 / 0.1 * 1)
    assert metrics.pinball(f) == pytest.approx((0.05 * 3 + 0.5 * 2 + 0.95 * 1) / 3)
