"""Mixtures of forecasts: weighted means of each quantile level (Vincentisation)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts, check_comparable
from hpo_lib.scoring.uncertainty import MIN_COMPARED_DAYS, daily_losses, diebold_mariano

GREEDY_ROUNDS, MOST_MEMBERS = 10, 5
"""Rounds of the greedy selection, and the most members that it may choose: each member is a
training.
"""

DAY_BLOCKS = 5
"""Consecutive parts of the days; each scores an ensemble that was selected on the others."""


def blend(
    members: Sequence[QuantileForecasts], weights: Sequence[float] | np.ndarray | None = None
) -> QuantileForecasts:
    """The weighted mean of the members' quantiles [N, H, Q], level by level.

    ``weights`` are one per member, at least 0, with sum 1; None weighs all equally.
    """
    check_comparable(members)
    values = np.average([member.values for member in members], axis=0, weights=weights)
    return replace(members[0], values=np.maximum.accumulate(values, axis=2))


def fitted_weights(members: Sequence[QuantileForecasts]) -> np.ndarray:
    """The weights, at least 0 and with sum 1, whose blend has the lowest mean pinball loss.

    An exact linear program: with u and v the parts of ``actual - blend`` above and below 0,
    minimise the sum of ``q u + (1 - q) v``. Fit them on validation forecasts.
    """
    levels, actual = members[0].levels, members[0].actual
    y, q = np.repeat(actual, len(levels)), np.tile(levels, actual.size)
    scale = float(np.abs(y).mean()) or 1.0
    columns = np.stack([member.values.ravel() for member in members], axis=1) / scale
    n, m = columns.shape
    eye = sparse.identity(n, format="csr")
    equal = sparse.bmat([[sparse.csr_matrix(columns), eye, -eye], [np.ones((1, m)), None, None]])
    solution = linprog(
        np.concatenate([np.zeros(m), q, 1 - q]) / n,
        A_eq=equal,
        b_eq=np.append(y / scale, 1.0),
        method="highs",
    )
    if not solution.success:
        raise ArithmeticError(f"no weights were found: {solution.message}")
    weights = np.clip(solution.x[:m], 0, None)
    return np.asarray(weights / weights.sum())


def greedy_weights(
    members: Sequence[QuantileForecasts],
) -> np.ndarray:
    """Weights of an ensemble by greedy selection with replacement (Caruana et al., 2004).

    Losses are mean pinball losses. Each round adds the member, perhaps once more, whose addition
    gives the lowest loss of the equal mean of all that were added. The weights are the shares after
    the round with the lowest loss. At most `MOST_MEMBERS` get a weight.
    """
    first, values = members[0], [member.values for member in members]
    counts, total = np.zeros(len(members)), np.zeros_like(values[0])
    lowest, weights = np.inf, counts
    for size in range(1, GREEDY_ROUNDS + 1):
        chosen = np.flatnonzero(counts)
        open_to = chosen if len(chosen) == MOST_MEMBERS else np.arange(len(members))
        losses = [
            metrics.quantile_losses((total + values[i]) / size, first.actual, first.levels).mean()
            for i in open_to
        ]
        added = open_to[int(np.argmin(losses))]
        counts[added] += 1
        total = total + values[added]
        if min(losses) < lowest:
            lowest, weights = min(losses), counts / size
    return weights


@dataclass(frozen=True)
class EnsembleVerdict:
    """Weights [M] of an ensemble, and what it is worth beside the one member that was chosen.

    ``percent`` is the change of the mean pinball loss on days that did not select the ensemble,
    below 0: better; NaN if it was not judged. Where the ensemble does not pay, the chosen member
    has weight 1.
    """

    weights: np.ndarray
    percent: float
    pays: bool


def judged_ensemble(members: Sequence[QuantileForecasts], chosen: int) -> EnsembleVerdict:
    """The greedy ensemble, if it beats the ``chosen`` member by more than a standard error.

    It is judged on days that it was not selected on: each of `DAY_BLOCKS` blocks is scored with
    weights from the others. The chosen member may have been selected on all of them, which favours
    it. With fewer days than `MIN_COMPARED_DAYS` nothing is judged, and nothing pays.
    """
    alone, days = np.eye(len(members))[chosen], np.arange(len(members[0].origins))
    if len(members) < 2 or len(days) < MIN_COMPARED_DAYS:
        return EnsembleVerdict(alone, np.nan, pays=False)
    ensemble = np.empty(len(days))
    for held_out in np.array_split(days, DAY_BLOCKS):
        weights = greedy_weights([member.rows(np.setdiff1d(days, held_out)) for member in members])
        mixed = blend([member.rows(held_out) for member in members], weights)
        ensemble[held_out] = daily_losses(mixed)["pinball"]
    before = daily_losses(members[chosen])["pinball"]
    test, weights = diebold_mariano(ensemble, before), greedy_weights(members)
    pays = bool(test.statistic < -1 and (weights > 0).sum() > 1)
    return EnsembleVerdict(
        weights if pays else alone, 100 * test.difference / float(before.mean()), pays
    )
