"""The linear baseline: a linear model's forecast, whose residuals a network or trees forecast.

One regression per hour ahead with the smallest mean absolute error (Koenker and Bassett, 1978, at
the level 0.5), by iteratively reweighted least squares (Schlossmacher, 1973) with a small ridge
penalty. Networks are known to gain from a linear part (Zhang, 2003; Zeng et al., 2023). Here it is
fitted first, in a second, and then stays fixed.
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.feature_table import (
    FeatureTable,
    level_floor,
    linear_features,
    make_feature_table,
)
from hpo_lib.families.trees import boosted, predicted
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

PENALTY = 0.01
"""Of the squared weights of standardised features. On validation 0.003 to 0.03 differ by up to 1.3
% of MAE.
"""

ROUNDS = 7
"""Least-squares fits. Four change the validation MAE by +0.1 % on heat, -0.1 % on centrum and +0.5
% on tommerby.
"""

LARGEST = 3.0
"""Standard deviations at which a feature is cut off, so that one extreme hour does not cause an
extreme forecast.
"""

FOLDS = 5
"""Consecutive parts of the training split, each forecast by a regression on the others."""

MOST_TREES = 1000
"""Of a baseline, of which validation chooses how many are used. On six series it took 267 to 707,
or 1 and 2: there 300 cost 6 and 7 % of pinball loss.
"""

HOURS_OF_A_YEAR = 8760
MEDIAN = QUANTILE_LEVELS.index(0.5)


@dataclass(frozen=True)
class LinearOptions:
    """How a linear baseline is fitted.

    Attributes:
        seasons: the features include the time of year.
        penalty: ridge penalty, see `PENALTY`.
        weeks: of history that the features show.
        thermal: they include the thermal memory, see `hpo_lib.families.feature_table`.
        trees: so many gradient-boosted trees (Ke et al., 2017) at the most forecast the residuals
            of the regressions, and a network forecasts what both leave; 0: none. Validation, where
            there is any, chooses how many.
    """

    seasons: bool
    penalty: float = PENALTY
    weeks: int = 1
    thermal: bool = True
    trees: int = 0

    def table(self, dataset: Dataset, windows: Windows, floor: float) -> FeatureTable:
        """The feature table of N windows; ``floor`` is the smallest level."""
        return make_feature_table(
            dataset, windows, floor, seasons=self.seasons, weeks=self.weeks, thermal=self.thermal
        )


@dataclass(frozen=True)
class LinearBaseline:
    """Weights by hour ahead, fitted on the training split.

    ``relative`` values are divided by the recent level, less 1, as in a `FeatureTable`.

    Attributes:
        floor: the smallest level, see `hpo_lib.families.feature_table`.
        options: how it was fitted.
        centre, spread: [H, F] of the features.
        weights: [H, F] for standardised features.
        intercept: [H].
        errors: [H, Q] quantiles of the ``relative`` residuals out of fold, less their median: the
            interval.
        out_of_fold: [N, H] forecasts of the training origins in the target's unit, see
            `relative_out_of_fold`; empty without a fit of its own.
        trees: LightGBM's text of the trees; empty without them.
    """

    floor: float
    options: LinearOptions
    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    errors: np.ndarray
    out_of_fold: np.ndarray
    trees: str = ""

    @classmethod
    def fit(cls, dataset: Dataset, origins: np.ndarray, options: LinearOptions) -> "LinearBaseline":
        """From the training windows that start at the given origins [N], in ascending order."""
        floor = level_floor(dataset)
        columns = *dataset.past, *dataset.future
        key = dataset.spec, columns, dataset.sha256, floor, options, origins.tobytes()
        for frame, fitted_to, baseline in _last_fits:
            if frame is dataset.frame and fitted_to == key:
                return baseline
        table = options.table(dataset, dataset.windows(origins), floor)
        validation = None
        if options.trees and len(held_out := dataset.validation_origins):
            validation = options.table(dataset, dataset.windows(held_out), floor)
        unfolded = cls.of_table(table, options, validation)
        relative = unfolded.relative_out_of_fold(table)
        baseline = replace(
            unfolded.with_interval(table.target - relative),
            out_of_fold=(1 + relative) * table.level[:, None],
        )
        _last_fits.appendleft((dataset.frame, key, baseline))
        return baseline

    @classmethod
    def of_table(
        cls, table: FeatureTable, options: LinearOptions, validation: FeatureTable | None = None
    ) -> "LinearBaseline":
        """From a feature table with these options, without an interval.

        The table of ``validation`` chooses how many of the trees are used.
        """
        features = linear_features(table)
        centre = features.mean(axis=0)
        spread = features.std(axis=0)
        spread = np.where(spread > 1e-9, spread, 1.0)
        x = _standardised(features, centre, spread)
        regressions = [
            least_absolute(x[:, step], table.target[:, step], options.penalty)
            for step in range(HORIZON)
        ]
        weights, intercept = map(np.array, zip(*regressions, strict=True))
        linear = cls(
            table.floor,
            replace(options, trees=0),
            centre,
            spread,
            weights,
            intercept,
            errors=np.zeros((HORIZON, len(QUANTILE_LEVELS))),
            out_of_fold=np.empty((0, HORIZON)),
        )
        if not options.trees:
            return linear
        # Of residuals that the regressions have learnt from, trees would learn too little.
        learnt = table.residuals(linear.relative_out_of_fold(table))
        held_out = validation and validation.residuals(linear.relative(validation))
        (booster,) = boosted(learnt, {QUANTILE_LEVELS[MEDIAN]: options.trees}, held_out)
        options = replace(options, trees=booster.best_iteration or options.trees)
        return replace(linear, options=options, trees=booster.model_to_string())

    def quantiles(self, dataset: Dataset, windows: Windows) -> np.ndarray:
        """[N, H, Q] forecasts with an interval, in the target's unit, of the baseline alone."""
        table = self.options.table(dataset, windows, self.floor)
        relative = 1 + self.relative(table)[:, :, None] + self.errors
        return relative * table.level[:, None, None]

    def relative(self, table: FeatureTable) -> np.ndarray:
        """[N, H] forecasts of the rows of a feature table."""
        x = _standardised(linear_features(table), self.centre, self.spread)
        # Summed row by row: the last bits of a matrix product depend on how many rows are asked
        # for.
        relative = (x * self.weights).sum(axis=2) + self.intercept
        if not self.trees:
            return relative
        return relative + predicted(self.trees, table.residuals(relative))

    def with_interval(self, errors: np.ndarray) -> "LinearBaseline":
        """The same with the interval of these ``relative`` residuals [N, H]."""
        quantiles = np.quantile(errors, QUANTILE_LEVELS, axis=0).T
        return replace(self, errors=quantiles - quantiles[:, [MEDIAN]])

    def without_days(self) -> "LinearBaseline":
        """The same to be stored, which holds nothing of the training's days."""
        return replace(self, out_of_fold=np.empty((0, HORIZON)))

    def relative_out_of_fold(self, table: FeatureTable) -> np.ndarray:
        """[N, H] out-of-fold forecasts of the training origins, which are in chronological order.

        A regression fits its own days better than others, and a model that learns from such small
        residuals gives intervals that are too narrow. So each of `FOLDS` parts is forecast by a
        regression on the origins whose windows share no hour with it (cross-fitting).
        """
        expected = np.empty(table.target.shape)
        reach = self.options.weeks * HISTORY + HORIZON
        origins = table.origins
        for fold in np.array_split(np.arange(len(origins)), min(FOLDS, len(origins))):
            first, last = origins[fold[[0, -1]]]
            apart = (origins < first - reach) | (origins > last + reach)
            rest = self
            if apart.any():
                rest = LinearBaseline.of_table(table.rows(apart), self.options)
            expected[fold] = rest.relative(table.rows(fold))
        return expected


def _standardised(x: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """In their place: with a hundred covariates features of years are 200 MB."""
    x -= centre
    x /= spread
    return np.clip(x, -LARGEST, LARGEST, out=x)


_last_fits: deque[tuple[pd.DataFrame, tuple[object, ...], LinearBaseline]] = deque(maxlen=4)
"""Of this process: the trials of a study share few fits, each as long as a short training."""


def covers_seasons(dataset: Dataset, years: float) -> bool:
    """Whether training covers ``years``: with fewer, season and other changes look the same."""
    return dataset.positions.train.stop >= years * HOURS_OF_A_YEAR


def least_absolute(
    x: np.ndarray, y: np.ndarray, penalty: float = PENALTY
) -> tuple[np.ndarray, float]:
    """Weights [F] and intercept with a small mean of ``|y - x @ weights - intercept|`` and penalty.

    ``x`` [N, F] are standardised features, ``y`` is [N].
    """
    columns = np.column_stack([x, np.ones(len(x))])
    ridge = np.diag([penalty] * x.shape[1] + [0.0])
    weight = np.ones(len(y))
    fitted = np.zeros(len(ridge))
    for _ in range(ROUNDS):
        weighted = columns * (weight / weight.sum())[:, None]
        fitted = np.linalg.solve(weighted.T @ columns + ridge, weighted.T @ y)
        error = np.abs(y - columns @ fitted)
        # |e| as e^2 / |e|; below half the median error as in Huber's loss, or one point would take
        # all the weight.
        least = max(np.median(error) / 2, 1e-12)
        weight = least / np.maximum(error, least)
    return fitted[:-1], fitted[-1]
