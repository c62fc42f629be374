"""The registry of models, and what a model family promises.

A model is one file in this folder (families, ``*_q.py``) or in `hpo_lib.baselines`, which registers
an instance with `register`. The file imports no library of its model before that is fitted.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.information_set import Context
from hpo_lib.data.splits import Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.families.search_space import (
    ONLY_WITH,
    RECIPE_SPACE,
    Dimension,
    SearchSpace,
    is_drawn,
    recipe_space,
)
from hpo_lib.scoring.forecasts import QuantileForecasts

ByName = dict[str, Any]
"""Values of any kind by their names."""

Params = Mapping[str, int | float]
"""Hyperparameters of a network; fields of `Recipe` among them replace those of the recipe."""


@dataclass(frozen=True)
class Budget:
    """How much training one trial gets.

    Attributes:
        steps: optimiser steps; the learning-rate schedule spans them.
        batch_size: windows per step.
        checks: how often, evenly over the steps, the validation origins are scored; the best
            check's weights are kept.
        max_work: limit on steps times millions of weights, or None. A larger model gets fewer
            steps, so that no trial takes a hundred times as long as another. Unlike a limit in
            seconds it is the same on every machine.
        precision: Lightning's name of the number format of trainings on a GPU.
    """

    steps: int
    batch_size: int
    checks: int
    max_work: float | None = None
    precision: str = "32-true"

    def times(self, factor: float) -> "Budget":
        """The budget with so many times the steps."""
        return replace(
            self,
            steps=max(self.checks, round(self.steps * factor)),
            max_work=self.max_work and self.max_work * factor,
        )

    def steps_for(self, n_weights: int) -> int:
        """Steps for a model of ``n_weights`` trainable weights, at least one per check."""
        steps = self.steps
        if self.max_work is not None:
            steps = min(steps, int(self.max_work / (n_weights / 1e6)))
        return max(self.checks, steps)


@dataclass(frozen=True)
class Recipe:
    """How windows are made and drawn. A study of the ``wide`` space searches part of it.

    Attributes:
        level_hours: each window is normalised by the mean of the target over this many hours up to
            its origin; 0: no normalisation.
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
        linear_penalty, linear_weeks, linear_trees: see
            `hpo_lib.families.linear_baseline.LinearOptions`.
        calendar: networks see the calendar of the day ahead beyond its hours. Without it they only
            see what the linear baseline makes of it.
        steps_factor: the budget's steps are multiplied by it.
        thermal: where models see the temperature of the day ahead, they see the thermal memory,
            too, see `hpo_lib.families.feature_table`.
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
    linear_trees: bool = False
    calendar: bool = True
    steps_factor: float = 1.0
    thermal: bool = True
    residual_share: bool = False

    def effective(self, dataset: Dataset) -> ByName:
        """The fields as plain data, without what has no effect on a dataset."""
        fields = self.stored()
        if dataset.weather is None:
            del fields["thermal"]
        return fields

    def stored(self) -> ByName:
        """The fields as a record holds them, see `read_recipe`."""
        fields = asdict(self)
        if not self.linear_trees:  # as in records before there were any
            del fields["linear_trees"]
        return fields

    def updated(self, params: Mapping[str, Any]) -> tuple["Recipe", ByName]:
        """The recipe with the fields that ``params`` name, and the params of the network."""
        names = vars(self).keys() & params
        network = {name: value for name, value in params.items() if name not in names}
        return replace(self, **{name: params[name] for name in names}), network


RECIPES = {
    "standard": Recipe(
        level_hours=24,
        near_hours=1,
        repeated_history=False,
        season_years=2,
        same_hours=True,
        linear_part=True,
        residual_share=True,
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
"""``plain`` is the setting of the original HPO plan."""

STANDARD = RECIPES["standard"]


def read_recipe(stored: Mapping[str, Any]) -> Recipe | None:
    """A recipe as a record holds it, maybe before a field was there; None if fields are gone."""
    try:
        return Recipe(**stored)
    except TypeError:
        return None


OnCheck = Callable[[int, QuantileForecasts], None]
"""Is called after each check with the step and the validation forecasts; may raise to end the
training.
"""


class Forecaster(ABC):
    """A trained model."""

    dataset: Dataset
    """What it was trained on."""
    best_step: int = 0
    """The step whose weights were kept; 0: the linear baseline alone was better than those of every
    check.
    """
    shares: tuple[float, float] | None = None
    """Kept shares of the network's residual, of the median and of the width; None: all of it was
    kept unasked.
    """

    @cached_property
    def validation(self) -> QuantileForecasts:
        """Forecasts of every validation origin with the kept weights."""
        return self.forecasts(self.dataset, self.dataset.validation_origins)

    @cached_property
    def lowest(self) -> float | None:
        """See `Dataset.lowest`."""
        return self.dataset.lowest

    def parts(self) -> ByName:
        """What was learnt, in tensors, arrays, plain values and text, for `Model.restored`."""
        raise NotImplementedError

    @abstractmethod
    def predict(self, context: Context) -> QuantileForecasts:
        """Quantile forecasts [N, H, Q] in the target's unit, sorted and without actuals.

        A window's forecast does not depend on the other windows of the context.
        """

    def forecasts(self, dataset: Dataset, origins: Positions) -> QuantileForecasts:
        """Forecasts at origins [N] of a dataset beside what came: the one place where both meet."""
        return self.predict(dataset.context(origins)).with_actual(dataset.target)


KINDS = "family", "baseline", "pretrained", "naive", "mixture", "worth"
"""Of models, in the order of legends and tables."""


class Model:
    """What figures and tables know of a model.

    The colours are colour-blind safe (Okabe and Ito, 2008); the markers, which are matplotlib's,
    tell models apart in print without colours.
    """

    name: str
    title: str
    """As it is printed."""
    colour: str = "#444444"
    marker: str = "."
    kind = ""
    """One of `KINDS`; empty for a model that a record names and the registry does not know."""
    seeded = False
    """Whether another seed gives another model."""

    def restored(self, parts: ByName, params: Params, dataset: Dataset) -> Forecaster:
        """The forecaster that had these `Forecaster.parts`."""
        raise NotImplementedError


class Family(Model, ABC):
    """A model family: search space, untuned defaults, budgets, and training of a `darts` model."""

    kind = "family"
    seeded = True
    calendar_as_past: bool
    """Whether the model has no future input of its own, see `WindowSource`."""
    search_space: ClassVar[SearchSpace]
    defaults: ClassVar[Params]
    """Untuned parameters: the defaults of the family's library where the search space allows and
    the network learns with them. Trial 0 of a study.
    """
    portfolio: ClassVar[Mapping[str, Params]] = {}
    """Series on which they won -> configurations of the wide space, which a study tries next.
    
    What they do not name is as in the untuned defaults of the standard recipe.
    """
    budgets: ClassVar[Mapping[str, Budget]]
    """Preset name -> budget."""

    @abstractmethod
    def darts_model(self, network: ByName, common: ByName) -> Any:
        """The untrained model; ``common`` holds the arguments that all families share.

        ``network`` holds the hyperparameters without those of the optimiser.
        """

    @abstractmethod
    def fit(
        self,
        params: Params,
        dataset: Dataset,
        budget: Budget,
        *,
        seed: int,
        recipe: Recipe = STANDARD,
        like: Forecaster | None = None,
        on_check: OnCheck | None = None,
    ) -> Forecaster:
        """Train on the training split; keep the weights with the lowest validation pinball loss.

        With ``like``, which such a training returned, train on both splits, for as many steps of
        the budget's schedule as validation chose there; its ``best_step`` and ``shares`` are taken
        over. This forecaster has an empty ``validation``: nothing is held out.
        """

    def searched(self, space: str, dataset: Dataset | None = None) -> dict[str, Dimension]:
        """What a study of a dataset draws, a dimension after the one that it depends on.

        ``plan`` holds the family's own hyperparameters alone, as in the original HPO plan.
        """
        return {**self.search_space, **(recipe_space(dataset) if space == "wide" else {})}

    def untuned(
        self, space: str, recipe: Recipe = STANDARD, dataset: Dataset | None = None
    ) -> dict[str, int | float]:
        """The defaults as a trial of the space: those of the family, and the recipe as it is."""
        values = {**vars(recipe), **self.defaults}
        return {
            name: values[name] for name in self.searched(space, dataset) if is_drawn(name, values)
        }

    def check_params(self, params: Mapping[str, object], source: str = "params") -> None:
        """Refuse ``params`` unless they have all names of the search space, with values inside it.

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
                only = " and ".join(f"{other} {yes}" for other, yes in ONLY_WITH[name].items())
                raise InputError(f"{source}: {name} goes only with {only}; remove it or fix those")
        for name, dimension in known.items():
            if name not in params and name in self.search_space:
                raise InputError(
                    f"{source}: hyperparameter {name!r} of {self.name} is missing; add it "
                    f"({dimension})"
                )
            if name in params and not dimension.contains(params[name]):
                raise InputError(f"{source}: {name} is {params[name]!r}, expected {dimension}")


_MODELS: dict[str, Model] = {}


def register(model: Model) -> None:
    """Add a model to the registry. A name that is taken is an error."""
    if model.name in _MODELS:
        raise ValueError(f"two models are named {model.name}")
    _MODELS[model.name] = model


@cache
def registered() -> Mapping[str, Model]:
    """Every model by its name: by `KINDS`, then by the name of its file."""
    for folder, pattern in (("families", "*_q.py"), ("baselines", "*.py")):
        for file in sorted((Path(__file__).parents[1] / folder).glob(pattern)):
            importlib.import_module(f"hpo_lib.{folder}.{file.stem}")
    return dict(sorted(_MODELS.items(), key=lambda entry: KINDS.index(entry[1].kind)))


def model_names(kind: str) -> tuple[str, ...]:
    """Names of all models of one of `KINDS`."""
    return tuple(name for name, model in registered().items() if model.kind == kind)


def described(name: str) -> Model:
    """The model of that name or, of a name that only a record knows, one without a kind."""
    unknown = Model()
    unknown.name = unknown.title = name
    return registered().get(name, unknown)


def family_names() -> tuple[str, ...]:
    """Names of all families."""
    return model_names("family")


def get_family(name: str) -> Family:
    """The family of that name."""
    family = registered().get(name)
    if not isinstance(family, Family):
        raise InputError(
            f"model is {name!r}, which is not a model family; {choices(name, family_names())}"
        )
    return family
