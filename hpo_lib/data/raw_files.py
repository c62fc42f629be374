"""The raw inputs of ``hpo prepare``: meter series, weather and school holidays, read as strictly as engineered CSVs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hpo_lib.data.csv_checks import (
    TIMESTAMP,
    YEARS,
    check_header,
    check_ranges,
    numbers,
    read_cells,
    refuse,
    runs_of_true,
    separator_of,
    shown,
    timestamps,
)
from hpo_lib.data.gaps import fill_gaps, hourly_frame
from hpo_lib.data.own_file import SEPARATORS, own_cells
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.errors import InputError

WEATHER_COLUMNS = ("temp", "dew_point", "humidity", "clouds_all", "wind_speed", "rain_1h", "snow_1h", "pressure")
WEATHER_GAP_HOURS = 3
SCHOOL_HOLIDAY_COLUMNS = ("start_date", "end_date", "description")
_ZERO_WHERE_EMPTY = ("rain_1h", "snow_1h")  # the bulk export writes nothing if nothing fell
_TEMPERATURES = ("temp", "dew_point")
_KELVIN_ABOVE = 150.0  # no place on earth has a median temperature above 150 degrees C or below 150 K
_ZERO_CELSIUS = 273.15  # K


def read_raw_series(path: Path, spec: DatasetSpec) -> tuple[pd.Series, int, pd.DatetimeIndex]:
    """The target of a raw CSV from ``spec.start`` on, how many hours the gap rule filled, and hours in longer gaps.

    Args:
        path: CSV of an unnamed UTC timestamp column and one value column named ``0``; or any that ``spec.raw`` makes
            readable, see `hpo_lib.data.own_file`.
        spec: the dataset; its start, target name, gap rule and description of the raw file are used.

    Returns:
        Hourly float64 series without gaps, in the dataset's unit, index ``timestamp`` (UTC); the number; and the hours
        whose value stands in for one that is missing, see :func:`hpo_lib.data.gaps.hourly_frame`.

    Raises:
        InputError: the file or its columns are wrong, or its hours are (see :func:`hpo_lib.data.gaps.hourly_frame`).
    """
    frame, n_filled, missing = hourly_frame(raw_cells(path, spec), spec, shown(path))
    return frame[spec.target], n_filled, missing


def raw_cells(path: Path, spec: DatasetSpec) -> pd.DataFrame:
    """The text [rows, ``timestamp`` and target] of a raw CSV, see `read_raw_series`."""
    cells, content = read_cells(path, "raw CSV", separators=SEPARATORS)
    return own_cells(cells, spec.raw, spec.target, shown(path), separator=separator_of(content, SEPARATORS))


def read_weather(
    path: Path, hours: pd.DatetimeIndex, wanted: Sequence[str] = WEATHER_COLUMNS
) -> tuple[pd.DataFrame, int]:
    """Weather of an OpenWeatherMap bulk CSV, and the number of hours in which anything was filled.

    The bulk export repeats an hour for each simultaneous weather condition: the first row counts. An empty rain or snow
    cell means 0. Temperatures are in degrees C; if the median of ``temp`` (without it, of ``dew_point``) is above 150,
    the file is in Kelvin, and both are converted. Gaps of up to 3 h are interpolated linearly; in longer
    ones the last value holds, as it would for somebody who forecasts there.

    Args:
        path: CSV with ``dt_iso`` as in ``2015-01-01 00:00:00 +0000 UTC`` and the wanted columns; others are ignored.
        hours: hours (UTC) that the weather must cover.
        wanted: some of ``WEATHER_COLUMNS``.

    Returns:
        Float64 [hours, ``wanted``], index ``timestamp`` (UTC); and the number.

    Raises:
        InputError: a column is missing; a timestamp is unreadable, off the hour or out of order; a cell is no number
            or out of its column's range; the file starts after the hours or ends before them.
    """
    cells, file = _read_columns(path, "weather file", ("dt_iso", *wanted))
    cells = cells.loc[~cells["dt_iso"].duplicated()]
    times = timestamps(cells["dt_iso"].str.replace(r" \+0000 UTC$", "+00:00", regex=True), file)
    values = numbers(cells[list(wanted)], file)
    zero, degrees = ([name for name in names if name in wanted] for names in (_ZERO_WHERE_EMPTY, _TEMPERATURES))
    values[zero] = values[zero].fillna(0.0)
    if degrees and values[degrees[0]].median() > _KELVIN_ABOVE:
        values[degrees] -= _ZERO_CELSIUS
    check_ranges(values, file)
    # The row before the first hour and the row after the last one may be what a gap inside is filled from.
    span = pd.date_range(min(times[0], hours[0]), max(times[-1], hours[-1]), freq="h")
    known = values.set_axis(times).reindex(span)
    weather = known.apply(fill_gaps, limit=WEATHER_GAP_HOURS).loc[hours].rename_axis(TIMESTAMP)
    for column in weather.columns[weather.isna().any()]:
        starts, lengths = runs_of_true(weather[column].isna().to_numpy())
        first, last = hours[starts[0]], hours[starts[0] + lengths[0] - 1]
        raise InputError(
            f"{file}: column {column!r} has no value from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, "
            f"expected one for every hour from {hours[0]:%Y-%m-%d %H:%M} to {hours[-1]:%Y-%m-%d %H:%M}; add those "
            "hours or leave the weather file out"
        )
    return weather, int(known.loc[hours].isna().any(axis="columns").sum())


def read_school_holidays(path: Path) -> pd.DataFrame:
    """School holidays, one row per holiday.

    Returns:
        Columns ``start_date`` and ``end_date`` (naive local dates at midnight, both inclusive) and ``description``.

    Raises:
        InputError: a column is missing, there is no row, a date is unreadable, or a holiday ends before it starts.
    """
    cells, file = _read_columns(path, "school holiday file", SCHOOL_HOLIDAY_COLUMNS)
    table = cells.copy()
    for column in ("start_date", "end_date"):
        table[column] = pd.to_datetime(cells[column], format="%Y-%m-%d", errors="coerce")
        wrong = table[column].isna() | ~table[column].dt.year.isin(YEARS)
        refuse(wrong, cells[column], file, ", expected a date such as '2019-12-21'; fix that cell")
    for line in table.index[table["end_date"] < table["start_date"]]:
        reason = f", expected {cells.loc[line, 'start_date']!r} (start_date) or later; fix one of the two dates"
        refuse(table.index == line, cells["end_date"], file, reason)
    return table.reset_index(drop=True)


def _read_columns(path: Path, what: str, columns: Sequence[str]) -> tuple[pd.DataFrame, str]:
    cells, _ = read_cells(path, what)
    check_header(list(cells.columns), columns, shown(path), f"fix the header, which must hold {', '.join(columns)}")
    return cells[list(columns)], shown(path)
