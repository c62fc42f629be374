"""Search spaces: checks, words, draws, that of the recipe, and advice to widen one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

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
    numbers, words = (int,), "a whole number"


class FloatRange(_Range):
    """Numbers from low to high."""

    numbers, words = (int, float), "a number"


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

ONLY_WITH: Mapping[str, Mapping[str, bool]] = {
    "linear_trees": {"linear_part": True},
    # With trees they are the standard ones, so that the trials of a study share the fits of trees.
    "linear_penalty": {"linear_part": True, "linear_trees": False},
    "linear_weeks": {"linear_part": True, "linear_trees": False},
}
"""Dimensions that are drawn only if others have these values."""

WHOLE = ("level_hours", "near_hours", "season_years")
"""Choices that cannot be widened: their ends stand for none and for all."""

END_SHARE = 0.05
"""Share of a range, or of its logarithms, within which a number is at the range's end."""

DEFAULT_CHANCE = 2 / 3
"""Chance that a dimension keeps its default in a draw near the defaults."""


def recipe_space(dataset: Dataset | None = None) -> dict[str, Dimension]:
    """The part of the recipe that is searched on a dataset, or on one without weather."""
    weather = None if dataset is None else dataset.weather
    unseen = () if weather is not None and "temp" in weather.columns else WITH_TEMPERATURE
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
    space: SearchSpace,
    random: np.random.Generator,
    near: Mapping[str, int | float] | None = None,
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


def end_reached(value: float, dimension: Dimension) -> Literal["lower", "upper"] | None:
    """The end at which a value is; None if it is inside, or if the end cannot be widened.

    A count that starts at 1, such as a number of layers, has nothing below its lower end; a range
    of one value has no ends, nor have yes and no. The ends of choices are the smallest and the
    largest.
    """
    if isinstance(dimension, Choice):
        ordered = sorted(option for option in dimension.options if not isinstance(option, bool))
        if value not in ordered:
            return None
        value, low, high = ordered.index(value), 0.0, len(ordered) - 1.0
    else:
        scale = math.log if dimension.log else float
        value, low, high = map(scale, (value, dimension.low, dimension.high))
    if low == high:
        return None
    share = (value - low) / (high - low)
    if share >= 1 - END_SHARE:
        return "upper"
    starts_at_one = isinstance(dimension, IntRange) and dimension.low <= 1
    return "lower" if share <= END_SHARE and not starts_at_one else None


def boundary_advice(label: str, params: Mapping[str, float], space: SearchSpace) -> list[str]:
    """A sentence for every hyperparameter at an end of its range; ``label``: ``TFT_Q on heat``."""
    return [
        f"{label}: {name} {params[name]:.3g} is at the {end} end of its "
        f"{'choices' if isinstance(space[name], Choice) else 'range'} ({in_words(space[name])}); "
        "widen it and search on"
        for name in sorted(set(space) & set(params) - set(WHOLE))
        if (end := end_reached(params[name], space[name]))
    ]
