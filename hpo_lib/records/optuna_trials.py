"""optuna's trials and ours: dimensions become distributions, frozen trials `TrialRecord`s."""

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
from hpo_lib.records.trial import RESTORE, UNREADABLE, TrialRecord, check_trial
from hpo_lib.scoring.objectives import Objective, coverage_error


class JournalLock(JournalFileOpenLock):
    """Cuts off the half line of a killed writer, which would make the journal unreadable."""

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
    attributes, values = trial.user_attrs, dict[str, float]()
    if trial.state == TrialState.COMPLETE:
        names = (objective.name for objective in objectives)
        values = dict(zip(names, trial.values, strict=True))
    scores = attributes.get("scores", {})  # which studies of the original HPO plan lack
    pair = {**values, **({**scores, "picp_penalty": coverage_error(scores)} if scores else {})}
    state = _STATES[trial.state]
    if trial.state == TrialState.FAIL and "cause" not in attributes:
        state = "interrupted"
    return TrialRecord(
        trial.number,
        state,
        trial.params,
        pair.get("mae", math.nan),
        pair.get("picp_penalty", math.nan),
        scores,
        values=values,
        **{name: attributes[name] for name in _ATTRIBUTES if name in attributes},
    )


_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "stopped",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_ATTRIBUTES = (
    "by_step",
    "cause",
    "seconds",
    "best_step",
    "shares",
    "retry_of",
    "curve",
    "stopped_at",
)


def trial_records(
    study: optuna.study.Study, objectives: Sequence[Objective]
) -> tuple[TrialRecord, ...]:
    """All trials of a study with these objectives.

    Raises:
        InputError: one of them is damaged.
    """
    scored = ("picp",) if "identity" in study.user_attrs else ()  # not in those of the HPO plan
    trials = []
    for frozen in study.get_trials(deepcopy=False):
        try:
            trial = trial_record(frozen, objectives)
            check_trial(trial, scored)
        except UNREADABLE as error:
            raise InputError(
                f"study {study.study_name}: trial {frozen.number} is damaged in its storage "
                f"({in_one_line(error)}); {RESTORE}"
            ) from None
        trials.append(trial)
    return tuple(trials)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence optuna's announcements and warnings; a study reports itself."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
