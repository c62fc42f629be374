"""Mixtures of forecasts: the weighted mean of each quantile level over several models (Vincentisation)."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from hpo_lib.errors import InputError
from hpo_lib.scoring.forecasts import QuantileForecasts


def blend(
    members: Sequence[QuantileForecasts], weights: Sequence[float] | np.ndarray | None = None
) -> QuantileForecasts:
    """The weighted mean of the members' quantiles [N, H, Q], level by level; never crossing, as no member crosses.

    ``weights`` are one per member, at least 0, with sum 1; None weighs all equally.

    Raises:
        InputError: members differ in origins, actuals or levels.
    """
    first = members[0]
    for other in members[1:]:
        if other.levels != first.levels or len(other.origins) != len(first.origins):
            raise InputError("forecasts of different levels or numbers of days cannot be blended; make them again")
        if not (other.origins == first.origins).all() or not np.allclose(other.actual, first.actual):
            raise InputError("forecasts of different days or data cannot be blended; make them again")
    values = np.average([member.values for member in members], axis=0, weights=weights)
    return QuantileForecasts(np.maximum.accumulate(values, axis=2), first.actual, first.origins, first.levels)


def fitted_weights(members: Sequence[QuantileForecasts]) -> np.ndarray:
    """The weights, at least 0 and with sum 1, whose blend has the lowest mean pinball loss.

    An exact linear program: with u and v the parts of ``actual - blend`` above and below 0, minimise the sum of
    ``q u + (1 - q) v``. Fit them on validation forecasts.
    """
    levels = np.asarray(members[0].levels)
    y = np.broadcast_to(members[0].actual[:, :, None], members[0].values.shape).ravel()
    q = np.broadcast_to(levels, members[0].values.shape).ravel()
    scale = float(np.abs(y).mean()) or 1.0
    columns = np.stack([member.values.ravel() for member in members], axis=1) / scale
    n, m = columns.shape
    eye = sparse.identity(n, format="csr")
    equal = sparse.bmat([[sparse.csr_matrix(columns), eye, -eye], [np.ones((1, m)), None, None]])
    found = linprog(
        np.concatenate([np.zeros(m), q, 1 - q]) / n, A_eq=equal, b_eq=np.append(y / scale, 1.0), method="highs"
    )
    if not found.success:
        raise ArithmeticError(f"no weights were found: {found.message}")
    weights = np.clip(found.x[:m], 0, None)
    return np.asarray(weights / weights.sum())
