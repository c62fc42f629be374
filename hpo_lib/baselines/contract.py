"""What a baseline promises, forecasts from feature tables, and models that learn nothing."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.information_set import Context
from hpo_lib.data.splits import Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.families.feature_table import FeatureTable, make_feature_table
from hpo_lib.families.linear_baseline import covers_seasons
from hpo_lib.families.models import STANDARD, Forecaster, Model, model_names, register, registered
from hpo_lib.scoring.evaluation import naive_ahead
from hpo_lib.scoring.forecasts import QuantileForecasts


class Baseline(Model, ABC):
    """A model to compare the families with. It has no study: it tunes itself on validation."""

    kind = "baseline"
    settings: ClassVar[Mapping[str, Any]]
    """Part of a stored training's key: all fixed choices of the model."""

    def fit(
        self, dataset: Dataset, *, seed: int = 0, refit: bool = False, quick: bool = False
    ) -> "TableForecaster":
        """Train on the training split, with every choice made by pinball loss on validation.

        Args:
            dataset: the dataset.
            seed: equal seeds give equal models.
            refit: train again on training and validation split together, with the same choices. The
                forecaster's ``validation`` still comes from the first training, which has not seen
                these days.
            quick: learn little, from a part of the origins of the same days, to see that everything
                works.
        """
        seasons = covers_seasons(dataset, STANDARD.season_years)
        trained = self.train(dataset, seasons, seed, quick)
        trained.validation = trained.forecasts(dataset, dataset.validation_origins)
        if not refit:
            return trained
        both_splits = dataset.trained_through_validation()
        refitted = self.train(both_splits, seasons, seed, quick, trained.choice)
        refitted.validation = trained.validation
        return refitted

    @staticmethod
    def table(
        dataset: Dataset, seasons: bool, hours: int, quick: bool
    ) -> tuple[Positions, FeatureTable]:
        """Training origins within ``hours`` of a daily one, and their table.

        If quick, about 100 of them, spread evenly.
        """
        origins = dataset.training_origins(near_hours=hours)
        if quick:
            origins = origins[:: math.ceil(len(origins) / 100)]
        return origins, make_feature_table(dataset, dataset.windows(origins), seasons=seasons)

    @abstractmethod
    def train(
        self, dataset: Dataset, seasons: bool, seed: int, quick: bool, choice: Any = None
    ) -> "TableForecaster":
        """Train on the training split, with the ``choice`` of an earlier training or an own one.

        With ``seasons`` the forecaster sees the time of year, by the families' rule: only if
        training covers two years.
        """


@dataclass(eq=False)
class TableForecaster(Forecaster):
    """A forecaster that predicts normalised quantiles from a feature table.

    Attributes:
        dataset: what it was trained on.
        seasons: the table holds the time of year.
        normalised: feature table -> [N, H, Q] quantiles of actual / level - 1.
        choice: what validation chose.
    """

    dataset: Dataset
    seasons: bool
    normalised: Callable[[FeatureTable], np.ndarray]
    choice: Any = None
    best_step: int = 0

    def predict(self, context: Context) -> QuantileForecasts:
        table = make_feature_table(self.dataset, context, seasons=self.seasons)
        values = (1 + self.normalised(table)) * table.level[:, None, None]
        return QuantileForecasts.of_model(values, context.origins, self.dataset.lowest)


def baseline_names() -> tuple[str, ...]:
    """Names of all baselines that are trained."""
    return model_names("baseline")


def get_baseline(name: str) -> Baseline:
    """The baseline of that name."""
    baseline = registered().get(name)
    if not isinstance(baseline, Baseline):
        raise InputError(
            f"model is {name!r}, which is not a baseline; {choices(name, baseline_names())}"
        )
    return baseline


class SeasonalNaive(Model):
    """The hours of one season before, with an interval from the errors that this has made."""

    kind = "naive"

    def __init__(self, lag: int, colour: str, marker: str) -> None:
        self.lag, self.name, self.title = lag, f"NAIVE_{lag}H", f"Naive {lag} h"
        self.colour, self.marker = colour, marker

    def fit(self, dataset: Dataset) -> Forecaster:
        """A forecaster of this dataset, with forecasts of its validation origins."""
        forecaster = _NaiveForecaster(dataset, self.lag)
        forecaster.validation = forecaster.forecasts(dataset, dataset.validation_origins)
        return forecaster


@dataclass(eq=False)
class _NaiveForecaster(Forecaster):
    dataset: Dataset
    lag: int
    best_step: int = 0

    def predict(self, context: Context) -> QuantileForecasts:
        return naive_ahead(self.dataset, context, self.lag)


class Blend(Model):
    """The weighted mean of the families' quantiles, made from a benchmark's rows."""

    name, title, kind = "BLEND", "Blend", "blend"
    colour, marker = "#56B4E9", "P"


class BlendAll(Blend):
    """The same with the trained baselines."""

    name, title = "BLEND_ALL", "Blend, all"
    colour, marker = "#000000", "X"


register(SeasonalNaive(24, "#777777", "x"))
register(SeasonalNaive(168, "#aaaaaa", "+"))
register(Blend())
register(BlendAll())
