"""The study as its workers share it: which trial is whose, what counts, and what is tried again.

Exactly as many trials finish as were asked for, because one worker decides at a time, under a
lease, and a running trial counts until its worker is known to be dead.
"""

import functools
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import optuna
import pandas as pd
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from hpo_lib import stop_requests
from hpo_lib.errors import (
    MAKE_ROOM,
    NO_ANSWER,
    InputError,
    StudyError,
    WriteError,
    in_one_line,
    unwritable,
)
from hpo_lib.families.search_space import SearchSpace, is_drawn, is_whole
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import Lease, Liveness
from hpo_lib.records.read_write import Json, write_json
from hpo_lib.records.storage import Storage, damaged, distribution, quiet_optuna, trial_record
from hpo_lib.records.trial import TrialRecord, Trials
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.settings import Settings
from hpo_lib.study.first_trials import FirstTrial

MAX_ATTEMPTS = 3
"""Times that one configuration is tried when the worker dies during it; then the configuration
counts as failed.
"""

STARTUP_TRIALS = 6
"""Finished trials, first ones included, from which the sampler learns; docs/search.md
compares samplers.
"""

OUTAGE, PAUSE = 300.0, 2.0
"""Seconds for which a database may be silent, and between two attempts to reach it."""

T = TypeVar("T")


class LeaseLost(Exception):
    """Another worker decides now, because this one was paused for too long."""


@dataclass(eq=False)
class _Guarded:
    """A storage that checks before each write that its worker still holds the lease."""

    _storage: BaseStorage
    _lease: Lease

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("set_", "create_")) and not self._lease.held:
            raise LeaseLost
        return getattr(self._storage, name)


def _patient(ask: Callable[..., T]) -> Callable[..., T]:
    """Make a method of `TrialQueue` ask its storage again while a database does not answer.

    The method raises WriteError if the storage is a file, and StudyError if the database is silent
    for `OUTAGE`.
    """

    @functools.wraps(ask)
    def asking(self: "TrialQueue", *arguments: Any) -> T:
        silent_since: float | None = None
        while True:
            try:
                return ask(self, *arguments)
            except OSError as error:
                raise unwritable(error.filename or self.run.folder, error) from None
            except json.JSONDecodeError as error:
                raise damaged(self.stored.file, error) from None
            except (StorageInternalError, SQLAlchemyError) as error:
                why = in_one_line(error.__cause__ or error)
                if file := self.stored.file:
                    raise WriteError(
                        f"{file}: cannot be read or written ({why}); {MAKE_ROOM}"
                    ) from None
                if silent_since is None:
                    silent_since = time.monotonic()
                    print(f"The database does not answer ({why}); waiting up to {OUTAGE:.0f} s.")
                if time.monotonic() - silent_since > OUTAGE or stop_requests.requested():
                    raise StudyError(
                        f"{NO_ANSWER} ({why}); start it, or fix its URL; finished trials are "
                        f"kept, run again under job_id {self.run.job_id!r} to go on"
                    ) from None
                time.sleep(PAUSE)

    return asking


def _decision(decide: Callable[..., T]) -> Callable[..., T]:
    """Make a method of `TrialQueue` hold the lease while it decides, or decide again."""

    @functools.wraps(decide)
    def holding(self: "TrialQueue", *arguments: Any) -> T:
        while True:
            with suppress(LeaseLost, UpdateFinishedTrialError), self.lease, quiet_optuna():
                decided = decide(self, *arguments)
                if self.lease.held:
                    return decided

    return _patient(holding)


class TrialQueue:
    """One study in its storage, as one of its workers uses it; only it writes to the storage.

    Args:
        settings: of the study. It ends with as many trials, of all workers together, unless it
            settles.
        run: its files.
        space: the search space, a dimension after the one that it depends on.
    """

    def __init__(self, settings: Settings, run: RunPaths, space: SearchSpace) -> None:
        self.settings = settings
        self.run = run
        self.space = space
        self.stored = Storage(run, settings.storage)
        self.objectives = [OBJECTIVES[name] for name in settings.objectives.split(",")]
        self.liveness = Liveness(run, str(settings.worker))
        self.lease = Lease(run.decision_lease)

    @_decision
    def open(self, identity: Json, first: Sequence[FirstTrial]) -> list[FirstTrial]:
        """Create the study, or continue the existing one after checking that it is the same one.

        One that has settled goes on only if its settings say so.

        Returns:
            The study's first trials: ``first``, or those that it was begun with.

        Raises:
            InputError: the study was begun with other data or settings.
        """
        storage = optuna.storages.get_storage(self.stored.open())
        self.storage = cast(BaseStorage, _Guarded(storage, self.lease))
        self.study = optuna.create_study(
            study_name=self.run.study_name,
            storage=self.storage,
            directions=["minimize"] * len(self.objectives),
            load_if_exists=True,
        )
        begun_with = self.study.user_attrs.get("identity")
        if begun_with is None:
            self.study.set_metric_names([objective.name for objective in self.objectives])
            self.study.set_user_attr("first_trials", [asdict(trial) for trial in first])
            self.study.set_user_attr("identity", identity)
        else:
            before = _values(begun_with)
            now = _values(identity)
            for key in {**now, **before}:
                if before.get(key) != now.get(key):
                    raise InputError(
                        f"job_id {self.run.job_id!r} belongs to a study with {key} "
                        f"{before.get(key)!r}, now it is {now.get(key)!r}; results of different "
                        f"settings are not mixed: choose another job_id, or go back to that {key}"
                    )
        self.study.set_user_attr("trials_asked", self.settings.trials)
        if not self.settings.settle:
            self.study.set_user_attr("settled", None)
        self.first = [FirstTrial(**trial) for trial in self.study.user_attrs["first_trials"]]
        if not self._requeue():
            self.study.enqueue_trial(self.first[0].params)
        return self.first

    @property
    @_patient
    def settled(self) -> Json | None:
        """With how many ``trials`` and by what the study has settled, if it has."""
        return cast(Json | None, self.study.user_attrs.get("settled"))

    @property
    def ends_with(self) -> int:
        """So many finished trials the study ends with: all, or those that it settled with."""
        asked = self.settings.trials
        return min(asked, settled["trials"]) if (settled := self.settled) else asked

    @_patient
    def records(self) -> Trials:
        """All trials of all workers."""
        return [
            trial_record(trial, self.objectives) for trial in self.study.get_trials(deepcopy=False)
        ]

    @_decision
    def claim(self, settles: Json | None = None) -> Trial | None:
        """The next trial, with its parameters drawn; None while others run all that is left.

        Before that the study settles, once, if a worker ``settles`` it: with the trials that are
        finished or running now, so that it ends alike however its workers go on.

        The sampler is seeded from the number of configurations that were drawn before, so that no
        two workers draw with one seed, and a single worker that is resumed goes on as it would
        have.
        """
        self.liveness.renew()
        trials = self._requeue()
        taken = sum(
            trial.state == TrialState.RUNNING or trial_record(trial, self.objectives).finished
            for trial in trials
        )
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        # A retry that waits may yet complete.
        if settles and taken < self.settings.trials and not (self.settled or waiting):
            self.study.set_user_attr("settled", {"trials": taken, **settles})
        if taken >= self.ends_with:
            return None
        drawn = sum(
            "retry_of" not in trial.user_attrs and is_whole(_params(trial), self.space)
            for trial in trials
        )
        if drawn < len(self.first) and not waiting:
            self.study.enqueue_trial(self.first[drawn].params)
        digest = hashlib.sha256(f"{self.settings.seed}/{drawn}".encode()).digest()
        # The groups are the dimensions that are drawn together.
        self.study.sampler = optuna.samplers.TPESampler(
            seed=int.from_bytes(digest[:4], "big"),
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            group=True,
        )
        trial = self.study.ask()
        for name, dimension in self.space.items():
            if is_drawn(name, trial.params):
                trial._suggest(name, distribution(dimension))
        trial.set_user_attr("worker", self.liveness.identity)
        return trial

    @_decision
    def end(self, trial: Trial, seconds: float, attributes: Json) -> TrialRecord:
        """Store a trial's scores, from which its values follow, or why it has none.

        Without ``scores`` the attributes hold the ``cause``, and ``stopped_at`` where it was
        stopped early. If a worker presumed dead still finishes its trial, the result is discarded,
        and its record says ``interrupted``.
        """
        state = TrialState.PRUNED if "stopped_at" in attributes else TrialState.FAIL
        values = None
        if scores := attributes.get("scores"):
            state = TrialState.COMPLETE
            values = [objective.value(scores) for objective in self.objectives]
        self._finish(trial, state, values, seconds=seconds, **attributes)
        return trial_record(self.storage.get_trial(trial._trial_id), self.objectives)

    @_decision
    def interrupt(self, trial: Trial, asked_by: str) -> None:
        """End a trial that somebody asked to stop; it is tried again however often that is."""
        self._finish(trial, TrialState.FAIL, interrupted=True, asked_to_stop=asked_by)

    @_decision
    def write(self, content: Callable[[Trials], Json]) -> Json:
        """Write the study's JSON; a later writer writes what an earlier one did and more."""
        result = content(self.records())
        if self.lease.held:
            write_json(self.run.best_params, result)
        return result

    def _finish(
        self,
        trial: Trial | FrozenTrial,
        state: TrialState,
        values: list[float] | None = None,
        **attributes: Any,
    ) -> None:
        """End a trial, unless another worker has done so; only complete ones keep forecasts."""
        number = trial._trial_id
        if self.storage.get_trial(number).state == TrialState.RUNNING:
            for name, value in attributes.items():
                self.storage.set_trial_user_attr(number, name, value)
            self.storage.set_trial_state_values(number, state, values)
        if self.storage.get_trial(number).state != TrialState.COMPLETE:
            with suppress(OSError):
                self.run.trial_predictions(trial.number).unlink()

    def _requeue(self) -> list[FrozenTrial]:
        """All trials, after marking those of dead workers; some more may have been queued."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self.liveness.lives(trial.user_attrs.get("worker")):
                attributes: Json = {"interrupted": True}
                if (attempt := trial.user_attrs.get("attempt", 1)) >= MAX_ATTEMPTS:
                    attributes["cause"] = (
                        f"the worker died during this configuration {attempt} times, perhaps "
                        "for lack of memory"
                    )
                self._finish(trial, TrialState.FAIL, **attributes)
        trials = self.study.get_trials(deepcopy=False)
        retried = {trial.user_attrs.get("retry_of") for trial in trials}
        for trial in trials:
            attrs = trial.user_attrs
            if "interrupted" not in attrs or "cause" in attrs or trial.number in retried:
                continue
            # If the worker died while it drew the parameters, they are drawn again with the same
            # seed, see `claim`.
            if is_whole(_params(trial), self.space):
                attempt = attrs.get("attempt", 1) + ("asked_to_stop" not in attrs)
                self.study.enqueue_trial(
                    _params(trial), user_attrs={"retry_of": trial.number, "attempt": attempt}
                )
        return trials


def _values(identity: Json) -> dict[Any, Any]:
    """An identity with the fields of its budget and its recipe side by side.

    Of early stopping only whether there is any is compared: a study goes on with its own rule.
    """
    stopping = "off" if identity["early_stopping"] == "off" else "on"
    return pd.json_normalize({**identity, "early_stopping": stopping}).to_dict("records")[0]


def _params(trial: FrozenTrial) -> Json:
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}
