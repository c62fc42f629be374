"""Gradient-boosted trees with the pinball loss (Ke et al., 2017), a model per quantile level.

The hour ahead is a feature, so one model serves all 24. The settings were chosen by validation
pinball loss on the development splits of the real datasets, one change at a time and with one seed,
so differences of a percent mean little. docs/baselines.md lists the comparisons.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpo_lib.data.splits import HORIZON
from hpo_lib.families.feature_table import FeatureTable

TREES = {
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "extra_trees": True,
}
STEADY = {
    "objective": "quantile",
    "metric": "quantile",
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
EARLY_STOPPING_ROUNDS = 100
"""Rounds without a lower validation loss after which a level stops."""


def boosted(
    learnt: FeatureTable,
    rounds: Mapping[float, int],
    validation: FeatureTable | None,
    seed: int | None = None,
) -> list[Any]:
    """A booster for each level of ``rounds``, which ``validation`` may stop before all of these."""
    import lightgbm  # slow to import

    def data(table: FeatureTable, **how: Any) -> lightgbm.Dataset:
        how |= {"free_raw_data": False, "params": {"verbose": -1}}
        return lightgbm.Dataset(_rows(table), table.target.ravel(), **how)

    train = data(learnt)
    stopping = dict[str, Any]()
    if validation is not None:
        weight = np.repeat(validation.level, HORIZON)  # the loss is in the target's unit
        valid = data(validation, weight=weight, reference=train)
        stop = lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)
        stopping = {"valid_sets": [valid], "callbacks": [stop]}
    return [
        lightgbm.train({**TREES, **STEADY, "alpha": level, "seed": seed}, train, most, **stopping)
        for level, most in rounds.items()
    ]


def predicted(trees: str, table: FeatureTable) -> np.ndarray:
    """[N, H] what trees, as LightGBM's text, forecast of a table."""
    import lightgbm

    values = lightgbm.Booster(model_str=trees).predict(_rows(table))
    return np.asarray(values).reshape(table.target.shape)


def _rows(table: FeatureTable) -> np.ndarray:
    """[N H, F] the features of each hour."""
    return table.features.reshape(-1, len(table.names))
