"""What a model may know when it forecasts, and what it may learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo_lib.data.features import derived
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
    weather: npt.NDArray[np.float64] | None = None

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
        weather: npt.NDArray[np.float64] | None = None,
    ) -> "Context":
        """The context of the origins at ``positions`` [N] of a complete hourly frame: a copy."""
        columns = list(known_until)
        rows = np.asarray(positions)[:, None] + np.arange(1 + HORIZON - LENGTH, 1 + HORIZON)
        rows = np.where(rows < 0, rows % HISTORY, rows)
        values = frame[columns].to_numpy(dtype=np.float64)[rows]  # [N, hours, columns]
        up_to_origin = [until != "always" for until in known_until.values()]
        values[:, -HORIZON:, up_to_origin] = np.nan
        blocks = pd.DataFrame(
            values.reshape(-1, len(columns)),
            index=pd.DatetimeIndex(frame.index[rows.ravel()]),
            columns=columns,
        )
        origins = np.arange(1, len(rows) + 1) * LENGTH - HORIZON - 1
        return cls(blocks, origins, weather, known_until=known_until)

    def with_groups_of(
        self, donors: "Context", groups: Mapping[str, Sequence[str]], floor: float
    ) -> "Context":
        """The context with some groups of information as they are at other origins.

        The history of the target is put together as level and shape. With l the mean of its last 24
        hours and d the larger one of l and ``floor``, its shape is (y - l) / d: the level, the
        shape of the last 24 hours and that of the weeks before can each be the donors'. Columns
        that follow from others (lags and rolling means of the target, products) change as far as
        these do.

        Args:
            donors: of the same dataset, as many origins N in the same order, each at the same hour
                of the day as its own.
            groups: name -> columns to take from the donors; the names of `HISTORY_GROUPS`,
                `CALENDAR` (with the dates) and `AHEAD` mean more than their columns.
            floor: the smallest level that a shape is relative to, in the target's unit.
        """
        own, other = self._columns(), donors._columns()
        target, *covariates = self.known_until
        mixed = own | {name: other[name] for columns in groups.values() for name in columns}
        if history := set(HISTORY_GROUPS) & set(groups):
            mixed[target] = _put_together(own[target], other[target], history, floor)
        for name in covariates:
            before, after = (derived(name, columns, target) for columns in (own, mixed))
            if before is not None and after is not None:
                # Exact where the column is what `engineer` makes, and as it was without a change.
                mixed[name] = own[name] + (after - before)
        values = np.stack(list(mixed.values()), axis=2).reshape(-1, len(mixed))
        index = (donors if CALENDAR in groups else self).frame.index
        frame = pd.DataFrame(values, index=index, columns=list(mixed))
        weather = (donors if AHEAD in groups else self).weather
        return replace(self, frame=frame, weather=weather)

    def _columns(self) -> dict[str, npt.NDArray[np.float64]]:
        """Column -> [N, hours]."""
        values = self.frame.to_numpy().reshape(-1, LENGTH, len(self.known_until))
        return dict(zip(self.known_until, np.moveaxis(values, 2, 0), strict=True))


def _put_together(
    own: npt.NDArray[np.float64], other: npt.NDArray[np.float64], history: set[str], floor: float
) -> npt.NDArray[np.float64]:
    """The target [N, hours] with these groups of the other one, see `Context.with_groups_of`."""
    last_day = slice(-2 * HORIZON, -HORIZON)
    levels = [y[:, last_day].mean(axis=1, keepdims=True) for y in (own, other)]
    sizes = [np.maximum(level, floor) for level in levels]
    shape, other_shape = (
        (y - level) / size for y, level, size in zip((own, other), levels, sizes, strict=True)
    )
    for group, hours in ((LAST_DAY, last_day), (WEEKS, slice(last_day.start))):
        if group in history:
            shape[:, hours] = other_shape[:, hours]
    return np.asarray(levels[LEVEL in history] + shape * sizes[LEVEL in history])
