"""Trains what the proof of a choice needs: the untuned defaults and their challengers again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import Budget, Family, Recipe
from hpo_lib.paths import RunPaths
from hpo_lib.records.choice import CHALLENGERS, FRESH_SEEDS, prove
from hpo_lib.records.files import load_predictions
from hpo_lib.records.leases import POLL, Lease
from hpo_lib.records.trainings import TrainingMissing, family_key, replicate, store
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.proof import DailyScores, daily_scores
from hpo_lib.stop_requests import StopRequested


@dataclass(frozen=True)
class Proof:
    """The proof of a study's choice, each of whose trainings is made once, by any of its workers.

    Attributes:
        run: the study's files.
        family: trains.
        dataset: of the study.
        budget: of its trials.
        recipe: of its trials.
        seed: of its trials; the fresh ones follow.
        small: one challenger and one fresh seed, to see that everything works.
    """

    run: RunPaths
    family: Family
    dataset: Dataset
    budget: Budget
    recipe: Recipe
    seed: int
    small: bool

    @cached_property
    def _scored(self) -> Callable[[int], DailyScores]:
        """The daily scores of a trial by its number, each computed once."""
        file, target = self.run.trial_predictions, self.dataset.known_target
        return cache(lambda number: daily_scores(load_predictions(file(number)), target))

    def stored(self, trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
        """The record's entry if all its trainings are stored, else None."""
        return self._prove(trials, lambda: True)

    def train(self, trials: Sequence[TrialRecord], must_stop: Callable[[], bool]) -> None:
        """Train what is missing, until ``must_stop`` says so between two trainings.

        Raises:
            StopRequested: during a training.
        """
        lease = Lease(self.run.proof_lease)
        while not lease.take():
            if must_stop():
                return
            time.sleep(POLL)
        try:
            self._prove(trials, must_stop)
        finally:
            lease.release()

    def _prove(
        self, trials: Sequence[TrialRecord], must_stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """The record's entry; None if it had to stop before a training that is missing."""
        params = {trial.number: trial.params for trial in trials}
        n_seeds, most = (1, 1) if self.small else (FRESH_SEEDS, CHALLENGERS)
        family, dataset, budget, recipe = self.family, self.dataset, self.budget, self.recipe

        def trained(number: int, seed: int) -> QuantileForecasts:
            key = family_key(family, params[number], budget, recipe, dataset, seed=seed)
            try:
                return replicate(self.run, number, seed, key)
            except TrainingMissing:
                if must_stop():
                    raise
            begun, failure, forecasts = time.monotonic(), "", {}
            try:
                fitted = family.fit(params[number], dataset, budget, seed=seed, recipe=recipe)
                forecasts["validation"] = fitted.validation
            except StopRequested:
                raise
            except Exception as error:  # of whichever library: it puts the challenger out
                failure = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            seconds = time.monotonic() - begun
            record = {"key": key, "cause": failure, "seconds": seconds}
            store(self.run.replicate(number, seed), record, **forecasts)
            print(f"Proof: trial {number} with seed {seed}: {failure or 'done'} ({seconds:.0f} s)")
            return replicate(self.run, number, seed, key)

        seeds = [self.seed + 1 + i for i in range(n_seeds)]
        try:
            return prove(trials, self._scored, most, seeds, trained, dataset.known_target)
        except TrainingMissing:
            return None
