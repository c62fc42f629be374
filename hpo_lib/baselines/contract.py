"""What a baseline promises, forecasts from feature tables, and models that learn nothing."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.information_set import Context
from hpo_lib.data.splits import Positions
from hpo_lib.families.feature_table import FeatureTable, level_floor, make_feature_table
from hpo_lib.families.linear_baseline import covers_seasons
from hpo_lib.families.models import (
    STANDARD,
    ByName,
    Forecaster,
    Model,
    Params,
    register,
    registered,
)
from hpo_lib.scoring.evaluation import naive_ahead
from hpo_lib.scoring.forecasts import QuantileForecasts


class Baseline(Model, ABC):
    """A model to compare the families with. It has no study: it tunes itself on validation."""

    kind = "baseline"
    settings: ClassVar[ByName]
    """Part of a stored training's key: all fixed choices of the model."""

    def fit(
        self,
        dataset: Dataset,
        *,
        seed: int = 0,
        quick: bool = False,
        like: Forecaster | None = None,
    ) -> "TableForecaster":
        """Train on the training split, with every choice made by pinball loss on validation.

        Args:
            dataset: the dataset.
            seed: equal seeds give equal models.
            quick: learn little, from a part of the origins of the same days, to see that everything
                works.
            like: what such a training returned: train on both splits, with its choices. This
                forecaster has an empty ``validation``: nothing is held out.
        """
        seasons = covers_seasons(dataset, STANDARD.season_years)
        if isinstance(like, TableForecaster):
            both_splits = dataset.trained_through_validation()
            return self.train(both_splits, seasons, seed, quick, like.choice)
        return self.train(dataset, seasons, seed, quick)

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

    @abstractmethod
    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        """[N, H, Q] quantiles of actual / level - 1 by what was learnt."""

    def restored(self, parts: ByName, params: Params, dataset: Dataset) -> "TableForecaster":
        seasons, state = parts.pop("seasons"), parts.pop("state")
        forecaster = TableForecaster(self, dataset, seasons, state)
        vars(forecaster).update(parts)
        return forecaster


@dataclass(eq=False)
class TableForecaster(Forecaster):
    """A forecaster that predicts normalised quantiles from a feature table.

    Attributes:
        baseline: which it is.
        dataset: what it was trained on.
        seasons: the table holds the time of year.
        state: what was learnt, in arrays and text.
        choice: what validation chose.
    """

    baseline: Baseline
    dataset: Dataset
    seasons: bool
    state: ByName
    choice: Any = None
    best_step: int = 0

    @cached_property
    def floor(self) -> float:
        """See `level_floor`."""
        return level_floor(self.dataset)

    def parts(self) -> ByName:
        return {"seasons": self.seasons, "state": self.state, "floor": self.floor}

    def predict(self, context: Context) -> QuantileForecasts:
        table = make_feature_table(self.dataset, context, self.floor, seasons=self.seasons)
        values = (1 + self.baseline.normalised(self.state, table)) * table.level[:, None, None]
        return QuantileForecasts.of_model(values, context.origins, self.lowest)


def baselines() -> dict[str, Baseline]:
    """All baselines that are trained, by name."""
    return {name: model for name, model in registered().items() if isinstance(model, Baseline)}


class SeasonalNaive(Model):
    """The hours of one season before, with an interval from the errors that this has made."""

    kind = "naive"

    def __init__(self, lag: int, colour: str, marker: str) -> None:
        self.lag, self.name, self.title = lag, f"NAIVE_{lag}H", f"Naive {lag} h"
        self.colour, self.marker = colour, marker

    def fit(self, dataset: Dataset) -> Forecaster:
        """A forecaster of this dataset."""
        return _NaiveForecaster(dataset, self.lag)


@dataclass(eq=False)
class _NaiveForecaster(Forecaster):
    dataset: Dataset
    lag: int
    best_step: int = 0

    def predict(self, context: Context) -> QuantileForecasts:
        return naive_ahead(self.dataset, context, self.lag)


class Mixture(Model):
    """Families and baselines with weights that move with the days, see `mixture`."""

    name, title, kind = "MIXTURE", "Mixture", "mixture"
    colour, marker = "#56B4E9", "P"


class Refitted(Model):
    """The linear baseline fitted again for each group of information that is hidden.

    It tells what information is worth, see `hpo_lib.benchmark.explain`.
    """

    name, title, kind = "REFITTED_LINEAR", "Linear baseline, refitted", "worth"
    colour, marker = "#222222", "X"


register(SeasonalNaive(24, "#777777", "x"))
register(SeasonalNaive(168, "#aaaaaa", "+"))
register(Mixture())
register(Refitted())
