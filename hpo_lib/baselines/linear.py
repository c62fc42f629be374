"""LINEAR_Q, a linear quantile regression, and RESIDUAL_LINEAR, the families' linear baseline alone.

The latter, with the interval of its out-of-fold residuals, is step 0 of every network that
forecasts residuals: a network that is not better has earned nothing.
"""

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hpo_lib.baselines.contract import Baseline, TableForecaster
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.feature_table import FeatureTable, linear_features
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import STANDARD, ByName, register
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts

PENALTIES = (0.004, 0.01, 0.025, 0.06)
"""Candidates for ``alpha`` on standardised features and target."""

TRIED_STEPS = list(range(1, HORIZON, 4))
"""Hours ahead (from 0) on which the candidates are compared; all hours would take four times as
long.
"""


class LinearQuantile(Baseline):
    """The penalty is chosen on validation."""

    name = "LINEAR_Q"
    title = "Linear quantile"
    colour = "#E69F00"
    marker = "v"
    settings: ClassVar = {"penalties": list(PENALTIES)}

    def train(self, forecaster: TableForecaster, seed: int, quick: bool) -> None:
        from sklearn.linear_model import QuantileRegressor  # slow to import

        table = forecaster.training_table(0, quick)
        features = linear_features(table)
        dataset = forecaster.dataset

        def fit_steps(penalty: float, steps: Iterable[int] = range(HORIZON)) -> None:
            """Regressions of some steps, in the table's units; 0 at the other steps."""
            weights = np.zeros((HORIZON, len(QUANTILE_LEVELS), features.shape[2]))
            intercepts = np.zeros((HORIZON, len(QUANTILE_LEVELS)))
            for step in steps:
                x = features[:, step]
                y = table.target[:, step]
                mean = x.mean(axis=0)
                spread = x.std(axis=0)
                scale = max(y.std(), 1e-12)
                varies = spread > 1e-9
                standardised = (x[:, varies] - mean[varies]) / spread[varies]
                for q, level in enumerate(QUANTILE_LEVELS):
                    regressor = QuantileRegressor(quantile=level, alpha=penalty, solver="highs")
                    regressor.fit(standardised, y / scale)
                    weights[step, q, varies] = regressor.coef_ * scale / spread[varies]
                    offset = weights[step, q] @ mean
                    intercepts[step, q] = regressor.intercept_ * scale - offset
            forecaster.state = {"weights": weights, "intercepts": intercepts}

        def loss(penalty: float) -> float:
            fit_steps(penalty, TRIED_STEPS)
            tried = forecaster.forecasts(dataset, dataset.validation_origins)
            values = tried.values[:, TRIED_STEPS]
            actual = tried.actual[:, TRIED_STEPS]
            return metrics.pinball(QuantileForecasts(values, actual, tried.origins))

        if forecaster.choice is None:
            forecaster.choice = PENALTIES[-1] if quick else min(PENALTIES, key=loss)
        fit_steps(forecaster.choice)

    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        features = linear_features(table)
        # Summed row by row: the last bits of a matrix product depend on how many rows are asked
        # for.
        by_level = [
            (features * of_level).sum(axis=2) for of_level in np.moveaxis(state["weights"], 1, 0)
        ]
        return np.stack(by_level, axis=2) + state["intercepts"]


class ResidualLinear(Baseline):
    """Nothing is chosen on validation: penalty and origins are those of the standard recipe."""

    name = "RESIDUAL_LINEAR"
    title = "Linear baseline"
    colour = "#999933"
    marker = "<"
    settings: ClassVar = {"near_hours": STANDARD.near_hours, "penalty": STANDARD.linear_penalty}

    def train(self, forecaster: TableForecaster, seed: int, quick: bool) -> None:
        origins = forecaster.dataset.training_origins(near_hours=STANDARD.near_hours)
        linear = LinearBaseline.fit(forecaster.dataset, origins, LinearOptions(forecaster.seasons))
        forecaster.state = {"linear": linear.without_days()}

    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        linear = state["linear"]
        return linear.relative(table)[:, :, None] + linear.errors


register(LinearQuantile())
register(ResidualLinear())
