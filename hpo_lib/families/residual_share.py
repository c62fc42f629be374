"""How much of a network's residual is kept beside the linear baseline: two shares, fitted on validation.

A network that forecasts residuals may be worse than none. The share of the median moves the forecast from the linear
baseline (0) to the network (1); the share of the width does the same with the distances of the outer levels from the
median. Each is the smallest that is not clearly worse than the best one (as in the one-standard-error rule of Breiman
et al., 1984).
"""

import math
from collections.abc import Sequence

import numpy as np

from hpo_lib.scoring.forecasts import QUANTILE_LEVELS
from hpo_lib.scoring.metrics import quantile_losses
from hpo_lib.scoring.uncertainty import BLOCK_DAYS

SHARES = [i / 20 for i in range(21)]

CLEARLY = 0.5
"""Standard errors by which a loss is clearly worse; docs/methodology.md compares it with 0 and 1."""

Shares = tuple[float, float]


def mixed(network: np.ndarray, linear: np.ndarray, shares: Shares) -> np.ndarray:
    """Quantiles [N, H, Q] with the ``shares`` of median and width from the network, the rest from the linear baseline.

    Both are sorted along Q, so the result is.
    """
    middle = QUANTILE_LEVELS.index(0.5)
    of_median, of_width = shares
    median, own = linear[:, :, [middle]], network[:, :, [middle]]
    return np.asarray(
        median + of_median * (own - median) + (1 - of_width) * (linear - median) + of_width * (network - own)
    )


def fitted_shares(
    network: np.ndarray, linear: np.ndarray, actual: np.ndarray, *, standard_errors: float = CLEARLY
) -> Shares:
    """The shares for quantiles [N, H, Q] of consecutive days with their actuals [N, H].

    First that of the median, by its loss, then that of the width, by the pinball loss of all quantiles.
    """
    middle = QUANTILE_LEVELS.index(0.5)

    def daily(shares: Shares) -> np.ndarray:
        """Losses [N, Q]."""
        return np.asarray(quantile_losses(mixed(network, linear, shares), actual, QUANTILE_LEVELS).mean(axis=1))

    of_median = _fitted([daily((share, 0.0))[:, middle] for share in SHARES], standard_errors)
    return of_median, _fitted([daily((of_median, share)).mean(axis=1) for share in SHARES], standard_errors)


def _fitted(losses: Sequence[np.ndarray], standard_errors: float) -> float:
    """The smallest of `SHARES`, by their daily losses, that is not clearly worse than the best."""
    best = min(losses, key=lambda loss: float(loss.mean()))
    worse = (loss - best for loss in losses)
    near = [bool(more.mean() <= standard_errors * _standard_error(more)) for more in worse]
    return SHARES[near.index(True)]


def _standard_error(daily: np.ndarray) -> float:
    """Of the mean of daily values [N], from blocks of a week; with fewer than two weeks, from days."""
    block = BLOCK_DAYS if len(daily) >= 2 * BLOCK_DAYS else 1
    means = daily[: len(daily) // block * block].reshape(-1, block).mean(axis=1)
    return float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else 0.0
