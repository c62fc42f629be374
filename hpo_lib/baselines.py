"""Forecasts that need no training, as a yardstick beside every study."""

import numpy as np

from hpo_lib.data.load import Dataset
from hpo_lib.data.splits import HORIZON
from hpo_lib.forecasts import QUANTILE_LEVELS, QuantileForecasts

SEASONAL_LAGS = (24, 168)


def seasonal_naive(dataset: Dataset, origins: np.ndarray, lag: int) -> QuantileForecasts:
    """The value ``lag`` hours before as the median, with an interval from this rule's errors on the training split.

    Args:
        dataset: the loaded dataset.
        origins: [N] positions of the forecast origins.
        lag: 24 or 168 hours; at least the horizon, so that nothing after the origin is used.

    Returns:
        Forecasts [N, H, Q]; the outer levels are the median plus the training errors' quantiles.
    """
    if lag < HORIZON:
        raise ValueError(f"lag is {lag}, expected at least the horizon of {HORIZON} hours")
    target = dataset.target.to_numpy()
    train = target[dataset.positions.train]
    errors = train[lag:] - train[:-lag]
    horizon = origins[:, None] + np.arange(1, HORIZON + 1)
    median = target[horizon - lag]
    offsets = np.array([0.0 if level == 0.5 else np.quantile(errors, level) for level in QUANTILE_LEVELS])
    values = np.sort(median[:, :, None] + offsets, axis=2)
    return QuantileForecasts(values=values, actual=target[horizon], origins=dataset.index[origins])
