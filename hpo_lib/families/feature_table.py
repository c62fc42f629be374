"""The feature table of linear models and trees: one row per forecast origin and hour ahead.

And `weather_inputs`, what all models make of the weather of the day ahead.

The information set is that of the model families: the target and the past covariates of the 168
hours up to the origin, and the future-known columns through the horizon.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import SEASON_COLUMNS, follows_from_target
from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import HISTORY, HORIZON, Positions
from hpo_lib.scoring.calibration import smallest_level

DAYS = HISTORY // HORIZON
"""Earlier values at the hour of day of the forecast hour within the history: 7."""

LEVEL_HOURS = 24
"""Hours of history whose mean is the level that a window is divided by. On validation 168 hours
were 5 % worse in pinball loss for heat and within 1 % for the waters; the week's mean is a feature
anyway."""

MEMORY_HOURS = (6, 24, 72)
"""Time constants of the exponential means of temperature."""

_NOT_LINEAR = {  # or constant at one hour of day
    "step",
    "hour",
    "hour_sin",
    "hour_cos",
    "month",
    "season",
    "day_of_week",
    "same_hour_low",
    "same_hour_high",
}

_YEAR = "year_sin", "year_cos"
OF_THE_YEAR = (*SEASON_COLUMNS, *_YEAR)
"""Columns that tell the time of year."""


@dataclass(frozen=True)
class FeatureTable:
    """Features and normalised target of N origins, H hours ahead.

    Attributes:
        features: [N, H, F] float64.
        names: of the F features.
        level: [N] the recent level in the target's unit, at least ``floor``.
        target: [N, H] actual / level - 1.
        origins: [N] their positions in the frame.
        floor: above 0.
    """

    features: np.ndarray
    names: tuple[str, ...]
    level: np.ndarray
    target: np.ndarray
    origins: Positions
    floor: float

    def rows(self, chosen: np.ndarray) -> "FeatureTable":
        """The table of some origins."""
        of_origins = "features", "level", "target", "origins"
        return replace(self, **{name: getattr(self, name)[chosen] for name in of_origins})

    def residuals(self, expected: np.ndarray) -> "FeatureTable":
        """The table of what forecasts [N, H] of the target leave of it; they are a feature, too."""
        return replace(
            self,
            features=np.concatenate([self.features, expected[:, :, None]], axis=2),
            names=(*self.names, "expected"),
            target=self.target - expected,
        )


def level_floor(dataset: Dataset) -> float:
    """The smallest level that a window is divided by: 1 % of the target's mean size in training.

    All of it if the target is ever negative there, see `smallest_level`.
    """
    return smallest_level(dataset.training_target, 0.01)


def make_feature_table(
    dataset: Dataset,
    windows: Windows,
    floor: float | None = None,
    *,
    seasons: bool = True,
    weeks: int = 1,
    thermal: bool = True,
) -> FeatureTable:
    """The feature table of N windows; its target is NaN where they do not hold it.

    Values in the target's unit are divided by the mean of the last `LEVEL_HOURS` hours (less 1), so
    that seasons of different level look alike. The level itself is a feature, on a log scale.

    ``floor`` is the smallest level that is divided by; None: `level_floor` of the dataset. With
    ``seasons`` the columns of `OF_THE_YEAR` are features. With more ``weeks`` than one, earlier
    weeks are features too: the target at the same hour of the same weekday, and the week's mean. A
    week before the first hour of the frame counts as the one after it. ``thermal``: see
    `weather_inputs`.
    """
    frame = windows.frame
    origins = windows.positions
    y = frame[dataset.spec.target].to_numpy()
    past = origins[:, None] + np.arange(1 - HISTORY, 1)  # [N, L]
    hours = origins[:, None] + np.arange(1, HORIZON + 1)  # [N, H]
    history, floor = y[past], level_floor(dataset) if floor is None else floor
    level = np.maximum(history[:, -LEVEL_HOURS:].mean(axis=1), floor)
    relative = history / level[:, None] - 1
    days = relative.reshape(len(origins), DAYS, HORIZON)  # the last one ends at the origin
    flags = [name for name in ("is_weekend", "is_public_holiday") if name in dataset.future]
    off = frame[flags].max(axis=1).to_numpy() if flags else np.zeros(len(frame))
    past_off = off[past].reshape(days.shape)
    season = 2 * np.pi * pd.DatetimeIndex(frame.index).day_of_year.to_numpy()[hours] / 365.25
    # The columns are [N, H], or [N, 1] or [H] where origins or hours ahead are alike.
    columns = {
        "step": np.arange(1.0, HORIZON + 1),
        **{name: frame[name].to_numpy()[hours] for name in dataset.future},
        "year_sin": np.sin(season),
        "year_cos": np.cos(season),
        **{f"same_hour_{k}d": days[:, -k] for k in range(1, DAYS + 1)},
    }
    earlier = hours - HISTORY
    week = past
    for k in range(2, weeks + 1):
        earlier = np.where(earlier >= HISTORY, earlier - HISTORY, earlier)
        week = np.where(week[:, :1] >= HISTORY, week - HISTORY, week)
        columns[f"same_hour_{DAYS * k}d"] = y[earlier] / level[:, None] - 1
        columns[f"week_mean_{k}"] = (y[week].mean(axis=1) / level - 1)[:, None]
    alike = past_off == off[hours][:, None, :]
    n_alike = alike.sum(axis=1)
    mean = days.mean(axis=1)
    of_alike = (days * alike).sum(axis=1) / np.maximum(n_alike, 1)
    place = DAYS - 1 - np.argmax(alike[:, ::-1], axis=1)
    latest = np.take_along_axis(days, place[:, None], axis=1)[:, 0]
    columns |= {
        "same_hour_mean": mean,
        "same_hour_low": days.min(axis=1),
        "same_hour_high": days.max(axis=1),
        "same_hour_spread": days.std(axis=1),
        "same_hour_alike": np.where(n_alike > 0, of_alike, mean),
        "same_hour_latest_alike": np.where(n_alike > 0, latest, mean),
        "off_yesterday": past_off[:, -1],
        "off_week_ago": past_off[:, 0],
        "hour_before_1d": relative[:, -HORIZON - 1 : -1],
        # The hour after the origin is not known.
        "hour_after_1d": relative[:, [*range(1 - HORIZON, 0), -1]],
    }
    columns |= {f"last_{k}": relative[:, [-1 - k]] for k in (0, 1, 2, 3, 6, 12)}
    daily = days.mean(axis=2)
    last_day = days[:, -1]
    columns |= {f"day_mean_{k}": daily[:, [-1 - k]] for k in range(DAYS)}
    of_origin = {
        "week_mean": daily.mean(axis=1),
        **{f"mean_{k}h": relative[:, -k:].mean(axis=1) for k in (3, 6, 12)},
        "day_low": last_day.min(axis=1),
        "day_high": last_day.max(axis=1),
        "day_spread": last_day.std(axis=1),
        "recent_naive_error": np.abs(days[:, 1:] - days[:, :-1]).mean(axis=(1, 2)),
        "log_level": np.log(level),
    }
    for name in dataset.past:
        if not follows_from_target(name):
            values = frame[name].to_numpy()[past[:, -HORIZON:]]
            of_origin |= {f"{name}_last": values[:, -1], f"{name}_day_mean": values.mean(axis=1)}
    columns |= {name: values[:, None] for name, values in of_origin.items()}
    columns |= weather_inputs(dataset, windows, thermal=thermal)
    names = tuple(name for name in columns if seasons or name not in OF_THE_YEAR)
    return FeatureTable(
        np.stack([np.broadcast_to(columns[name], hours.shape) for name in names], axis=2),
        names,
        level,
        y[hours] / level[:, None] - 1,
        origins,
        floor,
    )


def weather_inputs(dataset: Dataset, windows: Windows, *, thermal: bool) -> dict[str, np.ndarray]:
    """What is known of the weather in each hour ahead: columns [N, H] by name, if there is any.

    Walls and pipes follow the temperature of hours to days, and heating is off above a threshold,
    so demand follows smooth means of temperature and the degrees below the threshold rather than
    the temperature of the hour.

    Before the first of these hours come the observations up to the origin.
    Each column comes with its change against the same hour of the last day. With T the temperature
    and D the degrees by which it is below the heating threshold, then follow: the exponential means
    of T, D of the hour and of the 24 h mean, the change of D against the last day relative to the
    demand of that day (in units of the mean demand of training), and D times wind speed.
    """
    weather = dataset.weather
    ahead = windows.weather
    if weather is None:
        return {}
    assert ahead is not None, "a dataset with weather of the day ahead makes windows that hold it"
    history = windows.positions[:, None] + np.arange(1 - HISTORY, 1)
    observed = windows.frame[list(weather.columns)].to_numpy()[history]  # [N, L, W]
    before, now = (
        dict(zip(weather.columns, np.moveaxis(part, 2, 0), strict=True))
        for part in (observed, ahead)
    )
    columns = {f"{name}_ahead": values for name, values in now.items()}
    columns |= {f"{name}_since_yesterday": now[name] - before[name][:, -HORIZON:] for name in now}
    if not thermal or "temp" not in now:
        return columns
    from scipy.signal import lfilter  # slow to import, and not always needed

    assert weather.threshold is not None
    temp = np.concatenate([before["temp"], now["temp"]], axis=1)  # [N, L + H]
    for hours in MEMORY_HOURS:
        share = 1 - np.exp(-1 / hours)
        mean, _ = lfilter([share], [1, share - 1], temp, axis=1, zi=(1 - share) * temp[:, :1])
        columns[f"temp_mean_{hours}h_ahead"] = mean[:, -HORIZON:]
    degrees = np.maximum(weather.threshold - temp, 0)
    target = windows.frame[dataset.spec.target].to_numpy()
    usual = weather.usual_demand
    demand = np.abs(target[history[:, -HORIZON:]].mean(axis=1))
    yesterday = degrees[:, -2 * HORIZON : -HORIZON].mean(axis=1, keepdims=True)
    relative = usual / np.maximum(demand, 0.05 * usual)
    degrees = degrees[:, -HORIZON:]
    columns |= {
        "degrees_ahead": degrees,
        "degrees_mean_24h_ahead": np.maximum(weather.threshold - columns["temp_mean_24h_ahead"], 0),
        "degrees_change_ahead": (degrees - yesterday) * relative[:, None],
    }
    if "wind_speed" in now:
        columns["degrees_wind_ahead"] = degrees * now["wind_speed"]
    return columns


def linear_features(table: FeatureTable) -> np.ndarray:
    """[N, H, F] the features that vary and act linearly at one hour of day.

    Weekdays become indicators; the time of year, where it is among them, gets a second harmonic.
    """
    columns = dict(zip(table.names, np.moveaxis(table.features, 2, 0), strict=True))
    linear = [column for name, column in columns.items() if name not in _NOT_LINEAR]
    if "year_sin" in columns:
        sine, cosine = (columns[name] for name in _YEAR)
        linear += [2 * sine * cosine, cosine**2 - sine**2]
    if "day_of_week" in columns:
        linear += [columns["day_of_week"] == day for day in range(1, 7)]
    # One feature after the other in memory: the last bits of a fit depend on the order.
    return np.moveaxis(np.stack(linear), 0, 2)
