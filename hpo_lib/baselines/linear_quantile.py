"""LINEAR_Q: a linear quantile regression of its own for each hour ahead and level, with an L1 penalty.

Minimises the mean pinball loss plus ``alpha`` times the sum of absolute weights (Koenker and Bassett, 1978; Belloni and
Chernozhukov, 2011) exactly, as a linear program. Only daily origins are learnt from, so that one regression is always
about one hour of day.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.linear_model import QuantileRegressor

from hpo_lib.baselines.contract import DesignForecaster, Opponent, origins_near_daily
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.design_matrix import Design, linear_features, make_design
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts

PENALTIES = (0.004, 0.01, 0.025, 0.06)
"""Candidates for ``alpha`` on standardised features and target."""

TRIED_STEPS = range(1, HORIZON, 4)
"""Hours ahead (from 0) on which the candidates are compared; all hours would cost four times as much."""


class LinearForecaster(DesignForecaster):
    """Weights and intercepts in the design's own units.

    Attributes:
        weights: [H, Q, F].
        intercepts: [H, Q].
    """

    best_step = 0

    def __init__(
        self, dataset: Dataset, penalty: float, *, steps: Iterable[int] = range(HORIZON), quick: bool = False
    ) -> None:
        super().__init__(dataset)
        self.penalty = penalty
        design = make_design(dataset, dataset.frame, origins_near_daily(dataset, 0, quick=quick))
        features = linear_features(design)
        self.weights = np.zeros((HORIZON, len(QUANTILE_LEVELS), features.shape[2]))
        self.intercepts = np.zeros((HORIZON, len(QUANTILE_LEVELS)))
        for step in steps:
            x, y = features[:, step], design.target[:, step]
            mean, spread, scale = x.mean(axis=0), x.std(axis=0), max(float(y.std()), 1e-12)
            varies = spread > 1e-9
            standardised = (x[:, varies] - mean[varies]) / spread[varies]
            for q, level in enumerate(QUANTILE_LEVELS):
                fitted = QuantileRegressor(quantile=level, alpha=penalty, solver="highs").fit(standardised, y / scale)
                self.weights[step, q, varies] = fitted.coef_ * scale / spread[varies]
                self.intercepts[step, q] = fitted.intercept_ * scale - self.weights[step, q] @ mean

    def normalised(self, design: Design) -> np.ndarray:
        features = linear_features(design)
        # Summed row by row: the last bits of a matrix product depend on how many rows are asked for.
        by_level = [(features * self.weights[:, q]).sum(axis=2) for q in range(len(QUANTILE_LEVELS))]
        return np.stack(by_level, axis=2) + self.intercepts


class LinearQuantile(Opponent):
    """The penalty is chosen on validation."""

    name = "LINEAR_Q"
    title = "Linear quantile regression"
    seeded = False

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"penalties": list(PENALTIES)}

    def fit(self, dataset: Dataset, *, seed: int = 0, refit: bool = False, quick: bool = False) -> LinearForecaster:
        def loss(penalty: float) -> float:
            tried = LinearForecaster(dataset, penalty, steps=TRIED_STEPS)
            tried.score_validation(dataset)
            steps = list(TRIED_STEPS)
            f = tried.validation
            return metrics.pinball(QuantileForecasts(f.values[:, steps], f.actual[:, steps], f.origins, f.levels))

        penalty = PENALTIES[-1] if quick else min(PENALTIES, key=loss)
        chosen = LinearForecaster(dataset, penalty, quick=quick)
        chosen.score_validation(dataset)
        if not refit:
            return chosen
        refitted = LinearForecaster(dataset.trained_through_validation(), penalty, quick=quick)
        refitted.validation = chosen.validation
        return refitted


OPPONENTS = {LinearQuantile.name: LinearQuantile()}
