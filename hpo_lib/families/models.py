"""What a model family promises, and the registry of families.

A family is one file in this folder. It defines a subclass of `Family` and registers one instance
with `register`.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from hpo_lib.data.context import Context
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.families.search_space import ONLY_WITH, RECIPE_SPACE, Dimension, is_drawn
from hpo_lib.scoring.forecasts import QuantileForecasts

Params = Mapping[str, int | float]
"""Hyperparameters of a network; fields of `Recipe` among them replace those of the recipe."""


@dataclass(frozen=True)
class Budget:
    """How much training one trial gets.

    Attributes: steps: optimiser steps; the learning-rate schedule spans them. batch_size: windows
        per step. checks: how often, evenly over the steps, the validation origins are scored; the
        best check's weights are kept. max_work: limit on steps times millions of weights, or None.
        A larger model gets fewer steps, so that no trial
            takes a hundred times as long as another. Unlike a limit in seconds it is the same on
            every machine.
        precision: Lightning's name of the number format used in training.
    """

    steps: int
    batch_size: int
    checks: int
    max_work: float | None = None
    precision: str = "32-true"

    def times(self, factor: float) -> "Budget":
        """The budget with so many times the steps."""
        work = None if self.max_work is None else self.max_work * factor
        return replace(self, steps=max(self.checks, round(self.steps * factor)), max_work=work)

    def steps_for(self, n_weights: int) -> int:
        """Steps for a model of ``n_weights`` trainable weights, at least one per check."""
        steps = (
            self.steps
            if self.max_work is None
            else min(self.steps, int(self.max_work / (n_weights / 1e6)))
        )
        return max(self.checks, steps)


@dataclass(frozen=True)
class Recipe:
    """How windows are made and drawn. A study of the ``wide`` space searches part of it.

    Attributes: level_hours: each window is normalised by the mean of the target over this many
        hours up to its origin; 0: no
            normalisation.
        near_hours: models learn from windows that start within this many hours of the hour of the
            daily forecasts; 12: from all.
        repeated_history: models also get inputs that repeat others: lags and rolling means of the
            target as past covariates and, in models without a future input, the calendar of the
            hours before the forecast day, and facts about a whole day in every hour instead of
            once.
        season_years: models see month and season only if the training split covers this many years.
            With fewer, a model cannot tell the season from other changes.
        same_hours: models with a future input get, beside each hour that is forecast, the target at
            the same hour of the last day, of a week before, and on average over the week. All of it
            is in their history anyway.
        linear_part: models forecast the residual of the linear baseline, see
            `hpo_lib.families.linear_baseline`. The field keeps its first name because stored
            records hold it.
        linear_penalty, linear_weeks: of the linear baseline, see there.
        calendar: networks see the calendar of the day ahead beyond its hours. Without it they only
            see what the linear baseline makes of it.
        steps_factor: the budget's steps are multiplied by it.
        thermal: where models see the temperature of the day ahead, they see the thermal memory,
            too, see `hpo_lib.families.weather_inputs`.
        residual_share: of the network's residual only the share is kept that validation supports,
            see `hpo_lib.families.training`.
    """

    level_hours: int
    near_hours: int
    repeated_history: bool
    season_years: float
    same_hours: bool
    linear_part: bool
    linear_penalty: float = 0.01
    linear_weeks: int = 1
    calendar: bool = True
    steps_factor: float = 1.0
    thermal: bool = True
    residual_share: bool = False

    def effective(self, dataset: Dataset) -> dict[str, Any]:
        """The fields as plain data, without what has no effect on a dataset."""
        fields = asdict(self)
        if dataset.weather is None:
            del fields["thermal"]
        return fields

    def updated(self, params: Mapping[str, Any]) -> tuple["Recipe", dict[str, Any]]:
        """The recipe with the fields that ``params`` name, and the other params: those of the
        network.
        """
        own = {field.name for field in fields(self)} & set(params)
        rest = {name: value for name, value in params.items() if name not in own}
        return replace(self, **{name: params[name] for name in own}), rest


RECIPES: Mapping[str, Recipe] = {
    "standard": Recipe(
        level_hours=24,
        near_hours=1,
        repeated_history=False,
        season_years=2,
        same_hours=True,
        linear_part=True,
        residual_share=True,
    ),
    "unshrunk": Recipe(
        level_hours=24,
        near_hours=1,
        repeated_history=False,
        season_years=2,
        same_hours=True,
        linear_part=True,
    ),
    "plain": Recipe(
        level_hours=0,
        near_hours=12,
        repeated_history=True,
        season_years=0,
        same_hours=False,
        linear_part=False,
    ),
}
"""``plain`` is the setting of the original HPO plan, ``unshrunk`` the standard before networks
could be held back.
"""

STANDARD = RECIPES["standard"]


def read_recipe(stored: Mapping[str, Any]) -> Recipe | None:
    """A recipe as a record holds it, also one from before a field was there; None if it has fields
    that are gone.
    """
    try:
        return Recipe(**stored)
    except TypeError:
        return None


OnCheck = Callable[[int, QuantileForecasts], None]
"""Is called after each check with the step and the validation forecasts; may raise to end the
training.
"""


class Forecaster(ABC):
    """A trained model of a family."""

    best_step: int
    """The step whose weights were kept; 0: the linear baseline alone was better than those of every
    check.
    """
    shares: tuple[float, float] | None = None
    """Kept shares of the network's residual, of the median and of the width; None: all of it was
    kept unasked.
    """
    validation: QuantileForecasts
    """Forecasts of every validation origin with the kept weights."""

    @abstractmethod
    def predict(self, context: Context) -> QuantileForecasts:
        """Quantile forecasts [N, H, Q] in the target's unit, without quantile crossing and without
        actuals.

        A window's forecast does not depend on the other windows of the context.
        """

    def forecasts(self, dataset: Dataset, origins: Positions) -> QuantileForecasts:
        """What it would have said at origins [N] of a dataset, beside what came: the one place
        where both meet.
        """
        return self.predict(dataset.context(origins)).with_actual(dataset.target)


class Family(ABC):
    """A model family: search space, untuned defaults, budgets, and training."""

    name: ClassVar[str]
    title: ClassVar[str]
    search_space: ClassVar[Mapping[str, Dimension]]
    defaults: ClassVar[Params]
    """Untuned parameters: the defaults of the family's library where the search space allows. Trial
    0 of a study.
    """
    budgets: ClassVar[Mapping[str, Budget]]
    """Preset name -> budget."""

    @abstractmethod
    def fit(
        self,
        params: Params,
        dataset: Dataset,
        budget: Budget,
        *,
        seed: int,
        recipe: Recipe = STANDARD,
        on_check: OnCheck | None = None,
    ) -> Forecaster:
        """Train on the training split and keep the weights with the lowest validation pinball loss."""

    @abstractmethod
    def refit(
        self,
        params: Params,
        dataset: Dataset,
        budget: Budget,
        *,
        like: Forecaster,
        seed: int,
        recipe: Recipe = STANDARD,
    ) -> Forecaster:
        """Train on the training and validation splits, for as many steps of the budget's schedule
        as validation chose.

        ``like`` was returned by `fit`; its ``best_step`` and ``shares`` are taken over. The
        forecaster has no ``validation``: nothing is held out.
        """

    def check_params(self, params: Mapping[str, object], source: str = "params") -> None:
        """Raise InputError unless ``params`` holds all names of the search space, with values
        inside it.

        Fields of the recipe that the wide space searches may be among them, with values inside
        that.
        """
        known = {**self.search_space, **RECIPE_SPACE}
        for name in params:
            if name not in known:
                raise InputError(
                    f"{source}: {self.name} has no hyperparameter {name!r}; {choices(name, known)}"
                )
            if not is_drawn(name, params):
                raise InputError(
                    f"{source}: {name} is given, but {ONLY_WITH[name]} is not true; remove one "
                    "of them"
                )
        for name, dimension in known.items():
            if name not in params and name in self.search_space:
                raise InputError(
                    f"{source}: hyperparameter {name!r} of {self.name} is missing; add it "
                    f"({dimension})"
                )
            if name in params and not dimension.contains(params[name]):
                raise InputError(f"{source}: {name} is {params[name]!r}, expected {dimension}")


_FAMILIES: dict[str, Family] = {}


def register(family: Family) -> Family:
    """Add a family to the registry. A name that is taken is an error."""
    if family.name in _FAMILIES:
        raise ValueError(f"two families are named {family.name}")
    _FAMILIES[family.name] = family
    return family


def family_names() -> tuple[str, ...]:
    """Names of all families, read from the files in this folder: no family's library is imported."""
    return tuple(sorted(file.stem.upper() for file in Path(__file__).parent.glob("*_q.py")))


def get_family(name: str) -> Family:
    """The family of that name. Its libraries are imported now and not before.

    Raises:
        InputError: no such family; the message names the nearest one.
    """
    if name not in family_names():
        raise unknown_family(name)
    if name not in _FAMILIES:
        importlib.import_module(f"hpo_lib.families.{name.lower()}")
    return _FAMILIES[name]


def unknown_family(name: str) -> InputError:
    """The error for a name that no family has."""
    return InputError(
        f"model is {name!r}, which is not a model family; {choices(name, family_names())}"
    )
