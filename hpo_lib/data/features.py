"""Features rebuilt from raw data that ends at some hour: what anybody could have known then."""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import holidays
import numpy as np
import pandas as pd

from hpo_lib import paths
from hpo_lib.data.csv_checks import TIMESTAMP, read_csv, timestamps
from hpo_lib.data.local_time import LOCAL_COLUMNS, local_columns, local_dates
from hpo_lib.data.raw_files import (
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
DAY_COLUMNS = (
    "day_of_week",
    "month",
    "is_weekend",
    "season",
    "is_public_holiday",
    "is_school_holiday",
)
"""Calendar columns that describe a whole local day."""
SEASON_COLUMNS = ("month", "season")
"""Those of them that give the time of year."""
_FROM_WEATHER = {
    "temp_squared": ("temp",),
    "temp_weekend_interaction": ("temp",),
    "temp_wind_interaction": ("temp", "wind_speed"),
}
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
    index = pd.DatetimeIndex(target.index, name="timestamp")
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
    calendar = calendar_columns(index, spec, school_holidays)
    sources = {name: calendar[name].to_numpy() for name in CALENDAR_COLUMNS}
    if weather is not None:
        sources |= _weather_columns(weather.loc[index], sources["is_weekend"])
    for name, match in look_back.items():
        hours = int(match["hours"])
        is_lag = match["kind"] == "lag"
        sources[name] = pd.Series(y).shift(hours).to_numpy() if is_lag else _rolling_mean(y, hours)
    columns = {spec.target: y}
    for name in (*spec.past_covariates, *spec.future_covariates):
        if name in sources:
            columns[name] = sources[name]
        elif name not in spec.optional_covariates:
            raise InputError(
                f"{spec.path}: covariate {name!r} is neither a lag, a rolling mean, a calendar "
                f"column nor {'made without weather' if weather is None else 'in the weather'}; "
                "give weather that has it, fix its name or list it under optional_covariates"
            )
    return pd.DataFrame(columns, index=index).iloc[longest:]


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
    report = {
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
    needed = {part for name in covariates for part in _FROM_WEATHER.get(name, (name,))}
    return tuple(name for name in WEATHER_COLUMNS if name in needed)


def _rolling_mean(y: np.ndarray, hours: int) -> np.ndarray:
    # Each mean is taken over its own window: a running sum would carry rounding errors from all
    # hours before.
    means = np.lib.stride_tricks.sliding_window_view(y[:-1], hours).mean(axis=1)
    return np.concatenate([np.full(hours, np.nan), means])


def _weather_columns(weather: pd.DataFrame, is_weekend: np.ndarray) -> dict[str, np.ndarray]:
    columns = {str(name): weather[name].to_numpy(dtype=np.float64) for name in weather.columns}
    if "temp" in columns:
        columns["temp_squared"] = columns["temp"] ** 2
        columns["temp_weekend_interaction"] = columns["temp"] * is_weekend
        if "wind_speed" in columns:
            columns["temp_wind_interaction"] = columns["temp"] * columns["wind_speed"]
    return columns


def _public_holidays(spec: DatasetSpec, dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    if dates.empty:
        return pd.DatetimeIndex([])
    country, _, subdivision = spec.country.partition("-")
    try:
        days = holidays.country_holidays(
            country, subdiv=subdivision or None, years=range(dates.min().year, dates.max().year + 1)
        )
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
    if table is None or table.empty:
        return pd.DatetimeIndex([])
    holidays = zip(table["start_date"], table["end_date"], strict=True)
    days = [pd.date_range(start, end) for start, end in holidays]
    return pd.DatetimeIndex(days[0].append(days[1:]))


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
    known = series.index[~series[spec.target].str.lower().isin(["", "nan"])]
    parts = {raw: series.loc[: known.max()].set_axis(["", "0"], axis="columns")}
    if weather is not None:
        with paths.about(weather):
            cells = read_csv(weather, "weather file").cells
        parts[weather] = cells.loc[cells["dt_iso"] <= f"{end:%Y-%m-%d %H:%M:%S} +0000 UTC"]
    with TemporaryDirectory() as folder:
        cut = {file: Path(folder, str(i), file.name) for i, file in enumerate(parts)}
        for file, part in parts.items():
            cut[file].parent.mkdir()
            part.to_csv(cut[file], index=False)
        out = Path(folder, spec.name).with_suffix(".csv")
        prepare_features(
            replace(spec, raw=RawFile()),
            cut[raw],
            None if weather is None else cut[weather],
            school_holidays,
            out,
        )
        return pd.read_csv(out, index_col=TIMESTAMP, parse_dates=[TIMESTAMP])
