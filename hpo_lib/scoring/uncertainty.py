"""Bootstrap intervals of scores, and tests of which of two forecasts is better."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts, check_comparable

MIN_COMPARED_DAYS = 14
"""Fewest test days for a comparison of two rows."""

BOOTSTRAP_REPEATS = 2000

BLOCK_DAYS = 7
"""Consecutive days per bootstrap block. Errors of neighbouring days are alike (one weather, one
holiday), so blocks of single days would give intervals that are too narrow. A week also keeps its
weekend."""


def daily_losses(f: QuantileForecasts) -> dict[str, np.ndarray]:
    """[N] per forecast origin the mean of each metric that is one of single hours, by its name."""
    return {
        name: metric.mean(f, "hours") for name, metric in metrics.METRICS.items() if metric.of_hours
    }


class Interval(NamedTuple):
    """A score with the bounds of its bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_intervals(f: QuantileForecasts) -> dict[str, Interval]:
    """95 % percentile intervals of the metrics of `daily_losses` by a block bootstrap of the days.

    Blocks of `BLOCK_DAYS` consecutive origins are drawn with replacement until there are N days
    again. The series of origins is closed to a circle, so that no day is drawn more rarely than
    another (Politis and Romano, 1992). All scores are computed on the same draws. ``f`` has
    ascending origins.
    """
    drawn = drawn_days(len(f.origins))
    intervals = {}
    for name, loss in daily_losses(f).items():
        bounds = np.quantile(loss[drawn].mean(axis=1), [0.025, 0.975])
        intervals[name] = Interval(loss.mean(), *bounds)
    return intervals


def drawn_days(n: int) -> np.ndarray:
    """[`BOOTSTRAP_REPEATS`, n] positions of days, drawn as `bootstrap_intervals` says.

    They are always the same ones, so that scores can be compared.
    """
    block = min(BLOCK_DAYS, n)
    size = (BOOTSTRAP_REPEATS, math.ceil(n / block), 1)
    starts = np.random.default_rng(0).integers(n, size=size)
    return ((starts + np.arange(block)) % n).reshape(BOOTSTRAP_REPEATS, -1)[:, :n]


def bounds_of_shares(hits: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Low and high [2, K] of ``hits`` [N days, K] over ``counts``, as in `bootstrap_intervals`.

    Draws of days on which nothing is counted are left out.
    """
    times = np.stack([np.bincount(days, minlength=len(hits)) for days in drawn_days(len(hits))])
    with np.errstate(invalid="ignore"):
        return np.nanquantile((times @ hits) / (times @ counts), [0.025, 0.975], axis=0)


def reliability(f: QuantileForecasts) -> pd.DataFrame:
    """Share of actuals at or below each level: ``level`` and ``observed``, both 0 to 1.

    ``observed_low`` and ``observed_high`` are the ends of its 95 % interval.
    """
    below = f.actual[:, :, None] <= f.values
    low, high = bounds_of_shares(below.mean(axis=1), np.ones((len(below), 1)))
    shares = {"observed": below.mean(axis=(0, 1)), "observed_low": low, "observed_high": high}
    return pd.DataFrame({"level": f.levels, **shares})


class DieboldMariano(NamedTuple):
    """Result of a Diebold-Mariano test over n days, with ``lags`` of autocovariance.

    ``difference`` is the mean daily loss of the first forecasts minus that of the second: below 0
    the first are better. ``statistic`` is Harvey-corrected, t-distributed with n - 1 degrees of
    freedom under equal accuracy.
    """

    difference: float
    statistic: float
    p_value: float
    lags: int
    n: int


def diebold_mariano(losses_a: np.ndarray, losses_b: np.ndarray) -> DieboldMariano:
    """Test whether two series of daily losses have the same mean (Diebold and Mariano, 1995).

    With d the difference of the losses, n its length and h the days over which differences may be
    correlated: the variance of its mean is estimated from autocovariances up to lag h - 1 with
    Bartlett weights ``1 - k / h`` (Newey and West, 1987), which cannot be negative, and the
    statistic is multiplied by ``sqrt((n + 1 - 2 h + h (h - 1) / n) / n)`` and compared with
    Student's t of n - 1 degrees of freedom (Harvey, Leybourne and Newbold, 1997). A day's forecast
    is one step of these daily losses, so optimal forecasts would need h = 1. These are not optimal,
    so h is the larger ``1 + floor(4 (n / 100)^(2/9))``, the usual rule for the number of lags
    (Newey and West, 1994).

    Args:
        losses_a: [N] daily losses, see `daily_losses`.
        losses_b: [N] daily losses of the other forecasts over the same origins.

    Raises:
        ValueError: lengths differ, or there are not more than 2 h days.
    """
    if losses_a.shape != losses_b.shape or losses_a.ndim != 1:
        raise ValueError(
            f"losses of shape {losses_a.shape} and {losses_b.shape} cannot be compared day by day"
        )
    n = len(losses_a)
    h = 1 + int(4 * (n / 100) ** (2 / 9))
    if n <= 2 * h:
        raise ValueError(f"{n} days are too few for a Diebold-Mariano test, expected over {2 * h}")
    d = losses_a - losses_b
    difference = d.mean()
    centred = d - difference
    variance = centred @ centred / n
    for k in range(1, h):
        variance += 2 * (1 - k / h) * (centred[k:] @ centred[:-k]) / n
    # Where the two differ by a constant, or not at all, there is no variance to speak of.
    if variance <= 1e-24 * max(1e-300, np.square(losses_a).mean()):
        same = abs(difference) <= 1e-12 * max(1e-300, np.abs(losses_a).mean())
        statistic = 0.0 if same else math.copysign(math.inf, difference)
    else:
        factor = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
        statistic = difference / math.sqrt(variance / n) * factor
    p_value = 2 * student_t.sf(abs(statistic), n - 1)
    return DieboldMariano(difference, statistic, p_value, h - 1, n)


def compare(a: QuantileForecasts, b: QuantileForecasts, loss: str = "mae") -> DieboldMariano:
    """Diebold-Mariano test of two sets of forecasts over the same origins."""
    check_comparable([a, b])
    return diebold_mariano(daily_losses(a)[loss], daily_losses(b)[loss])


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number by the step-down rule of Holm (1979), in their order."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    return np.maximum.accumulate(np.minimum(1.0, steps))[np.argsort(order)]
