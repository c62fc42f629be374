"""Walk-forward evaluation: forecasts of every daily origin -> scores, and coverage by condition."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import local_columns
from hpo_lib.data.information_set import Context
from hpo_lib.data.scales import Scales
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.data.splits import HORIZON
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts
from hpo_lib.scoring.uncertainty import bounds_of_shares

SEASONAL_LAGS = (24, 168)


def seasonal_naive(dataset: Dataset, origins: np.ndarray, lag: int) -> QuantileForecasts:
    """`naive_ahead` at origins [N] of a dataset, beside what came."""
    return naive_ahead(dataset, dataset.context(origins), lag).with_actual(dataset.target)


def naive_ahead(dataset: Dataset, context: Context, lag: int) -> QuantileForecasts:
    """The value ``lag`` hours earlier, with an interval from this rule's errors in training.

    The outer levels are the median plus quantiles of the training errors, or the median itself if
    such a quantile is on its other side. ``lag`` is at least the horizon, so that nothing after an
    origin is needed.
    """
    if lag < HORIZON:
        raise ValueError(f"lag is {lag}, expected at least the horizon of {HORIZON} hours")
    target = context.frame[dataset.spec.target].to_numpy()
    train = dataset.training_target
    errors = train[lag:] - train[:-lag]
    median = target[context.positions[:, None] + np.arange(1, HORIZON + 1) - lag]
    low, high = np.nanquantile(errors, [QUANTILE_LEVELS[0], QUANTILE_LEVELS[-1]])
    # On a steep trend all errors have one sign.
    offsets = np.array([min(low, 0.0), 0.0, max(high, 0.0)])
    return QuantileForecasts.of_model(median[:, :, None] + offsets, context.origins, dataset.lowest)


def evaluate(forecasts: QuantileForecasts, scales: Scales) -> dict[str, float]:
    """Score forecasts [N, H, Q] with every metric.

    ``winkler_calibrated`` and ``picp_calibrated`` are scores after the rolling correction, which
    knows the errors of these forecasts alone: the first days stay as they are.
    """
    corrected = calibrate(forecasts, None, scales)
    return {
        **metrics.score(forecasts, scales.mase),
        "winkler_calibrated": metrics.winkler(corrected),
        "picp_calibrated": metrics.picp(corrected),
    }


def validation_baselines(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Scores of the seasonal-naive forecasts of validation: ``naive_24h``, ``naive_168h``."""
    origins = dataset.validation_origins
    return {
        f"naive_{lag}h": evaluate(seasonal_naive(dataset, origins, lag), dataset.scales)
        for lag in SEASONAL_LAGS
    }


SEASON_NAMES = ("winter", "spring", "summer", "autumn")
GROUPS = {
    "hour": [f"{hour:02d}" for hour in range(24)],
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "season": SEASON_NAMES,
    "level": ("low", "middle", "high"),
}
"""By which coverage is grouped -> its groups, in order."""


def conditional_coverage(
    f: QuantileForecasts, spec: DatasetSpec, terciles: Sequence[float]
) -> pd.DataFrame:
    """Coverage and width of the interval by local hour, weekday, season and level of the forecast.

    The groups are those of `GROUPS`.

    Levels are bounded by the ``terciles`` of the training split. The median forecast sets the
    level, because it is known in advance: grouped by actuals, even intervals of a good forecast
    cover less at both ends.

    Returns:
        One row per group: ``by`` (of `GROUPS`), ``group``, ``hours`` counted,
        ``picp`` in percent with the ends of its 95 % interval, ``mean_width`` and ``mae`` in the
        target's unit. There is no row for a group without an hour.
    """
    local = local_columns(f.hours, spec)
    levels = np.searchsorted(terciles, f.median.ravel(), side="right")
    positions = local["hour"], local["day_of_week"], local["season"], levels
    scores = pd.DataFrame(
        {
            "hours": 1.0,
            "picp": 100.0 * metrics.covered(f).ravel(),
            "mean_width": (f.upper - f.lower).ravel(),
            "mae": metrics.absolute_errors(f).ravel(),
        }
    )
    tables = {}
    days = np.arange(len(scores)) // HORIZON
    for (by, names), of_group in zip(GROUPS.items(), positions, strict=True):
        grouped = scores.groupby(of_group)
        daily = scores["picp"].groupby([days, of_group]).agg(["sum", "size"]).unstack(fill_value=0)
        low, high = bounds_of_shares(daily["sum"].to_numpy(), daily["size"].to_numpy())
        table = grouped.mean().assign(hours=grouped.size(), picp_low=low, picp_high=high)
        tables[by] = table.rename(index=dict(enumerate(names)))
    return pd.concat(tables, names=["by", "group"]).reset_index()
