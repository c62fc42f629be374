"""The key of a stored training: all that decides its forecasts. A training with an equal key is not done again."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hpo_lib.data import gaps
from hpo_lib.data.dataset import Dataset
from hpo_lib.families import feature_table, linear_baseline, weather_inputs
from hpo_lib.families.contract import Budget, Family, Params, Recipe
from hpo_lib.records.provenance import data_key


def family_key(family: Family, params: Params, budget: Budget, recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """All that decides a family's training, except its seed and a refit.

    Fields of the recipe among ``params`` are part of the recipe: however it is stated, a training is the same.
    """
    recipe, network = recipe.updated(params)
    return {
        "params": network,
        "budget": asdict(budget),
        "recipe": recipe.effective(dataset),
        "data": data_key(dataset),
        "versions": code_versions(family.version, dataset, windows=True),
    }


def code_versions(model: int, dataset: Dataset, *, windows: bool = False) -> dict[str, int]:
    """Versions of the code that decides a forecast: the ``model``'s own, and of what it forecasts from.

    Engineered features need none: the data's fingerprint covers them. How gaps are filled counts only where there are
    some.
    """
    versions = {
        "model": model,
        "gaps": gaps.VERSION if dataset.n_filled or len(dataset.missing) else 1,
        "feature_table": feature_table.VERSION,
        "linear_baseline": linear_baseline.VERSION,
    }
    if dataset.weather is not None:
        versions["weather_inputs"] = weather_inputs.VERSION
    if windows:
        from hpo_lib.families.windows import VERSION  # needs torch

        versions["windows"] = VERSION
    return versions


def same_key(stored: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    """Whether a stored key equals another. A version that a key lacks counts as 1."""
    return _comparable(stored) == _comparable(key)


def shared_versions(key: Mapping[str, Any]) -> dict[str, int]:
    """Versions in a stored key of the parts that models share; they must be equal in one table."""
    parts = ["gaps", "feature_table", "linear_baseline", *(["windows"] if {"budget", "weights"} & set(key) else [])]
    return {part: key.get("versions", {}).get(part, 1) for part in parts}


def _comparable(key: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    plain = json.loads(json.dumps(key))
    versions = plain.pop("versions", {})
    return plain, {name: version for name, version in versions.items() if version != 1}
