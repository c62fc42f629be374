"""Files of a record: JSON, stored forecasts, executed notebooks.

They are written whole or not at all, and checked once, where they are read.

papermill leaves a notebook behind whatever happens. One whose papermill was killed has no
``end_time``; one whose kernel died has an ``end_time`` and no exception, but a cell that never
ended. Neither is a complete record.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from hpo_lib.errors import InputError, expected, in_one_line, sentence
from hpo_lib.paths import NAME, RunPaths, atomic, write_text
from hpo_lib.scoring.forecasts import QuantileForecasts

MAX_JSON_BYTES = 100_000_000
"""A larger JSON is none of ours; a study of thousands of trials has a few megabytes."""


def _is_time(value: str) -> str:
    if pd.Timestamp(value).tzinfo is None:
        raise ValueError
    return value


Json = dict[str, Any]
"""A JSON object."""

Count = Annotated[int, Field(ge=0, lt=2**53)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Pair = Annotated[Sequence[float], Field(min_length=2, max_length=2)]
Time = Annotated[str, AfterValidator(_is_time), expected("a time with its zone")]
Params = dict[str, bool | int | float | str | None]


class Part(BaseModel, strict=True, allow_inf_nan=False):
    """Part of a JSON. Keys that are not stated here may hold anything; numbers are finite."""


def check(schema: type[Part], record: object, source: Path | str, what: str) -> None:
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


def checked_json(path: Path, what: str, schema: type[Part]) -> Json:
    """The content of a JSON file that fits a schema; errors as in `read_json` and `check`."""
    record: Json = read_json(path, what)
    check(schema, record, path, what)
    return record


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file that is ``what``, an expectation for the error sentence.

    Raises:
        InputError: the file is missing or is not JSON; NaN and infinity are none either.
    """
    try:
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise InputError(
                f"{path}: has {size / 1e6:.0f} MB, expected {what} of a few at most; restore the "
                "file"
            )
        return json.loads(path.read_text("utf-8"), parse_constant=_refused)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {what}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give {what}") from None
    except RecursionError:
        raise InputError(
            f"{path}: is nested too deeply to be {what}; restore the file from a copy"
        ) from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{path}: not a complete JSON file ({error}); remove it or write it again from its "
            "study"
        ) from None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def write_json(path: Path, content: Json) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_predictions(path: Path, forecasts: QuantileForecasts) -> QuantileForecasts:
    """Store forecasts as parquet, atomically, and return them as stored.

    Quantiles are in float32, actuals in float64.
    """
    frame = forecasts.to_frame()
    quantiles = [name for name in frame.columns if name.startswith("q")]
    with atomic(path) as temporary:
        frame.astype({"step": "int16", **dict.fromkeys(quantiles, "float32")}).to_parquet(
            temporary,
            compression="zstd",
            index=False,
            use_dictionary=["origin", "step"],
            # This encoding makes the files a third smaller.
            column_encoding=dict.fromkeys(["actual", *quantiles], "BYTE_STREAM_SPLIT"),
        )
    # If it raises, NaN is the model's fault, not the file's.
    return QuantileForecasts.from_frame(_frame(path), str(path))


def load_predictions(path: Path) -> QuantileForecasts:
    """Stored forecasts; the inverse of `write_predictions` up to float32.

    Raises:
        InputError: the file is missing, unreadable or incomplete.
    """
    try:
        forecasts = QuantileForecasts.from_frame(_frame(path), str(path))
        if forecasts.origins.tz is None:
            raise ValueError("its origins have no time zone")
        if 0.5 not in forecasts.levels:
            raise ValueError("it has no median")
        if not np.isfinite(forecasts.actual).all():
            raise ValueError("actual values are not finite")
    except InputError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError(
            f"{path}: holds no forecasts ({error}); restore the file, or run the training again"
        ) from None
    return forecasts


def _frame(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected stored predictions of a trial") from None
    except (OSError, ValueError, NotImplementedError, MemoryError) as error:
        why = in_one_line(error)
        raise InputError(f"{path}: not a readable parquet file ({why}); write it again") from None


# Executed notebooks


@dataclass(frozen=True)
class Record:
    """How an executed notebook ended.

    Attributes:
        complete: papermill came to its end: the last cell or an error.
        error: ``name: message`` of the error that ended it; why it cannot be read; or empty.
    """

    complete: bool
    error: str = ""


def read_record(path: Path) -> Record:
    """Read whether and how a notebook ended.

    A file that is no notebook was cut off while it was being written.
    """
    try:
        notebook = read_json(path, "a notebook")
        run = notebook["metadata"].get("papermill", {})
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        if not run.get("end_time"):
            return Record(complete=False)
        if run.get("exception"):
            for cell in cells:
                for output in cell.get("outputs", []):
                    if output.get("output_type") == "error":
                        return Record(True, f"{output.get('ename')}: {output.get('evalue')}")
            return Record(True, "an error that the notebook does not show")
        # papermill calls every cell "completed" if the kernel died, so only the kernel's own count
        # tells.
        return Record(
            complete=all(
                cell.get("execution_count") is not None for cell in cells if cell["source"]
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error).removeprefix(f"{path}: ")
        return Record(
            False, f"{path}: not a readable notebook ({why}); the study can be run again beside it"
        )


def attempts(run: RunPaths) -> list[Path]:
    """The executed notebooks of a study, one per attempt, oldest first."""
    earlier = itertools.takewhile(Path.exists, map(run.attempt_notebook, itertools.count(1)))
    return [*earlier, *filter(Path.exists, [run.notebook])]


def of_all_workers(run: RunPaths) -> list[RunPaths]:
    """The paths of each worker that has left an executed notebook; always of worker 1."""
    notebooks = run.folder.glob(f"{run.notebook.stem}.worker-*.ipynb")
    words = [file.stem.rpartition(".worker-")[2] for file in notebooks]
    numbers = {1, *map(int, filter(str.isdecimal, words))}
    return [replace(run, worker=number) for number in sorted(numbers)]
