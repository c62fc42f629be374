"""A trained model as a file of tensors and plain values: reading it runs nothing of it."""

import pickle
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import Family, Forecaster, Params, Recipe
from hpo_lib.families.training import DartsForecaster, untrained_module
from hpo_lib.families.windows import Level, Scaling, TrainingWindows

FORMAT = 3
"""Raise it when what is stored means something else than before."""

_ARRAYS = [bytes, np.ndarray, np.dtype, np.dtypes.Float64DType, np.empty(0).__reduce__()[0]]
ALLOWED: list[Any] = [Recipe, Scaling, Level, LinearBaseline, LinearOptions, *_ARRAYS]
"""What a file may hold beside tensors and built-in values: fields of these classes, and arrays."""

AGAIN = "train it again with `hpo retrain`"
OF_WEATHER = "kind", "columns", "threshold", "usual_demand"
"""What a model keeps of the weather of the day ahead that it was trained with."""


def save(forecaster: Forecaster, file: Path) -> None:
    """Store all that `load` needs but family and parameters, without the training's data."""
    assert isinstance(forecaster, DartsForecaster), "only families on darts can be stored"
    dataset, weather, scaling = forecaster.dataset, forecaster.dataset.weather, forecaster.scaling
    if scaling.linear is not None:
        linear = replace(scaling.linear, out_of_fold=np.empty((0, HORIZON)))
        scaling = replace(scaling, linear=linear)
    stored = {
        "format": FORMAT,
        "recipe": forecaster.recipe,
        "best_step": forecaster.best_step,
        "shares": forecaster.shares,
        "lowest": forecaster.lowest,
        "target": dataset.spec.target,
        "unit": dataset.spec.unit,
        "past": dataset.past,
        "future": dataset.future,
        "scaling": scaling,
        "weather": weather and {name: getattr(weather, name) for name in OF_WEATHER},
        "network": None if forecaster.keeps_nothing else dict(forecaster.module.state_dict()),
    }
    torch.save(stored, file)


def load(
    file: Path, family: Family, params: Params, dataset: Dataset, source: str
) -> DartsForecaster:
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
    _check(stored, dataset, source)
    weather = dataset.weather
    if weather is not None:
        fitted = {name: stored["weather"][name] for name in ("threshold", "usual_demand")}
        weather = replace(weather, **fitted)
    without_hours = replace(
        dataset,
        frame=dataset.frame.iloc[:0],
        past=stored["past"],
        future=stored["future"],
        weather=weather,
    )
    forecaster = DartsForecaster(
        without_hours, stored["scaling"], stored["recipe"], family.calendar_as_past
    )
    for name in ("lowest", "best_step", "shares"):
        setattr(forecaster, name, stored[name])
    if not forecaster.keeps_nothing:
        # The network's shape follows from any window.
        windows = dataset.windows(np.array([HISTORY - 1]))
        sample = TrainingWindows(forecaster.source(windows), windows.positions)[0]
        network = forecaster.recipe.updated(params)[1]
        forecaster.module = untrained_module(family, network, sample).eval()
        forecaster.module.load_state_dict(stored["network"])
    return forecaster


def _check(stored: Mapping[str, Any], dataset: Dataset, source: str) -> None:
    if stored["format"] != FORMAT:
        raise InputError(
            f"{source}: is stored in format {stored['format']}, this version reads {FORMAT}; "
            f"{AGAIN}"
        )
    if other := {field.name for field in fields(Recipe)} ^ set(vars(stored["recipe"])):
        names = ", ".join(sorted(other))
        raise InputError(
            f"{source}: its recipe and that of this version differ in the fields {names}; {AGAIN}"
        )
    for name in ("target", "unit"):
        if stored[name] != getattr(dataset.spec, name):
            raise InputError(
                f"{source}: was trained on the {name} {stored[name]!r}, the dataset has "
                f"{getattr(dataset.spec, name)!r}; {AGAIN}, or fix the dataset's TOML"
            )
    weather = stored["weather"]
    trained_with = ("none",) if weather is None else (weather["kind"], *weather["columns"])
    available = (dataset.kind_of_weather, *(dataset.weather.columns if dataset.weather else ()))
    if trained_with != available:
        raise InputError(
            f"{source}: was trained with weather of the day ahead of the kind "
            f"{', '.join(trained_with)}, the dataset has {', '.join(available)}; {AGAIN}, or fix "
            "[day_ahead_weather] of the dataset's TOML"
        )
    columns = (*stored["past"], *stored["future"])
    if lacking := [name for name in columns if name not in dataset.frame.columns]:
        raise InputError(
            f"{dataset.path}: lacks {', '.join(lacking)}, with which {source} was trained; add "
            f"what is missing, or {AGAIN}"
        )
