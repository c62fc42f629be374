"""What a study draws: the family's own hyperparameters and, in the ``wide`` space, part of the
recipe.
"""

from collections.abc import Mapping

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import STANDARD, Family, Recipe
from hpo_lib.families.search_space import (
    RECIPE_SPACE,
    WITH_TEMPERATURE,
    Choice,
    Dimension,
    FloatRange,
    IntRange,
    is_drawn,
)


def recipe_space(dataset: Dataset | None = None) -> dict[str, Dimension]:
    """The part of the recipe that is searched on a dataset, or on one without weather of the day
    ahead.
    """
    shown = (
        dataset is not None and dataset.weather is not None and "temp" in dataset.weather.columns
    )
    return {
        name: dimension
        for name, dimension in RECIPE_SPACE.items()
        if shown or name not in WITH_TEMPERATURE
    }


def search_space(
    family: Family, space: str, dataset: Dataset | None = None
) -> Mapping[str, Dimension]:
    """What a study of a dataset draws, a dimension after the one that it depends on.

    ``plan`` holds the family's own hyperparameters alone, as in the original HPO plan.
    """
    return {**family.search_space, **(recipe_space(dataset) if space == "wide" else {})}


def default_params(
    family: Family, space: str, recipe: Recipe = STANDARD, dataset: Dataset | None = None
) -> dict[str, int | float]:
    """The untuned defaults as a trial of the space: those of the family, and the recipe as it is."""
    own = {name: getattr(recipe, name) for name in recipe_space(dataset)} if space == "wide" else {}
    return {
        **family.defaults,
        **{name: value for name, value in own.items() if is_drawn(name, own)},
    }


def is_whole(params: Mapping[str, object], space: Mapping[str, Dimension]) -> bool:
    """Whether ``params`` have a value for every dimension that is drawn, and for no other."""
    return set(params) == {name for name in space if is_drawn(name, params)}


KEPT = 2 / 3
"""Chance that a dimension keeps its default in a draw near the defaults."""


def drawn(
    space: Mapping[str, Dimension],
    random: np.random.Generator,
    near: Mapping[str, int | float] | None = None,
) -> dict[str, int | float]:
    """A configuration drawn evenly from the space or, dimension by dimension, ``near`` another one."""
    params: dict[str, int | float] = {}
    for name, dimension in space.items():
        if not is_drawn(name, params):
            continue
        if near is not None and name in near and random.random() < KEPT:
            params[name] = near[name]
            continue
        match dimension:
            case Choice(options):
                params[name] = options[int(random.integers(len(options)))]
            case FloatRange(low, high, True):
                params[name] = float(np.exp(random.uniform(np.log(low), np.log(high))))
            case FloatRange(low, high, False):
                params[name] = float(random.uniform(low, high))
            case IntRange(low, high):
                params[name] = int(random.integers(low, high + 1))
    return params
