"""Bootstrap intervals of scores, tests of which of two forecasts is better, and their proof.

In the proof a day's score is half its MAE and half its interval score after the rolling correction,
both as shares of the means of the untuned defaults, so those score 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from hpo_lib.data.scales import Scales
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts, check_comparable
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE

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
    return {
        name: Interval(loss.mean(), *bounds_of_means(loss))
        for name, loss in daily_losses(f).items()
    }


def bounds_of_means(daily: np.ndarray) -> np.ndarray:
    """Low and high [2, ...] of the mean over days [N, ...], as in `bootstrap_intervals`."""
    means = daily[drawn_days(len(daily))].mean(axis=1)
    return np.quantile(means, [0.025, 0.975], axis=0)


@cache
def drawn_days(n: int) -> np.ndarray:
    """[`BOOTSTRAP_REPEATS`, n] positions of days, drawn as `bootstrap_intervals` says.

    They are always the same ones, so that scores can be compared.
    """
    block = min(BLOCK_DAYS, n)
    starts = np.random.default_rng(0).integers(n, size=(BOOTSTRAP_REPEATS, math.ceil(n / block), 1))
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
    return pd.DataFrame(
        {
            "level": f.levels,
            "observed": below.mean(axis=(0, 1)),
            "observed_low": low,
            "observed_high": high,
        }
    )


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

    There are to be `MIN_COMPARED_DAYS` at least.

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
    """
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
    return DieboldMariano(difference, statistic, 2 * student_t.sf(abs(statistic), n - 1), h - 1, n)


def compare(a: QuantileForecasts, b: QuantileForecasts, loss: str = "mae") -> DieboldMariano:
    """Diebold-Mariano test of two sets of forecasts over the same origins."""
    check_comparable([a, b])
    return diebold_mariano(daily_losses(a)[loss], daily_losses(b)[loss])


def holm(p_values: pd.Series) -> pd.Series:
    """p-values corrected for their number by the step-down rule of Holm (1979), by their index."""
    return (p_values.sort_values() * np.arange(len(p_values), 0, -1)).clip(upper=1).cummax()


# Whether a challenger is better than the untuned defaults, over fresh seeds and days


PROVEN_AT = 0.95
"""Probability of being better from which a challenger is proven."""

CONFIDENCE = 0.9
"""Share of the draws within an interval: a challenger is proven where that of the score lies below
0.
"""

DailyScores = Mapping[str, np.ndarray]
"""[N] per forecast origin: ``mae``, and ``winkler`` and ``picp`` (percent) after the rolling
correction.
"""


def daily_scores(f: QuantileForecasts, scales: Scales) -> DailyScores:
    """The scores of each day; the correction begins without earlier errors."""
    return daily_losses(calibrate(f, None, scales))


def leaders(candidates: Mapping[int, DailyScores], default: DailyScores, most: int) -> list[int]:
    """Up to ``most`` candidates to compare with the defaults over fresh seeds, the best first.

    These are the best and those within one standard error of it, by a paired circular block
    bootstrap of the days. A candidate has a lower mean score than the defaults and, after
    correction, the nominal coverage within the tolerance.
    """
    scores = {number: _score(days, default) for number, days in candidates.items()}
    better = [
        number
        for number, days in candidates.items()
        if covers(days["picp"].mean()) and scores[number].mean() < 1
    ]
    by_score = sorted(better, key=lambda number: (scores[number].mean(), number))
    drawn = drawn_days(len(default["mae"]))
    behind = {number: scores[number] - scores[by_score[0]] for number in by_score}
    return [
        number for number, days in behind.items() if days.mean() <= days[drawn].mean(axis=1).std()
    ][:most]


def prospect(
    default: Sequence[DailyScores], others: Sequence[DailyScores], growth: float
) -> dict[str, float]:
    """What more trials are expected to bring, and what a proof cannot tell from luck.

    Args:
        default: of the untuned defaults: with the seed of the study, then with fresh ones.
        others: of the complete trials, without the defaults.
        growth: so many times as many trials there will be.

    Returns:
        In percent of the defaults' score: ``change`` to that of the best other trial, below 0 if it
        is better; ``seed_change``, the standard deviation of the defaults over their seeds;
        ``luck``, the standard error of `compare_seeds` over days and seeds; and ``gain``, what the
        best score is expected to fall by.
    """
    untuned = _score(default[0], default[0])
    best, *_ = scores = sorted((_score(days, default[0]) for days in others), key=np.mean)
    means = np.mean(scores, axis=1)
    gain = max(0.0, min(means[0], 1.0) - means[0] + expected_drop(means, growth))
    seeds = np.std([_score(days, default[0]).mean() for days in default], ddof=1)
    by_days = (best - untuned)[drawn_days(len(best))].mean(axis=1).std()
    luck = np.hypot(by_days, np.sqrt(2 / (len(default) - 1)) * seeds)
    found = {"change": means[0] - 1, "seed_change": seeds, "luck": luck, "gain": gain}
    return {name: float(100 * value) for name, value in found.items()}


def expected_drop(scores: np.ndarray, growth: float) -> float:
    """By how much the lowest of ascending scores falls if there are ``growth`` times as many.

    Near the optimum of a smooth function of d parameters that matter, the n lowest of random scores
    are spread as order statistics of a power d / 2 (de Haan, 1981); of two, evenly. So the lowest
    one is as far above the optimum as the better half are apart, and that shrinks as 1 / n.
    """
    tail = scores[: max(3, -(-len(scores) // 2))]
    return np.diff(tail).mean() * (1 - 1 / growth)


@dataclass(frozen=True)
class Comparison:
    """A challenger against the untuned defaults.

    Each change is the mean and the bounds of its interval, in percent of the defaults' mean; below
    0 is better. ``probability`` is that of a lower score. ``picp_calibrated`` is the challenger's,
    in percent.
    """

    probability: float
    score_change: list[float]
    mae_change: list[float]
    winkler_calibrated_change: list[float]
    picp_calibrated: float
    proven: bool


def compare_seeds(challenger: Sequence[DailyScores], default: Sequence[DailyScores]) -> Comparison:
    """Compare trainings of two configurations, one per seed each, over the same N days.

    Days are drawn in blocks as in `bootstrap_intervals`. Two seeds have only three means to draw,
    which makes chance look like proof. So the seeds enter each draw through Student's t: with S
    seeds each the standard error of the difference of their means is pooled over both
    configurations, with 2 (S - 1) degrees of freedom. With one seed each, as in the test preset,
    nothing is known of seeds, and only the days are drawn.
    """
    seeds = len(challenger)
    drawn = drawn_days(len(default[0]["mae"]))
    freedom = max(1, 2 * (seeds - 1))  # a seed alone has no spread, which makes the error 0
    t = np.random.default_rng(1).standard_t(freedom, BOOTSTRAP_REPEATS)

    def changes(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, np.ndarray]:
        """Of daily scores [S, N] in percent: the mean change, and that of each draw."""
        spread = [np.square(side.mean(axis=1) - side.mean()).sum() for side in (ours, theirs)]
        error = np.sqrt(2 / seeds * sum(spread) / freedom)
        daily = (ours - theirs).mean(axis=0)
        return float(daily.mean()), daily[drawn].mean(axis=1) + t * error

    percent = {}
    for name in ("mae", "winkler"):
        ours, theirs = (np.array([days[name] for days in side]) for side in (challenger, default))
        percent[name] = 100 / theirs.mean() * ours, 100 / theirs.mean() * theirs
    score = changes(*np.mean([percent["mae"], percent["winkler"]], axis=0))
    probability = float((score[1] < 0).mean())
    coverage = float(np.mean([days["picp"].mean() for days in challenger]))
    return Comparison(
        probability=probability,
        score_change=_interval(*score),
        mae_change=_interval(*changes(*percent["mae"])),
        winkler_calibrated_change=_interval(*changes(*percent["winkler"])),
        picp_calibrated=coverage,
        proven=probability >= PROVEN_AT and covers(coverage),
    )


def covers(coverage: float) -> bool:
    """Whether a coverage in percent is the nominal one within the tolerance."""
    return abs(coverage - NOMINAL_COVERAGE) <= COVERAGE_TOLERANCE


def _score(days: DailyScores, default: DailyScores) -> np.ndarray:
    return np.mean([days[name] / default[name].mean() for name in ("mae", "winkler")], axis=0)


def _interval(mean: float, draws: np.ndarray) -> list[float]:
    return [mean, *np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()]
