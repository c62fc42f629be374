"""Conformal correction of the interval to the nominal coverage.

Conformalised quantile regression (Romano, Patterson and Candes, 2019): the score of an hour is the
distance of its actual from the interval, negative inside. The interval's bounds move out (or in) by
a quantile of the scores. Scores are divided by the recent level, so that hours of high and of low
values share them.

Calibrated forecasts are reported beside the raw ones, never instead of them.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from hpo_lib.data.scales import Scales
from hpo_lib.errors import InputError, choices
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts

MODES = ("none", "split", "rolling")
"""Nothing, one correction from all validation forecasts, at each origin one of the days before."""

ROLLING_DAYS = 28
"""Days of scores that the rolling mode uses; the newest weighs most, and the weight falls to 0 at
the end.

Chosen on the validation splits of the three real datasets among 14 to 60 days, see
docs/what_was_tried.md: the shortest window that raised no Winkler score by more than 1 % and kept
PICP within 78 to 82."""


def checked_mode(mode: str) -> str:
    """``mode`` if it is one of `MODES`; else InputError."""
    if mode not in MODES:
        raise InputError(f"calibration is {mode!r}; {choices(mode, MODES)}")
    return mode


def calibrate(
    forecasts: QuantileForecasts,
    warm_up: QuantileForecasts | None,
    scales: Scales,
    mode: str = "rolling",
) -> QuantileForecasts:
    """Correct the outer levels. The levels between them stay, so MAE does not change.

    Args:
        forecasts: [N, H, Q] to correct, with ascending origins.
        warm_up: earlier forecasts, usually those of the validation split. The split mode uses all
            of them, the rolling mode those that are within its window and end before an origin.
            None is allowed for ``none``, and for ``rolling``, which then leaves the first days as
            they are.
        scales: of the series, for the recent levels of all origins.
        mode: one of `MODES`.

    Returns:
        Forecasts with the same origins and actuals. A bound moves in no farther than to the next
        level, so quantiles
        never cross. Forecasts of an origin without any score stay as they are.
    """
    if checked_mode(mode) == "none":
        return forecasts
    warm_up = warm_up or forecasts.rows(slice(0))
    if mode == "split" and not len(warm_up.origins):
        raise InputError("calibration split needs validation forecasts, found none")
    if not len(forecasts.origins):
        return forecasts
    both = QuantileForecasts.joined([warm_up, forecasts])
    earlier = len(warm_up.origins)
    by_origin = scales.at(both.origins)
    levels = by_origin["level"].to_numpy()[:, None]
    outside = np.maximum(both.lower - both.actual, both.actual - both.upper)
    scores = outside / levels
    margin = np.zeros_like(forecasts.actual)
    if mode == "split":
        margin += _margin(scores[:earlier], np.ones(earlier))
    else:
        known_at = both.origins + pd.Timedelta(hours=forecasts.actual.shape[1])
        for i, origin in enumerate(forecasts.origins):
            # Only forecasts whose last hour is not after this origin: the day that begins here is
            # not known yet.
            age = np.asarray((origin - known_at) / pd.Timedelta(days=1))
            usable = (age >= 0) & (age < ROLLING_DAYS)
            if usable.any():
                margin[i] = _margin(scores[usable], 1 - age[usable] / ROLLING_DAYS)
    margin *= levels[earlier:]
    lowest = np.where(by_origin["least"].iloc[earlier:] >= 0, 0.0, -np.inf)[:, None]
    values = forecasts.values.copy()
    values[:, :, 0] = np.minimum(np.maximum(forecasts.lower - margin, lowest), values[:, :, 1])
    values[:, :, -1] = np.maximum(forecasts.upper + margin, values[:, :, -2])
    return replace(forecasts, values=values)


def smallest_level(target: np.ndarray, share: float) -> float:
    """Smallest level to divide by: a share of the mean size of the target [T], NaN where missing.

    All of the mean size if the target is ever negative, as in `Scales`.
    """
    known = target[~np.isnan(target)]
    return float((share if known.min() >= 0 else 1.0) * np.abs(known).mean())


def conformal_quantile(scores: np.ndarray, weights: np.ndarray) -> float:
    """The ceil((n + 1) coverage)-th smallest of n equally weighted scores [n].

    If n is too small, it is the largest. Of exchangeable scores the next one is at most this with a
    probability of at least ``coverage``, the nominal one, and less than ``coverage + 1 / (n + 1)``
    (Vovk et al., 2005; Romano et al., 2019, theorem 1).

    With other ``weights`` [n], above 0, it is the smallest score up to which the weights sum to
    that share of all weights. The sum includes the next score, which weighs as much as the heaviest
    (Barber et al., 2023, eq. 10).
    """
    needed = round(float(NOMINAL_COVERAGE / 100 * (weights.sum() + weights.max())), 9)
    order = np.argsort(scores)
    below = int(np.searchsorted(np.cumsum(weights[order]), needed - 1e-9))
    return scores[order[min(below, len(scores) - 1)]]


def _margin(scores: np.ndarray, weights: np.ndarray) -> float:
    """From the scores [N, H] of N days with these weights [N]."""
    return conformal_quantile(scores.ravel(), np.repeat(weights, scores.shape[1]))
