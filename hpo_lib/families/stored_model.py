"""A trained model as a file of tensors and plain values: reading it runs nothing of it."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import STANDARD, Forecaster, Model, Params, Recipe
from hpo_lib.families.windows import Level, Scaling

FORMAT = 3
"""Raise it when what is stored means something else than before."""

AGAIN = "remove current.json beside it and train it again with `hpo retrain`"

_ARRAYS = [bytes, np.ndarray, np.dtype, np.dtypes.Float64DType, np.empty(0).__reduce__()[0]]
ALLOWED: list[Any] = [Recipe, Scaling, Level, LinearBaseline, LinearOptions, *_ARRAYS]
"""What a file may hold beside tensors and built-in values: fields of these classes, and arrays."""


def save(forecaster: Forecaster, file: Path) -> None:
    """Store all that `load` needs but model and parameters, without the training's data."""
    dataset = forecaster.dataset
    weather = forecaster.dataset.weather
    of_weather = "kind", "columns", "threshold", "usual_demand"
    stored = {
        "format": FORMAT,
        "target": dataset.spec.target,
        "unit": dataset.spec.unit,
        "past": dataset.past,
        "future": dataset.future,
        "weather": weather and {name: getattr(weather, name) for name in of_weather},
        "lowest": forecaster.lowest,
        "best_step": forecaster.best_step,
        "parts": forecaster.parts(),
    }
    torch.save(stored, file)


def load(file: Path, model: Model, params: Params, dataset: Dataset, source: str) -> Forecaster:
    """The stored model, for forecasts of a dataset; it keeps nothing of the dataset's hours.

    Raises:
        ValueError: the file holds more than numbers and text; a damaged one raises many errors.
        InputError: ``source``, which names the model, was stored by other code, or is of another
            target or unit or of columns that the dataset lacks.
    """
    try:
        with torch.serialization.safe_globals(ALLOWED):
            stored = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError("it is no stored model, or holds more than numbers and text") from None
    recipe = stored["parts"].get("recipe", STANDARD)
    weather = dataset.weather
    trained_with = stored["weather"]
    for name, before, now in (
        ("format", stored["format"], FORMAT),
        ("list of recipe fields", sorted(vars(STANDARD) | vars(recipe)), sorted(vars(STANDARD))),
        ("target", stored["target"], dataset.spec.target),
        ("unit", stored["unit"], dataset.spec.unit),
        (
            "weather of the day ahead",
            trained_with and (trained_with["kind"], *trained_with["columns"]),
            weather and (weather.kind, *weather.columns),
        ),
    ):
        if before != now:
            raise InputError(
                f"{source}: its {name} is {before!r}, here it is {now!r}; {AGAIN}, or fix the "
                "dataset's TOML"
            )
    if lacking := [
        name for name in (*stored["past"], *stored["future"]) if name not in dataset.frame
    ]:
        raise InputError(
            f"{dataset.path}: lacks {', '.join(lacking)}, with which {source} was trained; add "
            f"what is missing, or {AGAIN}"
        )
    if weather is not None:
        weather = replace(
            weather, **{name: trained_with[name] for name in ("threshold", "usual_demand")}
        )
    dataset = replace(dataset, past=stored["past"], future=stored["future"], weather=weather)
    forecaster = model.restored(stored["parts"], params, dataset)
    forecaster.dataset = replace(dataset, frame=dataset.frame.iloc[:0])
    forecaster.lowest = stored["lowest"]
    forecaster.best_step = stored["best_step"]
    return forecaster
