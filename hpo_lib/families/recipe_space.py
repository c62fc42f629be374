"""The part of the recipe that a study of the ``wide`` space searches, beside its family's own hyperparameters."""

from collections.abc import Mapping

from hpo_lib.families.contract import STANDARD, Family
from hpo_lib.families.search_space import Choice, Dimension, FloatRange, IntRange

SPACES = ("wide", "plan")
"""``plan`` holds the family's own hyperparameters alone, as in the original HPO plan."""

RECIPE_SPACE: Mapping[str, Dimension] = {
    "level_hours": Choice((0, 24, 168)),
    "near_hours": Choice((1, 3, 12)),
    "season_years": Choice((0, 2, 4)),
    "calendar": Choice((True, False)),
    "steps_factor": Choice((0.5, 1.0, 1.5)),
    "linear_part": Choice((True, False)),
    "linear_penalty": FloatRange(0.003, 0.3, log=True),
    "linear_weeks": IntRange(1, 4),
}
"""Fields of `Recipe`; those of the standard recipe are inside."""

ONLY_WITH: Mapping[str, str] = {"linear_penalty": "linear_part", "linear_weeks": "linear_part"}
"""Dimensions that are drawn only if another one is true."""


def search_space(family: Family, space: str) -> Mapping[str, Dimension]:
    """What a study draws, a dimension after the one that it depends on."""
    return {**family.search_space, **(RECIPE_SPACE if space == "wide" else {})}


def is_drawn(name: str, params: Mapping[str, object]) -> bool:
    """Whether a dimension is part of a configuration whose earlier dimensions are ``params``."""
    return name not in ONLY_WITH or bool(params.get(ONLY_WITH[name]))


def default_params(family: Family, space: str) -> dict[str, int | float]:
    """The untuned defaults as a trial of the space: those of the family, and of the standard recipe."""
    recipe = {name: getattr(STANDARD, name) for name in RECIPE_SPACE} if space == "wide" else {}
    return {**family.defaults, **recipe}
