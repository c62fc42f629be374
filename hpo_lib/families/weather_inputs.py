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


def weather_inputs(dataset: Dataset, windows: Windows, *, thermal: bool) -> dict[str, Inputs]:
    """What is known of the weather in each hour ahead: columns [N, H] by name, if there is any.

    Before the first of these hours come the observations up to the origin.
    Each column comes with its change against the same hour of the last day. With T the temperature
    and D the degrees by which it is below the heating threshold, then follow: the exponential means
    of T, D of the hour and of the 24 h mean, the change of D against the last day relative to the
    demand of that day (in units of the mean demand of training), and D times wind speed.
    """
    weather, ahead = dataset.weather, windows.weather
    if weather is None:
        return {}
    assert ahead is not None, "a dataset with weather of the day ahead makes windows that hold it"
    history = windows.positions[:, None] + np.arange(1 - HISTORY, 1)
    observed = windows.frame[list(weather.columns)].to_numpy(dtype=float)[history]  # [N, L, W]
    before, now = (
        dict(zip(weather.columns, np.moveaxis(part, 2, 0), strict=True))
        for part in (observed, ahead)
    )
    columns = {f"{name}_ahead": values for name, values in now.items()}
    columns |= {f"{name}_since_yesterday": now[name] - before[name][:, -HORIZON:] for name in now}
    if not thermal or "temp" not in now:
        return columns
    assert weather.threshold is not None
    temp = np.concatenate([before["temp"], now["temp"]], axis=1)  # [N, L + H]
    means = {hours: exponential_mean(temp, hours)[:, -HORIZON:] for hours in MEMORY_HOURS}
    columns |= {f"temp_mean_{hours}h_ahead": mean for hours, mean in means.items()}
    degrees = np.maximum(weather.threshold - temp, 0)
    target, usual = windows.frame[dataset.spec.target].to_numpy(dtype=float), weather.usual_demand
    demand = np.abs(target[history[:, -HORIZON:]].mean(axis=1))
    yesterday = degrees[:, -2 * HORIZON : -HORIZON].mean(axis=1, keepdims=True)
    relative = usual / np.maximum(demand, 0.05 * usual)
    degrees = degrees[:, -HORIZON:]
    columns |= {
        "degrees_ahead": degrees,
        "degrees_mean_24h_ahead": np.maximum(weather.threshold - means[24], 0),
        "degrees_change_ahead": (degrees - yesterday) * relative[:, None],
    }
    if "wind_speed" in now:
        columns["degrees_wind_ahead"] = degrees * now["wind_speed"]
    return columns


def exponential_mean(values: Inputs, hours: float) -> Inputs:
    """[N, T] exponential mean of hourly values from the first on, of time constant ``hours``."""
    from scipy.signal import lfilter  # slow to import, and not always needed

    share = 1 - np.exp(-1 / hours)
    means, _ = lfilter([share], [1, share - 1], values, axis=1, zi=(1 - share) * values[:, :1])
    return np.asarray(means)
