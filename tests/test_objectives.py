import dataclasses

import pytest

from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import OBJECTIVES


@pytest.mark.parametrize(("picp", "penalty"), [(80, 0), (72, 8), (88, 8), (0, 80), (100, 20)])
def test_when_coverage_misses_80_percent_then_too_narrow_and_too_wide_cost_alike(picp, penalty) -> None:
    assert OBJECTIVES["picp_penalty"].value({"picp": picp, "mae": 3.0}) == penalty


def test_when_a_study_optimises_then_its_values_are_mae_and_the_penalty_both_minimised_in_this_order() -> None:
    assert [(o.name, o.direction) for o in OBJECTIVES.values()] == [("mae", "minimize"), ("picp_penalty", "minimize")]
    assert OBJECTIVES["mae"].value({"picp": 80.0, "mae": 3.0}) == 3.0


def test_when_a_trial_is_recorded_then_it_has_a_field_for_every_objective() -> None:
    assert set(OBJECTIVES) <= {field.name for field in dataclasses.fields(TrialRecord)}
