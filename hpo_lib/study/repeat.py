"""The chosen configuration of a study, trained once more: a study keeps forecasts, not weights."""

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import RECIPES, Forecaster, get_family
from hpo_lib.records.study import StoredStudy
from hpo_lib.settings import Settings

SAME_FORECAST_TOLERANCE = 1e-5
"""Forecasts that differ by less than this share of their mean size are equal: quantiles are stored
in float32.
"""


def train_again(study: StoredStudy, settings: Settings, data: Dataset) -> Forecaster:
    """The network that a study chose, from a training with the same seed and budget.

    Prints how far its forecasts are from the stored ones.
    """
    family, chosen = get_family(settings.model), study.chosen
    budget, recipe = family.budgets[settings.budget_name], RECIPES[settings.recipe]
    forecaster = family.fit(chosen.params, data, budget, seed=settings.seed, recipe=recipe)
    stored = study.predictions(chosen.number).values
    difference = np.abs(forecaster.validation.values - stored).max()
    same = difference < SAME_FORECAST_TOLERANCE * np.abs(stored).mean()
    verdict = "the same network" if same else "not the same network: another device or version"
    print(
        f"Trained once more: forecasts differ from the stored ones by {difference:.2g} "
        f"{data.spec.unit} at most ({verdict})."
    )
    return forecaster
