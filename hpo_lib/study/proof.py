"""Trains what the proof of a choice needs: the untuned defaults and their challengers again, with
fresh seeds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from hpo_lib import stop_requests
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import Budget, Family, Recipe
from hpo_lib.paths import RunPaths
from hpo_lib.records.choice import (
    CHALLENGERS,
    FRESH_SEEDS,
    ReplicateMissing,
    challengers,
    prove,
    stored_replicate,
    write_replicate,
)
from hpo_lib.records.files import load_predictions
from hpo_lib.records.leases import POLL, Lease
from hpo_lib.records.trial import TrialRecord, default_trial
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.proof import daily_scores


class Proof:
    """The proof of a study's choice, of whose trainings each is made once, by whichever worker
    comes first.

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
        self.run, self.family, self.dataset, self.budget, self.recipe = (
            run,
            family,
            dataset,
            budget,
            recipe,
        )
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
        try:
            return self._prove(
                trials,
                lambda trial, seed: stored_replicate(
                    self.run, trial.number, seed, self._key(trial, seed)
                ),
            )
        except ReplicateMissing:
            return None

    def train(self, trials: Sequence[TrialRecord], must_stop: Callable[[], bool]) -> None:
        """Train what is missing, unless ``must_stop`` says between two trainings that it has to
        end.

        Raises:
            StopRequested: during a training.
        """
        while not self.lease.take():
            if must_stop():
                return
            time.sleep(POLL)
        try:
            self._prove(trials, lambda trial, seed: self._replicate(trial, seed, must_stop))
        except ReplicateMissing:  # it had to stop
            return
        finally:
            self.lease.release()

    def _prove(
        self,
        trials: Sequence[TrialRecord],
        replicate: Callable[[TrialRecord, int], QuantileForecasts],
    ) -> dict[str, Any]:
        by_number = {trial.number: trial for trial in trials}
        challenging, cause = challengers(trials, self._scored, self.most)
        return prove(
            default_trial(trials).number,
            challenging,
            cause,
            self.seeds,
            lambda number, seed: replicate(by_number[number], seed),
            self.dataset.known_target,
        )

    def _key(self, trial: TrialRecord, seed: int) -> Mapping[str, Any]:
        splits = self.dataset.spec.splits
        return {
            "model": self.family.name,
            "version": self.family.version,
            "params": dict(trial.params),
            "seed": seed,
            "budget": asdict(self.budget),
            "recipe": self.recipe.effective(self.dataset),
            "data_sha256": self.dataset.sha256,
            "train_end": str(splits.train_end),
            "val_end": str(splits.val_end),
        }

    def _replicate(
        self, trial: TrialRecord, seed: int, must_stop: Callable[[], bool]
    ) -> QuantileForecasts:
        key = self._key(trial, seed)
        try:
            return stored_replicate(self.run, trial.number, seed, key)
        except ReplicateMissing:
            if must_stop():
                raise
        begun = time.monotonic()
        found: QuantileForecasts | str
        try:
            found = self.family.fit(
                trial.params, self.dataset, self.budget, seed=seed, recipe=self.recipe
            ).validation
        except stop_requests.StopRequested:
            raise
        except (
            Exception
        ) as error:  # whatever a library raises puts the challenger out, and is kept and shown
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        seconds = time.monotonic() - begun
        write_replicate(self.run, trial.number, seed, found, key=key, seconds=seconds)
        outcome = found if isinstance(found, str) else "done"
        print(f"Proof: trial {trial.number} with seed {seed}: {outcome} ({seconds:.0f} s)")
        return stored_replicate(self.run, trial.number, seed, key)
