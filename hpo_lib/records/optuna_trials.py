"""optuna's trials and ours: a search space becomes distributions, a frozen trial becomes a
`TrialRecord`.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from hpo_lib.errors import InputError, in_one_line
from hpo_lib.families.search_space import Choice, Dimension, FloatRange, IntRange
from hpo_lib.records.schema import RESTORE, UNREADABLE
from hpo_lib.records.trial import TrialRecord, check_trial
from hpo_lib.scoring.objectives import Objective, coverage_error


class JournalLock(JournalFileOpenLock):
    """Cuts off the half line that a killed writer leaves, which would make the whole journal
    unreadable.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal

    def acquire(self) -> bool:
        """Wait for the lock, then look at the journal's end."""
        acquired = super().acquire()
        with self._journal.open("rb+") as stream:
            end = stream.seek(0, 2)
            at = end
            while at and (stream.seek(at - 1), stream.read(1))[1] != b"\n":
                at -= 1
            if at < end:
                stream.truncate(at)
        return acquired

    def release(self) -> None:
        """Give it up, unless this process was paused and another broke its lock."""
        with suppress(RuntimeError):
            super().release()


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension of a family's search space as optuna samples it."""
    match dimension:
        case IntRange(low, high):
            return IntDistribution(low, high)
        case FloatRange(low, high, log):
            return FloatDistribution(low, high, log=log)
        case Choice(options):
            return CategoricalDistribution(options)


def dimension(distribution: BaseDistribution) -> Dimension:
    """What optuna sampled from as a dimension of a search space; the inverse of `distribution`."""
    match distribution:
        case IntDistribution():
            return IntRange(distribution.low, distribution.high)
        case FloatDistribution():
            return FloatRange(distribution.low, distribution.high, distribution.log)
        case CategoricalDistribution():
            return Choice(tuple(distribution.choices))  # type: ignore[arg-type]  # families choose among numbers
    raise TypeError(f"{distribution} is none of the distributions that `distribution` makes")


def trial_record(trial: FrozenTrial, objectives: Sequence[Objective]) -> TrialRecord:
    """A trial of the storage of a study with these objectives as every reader sees it."""
    attrs = trial.user_attrs
    scores = attrs.get("scores", {})
    values = dict[str, float]()
    if trial.state == TrialState.COMPLETE:
        values = {
            objective.name: value for objective, value in zip(objectives, trial.values, strict=True)
        }
    pair = {
        **values,
        **({"mae": scores["mae"], "picp_penalty": coverage_error(scores)} if scores else {}),
    }
    return TrialRecord(
        number=trial.number,
        state=_state(trial),
        params=trial.params,
        mae=pair.get("mae", math.nan),
        picp_penalty=pair.get("picp_penalty", math.nan),
        values=values,
        scores=scores,
        by_step=attrs.get("by_step", {}),
        cause=attrs.get("cause", ""),
        seconds=attrs.get("seconds", 0.0),
        best_step=attrs.get("best_step", 0),
        shares=None if attrs.get("shares") is None else (attrs["shares"][0], attrs["shares"][1]),
        retry_of=attrs.get("retry_of"),
        curve=attrs.get("curve", ()),
        stopped_at=attrs.get("stopped_at"),
    )


def trial_records(
    study: optuna.study.Study, objectives: Sequence[Objective]
) -> tuple[TrialRecord, ...]:
    """All trials of a study with these objectives.

    Raises:
        InputError: one of them is damaged.
    """
    found, scored = (
        [],
        "identity" in study.user_attrs,
    )  # which the studies of the original HPO plan lack
    for trial in study.get_trials(deepcopy=False):
        try:
            found.append(trial_record(trial, objectives))
            check_trial(found[-1])
            if scored and found[-1].state == "complete" and "picp" not in found[-1].scores:
                raise ValueError("it is complete without a PICP")
        except UNREADABLE as error:
            why = in_one_line(error)
            raise InputError(
                f"study {study.study_name}: trial {trial.number} is damaged in its storage "
                f"({why}); {RESTORE}"
            ) from None
    return tuple(found)


def _state(trial: FrozenTrial) -> str:
    if trial.state == TrialState.FAIL:
        return "failed" if "cause" in trial.user_attrs else "interrupted"
    return {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "stopped",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
    }[trial.state]


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna announces studies and trials on stderr, and warns of what is experimental; the study
    reports itself.
    """
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
