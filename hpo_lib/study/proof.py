"""Trainings after the search: those that prove its choice, and the chosen network once more."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import (
    RECIPES,
    Budget,
    Family,
    Forecaster,
    OnCheck,
    Params,
    Recipe,
    get_family,
)
from hpo_lib.families.search_space import SearchSpace
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import POLL, Lease
from hpo_lib.records.read_write import Json, load_predictions
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import (
    TrainingFailed,
    TrainingMissing,
    family_key,
    is_stored,
    replicate,
    store,
)
from hpo_lib.records.trial import PROVEN, Proof, TrialRecord, Trials, default_trial, n_complete
from hpo_lib.scoring.uncertainty import DailyScores, daily_scores
from hpo_lib.settings import Settings
from hpo_lib.stop_requests import StopRequested

MIN_FINISHED, MIN_COMPLETE = 10, 5
"""Trials, the untuned defaults included, before anything is known of what more would bring."""


@dataclass(frozen=True)
class Trainings:
    """The trainings of a study: those of its trials, and those that prove its choice.

    Each of the latter is made once, by the worker that holds their lease, until it ``must_stop``.
    """

    settings: Settings
    dataset: Dataset
    must_stop: Callable[[], bool] = lambda: True

    @cached_property
    def family(self) -> Family:
        return get_family(self.settings.model)

    @cached_property
    def search_space(self) -> SearchSpace:
        """A dimension after the one that it depends on."""
        return self.family.searched(self.settings.space, self.dataset)

    @cached_property
    def run(self) -> RunPaths:
        """The study's files."""
        return self.settings.files(self.dataset.spec.name)

    @cached_property
    def budget(self) -> Budget:
        """Of every training."""
        return self.family.budgets[self.settings.budget_name]

    @property
    def recipe(self) -> Recipe:
        """Of every training, unless its params say otherwise."""
        return RECIPES[self.settings.recipe]

    def fit(self, params: Params, seed: int, on_check: OnCheck | None = None) -> Forecaster:
        """Train a configuration."""
        return self.family.fit(
            params, self.dataset, self.budget, seed=seed, recipe=self.recipe, on_check=on_check
        )

    @cached_property
    def _lease(self) -> Lease:
        return Lease(self.run.proof_lease)

    @cached_property
    def _proof(self) -> Proof:
        file = self.run.trial_predictions
        scales = self.dataset.scales
        scored = cache(lambda number: daily_scores(load_predictions(file(number)), scales))
        return Proof(self.settings.seed, self.settings.budget_name == "test", scored, self._trained)

    @property
    def proves(self) -> bool:
        """Whether the choice is one of those that are proven."""
        return self.settings.policy == PROVEN

    def prove(self, trials: Trials) -> None:
        """Train what is missing of the proof.

        Raises:
            StopRequested: during a training.
        """
        while not self._lease.take():
            if self.must_stop():
                return
            time.sleep(POLL)
        try:
            self.entry(trials)
        finally:
            self._lease.release()

    @property
    def may_settle(self) -> bool:
        """Whether the study ends once the other trials are not expected to pay."""
        return self.settings.settle and self.proves and not self._proof.small

    def settles(self, trials: Trials) -> Json | None:
        """By what a study settles, if the other trials are not expected to pay.

        The luck of seeds is known from the untuned defaults with fresh ones, which are trained here
        if they are missing, and serve the proof as well. None while another worker looks, or while
        nothing can be known.

        Raises:
            StopRequested: during a training.
        """
        finished = [trial.number for trial in trials if trial.finished]
        if len(finished) < MIN_FINISHED or n_complete(trials) < MIN_COMPLETE:
            return None
        if not default_trial(trials).complete or not self._lease.take():
            return None
        try:
            return self._proof.outlook(trials, finished, self.settings.trials)
        except (TrainingMissing, TrainingFailed):
            return None
        finally:
            self._lease.release()

    def entry(self, trials: Trials) -> Json | None:
        """The record's entry; None while one of its trainings is missing."""
        try:
            return self._proof.entry(trials)
        except TrainingMissing:
            return None

    def _trained(self, trial: TrialRecord, seed: int) -> DailyScores:
        """A trial with another seed, trained unless it is stored; raises as `replicate` does."""
        number = trial.number
        params = trial.params
        files = self.run.replicate(number, seed)
        key = family_key(self.family, params, self.budget, self.recipe, self.dataset, seed=seed)
        if not is_stored(files, key) and self._lease.held and not self.must_stop():
            begun = time.monotonic()
            failure = ""
            forecasts = {}
            try:
                forecasts["validation"] = self.fit(params, seed).validation
            except StopRequested:
                raise
            except Exception as error:  # of whichever library: it puts the challenger out
                failure = cause_of(error)
            seconds = time.monotonic() - begun
            store(files, {"key": key, "cause": failure, "seconds": seconds}, **forecasts)
            print(f"Proof: trial {number} with seed {seed}: {failure or 'done'} ({seconds:.0f} s)")
        return daily_scores(replicate(self.run, number, seed, key), self.dataset.scales)


def cause_of(error: Exception) -> str:
    """Why a training failed, as its record keeps it."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


SAME_FORECAST_TOLERANCE = 1e-5
"""Forecasts that differ by less than this share of their mean size are equal: quantiles are stored
in float32.
"""


def train_again(study: StoredStudy, settings: Settings, data: Dataset) -> Forecaster:
    """The network that a study chose, trained again with its seed: it keeps forecasts, not weights.

    Prints how far its forecasts are from the stored ones.
    """
    chosen = study.chosen
    forecaster = Trainings(settings, data).fit(chosen.params, settings.seed)
    stored = study.predictions(chosen.number).values
    difference = np.abs(forecaster.validation.values - stored).max()
    same = difference < SAME_FORECAST_TOLERANCE * np.abs(stored).mean()
    verdict = "the same network" if same else "not the same network: another device or version"
    print(
        f"Trained once more: forecasts differ from the stored ones by {difference:.2g} "
        f"{data.spec.unit} at most ({verdict})."
    )
    return forecaster
