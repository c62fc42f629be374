"""JSON and stored forecasts, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.errors import InputError
from hpo_lib.paths import atomic
from hpo_lib.scoring.forecasts import QuantileForecasts


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_predictions(path: Path, forecasts: QuantileForecasts) -> QuantileForecasts:
    """Store forecasts as parquet (quantiles in float32, actuals in float64), atomically, and return them as stored."""
    frame = forecasts.to_frame()
    quantiles = [name for name in frame.columns if name.startswith("q")]
    split = dict.fromkeys(["actual", *quantiles], "BYTE_STREAM_SPLIT")  # makes the files a third smaller
    with atomic(path) as temporary:
        frame.astype({"step": "int16", **dict.fromkeys(quantiles, "float32")}).to_parquet(
            temporary, compression="zstd", index=False, use_dictionary=["origin", "step"], column_encoding=split
        )
    return load_predictions(path)


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
        raise InputError(f"{path}: not a readable parquet file ({error}); write it again") from None
    return QuantileForecasts.from_frame(frame, str(path))
