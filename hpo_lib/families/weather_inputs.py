"""What models make of the weather of the day ahead, with the thermal memory of buildings.

Walls and pipes follow the temperature of hours to days, and heating is off above a threshold, so
demand follows smooth means of temperature and the degrees below the threshold rather than the
temperature of the hour.
"""

import numpy as np
import numpy.typing as npt

from hpo_lib.data.context import Windows
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON

MEMORY_HOURS = (6, 24, 72)
"""Time constants of the exponential means of temperature."""

Inputs = npt.NDArray[np.float64]


def input_names(dataset: Dataset, *, thermal: bool) -> tuple[str, ...]:
    """Names of the K columns of `weather_inputs`; none without weather of the day ahead."""
    weather = dataset.weather
    if weather is None:
        return ()
    names = [f"{name}_{what}" for what in ("ahead", "since_yesterday") for name in weather.columns]
    if thermal and "temp" in weather.columns:
        names += [f"temp_mean_{hours}h_ahead" for hours in MEMORY_HOURS]
        names += ["degrees_ahead", "degrees_mean_24h_ahead", "degrees_change_ahead"]
        names += ["degrees_wind_ahead"] if "wind_speed" in weather.columns else []
    return tuple(names)


def weather_inputs(dataset: Dataset, windows: Windows, *, thermal: bool) -> Inputs:
    """[N, H, K] what is known of the weather in each hour ahead.

    Before the first of these hours come the observations up to the origin.
    Each column comes with its change against the same hour of the last day. With T the temperature
    and D the degrees by which it is below the heating threshold, then follow: the exponential means
    of T, D of the hour and of the 24 h mean, the change of D against the last day relative to the
    demand of that day (in units of the mean demand of training), and D times wind speed.
    """
    weather, ahead = dataset.weather, windows.weather
    if weather is None:
        return np.empty((len(windows.positions), HORIZON, 0))
    assert ahead is not None, "a dataset with weather of the day ahead makes windows that hold it"
    history = windows.positions[:, None] + np.arange(1 - HISTORY, 1)
    observed = windows.frame[list(weather.columns)].to_numpy(dtype=float)[history]  # [N, L, W]
    columns = [ahead, ahead - observed[:, -HORIZON:]]
    if thermal and "temp" in weather.columns:
        assert weather.threshold is not None
        place = weather.columns.index("temp")
        temp = np.concatenate([observed[:, :, place], ahead[:, :, place]], axis=1)  # [N, L + H]
        means = [exponential_mean(temp, hours)[:, -HORIZON:] for hours in MEMORY_HOURS]
        degrees = np.maximum(weather.threshold - temp, 0)
        of_mean = np.maximum(weather.threshold - means[MEMORY_HOURS.index(24)], 0)
        demand = np.abs(
            windows.frame[dataset.spec.target]
            .to_numpy(dtype=float)[history[:, -HORIZON:]]
            .mean(axis=1)
        )
        usual = weather.usual_demand
        change = degrees[:, -HORIZON:] - degrees[:, -2 * HORIZON : -HORIZON].mean(
            axis=1, keepdims=True
        )
        relative = change * (usual / np.maximum(demand, 0.05 * usual))[:, None]
        thermal_columns = [*means, degrees[:, -HORIZON:], of_mean, relative]
        if "wind_speed" in weather.columns:
            thermal_columns.append(
                degrees[:, -HORIZON:] * ahead[:, :, weather.columns.index("wind_speed")]
            )
        columns.append(np.stack(thermal_columns, axis=2))
    return np.concatenate(columns, axis=2)


def exponential_mean(values: Inputs, hours: float) -> Inputs:
    """[N, T] exponential mean of hourly values from the first on, of time constant ``hours``."""
    from scipy.signal import lfilter  # slow to import, and not always needed

    share = 1 - np.exp(-1 / hours)
    means, _ = lfilter([share], [1, share - 1], values, axis=1, zi=(1 - share) * values[:, :1])
    return np.asarray(means)
