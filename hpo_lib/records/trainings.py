"""The one store of trainings: those of a benchmark, of a proof, and of a model in use.

A training is a JSON record beside its forecasts. The record's ``key`` holds all that decides the
forecasts. It is written last, so a training with a record is whole.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.models import Budget, Family, Params, Recipe
from hpo_lib.paths import SPLITS, BenchmarkPaths, RunPaths, TrainingFiles
from hpo_lib.records.provenance import Provenance, data_key
from hpo_lib.records.read_write import (
    Json,
    Name,
    Pair,
    Part,
    checked_json,
    load_predictions,
    write_json,
    write_predictions,
)
from hpo_lib.scoring.forecasts import QuantileForecasts

MODEL_VERSION = 2
"""Part of every key. Raise it when equal inputs give other forecasts than before, be it by filled
gaps, features, networks or baselines; `tests/contract/test_versions.py` notices it."""


class _Key(Part):
    data: Json
    version: int


class TrainingRecord(Part):
    """The record of one training: of a benchmark, of a proof, or of a model in use."""

    key: _Key
    seconds: float
    cause: str = ""
    sha256: dict[str, str]


class BenchmarkRecord(TrainingRecord):
    """The record of one training of a benchmark."""

    model: Name
    params: Literal["best", "file", "default", "own", "plain"]
    seed: int
    provenance: Provenance = Provenance()
    shares: Pair | None = None


class TrainingFailed(Exception):
    """A training ended with an error, which is the message."""


class TrainingMissing(Exception):
    """There is no such training: its files are not whole, or something else made them."""


def training_key(dataset: Dataset, **deciding: object) -> Json:
    """All that decides a training's forecasts, as JSON has it."""
    key = {**deciding, "data": data_key(dataset), "version": MODEL_VERSION}
    return dict(json.loads(json.dumps(key)))


def family_key(
    family: Family,
    params: Params,
    budget: Budget,
    recipe: Recipe,
    dataset: Dataset,
    **deciding: object,
) -> Json:
    """The key of a family's training.

    Fields of the recipe among ``params`` become part of the recipe: however it is stated, a
    training is the same.
    """
    recipe, network = recipe.updated(params)
    return training_key(
        dataset, params=network, budget=asdict(budget), recipe=recipe.effective(dataset), **deciding
    )


def store(files: TrainingFiles, record: Json, **forecasts: QuantileForecasts) -> None:
    """Write the forecasts, then the record with their checksums; until then there is none."""
    files.record.unlink(missing_ok=True)
    sums = {**record.get("sha256", {})}
    for name, one in forecasts.items():
        write_predictions(files.forecasts[name], one)
        sums[name] = checksum(files.forecasts[name], record)
    write_json(files.record, {**record, "sha256": sums})


def checksum(file: Path, record: Json) -> str:
    """SHA-256 of a file of a training, and of what its record says that decided it."""
    decided = json.dumps([record["key"], record.get("params")], sort_keys=True)
    return hashlib.sha256(file.read_bytes() + decided.encode()).hexdigest()


def unchanged(file: Path, record: Json, name: str) -> Path:
    """A file of a training, if it and its record are what was stored together, or if it is missing.

    Raises:
        InputError: they are not.
    """
    if file.exists() and record["sha256"].get(name) != checksum(file, record):
        raise InputError(
            f"{file}: it or its record was changed since it was stored (its SHA-256 differs); "
            "restore both from a copy, or remove them and run the training again"
        )
    return file


def read_training(file: Path, schema: type[TrainingRecord] = BenchmarkRecord) -> Json:
    """The record of a training.

    Raises:
        InputError: it is missing or damaged.
    """
    return checked_json(file, "the record of a training", schema)


def whole_records(
    files: Iterable[Path], schema: type[TrainingRecord] = BenchmarkRecord
) -> Iterator[Json]:
    """The whole ones of some records; a training with a damaged one is done again."""
    for file in files:
        with suppress(InputError):
            yield read_training(file, schema)


def stored(files: TrainingFiles, key: Json | None = None) -> Json:
    """The record of a whole training; only if ``key`` made it, where that is given.

    Raises:
        TrainingMissing: there is none.
        TrainingFailed: it ended with an error.
    """
    try:
        record = read_training(files.record, TrainingRecord)
    except InputError as error:
        raise TrainingMissing(str(error)) from None
    if key is not None and record["key"] != key:
        raise TrainingMissing(f"{files.record}: was made with other parameters, budget or code")
    if record.get("cause"):
        raise TrainingFailed(record["cause"])
    for file in files.forecasts.values():
        if not file.is_file():
            raise TrainingMissing(f"{file}: no such file; expected forecasts of a training")
    return record


def is_stored(files: TrainingFiles, key: Json) -> bool:
    """Whether a whole training that ``key`` made is there."""
    try:
        return bool(stored(files, key))
    except TrainingMissing:
        return False


def replicate(run: RunPaths, trial: int, seed: int, key: Json | None = None) -> QuantileForecasts:
    """Validation forecasts of a trial's configuration trained with another seed, see `stored`."""
    files = run.replicate(trial, seed)
    file = files.forecasts["validation"]
    return load_predictions(unchanged(file, stored(files, key), "validation"))


def replicate_seconds(run: RunPaths) -> float:
    """What all trainings with fresh seeds took."""
    records = whole_records(run.replicates(), TrainingRecord)
    return float(sum(record["seconds"] for record in records))


# Of a benchmark


@dataclass(frozen=True)
class Training:
    """A training of a benchmark: its record, and its forecasts of every origin of both splits.

    The model was not trained on the days of ``validation``, even if a refit forecasts ``test``.
    """

    record: Json
    validation: QuantileForecasts
    test: QuantileForecasts

    @classmethod
    def load(cls, paths: BenchmarkPaths, record: Json) -> "Training":
        """The training of a record, whose forecasts have to be there."""
        files = files_of(paths, record).forecasts
        both = (load_predictions(unchanged(files[split], record, split)) for split in SPLITS)
        return cls(record, *both)

    def store(self, paths: BenchmarkPaths) -> None:
        store(files_of(paths, self.record), self.record, validation=self.validation, test=self.test)


def files_of(paths: BenchmarkPaths, record: Mapping[str, Any]) -> TrainingFiles:
    """The files of a training of a benchmark, whose record names them."""
    return paths.training(record["model"], record["params"], record["seed"])


def check_same_data(paths: BenchmarkPaths, dataset: Dataset) -> None:
    """Results of different data never come into one table.

    Raises:
        InputError: the folder holds trainings on other data or other splits.
    """
    here = data_key(dataset)
    for file in paths.records():
        for record in whole_records([file]):
            for name, expected in here.items():
                if (there := record["key"]["data"].get(name)) != expected:
                    raise InputError(
                        f"{file}: was made on other data ({name} is {str(there)[:25]}, here it is "
                        f"{str(expected)[:25]}); give another --out"
                    )


def load_trainings(paths: BenchmarkPaths) -> dict[tuple[str, str], Sequence[Training]]:
    """Every training of a benchmark, by row (model, params), with ascending seeds.

    Raises:
        InputError: there is none, one is damaged, on other data or of other code than the rest.
    """
    records = [(file, read_training(file)) for file in paths.records()]
    if not records:
        raise InputError(f"{paths.folder}: holds no finished training; run `hpo benchmark` first")
    first = records[0][0].name
    key = records[0][1]["key"]
    rows = dict[tuple[str, str], list[Training]]()
    for file, record in sorted(records, key=lambda one: one[1]["seed"]):
        if files_of(paths, record).record != file:
            raise InputError(
                f"{file}: holds another training, which its name does not say; give it its name "
                "again"
            )
        if (other := record["key"]["version"]) != key["version"]:
            raise InputError(
                f"{file}: was trained by version {other} of the models, {first} by version "
                f"{key['version']}; run `hpo benchmark` again for all models of this folder"
            )
        if record["key"]["data"] != key["data"]:
            raise InputError(
                f"{file}: was made on other data than {first}; remove the ones or the others"
            )
        rows.setdefault((record["model"], record["params"]), []).append(
            Training.load(paths, record)
        )
    return dict(sorted(rows.items()))
