"""What a model may know when it forecasts, and what it may learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hpo_lib.data.features import PRODUCTS, follows_from_target
from hpo_lib.data.splits import HISTORY, HORIZON, Positions

MOST_WEEKS = 4
"""Weeks of history in a context: as many as any model reads."""

LENGTH = MOST_WEEKS * HISTORY + HORIZON
"""Hours of one origin in a context."""

LEVEL, LAST_DAY, WEEKS = HISTORY_GROUPS = "level", "last day", "weeks before"
"""Groups of information that the history of the target holds, see `Context.with_groups_of`."""
CALENDAR, AHEAD = "calendar", "weather ahead"
"""The group that holds the date, too, and that of `Windows.weather`."""


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
    """

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        positions: Positions,
        up_to_origin: Sequence[str],
        always: Sequence[str],
        weather: np.ndarray | None = None,
    ) -> "Context":
        """The context of the origins at ``positions`` [N] of a complete hourly frame: a copy.

        Columns are those known up to an origin, of which the target is the first, and always.
        """
        columns = [*up_to_origin, *always]
        rows = np.asarray(positions)[:, None] + np.arange(1 + HORIZON - LENGTH, 1 + HORIZON)
        rows = np.where(rows < 0, rows % HISTORY, rows)
        values = frame[columns].to_numpy(float)[rows]  # [N, hours, columns]
        values[:, -HORIZON:, : len(up_to_origin)] = np.nan
        blocks = pd.DataFrame(
            values.reshape(-1, len(columns)),
            index=pd.DatetimeIndex(frame.index[rows.ravel()]),
            columns=columns,
        )
        origins = np.arange(1, len(rows) + 1) * LENGTH - HORIZON - 1
        return cls(blocks, origins, weather)

    def with_groups_of(
        self,
        history: "Context",
        others: "Context",
        groups: Mapping[str, Sequence[str]],
        floor: float,
    ) -> "Context":
        """The context with some groups of information as they are at other origins.

        The history of the target is put together as level and shape. With l the mean of its last 24
        hours and d the larger one of l and ``floor``, its shape is (y - l) / d: the level, the
        shape of the last 24 hours and that of the weeks before can each be the donors'. Columns
        that follow from others (lags and rolling means of the target, products) change as far as
        these do.

        Args:
            history: donors of the groups of `HISTORY_GROUPS`; as ``others`` of the same dataset, as
                many origins N in the same order, each at the same hour of the day as its own.
            others: donors of all other groups.
            groups: name -> columns to take from the donors; the names of `HISTORY_GROUPS`,
                `CALENDAR` (with the dates) and `AHEAD` mean more than their columns.
            floor: the smallest level that a shape is relative to, in the target's unit.
        """
        target, *covariates = map(str, self.frame)
        frame = self.frame.copy()
        for columns in groups.values():
            frame[[*columns]] = others.frame[[*columns]].to_numpy()
        y = np.stack([one.frame[target].to_numpy().reshape(-1, LENGTH) for one in (self, history)])
        levels = y[:, :, -2 * HORIZON : -HORIZON].mean(axis=2, keepdims=True)
        sizes = np.maximum(levels, floor)
        shapes = (y - levels) / sizes
        level, last_day, weeks = (int(name in groups) for name in HISTORY_GROUPS)
        is_early = np.arange(-LENGTH, 0) < -2 * HORIZON
        shape = np.where(is_early, shapes[weeks], shapes[last_day])
        frame[target] = (levels[level] + sizes[level] * shape).ravel()
        change = pd.DataFrame((frame[target] - self.frame[target]).to_numpy().reshape(-1, LENGTH).T)
        for name in covariates:
            if look_back := follows_from_target(name):
                kind, hours = look_back
                moved = (
                    change.shift(hours) if kind == "lag" else change.rolling(hours).mean().shift()
                )
                frame[name] += moved.fillna(0).to_numpy().T.ravel()
            elif {*(parts := PRODUCTS.get(name, [""]))} <= {*frame}:
                was, now = (one[[*parts]].prod(axis=1) for one in (self.frame, frame))
                frame[name] = self.frame[name] + now - was
        if CALENDAR in groups:
            frame.index = others.frame.index
        return replace(self, frame=frame, weather=(others if AHEAD in groups else self).weather)
