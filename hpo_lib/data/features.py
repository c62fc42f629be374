"""Engineered columns: the calendar in local time, lags and means of the target, products."""

import re

import holidays
import numpy as np
import pandas as pd

from hpo_lib.data.csv_checks import TIMESTAMP
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.errors import InputError

SEASON_COLUMNS = ("month", "season")
"""Calendar columns that give the time of year."""
DAY_COLUMNS = (
    "day_of_week",
    "month",
    "is_weekend",
    "season",
    "is_public_holiday",
    "is_school_holiday",
)
"""Calendar columns that describe a whole local day."""
CALENDAR_COLUMNS = ("hour", "hour_sin", "hour_cos", *DAY_COLUMNS)
PRODUCTS = {
    "temp_squared": ("temp", "temp"),
    "temp_weekend_interaction": ("temp", "is_weekend"),
    "temp_wind_interaction": ("temp", "wind_speed"),
}
"""Covariates that are the product of two others."""


def local_columns(hours: pd.DatetimeIndex, spec: DatasetSpec) -> dict[str, np.ndarray]:
    """The `CALENDAR_COLUMNS` [T] of hours (UTC) that follow from the local time alone."""
    local = hours.tz_convert(spec.tz)
    angle = 2 * np.pi * local.hour / 24
    return {
        "hour": np.asarray(local.hour),
        "hour_sin": np.sin(angle),
        "hour_cos": np.cos(angle),
        "day_of_week": np.asarray(local.day_of_week),
        "month": np.asarray(local.month),
        "is_weekend": local.day_of_week >= 5,
        "season": season_of(local.month.to_numpy(), spec.hemisphere),
    }


def season_of(month: np.ndarray, hemisphere: str) -> np.ndarray:
    """0 winter, 1 spring, 2 summer, 3 autumn of months 1 to 12.

    Winter is December to February in the north, June to August in the south.
    """
    return (month + (6 if hemisphere == "south" else 0)) % 12 // 3


def local_dates(hours: pd.DatetimeIndex, spec: DatasetSpec) -> pd.DatetimeIndex:
    """The local date [T] of hours (UTC), without a time zone."""
    return hours.tz_convert(spec.tz).tz_localize(None).normalize()


def calendar_columns(
    index: pd.DatetimeIndex, spec: DatasetSpec, school_holidays: pd.DataFrame | None
) -> pd.DataFrame:
    """The ``CALENDAR_COLUMNS`` of any hours (UTC) in the dataset's local time, future ones too.

    ``hour`` is 0-23, ``hour_sin`` and ``hour_cos`` are on the 24 h circle, ``day_of_week`` 0 is
    Monday, ``season`` is 0 winter (in the north Dec-Feb), 1 spring, 2 summer, 3 autumn; flags are 0
    or 1. ``school_holidays`` lists ``start_date`` and ``end_date``, local dates, both inclusive;
    None gives zeros.
    """
    dates = local_dates(index, spec)
    school = school_holidays
    spans = () if school is None else zip(school["start_date"], school["end_date"], strict=True)
    days_off = [day for span in spans for day in pd.date_range(*span)]
    columns = {
        **local_columns(index, spec),
        "is_public_holiday": dates.isin(_public_holidays(spec, dates)),
        "is_school_holiday": dates.isin(pd.DatetimeIndex(days_off)),
    }
    return pd.DataFrame(columns, index=index).astype(
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
    y = target.to_numpy(float)
    look_back = {
        name: found for name in spec.past_covariates if (found := follows_from_target(name))
    }
    longest = max((hours for _, hours in look_back.values()), default=0)
    if len(y) <= longest:
        raise InputError(
            f"{spec.target}: the series has {len(y)} hours, expected more than {longest} (the "
            f"longest lag in {spec.path}); give a longer series"
        )
    table = calendar_columns(index, spec, school_holidays)
    if weather is not None:
        table = table.join(weather.astype(float))
    for name, (one, other) in PRODUCTS.items():
        if one in table and other in table:
            table[name] = table[one] * table[other]
    for name, (kind, hours) in look_back.items():
        before = np.pad(y, (hours, 0), constant_values=np.nan)[:-1]
        # A running sum would carry rounding errors from all hours before.
        windows = np.lib.stride_tricks.sliding_window_view(before, hours)
        table[name] = windows[:, 0] if kind == "lag" else windows.mean(axis=1)
    for name in spec.covariates:
        if name not in table and name not in spec.optional_covariates:
            raise InputError(
                f"{spec.path}: covariate {name!r} is neither a lag, a rolling mean, a calendar "
                f"column nor {'made without weather' if weather is None else 'in the weather'}; "
                "give weather that has it, fix its name or list it under optional_covariates"
            )
    table[spec.target] = y
    return table.iloc[longest:].filter([spec.target, *spec.covariates])


def follows_from_target(column: str) -> tuple[str, int] | None:
    """``lag`` or ``rolling`` and its hours, if a column is made of the target by its name."""
    found = re.fullmatch(r".*_(lag|rolling)_([1-9]\d*)h", column)
    return found and (found[1], int(found[2]))


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
