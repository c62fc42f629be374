"""The Pareto front of a study, and the policies that choose one trial of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from hpo_lib.errors import InputError, StudyError, choices
from hpo_lib.records.trial import TrialRecord

COVERAGE_TOLERANCE = 5.0
"""Percentage points around 80 % within which the ``calibrated`` policy takes the lowest MAE."""

NEARLY_NEAREST = 2.5
"""If no trial is within the tolerance: points by which the choice may be farther from 80 % than the nearest trial. One
year of data cannot resolve coverage more finely."""


@dataclass(frozen=True)
class Selection:
    """The chosen trial of the Pareto front, the policy and its reason, and the choice of every other policy."""

    policy: str
    trial: int
    reason: str
    alternatives: Mapping[str, int]


def pareto_front(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Complete trials that no other complete trial beats in both objectives, by ascending MAE.

    Trials with equal values are all kept, as in optuna's ``best_trials``.
    """
    done = sorted((t for t in trials if t.state == "complete"), key=lambda t: (t.mae, t.picp_penalty, t.number))
    front, values = list[TrialRecord](), attrgetter("mae", "picp_penalty")
    for trial in done:
        if not front or trial.picp_penalty < front[-1].picp_penalty or values(trial) == values(front[-1]):
            front.append(trial)
    return front


def _calibrated(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    near = [t for t in front if t.picp_penalty <= COVERAGE_TOLERANCE]
    if near:
        return near[0], f"lowest MAE with |PICP - 80| <= {COVERAGE_TOLERANCE:g}"
    nearest = front[-1]
    chosen = next(t for t in front if t.picp_penalty <= nearest.picp_penalty + NEARLY_NEAREST)
    what = "the one" if chosen is nearest else f"the lowest MAE at most {NEARLY_NEAREST:g} points behind the one"
    return chosen, f"no trial has |PICP - 80| <= {COVERAGE_TOLERANCE:g}, so {what} nearest to 80 % coverage"


def _lowest_mae(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    return front[0], "lowest MAE, whatever its coverage"


def _knee(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    """The point farthest below the straight line between the ends of the front, both objectives scaled to 0..1."""
    first, last = front[0], front[-1]
    mae_range, penalty_range = last.mae - first.mae, first.picp_penalty - last.picp_penalty
    if mae_range == 0 or penalty_range == 0:
        return first, "the front has one point"

    def below_line(t: TrialRecord) -> float:
        return 1 - (t.mae - first.mae) / mae_range - (t.picp_penalty - last.picp_penalty) / penalty_range

    return max(front, key=below_line), "farthest from the line between the ends of the front"


POLICIES = {"calibrated": _calibrated, "lowest_mae": _lowest_mae, "knee": _knee}


def select(front: Sequence[TrialRecord], policy: str) -> Selection:
    """Choose one trial of a Pareto front (ascending MAE).

    Raises:
        InputError: unknown policy.
        StudyError: the front is empty, because no trial completed.
    """
    if policy not in POLICIES:
        raise InputError(f"policy is {policy!r}; {choices(policy, POLICIES)}")
    if not front:
        raise StudyError("no trial completed, so there is nothing to choose from; see the causes of the failed trials")
    trial, reason = POLICIES[policy](front)
    return Selection(policy, trial.number, reason, {name: rule(front)[0].number for name, rule in POLICIES.items()})
