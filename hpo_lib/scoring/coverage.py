"""Coverage by hour, weekday, season and level, and the reliability of each quantile."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hpo_lib.data.local_time import season_of
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts


def target_terciles(training_target: np.ndarray) -> tuple[float, float]:
    """The bounds of low, middle and high values: terciles of the training split's known hours."""
    low, high = np.quantile(training_target[~np.isnan(training_target)], [1 / 3, 2 / 3])
    return float(low), float(high)


SEASON_NAMES = ("winter", "spring", "summer", "autumn")
WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def conditional_coverage(
    f: QuantileForecasts, terciles: tuple[float, float], timezone: str, hemisphere: str = "north"
) -> pd.DataFrame:
    """Coverage and width of the interval by local hour, weekday, season and level of the forecast.

    Args:
        f: forecasts [N, H, Q].
        terciles: bounds between levels, see `target_terciles`. The median forecast sets the level,
            because it is known in advance: grouped by actuals, even intervals of a good forecast
            cover less at both ends.
        timezone: IANA name of the dataset's local time.
        hemisphere: ``north`` or ``south``, which sets the seasons.

    Returns:
        One row per group: ``by`` (hour, weekday, season, level), ``group``, ``hours`` counted,
        ``picp`` in percent,
        ``mean_width`` and ``mae`` in the target's unit. There is no row for a group without an
        hour.
    """
    steps = np.tile(np.arange(1, f.actual.shape[1] + 1), len(f.origins))
    local = (f.origins.repeat(f.actual.shape[1]) + pd.to_timedelta(steps, unit="h")).tz_convert(
        timezone
    )
    hours = pd.DataFrame(
        {
            "picp": 100.0 * metrics.covered(f).ravel(),
            "mean_width": (f.upper - f.lower).ravel(),
            "mae": metrics.absolute_errors(f).ravel(),
        }
    )
    groups: Mapping[str, tuple[np.ndarray, tuple[str, ...]]] = {
        "hour": (local.hour.to_numpy(), tuple(f"{hour:02d}" for hour in range(24))),
        "weekday": (local.day_of_week.to_numpy(), WEEKDAY_NAMES),
        "season": (season_of(local.month.to_numpy(), hemisphere), SEASON_NAMES),
        "level": (
            np.searchsorted(terciles, f.median.ravel(), side="right"),
            ("low", "middle", "high"),
        ),
    }
    tables = []
    for by, (codes, names) in groups.items():
        grouped = hours.groupby(codes)
        table = grouped.mean()
        named = table.assign(
            by=by, group=[names[code] for code in table.index], hours=grouped.size()
        )
        tables.append(named[["by", "group", "hours", *table.columns]])
    return pd.concat(tables, ignore_index=True)


def reliability(f: QuantileForecasts) -> pd.DataFrame:
    """Share of actuals at or below each level: rows of ``level`` and ``observed``, both 0 to 1."""
    observed = [(f.actual <= f.values[:, :, i]).mean() for i in range(len(f.levels))]
    return pd.DataFrame({"level": f.levels, "observed": observed})
