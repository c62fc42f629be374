"""The Pareto front of a study, and the policies that choose one trial: from the front, or by the proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import le
from typing import Any

from hpo_lib.errors import InputError, StudyError, choices
from hpo_lib.records.proof import chosen_of
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE, Objective

NEARLY_NEAREST = 2.5
"""If no trial is within the tolerance: points by which the choice may be farther from 80 % than the nearest trial. One
year of data cannot resolve coverage more finely."""


@dataclass(frozen=True)
class Selection:
    """The chosen trial, the policy and its reason, and the choice of every policy that needs no proof."""

    policy: str
    trial: int
    reason: str
    alternatives: Mapping[str, int]


def pareto_front(trials: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Complete trials that no other complete trial beats, by ascending value of the first objective.

    One beats another if it is at least as good in every objective and better in one, beyond their tolerances. Trials
    that are equal are all kept, as in optuna's ``best_trials``.
    """
    done = [t for t in trials if t.state == "complete"]
    excess = [tuple(o.excess(t.values[o.name]) for o in objectives) for t in done]
    found = set(excess)
    beaten = {own for own in found if any(other != own and all(map(le, other, own)) for other in found)}
    front = [trial for trial, own in zip(done, excess, strict=True) if own not in beaten]
    return sorted(front, key=lambda t: (*(t.values[o.name] for o in objectives), t.number))


def _calibrated(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    front = sorted(front, key=lambda t: t.mae)
    near = [t for t in front if t.picp_penalty <= COVERAGE_TOLERANCE]
    if near:
        return near[0], f"lowest MAE with |PICP - 80| <= {COVERAGE_TOLERANCE:g}"
    nearest = min(front, key=lambda t: t.picp_penalty)
    chosen = next(t for t in front if t.picp_penalty <= nearest.picp_penalty + NEARLY_NEAREST)
    what = "the one" if chosen is nearest else f"the lowest MAE at most {NEARLY_NEAREST:g} points behind the one"
    return chosen, f"no trial has |PICP - 80| <= {COVERAGE_TOLERANCE:g}, so {what} nearest to 80 % coverage"


def _lowest_mae(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    return min(front, key=lambda t: t.mae), "lowest MAE, whatever its coverage"


def _knee(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    """The point with the lowest sum of its objectives, each scaled to 0..1 over the front.

    Of two objectives that is the point farthest below the straight line between the ends of the front.
    """
    ends = [(min(column), max(column)) for column in zip(*(t.values.values() for t in front), strict=True)]
    if all(low == high for low, high in ends):
        return front[0], "the front has one point"

    def scaled_sum(t: TrialRecord) -> float:
        scaled = zip(t.values.values(), ends, strict=True)
        return sum(((value - low) / ((high - low) or 1.0) for value, (low, high) in scaled), 0.0)

    return min(front, key=scaled_sum), "farthest from the line between the ends of the front"


POLICIES = {"calibrated": _calibrated, "lowest_mae": _lowest_mae, "knee": _knee}
"""Those that choose from the front."""

PROVEN = "proven"
"""The policy that keeps the untuned defaults unless a trial is proven better, see `hpo_lib.records.proof`."""


def select(
    front: Sequence[TrialRecord],
    policy: str,
    *,
    default: TrialRecord | None = None,
    proof: Mapping[str, Any] | None = None,
) -> Selection:
    """Choose a trial: one of a Pareto front (ascending MAE), or by the proof, whose choice may be off the front.

    Without a proof, or if the untuned ``default`` failed, ``proven`` has something to say anyway: the defaults stay,
    or the choice is that of ``calibrated``.

    Raises:
        InputError: unknown policy.
        StudyError: the front is empty, because no trial completed.
    """
    if policy not in (PROVEN, *POLICIES):
        raise InputError(f"policy is {policy!r}; {choices(policy, (PROVEN, *POLICIES))}")
    if not front:
        raise StudyError("no trial completed, so there is nothing to choose from; see the causes of the failed trials")
    found = {name: rule(front) for name, rule in POLICIES.items()}
    alternatives = {name: trial.number for name, (trial, _) in found.items()}
    if policy != PROVEN:
        trial, reason = found[policy]
        return Selection(policy, trial.number, reason, alternatives)
    if default is None or default.state != "complete":
        trial, reason = found["calibrated"]
        number, reason = trial.number, f"the untuned defaults are not complete, so nothing is proven: {reason}"
    elif proof is None:
        number, reason = default.number, "nothing is proven yet, so the untuned defaults stay"
    else:
        number, reason = chosen_of(proof, default.number)
    return Selection(policy, number, reason, {PROVEN: number, **alternatives})
