"""Studies and their trials as stored, for browsing: nothing is trained, and data and models are not needed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts


def days(forecasts: QuantileForecasts, first: int, count: int) -> pd.DataFrame:
    """Hours of ``count`` consecutive forecasts from position ``first`` on: actual, lower, median, upper by UTC hour."""
    part = slice(first, first + count)
    horizon = forecasts.actual.shape[1]
    ahead = pd.to_timedelta(np.arange(1, horizon + 1), unit="h")
    hours = pd.DatetimeIndex(np.concatenate([origin + ahead for origin in forecasts.origins[part]]))
    columns = {name: getattr(forecasts, name)[part].ravel() for name in ("actual", "lower", "median", "upper")}
    return pd.DataFrame(columns, index=hours)


def daily_errors(forecasts: QuantileForecasts) -> pd.DataFrame:
    """Per origin: MAE in the target's unit and PICP in % of its hours; indexed by the first hour of the forecast."""
    covered = (forecasts.lower <= forecasts.actual) & (forecasts.actual <= forecasts.upper)
    return pd.DataFrame(
        {
            "mae": np.abs(forecasts.actual - forecasts.median).mean(axis=1),
            "picp": 100 * covered.mean(axis=1),
        },
        index=forecasts.origins + pd.Timedelta(hours=1),
    )


def by_hour(forecasts: QuantileForecasts, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> pd.DataFrame:
    """Per hour ahead (1..H): quantiles of the residual, actual less median, in the target's unit, and PICP in %."""
    residual = forecasts.actual - forecasts.median
    columns = {f"q{level * 100:g}": np.quantile(residual, level, axis=0) for level in levels}
    return pd.DataFrame(
        {**columns, "picp": metrics.by_step(forecasts)["picp"]},
        index=pd.RangeIndex(1, residual.shape[1] + 1, name="hours ahead"),
    )
