"""The stored trainings of a benchmark: forecasts of validation and test, and a record of what made
them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo_lib.data import gaps
from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families import feature_table, linear_baseline, weather_inputs
from hpo_lib.families.models import Budget, Family, Params, Recipe
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.records.files import (
    as_mapping,
    load_predictions,
    read_json,
    write_json,
    write_predictions,
)
from hpo_lib.records.provenance import data_key
from hpo_lib.records.schema import TrainingRecord, check
from hpo_lib.scoring.forecasts import QuantileForecasts


def family_key(
    family: Family, params: Params, budget: Budget, recipe: Recipe, dataset: Dataset
) -> dict[str, Any]:
    """All that decides a family's training, except its seed and a refit.

    Fields of the recipe among ``params`` are part of the recipe: however it is stated, a training
    is the same.
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
    """Versions of the code that decides a forecast: the ``model``'s own, and of what it forecasts
    from.

    Engineered features need none: the data's fingerprint covers them. How gaps are filled counts
    only where there are some.
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
    parts = [
        "gaps",
        "feature_table",
        "linear_baseline",
        *(["windows"] if {"budget", "weights"} & set(key) else []),
    ]
    return {part: key.get("versions", {}).get(part, 1) for part in parts}


def _comparable(key: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    plain = json.loads(json.dumps(key))
    versions = plain.pop("versions", {})
    return plain, {name: version for name, version in versions.items() if version != 1}


SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Training:
    """One stored training.

    Attributes: model: family or baseline. params: ``default``, ``best``, ``ensemble``, ``file``, or
        ``own`` for a baseline, which tunes itself. key: all that decides the forecasts, except the
        seed, see `hpo_lib.benchmark.store`. validation: forecasts of every validation origin by a
        model that was not trained on them. test: forecasts of every test origin. record: the key
        with provenance, the step whose weights were kept, seconds, and a remark on an ensemble.
    """

    model: str
    params: str
    seed: int
    key: Mapping[str, Any]
    validation: QuantileForecasts
    test: QuantileForecasts
    record: Mapping[str, Any]


def store_training(paths: BenchmarkPaths, training: Training) -> None:
    """Write the forecasts, then the record: only a complete training has a record."""
    names = training.model, training.params, training.seed
    paths.record(*names).unlink(missing_ok=True)
    write_predictions(paths.forecasts(*names, "validation"), training.validation)
    write_predictions(paths.forecasts(*names, "test"), training.test)
    write_json(
        paths.record(*names),
        {
            **training.record,
            "model": names[0],
            "params": names[1],
            "seed": names[2],
            "key": dict(training.key),
        },
    )


def is_stored(
    paths: BenchmarkPaths, model: str, params: str, seed: int, key: Mapping[str, Any]
) -> bool:
    """Whether this training is stored."""
    record = _record(paths.record(model, params, seed))
    files = [paths.forecasts(model, params, seed, split) for split in SPLITS]
    return (
        record is not None
        and same_key(record["key"], key)
        and all(file.is_file() for file in files)
    )


def stored_twin(
    paths: BenchmarkPaths, model: str, seed: int, key: Mapping[str, Any]
) -> Training | None:
    """The same training under another label, if there is one: a study may have chosen the defaults."""
    for record in map(_record, paths.records(model)):
        if (
            record is not None
            and record["seed"] == seed
            and is_stored(paths, model, record["params"], seed, key)
        ):
            return _load(paths, record)
    return None


def drop_others(
    paths: BenchmarkPaths, model: str, params: str, key: Mapping[str, Any]
) -> list[Path]:
    """Remove the records of this row with another key, of any seed, and return them: a row is one
    configuration.
    """
    found = {file: _record(file) for file in paths.records(model, params)}
    stale = [
        file for file, record in found.items() if record is None or not same_key(record["key"], key)
    ]
    for file in stale:
        file.unlink()
    return stale


def check_same_data(paths: BenchmarkPaths, dataset: Dataset) -> None:
    """Check that a folder holds trainings on these data only: results of different data never come
    into one table.

    Raises:
        InputError: it holds trainings on other data or other splits.
    """
    own = data_key(dataset)
    for file in paths.records():
        found = (_record(file) or {}).get("key", {}).get("data", own)
        for name, expected in own.items():
            if found.get(name) != expected:
                raise InputError(
                    f"{file}: was made on other data ({name} is {str(found.get(name))[:25]}, "
                    "here it is "
                    f"{str(expected)[:25]}); give another --out"
                )


def on_simulated_data(paths: BenchmarkPaths) -> bool:
    """Whether a folder holds trainings on a simulated twin."""
    provenances = (as_mapping((_record(file) or {}).get("provenance")) for file in paths.records())
    return any(
        str(as_mapping(found.get("data")).get("source")).startswith("simulated")
        for found in provenances
    )


def load_trainings(
    paths: BenchmarkPaths, dataset: Dataset
) -> dict[tuple[str, str], Sequence[Training]]:
    """Every complete training, by row (model, params), with ascending seeds.

    Raises: InputError: there is none, one is on other data or of other code than the rest, or its
        forecasts cannot be read.
    """
    check_same_data(paths, dataset)
    rows: dict[tuple[str, str], list[Training]] = {}
    first: dict[str, tuple[int, Path]] = {}
    for file in paths.records():
        record = read_training(file)
        if paths.record(record["model"], record["params"], record["seed"]) != file:
            raise InputError(
                f"{file}: holds another training, which its name does not say; give it its name "
                "again"
            )
        for part, version in shared_versions(record["key"]).items():
            other, before = first.setdefault(part, (version, file))
            if version != other:
                raise InputError(
                    f"{file}: was trained with version {version} of {part}, {before.name} with "
                    f"version {other}; run "
                    "`hpo benchmark` again for all models of this folder"
                )
        training = _load(paths, record)
        rows.setdefault((training.model, training.params), []).append(training)
    if not rows:
        raise InputError(f"{paths.folder}: holds no finished training; run `hpo benchmark` first")
    return {
        row: sorted(trainings, key=lambda training: training.seed)
        for row, trainings in rows.items()
    }


def _load(paths: BenchmarkPaths, record: Mapping[str, Any]) -> Training:
    names = record["model"], record["params"], record["seed"]
    validation, test = (load_predictions(paths.forecasts(*names, split)) for split in SPLITS)
    return Training(*names, record["key"], validation, test, record)


def read_training(file: Path) -> dict[str, Any]:
    """The record of a training.

    Raises:
        InputError: it is missing or damaged.
    """
    what = "the record of a training"
    found = read_json(file, what)
    check(TrainingRecord, found, file, what)
    return dict(found)


def _record(file: Path) -> dict[str, Any] | None:
    """A record, or None if it is absent or damaged: then the training is done again."""
    try:
        return read_training(file)
    except InputError:
        return None
