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
        by_hour: the columns ``level``, see `recent_levels`, and ``least``, the smallest target so
            far, by the hour of a forecast origin.
    """

    mase: float
    terciles: list[float]
    by_hour: pd.DataFrame

    @classmethod
    def of(cls, target: pd.Series, training_target: npt.NDArray[np.float64]) -> "Scales":
        """Of an hourly target in UTC and its part in training [T], NaN where missing."""
        values = target.to_numpy(dtype=float)
        changes = training_target[MASE_HOURS:] - training_target[:-MASE_HOURS]
        changes = np.abs(changes[~np.isnan(changes)])
        levels = {"level": recent_levels(values), "least": np.fmin.accumulate(values)}
        return cls(
            float(changes.mean()) if len(changes) else 0.0,
            np.nanquantile(training_target, [1 / 3, 2 / 3]).tolist(),
            pd.DataFrame(levels, target.index),
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


def recent_levels(target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[T] mean of the last 24 hours up to each hour, NaN before there are as many.

    It is at least 1 % of the mean absolute target [T] up to the hour, and at least all of that if
    the target was ever negative: a level near 0 then says nothing about the size of errors.

    The target is NaN where missing, which no 24 hours before an origin are.
    """
    mean_so_far = np.nancumsum(np.abs(target)) / np.cumsum(~np.isnan(target))
    level = np.full(len(target), np.nan)
    if len(target) >= LEVEL_HOURS:
        days = np.lib.stride_tricks.sliding_window_view(target, LEVEL_HOURS)
        level[LEVEL_HOURS - 1 :] = days.mean(axis=1)
    share = np.where(np.fmin.accumulate(target) < 0, 1.0, 0.01)
    least = np.maximum(share * mean_so_far, np.finfo(float).tiny)
    return np.asarray(np.maximum(level, least))
