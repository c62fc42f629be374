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
    return float(np.diff(tail).mean() * (1 - 1 / growth))


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
