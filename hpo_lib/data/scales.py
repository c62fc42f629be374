"""What scores need of a series beside forecasts and actuals; kept with each record."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo_lib.errors import InputError

LEVEL_HOURS = 24
"""Hours whose mean is the recent level that errors are divided by before they are compared."""

MASE_HOURS = 24
"""Season of the naive forecast that MASE compares with."""


@dataclass(frozen=True)
class Scales:
    """Numbers of a series by which errors are scaled and forecasts are grouped.

    Attributes:
        mase: MAE of the seasonal naive forecast in the training split; 0 if that is shorter than a
            season or repeats itself exactly.
        terciles: of the target in the training split.
        by_hour: of the hour of a forecast origin ``least``, the smallest target so far, and
            ``level``, the mean of the last 24 hours, NaN before there are as many. It is at least
            1 % of the mean absolute target so far, and all of that if the target was ever negative:
            a level near 0 then says nothing about the size of errors.
    """

    mase: float
    terciles: list[float]
    by_hour: pd.DataFrame

    @classmethod
    def of(cls, target: pd.Series, training_target: npt.NDArray[np.float64]) -> "Scales":
        """Of an hourly target in UTC and its part in training [T], NaN where missing.

        The 24 hours before an origin are never missing.
        """
        values = target.to_numpy(float)
        changes = training_target[MASE_HOURS:] - training_target[:-MASE_HOURS]
        changes = np.abs(changes[~np.isnan(changes)])
        means = np.lib.stride_tricks.sliding_window_view(values, LEVEL_HOURS).mean(axis=1)
        level = np.concatenate([np.full(LEVEL_HOURS - 1, np.nan), means])
        mean_so_far = np.nancumsum(np.abs(values)) / np.cumsum(~np.isnan(values))
        least = np.fmin.accumulate(values)
        floor = np.where(least < 0, 1.0, 0.01) * mean_so_far
        level = np.maximum(level, np.maximum(floor, np.finfo(float).tiny))
        return cls(
            float(changes.mean()) if len(changes) else 0.0,
            np.nanquantile(training_target, [1 / 3, 2 / 3]).tolist(),
            pd.DataFrame({"level": level, "least": least}, target.index),
        )

    def at(self, origins: pd.DatetimeIndex) -> pd.DataFrame:
        """The rows of ``by_hour`` of origins [N]."""
        rows = self.by_hour.reindex(origins)
        if len(lacking := origins[rows["level"].isna()]):
            raise InputError(
                f"the target has no {LEVEL_HOURS} hours up to the forecast origin "
                f"{lacking[0]:%Y-%m-%d %H:%M}"
            )
        return rows
