"""Calendar columns in a dataset's local time, daylight saving included."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

LOCAL_COLUMNS = ("hour", "hour_sin", "hour_cos", "day_of_week", "month", "is_weekend", "season")


def local_columns(
    index: pd.DatetimeIndex, tz: ZoneInfo, hemisphere: str
) -> Mapping[str, np.ndarray]:
    """The ``LOCAL_COLUMNS`` [T] of hours (UTC), see `hpo_lib.data.features.calendar_columns`."""
    local = index.tz_convert(tz)
    angle = 2 * np.pi * local.hour / 24
    values = (
        local.hour,
        np.sin(angle),
        np.cos(angle),
        local.day_of_week,
        local.month,
        local.day_of_week >= 5,
        season_of(local.month.to_numpy(), hemisphere),
    )
    return {name: np.asarray(column) for name, column in zip(LOCAL_COLUMNS, values, strict=True)}


def season_of(month: np.ndarray, hemisphere: str) -> np.ndarray:
    """0 winter, 1 spring, 2 summer, 3 autumn of months 1 to 12.

    Winter is December to February in the north, June to August in the south.
    """
    return np.asarray((month + (6 if hemisphere == "south" else 0)) % 12 // 3)


def local_dates(index: pd.DatetimeIndex, tz: ZoneInfo) -> pd.DatetimeIndex:
    """The local date [T] of hours (UTC), without a time zone."""
    return index.tz_convert(tz).tz_localize(None).normalize()
