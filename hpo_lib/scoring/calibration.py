"""Conformal correction of the interval: quantile forecasts in, quantile forecasts with honest coverage out.

Conformalised quantile regression (Romano, Patterson and Candes, 2019): the score of an hour is how far its actual lies
outside the interval, negative inside; the interval is moved out (or in) by the scores' quantile. Scores are divided by
the recent level, so that hours of high and of low demand share them.

A correction is reported beside the raw forecasts, never instead of them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from hpo_lib.errors import InputError, choices
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts

MODES = ("none", "split", "rolling", "levels")
ROLLING_DAYS = 28
"""Days of scores that the rolling mode looks back on; the newest weighs most, and the weight falls to 0 at the end.

Chosen on the validation splits of the three real datasets among 14 to 60 days, see docs/methodology.md: the shortest
window that raised no Winkler score by more than 0.5 % and kept PICP within 78 to 82."""

LEVEL_HOURS = 24
"""Hours whose mean is the recent level that scores are divided by."""

LOWER_LEVELS = (0.05, 0.20)
UPPER_LEVELS = (0.80, 0.95)
"""Between these the ``levels`` mode looks for the level that covers as it should."""

_HOUR, _DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)


@dataclass(frozen=True)
class Calibration:
    """How intervals are corrected.

    Attributes:
        mode: ``none``; ``split`` (one correction from all validation forecasts); ``rolling`` (at each origin one from
            the days before it, the newest weighing most); ``levels`` (other quantile levels, chosen on validation, see
            `tuned_levels`).
        days: window of the rolling mode, in days.
        per_hour: a correction of its own for each hour ahead instead of one for all; it needs a long window, 30 days
            of one score a day over-cover.
    """

    mode: str = "rolling"
    days: int = ROLLING_DAYS
    per_hour: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"calibration is {self.mode!r}; {choices(self.mode, MODES)}")
        if self.days < 1:
            raise InputError(f"calibration days is {self.days}, expected at least 1")


def calibrate(
    forecasts: QuantileForecasts, warm_up: QuantileForecasts | None, target: pd.Series, calibration: Calibration
) -> QuantileForecasts:
    """Correct the outer levels; the levels between them stay, so that MAE does not change.

    Args:
        forecasts: [N, H, Q] to correct, with ascending origins.
        warm_up: forecasts made before, usually those of the validation split; split and level tuning use all of them,
            rolling those that lie within its window and end before an origin. May be None for ``none``, and for
            ``rolling``, whose first days then stay as they are.
        target: hourly target without gaps, in UTC, for the recent levels; read up to each origin.
        calibration: mode and options.

    Returns:
        Forecasts with the same origins and actuals. A bound is moved in no farther than the next level, so quantiles
        never cross. An origin for which there is no score at all stays as it is.

    Raises:
        InputError: there is no ``warm_up`` in a mode that lives on it.
    """
    if calibration.mode == "none":
        return forecasts
    if warm_up is None and calibration.mode == "rolling":
        warm_up = _part(forecasts, slice(0, 0))
    if warm_up is None or (calibration.mode != "rolling" and not len(warm_up.origins)):
        raise InputError(f"calibration {calibration.mode} needs validation forecasts, found none")
    if calibration.mode == "levels":
        return at_levels(forecasts, *tuned_levels(warm_up))
    levels = recent_level(target, forecasts.origins)
    warm_up_scores = interval_errors(warm_up) / recent_level(target, warm_up.origins)[:, None]
    if calibration.mode == "split":
        margin = np.broadcast_to(_margin(warm_up_scores, calibration.per_hour), forecasts.actual.shape)
    else:
        scores = np.concatenate([warm_up_scores, interval_errors(forecasts) / levels[:, None]])
        known_at = pd.DatetimeIndex([*warm_up.origins, *forecasts.origins]) + forecasts.actual.shape[1] * _HOUR
        margin = np.zeros_like(forecasts.actual)
        for i, origin in enumerate(forecasts.origins):
            # Only forecasts whose last hour is not after this origin; the day that begins here is not known.
            age = np.asarray((origin - known_at) / _DAY)
            usable = (age >= 0) & (age < calibration.days)
            if usable.any():
                weights = 1 - age[usable] / calibration.days
                margin[i] = _margin(scores[usable], calibration.per_hour, weights)
    return _moved(forecasts, margin * levels[:, None])


def interval_errors(f: QuantileForecasts) -> np.ndarray:
    """[N, H] conformity scores ``max(lower - y, y - upper)``: outside the interval above 0, inside below it."""
    return np.asarray(np.maximum(f.lower - f.actual, f.actual - f.upper))


def recent_level(target: pd.Series, origins: pd.DatetimeIndex) -> np.ndarray:
    """[N] mean of the last 24 hours up to each origin, at least 1 % of the mean absolute target up to it.

    Args:
        target: [T] hourly target without gaps; nothing after an origin is read for it.
        origins: [N] forecast origins, each with 24 hours of target.

    Raises:
        InputError: an origin has no 24 hours of target up to it.
    """
    y = target.to_numpy(dtype=float)
    positions = pd.DatetimeIndex(target.index).get_indexer(origins)
    if (positions < LEVEL_HOURS - 1).any():
        lacking = origins[positions < LEVEL_HOURS - 1][0]
        raise InputError(f"the target has no {LEVEL_HOURS} hours up to the forecast origin {lacking:%Y-%m-%d %H:%M}")
    mean_so_far = np.cumsum(np.abs(y)) / np.arange(1, len(y) + 1)
    level = y[positions[:, None] + np.arange(1 - LEVEL_HOURS, 1)].mean(axis=1)
    return np.asarray(np.maximum(level, np.maximum(0.01 * mean_so_far[positions], np.finfo(float).tiny)))


def conformal_quantile(
    scores: np.ndarray, coverage: float = NOMINAL_COVERAGE / 100, weights: np.ndarray | None = None
) -> np.ndarray:
    """The ceil((n + 1) coverage)-th smallest of n scores along the first axis; the largest where n is too small.

    Of exchangeable scores the next one is at most this with a probability of at least ``coverage`` and less than
    ``coverage + 1 / (n + 1)`` (Vovk et al., 2005; Romano et al., 2019, theorem 1).

    With ``weights`` [n], above 0, it is the smallest score up to which the weights sum to that share of all weights,
    the next score's own included, which weighs as much as the heaviest (Barber et al., 2023, eq. 10).
    """
    weights = np.ones(len(scores)) if weights is None else weights
    needed = round(float(coverage * (weights.sum() + weights.max())), 9)
    order = np.argsort(scores, axis=0)
    reached = np.cumsum(weights[order], axis=0) >= needed - 1e-9
    rank = np.where(reached.any(axis=0), reached.argmax(axis=0), len(scores) - 1)
    chosen = np.take_along_axis(order, rank[None], axis=0)
    return np.asarray(np.take_along_axis(scores, chosen, axis=0)[0])


def _margin(scores: np.ndarray, per_hour: bool, weights: np.ndarray | None = None) -> np.ndarray:
    """[H] or a number from scores [N, H]; ``weights`` [N] are of days."""
    if per_hour:
        return conformal_quantile(scores, weights=weights)
    hours = None if weights is None else np.repeat(weights, scores.shape[1])
    return conformal_quantile(scores.ravel(), weights=hours)


def _part(f: QuantileForecasts, origins: slice) -> QuantileForecasts:
    return QuantileForecasts(f.values[origins], f.actual[origins], f.origins[origins], f.levels)


def _moved(f: QuantileForecasts, margin: np.ndarray) -> QuantileForecasts:
    """The outer levels moved out by ``margin`` [N, H], or inwards where it is negative, but not past a level between.

    Where there is no level between, not past the middle of the interval.
    """
    inner = f.values[:, :, 1:-1] if len(f.levels) > 2 else f.values.mean(axis=2, keepdims=True)
    values = f.values.copy()
    values[:, :, 0] = np.minimum(f.lower - margin, inner[:, :, 0])
    values[:, :, -1] = np.maximum(f.upper + margin, inner[:, :, -1])
    return QuantileForecasts(values, f.actual, f.origins, f.levels)


def tuned_levels(f: QuantileForecasts) -> tuple[float, float]:
    """The quantile levels to read in place of the outer ones, so that each misses as often as it should.

    A model trained at three levels knows no other, so the distribution between and beyond them is taken for a normal
    one with a spread of its own on either side of the median (two-piece normal; Wallis, 2014). That is an assumption:
    the correction is a multiple of each half of the interval, nothing of the tails is learnt. Found on ``f`` itself,
    side by side, within `LOWER_LEVELS` and `UPPER_LEVELS`: a model that is farther off than that stays off.

    Returns:
        The lower and the upper level; equal to the outer levels of ``f`` where these cover as they should.
    """
    low, high = f.levels[0], f.levels[-1]
    below = _multiple(f.median - f.actual, f.median - f.lower, 1 - low)
    above = _multiple(f.actual - f.median, f.upper - f.median, high)
    lower = float(np.clip(norm.cdf(below * norm.ppf(low)), *LOWER_LEVELS))
    upper = float(np.clip(norm.cdf(above * norm.ppf(high)), *UPPER_LEVELS))
    return lower, upper


def at_levels(f: QuantileForecasts, lower: float, upper: float) -> QuantileForecasts:
    """Forecasts whose outer bounds are read at other levels of the two-piece normal, see `tuned_levels`.

    They keep the levels' names: they stand for what these should cover.
    """
    below = (f.median - f.lower) * norm.ppf(lower) / norm.ppf(f.levels[0])
    above = (f.upper - f.median) * norm.ppf(upper) / norm.ppf(f.levels[-1])
    values = f.values.copy()
    values[:, :, 0], values[:, :, -1] = f.median - below, f.median + above
    return QuantileForecasts(np.sort(values, axis=2), f.actual, f.origins, f.levels)


def _multiple(distance: np.ndarray, half_width: np.ndarray, share: float) -> float:
    """The number of half widths within which the actuals of that share lie on one side of the median."""
    wide = half_width > 0
    ratios = np.where(distance > 0, np.inf, 0.0)
    ratios[wide] = distance[wide] / half_width[wide]
    return float(conformal_quantile(ratios.ravel(), share))
