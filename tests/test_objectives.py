import numpy as np
import pytest

from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.objectives import OBJECTIVES
from tests.conftest import made_forecasts


@pytest.mark.parametrize("value, excess", [(0, 0), (5, 0), (5.5, 0.5), (80, 75)])
def test_when_coverage_is_within_five_points_then_it_exceeds_nothing_and_else_only_the_rest_counts(
    value, excess
):
    assert (
        OBJECTIVES["picp_penalty"].excess(value)
        == OBJECTIVES["picp_penalty_calibrated"].excess(value)
        == excess
    )
    assert OBJECTIVES["mae"].excess(value) == OBJECTIVES["winkler"].excess(value) == value


def test_when_scores_are_given_then_each_objective_takes_its_own_one():
    scores = {
        "mae": 3.0,
        "picp": 70.0,
        "winkler": 9.0,
        "winkler_calibrated": 8.0,
        "picp_calibrated": 81.0,
        "pinball": 2.0,
    }
    assert {name: objective.value(scores) for name, objective in OBJECTIVES.items()} == {
        "mae": 3.0,
        "picp_penalty": 10.0,
        "winkler": 9.0,
        "winkler_calibrated": 8.0,
        "picp_penalty_calibrated": 1.0,
        "pinball": 2.0,
    }
    assert OBJECTIVES["picp_penalty"].axis("m3/h") == "|PICP \u2212 80| in pp"
    assert OBJECTIVES["winkler"].axis("m3/h") == "Winkler score in m3/h"


def test_when_intervals_are_much_too_narrow_then_calibrated_scores_are_those_after_the_first_days(
    tiny_dataset,
):
    origins = tiny_dataset.validation_origins
    actual = tiny_dataset.target.to_numpy()[origins[:, None] + np.arange(1, 25)]
    median = actual + np.random.default_rng(1).normal(size=actual.shape)
    forecasts = made_forecasts(
        actual, 0.1, median, tiny_dataset.index[origins[0]].tz_localize(None)
    )
    scores = evaluate(forecasts, tiny_dataset.scales)
    assert scores["picp"] < 15 < 60 < scores["picp_calibrated"] < 85
    assert scores["winkler_calibrated"] < scores["winkler"]
    corrected = calibrate(forecasts, None, tiny_dataset.scales)
    assert (corrected.values[0] == forecasts.values[0]).all(), (
        "nothing is known before the first day"
    )
    assert scores["winkler_calibrated"] == metrics.winkler(corrected)
