"""A trial as every reader sees it, and the choice among those of a study.

The choice is made by the Pareto front and policies, or by the proof of a challenger.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from hpo_lib.errors import InputError, StudyError, choices, sentence
from hpo_lib.records.read_write import Count, Json, Pair, Part
from hpo_lib.records.trainings import TrainingFailed
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE, Objective, Scores
from hpo_lib.scoring.uncertainty import (
    MIN_COMPARED_DAYS,
    DailyScores,
    compare_seeds,
    covers,
    leaders,
    prospect,
)

Curve = Sequence[Scores]
"""The checks of a training so far, in order: ``step`` and some scores."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial as every reader sees it.

    ``state`` is ``complete``, ``failed`` (with its cause), ``stopped`` (early, with its cause),
    ``interrupted`` (the worker died; the trial was retried), ``running`` or ``waiting``. ``curve``
    holds the scores of every check of a complete or stopped training. A stopped one has no other
    scores, and ``stopped_at`` is its share of the steps. ``shares`` of the network's residual were
    kept, of the median and of the width; None: all of it, unasked.

    ``values`` are of the study's objectives by name, in their order, as computed; left out, they
    are those of the pair ``mae`` and ``picp_penalty``, which every complete trial has whatever its
    study optimises.
    """

    __pydantic_config__: ClassVar = {"strict": True, "revalidate_instances": "always"}

    number: int
    state: str
    params: Json
    mae: float = math.nan
    picp_penalty: float = math.nan
    scores: Scores = field(default_factory=dict)
    by_step: Mapping[str, list[float]] = field(default_factory=dict)
    cause: str = ""
    seconds: float = 0.0
    best_step: int = 0
    shares: Pair | None = None
    retry_of: int | None = None
    curve: Curve = ()
    stopped_at: float | None = None
    values: Scores = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.values and self.complete:
            object.__setattr__(self, "values", {"mae": self.mae, "picp_penalty": self.picp_penalty})

    @property
    def complete(self) -> bool:
        """Whether it has scores."""
        return self.state == "complete"

    @property
    def finished(self) -> bool:
        """Whether it counts towards the requested number of trials."""
        return self.state in ("complete", "failed", "stopped")

    def to_json(self) -> Json:
        """Its entry in a best_params JSON."""
        pair = {"mae": self.mae, "picp_penalty": self.picp_penalty}
        return {
            "trial": self.number,
            "state": self.state,
            **(pair if self.complete else dict.fromkeys(pair)),
            **{name: self.scores.get(name) for name in LISTED_SCORES},
            "values": self.values,
            "shares": self.shares,
            "params": self.params,
        }

    @classmethod
    def from_json(cls, entry: Json) -> "TrialRecord":
        """The inverse of `to_json`; a score that the entry lacks is NaN."""
        known = {name: value for name, value in entry.items() if value is not None}
        names = ("state", "params", "mae", "picp_penalty", "shares", "values")
        stated = {name: known[name] for name in names if name in known}
        scores = {name: known[name] for name in LISTED_SCORES if name in known}
        return cls(known["trial"], scores=scores, **{"state": "complete", **stated})


Trials = Sequence[TrialRecord]

LISTED_SCORES = ("picp", "pinball", "winkler", "picp_calibrated", "winkler_calibrated")
"""Scores of each trial in the JSON, beside MAE: all that an objective is a function of."""


def check_trial(trial: TrialRecord, scores: Iterable[str], objectives: Iterable[str] = ()) -> None:
    """Raise ValueError unless a trial's values are of their types.

    All scores and values of a complete one have to be finite numbers, those named included.
    """
    try:
        _SCHEMA.validate_python(trial)
    except ValidationError as error:
        raise ValueError(sentence(error)) from None
    if not trial.complete:
        return
    numbers = [
        ("mae", trial.mae),
        ("picp_penalty", trial.picp_penalty),
        *{**dict.fromkeys(scores, math.nan), **trial.scores}.items(),
        *{**dict.fromkeys(objectives, math.nan), **trial.values}.items(),
    ]
    for name, value in numbers:
        if not math.isfinite(value):
            raise ValueError(f"it is complete, but has no {name}")


_SCHEMA = TypeAdapter(TrialRecord)


def n_complete(trials: Trials) -> int:
    """How many have scores."""
    return sum(trial.complete for trial in trials)


def default_trial(trials: Trials) -> TrialRecord:
    """The trial of the untuned defaults: the first, or its last retry if its worker died."""
    default = trials[0]
    for trial in trials:
        if trial.retry_of == default.number:
            default = trial
    return default


# The choice


FRESH_SEEDS, CHALLENGERS = 2, 2
"""Fresh seeds of each configuration, and the most trials that challenge the defaults; the test
preset has one each.
"""


@dataclass(frozen=True)
class Proof:
    """The choice by trainings of some trials with fresh seeds.

    Attributes:
        seed: of the trials; the fresh ones follow.
        small: one challenger and one fresh seed, to see that everything works.
        scored: gives the daily scores of a trial by its number.
        trained: gives those of a trial with a fresh seed; may raise `TrainingMissing` and
            `TrainingFailed`.
    """

    seed: int
    small: bool
    scored: Callable[[int], DailyScores]
    trained: Callable[[TrialRecord, int], DailyScores]

    @property
    def seeds(self) -> list[int]:
        """The fresh ones."""
        return [self.seed + 1 + i for i in range(1 if self.small else FRESH_SEEDS)]

    def challengers(self, trials: Trials) -> tuple[list[int], str]:
        """Numbers of the trials that may beat the untuned defaults, best first; or why none."""
        default = default_trial(trials)
        if not default.complete:
            failed = f"the untuned defaults (trial {default.number}) did not complete"
            return [], f"{failed}, so nothing is compared with them"
        days = {t.number: self.scored(t.number) for t in trials if t.complete}
        untuned = days.pop(default.number)
        if (n_days := len(untuned["mae"])) < MIN_COMPARED_DAYS:
            few = f"validation has {n_days} days, and fewer than {MIN_COMPARED_DAYS} prove nothing"
            return [], few
        best = leaders(days, untuned, 1 if self.small else CHALLENGERS)
        none = "no trial is better than the untuned defaults with the study's own seed"
        return best, "" if best else none

    def entry(self, trials: Trials) -> Json:
        """Compare challengers with the defaults over fresh seeds, one by one until one is proven.

        Returns:
            The JSON's entry: ``seeds``, ``days``, ``challengers``, ``trainings`` and ``cause`` (why
            nothing was compared).

        Raises:
            TrainingMissing: so is one of the trainings.
        """
        numbers, cause = self.challengers(trials)
        proof: Json = dict(seeds=self.seeds, days=0, challengers=[], trainings=0, cause=cause)
        if cause:
            return proof

        def trained(trial: TrialRecord) -> list[DailyScores]:
            days = []
            for seed in self.seeds:
                proof["trainings"] += 1
                days.append(self.trained(trial, seed))
            return days

        try:
            untuned = trained(default_trial(trials))
        except TrainingFailed as failure:
            return {**proof, "cause": f"the untuned defaults failed with a fresh seed ({failure})"}
        proof["days"] = len(untuned[0]["mae"])
        for trial in (trial for number in numbers for trial in trials if trial.number == number):
            try:
                result = {**asdict(compare_seeds(trained(trial), untuned)), "cause": ""}
            except TrainingFailed as failure:
                result = {"proven": False, "cause": str(failure)}
            proof["challengers"].append({"trial": trial.number, **result})
            if result["proven"]:
                break
        return proof

    def outlook(self, trials: Trials, finished: Sequence[int], asked: int) -> Json | None:
        """By what a study settles with the finished ones of ``asked`` trials, see `prospect`.

        None if the others are expected to pay.

        Raises:
            TrainingMissing, TrainingFailed: so is one of the untuned defaults.
        """
        default = default_trial(trials)
        others = [
            self.scored(t.number)
            for t in trials
            if t.complete and t.number in finished and t is not default
        ]
        untuned = [
            self.scored(default.number),
            *(self.trained(default, seed) for seed in self.seeds),
        ]
        found = prospect(untuned, others, asked / len(finished))
        if found["gain"] >= found["luck"]:
            return None
        return {"asked": asked, "finished": [*finished], "days": len(untuned[0]["mae"]), **found}


Chosen = tuple[int, str]
"""The number of a trial, and why it is chosen, in one sentence."""


def chosen_of(proof: Json, default: int) -> Chosen:
    """What a proof chooses."""
    challengers = proof["challengers"]
    n_seeds = len(proof["seeds"])
    if proof["cause"]:
        return default, f"the untuned defaults stay: {proof['cause']}"
    over = f"over {n_seeds} fresh seed{'s' * (n_seeds > 1)} and {proof['days']} days"
    for challenger in challengers:
        if challenger["proven"]:
            trial = challenger["trial"]
            mean, low, high = challenger["score_change"]
            return trial, (
                f"trial {trial} beats the untuned defaults by {-mean:.1f} % of MAE and calibrated "
                f"interval score [{-high:.1f}, {-low:.1f}] with probability "
                f"{challenger['probability']:.2f} {over}"
            )
    compared = [challenger for challenger in challengers if not challenger["cause"]]
    if not compared:
        first = challengers[0]
        failed = f"trial {first['trial']} failed with a fresh seed ({first['cause']})"
        return default, f"the untuned defaults stay: {failed}"
    best = min(compared, key=lambda challenger: challenger["score_change"][0])
    change = best["score_change"][0]
    coverage = best["picp_calibrated"]
    return default, (
        "no challenger was proven better than the untuned defaults: the best, trial "
        f"{best['trial']}, is {abs(change):.1f} % {'better' if change <= 0 else 'worse'} with "
        f"probability {best['probability']:.2f} {over}"
        + ("" if covers(coverage) else f", and its calibrated interval covers {coverage:.0f} %")
    )


NEARLY_NEAREST = 2.5
"""If no trial is within the tolerance: points by which the choice may be farther from 80 % than the
nearest trial. One year of data cannot resolve coverage more finely."""


class Selection(Part):
    """The chosen trial, its policy and reason, and the choices of all policies without proof."""

    policy: str
    trial: Count
    reason: str
    alternatives: dict[str, Count]


class Settled(Part):
    """With how many trials of those asked a study settled, and by what, see `prospect`.

    ``finished`` are the trials that it was computed from; others ran.
    """

    trials: Count
    finished: list[Count] | None = None
    asked: Count
    days: Count
    change: float
    seed_change: float
    luck: float
    gain: float


def pareto_front(trials: Trials, objectives: Sequence[Objective]) -> Trials:
    """Complete trials that no other one beats, by ascending value of the first objective.

    One beats another if it is at least as good in every objective and better in one, beyond their
    tolerances. Trials that are equal are all kept, as in optuna's ``best_trials``.
    """
    complete = [trial for trial in trials if trial.complete]
    excesses = np.array([[o.excess(t.values[o.name]) for o in objectives] for t in complete])
    front = [
        trial
        for trial, excess in zip(complete, excesses, strict=True)
        if not ((excesses <= excess).all(axis=1) & (excesses < excess).any(axis=1)).any()
    ]
    return sorted(front, key=lambda t: (*(t.values[o.name] for o in objectives), t.number))


def _calibrated(front: Trials) -> Chosen:
    front = sorted(front, key=lambda t: t.mae)
    near = [t.number for t in front if t.picp_penalty <= COVERAGE_TOLERANCE]
    if near:
        return near[0], f"lowest MAE with |PICP - 80| <= {COVERAGE_TOLERANCE:g}"
    nearest = min(front, key=lambda t: t.picp_penalty)
    chosen = next(t for t in front if t.picp_penalty <= nearest.picp_penalty + NEARLY_NEAREST)
    which = "the one"
    if chosen is not nearest:
        which = f"the lowest MAE at most {NEARLY_NEAREST:g} points behind the one"
    none = f"no trial has |PICP - 80| <= {COVERAGE_TOLERANCE:g}"
    return chosen.number, f"{none}, so {which} nearest to 80 % coverage"


def _lowest_mae(front: Trials) -> Chosen:
    return min(front, key=lambda t: t.mae).number, "lowest MAE, whatever its coverage"


def _knee(front: Trials) -> Chosen:
    """The point with the lowest sum of its objectives, each scaled to 0..1 over the front.

    Of two objectives that is the point farthest below the straight line between the ends of the
    front.
    """
    values = np.array([list(trial.values.values()) for trial in front])
    ranges = np.ptp(values, axis=0)
    if not ranges.any():
        return front[0].number, "the front has one point"
    scaled = (values - values.min(axis=0)) / np.where(ranges, ranges, 1.0)
    lowest = scaled.sum(axis=1).argmin()
    return front[lowest].number, "farthest from the line between the ends of the front"


POLICIES = {"calibrated": _calibrated, "lowest_mae": _lowest_mae, "knee": _knee}
"""Those that choose from the front."""

PROVEN = "proven"
"""The policy that keeps the untuned defaults unless a trial is proven better."""


def select(
    front: Trials, policy: str, *, default: TrialRecord | None = None, proof: Json | None = None
) -> Selection:
    """Choose a trial: one of a Pareto front (ascending MAE), or the one that a proof chooses.

    The latter may be off the front. Without a proof ``proven`` keeps the untuned ``default``; if
    that failed, its choice is that of ``calibrated``.

    Raises:
        InputError: unknown policy.
        StudyError: the front is empty, because no trial completed.
    """
    if policy not in (PROVEN, *POLICIES):
        raise InputError(f"policy is {policy!r}; {choices(policy, (PROVEN, *POLICIES))}")
    if not front:
        raise StudyError(
            "no trial completed, so there is nothing to choose from; see the causes of the "
            "failed trials"
        )
    selected = {name: rule(front) for name, rule in POLICIES.items()}
    alternatives = {name: number for name, (number, _) in selected.items()}
    if policy in selected:
        number, reason = selected[policy]
    elif default is None or not default.complete:
        number, reason = selected["calibrated"]
        reason = f"the untuned defaults are not complete, so nothing is proven: {reason}"
    elif proof is None:
        number = default.number
        reason = "nothing is proven yet, so the untuned defaults stay"
    else:
        number, reason = chosen_of(proof, default.number)
    if policy == PROVEN:
        alternatives = {PROVEN: number, **alternatives}
    return Selection(policy=policy, trial=number, reason=reason, alternatives=alternatives)
