"""What stored records may hold.

Each is checked once, where it is read, so that no reader meets a surprise in it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hpo_lib.checked import expected, sentence
from hpo_lib.errors import InputError
from hpo_lib.paths import NAME

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
)
"""What optuna raises, apart from its own errors and the database's, when values in a storage are
damaged.
"""

RESTORE = "restore it from a copy, or use another job_id"


def _is_time(value: str) -> str:
    if pd.Timestamp(value).tzinfo is None:
        raise ValueError
    return value


Count = Annotated[int, Field(ge=0, lt=2**53)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
_Time = Annotated[str, AfterValidator(_is_time), expected("a time with its zone")]
Params = dict[str, bool | int | float | str | None]


class Part(BaseModel):
    """Part of a JSON. Keys that are not stated here may hold anything; numbers are finite."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Data(Part):
    source: str | None = None
    path: str | None = None
    sha256: str | None = None
    unit: str | None = None
    train_end: _Time | None = None
    val_end: _Time | None = None
    test_end: _Time | None = None
    first_hour: _Time | None = None
    last_hour: _Time | None = None
    hours_filled: Count | None = None
    hours_missing: Count = 0
    past_covariates: list[str] | None = None
    future_covariates: list[str] | None = None


class Provenance(Part):
    """Where a result comes from, as `hpo_lib.records.provenance` states it."""

    data: _Data | None = None
    preset: str | None = None
    recipe: dict[str, Any] | None = None
    device: str | None = None
    git_commit: str | None = None
    packages: dict[str, str | None] | None = None


class _Key(Part):
    data: dict[str, Any]
    version: int


class TrainingRecord(Part):
    """The record of one training: of a benchmark, of a proof, or of a model in use."""

    key: _Key
    seconds: float
    cause: str = ""


class BenchmarkRecord(TrainingRecord):
    """The record of one training of a benchmark."""

    model: Name
    params: Literal["best", "file", "ensemble", "default", "own"]
    seed: int
    remark: str | None = None
    provenance: Provenance = Provenance()


class _Ends(Part):
    train_end: _Time
    val_end: _Time


class _CardKey(Part):
    data: _Ends
    version: int


class ModelFacts(Part):
    """The card for programs of a trained model."""

    key: _CardKey
    params: Params
    preset: str
    trained_until: _Time
    relative_mae: float
    provenance: Provenance


class _Identity(Part):
    preset: str | None = None
    objectives: list[str] | None = None


class StudyAttributes(Part):
    """What a study's storage says of it, beside its trials."""

    trials_asked: Count = 0
    identity: _Identity | None = None


def check(schema: type[BaseModel], record: object, source: Path | str, what: str) -> None:
    """Check a record against a schema.

    Raises:
        InputError: it does not fit; the sentence names ``source``, the key, its value and what was
            expected.
    """
    if not isinstance(record, Mapping):
        raise InputError(
            f"{source}: holds a {type(record).__name__}, expected the JSON object of {what}"
        )
    try:
        schema.model_validate(record)
    except ValidationError as error:
        wrong = sentence(error, missing=f", expected {what}")
        raise InputError(
            f"{source}: {wrong}; restore the file from a copy, or write it again"
        ) from None
