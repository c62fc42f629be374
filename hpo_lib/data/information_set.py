"""What a model may know when it forecasts, and what it may learn from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hpo_lib.data.splits import HISTORY, HORIZON, Positions

MOST_WEEKS = 4
"""Weeks of history in a context: as many as any model reads."""


@dataclass(frozen=True, eq=False)
class Windows:
    """N forecast origins in an hourly frame that may hold what came after: models learn from it.

    Attributes:
        frame: [T, columns], the target, past and future-known covariates.
        positions: [N] of the origins in the frame.
        weather: [N, H, W] of the day ahead, as it was known at each origin; None: models see none.
    """

    frame: pd.DataFrame
    positions: Positions
    weather: np.ndarray | None = None

    @property
    def origins(self) -> pd.DatetimeIndex:
        """[N] the last known hour of each window."""
        return pd.DatetimeIndex(self.frame.index[self.positions])


@dataclass(frozen=True, eq=False)
class Context(Windows):
    """What is known at N forecast origins, and nothing else: all that a model forecasts from.

    The frame holds one block of hours for each origin: `MOST_WEEKS` weeks up to it, and the H hours
    ahead. What is known up to the origin only is NaN in the hours ahead. Before the first hour of
    the data its first week is repeated.

    Attributes:
        known_until: column -> ``origin``, or ``always`` for what is known of any hour.
    """

    known_until: Mapping[str, str] = field(kw_only=True)

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        positions: Positions,
        known_until: Mapping[str, str],
        weather: np.ndarray | None = None,
    ) -> "Context":
        """The context of the origins at ``positions`` [N] of a complete hourly frame: a copy."""
        columns = list(known_until)
        length = MOST_WEEKS * HISTORY + HORIZON
        rows = np.asarray(positions)[:, None] + np.arange(1 + HORIZON - length, 1 + HORIZON)
        rows = np.where(rows < 0, rows % HISTORY, rows)
        values = frame[columns].to_numpy(dtype=np.float64)[rows]  # [N, hours, columns]
        up_to_origin = [until != "always" for until in known_until.values()]
        values[:, -HORIZON:, up_to_origin] = np.nan
        blocks = pd.DataFrame(
            values.reshape(-1, len(columns)),
            index=pd.DatetimeIndex(frame.index[rows.ravel()]),
            columns=columns,
        )
        origins = np.arange(1, len(rows) + 1) * length - HORIZON - 1
        return cls(blocks, origins, weather, known_until=known_until)
