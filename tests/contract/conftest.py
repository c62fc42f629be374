"""What a forecast may know: the same for families, baselines and the zero-shot model."""

import numpy as np

from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import HISTORY, HORIZON

ORIGIN = 2200
"""A position in the test split of the tiny dataset, with a day after it and more after that day."""
KNOWN, CALENDAR = (
    ("water_consumption", "temp", "water_lag_24h"),
    ("hour_sin", "hour_cos", "is_weekend"),
)

# Columns, rows in which they change, and whether the forecast from ORIGIN must change (or else must
# not).
INFORMATION_SET = [
    (KNOWN, slice(ORIGIN + 1, None), False),
    ((*KNOWN, *CALENDAR), slice(0, ORIGIN - HISTORY + 1), False),
    (CALENDAR, slice(ORIGIN + 1, ORIGIN + 1 + HORIZON), True),
    (CALENDAR, slice(ORIGIN + 1 + HORIZON, None), False),
]


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
