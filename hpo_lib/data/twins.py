"""Simulated twins: data with the columns and the seasons of a dataset, used if its CSV is absent.

A twin shows that a pipeline works; its numbers say nothing about a real network. Everything is
drawn from one ``numpy`` PCG64 stream seeded by the dataset's TOML and rounded well above
floating-point noise, so a twin is the same on every run and machine (with the numpy version of the
lock file: numpy may change its normal deviates).
"""

import numpy as np
import pandas as pd

from hpo_lib.data.features import calendar_columns, engineer
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.errors import InputError

FIRST_HOUR = pd.Timestamp("2018-04-01 00:00", tz="UTC")
LAST_HOUR = pd.Timestamp("2024-12-31 23:00", tz="UTC")
_LEAD = pd.Timedelta(days=366)
"""Simulated before the first hour: filters forget their start, and lags reach back."""
_DECIMALS = 9

_SCHOOL_HOLIDAYS = (
    ("02-10", "02-18"),
    ("06-27", "08-10"),
    ("10-12", "10-20"),
    ("12-21", "12-31"),
)
"""Of every year, both days inclusive."""

Hours = np.ndarray
"""One value per hour, [T]."""


def simulate(spec: DatasetSpec) -> pd.DataFrame:
    """The simulated twin of a dataset, as its engineered CSV with weather would be.

    Hourly demand and weather of a town in the north; the demand has mean ``spec.twin.mean_level``,
    in the dataset's unit.

    Returns:
        Float64 [59208 hours, columns] from 2018-04-01 00:00 to 2024-12-31 23:00 UTC: the target,
        then past, then future
        covariates; index ``timestamp`` (UTC).
    """
    if spec.twin is None:
        raise InputError(
            f"{spec.path}: table [twin] is missing, expected kind, seed and mean_level; add it"
        )
    rng = np.random.Generator(np.random.PCG64(spec.twin.seed))
    index = pd.date_range(FIRST_HOUR - _LEAD, LAST_HOUR, freq="h", name="timestamp")
    school = pd.DataFrame(
        [
            [f"{year}-{day}" for day in span]
            for year in set(index.year)
            for span in _SCHOOL_HOLIDAYS
        ],
        columns=["start_date", "end_date"],
    )
    weather = _weather(index, rng)
    demand = _demand(spec.twin.kind, weather["temp"], calendar_columns(index, spec, school), rng)
    demand *= spec.twin.mean_level / demand[index >= FIRST_HOUR].mean()
    target = pd.Series(demand.round(_DECIMALS), index=index)
    table = engineer(target, spec, weather, school).loc[FIRST_HOUR:].astype(float).round(_DECIMALS)
    absent = [column for column in spec.covariates if column not in table]
    if absent or table.index[0] != FIRST_HOUR:
        what = f"column {absent[0]!r}" if absent else "a lag of more than a year"
        raise InputError(
            f"{spec.path}: a simulated twin cannot have {what}; remove it, or remove the table "
            "[twin]"
        )
    return table


def _smooth(x: Hours | pd.Series, memory: float) -> Hours:
    """Exponential moving average [T] with a memory of that many hours; looks back only."""
    return pd.Series(x).ewm(alpha=1 - np.exp(-1 / memory), adjust=False).mean().to_numpy(float)


def _noise(rng: np.random.Generator, n: int, memory: float) -> Hours:
    """AR(1) noise [n] of standard deviation 1; its correlation falls to 1/e in ``memory`` hours."""
    noise = _smooth(rng.standard_normal(n), memory)
    return noise / noise.std()


def _weather(index: pd.DatetimeIndex, rng: np.random.Generator) -> pd.DataFrame:
    """Weather [T, 8]: 1 degree C in January and 17 in July, wet where pressure is low."""
    n = len(index)
    summer = -np.cos(2 * np.pi * (index.day_of_year.to_numpy() - 24) / 365.25)
    afternoon = np.cos(2 * np.pi * (index.hour.to_numpy() - 13.5) / 24)
    low = _noise(rng, n, 60)
    temp = (9 + 8 * summer + (2 + summer) * afternoon + 1.5 * _noise(rng, n, 72)).round(2)
    humidity = np.clip(80 - 8 * afternoon + 8 * low, 25, 100).round()
    wet = np.maximum(0, low + rng.standard_normal(n) - 2).round(2)  # mm
    freezing = temp < 1
    return pd.DataFrame(
        {
            "temp": temp,
            "dew_point": temp - (100 - humidity) / 5,
            "humidity": humidity,
            "clouds_all": np.clip(50 + 40 * low, 0, 100).round(),
            "wind_speed": (4 * np.exp(0.4 * _noise(rng, n, 10))).round(2),
            "rain_1h": wet * ~freezing,
            "snow_1h": wet * freezing,
            "pressure": (1013 - 9 * low).round(),
        },
        index=index,
    )


def _demand(kind: str, temp: pd.Series, calendar: pd.DataFrame, rng: np.random.Generator) -> Hours:
    """Demand [T], arbitrary level: households with two peaks, and heating or gardens."""
    n = len(temp)
    hour = calendar["hour"].to_numpy()
    off = calendar[["is_weekend", "is_public_holiday"]].any(axis="columns").to_numpy()
    households = 0.3 + np.where(off, 0.8 * _peak(hour, 10, 2.3), _peak(hour, 7, 1.3))
    households += 0.9 * _peak(hour, 19, 2.2) + 0.4 * _peak(hour, 13, 4.5)
    households *= 1 - 0.06 * calendar["is_school_holiday"].to_numpy()
    felt = _smooth(temp, 12)  # walls store heat
    if kind == "heat":
        level = households + 0.7 * np.maximum(0, 16 - felt)
    else:
        level = households + 0.1 * np.maximum(0, felt - 14) * _peak(hour, 20, 2)
    # Multiplicative noise: a busy hour varies more than a quiet one, and use cannot turn negative.
    noise = _noise(rng, n, 300) + _noise(rng, n, 8) + rng.standard_normal(n)
    return level * np.exp(0.06 * noise)


def _peak(hour: np.ndarray, centre: float, width: float) -> Hours:
    """[T] a peak of height 1 over the local hours 0 to 23, which go round the clock."""
    away = (hour - centre + 12) % 24 - 12
    return np.exp(-0.5 * (away / width) ** 2)
