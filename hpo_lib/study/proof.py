"""Trains what the proof of a choice needs: the untuned defaults and their challengers again."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from hpo_lib import stop_requests
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import Budget, Family, Params, Recipe
from hpo_lib.paths import RunPaths
from hpo_lib.records.choice import CHALLENGERS, FRESH_SEEDS, prove
from hpo_lib.records.files import load_predictions
from hpo_lib.records.leases import POLL, Lease
from hpo_lib.records.trainings import TrainingMissing, family_key, replicate, store
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.proof import daily_scores


class Proof:
    """The proof of a study's choice, each of whose trainings is made once, by any of its workers.

    Args:
        run: the study's files.
        family: trains.
        dataset: of the study.
        budget: of its trials.
        recipe: of its trials.
        seed: of its trials; the fresh ones follow.
        small: one challenger and one fresh seed, to see that everything works.
    """

    def __init__(
        self,
        run: RunPaths,
        family: Family,
        dataset: Dataset,
        budget: Budget,
        recipe: Recipe,
        seed: int,
        *,
        small: bool,
    ) -> None:
        self.run, self.family, self.dataset = run, family, dataset
        self.budget, self.recipe = budget, recipe
        self.seeds = [seed + 1 + i for i in range(1 if small else FRESH_SEEDS)]
        self.most = 1 if small else CHALLENGERS
        self.lease = Lease(run.proof_lease)
        self._scored = cache(
            lambda number: daily_scores(
                load_predictions(run.trial_predictions(number)), dataset.known_target
            )
        )

    def stored(self, trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
        """The record's entry if all its trainings are stored, else None."""
        return self._prove(trials, lambda: True)

    def train(self, trials: Sequence[TrialRecord], must_stop: Callable[[], bool]) -> None:
        """Train what is missing, until ``must_stop`` says so between two trainings.

        Raises:
            StopRequested: during a training.
        """
        while not self.lease.take():
            if must_stop():
                return
            time.sleep(POLL)
        try:
            self._prove(trials, must_stop)
        finally:
            self.lease.release()

    def _prove(
        self, trials: Sequence[TrialRecord], must_stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """The record's entry; None if it had to stop before a training that is missing."""
        params = {trial.number: trial.params for trial in trials}

        def trained(number: int, seed: int) -> QuantileForecasts:
            key = family_key(
                self.family, params[number], self.budget, self.recipe, self.dataset, seed=seed
            )
            try:
                return replicate(self.run, number, seed, key)
            except TrainingMissing:
                if must_stop():
                    raise
            self._train(number, params[number], seed, key)
            return replicate(self.run, number, seed, key)

        target = self.dataset.known_target
        try:
            return prove(trials, self._scored, self.most, self.seeds, trained, target)
        except TrainingMissing:
            return None

    def _train(self, number: int, params: Params, seed: int, key: dict[str, Any]) -> None:
        begun, cause, forecasts = time.monotonic(), "", {}
        try:
            fitted = self.family.fit(
                params, self.dataset, self.budget, seed=seed, recipe=self.recipe
            )
            forecasts["validation"] = fitted.validation
        except stop_requests.StopRequested:
            raise
        except Exception as error:  # whatever a library raises is kept: it puts the challenger out
            cause = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        seconds = time.monotonic() - begun
        record = {"key": key, "cause": cause, "seconds": seconds}
        store(self.run.replicate(number, seed), record, **forecasts)
        print(f"Proof: trial {number} with seed {seed}: {cause or 'done'} ({seconds:.0f} s)")
