"""The linear part of a forecast: what a linear model expects, from which a network or trees forecast the departure.

One regression per hour ahead with the smallest mean absolute error (Koenker and Bassett, 1978, at the level 0.5), by
iteratively reweighted least squares (Schlossmacher, 1973) with a small ridge penalty. Networks are known to gain from a
linear part of their own (Zhang, 2003; Zeng et al., 2023); here it is fitted first, in a second, and stays as it is.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.design_matrix import Design, level_floor, linear_features, make_design

PENALTY = 0.01
"""Of the squared weights of standardised features. On validation 0.003 to 0.03 differ by up to 1.3 % of MAE."""

ROUNDS = 7
"""Least-squares fits. Four change the validation MAE by +0.1 % on heat, -0.1 % on centrum and +0.5 % on tommerby."""

LARGEST = 3.0
"""Standard deviations at which a feature is cut off, so that a freak hour does not make a freak forecast."""

FOLDS = 5
"""Stretches of the training split, each forecast by a regression on the others."""

HOURS_OF_A_YEAR = 8760


@dataclass(frozen=True)
class LinearPart:
    """Weights by hour ahead, fitted on the training split.

    Attributes:
        floor: the smallest level, see `hpo_lib.families.design_matrix`.
        seasons: the time of year is among the features.
        centre, spread: [H, F] of the features.
        weights: [H, F] for standardised features.
        intercept: [H].
    """

    floor: float
    seasons: bool
    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray

    @classmethod
    def fit(cls, dataset: Dataset, origins: np.ndarray, *, seasons: bool) -> "LinearPart":
        """From the windows of the training split that start at the given origins [N]."""
        floor = level_floor(dataset)
        return cls.of_design(make_design(dataset, dataset.frame, origins, floor), floor, seasons=seasons)

    @classmethod
    def of_design(cls, design: Design, floor: float, *, seasons: bool) -> "LinearPart":
        """From a design that was made with this ``floor``."""
        features = linear_features(design, seasons=seasons)
        centre, spread = features.mean(axis=0), features.std(axis=0)
        unfitted = cls(floor, seasons, centre, np.where(spread > 1e-9, spread, 1.0), centre * 0, centre[:, 0] * 0)
        x = unfitted._standardised(features)
        fitted = [least_absolute(x[:, step], design.target[:, step]) for step in range(HORIZON)]
        weights, intercept = np.stack([w for w, _ in fitted]), np.array([constant for _, constant in fitted])
        return replace(unfitted, weights=weights, intercept=intercept)

    def predict(self, dataset: Dataset, frame: pd.DataFrame, origins: np.ndarray) -> np.ndarray:
        """[N, H] the expected demand in the target's unit. The information set is that of `make_design`."""
        design = make_design(dataset, frame, origins, self.floor)
        return np.asarray((1 + self.relative(design)) * design.level[:, None])

    def predict_training(self, dataset: Dataset, origins: np.ndarray) -> np.ndarray:
        """[N, H] the same for the origins that it was fitted on, as in `relative_in_training`."""
        design = make_design(dataset, dataset.frame, origins, self.floor)
        return np.asarray((1 + self.relative_in_training(design, origins)) * design.level[:, None])

    def relative(self, design: Design) -> np.ndarray:
        """[N, H] the expected demand as a design has it, divided by the level, less 1."""
        x = self._standardised(linear_features(design, seasons=self.seasons))
        # Summed row by row: the last bits of a matrix product depend on how many rows are asked for.
        return np.asarray((x * self.weights).sum(axis=2) + self.intercept)

    def relative_in_training(self, design: Design, origins: np.ndarray) -> np.ndarray:
        """[N, H] the same for the origins that it was fitted on, in order of time, but not from what they show.

        A regression fits its own days better than others, and a model that learnt from departures that small would
        promise intervals that are too narrow. So each of `FOLDS` stretches is forecast by a regression on the
        origins whose windows share no hour with it (cross-fitting).
        """
        expected = np.empty(design.target.shape)
        for stretch in np.array_split(np.arange(len(origins)), min(FOLDS, len(origins))):
            first, last = origins[stretch[[0, -1]]]
            apart = (origins < first - HISTORY - HORIZON) | (origins > last + HISTORY + HORIZON)
            part = LinearPart.of_design(design.rows(apart), self.floor, seasons=self.seasons) if apart.any() else self
            expected[stretch] = part.relative(design.rows(stretch))
        return expected

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip((features - self.centre) / self.spread, -LARGEST, LARGEST))


def covers_seasons(dataset: Dataset, years: float) -> bool:
    """Whether the training split covers so many years: from fewer nobody can tell the season from whatever changed."""
    return bool(dataset.positions.train.stop - dataset.positions.train.start >= years * HOURS_OF_A_YEAR)


def least_absolute(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [F] and intercept that make the mean of ``|y - x @ weights - intercept|`` small, with a ridge penalty.

    Args:
        x: [N, F] standardised features.
        y: [N].
    """
    columns = np.column_stack([x, np.ones(len(x))])
    penalty = np.diag([PENALTY] * x.shape[1] + [0.0])
    weight, found = np.ones(len(y)), np.zeros(len(penalty))
    for _ in range(ROUNDS):
        weighted = columns * (weight / weight.sum())[:, None]
        found = np.linalg.solve(weighted.T @ columns + penalty, weighted.T @ y)
        error = np.abs(y - columns @ found)
        # |e| as e^2 / |e|; below half the median error as Huber has it, or one point would take all the weight.
        least = max(np.median(error) / 2, 1e-12)
        weight = least / np.maximum(error, least)
    return found[:-1], float(found[-1])
