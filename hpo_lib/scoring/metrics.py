"""Scores of quantile forecasts.

A new metric is one function of a `QuantileForecasts` and one entry in `METRICS`, which states its
unit: tables, figures and comparisons follow from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from hpo_lib.data.scales import MASE_HOURS
from hpo_lib.scoring.forecasts import QuantileForecasts


def absolute_errors(f: QuantileForecasts) -> np.ndarray:
    """[N, H] absolute errors of the median."""
    return np.abs(f.actual - f.median)


def rmse(f: QuantileForecasts) -> float:
    """Root of the mean squared error of the median."""
    return np.sqrt(np.square(f.actual - f.median).mean())


def mape(f: QuantileForecasts) -> float:
    """Mean absolute percentage error of the median, in percent.

    The denominator is at least 1 % of the mean absolute actual, so that hours near zero cannot
    dominate the mean.
    """
    floor = 0.01 * np.abs(f.actual).mean()
    return 100 * (absolute_errors(f) / np.maximum(np.abs(f.actual), floor)).mean()


def smape(f: QuantileForecasts) -> float:
    """Symmetric MAPE in percent, 0 to 200 (Makridakis, 1993).

    ``200 |y - m| / (|y| + |m|)``, 0 where both are 0.
    """
    total = np.abs(f.actual) + np.abs(f.median)
    ratio = np.divide(absolute_errors(f), total, out=np.zeros_like(total), where=total > 0)
    return 200 * ratio.mean()


def wape(f: QuantileForecasts) -> float:
    """Weighted absolute percentage error: total absolute error over total absolute actual."""
    return 100 * absolute_errors(f).sum() / np.abs(f.actual).sum()


def covered(f: QuantileForecasts) -> np.ndarray:
    """[N, H] bool: the actual is within the interval, bounds included; its mean is the PICP."""
    return (f.actual >= f.lower) & (f.actual <= f.upper)


def mean_width(f: QuantileForecasts) -> float:
    """Mean width of the interval (MPIW)."""
    return (f.upper - f.lower).mean()


def interval_scores(f: QuantileForecasts) -> np.ndarray:
    """[N, H] Winkler (interval) scores of the central interval of the outer levels.

    ``(u - l) + 2/alpha (l - y)[y < l] + 2/alpha (y - u)[y > u]`` with ``alpha = level_low + 1 -
    level_high`` (Gneiting and Raftery, 2007, eq. 43).
    """
    alpha = f.levels[0] + 1 - f.levels[-1]
    outside = np.maximum(np.maximum(f.lower - f.actual, f.actual - f.upper), 0)
    return (f.upper - f.lower) + 2 / alpha * outside


def pinball_losses(f: QuantileForecasts) -> np.ndarray:
    """[N, H, Q] pinball losses ``max(q (y - f), (q - 1) (y - f))`` (Koenker and Bassett, 1978).

    Twice their mean approximates the CRPS.
    """
    return quantile_losses(f.values, f.actual, f.levels)


def quantile_losses(values: np.ndarray, actual: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """As `pinball_losses`, of plain quantiles [N, H, Q] and actuals [N, H]."""
    error = actual[:, :, None] - values
    level = np.asarray(levels)
    return np.maximum(level * error, (level - 1) * error)


@dataclass(frozen=True)
class Metric:
    """All that is known of a metric.

    Attributes:
        function: forecasts -> score; or, if ``of_hours``, [N, H] or [N, H, Q] losses of single
            hours, whose mean (in percent: 100 times it) is the score.
        unit: ``target`` (its unit) or ``%``.
        best: the lowest score, or the one nearest to the nominal coverage.
        of_hours: whether the score is such a mean, so that days can be compared by it.
    """

    function: Callable[[QuantileForecasts], Any]
    unit: Literal["target", "%"] = "target"
    best: Literal["lowest", "nominal"] = "lowest"
    of_hours: bool = False

    def __call__(self, f: QuantileForecasts) -> float:
        return float(self.mean(f, None) if self.of_hours else self.function(f))

    def mean(self, f: QuantileForecasts, over: Literal["hours", "days"] | None) -> np.ndarray:
        """The score of each day [N] over its ``hours``, of each hour ahead [H] over ``days``."""
        losses = self.function(f)
        axes = {"hours": tuple(range(1, losses.ndim)), "days": 0, None: None}[over]
        return (100 if self.unit == "%" else 1) * losses.mean(axis=axes)


METRICS = {
    "mae": Metric(absolute_errors, of_hours=True),
    "rmse": Metric(rmse),
    "mape": Metric(mape, "%"),
    "smape": Metric(smape, "%"),
    "wape": Metric(wape, "%"),
    "picp": Metric(covered, "%", "nominal", of_hours=True),
    "mean_width": Metric(mean_width),
    "winkler": Metric(interval_scores, of_hours=True),
    "pinball": Metric(pinball_losses, of_hours=True),
}
mae, picp, winkler, pinball = (METRICS[name] for name in ("mae", "picp", "winkler", "pinball"))

FORECAST_COLUMNS = ("actual", "median", "lower", "upper", "error")
"""Columns of tables of forecasts, in the target's unit."""


def in_target_unit(column: str) -> bool:
    """Whether a table's column is in the target's unit: ``mae``, ``val_mae``, ``winkler_low``."""
    of_target = [name for name, metric in METRICS.items() if metric.unit == "target"]
    return any(f"_{name}_" in f"_{column}_" for name in (*of_target, *FORECAST_COLUMNS))


LITRES_BELOW = 0.1
"""MAE in m3/h."""


class ReadableUnit(NamedTuple):
    """A unit as it is printed, and the factor from the target's unit to it."""

    name: str
    factor: float

    def table(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of values in the target's unit in this one."""
        names = [name for name in map(str, table) if in_target_unit(name)]
        return table.assign(**{name: table[name] * self.factor for name in names})

    def forecasts(self, f: QuantileForecasts) -> QuantileForecasts:
        """Forecasts in the target's unit in this one."""
        return replace(f, values=f.values * self.factor, actual=f.actual * self.factor)


def readable_unit(unit: str, mae: float) -> ReadableUnit:
    """The unit in which forecasts with this MAE are read best: 2.9 L/h instead of 0.0029 m3/h."""
    if unit.startswith("m3/") and mae < LITRES_BELOW:
        return ReadableUnit(unit.replace("m3", "L"), 1000.0)
    return ReadableUnit(unit.replace("m3", "m³"), 1.0)


def mae_in_words(mae: float, unit: str) -> str:
    """MAE 2.9 L/h."""
    readable = readable_unit(unit, mae)
    return f"MAE {mae * readable.factor:.4g} {readable.name}"


def mase(f: QuantileForecasts, scale: float) -> float:
    """Mean absolute scaled error (no unit): MAE over the seasonal naive's MAE in training.

    See Hyndman and Koehler (2006) and `Scales`.
    """
    if scale == 0:
        raise ValueError(
            "MASE has no scale: the training target repeats itself exactly, or is not longer than "
            f"{MASE_HOURS} hours"
        )
    return mae(f) / scale


def by_step(f: QuantileForecasts) -> dict[str, list[float]]:
    """MAE and PICP (percent) per hour ahead: lists of H values."""
    return {name: METRICS[name].mean(f, "days").tolist() for name in ("mae", "picp")}


def score(f: QuantileForecasts, mase_scale: float) -> dict[str, float]:
    """Every metric of `METRICS` plus MASE."""
    return {**{name: metric(f) for name, metric in METRICS.items()}, "mase": mase(f, mase_scale)}
