"""The chosen configuration of a study, trained once more: a study keeps forecasts, not weights."""

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import RECIPES, Forecaster, get_family
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.settings import Settings

SAME_FORECAST_TOLERANCE = 1e-5
"""Forecasts that differ by less than this share of their mean size are equal: quantiles are stored
in float32.
"""


def train_again(study: StoredStudy, settings: Settings, data: Dataset) -> Forecaster:
    """The network that a study chose, from a training with the same seed and budget.

    Prints how far its forecasts are from the stored ones.
    """
    family = get_family(settings.model)
    forecaster = family.fit(
        study.chosen.params,
        data,
        family.budgets[settings.budget_name],
        seed=settings.seed,
        recipe=RECIPES[settings.recipe],
    )
    stored = study.predictions(study.chosen.number)
    print(same_forecasts(forecaster.validation, stored, data.spec.unit))
    return forecaster


def same_forecasts(again: QuantileForecasts, stored: QuantileForecasts, unit: str) -> str:
    """One line on how far the forecasts of a repeated training are from the stored ones."""
    difference = float(np.abs(again.values - stored.values).max())
    same = difference < SAME_FORECAST_TOLERANCE * float(np.abs(stored.values).mean())
    verdict = "the same network" if same else "not the same network: another device or version"
    return (
        f"Trained once more: forecasts differ from the stored ones by {difference:.2g} {unit} "
        f"at most ({verdict})."
    )
