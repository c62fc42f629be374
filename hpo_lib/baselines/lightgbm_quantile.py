"""LIGHTGBM_Q: gradient-boosted trees (Ke et al., 2017) with the pinball loss, one model per level, the step a feature.

The settings were chosen by validation pinball loss on the development splits of the real datasets, one change at a time
and with one seed, so differences of a percent mean little; docs/methodology.md says what was compared and what was not.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import lightgbm
import numpy as np

from hpo_lib.baselines.contract import DesignForecaster, Opponent, origins_near_daily
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.contract import STANDARD
from hpo_lib.families.design_matrix import Design, level_floor, make_design
from hpo_lib.families.linear_part import LinearPart, covers_seasons
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

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
    """One booster per level, with or without a linear part below them."""

    def __init__(
        self, dataset: Dataset, linear: LinearPart | None, boosters: list[lightgbm.Booster], rounds: list[int]
    ) -> None:
        super().__init__(dataset)
        self.linear, self.boosters, self.rounds = linear, boosters, rounds
        self.best_step = max(rounds)

    def normalised(self, design: Design) -> np.ndarray:
        expected = None if self.linear is None else self.linear.relative(design)
        rows = _rows(design, expected)
        predicted = [b.predict(rows, num_iteration=r) for b, r in zip(self.boosters, self.rounds, strict=True)]
        values = np.stack([np.asarray(value).reshape(design.target.shape) for value in predicted], axis=2)
        return values if expected is None else np.asarray(values + expected[:, :, None])


class LightgbmQuantile(Opponent):
    """The rounds of each level are chosen on validation by early stopping."""

    name = "LIGHTGBM_Q"
    title = "LightGBM"
    seeded = True
    linear_part: ClassVar[bool] = False

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**PARAMS, "near_hours": NEAR_HOURS, "linear_part": self.linear_part}

    def fit(self, dataset: Dataset, *, seed: int = 0, refit: bool = False, quick: bool = False) -> LightgbmForecaster:
        most = [QUICK_ROUNDS if quick else MAX_ROUNDS] * len(QUANTILE_LEVELS)
        seasons = covers_seasons(dataset, STANDARD.season_years)
        stopped = self._train(dataset, seed, most, seasons, stop_early=True, quick=quick)
        stopped.score_validation(dataset)
        if not refit:
            return stopped
        whole = dataset.trained_through_validation()
        refitted = self._train(whole, seed, stopped.rounds, seasons, stop_early=False, quick=quick)
        refitted.validation = stopped.validation
        return refitted

    def _train(
        self, dataset: Dataset, seed: int, rounds: list[int], seasons: bool, *, stop_early: bool, quick: bool
    ) -> LightgbmForecaster:
        origins = origins_near_daily(dataset, NEAR_HOURS, quick=quick)
        design = make_design(dataset, dataset.frame, origins)
        linear = LinearPart.of_design(design, level_floor(dataset), seasons=seasons) if self.linear_part else None
        train = _table(design, None if linear is None else linear.relative_in_training(design, origins))
        valid: list[lightgbm.Dataset] = []
        callbacks: list[Callable[..., Any]] = []
        if stop_early:
            seen = make_design(dataset, dataset.frame, dataset.validation_origins)
            valid.append(_table(seen, None if linear is None else linear.relative(seen), like=train))
            callbacks.append(lightgbm.early_stopping(PATIENCE, verbose=False))
        boosters, kept = [], []
        for level, most in zip(QUANTILE_LEVELS, rounds, strict=True):
            own = {"objective": "quantile", "metric": "quantile", "alpha": level, "seed": seed}
            steady = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "verbose": -1}
            booster = lightgbm.train({**PARAMS, **own, **steady}, train, most, valid_sets=valid, callbacks=callbacks)
            boosters.append(booster)
            kept.append(booster.best_iteration if stop_early else most)
        return LightgbmForecaster(dataset, linear, boosters, kept)


class LightgbmLinearQuantile(LightgbmQuantile):
    """The trees forecast the departure from the linear part that the families have too."""

    name = "LIGHTGBM_LINEAR_Q"
    title = "Linear + LightGBM"
    linear_part: ClassVar[bool] = True


def _rows(design: Design, expected: np.ndarray | None) -> np.ndarray:
    """[N H, F] the design's features and, if given, what the linear part expects [N, H]."""
    added = [] if expected is None else [expected[:, :, None]]
    features = np.concatenate([design.features, *added], axis=2)
    return features.reshape(-1, features.shape[2])


def _table(design: Design, expected: np.ndarray | None, like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    """What trees learn from or, with ``like``, are stopped by: there the loss is one in the target's unit."""
    return lightgbm.Dataset(
        _rows(design, expected),
        (design.target if expected is None else design.target - expected).ravel(),
        weight=None if like is None else np.repeat(design.level, design.target.shape[1]),
        reference=like,
        feature_name=[*design.names, *([] if expected is None else ["linear"])],
        free_raw_data=False,
        params={"verbose": -1},
    )


OPPONENTS = {opponent.name: opponent for opponent in (LightgbmQuantile(), LightgbmLinearQuantile())}
