"""What a forecast may know: the same for families, baselines and the zero-shot model."""

import functools

import numpy as np
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import HISTORY, HORIZON

ORIGIN = 2200
"""A position in the test split of the tiny dataset, with a day after it and more after that day."""
KNOWN = ("water_consumption", "temp", "water_lag_24h")
CALENDAR = ("hour_sin", "hour_cos", "is_weekend")

# Columns, rows in which they change, and whether the forecast from ORIGIN must change (or else must
# not).
INFORMATION_SET = [
    (KNOWN, slice(ORIGIN + 1, None), False),
    (KNOWN, slice(ORIGIN, ORIGIN + 1), True),
    ((*KNOWN, *CALENDAR), slice(0, ORIGIN - HISTORY + 1), False),
    (CALENDAR, slice(ORIGIN + 1, ORIGIN + 1 + HORIZON), True),
    (CALENDAR, slice(ORIGIN + 1 + HORIZON, None), False),
]


@pytest.fixture(scope="session")
def quickly_fitted(tiny_dataset):
    """Name of a baseline -> its quick training of the tiny dataset, which nobody may change."""
    return functools.cache(lambda name: baselines()[name].fit(tiny_dataset, seed=1, quick=True))


def disturbed(frame, columns, rows):
    """A copy with large random numbers in some columns of some rows."""
    copy = frame.copy()
    values = 50 + 100 * np.random.default_rng(3).random(
        (len(range(*rows.indices(len(frame)))), len(columns))
    )
    copy.iloc[rows, [frame.columns.get_loc(column) for column in columns]] = values
    return copy


def holding_the_future(frame, *origins):
    """Windows whose frame holds what came after the origins, as in training: no model may read
    that, even then.

    A `Context`, which real forecasts are made from, does not hold it.
    """
    return Windows(frame, np.array(origins, dtype=np.int64))


def forecast(forecaster, frame, *origins):
    """[N, H, Q] of the given origins."""
    return forecaster.predict(holding_the_future(frame, *origins)).values
