"""A trial as every reader sees it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from hpo_lib.checked import sentence


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
    params: Mapping[str, Any]
    mae: float = math.nan
    picp_penalty: float = math.nan
    scores: Mapping[str, float] = field(default_factory=dict)
    by_step: Mapping[str, list[float]] = field(default_factory=dict)
    cause: str = ""
    seconds: float = 0.0
    best_step: int = 0
    shares: tuple[float, float] | None = None
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


def check_trial(trial: TrialRecord) -> None:
    """Raise ValueError unless its values are of their types and, where it is complete, finite
    numbers.
    """
    try:
        _SCHEMA.validate_python(trial)
    except ValidationError as error:
        raise ValueError(sentence(error)) from None
    if trial.state == "complete":
        for name, value in {
            "mae": trial.mae,
            "picp_penalty": trial.picp_penalty,
            **trial.values,
            **trial.scores,
        }.items():
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}")


_SCHEMA = TypeAdapter(TrialRecord)


def default_trial(trials: Sequence[TrialRecord]) -> TrialRecord:
    """The trial of the untuned defaults: the first one, or its last retry if a worker died during
    it.
    """
    found = trials[0]
    for trial in trials:
        if trial.retry_of == found.number:
            found = trial
    return found
