"""The raw inputs of ``hpo prepare``: meter series, weather and school holidays, read as strictly as engineered CSVs."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib.data import csv_checks
from hpo_lib.data.gaps import fill_gaps
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.errors import InputError

WEATHER_COLUMNS = ("temp", "dew_point", "humidity", "clouds_all", "wind_speed", "rain_1h", "snow_1h", "pressure")
WEATHER_GAP_HOURS = 3
SCHOOL_HOLIDAY_COLUMNS = ("start_date", "end_date", "description")
_ZERO_WHERE_EMPTY = ("rain_1h", "snow_1h")  # the bulk export writes nothing where nothing fell
_KELVIN_ABOVE = 150.0  # no place on earth has a median temperature above 150 degrees C or below 150 K
_ZERO_CELSIUS = 273.15  # K


def read_raw_series(path: Path, spec: DatasetSpec) -> pd.Series:
    """The target of a raw CSV, from ``spec.start`` on, with short gaps filled by the dataset's gap rule.

    A filled value lies on the line between its neighbours, so it knows the hour after the gap.

    Args:
        path: CSV of an unnamed UTC timestamp column and one value column named ``0``.
        spec: The dataset; its start, target name and gap rule are used.

    Returns:
        Hourly float64 series without gaps, in the dataset's unit, index ``timestamp`` (UTC).

    Raises:
        InputError: wrong columns; a timestamp that is unreadable, not a full hour, repeated or out of order; a cell
            that is no number; and, from ``spec.start`` on, a negative value, 48 hours or more of one value, or a gap
            longer than the rule allows.
    """
    return load_raw_series(path, spec)[0]


def load_raw_series(path: Path, spec: DatasetSpec) -> tuple[pd.Series, int]:
    """:func:`read_raw_series` and the number of hours that were filled."""
    cells = _read_cells(path, "raw CSV")
    if list(cells.columns) != ["", "0"]:
        raise InputError(
            f"{path}: the header is {','.join(cells.columns)!r}, expected ',0' (an unnamed UTC timestamp column and "
            "one value column named 0); mend the header or give the raw CSV"
        )
    cells.columns = pd.Index([csv_checks.TIMESTAMP, spec.target])
    times = csv_checks.timestamps(cells[csv_checks.TIMESTAMP], str(path))
    values = csv_checks.numbers(cells[[spec.target]], str(path))
    if spec.start is not None:
        if times[-1] < spec.start:
            raise InputError(
                f"{path}: the last hour is {times[-1]:%Y-%m-%d %H:%M} UTC, expected data from start "
                f"({spec.start:%Y-%m-%d %H:%M}) on; mend start in {spec.path} or give a later file"
            )
        values, times = values.loc[times >= spec.start], times[times >= spec.start]
    csv_checks.check_target(values[spec.target], times, str(path))
    filled, n_filled = fill_gaps(values, times, spec.gaps, spec.tz, str(path))
    return filled[spec.target], n_filled


def read_weather(path: Path, hours: pd.DatetimeIndex | None = None) -> pd.DataFrame:
    """Hourly weather of an OpenWeatherMap bulk CSV, gaps of up to 3 h interpolated linearly.

    The bulk export repeats an hour for each simultaneous weather condition: the first row counts. An empty rain or snow
    cell means 0. Temperatures are in degrees C; where the median of ``temp`` is above 150, the file is in Kelvin, and
    ``temp`` and ``dew_point`` are converted.

    Args:
        path: CSV with ``dt_iso`` as in ``2015-01-01 00:00:00 +0000 UTC`` and ``WEATHER_COLUMNS``; others are ignored.
        hours: Hours (UTC) that the weather must cover; None takes what the file covers.

    Returns:
        One row per hour, float64 columns ``WEATHER_COLUMNS``, index ``timestamp`` (UTC).

    Raises:
        InputError: a column is missing; a timestamp unreadable, not a full hour or out of order; a cell no number; the
            hours are not covered; a longer gap among them.
    """
    return load_weather(path, hours)[0]


def load_weather(path: Path, hours: pd.DatetimeIndex | None = None) -> tuple[pd.DataFrame, int]:
    """:func:`read_weather` and the number of hours in which anything was interpolated."""
    cells = _read_cells(path, "weather file")
    _require(cells, ("dt_iso", *WEATHER_COLUMNS), path)
    cells = cells.loc[~cells["dt_iso"].duplicated()]
    times = csv_checks.timestamps(cells["dt_iso"].str.replace(r" \+0000 UTC$", "+00:00", regex=True), str(path))
    values = csv_checks.numbers(cells[list(WEATHER_COLUMNS)], str(path))
    values[list(_ZERO_WHERE_EMPTY)] = values[list(_ZERO_WHERE_EMPTY)].fillna(0.0)
    if values["temp"].median() > _KELVIN_ABOVE:
        values[["temp", "dew_point"]] -= _ZERO_CELSIUS
    if hours is None:
        hours = pd.date_range(times[0], times[-1], freq="h", name=csv_checks.TIMESTAMP)
    # The row before the first hour and the row after the last one may be what a gap inside is filled from.
    span = pd.date_range(min(times[0], hours[0]), max(times[-1], hours[-1]), freq="h")
    known = values.set_axis(times).reindex(span)
    weather = known.apply(_fill_short_gaps).loc[hours].rename_axis(csv_checks.TIMESTAMP)
    for column in weather.columns[weather.isna().any()]:
        starts, lengths = csv_checks.runs(weather[column].isna().to_numpy())
        first, last = hours[starts[0]], hours[starts[0] + lengths[0] - 1]
        raise InputError(
            f"{path}: column {column!r} has no value from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, "
            f"expected one for every hour from {hours[0]:%Y-%m-%d %H:%M} to {hours[-1]:%Y-%m-%d %H:%M} with gaps of at "
            f"most {WEATHER_GAP_HOURS} hours; add those hours or leave the weather file out"
        )
    return weather, int(known.loc[hours].isna().any(axis="columns").sum())


def read_school_holidays(path: Path) -> pd.DataFrame:
    """School holidays, one row per holiday.

    Returns:
        Columns ``start_date`` and ``end_date`` (naive local dates at midnight, both inclusive) and ``description``.

    Raises:
        InputError: a column is missing, there is no row, a date is unreadable, or a holiday ends before it starts.
    """
    cells = _read_cells(path, "school holiday file")
    _require(cells, SCHOOL_HOLIDAY_COLUMNS, path)
    table = cells[list(SCHOOL_HOLIDAY_COLUMNS)].copy()
    for column in ("start_date", "end_date"):
        table[column] = pd.to_datetime(cells[column], format="%Y-%m-%d", errors="coerce")
        if table[column].isna().any():
            line = table.index[table[column].isna()][0]
            raise InputError(
                f"{path}: line {line}, column {column!r} is {cells.loc[line, column]!r}, expected a date such as "
                "'2019-12-21'; mend that cell"
            )
    backwards = table.index[table["end_date"] < table["start_date"]]
    if len(backwards):
        start, end = cells.loc[backwards[0], "start_date"], cells.loc[backwards[0], "end_date"]
        raise InputError(
            f"{path}: line {backwards[0]}, column 'end_date' is {end!r}, expected {start!r} (start_date) or later; "
            "mend one of the two dates"
        )
    return table.reset_index(drop=True)


def _read_cells(path: Path, what: str) -> pd.DataFrame:
    """Every cell as text; columns named by the header, index = line number in the file (the header is line 1)."""
    if not path.is_file():
        raise InputError(f"{path}: this {what} does not exist; give the path of a CSV file")
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path}: this {what} is empty, expected a header and rows; give a filled CSV file")
    text = csv_checks.check_text(content, str(path))
    try:
        cells = pd.read_csv(io.StringIO(text), header=None, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except pd.errors.ParserError as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise InputError(f"{path}: not a regular CSV file ({reason}); mend that line") from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    cells.index += 1
    if len(cells) == 1:
        raise InputError(f"{path}: this {what} has a header but no rows; give a filled CSV file")
    table: pd.DataFrame = cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis="columns")
    return table


def _require(cells: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    missing = [column for column in columns if column not in cells.columns]
    if missing:
        raise InputError(f"{path}: missing column {', '.join(missing)}, expected {', '.join(columns)}; mend the header")


def _fill_short_gaps(values: pd.Series) -> pd.Series:
    """Linear filling of whole gaps only: a gap longer than ``WEATHER_GAP_HOURS`` stays as it is."""
    filled = values.to_numpy(dtype=np.float64, copy=True)
    missing = np.isnan(filled)
    known = np.flatnonzero(~missing)
    long = np.zeros(len(filled), dtype=bool)
    for start, length in zip(*csv_checks.runs(missing), strict=True):
        long[start : start + length] = length > WEATHER_GAP_HOURS or start == 0 or start + length == len(filled)
    fill = np.flatnonzero(missing & ~long)
    filled[fill] = np.interp(fill, known, filled[known])
    return pd.Series(filled, index=values.index)
