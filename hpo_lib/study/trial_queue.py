"""The study as its workers share it: which trial is whose, what counts, and what is tried again.

Exactly as many trials finish as were asked for, because every decision is made by one worker at a time (`turn`) and a
trial that runs counts until its worker is known to be dead.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from hpo_lib.paths import RunPaths
from hpo_lib.records.files import write_json
from hpo_lib.records.optuna_trials import quiet_optuna, trial_record
from hpo_lib.records.storage import check_identity, open_storage
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.settings import Settings
from hpo_lib.study.liveness import Presence, turn

MAX_ATTEMPTS = 3
"""Times that one configuration is tried when the worker dies during it; then the configuration counts as failed."""


class Claims:
    """One study in its storage, seen by one of its workers.

    Args:
        settings: of the study; ``trials`` is the number of finished trials in the end, whoever ran them.
        paths: its files.
        presence: of this worker, entered.
        distributions: the search space.
    """

    def __init__(
        self, settings: Settings, paths: RunPaths, presence: Presence, distributions: Mapping[str, BaseDistribution]
    ) -> None:
        self.settings, self.paths, self.presence = settings, paths, presence
        self.distributions = dict(distributions)

    def open(self, identity: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        """Create the study, or take up the one that is there after checking that it is the same one.

        Raises:
            InputError: the study was begun with other data or settings.
        """
        with turn(self.paths), quiet_optuna():
            self.study = optuna.create_study(
                study_name=self.paths.study_name,
                storage=open_storage(self.settings.storage, self.paths),
                directions=[objective.direction for objective in OBJECTIVES.values()],
                load_if_exists=True,
            )
            begun_with = self.study.user_attrs.get("identity")
            if begun_with is None:
                self.study.set_metric_names(list(OBJECTIVES))
                self.study.set_user_attr("identity", dict(identity))
            else:
                check_identity({"early_stopping": "off", **begun_with}, identity, self.settings.job_id)
            self.study.set_user_attr("trials_asked", self.settings.trials)
            if not self._reclaim():
                self.study.enqueue_trial(dict(defaults))

    def records(self) -> list[TrialRecord]:
        """All trials of all workers."""
        return [trial_record(trial) for trial in self.study.get_trials(deepcopy=False)]

    def claim(self) -> Trial | None:
        """The next trial for this worker, with its parameters drawn, or None while others run all that is left.

        The sampler is seeded anew from the number of configurations that were drawn before, so that no two workers
        draw with one seed, and a single worker that is resumed goes on as it would have.
        """
        with turn(self.paths), quiet_optuna():
            trials = self._reclaim()
            taken = sum(trial_record(trial).finished or trial.state == TrialState.RUNNING for trial in trials)
            if taken >= self.settings.trials:
                return None
            drawn = sum("retry_of" not in trial.user_attrs and self._is_drawn(trial) for trial in trials)
            digest = hashlib.sha256(f"{self.settings.seed}/{drawn}".encode()).digest()
            self.study.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4], "big"))
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("worker", self.presence.identity)
            return trial

    def end(
        self, trial: Trial, seconds: float, values: list[float] | None, attributes: Mapping[str, Any]
    ) -> TrialRecord:
        """Store a trial's two values, or why it has none.

        Without values ``attributes`` hold the ``cause``, and ``stopped_at`` where it was stopped early.
        The record of a trial that others have meanwhile taken for dead and tried again says ``interrupted``: this
        result is dropped.
        """
        states = {True: None, False: TrialState.PRUNED if "stopped_at" in attributes else TrialState.FAIL}
        with turn(self.paths):
            if self._runs(trial):
                for name, value in {"seconds": seconds, **attributes}.items():
                    trial.set_user_attr(name, value)
                self.study.tell(trial, values, state=states[values is not None])
        return trial_record(self._stored(trial))

    def interrupt(self, trial: Trial, asked_by: str) -> None:
        """End a trial that somebody asked to stop; it will be tried again, however often that happens."""
        with turn(self.paths):
            if self._runs(trial):
                trial.set_user_attr("interrupted", True)
                trial.set_user_attr("asked_to_stop", asked_by)
                self.study.tell(trial, state=TrialState.FAIL)

    def reclaim(self) -> None:
        """Mark the trials of dead workers and queue them to be tried again."""
        with turn(self.paths):
            self._reclaim()

    def write(self, content: Callable[[list[TrialRecord]], dict[str, Any]]) -> dict[str, Any]:
        """Write the study's JSON; the worker whose turn is later writes what the earlier one did and more."""
        with turn(self.paths):
            result = content(self.records())
            write_json(self.paths.best_params, result)
        return result

    def _stored(self, trial: Trial) -> FrozenTrial:
        return self.study._storage.get_trial(trial._trial_id)

    def _runs(self, trial: Trial) -> bool:
        return self._stored(trial).state == TrialState.RUNNING

    def _is_drawn(self, trial: FrozenTrial) -> bool:
        return set(_params(trial)) == set(self.distributions)

    def _reclaim(self) -> list[FrozenTrial]:
        """All trials, after those that dead workers ran are marked; some more may have been queued."""
        storage = self.study._storage
        trials = self.study.get_trials(deepcopy=False)
        left = [t for t in trials if t.state == TrialState.RUNNING and not self._lives(t)]
        for trial in left:
            attempt = trial.user_attrs.get("attempt", 1)
            storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
            if attempt >= MAX_ATTEMPTS:
                cause = f"the worker died during this configuration {attempt} times, perhaps for want of memory"
                storage.set_trial_user_attr(trial._trial_id, "cause", cause)
            self.study.tell(trial.number, state=TrialState.FAIL)
        if left:
            trials = self.study.get_trials(deepcopy=False)
        retried = {trial.user_attrs.get("retry_of") for trial in trials}
        for trial in trials:
            if "interrupted" not in trial.user_attrs or trial.number in retried or "cause" in trial.user_attrs:
                continue
            # A worker that died while it drew parameters: they are drawn anew, with the same seed, see `claim`.
            if self._is_drawn(trial):
                attempt = trial.user_attrs.get("attempt", 1) + ("asked_to_stop" not in trial.user_attrs)
                self.study.enqueue_trial(_params(trial), user_attrs={"retry_of": trial.number, "attempt": attempt})
        return trials

    def _lives(self, trial: FrozenTrial) -> bool:
        return self.presence.lives(trial.user_attrs.get("worker"))


def _params(trial: FrozenTrial) -> dict[str, Any]:
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}
