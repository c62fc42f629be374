"""Features rebuilt from raw data that ends at some hour: what anybody could have known then."""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import holidays
import numpy as np
import pandas as pd

from hpo_lib import paths
from hpo_lib.data.csv_checks import MISSING, TIMESTAMP, read_csv, timestamps
from hpo_lib.data.local_time import LOCAL_COLUMNS, local_columns, local_dates
from hpo_lib.data.raw_files import (
    PLAIN,
    WEATHER_COLUMNS,
    WEATHER_GAP_HOURS,
    raw_cells,
    read_raw_series,
    read_school_holidays,
    read_weather,
)
from hpo_lib.data.spec import DatasetSpec, RawFile
from hpo_lib.data.splits import time_span
from hpo_lib.errors import InputError

CALENDAR_COLUMNS = (*LOCAL_COLUMNS, "is_public_holiday", "is_school_holiday")
DAY_COLUMNS = CALENDAR_COLUMNS[3:]
"""Calendar columns that describe a whole local day."""
SEASON_COLUMNS = ("month", "season")
"""Those of them that give the time of year."""
_PRODUCTS = {
    "temp_squared": ("temp", "temp"),
    "temp_weekend_interaction": ("temp", "is_weekend"),
    "temp_wind_interaction": ("temp", "wind_speed"),
}
"""Covariates that are the product of two others."""
_FROM_TARGET = re.compile(r".*_(?P<kind>lag|rolling)_(?P<hours>[1-9]\d*)h")


def calendar_columns(
    index: pd.DatetimeIndex, spec: DatasetSpec, school_holidays: pd.DataFrame | None
) -> pd.DataFrame:
    """The ``CALENDAR_COLUMNS`` of any hours (UTC) in the dataset's local time, future ones too.

    ``hour`` is 0-23, ``hour_sin`` and ``hour_cos`` are on the 24 h circle, ``day_of_week`` 0 is
    Monday, ``season`` is 0 winter (in the north Dec-Feb), 1 spring, 2 summer, 3 autumn; flags are 0
    or 1. ``school_holidays`` lists ``start_date`` and ``end_date``, local dates, both inclusive;
    None gives zeros.
    """
    dates = local_dates(index, spec.tz)
    columns = {
        **local_columns(index, spec.tz, spec.hemisphere),
        "is_public_holiday": dates.isin(_public_holidays(spec, dates)),
        "is_school_holiday": dates.isin(_school_days(school_holidays)),
    }
    frame = pd.DataFrame(columns, index=index)
    return frame.astype(
        {name: "int64" for name in CALENDAR_COLUMNS if name not in ("hour_sin", "hour_cos")}
    )


def engineer(
    target: pd.Series,
    spec: DatasetSpec,
    weather: pd.DataFrame | None,
    school_holidays: pd.DataFrame | None,
) -> pd.DataFrame:
    """The engineered table of a dataset.

    With y the target: ``*_lag_kh`` at hour t is y[t-k], ``*_rolling_kh`` is the mean of y[t-k] ...
    y[t-1] (without hour t, which is the target itself), ``temp_wind_interaction`` is temp *
    wind_speed and ``temp_weekend_interaction`` is temp * is_weekend. Optional covariates that
    cannot be made are left out.

    Args:
        target: hourly, UTC, without gaps, in the dataset's unit, length T.
        spec: the dataset; its columns are made in its order.
        weather: weather columns for at least the hours of ``target``, or None.
        school_holidays: as for :func:`calendar_columns`.

    Returns:
        T minus the longest lag rows; the target, then past, then future covariates; index
        ``timestamp`` (UTC).
    """
    index = pd.DatetimeIndex(target.index, name=TIMESTAMP)
    y = target.to_numpy(dtype=np.float64)
    look_back = {
        name: match for name in spec.past_covariates if (match := _FROM_TARGET.fullmatch(name))
    }
    longest = max((int(match["hours"]) for match in look_back.values()), default=0)
    if len(y) <= longest:
        raise InputError(
            f"{spec.target}: the series has {len(y)} hours, expected more than {longest} (the "
            f"longest lag in {spec.path}); give a longer series"
        )
    table = calendar_columns(index, spec, school_holidays)
    if weather is not None:
        table = table.join(weather.astype(np.float64))
    for name, (one, other) in _PRODUCTS.items():
        if one in table and other in table:
            table[name] = table[one] * table[other]
    for name, match in look_back.items():
        hours = int(match["hours"])
        before = np.pad(y, (hours, 0), constant_values=np.nan)[:-1]
        # A running sum would carry rounding errors from all hours before.
        windows = np.lib.stride_tricks.sliding_window_view(before, hours)
        table[name] = windows[:, 0] if match["kind"] == "lag" else windows.mean(axis=1)
    covariates = (*spec.past_covariates, *spec.future_covariates)
    for name in covariates:
        if name not in table and name not in spec.optional_covariates:
            raise InputError(
                f"{spec.path}: covariate {name!r} is neither a lag, a rolling mean, a calendar "
                f"column nor {'made without weather' if weather is None else 'in the weather'}; "
                "give weather that has it, fix its name or list it under optional_covariates"
            )
    table[spec.target] = y
    return table.iloc[longest:][[spec.target, *(name for name in covariates if name in table)]]


def prepare_features(
    spec: DatasetSpec, raw: Path, weather: Path | None, school_holidays: Path | None, out: Path
) -> str:
    """Make the engineered CSV of a dataset from raw files, whole or not at all.

    Returns:
        A report in words: what was written, filled and left out, one line each.
    """
    if out.resolve() in [path.resolve() for path in (raw, weather, school_holidays) if path]:
        raise InputError(
            f"{out}: the output is also an input, which would be overwritten; give another --out"
        )
    target, filled_hours, missing = read_raw_series(raw, spec)
    index = pd.DatetimeIndex(target.index)
    weather_table, weather_filled = (
        (None, 0) if weather is None else read_weather(weather, index, weather_of(spec))
    )
    holiday_table = None if school_holidays is None else read_school_holidays(school_holidays)
    table = engineer(target, spec, weather_table, holiday_table)
    table.loc[table.index.isin(missing), spec.target] = np.nan
    table = table.loc[table[spec.target].first_valid_index() :]
    with paths.atomic(out) as part:
        table.to_csv(part, index_label=TIMESTAMP, date_format="%Y-%m-%d %H:%M:%S+00:00")
    empty = int(table[spec.target].isna().sum())
    wanted = (*spec.past_covariates, *spec.future_covariates)
    left_out = [name for name in wanted if name not in table.columns]
    holiday_note = _holiday_note(index, spec, holiday_table, school_holidays)
    report: dict[str, object] = {
        f"wrote {out}: {len(table)} hours, {time_span(pd.DatetimeIndex(table.index))}": True,
        f"filled {filled_hours} missing hours by the gap rule of the dataset": filled_hours,
        f"left {empty} hours empty, in gaps of over {spec.gaps.max_hours} h: no forecast window "
        "touches them": empty,
        f"left out, for lack of a weather file: {', '.join(left_out)}": left_out,
        f"note: {weather}: {weather_filled} hours of weather were filled on a line, or with the "
        f"last value in gaps of over {WEATHER_GAP_HOURS} h.": weather_filled,
        f"note: {holiday_note}": holiday_note,
    }
    return "\n".join(line for line, applies in report.items() if applies)


def _holiday_note(
    hours: pd.DatetimeIndex, spec: DatasetSpec, table: pd.DataFrame | None, path: object
) -> str:
    if "is_school_holiday" not in spec.future_covariates:
        return ""
    if table is None:
        return "No school holiday file was given: is_school_holiday is 0 throughout."
    local = hours.tz_convert(spec.tz).tz_localize(None)
    first, last = table["start_date"].min(), table["end_date"].max()
    if first <= local[0].normalize() and last >= local[-1].normalize():
        return ""
    return (
        f"{path}: lists school holidays from {first:%Y-%m-%d} to {last:%Y-%m-%d}, but the series "
        f"runs from {local[0]:%Y-%m-%d} to {local[-1]:%Y-%m-%d}: is_school_holiday is 0 on all "
        "days outside the list."
    )


def follows_from_target(column: str) -> bool:
    """Whether a covariate is a lag or a rolling mean of the target, by its name."""
    return bool(_FROM_TARGET.fullmatch(column))


def weather_of(spec: DatasetSpec) -> tuple[str, ...]:
    """The columns of ``WEATHER_COLUMNS`` that the dataset's covariates are, or are made of."""
    covariates = (*spec.past_covariates, *spec.future_covariates)
    needed = {part for name in covariates for part in _PRODUCTS.get(name, (name,))}
    return tuple(name for name in WEATHER_COLUMNS if name in needed)


def _public_holidays(spec: DatasetSpec, dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    country, _, subdivision = spec.country.partition("-")
    try:
        days = holidays.country_holidays(country, subdiv=subdivision or None, years=set(dates.year))
    except NotImplementedError:
        known = holidays.list_supported_countries().get(country, [])
        expected = (
            f"one of {', '.join(known)} after '{country}-'"
            if known
            else "a code that it knows, such as 'DK'"
        )
        raise InputError(
            f"{spec.path}: country is {spec.country!r}, which the holidays library does not know, "
            f"expected {expected}; fix country"
        ) from None
    return pd.DatetimeIndex(list(days))


def _school_days(table: pd.DataFrame | None) -> pd.DatetimeIndex:
    spans = [] if table is None else zip(table["start_date"], table["end_date"], strict=True)
    return pd.DatetimeIndex([day for span in spans for day in pd.date_range(*span)])


def rebuilt_features(
    spec: DatasetSpec,
    end: pd.Timestamp,
    raw: Path,
    weather: Path | None = None,
    school_holidays: Path | None = None,
) -> pd.DataFrame:
    """The engineered CSV that ``hpo prepare`` makes of the raw data up to ``end``.

    Returns:
        The dataset's columns, as far as they can be made, by hour (UTC); NaN where the target has
        none.
    """
    series = raw_cells(raw, spec)
    series = series.loc[timestamps(series[TIMESTAMP]) <= end]
    last = series.index[~series[spec.target].isin(MISSING)].max()
    with TemporaryDirectory() as folder:
        cut, cut_weather, out = (Path(folder, name) for name in ("raw.csv", "weather.csv", "csv"))
        series.loc[:last].to_csv(cut, header=PLAIN, index=False)
        if weather is not None:
            with paths.about(weather):
                cells = read_csv(weather, "weather file").cells
            known = cells["dt_iso"] <= f"{end:%Y-%m-%d %H:%M:%S} +0000 UTC"
            cells.loc[known].to_csv(cut_weather, index=False)
        plain = replace(spec, raw=RawFile())
        prepare_features(plain, cut, weather and cut_weather, school_holidays, out)
        return pd.read_csv(out, index_col=TIMESTAMP, parse_dates=[TIMESTAMP])
