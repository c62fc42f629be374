"""Splits and forecast origins.

A forecast origin is the last hour whose target is known. The forecast made there covers the 24
hours origin + 1 h .. origin + 24 h and reads the 168 hours origin - 167 h .. origin. Splits that
end at 23:00 UTC therefore have their daily origins at 23:00 UTC, and every forecast covers one UTC
day. History may reach back across a split boundary; the forecast hours may not cross one.

All functions take a complete hourly index (no hour missing), as ``load_dataset`` returns it, so
that a position is the number of hours since the first one.
"""

import itertools
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from hpo_lib.data.spec import DatasetSpec, Splits
from hpo_lib.errors import InputError
from hpo_lib.paths import shown

HISTORY = 168
"""Hours of history that a forecast reads, the origin included."""

HORIZON = 24
"""Hours that a forecast covers."""

MIN_TRAINING = HISTORY + HORIZON + 30 * 24
"""Fewest hours of a training split: 30 days of training windows beside the first one."""

Positions = np.ndarray
_HOUR = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class SplitPositions:
    """Positions of the three splits in the hourly index; ``test`` may be empty."""

    train: slice
    val: slice
    test: slice


def split_positions(index: pd.DatetimeIndex, splits: Splits) -> SplitPositions:
    """The three splits as positions in ``index``; each split includes its end hour."""
    last_hours = (splits.train_end, splits.val_end, splits.test_end or index[-1])
    ends = [0, *(int(index.searchsorted(hour, side="right")) for hour in last_hours)]
    return SplitPositions(*itertools.starmap(slice, itertools.pairwise(ends)))


def daily_origins(
    index: pd.DatetimeIndex, first_hour: pd.Timestamp, last_hour: pd.Timestamp
) -> Positions:
    """Positions of the daily origins that forecast ``first_hour`` to ``last_hour`` at most.

    The first is one hour before ``first_hour``, the others follow every 24 h. Origins with less
    than 168 h of history in the index are left out.

    Returns:
        positions [N] in ``index``, ascending, possibly empty.
    """
    first = (first_hour - index[0]) // _HOUR
    last = min((last_hour - index[0]) // _HOUR, len(index) - 1)
    origins = np.arange(first - 1, last - HORIZON + 1, HORIZON)
    return origins[origins >= HISTORY - 1]


def split_origins(index: pd.DatetimeIndex, splits: Splits) -> tuple[Positions, Positions]:
    """Positions [N] of every daily origin of validation, and of test, which may have none."""
    validation = daily_origins(index, splits.train_end + _HOUR, splits.val_end)
    return validation, daily_origins(index, splits.val_end + _HOUR, splits.test_end or index[-1])


def training_origins(
    index: pd.DatetimeIndex, splits: Splits, *, near_hours: int = HORIZON // 2
) -> Positions:
    """Positions [N] of every hour whose history and forecast are within the training split.

    With fewer ``near_hours``, only hours at most that far from the hour of the daily origins.
    """
    stop = split_positions(index, splits).train.stop
    origins = np.arange(HISTORY - 1, stop - HORIZON)
    after_daily = (origins - (stop - 1)) % HORIZON
    return origins[np.minimum(after_daily, HORIZON - after_daily) <= near_hours]


def complete_windows(origins: Positions, missing: np.ndarray) -> Positions:
    """The origins without an hour of ``missing`` [T] in their history or forecast hours."""
    if not missing.any():
        return origins
    before = np.concatenate([[0], np.cumsum(missing)])  # missing hours before each position
    return origins[before[origins + HORIZON + 1] == before[origins - HISTORY + 1]]


def time_span(index: pd.Index) -> str:
    """The first and the last hour, in words: ``2015-06-02 00:00 to 2019-12-31 23:00 UTC``."""
    return f"{index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC"


def settled_splits(
    index: pd.DatetimeIndex, missing: np.ndarray, spec: DatasetSpec, data: str
) -> Splits:
    """The split dates of this data: those that the TOML plans, or shares of the data's span.

    Shares are cut at the hour of the daily origins, by default at local midnight, and so are dates
    if that hour is planned. All cuts are whole days (24 h) apart.

    Args:
        index: complete hourly index of the data.
        missing: [T] hours that no window may touch.
        spec: the dataset, with the splits as its TOML states them.
        data: what the data is called in an error (its file).
    """
    splits = plan = spec.splits
    if plan.train and plan.val:
        span, shares = index[-1] - index[0], (plan.train, plan.train + plan.val)
        train_end, val_end = (index[0] + (share * span).floor("h") for share in shares)
        hour = 23 if plan.origin_hour is None else plan.origin_hour
        splits = _cut(plan, train_end, val_end, hour, spec.tz)
    elif plan.origin_hour is not None:
        splits = _cut(plan, plan.train_end, plan.val_end, plan.origin_hour, spec.tz)
    last, training = splits.test_end or splits.val_end, split_positions(index, splits).train.stop
    if last > index[-1] or training < MIN_TRAINING or not len(split_origins(index, splits)[0]):
        test = f", test to {splits.test_end:%Y-%m-%d %H:%M}" if splits.test_end else ""
        raise InputError(
            f"{data}: training to {splits.train_end:%Y-%m-%d %H:%M}, validation to "
            f"{splits.val_end:%Y-%m-%d %H:%M}{test} do not fit the data, which covers "
            f"{time_span(index)}; a training split needs {MIN_TRAINING} hours, the others whole "
            "days; move the dates, or set train = 0.7 and val = 0.2 instead, for which 60 days are "
            f"enough, under [splits] in {shown(spec.path)}"
        )
    for split, origins, least in (
        ("training", training_origins(index, splits, near_hours=0), 30),
        ("validation", split_origins(index, splits)[0], 1),
    ):
        left = len(complete_windows(origins, missing))
        if left < least:
            raise InputError(
                f"{data}: {missing.sum()} hours are in gaps longer than the gap rule fills, and "
                f"only {left} of {len(origins)} daily forecasts of the {split} split touch "
                f"none of them with their {HISTORY} hours of history, expected at least {least}; "
                f"fill some of the gaps, or move the dates under [splits] in {shown(spec.path)}"
            )
    return splits


def _cut(
    plan: Splits, train_end: pd.Timestamp, val_end: pd.Timestamp, hour: int, tz: ZoneInfo
) -> Splits:
    """Training up to the latest such local hour, validation a number of whole days longer."""
    back = (
        train_end - hours * _HOUR for hours in range(48)
    )  # a clock that goes forward leaves an hour out
    train_end = next(stamp for stamp in back if stamp.tz_convert(tz).hour == hour)
    return replace(
        plan, train_end=train_end, val_end=val_end - (val_end - train_end) % (HORIZON * _HOUR)
    )
