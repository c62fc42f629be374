"""A trained model as plain facts and arrays, and back: nothing that is stored is run when it is
read.

Facts fit into JSON, whose numbers keep every bit of a float; arrays are the network's weights and
the linear baseline.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule

from hpo_lib.data.context import Windows
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import DayAheadWeather
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.linear_baseline import LinearBaseline
from hpo_lib.families.models import Family, Forecaster, Params, Recipe
from hpo_lib.families.training import DartsForecaster, new_model, quiet_libraries
from hpo_lib.families.windows import Level, Scaling, TrainingWindows, WindowSource

FORMAT = 1
"""Of the facts. Raise it when they mean something else than before."""

Arrays = Mapping[str, np.ndarray]
_NETWORK, _LINEAR = "network.", "linear."


def plain(forecaster: Forecaster) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """All that `restored` needs, apart from the family and its parameters; without the data of the
    training.
    """
    assert isinstance(forecaster, DartsForecaster), "only families on darts can be stored"
    scaling, dataset = forecaster.scaling, forecaster.dataset
    facts = {
        "format": FORMAT,
        "recipe": asdict(forecaster.recipe),
        "best_step": forecaster.best_step,
        "shares": forecaster.shares,
        "lowest": forecaster.lowest,
        "target": dataset.spec.target,
        "unit": dataset.spec.unit,
        "past": dataset.past,
        "future": dataset.future,
        "mean": scaling.mean.to_dict(),
        "std": scaling.std.to_dict(),
        "seasons": scaling.seasons,
        "level": None if scaling.level is None else asdict(scaling.level),
        "linear": None,
        "weather": None if dataset.weather is None else _facts_of(dataset.weather, scaling),
    }
    arrays = {} if forecaster.keeps_nothing else _prefixed(_NETWORK, forecaster.module.state_dict())
    if scaling.linear is not None:
        parts = {
            field.name: getattr(scaling.linear, field.name) for field in fields(LinearBaseline)
        }
        facts["linear"] = {
            name: part for name, part in parts.items() if not isinstance(part, np.ndarray)
        }
        arrays |= _prefixed(
            _LINEAR, {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
        )
    return facts, arrays


def restored(
    family: Family,
    params: Params,
    facts: Mapping[str, Any],
    arrays: Arrays,
    dataset: Dataset,
    source: str,
) -> DartsForecaster:
    """The model of stored facts and arrays, for forecasts of a dataset; it keeps nothing of the
    dataset's hours.

    Raises: InputError: ``source`` was stored by other code, or is of another target or unit or of
        columns that the dataset
            lacks.
    """
    assert isinstance(family, DartsFamily)
    _check(facts, dataset, source)
    linear, level, seen = facts["linear"], facts["level"], facts.get("weather")
    scaling = Scaling(
        mean=pd.Series(facts["mean"]),
        std=pd.Series(facts["std"]),
        level=None if level is None else Level(**level),
        seasons=facts["seasons"],
        linear=None
        if linear is None
        else LinearBaseline(**{**linear, **_without(_LINEAR, arrays)}),
        **({} if seen is None else {"weather": np.array(seen["scaling"])}),
    )
    if seen is not None and dataset.weather is not None:
        fitted = {name: seen[name] for name in ("threshold", "usual_demand")}
        dataset = replace(dataset, weather=replace(dataset.weather, **fitted))
    own = replace(
        dataset,
        frame=dataset.frame.iloc[:0],
        past=tuple(facts["past"]),
        future=tuple(facts["future"]),
    )
    forecaster = DartsForecaster(own, scaling, Recipe(**facts["recipe"]), family.calendar_as_past)
    forecaster.lowest, forecaster.best_step = facts["lowest"], facts["best_step"]
    forecaster.shares = None if facts["shares"] is None else tuple(facts["shares"])
    if not forecaster.keeps_nothing:
        weights = {
            name: torch.from_numpy(array) for name, array in _without(_NETWORK, arrays).items()
        }
        forecaster.module = _untrained(family, params, forecaster)
        forecaster.module.load_state_dict(weights)
    return forecaster


def _facts_of(weather: DayAheadWeather, scaling: Scaling) -> dict[str, Any]:
    """What a model has to keep of the weather of the day ahead that it was trained with."""
    kept = {
        name: getattr(weather, name) for name in ("kind", "columns", "threshold", "usual_demand")
    }
    return {**kept, "scaling": scaling.weather.tolist()}


def _untrained(
    family: DartsFamily, params: Params, forecaster: DartsForecaster
) -> PLForecastingModule:
    """A module of the same shape as the forecaster's, for its weights to be loaded into."""
    scaling, origin = forecaster.scaling, np.array([HISTORY - 1])
    seen = forecaster.dataset.weather
    ahead = None if seen is None else np.ones((1, HORIZON, len(seen.columns)))
    frame = pd.DataFrame(1.0, index=range(HISTORY + HORIZON), columns=list(scaling.mean.index))
    source = WindowSource.build(
        forecaster.dataset,
        Windows(frame, origin, ahead),
        scaling,
        forecaster.recipe,
        calendar_as_past=forecaster.calendar_as_past,
    )
    if scaling.linear is not None:
        source = source.with_linear_forecast(np.ones((1, HORIZON)), origin)
    network = forecaster.recipe.updated(params)[1]
    with quiet_libraries():
        model = new_model(family.create_model, network, family.budgets["test"], 0, 1, [])
        model.train_sample, model.output_dim = TrainingWindows(source, origin)[0], 1
        module: PLForecastingModule = model._init_model()
    return module.eval()


def _check(facts: Mapping[str, Any], dataset: Dataset, source: str) -> None:
    again = "train it again with `hpo retrain`"
    if facts["format"] != FORMAT:
        raise InputError(
            f"{source}: is stored in format {facts['format']}, this version reads {FORMAT}; {again}"
        )
    if other := {field.name for field in fields(Recipe)} ^ set(facts["recipe"]):
        names = ", ".join(sorted(other))
        raise InputError(
            f"{source}: its recipe and that of this version differ in the fields {names}; {again}"
        )
    for name in ("target", "unit"):
        if facts[name] != getattr(dataset.spec, name):
            raise InputError(
                f"{source}: was trained on the {name} {facts[name]!r}, the dataset has "
                f"{getattr(dataset.spec, name)!r}"
                f"; {again}, or fix the dataset's TOML"
            )
    seen = facts.get("weather")
    trained_with = (seen["kind"], *seen["columns"]) if seen else ("none",)
    given = (dataset.kind_of_weather, *(dataset.weather.columns if dataset.weather else ()))
    if trained_with != given:
        raise InputError(
            f"{source}: was trained with weather of the day ahead of the kind "
            f"{', '.join(trained_with)}, the dataset "
            f"has {', '.join(given)}; {again}, or fix [day_ahead_weather] of the dataset's TOML"
        )
    if lacking := [
        name for name in (*facts["past"], *facts["future"]) if name not in dataset.frame.columns
    ]:
        raise InputError(
            f"{dataset.path}: lacks {', '.join(lacking)}, with which {source} was trained; add "
            "what is missing, or "
            f"{again}"
        )


def _prefixed(prefix: str, parts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    arrays = {
        name: part.cpu().numpy() if isinstance(part, torch.Tensor) else part
        for name, part in parts.items()
    }
    return {prefix + name: array for name, array in arrays.items()}


def _without(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
