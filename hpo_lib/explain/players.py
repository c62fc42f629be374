"""The groups of information that are explained, and forecasts without some of them.

Information is taken away by giving a model that of other days (interventional, within season): of
`DONORS` days of training within `SEASON_DAYS` of the same day of the year, with the same hour of
origin. The history of the target comes from days that, like the day before them, are workdays or
days off as here. All models and all coalitions of groups get the same days.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from hpo_lib.data.context import AHEAD, CALENDAR, HISTORY_GROUPS, Context
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import follows_from_target
from hpo_lib.data.splits import HORIZON, Positions
from hpo_lib.errors import InputError
from hpo_lib.families.feature_table import level_floor
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import STANDARD, Forecaster
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts

DONORS, SEASON_DAYS = 8, 21
DAYS_OF_YEAR = 365.25

DAYS_AT_ONCE = 64
"""Explained days per pass, so that a year of them needs little memory."""

MEDIAN = QUANTILE_LEVELS.index(0.5)

Groups = Mapping[str, Sequence[str]]
"""Name -> columns of each group, see `Context.with_groups_of`."""

Forecast = Callable[[Context, Groups], QuantileForecasts]
"""Forecasts from contexts in which some groups are hidden."""


def of_model(forecaster: Forecaster) -> Forecast:
    """Forecasts of a trained model, which takes a context as it is."""
    return lambda context, hidden: forecaster.predict(context)


def players(dataset: Dataset) -> Groups:
    """The groups that a dataset has. The hour of the day is never hidden.

    Columns that follow from the target are rebuilt from its history.
    """
    holidays = [name for name in dataset.future if "holiday" in name]
    others = [name for name in dataset.future if not name.startswith("hour")]
    groups = {
        CALENDAR: [name for name in others if name not in holidays],
        "holidays": holidays,
        "weather so far": [name for name in dataset.past if not follows_from_target(name)],
    }
    present = {name: columns for name, columns in groups.items() if columns}
    ahead: Groups = {} if dataset.weather is None else {AHEAD: ()}
    return {**dict.fromkeys(HISTORY_GROUPS, ()), **present, **ahead}


class Donors(NamedTuple):
    """Days to explain, and those that information is taken from, as positions of their origins.

    Attributes:
        days: [N] explained.
        history: [N, K] donors of the history of the target.
        others: [N, K] donors of all other groups.
        counts: [N] different ones among the donors of history, some of which count twice if they
            are fewer than K.
    """

    days: Positions
    history: Positions
    others: Positions
    counts: np.ndarray

    @classmethod
    def draw(cls, dataset: Dataset, days: Positions, learnt: Dataset) -> "Donors":
        """From the training split of ``learnt``. Days without a donor are left out.

        Raises:
            InputError: no day has one.
        """
        pool, half = learnt.training_origins(), HORIZON // 2
        year = pd.DatetimeIndex(dataset.index + pd.Timedelta(hours=1)).day_of_year.to_numpy()
        flags = dataset.frame.filter(["is_weekend", "is_public_holiday"])
        off = (flags > 0).any(axis=1).to_numpy()
        rows = []
        for day in days:
            apart = np.abs(year[pool] - year[day])
            season = np.minimum(apart, DAYS_OF_YEAR - apart) <= SEASON_DAYS
            near = pool[season & ((pool - day) % HORIZON == 0)]
            alike = near[
                (off[near + half] == off[day + half]) & (off[near - half] == off[day - half])
            ]
            if len(alike):
                # By the day alone, so that it has the same donors whatever else is explained.
                draws = np.random.default_rng(int(dataset.index[day].timestamp()))
                # Each once before any counts twice.
                drawn = [np.resize(draws.permutation(some), DONORS) for some in (alike, near)]
                rows.append((day, *drawn, min(len(alike), DONORS)))
        if not rows:
            raise InputError(
                f"{dataset.path}: no day of training is within {SEASON_DAYS} days of the year of a "
                "day that is to be explained; train on a whole year, with a later train_end under "
                "[splits] of the dataset's TOML"
            )
        return cls(*map(np.array, zip(*rows, strict=True)))

    def constant(self, learnt: Dataset) -> "Donors":
        """The same days, whose donor is always the first one that `refitted` learns from."""
        first = np.full(
            (len(self.days), 2), learnt.training_origins(near_hours=STANDARD.near_hours)[0]
        )
        return self._replace(history=first, others=first)

    def some(self, chosen: slice) -> "Donors":
        """Those of some days."""
        return Donors(*(part[chosen] for part in self))


def swapped(
    own: Context, history: Context, others: Context, hidden: Groups, floor: float
) -> Context:
    """The context with the hidden groups as they are at the donors."""
    for donors, of_history in ((history, True), (others, False)):
        groups = {n: hidden[n] for n in hidden if (n in HISTORY_GROUPS) == of_history}
        own = own.with_groups_of(donors, groups, floor) if groups else own
    return own


def coalition_values(
    forecast: Forecast, dataset: Dataset, donors: Donors, groups: Groups, progress: str = ""
) -> np.ndarray:
    """[2, 2^g, N, H, Q] forecasts of each coalition: means over either half of the donors.

    Rows are as in `hpo_lib.explain.shapley`; ``progress`` names a bar.
    """
    floor, parts, count = level_floor(dataset), [], donors.history.shape[1]
    starts, coalitions = range(0, len(donors.days), DAYS_AT_ONCE), 1 << len(groups)
    bar = tqdm(total=len(starts) * coalitions, desc=progress, disable=not progress)
    for start in starts:
        days, *positions = donors.some(slice(start, start + DAYS_AT_ONCE))[:3]
        own = dataset.context(days.repeat(count))
        history, others = (dataset.context(part.ravel()) for part in positions)
        values = []
        for row in range(coalitions):
            hidden = {n: groups[n] for i, n in enumerate(groups) if not row >> i & 1}
            context = swapped(own, history, others, hidden, floor)
            by_donor = forecast(context, hidden).values.reshape(len(days), 2, -1, HORIZON, 3)
            values.append(by_donor.mean(axis=2))
            bar.update()
        parts.append(np.stack(values).transpose(2, 0, 1, 3, 4))
    bar.close()
    return np.concatenate(parts, axis=2)


def _learnt_by_linear(learnt: Dataset) -> Positions:
    return learnt.training_origins(near_hours=STANDARD.near_hours)


def refitted(learnt: Dataset, seasons: bool) -> Forecast:
    """The linear baseline fitted again on what is known in each coalition.

    A hidden group is constant: in all windows that are learnt from it is that of the first one, as
    it has to be in the windows that are forecast. The interval is that of the errors in training.
    """
    floor, options = level_floor(learnt), LinearOptions(seasons, STANDARD.linear_penalty)
    origins = _learnt_by_linear(learnt)
    own, first = learnt.context(origins), learnt.context(np.full_like(origins, origins[0]))
    actual = learnt.target.to_numpy()[origins[:, None] + np.arange(1, HORIZON + 1)]
    fits: dict[tuple[str, ...], LinearBaseline] = {}

    def forecast(context: Context, hidden: Groups) -> QuantileForecasts:
        if (key := tuple(hidden)) not in fits:
            table = options.table(learnt, swapped(own, first, first, hidden, floor), floor)
            table = replace(table, target=actual / table.level[:, None] - 1)
            linear = LinearBaseline.of_table(table, floor, options)
            errors = np.quantile(table.target - linear.relative(table), QUANTILE_LEVELS, axis=0).T
            fits[key] = replace(linear, errors=errors - errors[:, [MEDIAN]])
        values = fits[key].quantiles(learnt, context)
        return QuantileForecasts.of_model(values, context.origins, learnt.lowest)

    return forecast
