"""LINEAR_Q, a linear quantile regression, and RESIDUAL_LINEAR, the families' linear baseline alone.

The latter, with the interval of its out-of-fold residuals, is step 0 of every network that
forecasts residuals: a network that is not better has earned nothing.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from hpo_lib.baselines.contract import Baseline, TableForecaster, learnt_origins, shows_seasons
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HORIZON, Positions
from hpo_lib.families.feature_table import FeatureTable, linear_features, make_feature_table
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import STANDARD, register
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts

PENALTIES = (0.004, 0.01, 0.025, 0.06)
"""Candidates for ``alpha`` on standardised features and target."""

TRIED_STEPS = range(1, HORIZON, 4)
"""Hours ahead (from 0) on which the candidates are compared; all hours would take four times as
long.
"""


class LinearForecaster(TableForecaster):
    """Weights and intercepts in the feature table's units.

    Attributes:
        weights: [H, Q, F].
        intercepts: [H, Q].
    """

    best_step = 0

    def __init__(
        self,
        dataset: Dataset,
        origins: Positions,
        penalty: float,
        seasons: bool,
        steps: Iterable[int] = range(HORIZON),
    ) -> None:
        from sklearn.linear_model import QuantileRegressor  # slow to import

        super().__init__(dataset, seasons)
        self.penalty = penalty
        table = make_feature_table(dataset, dataset.windows(origins))
        features = linear_features(table, seasons=self.seasons)
        self.weights = np.zeros((HORIZON, len(QUANTILE_LEVELS), features.shape[2]))
        self.intercepts = np.zeros((HORIZON, len(QUANTILE_LEVELS)))
        for step in steps:
            x, y = features[:, step], table.target[:, step]
            mean, spread, scale = x.mean(axis=0), x.std(axis=0), max(float(y.std()), 1e-12)
            varies = spread > 1e-9
            standardised = (x[:, varies] - mean[varies]) / spread[varies]
            for q, level in enumerate(QUANTILE_LEVELS):
                fitted = QuantileRegressor(quantile=level, alpha=penalty, solver="highs").fit(
                    standardised, y / scale
                )
                self.weights[step, q, varies] = fitted.coef_ * scale / spread[varies]
                self.intercepts[step, q] = fitted.intercept_ * scale - self.weights[step, q] @ mean

    def normalised(self, table: FeatureTable) -> np.ndarray:
        features = linear_features(table, seasons=self.seasons)
        # Summed row by row: the last bits of a matrix product depend on how many rows are asked
        # for.
        by_level = [
            (features * self.weights[:, q]).sum(axis=2) for q in range(len(QUANTILE_LEVELS))
        ]
        return np.stack(by_level, axis=2) + self.intercepts


class LinearQuantile(Baseline):
    """The penalty is chosen on validation."""

    name = "LINEAR_Q"
    title = "Linear quantile"
    colour, marker = "#E69F00", "v"
    settings: ClassVar = {"penalties": list(PENALTIES)}

    def train(
        self, dataset: Dataset, seed: int, quick: bool, chosen: Any = None
    ) -> LinearForecaster:
        seasons, origins = shows_seasons(dataset, chosen), learnt_origins(dataset, 0, quick=quick)

        def loss(penalty: float) -> float:
            tried, steps = (
                LinearForecaster(dataset, origins, penalty, seasons, TRIED_STEPS),
                list(TRIED_STEPS),
            )
            f = tried.forecasts(dataset, dataset.validation_origins)
            return metrics.pinball(
                QuantileForecasts(f.values[:, steps], f.actual[:, steps], f.origins, f.levels)
            )

        penalty = (
            chosen.penalty
            if chosen is not None
            else PENALTIES[-1]
            if quick
            else min(PENALTIES, key=loss)
        )
        return LinearForecaster(dataset, origins, penalty, seasons)


class ResidualLinearForecaster(TableForecaster):
    """The linear baseline as a forecaster."""

    best_step = 0

    def __init__(self, dataset: Dataset, linear: LinearBaseline) -> None:
        super().__init__(dataset, linear.options.seasons)
        self.linear = linear

    def normalised(self, table: FeatureTable) -> np.ndarray:
        return np.asarray(self.linear.relative(table)[:, :, None] + self.linear.errors)


class ResidualLinear(Baseline):
    """Nothing is chosen on validation: penalty and origins are those of the standard recipe."""

    name = "RESIDUAL_LINEAR"
    title = "Linear baseline"
    colour, marker = "#999933", "<"
    settings: ClassVar = {"near_hours": STANDARD.near_hours, "penalty": STANDARD.linear_penalty}

    def train(
        self, dataset: Dataset, seed: int, quick: bool, chosen: Any = None
    ) -> ResidualLinearForecaster:
        origins = dataset.training_origins(near_hours=STANDARD.near_hours)
        options = LinearOptions(shows_seasons(dataset, chosen), STANDARD.linear_penalty)
        return ResidualLinearForecaster(dataset, LinearBaseline.fit(dataset, origins, options))


register(LinearQuantile())
register(ResidualLinear())
