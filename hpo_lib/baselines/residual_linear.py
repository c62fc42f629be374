"""RESIDUAL_LINEAR: the linear baseline of the families alone, with the interval of its out-of-fold residuals.

It is step 0 of every network that forecasts residuals: a network that is not better has earned nothing.
"""

from typing import Any, ClassVar

import numpy as np

from hpo_lib.baselines.contract import Baseline, TableForecaster, shows_seasons
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.contract import STANDARD
from hpo_lib.families.feature_table import FeatureTable
from hpo_lib.families.linear_baseline import LinearBaseline


class ResidualLinearForecaster(TableForecaster):
    """The linear baseline as a forecaster."""

    best_step = 0

    def __init__(self, dataset: Dataset, linear: LinearBaseline) -> None:
        super().__init__(dataset, linear.seasons)
        self.linear = linear

    def normalised(self, table: FeatureTable) -> np.ndarray:
        return np.asarray(self.linear.relative(table)[:, :, None] + self.linear.errors)


class ResidualLinear(Baseline):
    """Nothing is chosen on validation: penalty and origins are those of the families' standard recipe."""

    name = "RESIDUAL_LINEAR"
    version = 1
    title = "Linear baseline alone"
    seeded = False
    settings: ClassVar = {"near_hours": STANDARD.near_hours, "penalty": STANDARD.linear_penalty}

    def train(self, dataset: Dataset, seed: int, quick: bool, chosen: Any = None) -> ResidualLinearForecaster:
        origins = dataset.training_origins(near_hours=STANDARD.near_hours)
        linear = LinearBaseline.fit(
            dataset, origins, seasons=shows_seasons(dataset, chosen), penalty=STANDARD.linear_penalty
        )
        return ResidualLinearForecaster(dataset, linear)
