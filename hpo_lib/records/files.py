"""Files that are written whole or not at all: JSON and stored forecasts."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.errors import InputError
from hpo_lib.scoring.forecasts import QuantileForecasts


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON under a temporary name beside its place, then rename, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_predictions(path: Path, forecasts: QuantileForecasts) -> None:
    """Store forecasts as parquet (quantiles in float32, actuals in float64), atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = forecasts.to_frame()
    quantiles = [name for name in frame.columns if name.startswith("q")]
    temporary = path.with_name(f".{path.name}.tmp")
    split = dict.fromkeys(["actual", *quantiles], "BYTE_STREAM_SPLIT")  # makes the files a third smaller
    frame.astype({"step": "int16", **dict.fromkeys(quantiles, "float32")}).to_parquet(
        temporary, compression="zstd", index=False, use_dictionary=["origin", "step"], column_encoding=split
    )
    temporary.replace(path)


def load_predictions(path: Path) -> QuantileForecasts:
    """Stored forecasts; the inverse of `write_predictions` up to float32.

    Raises:
        InputError: the file is missing, unreadable or incomplete.
    """
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected stored predictions of a trial") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error}); write it anew") from None
    return QuantileForecasts.from_frame(frame, str(path))
