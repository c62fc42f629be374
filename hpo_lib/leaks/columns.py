"""Which columns of a feature file know the future: recomputed where possible, else judged by what
they explain.

A column is clean if it is what `hpo prepare` makes of the file's target, or of raw data that ends
at several hours. Any other may hold something of later hours. So it is asked what the column
explains of the next 24 hours of the target, and of the weather, that 168 hours of history leave
open. Weather and other causes explain some of it, too: up to 1 % on three real series and 15 % on
the simulated heat demand, which follows temperature. A column made of the series itself (by a
centred mean, a two-sided filter, a decomposition) has no such excuse: it is found out by its daily
changes, which are a linear function of the series' week before and week after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import CALENDAR_COLUMNS, calendar_columns, engineer
from hpo_lib.data.raw_files import WEATHER_COLUMNS
from hpo_lib.data.splits import HISTORY, HORIZON, Positions, complete_windows

MOST_OTHER = 0.01
"""Share of hours in which a clean column may differ from the recomputed one: clocks and gaps have
corner cases.
"""
SAME = 1e-3
"""Standard deviations up to which two values are the same: files are rounded."""

EXPLAINED, EXPLAINED_BY_ITSELF = 0.25, 0.05
"""Share of what history leaves open from which a column leaks: any column, and one that is made of
the target.
"""
MADE_OF = 0.95
"""Share of a column's daily changes that a linear function of the target explains if it is made of
it. Of the honest causes that were tried, simulated temperature has the most: 0.47."""

SHIFTS = 9
"""Copies of a column, each shifted by some weeks: what they explain is chance, and a leak explains
twice as much.
"""
BLOCKS = 8
"""Parts in order of time: what is fitted on four of them is judged on the four between."""
MOST_ORIGINS = 10_000
PENALTY = 1.0


@dataclass(frozen=True)
class Finding:
    """What the audit says of a column or a model, in one sentence; ``note`` and ``fine`` are no
    leaks.
    """

    subject: str
    kind: Literal["leak", "note", "fine"]
    sentence: str


def audit_columns(dataset: Dataset, rebuilt: Sequence[pd.DataFrame] = ()) -> list[Finding]:
    """One finding for each column of the dataset, the target first.

    Statistics are of the hours up to the end of validation; only the check of scalers looks at all.

    Args: dataset: the dataset; its columns were read from the feature file. rebuilt: features that
        were rebuilt from raw data that ends at several hours, see `rebuilt_features`, in order
            of time. The last are then what other columns are compared with; without any, the file's
            own target and weather are trusted.
    """
    made_of_file = _made_of_file(dataset)
    return [_audit(dataset, str(name), rebuilt, made_of_file) for name in dataset.frame]


def _audit(
    dataset: Dataset, name: str, rebuilt: Sequence[pd.DataFrame], made_of_file: pd.DataFrame
) -> Finding:
    subject, column = f"column {name!r}", dataset.frame[name]
    how = _scaled_by_all(dataset, name)
    if how:
        return Finding(
            subject,
            "leak",
            f"scaled with {how} of the whole series, test days included; give it in its own unit, "
            "models scale it with the training split",
        )
    of_raw = [part[name] for part in rebuilt if name in part]
    expected = of_raw or ([made_of_file[name]] if name in made_of_file else [])
    other = max((_share_other(dataset, column, part) for part in expected), default=1.0)
    made = (
        "as `hpo prepare` makes it of "
        f"{'raw data that ends at' if of_raw else 'target, weather and hour'}"
    )
    if of_raw:
        made += " " + ", ".join(f"{part.index[-1]:%Y-%m-%d %H:%M}" for part in rebuilt)
    if other <= MOST_OTHER:
        return Finding(subject, "fine", made)
    if not rebuilt and name == dataset.spec.target:
        return Finding(
            subject, "note", "taken as measured; --raw RAW.csv compares it with the raw series"
        )
    differs = f"in {100 * other:.0f} % of the hours not {made}, and "
    return _judged(dataset, name, rebuilt, differs if expected else "")


def _judged(dataset: Dataset, name: str, rebuilt: Sequence[pd.DataFrame], differs: str) -> Finding:
    """What a column explains of the future of the target, and of the weather column that it is most
    like.
    """
    subject, known_ahead = f"column {name!r}", name in dataset.future
    if known_ahead and name in WEATHER_COLUMNS:
        return Finding(
            subject,
            "leak",
            f"{differs}weather in future_covariates, where a model sees that of the day ahead: "
            "observed weather is not known then; move it to past_covariates and state "
            "[day_ahead_weather]",
        )
    trusted = _trusted(dataset, rebuilt)
    if not rebuilt or name not in rebuilt[-1]:
        trusted.pop(name, None)  # nothing says more of its future than it does
    column = dataset.frame[name].to_numpy()
    most = None
    for series in _asked(dataset, name, trusted):
        found = _Explained.by(dataset, trusted, series, column, known_ahead=known_ahead)
        if found.leaks:
            when = "its values of the day ahead explain" if known_ahead else "it explains"
            made = f"made of {series} before and after its hour: " if found.made_of else ""
            fix = (
                "compute it from hours up to its own, without centred windows, two-sided filters "
                "or decompositions of "
                "the whole series, or remove it"
            )
            if not made:
                fix = "keep it only if every value was known at its hour, and else " + fix
            return Finding(subject, "leak", f"{differs}{made}{when} {found}; {fix}")
        most = found if most is None or found.share > most.share else most
    return Finding(subject, "note" if differs else "fine", f"{differs}it explains at most {most}")


def _made_of_file(dataset: Dataset) -> pd.DataFrame:
    """The columns that ``hpo prepare`` makes of the file's target, weather and hours, as far as it
    can.
    """
    spec = replace(
        dataset.spec,
        past_covariates=dataset.past,
        future_covariates=dataset.future,
        optional_covariates=(*dataset.past, *dataset.future),
    )
    weather = dataset.frame[[name for name in WEATHER_COLUMNS if name in dataset.frame]]
    made = engineer(dataset.target, spec, weather, None)
    return made.drop(columns=[dataset.spec.target, "is_school_holiday", *weather], errors="ignore")


def _share_other(dataset: Dataset, column: pd.Series, expected: pd.Series) -> float:
    """Share of hours in which a column is not the expected one, but for a scale; hours near a gap
    do not count.
    """
    near_gap = (
        pd.Series(dataset.is_missing, index=dataset.index).rolling(HISTORY, min_periods=1).max() > 0
    )
    hours = expected.dropna().index.intersection(dataset.index[~near_gap])
    if not len(hours):
        return 1.0
    found, wanted = column.loc[hours].to_numpy(), expected.loc[hours].to_numpy(dtype=float)
    spread = wanted.std()
    if spread > 0:
        wanted = np.polyval(np.polyfit(wanted - wanted.mean(), found, 1), wanted - wanted.mean())
        spread = wanted.std()
    return float((np.abs(found - wanted) > SAME * spread + 1e-12).mean())


def _scaled_by_all(dataset: Dataset, name: str) -> str:
    """Words for the numbers that a column was scaled with, if these need the whole series; else an
    empty text.
    """
    values = (dataset.known_target if name == dataset.spec.target else dataset.frame[name]).dropna()
    train = values.loc[: dataset.spec.splits.train_end]
    if values.nunique() <= HORIZON or len(train) == len(values):
        return ""
    off_in_training = abs(train.mean()) > 5e-3 or abs(train.std() - 1) > 5e-3
    if abs(values.mean()) < 1e-3 and abs(values.std() - 1) < 1e-3 and off_in_training:
        return "mean and standard deviation"
    short_in_training = train.min() > 1e-6 or train.max() < 1 - 1e-6
    if abs(values.min()) < 1e-9 and abs(values.max() - 1) < 1e-9 and short_in_training:
        return "minimum and maximum"
    return ""


def _trusted(dataset: Dataset, rebuilt: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """Target and weather by name, of the raw data if there is any."""
    names = [name for name in (dataset.spec.target, *WEATHER_COLUMNS) if name in dataset.frame]
    trusted = {name: dataset.frame[name] for name in names}
    for name in trusted.keys() & set(rebuilt[-1] if rebuilt else ()):
        trusted[name] = rebuilt[-1][name].reindex(dataset.index).ffill().bfill()
    return {name: values.to_numpy(dtype=float) for name, values in trusted.items()}


def _asked(dataset: Dataset, name: str, trusted: Mapping[str, np.ndarray]) -> list[str]:
    """Series whose future a column may know: the target and all weather; of weather itself, the one
    most like it.
    """
    train, column = dataset.positions.train, dataset.frame[name].to_numpy()
    weather = [series for series in trusted if series != dataset.spec.target]
    if name in WEATHER_COLUMNS and weather:
        like = {
            series: np.corrcoef(trusted[series][train], column[train])[0, 1] for series in weather
        }
        weather = [max(weather, key=lambda series: np.nan_to_num(abs(like[series])))]
    return [dataset.spec.target, *weather]


@dataclass(frozen=True)
class _Explained:
    """Share of what 168 hours of history leave open of a series that a column explains.

    The largest one over the ``hour`` ahead, out of sample; ``chance``: the same of shifted copies;
    ``made_of``: the column's daily changes are a linear function of the series around it. The last
    two are found out of large shares.
    """

    series: str
    share: float
    hour: int
    chance: float = 0.0
    made_of: bool = False

    @property
    def leaks(self) -> bool:
        return self.share > max(EXPLAINED_BY_ITSELF if self.made_of else EXPLAINED, 2 * self.chance)

    def __str__(self) -> str:
        share, chance = (f"{max(0, round(100 * value))} %" for value in (self.share, self.chance))
        text = (
            f"{share} of what {HISTORY} h of history leave open of {self.series} {self.hour} "
            "h ahead"
        )
        return (
            f"{text} (copies shifted by weeks: {chance})"
            if self.share > EXPLAINED_BY_ITSELF
            else text
        )

    @classmethod
    def by(
        cls,
        dataset: Dataset,
        trusted: Mapping[str, np.ndarray],
        series: str,
        column: np.ndarray,
        *,
        known_ahead: bool,
    ) -> "_Explained":
        origins, last = _origins(dataset), HORIZON if known_ahead else 0
        base, ahead = (
            _history(dataset, trusted, series, origins),
            windows(trusted[series], origins, 1, HORIZON),
        )
        shares = _shares(origins, base, ahead, windows(column, origins, -HORIZON, last))
        found = cls(series, float(shares.max()), int(shares.argmax()) + 1)
        if found.share <= EXPLAINED_BY_ITSELF:
            return found
        weeks = len(column) // HISTORY
        shifts = (
            np.random.default_rng(0).integers(
                min(4, weeks // 3), weeks - min(4, weeks // 3), SHIFTS
            )
            * HISTORY
        )
        copies = (windows(np.roll(column, shift), origins, -HORIZON, last) for shift in shifts)
        chance = max(float(_shares(origins, base, ahead, copy).max()) for copy in copies)
        return replace(
            found, chance=chance, made_of=_follows(origins, trusted[series], column) > MADE_OF
        )


def windows(values: np.ndarray, origins: Positions, first: int, last: int) -> np.ndarray:
    """[N, K] the values at the hours ``first`` to ``last`` after each origin, 0 being the origin
    itself.
    """
    return np.asarray(values[origins[:, None] + np.arange(first, last + 1)])


def _history(
    dataset: Dataset, trusted: Mapping[str, np.ndarray], series: str, origins: Positions
) -> np.ndarray:
    """[N, F] what is known at the origins anyway: history of the series and of the target, and the
    calendar.
    """
    local = calendar_columns(dataset.index, dataset.spec, None)[list(CALENDAR_COLUMNS)].to_numpy(
        dtype=float
    )
    hours = np.eye(HORIZON)[local[origins, CALENDAR_COLUMNS.index("hour")].astype(int)]
    names = dict.fromkeys((series, dataset.spec.target))
    history = [windows(trusted[name], origins, 1 - HISTORY, 0) for name in names]
    return np.concatenate([*history, hours, local[origins + 1], local[origins + HORIZON]], axis=1)


def _shares(
    origins: Positions, base: np.ndarray, ahead: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """[H] share of what ``base`` [N, F] leaves open of ``ahead`` [N, H] that the windows of a
    column [N, K] explain.
    """
    both, left, still_left = (
        np.concatenate([ahead, column], axis=1),
        np.zeros(HORIZON),
        np.zeros(HORIZON),
    )
    for fit, held in _halves(origins):
        rest = both - _ridge(base[fit], both[fit]).predict(base)
        open_, own = rest[:, :HORIZON], rest[:, HORIZON:]
        left += np.square(open_[held]).sum(axis=0)
        still_left += np.square(open_[held] - _ridge(own[fit], open_[fit]).predict(own[held])).sum(
            axis=0
        )
    return np.asarray(1 - still_left / np.maximum(left, 1e-300))


def _ridge(x: np.ndarray, y: np.ndarray) -> Pipeline:
    """Fitted to inputs [N, F], which it scales, and outputs [N, K] or [N]."""
    return make_pipeline(StandardScaler(), Ridge(PENALTY)).fit(x, y)


def _follows(origins: Positions, series: np.ndarray, column: np.ndarray) -> float:
    """Share of a column's daily changes that a linear function of the series' week before and after
    explains.
    """
    origins = origins[(origins >= HISTORY + HORIZON) & (origins < len(series) - HISTORY)]
    change = column[origins] - column[origins - HORIZON]
    around = windows(series, origins, -HISTORY, HISTORY) - windows(
        series, origins - HORIZON, -HISTORY, HISTORY
    )
    left = total = 0.0
    for fit, held in _halves(origins):
        left += float(
            np.square(change[held] - _ridge(around[fit], change[fit]).predict(around[held])).sum()
        )
        total += float(np.square(change[held] - change[held].mean()).sum())
    return 1 - left / total if total > 0 else 0.0


def _origins(dataset: Dataset) -> Positions:
    """Hours up to the end of validation with a complete window, evenly thinned over all hours of
    day.
    """
    every = np.arange(HISTORY, dataset.positions.val.stop - HORIZON)
    every = complete_windows(every, dataset.is_missing)
    step = max(1, -(-len(every) // MOST_ORIGINS))
    while gcd(step, HORIZON) > 1:
        step += 1
    return every[::step]


def _halves(origins: Positions) -> list[tuple[np.ndarray, np.ndarray]]:
    """Masks of what to fit on and what to judge, both ways: every other of `BLOCKS`, less a day at
    both of its ends.
    """
    edges = origins[np.linspace(0, len(origins) - 1, BLOCKS + 1).astype(int)]
    block = np.searchsorted(edges[1:-1], origins, side="right")
    inside = np.abs(origins[:, None] - edges[1:-1]).min(axis=1) > HORIZON
    halves = [inside & (block % 2 == odd) for odd in (0, 1)]
    return [(halves[0], halves[1]), (halves[1], halves[0])]
