"""LIGHTGBM_Q: gradient-boosted trees with the pinball loss, one model per quantile level.

Ke et al., 2017. The hour ahead is a feature, so one model serves all 24.
The settings were chosen by validation pinball loss on the development splits of the real datasets,
one change at a time and with one seed, so differences of a percent mean little. docs/methodology.md
lists the comparisons.
"""

from typing import Any, ClassVar

import numpy as np

from hpo_lib.baselines.contract import Baseline, TableForecaster
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.feature_table import FeatureTable, level_floor, make_feature_table
from hpo_lib.families.linear_baseline import (
    STEADY,
    TREES,
    LinearBaseline,
    LinearOptions,
    tree_features,
)
from hpo_lib.families.models import ByName, register
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

MAX_ROUNDS = 3000
QUICK_ROUNDS = 20
EARLY_STOPPING_ROUNDS = 100
"""Rounds without a lower validation loss after which a level stops."""

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
        import lightgbm  # slow to import

        origins, table = self.table(dataset, seasons, NEAR_HOURS, quick)
        linear, expected = None, None
        if self.settings["linear_part"]:
            options, floor = LinearOptions(seasons), level_floor(dataset)
            linear = LinearBaseline.of_table(table, origins, floor, options)
            expected = linear.relative_out_of_fold(table, origins)

        def data(table: FeatureTable, expected: np.ndarray | None, **how: Any) -> lightgbm.Dataset:
            residual = table.target if expected is None else table.target - expected
            how |= {"free_raw_data": False, "params": {"verbose": -1}}
            return lightgbm.Dataset(tree_features(table, expected), residual.ravel(), **how)

        train, stopping = data(table, expected), dict[str, Any]()
        rounds = choice or [QUICK_ROUNDS if quick else MAX_ROUNDS] * len(QUANTILE_LEVELS)
        if choice is None:
            windows = dataset.windows(dataset.validation_origins)
            validation = make_feature_table(dataset, windows, seasons=seasons)
            weight = np.repeat(validation.level, HORIZON)  # the loss is in the target's unit
            forecast = None if linear is None else linear.relative(validation)
            valid = data(validation, forecast, weight=weight, reference=train)
            stop = lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)
            stopping = {"valid_sets": [valid], "callbacks": [stop]}
        boosters = [
            lightgbm.train(
                {**TREES, **STEADY, "alpha": level, "seed": seed}, train, most, **stopping
            )
            for level, most in zip(QUANTILE_LEVELS, rounds, strict=True)
        ]
        best_rounds = choice or [booster.best_iteration for booster in boosters]

        trees = [
            booster.model_to_string(num_iteration=best)
            for booster, best in zip(boosters, best_rounds, strict=True)
        ]
        state = {"linear": linear, "trees": trees}
        return TableForecaster(self, dataset, seasons, state, best_rounds, max(best_rounds))

    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        import lightgbm

        linear: LinearBaseline | None = state["linear"]
        expected = None if linear is None else linear.relative(table)
        rows = tree_features(table, expected)
        values = [
            np.asarray(lightgbm.Booster(model_str=trees).predict(rows)).reshape(table.target.shape)
            for trees in state["trees"]
        ]
        above = 0 if expected is None else expected[:, :, None]
        return np.stack(values, axis=2) + above


class LightgbmLinearQuantile(LightgbmQuantile):
    """The trees forecast the residuals of the linear baseline, as the families do."""

    name = "LIGHTGBM_LINEAR_Q"
    title = "Linear + LightGBM"
    colour, marker = "#882255", "d"
    settings: ClassVar = {**LightgbmQuantile.settings, "linear_part": True}


register(LightgbmQuantile())
register(LightgbmLinearQuantile())
