"""Which columns of a feature file know the future.

A column is recomputed where possible, and else judged by what it explains. It is clean if it is
what `hpo prepare` makes of the file's target, or of raw data that ends at several hours. Any other
may hold something of later hours. So it is asked what the column explains of the next 24 hours of
the target, and of the weather, that 168 hours of history leave open. Weather and other causes
explain some of it, too: up to 1 % on three real series and 17 % on the simulated heat demand, which
follows temperature. A column made of the series itself (by a centred mean, a two-sided filter, a
decomposition) has no such excuse: it is found out by its daily changes, which are a linear function
of the series' week before and week after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hpo_lib.data.csv_checks import WEATHER_COLUMNS
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import CALENDAR_COLUMNS, calendar_columns, engineer
from hpo_lib.data.splits import HISTORY, HORIZON, Positions, complete_windows

MOST_OTHER = 0.01
"""Share of hours in which a clean column may differ from the recomputed one: clocks and gaps have
corner cases.
"""
ROUNDING = 1e-3
"""Standard deviations up to which two values are the same: files are rounded."""

EXPLAINED, EXPLAINED_BY_ITSELF = 0.25, 0.05
"""Share of what history leaves open from which a column leaks: any column, and one that is made of
the target.
"""
MADE_OF = 0.95
"""Share of a column's daily changes that a linear function of the target explains if it is made of
it. Of the honest causes that were tried, a simulated temperature had the most: 0.47."""

SHIFTS = 9
"""Copies of a column, each shifted by some weeks: what they explain is chance, and a leak explains
twice as much.
"""
BLOCKS = 8
"""Parts in order of time: what is fitted on four of them is judged on the four between."""
SCALERS = (
    ("mean and standard deviation", ["mean", "std"], 1e-3, 5e-3),
    ("minimum and maximum", ["min", "max"], 1e-9, 1e-6),
)
"""Statistics that a scaler makes 0 and 1. So near those of the whole series and so far off those of
training are, if the whole series was scaled."""

MOST_ORIGINS = 10_000


Kind = Literal["leak", "note", "fine"]


@dataclass(frozen=True)
class Finding:
    """What the audit says of a column or a model; ``note`` and ``fine`` are no leaks."""

    subject: str
    kind: Kind
    sentence: str


def audit_columns(dataset: Dataset, rebuilt: Sequence[pd.DataFrame] = ()) -> list[Finding]:
    """One finding for each column of the dataset, the target first.

    Statistics are of the hours up to the end of validation; only the check of scalers looks at all.

    Args:
        dataset: its columns were read from the feature file.
        rebuilt: features that were rebuilt from raw data that ends at several hours, in order of
            time, see `rebuilt_features`. The last are what other columns are compared with; without
            any, the file's own target and weather are trusted.
    """
    audit = _Audit(dataset, rebuilt)
    return [Finding(f"column {name!r}", *audit.judged(str(name))) for name in dataset.frame]


Judgement = tuple[Kind, str]


@dataclass(frozen=True)
class _Audit:
    dataset: Dataset
    rebuilt: Sequence[pd.DataFrame]

    def judged(self, name: str) -> Judgement:
        """What is said of a column: by its scale, beside what it should be, by what it explains."""
        if how := _scaled_by_all(self.dataset, name):
            return "leak", (
                f"scaled with {how} of the whole series, test days included; give it in its own "
                "unit, models scale it with the training split"
            )
        ends = ", ".join(f"{part.index[-1]:%Y-%m-%d %H:%M}" for part in self.rebuilt)
        made_of = f"raw data that ends at {ends}"
        parts = self.rebuilt
        if not any(name in part for part in parts):
            made_of = "target, weather and hour"
            parts = [self.made_of_file]
        made = f"as `hpo prepare` makes it of {made_of}"
        others = [_share_other(self.dataset, name, part) for part in parts if name in part]
        if others and max(others) <= MOST_OTHER:
            return "fine", made
        if not self.rebuilt and name == self.dataset.spec.target:
            return "note", "taken as measured; --raw RAW.csv compares it with the raw series"
        differs = f"in {100 * max(others):.0f} % of the hours not {made}, and " if others else ""
        kind, sentence = self.judged_by_use(name)
        return "note" if differs and kind == "fine" else kind, differs + sentence

    def judged_by_use(self, name: str) -> Judgement:
        """What a column explains of the future of the target, and of the weather most like it."""
        known_ahead = name in self.dataset.future
        if known_ahead and name in WEATHER_COLUMNS:
            return "leak", (
                "weather in future_covariates, where a model sees that of the day ahead: observed "
                "weather is not known then; move it to past_covariates and state "
                "[day_ahead_weather]"
            )
        fix = (
            "compute it from hours up to its own, without centred windows, two-sided "
            "filters or decompositions of the whole series, or remove it"
        )
        when = "its values of the day ahead explain" if known_ahead else "it explains"
        column = self.dataset.frame[name].to_numpy()
        most = dict[str, float]()
        for series in self.asked(name):
            share, chance, made_of, sentence = self.explained(series, column, HORIZON * known_ahead)
            if share > max(EXPLAINED_BY_ITSELF if made_of else EXPLAINED, 2 * chance):
                if made_of:
                    when = f"made of {series} before and after its hour: {when}"
                else:
                    fix = f"keep it only if every value was known at its hour, and else {fix}"
                return "leak", f"{when} {sentence}; {fix}"
            most[sentence] = share
        return "fine", f"it explains at most {max(most, key=lambda sentence: most[sentence])}"

    def asked(self, name: str) -> list[str]:
        """Series whose future a column may know: the target and all weather.

        Of weather itself, the one most like it. Without raw data nothing says more of a column's
        future than it does.
        """
        target, *weather = map(str, self.trusted)
        if name in weather and not any(name in part for part in self.rebuilt[-1:]):
            weather.remove(name)
        if name in WEATHER_COLUMNS and weather:
            train = self.dataset.positions.train
            column = self.dataset.frame[name].iloc[train]
            alike = self.trusted[weather].iloc[train].corrwith(column).abs().fillna(0)
            weather = [str(alike.idxmax())]
        return [target, *weather]

    def explained(
        self, series: str, column: np.ndarray, last: int
    ) -> tuple[float, float, bool, str]:
        """What a column, up to ``last`` hours after an origin, explains of a series ahead.

        The largest share over the hours ahead of what history leaves open, out of sample; the same
        of shifted copies; whether the column's daily changes are a linear function of the series
        around it; and a sentence. The second and third are computed for large shares only.
        """
        origins = self.origins
        values = self.trusted[series].to_numpy()
        base = self.history(series)
        ahead = windows(values, origins, 1, HORIZON)

        def shares(column: np.ndarray) -> np.ndarray:
            return _explained(windows(column, origins, -HORIZON, last), ahead, base, origins)

        by_hour = shares(column)
        chance = 0.0
        made_of = False
        share = by_hour.max()
        sentence = (
            f"{_percent(share)} of what {HISTORY} h of history leave open of {series} "
            f"{by_hour.argmax() + 1} h ahead"
        )
        if share > EXPLAINED_BY_ITSELF:
            weeks = len(column) // HISTORY
            least = min(4, weeks // 3)
            shifts = np.random.default_rng(0).integers(least, weeks - least, SHIFTS) * HISTORY
            chance = max(shares(np.roll(column, shift)).max() for shift in shifts)
            made_of = _follows(origins, values, column) > MADE_OF
            sentence += f" (copies shifted by weeks: {_percent(chance)})"
        return share, chance, made_of, sentence

    def history(self, series: str) -> np.ndarray:
        """[N, F] what is known anyway: history of the series and the target, and the calendar."""
        dataset = self.dataset
        origins = self.origins
        local = calendar_columns(dataset.index, dataset.spec, None).to_numpy(float)
        hours = np.eye(HORIZON)[local[origins, CALENDAR_COLUMNS.index("hour")].astype(int)]
        names = dict.fromkeys((series, dataset.spec.target))
        parts = [windows(self.trusted[name].to_numpy(), origins, 1 - HISTORY, 0) for name in names]
        return np.concatenate([*parts, hours, local[origins + 1], local[origins + HORIZON]], axis=1)

    @cached_property
    def made_of_file(self) -> pd.DataFrame:
        """The columns that ``hpo prepare`` makes of the file's target, weather and hours."""
        dataset = self.dataset
        spec = replace(
            dataset.spec,
            past_covariates=dataset.past,
            future_covariates=dataset.future,
            optional_covariates=(*dataset.past, *dataset.future),
        )
        weather = dataset.frame.filter(WEATHER_COLUMNS)
        made = engineer(dataset.target, spec, weather, None)
        given = [dataset.spec.target, "is_school_holiday", *weather]
        return made.drop(columns=given, errors="ignore")

    @cached_property
    def trusted(self) -> pd.DataFrame:
        """Target and weather, of the raw data if there is any."""
        frame = self.dataset.frame.filter([self.dataset.spec.target, *WEATHER_COLUMNS]).astype(
            float
        )
        for part in self.rebuilt[-1:]:
            frame.update(part.reindex(frame.index).ffill().bfill())
        return frame

    @cached_property
    def origins(self) -> Positions:
        """Hours up to the end of validation with a complete window, of all hours of day alike."""
        every = np.arange(HISTORY, self.dataset.positions.val.stop - HORIZON)
        every = complete_windows(every, self.dataset.is_missing)
        step = max(1, -(-len(every) // MOST_ORIGINS))
        while gcd(step, HORIZON) > 1:
            step += 1
        return every[::step]


def _share_other(dataset: Dataset, name: str, made: pd.DataFrame) -> float:
    """Share of the hours, but for those near a gap, in which a scaled column is not as made."""
    near_gap = (
        pd.Series(dataset.is_missing, index=dataset.index).rolling(HISTORY, min_periods=1).max() > 0
    )
    hours = made[name].dropna().index.intersection(dataset.index[~near_gap])
    if not len(hours):
        return 1.0
    values = dataset.frame.loc[hours, name]
    wanted = made.loc[hours, name].to_numpy(float)
    if wanted.std() > 0:
        centred = wanted - wanted.mean()
        wanted = np.polyval(np.polyfit(centred, values, 1), centred)
    return (np.abs(values - wanted) > ROUNDING * wanted.std() + 1e-12).mean()


def _scaled_by_all(dataset: Dataset, name: str) -> str:
    """What a column was scaled with, in words, if that needs the whole series; else empty."""
    values = (dataset.known_target if name == dataset.spec.target else dataset.frame[name]).dropna()
    train = values.loc[: dataset.spec.splits.train_end]
    if values.nunique() <= HORIZON or len(train) == len(values):
        return ""
    for how, statistics, near, far in SCALERS:
        off, off_in_training = (
            np.abs(part.agg(statistics).to_numpy() - [0, 1]) for part in (values, train)
        )
        if off.max() < near and off_in_training.max() > far:
            return how
    return ""


def windows(values: np.ndarray, origins: Positions, first: int, last: int) -> np.ndarray:
    """[N, K] values at the hours ``first`` to ``last`` after each origin, which is hour 0."""
    return values[origins[:, None] + np.arange(first, last + 1)]


def _follows(origins: Positions, series: np.ndarray, column: np.ndarray) -> float:
    """Share of a column's daily changes that the series' week before and after explains."""
    origins = origins[(origins >= HISTORY + HORIZON) & (origins < len(series) - HISTORY)]
    around, change = (values - np.roll(values, HORIZON) for values in (series, column))
    of_week = windows(around, origins, -HISTORY, HISTORY)
    now = windows(change, origins, 0, 0)
    return _explained(of_week, now, np.ones_like(now), origins)[0]


def _explained(x: np.ndarray, y: np.ndarray, base: np.ndarray, origins: Positions) -> np.ndarray:
    """[K] share that x [N, F] explains of what ``base`` leaves open of y [N, K], out of sample."""
    both = np.concatenate([y, x], axis=1)
    width = y.shape[1]
    squares = np.zeros((2, width))
    for fit, held in _halves(origins):
        open_, of_x = np.hsplit(both - _ridge(base, both, fit), [width])
        still_open = open_ - _ridge(of_x, open_, fit)
        squares += np.square([open_[held], still_open[held]]).sum(axis=1)
    left, still_left = squares
    return np.where(left > 0, 1 - still_left / np.maximum(left, 1e-300), 0)


def _ridge(x: np.ndarray, y: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """The y [N, K] that a regression on the rows ``fit`` expects of x [N, F], which it scales."""
    model = make_pipeline(StandardScaler(), Ridge()).fit(x[fit], y[fit])
    return model.predict(x).reshape(y.shape)


def _percent(share: float) -> str:
    return f"{max(0, round(100 * share))} %"


def _halves(origins: Positions) -> list[tuple[np.ndarray, np.ndarray]]:
    """Masks of what to fit on and what to judge, both ways.

    Each is every other of `BLOCKS`, less a day at both of its ends.
    """
    edges = origins[np.linspace(0, len(origins) - 1, BLOCKS + 1).astype(int)]
    block = np.searchsorted(edges[1:-1], origins, side="right")
    inside = np.abs(origins[:, None] - edges[1:-1]).min(axis=1) > HORIZON
    even, odd = (inside & (block % 2 == half) for half in (0, 1))
    return [(even, odd), (odd, even)]
