"""LIGHTGBM_Q, and LIGHTGBM_LINEAR_Q on the linear baseline: see `hpo_lib.families.trees`."""

from typing import ClassVar

import numpy as np

from hpo_lib.baselines.contract import Baseline, TableForecaster
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.feature_table import FeatureTable, level_floor, make_feature_table
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
    colour, marker = "#CC79A7", "D"
    seeded = True
    settings: ClassVar = {
        **TREES,
        "near_hours": NEAR_HOURS,
        "linear_part": False,
    }

    def train(
        self,
        dataset: Dataset,
        seasons: bool,
        seed: int,
        quick: bool,
        choice: list[int] | None = None,
    ) -> TableForecaster:
        origins, table = self.table(dataset, seasons, NEAR_HOURS, quick)
        linear, expected = None, None
        if self.settings["linear_part"]:
            floor = level_floor(dataset)
            linear = LinearBaseline.of_table(table, origins, floor, LinearOptions(seasons))
            expected = linear.relative_out_of_fold(table, origins)
        rounds = choice or [QUICK_ROUNDS if quick else MAX_ROUNDS] * len(QUANTILE_LEVELS)
        by_level, held_out = dict(zip(QUANTILE_LEVELS, rounds, strict=True)), None
        if choice is None:
            windows = dataset.windows(dataset.validation_origins)
            validation = make_feature_table(dataset, windows, seasons=seasons)
            held_out = validation, None if linear is None else linear.relative(validation)
        boosters = boosted((table, expected), by_level, held_out, seed)
        best_rounds = choice or [booster.best_iteration for booster in boosters]
        # Of as many rounds as were best.
        state = {"linear": linear, "trees": [booster.model_to_string() for booster in boosters]}
        return TableForecaster(self, dataset, seasons, state, best_rounds, max(best_rounds))

    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        linear = state["linear"]
        expected = None if linear is None else linear.relative(table)
        values = [predicted(trees, table, expected) for trees in state["trees"]]
        return np.stack(values, axis=2) + (0 if expected is None else expected[:, :, None])


class LightgbmLinearQuantile(LightgbmQuantile):
    """The trees forecast the residuals of the linear baseline, as the families do."""

    name = "LIGHTGBM_LINEAR_Q"
    title = "Linear + LightGBM"
    colour, marker = "#882255", "d"
    settings: ClassVar = {**LightgbmQuantile.settings, "linear_part": True}


register(LightgbmQuantile())
register(LightgbmLinearQuantile())
