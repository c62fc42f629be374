"""Splits and forecast origins.

A forecast origin is the last hour whose target is known. The forecast made there covers the 24
hours origin + 1 h .. origin + 24 h and reads the 168 hours origin - 167 h .. origin. Splits that
end at 23:00 UTC therefore have their daily origins at 23:00 UTC, and every forecast covers one UTC
day. History may reach back across a split boundary; the forecast hours may not cross one.

All functions take a complete hourly index (no hour missing), as ``load_dataset`` returns it, so
that a position is the number of hours since the first one.
"""

from dataclasses import dataclass, replace

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
HOUR = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class SplitPositions:
    """Positions of the three splits in the hourly index; ``test`` may be empty."""

    train: slice
    val: slice
    test: slice


def split_positions(index: pd.DatetimeIndex, splits: Splits) -> SplitPositions:
    """The three splits as positions in ``index``; each split includes its end hour."""
    ends = index.searchsorted(
        [splits.train_end, splits.val_end, splits.test_end or index[-1]], side="right"
    ).tolist()
    return SplitPositions(*map(slice, [0, *ends], ends))


def daily_origins(split: slice) -> Positions:
    """Positions [N] of the daily origins of validation or test, ascending, possibly none.

    The first is one hour before the split, the others follow every 24 h. Origins with less than
    168 h of history are left out.
    """
    origins = np.arange(split.start - 1, split.stop - HORIZON, HORIZON)
    return origins[origins >= HISTORY - 1]


def training_origins(train: slice, *, near_hours: int = HORIZON // 2) -> Positions:
    """Positions [N] of every hour whose history and forecast are within the training split.

    With fewer ``near_hours``, only hours at most that far from the hour of the daily origins.
    """
    origins = np.arange(HISTORY - 1, train.stop - HORIZON)
    after_daily = (origins - (train.stop - 1)) % HORIZON
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
    plan = spec.splits
    train_end = plan.train_end
    val_end = plan.val_end
    hour = plan.origin_hour
    if plan.train and plan.val:
        span = index[-1] - index[0]
        shares = (plan.train, plan.train + plan.val)
        train_end, val_end = (index[0] + (share * span).floor("h") for share in shares)
        hour = 23 if hour is None else hour
    if hour is not None:
        back = (train_end - hours * HOUR for hours in range(48))  # a day may lack an hour
        train_end = next(stamp for stamp in back if stamp.tz_convert(spec.tz).hour == hour)
        val_end -= (val_end - train_end) % (HORIZON * HOUR)
    splits = replace(plan, train_end=train_end, val_end=val_end)
    positions = split_positions(index, splits)
    last = splits.test_end or val_end
    validation = daily_origins(positions.val)
    if last > index[-1] or positions.train.stop < MIN_TRAINING or not len(validation):
        test = f", test to {splits.test_end:%Y-%m-%d %H:%M}" if splits.test_end else ""
        raise InputError(
            f"{data}: training to {splits.train_end:%Y-%m-%d %H:%M}, validation to "
            f"{splits.val_end:%Y-%m-%d %H:%M}{test} do not fit the data, which covers "
            f"{time_span(index)}; a training split needs {MIN_TRAINING} hours, the others whole "
            "days; move the dates, or set train = 0.7 and val = 0.2 instead, for which 60 days are "
            f"enough, under [splits] in {shown(spec.path)}"
        )
    for split, origins, least in (
        ("training", training_origins(positions.train, near_hours=0), 30),
        ("validation", validation, 1),
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
