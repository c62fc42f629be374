"""Whether a challenger is better than the untuned defaults, over fresh seeds and days.

A day's score is half its MAE and half its interval score after the rolling correction, both as
shares of the means of the untuned defaults, so those score 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpo_lib.data.scales import Scales
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE
from hpo_lib.scoring.uncertainty import BOOTSTRAP_REPEATS, daily_losses, drawn_days

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
    seeds, n = len(challenger), len(default[0]["mae"])
    drawn = drawn_days(n)
    freedom = 2 * (seeds - 1)
    t = (
        np.random.default_rng(1).standard_t(freedom, BOOTSTRAP_REPEATS)
        if freedom
        else np.zeros(BOOTSTRAP_REPEATS)
    )

    def changes(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, np.ndarray]:
        """Of daily scores [S, N] in percent: the mean change, and that of each draw."""
        spread = [np.square(side.mean(axis=1) - side.mean()).sum() for side in (ours, theirs)]
        error = np.sqrt(2 / seeds * sum(spread) / freedom) if freedom else 0.0
        daily = (ours - theirs).mean(axis=0)
        return float(daily.mean()), daily[drawn].mean(axis=1) + t * error

    percent = {}
    for name in ("mae", "winkler"):
        ours, theirs = (np.array([days[name] for days in side]) for side in (challenger, default))
        percent[name] = 100 / theirs.mean() * ours, 100 / theirs.mean() * theirs
    both = np.mean([percent["mae"], percent["winkler"]], axis=0)
    score = changes(*both)
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
    shares = [days[name] / default[name].mean() for name in ("mae", "winkler")]
    return np.asarray(np.mean(shares, axis=0))


def _interval(mean: float, draws: np.ndarray) -> list[float]:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return [mean, float(low), float(high)]
