"""A trial as every reader sees it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import TypeAdapter, ValidationError

from hpo_lib.errors import sentence
from hpo_lib.records.read_write import Json, Pair


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
    scores: Mapping[str, float] = field(default_factory=dict)
    by_step: Mapping[str, list[float]] = field(default_factory=dict)
    cause: str = ""
    seconds: float = 0.0
    best_step: int = 0
    shares: Pair | None = None
    retry_of: int | None = None
    curve: Sequence[Mapping[str, float]] = ()
    stopped_at: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.values and self.state == "complete":
            object.__setattr__(self, "values", {"mae": self.mae, "picp_penalty": self.picp_penalty})

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
            **(pair if self.state == "complete" else dict.fromkeys(pair)),
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


def check_trial(
    trial: TrialRecord, scores: Iterable[str] = (), objectives: Iterable[str] = ()
) -> None:
    """Raise ValueError unless a trial's values are of their types.

    All scores and values of a complete one have to be finite numbers, those named included.
    """
    try:
        _SCHEMA.validate_python(trial)
    except ValidationError as error:
        raise ValueError(sentence(error)) from None
    if trial.state != "complete":
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


def default_trial(trials: Trials) -> TrialRecord:
    """The trial of the untuned defaults: the first, or its last retry if its worker died."""
    default = trials[0]
    for trial in trials:
        if trial.retry_of == default.number:
            default = trial
    return default
