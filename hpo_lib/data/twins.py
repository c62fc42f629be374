"""Simulated twins: data with the columns and the character of a dataset, used if its CSV is absent.

A twin shows that a pipeline works; its numbers say nothing about a real network. Everything is
drawn from one ``numpy`` PCG64 stream seeded by the dataset's TOML and rounded well above
floating-point noise, so a twin is the same on every run and machine (with the numpy version of the
lock file: numpy may change its normal deviates).
"""

from datetime import date, timedelta

import holidays
import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo_lib.data.features import calendar_columns, engineer
from hpo_lib.data.spec import DatasetSpec
from hpo_lib.errors import InputError

FIRST_HOUR = pd.Timestamp("2018-04-01 00:00", tz="UTC")
LAST_HOUR = pd.Timestamp("2024-12-31 23:00", tz="UTC")
_LEAD = pd.Timedelta(days=366)
"""Simulated before the first hour: filters forget their start, and lags reach back."""
_DECIMALS = 9

Hours = npt.NDArray[np.float64]
"""One value per hour, [T]."""


def simulate(spec: DatasetSpec) -> pd.DataFrame:
    """The simulated twin of a dataset, as its engineered CSV with weather would be.

    Hourly demand and weather of a Danish town; the demand has mean ``spec.twin.mean_level``, in the
    dataset's unit.

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
    school = school_holidays(index[0].year, LAST_HOUR.year)
    weather = _weather(index, rng)
    calendar = calendar_columns(index, spec, school)
    demand = {"heat": _heat, "water": _water}[spec.twin.kind](weather, calendar, rng)
    demand *= spec.twin.mean_level / demand[index >= FIRST_HOUR].mean()
    target = pd.Series(demand.round(_DECIMALS), index=index)
    table = engineer(target, spec, weather, school).loc[FIRST_HOUR:].astype(float).round(_DECIMALS)
    covariates = (*spec.past_covariates, *spec.future_covariates)
    absent = [column for column in covariates if column not in table]
    if absent or table.index[0] != FIRST_HOUR:
        what = f"column {absent[0]!r}" if absent else "a lag of more than a year"
        raise InputError(
            f"{spec.path}: a simulated twin cannot have {what}; remove it, or remove the table "
            "[twin]"
        )
    return table


def school_holidays(first_year: int, last_year: int) -> pd.DataFrame:
    """Danish school holidays by rule, Saturday to Sunday around the weeks without school.

    Week 8, the week before Easter until Easter Monday, six weeks from the last Saturday of June,
    week 42, and 21 December to 2 January. Municipalities differ by some days.

    Returns:
        Columns ``start_date``, ``end_date`` (naive dates, both inclusive) and ``description``, in
        order of time.
    """
    rows = []
    for year in range(first_year, last_year + 1):
        public = holidays.country_holidays("DK", years=year, language="en_US")
        last_week = [date(year, 6, day) for day in range(24, 31)]
        saturdays = {
            "Winter": (date.fromisocalendar(year, 7, 6), 8),
            "Easter": (public.get_named("Easter Sunday")[0] - timedelta(days=8), 9),
            "Summer": (last_week[[day.weekday() for day in last_week].index(5)], 43),
            "Autumn": (date.fromisocalendar(year, 41, 6), 8),
            "Christmas": (date(year, 12, 21), 12),
        }
        rows += [
            (first, first + timedelta(days=days), what) for what, (first, days) in saturdays.items()
        ]
    table = pd.DataFrame(rows, columns=["start_date", "end_date", "description"])
    return table.astype({"start_date": "datetime64[s]", "end_date": "datetime64[s]"})


def _smooth(x: Hours | pd.Series, memory: float) -> Hours:
    """Exponential moving average [T] with a memory of that many hours; looks back only."""
    alpha = 1 - np.exp(-1 / memory)
    return pd.Series(x).ewm(alpha=alpha, adjust=False).mean().to_numpy(dtype=np.float64)


def _ar1(rng: np.random.Generator, n: int, memory: float) -> Hours:
    """AR(1) noise [n], standard normal, whose correlation falls to 1/e in ``memory`` hours."""
    phi = np.exp(-1 / memory)
    # The moving average scales the shocks by 1 - phi, and the variance of AR(1) is that of its
    # shocks / (1 - phi^2).
    return np.asarray(_smooth(rng.standard_normal(n), memory) * np.sqrt(1 - phi**2) / (1 - phi))


def _weather(index: pd.DatetimeIndex, rng: np.random.Generator) -> pd.DataFrame:
    """Weather [T, 8] of about Denmark: 9 degrees C on average, 1 in January, 17 in July, 750 mm."""
    n = len(index)
    # Warmest in late July; the sun is highest about 11:20 UTC at 10 degrees east, the air is
    # warmest 2 h later.
    summer = -np.cos(2 * np.pi * (index.day_of_year.to_numpy() - 24) / 365.25)
    afternoon = np.cos(2 * np.pi * (index.hour.to_numpy() - 13.5) / 24)
    low = _ar1(rng, n, 60)  # passing depressions: cloud, wind and rain come with low pressure
    cloudiness = 0.6 * low + 0.8 * _ar1(rng, n, 8)
    clouds = np.round(100 / (1 + np.exp(-1.8 * (cloudiness + 0.4 - 0.25 * summer))))
    clear = 1 - 0.7 * clouds / 100
    temp = 8.9 + 8.0 * summer + (3.0 - 0.5 * summer) * _ar1(rng, n, 72) + 0.4 * _ar1(rng, n, 4)
    temp = (temp + (2.9 + 2.1 * summer) * clear * afternoon).round(2)
    humidity = 81 - 5 * summer - (7 + 5 * summer) * clear * afternoon + 4 * cloudiness
    humidity = np.clip(np.round(humidity + 5 * _ar1(rng, n, 12)), 25, 100)
    wind = 4.2 * np.exp(0.22 * low + 0.33 * _ar1(rng, n, 10) - 0.12 * summer + 0.1 * afternoon)
    wet = np.maximum(0, 0.75 * cloudiness + 0.66 * _ar1(rng, n, 2) - 1.45)
    water = np.where(wet > 0, 0.1 + 2.3 * wet * rng.standard_exponential(n), 0).round(2)  # mm
    freezing = temp < 1
    return pd.DataFrame(
        {
            "temp": temp,
            "dew_point": dew_point(temp, humidity).round(2),
            "humidity": humidity,
            "clouds_all": clouds,
            "wind_speed": wind.round(2),
            "rain_1h": water * ~freezing,
            "snow_1h": water * freezing,
            "pressure": np.round(1013 - 9 * low + 3 * _ar1(rng, n, 200)),
        },
        index=index,
    )


def dew_point(temp: Hours, humidity: Hours) -> Hours:
    """Dew point in degrees C from temperature (degrees C) and relative humidity (%), [T].

    Magnus formula with the constants of Sonntag (1990), as in the WMO Guide No. 8: 17.62 and 243.12
    degrees C.
    """
    gamma = np.log(humidity / 100) + 17.62 * temp / (243.12 + temp)
    return np.asarray(243.12 * gamma / (17.62 - gamma))


def _bump(centre: float, width: float) -> Hours:
    """A peak of height 1 over the 24 local hours, [24]; hours count round the clock."""
    away = (np.arange(24) - centre + 12) % 24 - 12
    return np.asarray(np.exp(-0.5 * (away / width) ** 2))


def _heat(weather: pd.DataFrame, calendar: pd.DataFrame, rng: np.random.Generator) -> Hours:
    """District heat [T], arbitrary level: heating below 16 degrees C outdoors plus hot water."""
    n, hour, temp = len(weather), calendar["hour"].to_numpy(), weather["temp"].to_numpy()
    off, school = _days_off(calendar)
    # Walls store heat for about a day, so demand follows a lagged temperature; wind cools.
    felt = 0.85 * _smooth(temp, 24) + 0.15 * temp - 0.12 * (weather["wind_speed"].to_numpy() - 4)
    # Heating is turned off when the season is over, not on each cool day: judged by the last ten
    # days.
    season = 1 / (1 + np.exp((_smooth(temp, 240) - 12.7) / 0.8))
    set_back = np.where(off, 1 + 0.06 * _bump(9, 2.5)[hour], 1 + 0.1 * _bump(6.5, 2)[hour])
    set_back -= 0.1 * _bump(1, 3)[hour]
    space = np.maximum(0, 16 - felt) * season * set_back
    workday = 0.5 + 1.1 * _bump(7, 1.3) + 0.8 * _bump(19, 2.2) - 0.25 * _bump(2, 2)
    weekend = 0.5 + 0.8 * _bump(9.5, 2) + 0.8 * _bump(18.5, 2.5) - 0.25 * _bump(2, 2)
    hot_water = 2.3 * np.where(off, weekend[hour], workday[hour])
    level = (space + hot_water) * (1 - 0.04 * school) * (1 + 0.02 * _ar1(rng, n, 500))
    # The spread grows with the level, less than in proportion: customers differ more when much is
    # heated.
    noise = 0.75 * _ar1(rng, n, 10) + 0.66 * rng.standard_normal(n)
    spread = (0.05 + 0.03 * level) * (1 + 0.15 * (calendar["season"].to_numpy() == 0))
    return np.asarray(np.maximum(level + spread * noise, 0.3))


def _water(weather: pd.DataFrame, calendar: pd.DataFrame, rng: np.random.Generator) -> Hours:
    """Drinking water [T], arbitrary level: households with two peaks, leakage and gardens."""
    n, hour = len(weather), calendar["hour"].to_numpy()
    off, school = _days_off(calendar)
    # Every district has its own habits.
    morning, evening = rng.uniform([0.9, 0.75], [1.2, 1.0])
    base = 0.08 + 0.45 * _bump(13, 4.5)
    workday = base + morning * _bump(7, 1.2) + evening * _bump(19, 2)
    weekend = base + 0.85 * morning * _bump(10, 2.3) + 0.85 * evening * _bump(18.5, 2.6)
    late = (
        base
        + 0.6 * morning * _bump(7.3, 1.3)
        + 0.35 * morning * _bump(9.5, 1.8)
        + evening * _bump(19, 2)
    )
    household = np.where(off, weekend[hour], np.where(school, late[hour], workday[hour]))
    household *= 1 - 0.06 * school
    dry = np.exp(-_smooth(weather["rain_1h"], 48) * 20)
    warm = np.maximum(0, _smooth(weather["temp"], 24) - 16)
    garden = 0.15 * warm * dry * _bump(20, 2)[hour]
    level = (household + garden) * np.exp(0.04 * _ar1(rng, n, 300))
    # Multiplicative noise: a busy hour varies more than a quiet one, and use cannot turn negative.
    noise = 0.09 * _ar1(rng, n, 5) + 0.07 * rng.standard_normal(n)
    leakage = 0.09
    return np.asarray(level * np.exp(noise) + leakage)


def _days_off(calendar: pd.DataFrame) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """[T] whether an hour is of a weekend or public holiday, and of a school holiday."""
    off = calendar[["is_weekend", "is_public_holiday"]].any(axis="columns").to_numpy()
    return off, calendar["is_school_holiday"].to_numpy()
