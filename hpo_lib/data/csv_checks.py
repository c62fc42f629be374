"""The one reader of CSVs, and the checks on their cells.

The functions take cells as text in a frame whose index is the line number in the file (the header
is line 1), so an error names the exact line and cell. They convert whole columns and look for the
wrong cell only if that fails.
"""

import csv
import difflib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo_lib import paths
from hpo_lib.errors import InputError
from hpo_lib.paths import shown

TIMESTAMP = "timestamp"
CONSTANT_HOURS = 48
"""So many equal hours of the target in a row are filler, not measured values."""

CALENDAR_RANGES = {"hour": (0, 23), "day_of_week": (0, 6), "month": (1, 12)}
"""Calendar columns and the whole numbers that they may hold; a column named ``is_...`` holds 0 or
1.
"""

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

YEARS = range(1900, 2101)
"""A time in another year is a mistake, and every hour up to it would be a row."""

LARGEST = 1e12
"""Larger numbers are no measurements; squared, they leave the range of float32."""

SPIKE = 1e6
"""A demand of so many times the median is a mistake in one cell, and would be the scale of all
others.
"""

MISSING = ("", "nan", "NaN")
_TRUTH = {"True": "1", "False": "0"}
_SAME = 1e-9  # relative: filler averaged over meters differs in the last digits
_FIELDS = "write decimal points instead of decimal commas, and quote text that holds a comma"
_TIME = r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:?(?:\d\d)?)?"
"""What a timestamp is; pandas alone reads "now", too."""


def separator_of(content: bytes, allowed: str) -> str:
    """The character of ``allowed`` that is most often in a file's first line, else the first one."""
    line = content.split(b"\n", 1)[0]
    return max(allowed, key=lambda separator: line.count(separator.encode()))


def read_cells(
    path: Path, what: str, advice: str = "give a filled CSV file", *, separators: str = ","
) -> tuple[pd.DataFrame, bytes]:
    """Every cell of a CSV as text without blanks around it, columns named by the header; and the
    file's bytes.

    Args:
        path: the CSV; byte order marks at its start and blank lines at its end are ignored.
        what: what the file is called in an error.
        advice: what to do about a file without rows.
        separators: characters that may separate its columns.

    Raises: InputError: the file is absent, unreadable, empty, not UTF-8 text, not separated by
        commas, or has a line with
            another number of fields than the header, or a cell that goes on in the next line.
    """
    file = shown(path)
    if not path.exists():
        raise InputError(f"{file}: this {what} does not exist; give the path of a CSV file")
    content = paths.read_text(path, "CSV")
    text = content.lstrip("\ufeff").rstrip()
    if not text:
        raise InputError(f"{file}: this {what} is empty, expected a header and rows; {advice}")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise InputError(
            f"{file}: not a text file (NUL byte in line {line}); save it as CSV in UTF-8"
        )
    if not re.split(r"[\r\n]", text, maxsplit=1)[0].strip():
        raise InputError(
            f"{file}: line 1 is blank, expected the header; remove blank lines at the start"
        )
    separator = separator_of(text.encode(), separators)
    as_text: dict[str, Any] = {"dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    try:  # the header is read as a row, because pandas renames a column that is there twice
        cells = pd.read_csv(io.StringIO(text), header=None, sep=separator, **as_text)
        _check_rows(text, separator, file)
    except (pd.errors.ParserError, csv.Error) as error:
        raise InputError(f"{file}: {_parser_reason(str(error))}") from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    header = cells.iloc[0].tolist()
    for other, name in ((";", "';'"), ("\t", "tabs")):
        if len(header) == 1 and other in header[0]:
            raise InputError(
                f"{file}: columns are separated by {name}, expected ','; save it with commas and "
                "decimal points"
            )
    if len(cells) == 1:
        raise InputError(f"{file}: this {what} has a header but no rows; {advice}")
    cells.index += 1
    rows: pd.DataFrame = cells.iloc[1:].set_axis(header, axis="columns")
    return rows, content.encode()


def _check_rows(text: str, separator: str, file: str) -> None:
    """Make sure that each row has as many fields as the header and is one line, which errors name.

    pandas takes fields that are not there for empty ones.
    """
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    expected = len(next(rows))
    for line, row in enumerate(rows, 2):
        if rows.line_num != line:
            raise InputError(
                f"{file}: line {line} has a cell that goes on in the next line; write it in one "
                "line"
            )
        if row and len(row) != expected:
            raise InputError(
                f"{file}: line {line} has {len(row)} fields, expected {expected} as in the "
                "header; add what is "
                "missing, with nothing between the commas of a missing value"
            )


def _parser_reason(message: str) -> str:
    fields = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if fields:
        return (
            f"line {fields[2]} has {fields[3]} fields, expected {fields[1]} as in the header; "
            f"{_FIELDS}"
        )
    quote = re.search(r"EOF inside string starting at row (\d+)", message)
    if quote:
        return f"line {int(quote[1]) + 1} opens a quote that is never closed; close or remove it"
    return f"not readable as CSV ({message.split('C error: ')[-1].strip()}); save it again as CSV"


def check_header(header: Sequence[str], required: Sequence[str], file: str, advice: str) -> None:
    """Make sure that every required column is there, and no column twice.

    Raises: InputError: a column twice, or required columns missing; ``advice`` says what to do
        about the latter.
    """
    for column in header:
        if header.count(column) > 1:
            raise InputError(
                f"{file}: column {column!r} appears {header.count(column)} times in the header, "
                "expected once; "
                "remove or rename the others"
            )
    missing = [_with_nearest(column, header) for column in required if column not in header]
    if missing:
        raise InputError(f"{file}: missing {', '.join(missing)}; {advice}")


def _with_nearest(column: str, header: Sequence[str]) -> str:
    near = difflib.get_close_matches(column, header, n=1, cutoff=0.6)
    return f"column {column!r}" + (f" (nearest there: {near[0]!r})" if near else "")


def timestamps(cells: pd.Series, file: str) -> pd.DatetimeIndex:
    """The timestamps of all rows: UTC, strictly ascending, on the full hour; hours may be missing.

    Timestamps without an offset are taken as UTC.

    Raises: InputError: a cell that is no time, another offset than UTC, mixed forms, a time off the
        full hour, an hour that
            appears twice, or rows out of order.
    """
    times = utc_times(cells, file)
    _check_offsets(cells, file)
    stamps = pd.DatetimeIndex(times, name=TIMESTAMP)
    off_hour = stamps != stamps.floor("h")
    refuse(
        off_hour,
        cells,
        file,
        ", expected a full hour; `hpo prepare --aggregate` makes hours of shorter steps",
    )
    twice = stamps.duplicated()
    if twice.any():
        first = int(cells.index[stamps == stamps[twice][0]][0])
        advice = (
            "remove one of the rows, or give `hpo prepare` the --timezone if summer time ends there"
        )
        refuse(
            twice,
            cells,
            file,
            f", which line {first} already has, expected every hour once; {advice}",
        )
    back = np.concatenate([[False], stamps[1:] < stamps[:-1]])
    refuse(back, cells, file, ", which is before the line above; sort the rows by timestamp")
    return stamps


def utc_times(cells: pd.Series, file: str) -> pd.Series:
    """The cells as times in UTC, which those without an offset are taken for; InputError if a cell
    is no time.
    """
    times = pd.to_datetime(
        cells.where(cells.str.fullmatch(_TIME)), format="ISO8601", utc=True, errors="coerce"
    )
    unreadable = times.isna() | ~times.dt.year.isin(YEARS)
    refuse(
        unreadable,
        cells,
        file,
        ", expected a UTC time such as '2018-04-01 00:00:00+00:00'; fix that cell",
    )
    return times


def _check_offsets(cells: pd.Series, file: str) -> None:
    offsets = (
        cells.str.slice(10).str.extract(r"(Z|[+-]\d{2}(?::?\d{2})?)$", expand=False).fillna("none")
    )
    offsets = offsets.str.replace(r"^(?:Z|[+-]00(?::?00)?)$", "UTC", regex=True)
    first = offsets.iloc[0]
    advice = "expected UTC throughout; convert all timestamps to UTC"
    for offset in offsets.unique()[1:]:
        found = f" (offset {offset}), while line {cells.index[0]} has offset {first}, {advice}"
        refuse(offsets == offset, cells, file, found)
    if first not in ("UTC", "none"):
        refuse(offsets == first, cells, file, f" (offset {first}), {advice}")


def numbers(cells: pd.DataFrame, file: str) -> pd.DataFrame:
    """The cells as float64, NaN if a cell is empty or ``nan``; ``True`` is 1 in a column named
    ``is_...``.

    Raises:
        InputError: a cell that is not a finite number, or larger than any measurement.
    """
    return pd.DataFrame(
        {column: _numbers(cells[column], file) for column in cells.columns}, index=cells.index
    )


def _numbers(cells: pd.Series, file: str) -> pd.Series:
    try:
        values = pd.to_numeric(cells).astype("float64")
    except (ValueError, OverflowError):  # the slow way, which tells missing values from wrong cells
        known = cells.replace(_TRUTH) if str(cells.name).startswith("is_") else cells
        values = pd.to_numeric(known, errors="coerce").astype("float64")
        values = values.mask(values.isna() & ~cells.isin(MISSING), np.inf)
    expected = "a finite number with a decimal point, or an empty cell where the value is missing"
    refuse(np.isinf(values), cells, file, f", expected {expected}; fix that cell")
    refuse(
        values.abs() > LARGEST,
        cells,
        file,
        f", expected a number of at most {LARGEST:g}; fix that cell",
    )
    return values


def check_target(
    values: pd.Series, times: pd.DatetimeIndex, file: str, *, may_be_negative: bool
) -> None:
    """Make sure that the target is not stuck, without absurd spikes, and not negative where that
    cannot be.

    Raises: InputError: a negative value, unless it ``may_be_negative``; one of over a million times
        the median; 48 and more
            equal values in a row (to one part in 1e9).
    """
    advice = (
        "fix that cell, leave it empty, or set may_be_negative = true in the dataset's TOML "
        "if it is right"
    )
    refuse((values < 0) & (not may_be_negative), values, file, f", expected at least 0; {advice}")
    usual = values[values != 0].abs().median()
    spike = (
        f", expected at most {SPIKE:g} times the median of {usual:g}; fix that cell or leave "
        "it empty"
    )
    refuse(values.abs() > SPIKE * usual, values, file, spike)
    array = values.to_numpy()
    starts, lengths = runs_of_true(np.abs(np.diff(array)) <= _SAME * np.abs(array[1:]))
    stuck = np.flatnonzero(lengths >= CONSTANT_HOURS - 1)
    if not len(stuck):
        return
    first, length = int(starts[stuck[0]]), int(lengths[stuck[0]]) + 1
    where, advice = (
        f"for {length} rows in a row from line {values.index[first]} on",
        "remove these rows",
    )
    if length == len(array):
        where, advice = "in every row", "check where the column came from"
    elif first + length == len(array):
        where += " to the end of the file"
    else:
        start = f'"{times[first + length]:%Y-%m-%d %H:%M}"'
        advice = (
            f"set start = {start} in the dataset's TOML to use the hours after them, or "
            "leave these cells empty"
        )
    found = f"column {values.name!r} is {array[first]:g} {where}"
    raise InputError(f"{file}: {found}, expected a series that varies; {advice}")


def check_ranges(values: pd.DataFrame, file: str) -> None:
    """Make sure that columns of weather and calendar hold what their names say.

    Raises: InputError: a column of `WEATHER_RANGES`, ``hour``, ``day_of_week``, ``month`` or an
        ``is_...`` column holds a
            value out of its range.
    """
    for column in values.columns:
        if column in WEATHER_RANGES:
            least, most, unit = WEATHER_RANGES[column]
            allowed = f"{least} to {most} {unit}, or an empty cell where the value is missing"
            refuse(
                (values[column] < least) | (values[column] > most),
                values[column],
                file,
                f", expected {allowed}",
            )
        if column in CALENDAR_RANGES or column.startswith("is_"):
            low, high = CALENDAR_RANGES.get(column, (0, 1))
            known = values[column].dropna()
            wrong = (known < low) | (known > high) | (known % 1 != 0)
            allowed = "0 or 1" if high == 1 else f"a whole number from {low} to {high}"
            refuse(wrong, known, file, f", expected {allowed}; fix that cell")


def runs_of_true(
    mask: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start position and length of each run of True in ``mask``."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def refuse(
    wrong: pd.Series | npt.NDArray[np.bool_], cells: pd.Series, file: str, reason: str
) -> None:
    """Raise an error that names the first wrong cell and its line, if there is one."""
    if wrong.any():
        line = int(cells.index[wrong][0])
        cell = cells.loc[line]
        found = (
            repr(cell if len(cell) < 100 else f"{cell[:100]} ...")
            if isinstance(cell, str)
            else f"{cell:g}"
        )
        raise InputError(f"{file}: line {line}, column {cells.name!r} is {found}{reason}")
