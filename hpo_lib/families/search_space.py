"""Search spaces: checks, words, draws, and that of the recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hpo_lib.data.dataset import Dataset


@dataclass(frozen=True)
class _Range:
    """Numbers from low to high, both included; sampled on a log scale if ``log``."""

    low: float
    high: float
    log: bool = False
    numbers: ClassVar[tuple[type, ...]]
    words: ClassVar[str]

    def contains(self, value: Any) -> bool:
        return type(value) in self.numbers and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.words} from {self.low:g} to {self.high:g}"


class IntRange(_Range):
    """Whole numbers from low to high."""

    low: int
    high: int
    numbers = (int,)
    words = "a whole number"


class FloatRange(_Range):
    """Numbers from low to high."""

    numbers = (int, float)
    words = "a number"


@dataclass(frozen=True)
class Choice:
    """One of a few numbers, or yes or no."""

    options: tuple[int | float, ...]

    def contains(self, value: object) -> bool:
        return any(value == option and type(value) is type(option) for option in self.options)

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.options))}"


Dimension = IntRange | FloatRange | Choice
SearchSpace = Mapping[str, Dimension]

RECIPE_SPACE: SearchSpace = {
    "level_hours": Choice((0, 24, 168)),
    "near_hours": Choice((1, 3, 12)),
    "season_years": Choice((0, 2, 4)),
    "calendar": Choice((True, False)),
    "steps_factor": Choice((0.5, 1.0, 1.5)),
    "linear_part": Choice((True, False)),
    "linear_trees": Choice((True, False)),
    "linear_penalty": FloatRange(0.003, 0.3, log=True),
    "linear_weeks": IntRange(1, 4),
    "thermal": Choice((True, False)),
}
"""Fields of `Recipe` that the ``wide`` space searches; those of the standard recipe are inside."""

WITH_TEMPERATURE = ("thermal",)
"""Those of them that are searched only where models see the temperature of the day ahead."""

ONLY_WITH = {
    "linear_trees": {"linear_part": True},
    # With trees they are the standard ones, so that the trials of a study share the fits of trees.
    "linear_penalty": {"linear_part": True, "linear_trees": False},
    "linear_weeks": {"linear_part": True, "linear_trees": False},
}
"""Dimensions that are drawn only if others have these values."""

DEFAULT_CHANCE = 2 / 3
"""Chance that a dimension keeps its default in a draw near the defaults."""


def recipe_space(dataset: Dataset | None) -> dict[str, Dimension]:
    """The part of the recipe that is searched on a dataset, or on one without weather."""
    weather = dataset and dataset.weather
    unseen = () if weather and "temp" in weather.columns else WITH_TEMPERATURE
    return {name: dimension for name, dimension in RECIPE_SPACE.items() if name not in unseen}


def in_words(dimension: Dimension) -> str:
    """A dimension as a table shows it: ``0.0001 to 0.01, log`` or ``32, 64, 128``."""
    if isinstance(dimension, Choice):
        return ", ".join(map(value_in_words, dimension.options))
    return f"{dimension.low:g} to {dimension.high:g}{', log' if dimension.log else ''}"


def value_in_words(value: float, digits: int = 6) -> str:
    """A value of a hyperparameter as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def is_drawn(name: str, params: Mapping[str, object]) -> bool:
    """Whether a dimension is part of a configuration whose earlier dimensions are ``params``."""
    return all(bool(params.get(other)) == value for other, value in ONLY_WITH.get(name, {}).items())


def is_whole(params: Mapping[str, object], space: SearchSpace) -> bool:
    """Whether ``params`` have a value for every dimension that is drawn, and for no other."""
    return set(params) == {name for name in space if is_drawn(name, params)}


def draw(
    space: SearchSpace, random: np.random.Generator, near: Mapping[str, int | float] | None = None
) -> dict[str, int | float]:
    """A configuration drawn evenly from the space or, dimension by dimension, ``near`` another."""
    params: dict[str, int | float] = {}
    for name, dimension in space.items():
        if not is_drawn(name, params):
            continue
        if near is not None and name in near and random.random() < DEFAULT_CHANCE:
            params[name] = near[name]
            continue
        match dimension:
            case Choice(options):
                params[name] = options[int(random.integers(len(options)))]
            case IntRange(low, high):
                params[name] = int(random.integers(low, high + 1))
            case FloatRange(low, high, True):
                params[name] = float(np.exp(random.uniform(np.log(low), np.log(high))))
            case FloatRange(low, high):
                params[name] = float(random.uniform(low, high))
    return params
