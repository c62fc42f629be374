"""LIGHTGBM_Q, and LIGHTGBM_LINEAR_Q on the linear baseline: see `hpo_lib.families.trees`."""

from typing import ClassVar

import numpy as np

from hpo_lib.baselines.contract import Baseline, TableForecaster
from hpo_lib.families.feature_table import FeatureTable
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import ByName, register
from hpo_lib.families.trees import TREES, boosted, predicted
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

MAX_ROUNDS = 3000
QUICK_ROUNDS = 20

NEAR_HOURS = 1
"""Training origins are within this many hours of a daily one."""


class LightgbmQuantile(Baseline):
    """Early stopping on validation chooses the rounds of each level."""

    name = "LIGHTGBM_Q"
    title = "LightGBM"
    colour = "#CC79A7"
    marker = "D"
    seeded = True
    settings: ClassVar = {**TREES, "near_hours": NEAR_HOURS, "linear_part": False}

    def train(self, forecaster: TableForecaster, seed: int, quick: bool) -> None:
        table = forecaster.training_table(NEAR_HOURS, quick)
        linear = None
        validation = None
        if forecaster.choice is None:
            dataset = forecaster.dataset
            validation = forecaster.table(dataset.windows(dataset.validation_origins))
        if self.settings["linear_part"]:
            linear = LinearBaseline.of_table(table, LinearOptions(forecaster.seasons))
            table = table.residuals(linear.relative_out_of_fold(table))
            validation = validation and validation.residuals(linear.relative(validation))
        most = [QUICK_ROUNDS if quick else MAX_ROUNDS] * len(QUANTILE_LEVELS)
        rounds = dict(zip(QUANTILE_LEVELS, forecaster.choice or most, strict=True))
        boosters = boosted(table, rounds, validation, seed)
        forecaster.choice = forecaster.choice or [booster.best_iteration for booster in boosters]
        forecaster.best_step = max(forecaster.choice)
        # Of as many rounds as were best.
        trees = [booster.model_to_string() for booster in boosters]
        forecaster.state = {"linear": linear, "trees": trees}

    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        expected = np.zeros(table.target.shape)
        if state["linear"] is not None:
            expected = state["linear"].relative(table)
            table = table.residuals(expected)
        return np.stack([expected + predicted(trees, table) for trees in state["trees"]], axis=2)


class LightgbmLinearQuantile(LightgbmQuantile):
    """The trees forecast the residuals of the linear baseline, as the families do."""

    name = "LIGHTGBM_LINEAR_Q"
    title = "Linear + LightGBM"
    colour = "#882255"
    marker = "d"
    settings: ClassVar = {**LightgbmQuantile.settings, "linear_part": True}


register(LightgbmQuantile())
register(LightgbmLinearQuantile())
