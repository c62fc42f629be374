"""The gap rule: short gaps are filled, long ones are an error that names the first missing hour.

A gap is an hour without a row or an empty cell, in the target or in a covariate. A continuous column is filled linearly
between its neighbours. A calendar column is not: between hour 23 and hour 1 lies 0, not 12, and a day is a Sunday or it
is not. It takes the value of the same hour of a day beside it, or of another hour of the same local day.

A linearly filled hour knows the value that ends its gap, so a gap at a forecast origin lets at most ``max_hours`` hours
of the future through; keep ``max_hours`` small.
"""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from hpo_lib.data.csv_checks import TIMESTAMP, runs
from hpo_lib.data.spec import GapRule
from hpo_lib.errors import InputError

_HOURLY = ("hour", "hour_sin", "hour_cos")
_DAILY = ("day_of_week", "month", "season")


def fill_gaps(
    values: pd.DataFrame, times: pd.DatetimeIndex, rule: GapRule, tz: ZoneInfo, file: str
) -> tuple[pd.DataFrame, int]:
    """The complete hourly frame and the number of hours in which anything was filled.

    Args:
        values: float64 [rows, columns], NaN where a cell is empty; the index is the line number in the file.
        times: UTC [rows], ascending full hours.
        rule: how long a gap may be and how it is filled.
        tz: time zone in which the calendar columns were computed.
        file: what the data is called in an error.

    Raises:
        InputError: a gap longer than the rule allows, or empty cells at the start or end, with nothing beside them.
    """
    limit = rule.max_hours if rule.fill == "linear" else 0
    lines = values.index
    steps = (times[1:] - times[:-1]) // pd.Timedelta(hours=1)
    long = np.flatnonzero(steps - 1 > limit)
    if len(long):
        before = int(long[0])
        raise InputError(
            f"{file}: gap of {_hours(steps[before] - 1)} after line {lines[before]}, from "
            f"{times[before] + pd.Timedelta(hours=1):%Y-%m-%d %H:%M} UTC on, and the gap rule fills at most {limit}; "
            "add these rows or raise gaps.max_hours in the dataset's TOML"
        )
    hours = pd.date_range(times[0], times[-1], freq="h", name=TIMESTAMP)
    frame = values.set_axis(times).reindex(hours)
    line_of = pd.Series(lines, index=times).reindex(hours).ffill().astype("int64")
    gaps = frame.isna()
    for column in frame.columns[gaps.any()]:
        _check_cells(gaps[column], line_of, limit, file)
        frame[column] = _filled(frame[column], tz)
        if frame[column].isna().any():
            day = frame.index[frame[column].isna()][0].tz_convert(tz)
            raise InputError(
                f"{file}: column {column!r} has no value on the whole local day of {day:%Y-%m-%d}, expected one to "
                "fill the others from; add the rows of that day"
            )
    return frame, int(gaps.any(axis=1).sum())


def _filled(values: pd.Series, tz: ZoneInfo) -> pd.Series:
    name, index = str(values.name), pd.DatetimeIndex(values.index)
    if name in _HOURLY:
        same = values.groupby(index.hour)
    elif name in _DAILY or name.startswith("is_"):
        same = values.groupby(index.tz_convert(tz).tz_localize(None).normalize())
    else:
        return values.interpolate("linear")
    return same.ffill().fillna(same.bfill())


def _check_cells(gap: pd.Series, line_of: pd.Series, limit: int, file: str) -> None:
    starts, lengths = runs(gap.to_numpy())
    column, index, n = gap.name, pd.DatetimeIndex(gap.index), len(gap)
    if lengths[0] == n:
        raise InputError(
            f"{file}: column {column!r} is empty throughout, expected numbers; fill it, or remove it if it is optional"
        )
    if starts[0] == 0:
        raise InputError(
            f"{file}: column {column!r} is empty for the first {_hours(lengths[0])}, with no earlier value to fill "
            f'from; set start = "{index[lengths[0]]:%Y-%m-%d %H:%M}" in the dataset\'s TOML or fill these cells'
        )
    if starts[-1] + lengths[-1] == n:
        raise InputError(
            f"{file}: column {column!r} is empty for the last {_hours(lengths[-1])}, from line "
            f"{line_of.iloc[starts[-1]]} on, with no later value to fill from; remove these rows or fill these cells"
        )
    long = np.flatnonzero(lengths > limit)
    if len(long):
        start, length = starts[long[0]], lengths[long[0]]
        raise InputError(
            f"{file}: column {column!r} is empty for {_hours(length)} from line {line_of.iloc[start]} on "
            f"({index[start]:%Y-%m-%d %H:%M} UTC), and the gap rule fills at most {limit}; "
            "fill these cells or raise gaps.max_hours in the dataset's TOML"
        )


def _hours(count: int) -> str:
    return f"{count} hour" if count == 1 else f"{count} hours"
