"""Plain ridge regression on windows of a series: what the leak audit measures with."""

from dataclasses import dataclass

import numpy as np

from hpo_lib.data.splits import Positions


def windows(values: np.ndarray, origins: Positions, first: int, last: int) -> np.ndarray:
    """[N, K] the values at the hours ``first`` to ``last`` after each origin, 0 being the origin
    itself.
    """
    return np.asarray(values[origins[:, None] + np.arange(first, last + 1)])


@dataclass(frozen=True)
class Ridge:
    """Weights [F, K] for inputs [N, F] that are scaled with ``centre`` and ``spread`` [F]; ``mean``
    [K] of outputs.
    """

    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    mean: np.ndarray

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        penalty: float,
        *,
        scaled_by: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "Ridge":
        """Fit [N, K] outputs to [N, F] inputs, with ``penalty`` times the squared weights added to
        the squared errors.

        ``scaled_by`` are inputs and outputs whose means and spreads scale the others; None: ``x``
        and ``y``.
        """
        inputs, outputs = scaled_by or (x, y)
        centre, spread, mean = inputs.mean(axis=0), inputs.std(axis=0), outputs.mean(axis=0)
        spread = np.where(
            spread > 1e-9 * (1 + np.abs(centre)), spread, np.inf
        )  # a constant says nothing
        scaled = (x - centre) / spread
        gram = scaled.T @ scaled
        gram[np.diag_indices_from(gram)] += penalty
        return cls(centre, spread, np.linalg.solve(gram, scaled.T @ (y - mean)), mean)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[N, K] outputs of inputs [N, F]."""
        return np.asarray((x - self.centre) / self.spread @ self.weights + self.mean)
