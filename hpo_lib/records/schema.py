"""What stored records may hold. Each is checked once, where it is read, so that no reader meets a
surprise in it.
"""

from collections.abc import Iterator, Mapping
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


_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Name = Annotated[str, Field(pattern=f"^{NAME}$")]
_Time = Annotated[str, AfterValidator(_is_time), expected("a time with its zone")]
_Params = dict[str, bool | int | float | str | None]
_Three = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Part(BaseModel):
    """Part of a JSON. Keys that are not stated here may hold anything; numbers are finite."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Trial(_Part):
    trial: _Count
    state: str = "complete"
    mae: float | None = None
    picp_penalty: float | None = None
    picp: float | None = None
    pinball: float | None = None
    winkler: float | None = None
    picp_calibrated: float | None = None
    winkler_calibrated: float | None = None
    values: dict[str, float] = {}
    shares: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    params: _Params


class _Selection(_Part):
    policy: str
    trial: _Count
    reason: str
    alternatives: dict[str, _Count]


class _Challenger(_Part):
    trial: _Count
    proven: bool
    cause: str
    probability: float | None = None
    score_change: _Three | None = None
    mae_change: _Three | None = None
    winkler_calibrated_change: _Three | None = None
    picp_calibrated: float | None = None


class _Proof(_Part):
    seeds: list[int]
    days: _Count
    challengers: list[_Challenger]
    cause: str


class _Objective(_Part):
    name: str
    tolerance: float


class _Failure(_Part):
    trial: _Count
    cause: str


class _Scores(_Part, extra="allow"):
    __pydantic_extra__: dict[str, float | None]
    by_step: dict[str, list[float]] | None = None


class _Data(_Part):
    source: str | None = None
    path: str | None = None
    sha256: str | None = None
    unit: str | None = None
    train_end: _Time | None = None
    val_end: _Time | None = None
    test_end: _Time | None = None
    first_hour: _Time | None = None
    last_hour: _Time | None = None
    hours_filled: _Count | None = None
    hours_missing: _Count = 0
    past_covariates: list[str] | None = None
    future_covariates: list[str] | None = None


class _Provenance(_Part):
    data: _Data | None = None
    preset: str | None = None
    recipe: dict[str, Any] | None = None
    device: str | None = None
    git_commit: str | None = None
    packages: dict[str, str | None] | None = None


class _Result(_Part):
    """A best_params JSON of any schema; the first one had few of these keys."""

    model: _Name
    dataset: _Name
    best_params: _Params
    job_id: _Name | None = None
    status: str | None = None
    optimization_date: str | None = None
    n_trials: _Count | None = None
    n_completed: _Count | None = None
    n_failed: _Count | None = None
    n_pruned: _Count | None = None
    n_interrupted: _Count | None = None
    n_pareto_optimal: _Count | None = None
    best_trial_number: _Count | None = None
    best_mae: float | None = None
    best_picp: float | None = None
    selection: _Selection | None = None
    chosen_trial: _Trial | None = None
    default_trial: _Trial | None = None
    all_pareto_trials: list[_Trial] | None = None
    validation_metrics: _Scores | None = None
    proof: _Proof | None = None
    baselines: dict[str, dict[str, float]] | None = None
    failures: list[_Failure] | None = None
    objectives: list[_Objective] | None = None
    study_name: str | None = None
    storage_path: str | None = None
    training_time_hours: float | None = None
    space: str | None = None
    best_recipe: dict[str, Any] | None = None
    provenance: _Provenance | None = None


class _Result2(_Result):
    """A best_params JSON of schema 2: what it always had."""

    status: str
    n_completed: _Count
    best_trial_number: _Count
    best_mae: float
    best_picp: float
    selection: _Selection
    default_trial: _Trial
    all_pareto_trials: Annotated[list[_Trial], Field(min_length=1)]
    training_time_hours: float
    provenance: _Provenance


class _Key(_Part):
    data: dict[str, Any]
    versions: dict[str, int] = {}


class TrainingRecord(_Part):
    """The record of one training of a benchmark."""

    model: _Name
    params: Literal["best", "file", "ensemble", "default", "own"]
    seed: int
    key: _Key
    seconds: float
    remark: str | None = None
    provenance: _Provenance = _Provenance()


class _Ends(_Part):
    train_end: _Time
    val_end: _Time


class _CardKey(_Part):
    data: _Ends
    versions: dict[str, int]


class ModelFacts(_Part):
    """The card for programs of a trained model."""

    key: _CardKey
    params: _Params
    preset: str
    trained_until: _Time
    relative_mae: float
    provenance: _Provenance


class ReplicateRecord(_Part):
    """What made a replicate of a trial."""

    key: dict[str, Any]
    cause: str
    seconds: float


class _Identity(_Part):
    preset: str | None = None
    objectives: list[str] | None = None


class StudyAttributes(_Part):
    """What a study's storage says of it, beside its trials."""

    trials_asked: _Count = 0
    identity: _Identity | None = None


def check(schema: type[BaseModel], found: object, source: Path | str, what: str) -> None:
    """Check a record against a schema.

    Raises: InputError: it does not fit; the sentence names ``source``, the key, what was found and
        what was expected.
    """
    if not isinstance(found, Mapping):
        raise InputError(
            f"{source}: holds a {type(found).__name__}, expected the JSON object of {what}"
        )
    try:
        schema.model_validate(found)
    except ValidationError as error:
        wrong = sentence(error, missing=f", expected {what}")
        raise InputError(
            f"{source}: {wrong}; restore the file from a copy, or write it again"
        ) from None


def check_result(result: Mapping[str, Any], file: Path) -> None:
    """Check a best_params JSON with the keys of the newest schema.

    Raises:
        InputError: a value is missing or of the wrong kind.
    """
    present = {key: value for key, value in result.items() if value is not None}
    check(
        _Result if result["schema_version"] < 2 else _Result2,
        present,
        file,
        "a best_params JSON of a study",
    )


def contradictions(result: Mapping[str, Any]) -> Iterator[str]:
    """What the parts of a checked best_params JSON of schema 2 say against each other."""
    listed = [
        one
        for one in (result["default_trial"], result["chosen_trial"], *result["all_pareto_trials"])
        if one
    ]
    wanted = {one["name"] for one in result["objectives"] or []}
    for one in listed:
        if one.get("state", "complete") == "complete":
            has = {key for key, value in one.items() if value is not None}
            minimised = set(one.get("values", {})) or {"mae", "picp_penalty"}
            if lacking := sorted(({"mae", "picp", "picp_penalty"} - has) | (wanted - minimised)):
                yield f"trial {one['trial']} is complete, but has no {lacking[0]}"
    for one in result["proof"]["challengers"] if result["proof"] else ():
        if not one["cause"] and (lacking := sorted(set(_Challenger.model_fields) - set(one))):
            yield f"proof names trial {one['trial']} without its {lacking[0]}"
    number = result["best_trial_number"]
    if number not in {one["trial"] for one in listed}:
        yield f"best_trial_number is {number}, which is none of its trials"
