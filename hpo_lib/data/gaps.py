"""From the cells of a CSV to a complete hourly frame: short gaps are filled, long ones are an error.

A gap is an hour without a row or an empty cell, in the target or in a covariate. A continuous column is filled on a
straight line between its neighbours. A calendar column is not: between hour 23 and hour 1 is 0, not 12, and a day is a
Sunday or it is not. It takes the value of the same hour on a day beside it, or of another hour of the same local day.

A filled hour of a continuous column knows the value that ends its gap, so a gap at a forecast origin lets up to
``max_hours`` hours of the future through; keep ``max_hours`` small.
"""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from hpo_lib.data.csv_checks import TIMESTAMP, check_calendar, check_target, numbers, runs_of_true, shown, timestamps
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.data.splits import time_span
from hpo_lib.errors import InputError

VERSION = 1
"""Part of a stored training's key, since a fingerprint is of the unfilled file. Raise it when filling changes."""

_HOURLY = ("hour", "hour_sin", "hour_cos")
_DAILY = ("day_of_week", "month", "season")


def hourly_frame(cells: pd.DataFrame, spec: DatasetSpec, file: str) -> tuple[pd.DataFrame, int]:
    """The hours from ``spec.start`` on, complete and checked, and the number of hours in which anything was filled.

    Args:
        cells: text [rows, ``timestamp`` and columns], the target among them; the index is the line number in the file.
        spec: the dataset; its start, target, gap rule and time zone are used.
        file: what the data is called in an error.

    Returns:
        Float64 [hours, columns], index ``timestamp`` (UTC); and the number.

    Raises:
        InputError: a timestamp anywhere in the file is unreadable, not UTC, off the hour, repeated or out of order; or,
            from ``spec.start`` on, there is no row, a cell that is no number, a target that is negative or stuck, a
            calendar column out of its range, or a gap that the rule does not fill.
    """
    times = timestamps(cells[TIMESTAMP], file)
    keep = np.ones(len(times), dtype=bool) if spec.start is None else np.asarray(times >= spec.start)
    if not keep.any():
        raise InputError(
            f"{file}: covers {time_span(times)}, expected hours from start ({spec.start:%Y-%m-%d %H:%M}) on; fix "
            f"start in {shown(spec.path)} or give a file that goes on longer"
        )
    times, values = times[keep], numbers(cells.loc[keep].drop(columns=TIMESTAMP), file)
    check_target(values[spec.target], times, file)
    check_calendar(values, file)
    return _complete(values, times, spec, file)


def _complete(values: pd.DataFrame, times: pd.DatetimeIndex, spec: DatasetSpec, file: str) -> tuple[pd.DataFrame, int]:
    limit = spec.gaps.max_hours if spec.gaps.fill == "linear" else 0
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
        frame[column] = _filled(frame[column], limit, spec.tz)
        if frame[column].isna().any():
            day = frame.index[frame[column].isna()][0].tz_convert(spec.tz)
            raise InputError(
                f"{file}: column {column!r} has no value on the whole local day of {day:%Y-%m-%d}, expected one to "
                "fill the others from; add the rows of that day"
            )
    return frame, int(gaps.any(axis=1).sum())


def _filled(values: pd.Series, limit: int, tz: ZoneInfo) -> pd.Series:
    name, index = str(values.name), pd.DatetimeIndex(values.index)
    if name in _HOURLY:
        same = values.groupby(index.hour)
    elif name in _DAILY or name.startswith("is_"):
        same = values.groupby(index.tz_convert(tz).tz_localize(None).normalize())
    else:
        return fill_short_gaps(values, limit)
    return same.ffill().fillna(same.bfill())


def fill_short_gaps(values: pd.Series, limit: int) -> pd.Series:
    """Gaps of at most ``limit`` hours filled on a straight line; others, and those at either end, stay as they are."""
    gap = values.isna()
    length = gap.groupby((~gap).cumsum()).transform("sum")
    return values.interpolate("linear", limit_area="inside").where(~gap | (length <= limit))


def _check_cells(gap: pd.Series, line_of: pd.Series, limit: int, file: str) -> None:
    starts, lengths = runs_of_true(gap.to_numpy())
    index, long = pd.DatetimeIndex(gap.index), np.flatnonzero(lengths > limit)
    if lengths[0] == len(gap):
        problem = "throughout, expected numbers; fill it, or remove it if it is optional"
    elif starts[0] == 0:
        problem = (
            f"for the first {_hours(lengths[0])}, with no earlier value to fill from; set start = "
            f'"{index[lengths[0]]:%Y-%m-%d %H:%M}" in the dataset\'s TOML or fill these cells'
        )
    elif starts[-1] + lengths[-1] == len(gap):
        problem = (
            f"for the last {_hours(lengths[-1])}, from line {line_of.iloc[starts[-1]]} on, with no later value to fill "
            "from; remove these rows or fill these cells"
        )
    elif len(long):
        start, length = starts[long[0]], lengths[long[0]]
        problem = (
            f"for {_hours(length)} from line {line_of.iloc[start]} on ({index[start]:%Y-%m-%d %H:%M} UTC), and the gap "
            f"rule fills at most {limit}; fill these cells or raise gaps.max_hours in the dataset's TOML"
        )
    else:
        return
    raise InputError(f"{file}: column {gap.name!r} is empty {problem}")


def _hours(count: int) -> str:
    return f"{count} hour" if count == 1 else f"{count} hours"
