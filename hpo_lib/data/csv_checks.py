"""The one reader of CSVs, and the checks on their cells.

The functions take cells as text in a frame whose index is the line number in the file (the header
is line 1), so an error names the exact line and cell. They convert whole columns and look for the
wrong cell only if that fails.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib import paths
from hpo_lib.errors import InputError

TIMESTAMP = "timestamp"
CONSTANT_HOURS = 48
"""So many equal hours of the target in a row are filler, not measured values."""

WEATHER_RANGES = {
    "temp": (-100, 100, "degrees C"),
    "dew_point": (-100, 100, "degrees C"),
    "humidity": (0, 110, "%"),
    "clouds_all": (0, 100, "%"),
    "wind_speed": (0, 150, "m/s"),
    "rain_1h": (0, 500, "mm"),
    "snow_1h": (0, 500, "mm"),
    "pressure": (500, 1100, "hPa"),
}
"""Weather columns, what they may hold, and its unit: more than was ever measured, and less than a
sentinel.
"""

WEATHER_COLUMNS = tuple(WEATHER_RANGES)

RANGES = WEATHER_RANGES | {"hour": (0, 23, ""), "day_of_week": (0, 6, ""), "month": (1, 12, "")}
"""Beside them, calendar columns, which hold whole numbers; one named ``is_...`` holds 0 or 1."""

YEARS = range(1900, 2101)
"""A time in another year is a mistake, and every hour up to it would be a row."""

LARGEST = 1e12
"""Larger numbers are no measurements; squared, they leave the range of float32."""

SPIKE = 1e6
"""A demand of so many times the median is a mistake in one cell, and would be the scale of all
others.
"""

_TRUTH = {"True": "1", "False": "0"}
MISSING = ("", "nan", "NaN", np.nan)
SAME_VALUE = 1e-9  # relative: filler averaged over meters differs in the last digits
OFFSET = r"(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
TIME = r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:?(?:\d\d)?)?"
"""What a timestamp is; pandas alone reads "now", too."""


def read_csv(
    path: Path, what: str, advice: str = "give a filled CSV file", *, separators: str = ","
) -> tuple[pd.DataFrame, bytes, str]:
    """A CSV, whose cells each are in one line: its cells, the file, and its separator.

    The cells are text without blanks around it, by line number and column.

    Args:
        path: the CSV; byte order marks at its start and blank lines at its end are ignored.
        what: what the file is called in an error.
        advice: what to do about a file without rows.
        separators: characters that may separate its columns; the most frequent one in the header
            does.
    """
    content = paths.read_text(path, "CSV")
    text = content.lstrip("\ufeff").rstrip()
    if not text:
        raise InputError(f"this {what} is empty, expected a header and rows; {advice}")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise InputError(f"not a text file (NUL byte in line {line}); save it as CSV in UTF-8")
    separator = max(separators, key=re.split(r"[\r\n]", text, maxsplit=1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    try:
        for line, row in enumerate(reader, 1):
            width = len(rows[0] if rows else row)
            if reader.line_num != line:
                raise InputError(
                    f"line {line} has a cell that goes on in the next line; close its "
                    "quote, or write it in one line"
                )
            if row and len(row) != width:
                raise InputError(
                    f"line {line} has {len(row)} fields, expected {width} as in the header; leave "
                    "nothing between the commas of a missing value, write decimal points, and "
                    "quote text that holds a comma"
                )
            rows.append([field.strip() for field in row or [""] * width])
    except csv.Error as error:
        raise InputError(f"not readable as CSV ({error}); save it again as CSV") from None
    header = rows.pop(0)
    if not rows:
        raise InputError(f"this {what} has a header but no rows; {advice}")
    cells = pd.DataFrame(rows, index=range(2, len(rows) + 2), columns=header, dtype=str)
    return cells, content.encode(), separator


def check_header(cells: pd.DataFrame, required: Sequence[str], advice: str) -> None:
    """Check that every required column is there, and none twice; ``advice`` is on missing ones."""
    header = list(cells)
    if twice := [column for column in header if header.count(column) > 1]:
        raise InputError(
            f"column {twice[0]!r} appears {header.count(twice[0])} times in the header, "
            "expected once; remove or rename the others"
        )
    if missing := [column for column in dict.fromkeys(required) if column not in header]:
        names, there = (", ".join(map(repr, columns)) for columns in (missing, header))
        raise InputError(f"column {names} is missing, the header has {there}; {advice}")


def timestamps(cells: pd.Series) -> pd.DatetimeIndex:
    """The timestamps of all rows: UTC, strictly ascending, on the full hour; hours may be missing.

    Timestamps without an offset are taken as UTC, but all must be alike.
    """
    stamps = pd.DatetimeIndex(utc_times(cells), name=TIMESTAMP)
    clocks = cells.str.slice(10)
    has_offset = clocks.str.contains(OFFSET)
    is_elsewhere = has_offset & ~clocks.str.contains(r"(?:Z|[+-]00(?::?00)?)$")
    refuse(
        is_elsewhere | (has_offset != has_offset.iloc[0]),
        cells,
        ", expected UTC in all rows, with an offset in all or none; convert the timestamps",
    )
    refuse(
        stamps != stamps.floor("h"),
        cells,
        ", expected a full hour; `hpo prepare --aggregate` makes hours of shorter steps",
    )
    twice = stamps.duplicated()
    if twice.any():
        line = cells.index[stamps.get_loc(stamps[twice][0])][0]
        advice = (
            f", which line {line} already has, expected every hour once; remove one of the rows, "
            "or give `hpo prepare` the --timezone if summer time ends there"
        )
        refuse(twice, cells, advice)
    refuse(
        stamps.diff() < pd.Timedelta(0),
        cells,
        ", which is before the line above; sort the rows by timestamp",
    )
    return stamps


def utc_times(cells: pd.Series) -> pd.Series:
    """The cells as times in UTC, which those without an offset are taken for."""
    iso = cells.where(cells.str.fullmatch(TIME))
    times = pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce")
    refuse(
        ~times.dt.year.isin(YEARS),
        cells,
        ", expected a UTC time such as '2018-04-01 00:00:00+00:00'; fix that cell",
    )
    return times


def numbers(cells: pd.Series) -> pd.Series:
    """The cells as finite float64, NaN if a cell is empty or ``nan``.

    ``True`` is 1 in a column named ``is_...``.
    """
    known = cells.replace(_TRUTH) if str(cells.name).startswith("is_") else cells
    values = pd.to_numeric(known, errors="coerce").astype("float64")
    refuse(
        np.isinf(values) | (values.isna() & ~cells.isin(MISSING)),
        cells,
        ", expected a finite number with a decimal point, or an empty cell where the value is "
        "missing; fix that cell",
    )
    refuse(
        values.abs() > LARGEST, cells, f", expected a number of at most {LARGEST:g}; fix that cell"
    )
    return values


def check_target(values: pd.Series, times: pd.DatetimeIndex, *, may_be_negative: bool) -> None:
    """Check that the target is not stuck, not absurdly large, and not negative if it cannot be.

    Stuck are 48 and more equal values in a row (to one part in 1e9).
    """
    refuse(
        (values < 0) & (not may_be_negative),
        values,
        ", expected at least 0; fix that cell, leave it empty, or set may_be_negative = true in "
        "the dataset's TOML if it is right",
    )
    usual = values[values != 0].abs().median()
    refuse(
        values.abs() > SPIKE * usual,
        values,
        f", expected at most {SPIKE:g} times the median of {usual:g}; fix that cell or leave it "
        "empty",
    )
    array = values.to_numpy()
    starts, lengths = runs_of_true(np.abs(np.diff(array)) <= SAME_VALUE * np.abs(array[1:]))
    for stuck in np.flatnonzero(lengths >= CONSTANT_HOURS - 1):
        first = starts[stuck]
        after = first + lengths[stuck] + 1
        begin = [f'set start = "{time:%Y-%m-%d %H:%M}" in its TOML' for time in times[after:][:1]]
        raise InputError(
            f"column {values.name!r} is {array[first]:g} for {after - first} rows in a row "
            f"from line {values.index[first]} on, expected a series that varies; "
            + " or ".join(["leave these cells empty", *begin])
        )


def check_ranges(values: pd.DataFrame) -> None:
    """Check that columns of weather and calendar hold what `RANGES` says."""
    for column, cells in values.items():
        name = str(column)
        if name in RANGES or name.startswith("is_"):
            low, high, unit = RANGES.get(name, (0, 1, ""))
            allowed = "0 or 1" if high == 1 else f"a whole number from {low} to {high}"
            advice = f"{allowed}; fix that cell"
            if unit:
                advice = f"{low} to {high} {unit}, or an empty cell where the value is missing"
            is_fraction = (cells.fillna(0) % 1 != 0) & (not unit)
            refuse((cells < low) | (cells > high) | is_fraction, cells, f", expected {advice}")


def runs_of_true(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start position and length of each run of True in ``mask``."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def refuse(wrong: pd.Series | np.ndarray, cells: pd.Series, reason: str) -> None:
    """Raise an error that names the first wrong cell and its line, if there is one."""
    if wrong.any():
        line = cells.index[wrong][0]
        cell = cells[wrong].iloc[0]
        if isinstance(cell, str):
            text = repr(cell if len(cell) < 100 else f"{cell[:100]} ...")
        else:
            text = f"{cell:g}"
        raise InputError(f"line {line}, column {cells.name!r} is {text}{reason}")
