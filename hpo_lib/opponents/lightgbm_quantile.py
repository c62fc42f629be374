"""LIGHTGBM_Q: gradient-boosted trees (Ke et al., 2017) with the pinball loss, one model per level, the step a feature.

The settings were chosen by validation pinball loss on the development splits of the real datasets, one change at a time
and with one seed, so differences of a percent mean little; docs/methodology.md says what was compared and what was not.
"""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np

from hpo_lib.data.load import Dataset
from hpo_lib.design import Design, make_design
from hpo_lib.forecasts import QUANTILE_LEVELS
from hpo_lib.opponents.base import DesignForecaster, Opponent, origins_near_daily

PARAMS: dict[str, Any] = {
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "extra_trees": True,
}
MAX_ROUNDS = 3000
QUICK_ROUNDS = 20
PATIENCE = 100
"""Rounds without a lower validation loss after which a level stops."""

NEAR_HOURS = 1
"""Origins learnt from: within this many hours of a daily one."""


class LightgbmForecaster(DesignForecaster):
    """One booster per level."""

    def __init__(self, dataset: Dataset, boosters: list[lightgbm.Booster], rounds: list[int]) -> None:
        super().__init__(dataset)
        self.boosters, self.rounds = boosters, rounds
        self.best_step = max(rounds)

    def normalised(self, design: Design) -> np.ndarray:
        rows = design.features.reshape(-1, len(design.names))
        predicted = [b.predict(rows, num_iteration=r) for b, r in zip(self.boosters, self.rounds, strict=True)]
        return np.stack([np.asarray(values).reshape(design.target.shape) for values in predicted], axis=2)


class LightgbmQuantile(Opponent):
    """The rounds of each level are chosen on validation by early stopping."""

    name = "LIGHTGBM_Q"
    title = "LightGBM"
    seeded = True

    def fit(self, dataset: Dataset, *, seed: int = 0, refit: bool = False, quick: bool = False) -> LightgbmForecaster:
        most = [QUICK_ROUNDS if quick else MAX_ROUNDS] * len(QUANTILE_LEVELS)
        stopped = _train(dataset, seed, most, stop_early=True, quick=quick)
        stopped.score_validation(dataset)
        if not refit:
            return stopped
        refitted = _train(dataset.trained_through_validation(), seed, stopped.rounds, stop_early=False, quick=quick)
        refitted.validation = stopped.validation
        return refitted


def _train(dataset: Dataset, seed: int, rounds: list[int], *, stop_early: bool, quick: bool) -> LightgbmForecaster:
    design = make_design(dataset, dataset.frame, origins_near_daily(dataset, NEAR_HOURS, quick=quick))
    train = lightgbm.Dataset(
        design.features.reshape(-1, len(design.names)),
        design.target.ravel(),
        feature_name=list(design.names),
        free_raw_data=False,
        params={"verbose": -1},
    )
    valid: list[lightgbm.Dataset] = []
    callbacks: list[Callable[..., Any]] = []
    if stop_early:
        seen = make_design(dataset, dataset.frame, dataset.validation_origins)
        valid.append(
            lightgbm.Dataset(
                seen.features.reshape(-1, len(seen.names)),
                seen.target.ravel(),
                weight=np.repeat(seen.level, seen.target.shape[1]),  # the loss in the target's unit
                reference=train,
            )
        )
        callbacks.append(lightgbm.early_stopping(PATIENCE, verbose=False))
    boosters, kept = [], []
    for level, most in zip(QUANTILE_LEVELS, rounds, strict=True):
        own = {"objective": "quantile", "metric": "quantile", "alpha": level, "seed": seed}
        steady = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "verbose": -1}
        booster = lightgbm.train({**PARAMS, **own, **steady}, train, most, valid_sets=valid, callbacks=callbacks)
        boosters.append(booster)
        kept.append(booster.best_iteration if stop_early else most)
    return LightgbmForecaster(dataset, boosters, kept)


OPPONENT = LightgbmQuantile()
