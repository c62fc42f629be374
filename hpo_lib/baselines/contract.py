"""What a baseline promises, forecasts from feature tables, and models that learn nothing."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.information_set import Context, Windows
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
        # By the families' rule; of a refit by what validation judged.
        seasons = covers_seasons(dataset, STANDARD.season_years)
        choice = None
        if isinstance(like, TableForecaster):
            dataset, choice = dataset.trained_through_validation(), like.choice
        forecaster = TableForecaster(self, dataset, seasons, {}, choice)
        self.train(forecaster, seed, quick)
        return forecaster

    @abstractmethod
    def train(self, forecaster: "TableForecaster", seed: int, quick: bool) -> None:
        """Fill the forecaster's ``state`` from its training split, and its ``choice`` if None."""

    @abstractmethod
    def normalised(self, state: ByName, table: FeatureTable) -> np.ndarray:
        """[N, H, Q] quantiles of actual / level - 1 by what was learnt."""

    def restored(self, parts: ByName, params: Params, dataset: Dataset) -> "TableForecaster":
        forecaster = TableForecaster(self, dataset, parts["seasons"], parts["state"])
        forecaster.floor = parts["floor"]
        return forecaster


@dataclass(eq=False)
class TableForecaster(Forecaster):
    """A forecaster that predicts normalised quantiles from a feature table.

    Attributes:
        baseline: which it is.
        dataset: what it is trained on.
        seasons: the table holds the time of year.
        state: what was learnt, in arrays and text.
        choice: what validation chose.
    """

    baseline: Baseline
    dataset: Dataset
    seasons: bool
    state: ByName
    choice: Any = None

    @cached_property
    def floor(self) -> float:
        """See `level_floor`."""
        return level_floor(self.dataset)

    def table(self, windows: Windows) -> FeatureTable:
        """What is known in the windows."""
        return make_feature_table(self.dataset, windows, self.floor, seasons=self.seasons)

    def training_table(self, hours: int, quick: bool) -> FeatureTable:
        """The table of the training origins within ``hours`` of a daily one.

        If quick, of about 100 of them, spread evenly.
        """
        origins = self.dataset.training_origins(near_hours=hours)
        if quick:
            origins = origins[:: math.ceil(len(origins) / 100)]
        return self.table(self.dataset.windows(origins))

    def parts(self) -> ByName:
        return {"seasons": self.seasons, "state": self.state, "floor": self.floor}

    def predict(self, context: Context) -> QuantileForecasts:
        table = self.table(context)
        values = (1 + self.baseline.normalised(self.state, table)) * table.level[:, None, None]
        return QuantileForecasts.of_model(values, context.origins, self.lowest)


def baselines() -> dict[str, Baseline]:
    """All baselines that are trained, by name."""
    return {name: model for name, model in registered().items() if isinstance(model, Baseline)}


class SeasonalNaive(Model):
    """The hours of one season before, with an interval from the errors that this has made."""

    kind = "naive"

    def __init__(self, lag: int, colour: str, marker: str) -> None:
        self.lag = lag
        self.name = f"NAIVE_{lag}H"
        self.title = f"Naive {lag} h"
        self.colour = colour
        self.marker = marker

    def fit(self, dataset: Dataset) -> Forecaster:
        """A forecaster of this dataset."""
        return _NaiveForecaster(dataset, self.lag)


@dataclass(eq=False)
class _NaiveForecaster(Forecaster):
    dataset: Dataset
    lag: int

    def predict(self, context: Context) -> QuantileForecasts:
        return naive_ahead(self.dataset, context, self.lag)


class Mixture(Model):
    """Families and baselines with weights that move with the days, see `mixture`."""

    name = "MIXTURE"
    title = "Mixture"
    kind = "mixture"
    colour = "#56B4E9"
    marker = "P"


class Refitted(Model):
    """The linear baseline fitted again for each group of information that is hidden.

    It tells what information is worth, see `hpo_lib.benchmark.explain`.
    """

    name = "REFITTED_LINEAR"
    title = "Linear baseline, refitted"
    kind = "worth"
    colour = "#222222"
    marker = "X"


register(SeasonalNaive(24, "#777777", "x"))
register(SeasonalNaive(168, "#aaaaaa", "+"))
register(Mixture())
register(Refitted())
