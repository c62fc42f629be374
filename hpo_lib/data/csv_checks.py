"""Checks on an engineered CSV, on its cells as they stand in the file.

The functions take frames of text whose index is the line number in the file (the header is line 1), so that an error
can name the exact line and cell. They convert whole columns at once and look for the offending cell only on failure.
"""

import difflib
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo_lib.errors import InputError

TIMESTAMP = "timestamp"
CONSTANT_HOURS = 48
"""So many equal hours of the target in a row are filler, not demand."""

CALENDAR_RANGES = {"hour": (0, 23), "day_of_week": (0, 6), "month": (1, 12)}
"""Calendar columns and the whole numbers that they may hold; a column named ``is_...`` holds 0 or 1."""

_MISSING = ("", "nan", "NaN")
_TRUTH = {"True": "1", "False": "0"}
_SAME = 1e-9  # relative: filler averaged over meters differs in the last digits


def check_text(content: bytes, file: str) -> str:
    """The text of a CSV, without a byte order mark and without blank lines at its end.

    Raises:
        InputError: the file is empty, starts with a blank line, or is not UTF-8 text.
    """
    try:
        text = content.decode("utf-8-sig").rstrip()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{file}: not a UTF-8 text file (byte 0x{content[error.start]:02x} in line {line}); save it as CSV in UTF-8"
        ) from None
    if not text:
        raise InputError(f"{file}: the file is empty, expected a header and hourly rows; make it with `hpo prepare`")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise InputError(f"{file}: not a text file (NUL byte in line {line}); save it as CSV in UTF-8")
    if not re.split(r"[\r\n]", text, maxsplit=1)[0].strip():
        raise InputError(f"{file}: line 1 is blank, expected the header; remove blank lines at the start")
    return text


def check_header(header: Sequence[str], required: Sequence[str], file: str) -> None:
    """Make sure that every required column is there once.

    Raises:
        InputError: another separator than a comma, a column twice, required columns missing, or a raw CSV.
    """
    for separator, name in ((";", "';'"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise InputError(
                f"{file}: columns are separated by {name}, expected ','; save it with commas and decimal points"
            )
    for column in header:
        if header.count(column) > 1:
            raise InputError(
                f"{file}: column {column!r} appears {header.count(column)} times in the header, expected once; "
                "remove or rename the others"
            )
    if list(header) == ["", "0"]:
        raise InputError(
            f"{file}: this is a raw CSV (columns '' and '0'), expected engineered features; run `hpo prepare` on it"
        )
    missing = [column for column in required if column not in header]
    if missing:
        raise InputError(
            f"{file}: missing {', '.join(_with_nearest(column, header) for column in missing)}; "
            "rename or add what is missing, or mend the columns in the dataset's TOML"
        )


def _with_nearest(column: str, header: Sequence[str]) -> str:
    near = difflib.get_close_matches(column, header, n=1, cutoff=0.6)
    return f"column {column!r}" + (f" (nearest there: {near[0]!r})" if near else "")


def timestamps(cells: pd.Series, file: str) -> pd.DatetimeIndex:
    """The timestamps of all rows, UTC, strictly ascending and on the full hour, hours possibly missing.

    Timestamps without an offset are taken as UTC.

    Raises:
        InputError: a cell that is no time, another offset than UTC, mixed forms, a time off the full hour, an hour that
            appears twice, or rows out of order.
    """
    times = pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        line = int(times.index[times.isna()][0])
        raise InputError(
            f"{_cell(file, line, cells)}, expected a UTC time such as '2018-04-01 00:00:00+00:00'; mend that cell"
        )
    _check_offsets(cells, file)
    stamps = pd.DatetimeIndex(times, name=TIMESTAMP)
    off = stamps != stamps.floor("h")
    if off.any():
        line = int(cells.index[off][0])
        raise InputError(
            f"{_cell(file, line, cells)}, expected a full hour; bring the data to hourly steps before `hpo prepare`"
        )
    twice = stamps.duplicated()
    if twice.any():
        line = int(cells.index[twice][0])
        first = int(cells.index[stamps == stamps[twice][0]][0])
        raise InputError(
            f"{_cell(file, line, cells)}, which line {first} already has, expected every hour once; "
            "remove one of the rows, or convert local time to UTC if the hour is repeated by the end of summer time"
        )
    back = np.flatnonzero(stamps[1:] < stamps[:-1])
    if len(back):
        line = int(cells.index[back[0] + 1])
        raise InputError(f"{_cell(file, line, cells)}, which is before line {line - 1}; sort the rows by timestamp")
    return stamps


def _check_offsets(cells: pd.Series, file: str) -> None:
    offsets = cells.str.strip().str.slice(10).str.extract(r"(Z|[+-]\d{2}(?::?\d{2})?)$", expand=False).fillna("none")
    offsets = offsets.str.replace(r"^(?:Z|[+-]00(?::?00)?)$", "UTC", regex=True)
    first = offsets.iloc[0]
    other = offsets != first
    if other.any():
        line = int(cells.index[other][0])
        raise InputError(
            f"{_cell(file, line, cells)} (offset {offsets.loc[line]}), while line {cells.index[0]} has offset {first}, "
            "expected UTC throughout; convert all timestamps to UTC"
        )
    if first not in ("UTC", "none"):
        cell = _cell(file, int(cells.index[0]), cells)
        raise InputError(f"{cell} (offset {first}), expected UTC; convert all timestamps to UTC")


def numbers(cells: pd.DataFrame, file: str) -> pd.DataFrame:
    """The cells as float64, NaN where a cell is empty or ``nan``.

    ``True`` and ``False`` are read as 1 and 0 in a column named ``is_...``.

    Raises:
        InputError: a cell that is not a finite number.
    """
    return pd.DataFrame({column: _numbers(cells[column], file) for column in cells.columns}, index=cells.index)


def _numbers(cells: pd.Series, file: str) -> pd.Series:
    try:
        values = pd.to_numeric(cells).astype("float64")
    except ValueError:  # the slow way, which tells missing values from offending cells
        known = cells.replace(_TRUTH) if str(cells.name).startswith("is_") else cells
        values = pd.to_numeric(known, errors="coerce").astype("float64")
        values = values.mask(values.isna() & ~cells.str.strip().isin(_MISSING), np.inf)
    wrong = np.isinf(values)
    if wrong.any():
        line = int(cells.index[wrong][0])
        raise InputError(
            f"{_cell(file, line, cells)}, expected a finite number with a decimal point, or an empty cell where the "
            "value is missing; mend that cell"
        )
    return values


def check_target(values: pd.Series, times: pd.DatetimeIndex, file: str) -> None:
    """Make sure that the target is a demand: never negative and never stuck.

    Raises:
        InputError: a negative value, or 48 and more equal values in a row (to one part in 1e9).
    """
    if (values < 0).any():
        line = int(values.index[values < 0][0])
        raise InputError(
            f"{file}: line {line}, column {values.name!r} is {values.loc[line]:g}, expected a demand of at least 0; "
            "mend that cell or leave it empty"
        )
    array = values.to_numpy()
    same = np.abs(np.diff(array)) <= _SAME * np.abs(array[1:])
    starts, lengths = runs(same)
    stuck = np.flatnonzero(lengths >= CONSTANT_HOURS - 1)
    if not len(stuck):
        return
    first, length = int(starts[stuck[0]]), int(lengths[stuck[0]]) + 1
    if length == len(array):
        raise InputError(
            f"{file}: column {values.name!r} is {array[0]:g} in every row, expected a demand that varies; check where "
            "the column came from"
        )
    what = f"column {values.name!r} is {array[first]:g} for {length} rows in a row from line {values.index[first]} on"
    if first + length == len(array):
        raise InputError(f"{file}: {what} to the end of the file, expected a demand that varies; remove these rows")
    raise InputError(
        f'{file}: {what}, expected a demand that varies; set start = "{times[first + length]:%Y-%m-%d %H:%M}" in the '
        "dataset's TOML to use the hours after them, or mend these cells"
    )


def check_calendar(values: pd.DataFrame, file: str) -> None:
    """Make sure that calendar columns hold what their names say: they are handed to models for the day being forecast.

    Raises:
        InputError: ``hour``, ``day_of_week``, ``month`` or an ``is_...`` column holds a value out of its range.
    """
    for column in values.columns:
        if column not in CALENDAR_RANGES and not column.startswith("is_"):
            continue
        low, high = CALENDAR_RANGES.get(column, (0, 1))
        known = values[column].dropna()
        wrong = (known < low) | (known > high) | (known % 1 != 0)
        if wrong.any():
            line = int(known.index[wrong][0])
            allowed = "0 or 1" if high == 1 else f"a whole number from {low} to {high}"
            found = f"line {line}, column {column!r} is {known.loc[line]:g}"
            raise InputError(f"{file}: {found}, expected {allowed}; mend that cell")


def runs(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start positions and lengths of the runs of True in ``mask``."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def _cell(file: str, line: int, cells: pd.Series) -> str:
    return f"{file}: line {line}, column {cells.name!r} is {cells.loc[line]!r}"
