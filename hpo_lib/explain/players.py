"""The groups of information that are explained, and forecasts without some of them.

Information is taken away by giving a model that of other days (interventional, within season): of
`DONORS` days of training within `SEASON_DAYS` of the same day of the year, with the same hour of
origin. The history of the target comes from days that, like the day before them, are workdays or
days off as here. All models and all coalitions of groups get the same days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import follows_from_target
from hpo_lib.data.information_set import AHEAD, CALENDAR, HISTORY_GROUPS, Context
from hpo_lib.data.splits import HORIZON, Positions
from hpo_lib.errors import InputError
from hpo_lib.families.feature_table import level_floor
from hpo_lib.families.linear_baseline import MEDIAN, LinearBaseline, LinearOptions
from hpo_lib.families.models import STANDARD, Forecaster
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts

DONORS, SEASON_DAYS = 8, 21
DAYS_OF_YEAR = 365.25

DAYS_AT_ONCE = 16
"""Explained days per pass, so that a year of them needs little memory."""

Groups = Mapping[str, Sequence[str]]
"""Name -> columns of each group, see `Context.with_groups_of`."""


def players(dataset: Dataset) -> Groups:
    """The groups that a dataset has. The hour of the day is never hidden.

    Columns that follow from the target are rebuilt from its history.
    """
    others = [name for name in dataset.future if not name.startswith("hour")]
    holidays = [name for name in others if "holiday" in name]
    groups = {
        CALENDAR: [name for name in others if name not in holidays],
        "holidays": holidays,
        "weather so far": [name for name in dataset.past if not follows_from_target(name)],
    }
    present = {name: columns for name, columns in groups.items() if columns}
    ahead = [AHEAD] if dataset.weather else []
    return {**dict.fromkeys(HISTORY_GROUPS, ()), **present, **dict.fromkeys(ahead, ())}


def draw_donors(dataset: Dataset, days: Positions, learnt: Dataset) -> Positions:
    """[N, 1 + 2 K] positions of origins: the day, donors of its history, and of all else.

    They are of the training split of ``learnt``. Days without a donor are left out. Each donor
    comes once before any comes twice.

    Raises:
        InputError: no day has one.
    """
    pool, half = learnt.training_origins(), HORIZON // 2
    year = pd.DatetimeIndex(dataset.index + pd.Timedelta(hours=1)).day_of_year.to_numpy()
    flags = dataset.frame.filter(["is_weekend", "is_public_holiday"])
    off = (flags > 0).any(axis=1).to_numpy()
    kind = 2 * np.roll(off, half) + np.roll(off, -half)  # of the days before and after an origin
    rows = []
    for day in days:
        apart = np.abs(year[pool] - year[day])
        season = np.minimum(apart, DAYS_OF_YEAR - apart) <= SEASON_DAYS
        near = pool[season & ((pool - day) % HORIZON == 0)]
        alike = near[kind[near] == kind[day]]
        if len(alike):
            # By the day alone, so that it has the same donors whatever else is explained.
            draws = np.random.default_rng(int(dataset.index[day].timestamp()))
            drawn = [np.resize(draws.permutation(some), DONORS) for some in (alike, near)]
            rows.append([day, *np.ravel(drawn)])
    if not rows:
        raise InputError(
            f"{dataset.path}: no day of training is within {SEASON_DAYS} days of the year of a "
            "day that is to be explained; train on a whole year, with a later train_end under "
            "[splits] of the dataset's TOML"
        )
    return np.array(rows)


def coalition_values(
    forecaster: Forecaster, dataset: Dataset, donors: Positions, groups: Groups, progress: str = ""
) -> np.ndarray:
    """[2, 2^g, N, H, Q] forecasts of each coalition: means over either half of the donors.

    Rows are as in `hpo_lib.explain.shapley`; ``progress`` names a bar.
    """
    floor, parts = level_floor(dataset), []
    chunks = np.split(donors, range(DAYS_AT_ONCE, len(donors), DAYS_AT_ONCE))
    for chunk in tqdm(chunks, desc=progress, disable=not progress):
        days, *drawn = np.split(chunk, (1, 1 + DONORS), axis=1)
        own = dataset.context(days.repeat(DONORS))
        history, others = (dataset.context(part.ravel()) for part in drawn)
        values = []
        for row in range(1 << len(groups)):
            hidden = {name: groups[name] for i, name in enumerate(groups) if not row >> i & 1}
            context = own.with_groups_of(history, others, hidden, floor)
            by_donor = forecaster.predict(context).values.reshape(len(days), 2, -1, HORIZON, 3)
            values.append(by_donor.mean(axis=2).swapaxes(0, 1))
        parts.append(np.stack(values, axis=1))
    return np.concatenate(parts, axis=2)


class Refitted(Forecaster):
    """The linear baseline fitted again on what is known in each coalition.

    A hidden group is constant: in all windows that are learnt from it is that of the first one, and
    so it is in those that are forecast. The interval is that of the errors in training.
    """

    def __init__(self, learnt: Dataset, seasons: bool) -> None:
        self.learnt, self.options = learnt, LinearOptions(seasons, STANDARD.linear_penalty)
        self.origins = learnt.training_origins(near_hours=STANDARD.near_hours)
        self.fits: dict[tuple[str, ...], LinearBaseline] = {}

    def predict(self, context: Context) -> QuantileForecasts:
        known, floor = tuple(context.hidden), level_floor(self.learnt)
        if known not in self.fits:
            own = replace(self.learnt.context(self.origins), hidden=context.hidden)
            table = self.options.table(self.learnt, self._with_constants(own), floor)
            hours = self.origins[:, None] + np.arange(1, HORIZON + 1)
            actual = self.learnt.target.to_numpy()[hours]
            table = replace(table, target=actual / table.level[:, None] - 1)
            linear = LinearBaseline.of_table(table, floor, self.options)
            errors = np.quantile(table.target - linear.relative(table), QUANTILE_LEVELS, axis=0).T
            self.fits[known] = replace(linear, errors=errors - errors[:, [MEDIAN]])
        values = self.fits[known].quantiles(self.learnt, self._with_constants(context))
        return QuantileForecasts.of_model(values, context.origins, self.learnt.lowest)

    def _with_constants(self, context: Context) -> Context:
        first = self.learnt.context(np.full(len(context.positions), self.origins[0]))
        return context.with_groups_of(first, first, context.hidden, level_floor(self.learnt))
