"""What a study draws: the family's own hyperparameters and, in the ``wide`` space, part of the recipe."""

from collections.abc import Mapping

from hpo_lib.families.contract import STANDARD, Family, Recipe
from hpo_lib.families.search_space import RECIPE_SPACE, Dimension, is_drawn

SPACES = ("wide", "plan")
"""``plan`` holds the family's own hyperparameters alone, as in the original HPO plan."""


def search_space(family: Family, space: str) -> Mapping[str, Dimension]:
    """What a study draws, a dimension after the one that it depends on."""
    return {**family.search_space, **(RECIPE_SPACE if space == "wide" else {})}


def default_params(family: Family, space: str, recipe: Recipe = STANDARD) -> dict[str, int | float]:
    """The untuned defaults as a trial of the space: those of the family, and the recipe as it is."""
    own = {name: getattr(recipe, name) for name in RECIPE_SPACE} if space == "wide" else {}
    return {**family.defaults, **{name: value for name, value in own.items() if is_drawn(name, own)}}


def is_whole(params: Mapping[str, object], space: Mapping[str, Dimension]) -> bool:
    """Whether ``params`` have a value for every dimension that is drawn, and for no other."""
    return set(params) == {name for name in space if is_drawn(name, params)}
