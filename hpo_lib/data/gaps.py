"""A complete hourly frame: short gaps are filled, long ones of the target are remembered.

A gap is an hour without a row or an empty cell, in the target or in a covariate. Under ``fill =
"none"`` any gap is an error. Under ``fill = "linear"`` columns are filled, each in its own way:

* the target on a straight line over gaps of at most ``max_hours``. The hours of a longer gap are
  ``missing``: no forecast window may touch them. The frame holds the value of the same hour of the
  latest week that has one, so that nothing has to deal with NaN;
* a continuous covariate on a straight line over gaps of at most ``max_hours``; in a longer one its
  last value holds;
* ``hour``, ``day_of_week`` and so on from the time itself;
* another ``is_...`` column by another hour of the same local day: a day is a holiday or it is not.

A filled hour of a continuous column knows the value that ends its gap, so a gap at a forecast
origin lets up to ``max_hours`` hours of the future through; keep ``max_hours`` small.
"""

import pandas as pd

from hpo_lib.data.csv_checks import (
    TIMESTAMP,
    check_ranges,
    check_target,
    numbers,
    runs_of_true,
    timestamps,
)
from hpo_lib.data.features import local_columns, local_dates
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.data.splits import time_span
from hpo_lib.errors import InputError
from hpo_lib.paths import shown


def hourly_frame(
    cells: pd.DataFrame, spec: DatasetSpec
) -> tuple[pd.DataFrame, int, pd.DatetimeIndex]:
    """The hours from ``spec.start`` on, complete and checked, and what was filled or is missing.

    Args:
        cells: text [rows, ``timestamp`` and columns], the target among them; the index is the line
            number in the file.
        spec: the dataset; its start, target, gap rule and time zone are used.

    Returns:
        Float64 [hours, columns], index ``timestamp`` (UTC), without NaN; the number of hours in
        which anything was
        filled, apart from those that are missing; and these: the hours of the target in gaps of
        over ``max_hours``.
    """
    times = timestamps(cells[TIMESTAMP])
    keep = times >= (spec.start or times[0])
    if not keep.any():
        raise InputError(
            f"covers {time_span(times)}, expected hours from start ({spec.start:%Y-%m-%d %H:%M}) "
            f"on; fix start in {shown(spec.path)} or give a file that goes on longer"
        )
    times, values = times[keep], cells.loc[keep].drop(columns=TIMESTAMP).apply(numbers)
    check_target(values[spec.target], times, may_be_negative=spec.may_be_negative)
    check_ranges(values)
    hours = pd.date_range(times[0], times[-1], freq="h", name=TIMESTAMP)
    frame = values.set_axis(times).reindex(hours)
    gaps = frame.isna()
    if not gaps.any(axis=None):
        return frame, 0, hours[:0]
    for column in frame.columns[gaps.any()]:
        starts, lengths = runs_of_true(gaps[column].to_numpy())
        is_first = starts[0] == 0 or spec.gaps.fill == "none"
        if is_first or gaps[column].iloc[-1]:
            start, length = (run[0 if is_first else -1] for run in (starts, lengths))
            line = values.index[times <= hours[start]][-1]
            raise InputError(
                f"column {column!r} has no value for {length} h from {hours[start]:%Y-%m-%d %H:%M} "
                f"UTC on (near line {line}), and only gaps between values are filled, by a rule "
                "under [gaps] in the dataset's TOML; fill these cells, remove their rows, or begin "
                "after them (start in the TOML)"
            )
    target = fill_short_gaps(frame[spec.target], spec.gaps.max_hours)
    missing = target.isna()
    # Before the second week there is no earlier one.
    frame[spec.target] = (
        target.groupby(hours.day_of_week * 24 + hours.hour).ffill().interpolate("linear")
    )
    for column in frame.columns[gaps.any()].drop(spec.target, errors="ignore"):
        frame[column] = _filled(frame[column], spec)
        unknown = frame[column].isna() & ~missing
        if unknown.any():
            day = hours[unknown][0].tz_convert(spec.tz)
            raise InputError(
                f"column {column!r} has no value on the whole local day of {day:%Y-%m-%d}, "
                "expected one to fill the others from; add the rows of that day"
            )
        frame[column] = frame[column].ffill()
    return frame, int((gaps.any(axis=1) & ~missing).sum()), hours[missing]


def _filled(values: pd.Series, spec: DatasetSpec) -> pd.Series:
    name = str(values.name)
    index = pd.DatetimeIndex(values.index)
    if name in (computed := local_columns(index, spec)):
        return values.fillna(pd.Series(computed[name], index=index).astype("float64"))
    if name.startswith("is_"):
        same = values.groupby(local_dates(index, spec))
        return same.ffill().fillna(same.bfill())
    return fill_gaps(values, spec.gaps.max_hours)


def fill_gaps(values: pd.Series, limit: int) -> pd.Series:
    """Gaps of at most ``limit`` hours on a line, the last value in longer ones; not at the ends."""
    return fill_short_gaps(values, limit).ffill(limit_area="inside")


def fill_short_gaps(values: pd.Series, limit: int) -> pd.Series:
    """Gaps of at most ``limit`` hours on a line; others, and those at the ends, stay."""
    gap = values.isna()
    length = gap.groupby((~gap).cumsum()).transform("sum")
    return values.interpolate("linear", limit_area="inside").where(~gap | (length <= limit))
