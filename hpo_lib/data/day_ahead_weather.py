"""The weather of the day ahead: forecast, observed, or observed with errors.

``forecast`` is what somebody would have had: of each hour the newest forecast that had been issued
by the origin. ``observed`` is what nobody has, an upper bound. ``degraded`` adds errors of a stated
size to it, to show what better or worse forecasts are worth. The last two are marked wherever their
results are shown.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib.data.csv_checks import check_header, check_ranges, numbers, read_csv, refuse, utc_times
from hpo_lib.data.spec import DayAheadWeatherSpec
from hpo_lib.data.splits import HORIZON
from hpo_lib.paths import about

ISSUED, VALID = "issued", "valid"
"""Columns of an archive: when a forecast was issued, and for which hour."""

MARKS = {
    "simulated": "SIMULATED DATA",
    "observed": "OBSERVED WEATHER OF THE DAY AHEAD",
    "degraded": "OBSERVED WEATHER WITH ADDED ERRORS",
}
"""What results are marked with whose source says so: twins, and weather that no forecaster has."""

THRESHOLDS = np.arange(5.0, 25.25, 0.5)
"""Candidates for `heating_threshold`, in degrees C."""

Values = np.ndarray


@dataclass(frozen=True, eq=False)
class DayAheadWeather:
    """Weather of the H hours after each of T forecast origins.

    Attributes:
        kind: ``forecast``, ``observed`` or ``degraded``.
        columns: names of the W columns.
        origins: [T] hours, ascending.
        values: [T, H, W] in the columns' units; NaN where nothing is known.
        threshold: see `heating_threshold`; None without ``temp``.
        usual_demand: mean size of the target in training.
    """

    kind: str
    columns: tuple[str, ...]
    origins: pd.DatetimeIndex
    values: Values
    threshold: float | None
    usual_demand: float

    def at(self, origins: pd.DatetimeIndex) -> Values:
        """[N, H, W] at some origins; NaN at those that are not among its own."""
        positions = self.origins.get_indexer(origins)
        return np.where((positions >= 0)[:, None, None], self.values[positions], np.nan)


def day_ahead_weather(
    spec: DayAheadWeatherSpec,
    weather: pd.DataFrame,
    archive: pd.DataFrame | None,
    training: pd.DataFrame,
    target: str,
) -> DayAheadWeather:
    """What a dataset's models see of the day ahead.

    Args:
        spec: the dataset's table [day_ahead_weather].
        weather: observed, hourly, [T, columns].
        archive: of forecasts, as `read_archive` gives it, for the kind ``forecast``.
        training: the hours of the training split, for the threshold.
        target: name of the target in ``training``.
    """
    columns = list(spec.columns)
    hours = pd.DatetimeIndex(weather.index)
    if archive is not None:
        # of each hour ahead the newest forecast that had been issued by the origin
        right = archive.astype(dict.fromkeys((ISSUED, VALID), "datetime64[ns, UTC]"))
        origins = hours.as_unit("ns").repeat(HORIZON)
        steps = pd.to_timedelta(np.tile(np.arange(1, HORIZON + 1), len(hours)), unit="h")
        ahead = pd.DataFrame({"origin": origins, VALID: origins + steps})
        newest = pd.merge_asof(ahead, right, left_on="origin", right_on=ISSUED, by=VALID)
        values = newest[columns].to_numpy(float).reshape(len(hours), HORIZON, -1)
    else:
        # The H values after each of the hours; NaN after their end.
        known = weather[columns].to_numpy(float)[1:]
        later = np.pad(known, ((0, HORIZON), (0, 0)), constant_values=np.nan)
        values = np.lib.stride_tricks.sliding_window_view(later, HORIZON, axis=0).swapaxes(1, 2)
        if spec.kind == "degraded":
            values = values + _errors(hours, spec)
    threshold = heating_threshold(training[target], training["temp"]) if "temp" in columns else None
    return DayAheadWeather(
        spec.kind, spec.columns, hours, values, threshold, float(training[target].abs().mean())
    )


def heating_threshold(target: pd.Series, temperature: pd.Series) -> float:
    """Temperature (degrees C) below which the target rises: the kink of the best fit.

    Least squares, of daily means.
    """
    hours = pd.DataFrame({"y": target, "t": temperature})
    y, t = hours.groupby(pd.DatetimeIndex(target.index).floor("D")).mean().to_numpy().T

    def squares(threshold: float) -> float:
        x = np.column_stack([np.maximum(threshold - t, 0), np.ones(len(t))])
        return ((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum()

    return float(min(THRESHOLDS, key=squares))


def source_with(source: str, kind: str) -> str:
    """What a result's data comes from: results of different sources must not be mixed."""
    return f"{source}, {kind} weather" if kind in MARKS else source


def warnings_of(source: str) -> list[str]:
    """The warnings that results of a source carry."""
    return [text for word, text in MARKS.items() if word in source]


def mark_of(source: str) -> str:
    """The warnings to follow a text, such as ``, simulated data``; empty without one."""
    return "".join(f", {warning.lower()}" for warning in warnings_of(source))


def read_archive(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """An archive of weather forecasts: ``issued``, ``valid`` (UTC) and columns, by time of issue.

    Args:
        path: CSV with ``issued`` and ``valid``, the full hour that a row is for.
        columns: the weather columns that are wanted; others are ignored.
    """
    with about(path):
        cells, *_ = read_csv(path, "archive of weather forecasts")
        check_header(
            cells, [ISSUED, VALID, *columns], "see docs/day_ahead_weather.md for the format"
        )
        issued = utc_times(cells[ISSUED])
        valid = utc_times(cells[VALID])
        check_ranges(table := cells[list(columns)].apply(numbers))
        table = table.assign(**{ISSUED: issued, VALID: valid})
        for wrong, reason in (
            (valid != valid.dt.floor("h"), "expected a full hour; fix that cell"),
            (valid <= issued, f"expected an hour after {ISSUED}; fix one of the two cells"),
            (table.duplicated([ISSUED, VALID]), "which this forecast has twice; remove one row"),
        ):
            refuse(wrong, cells[VALID], f", {reason}")
        return table.dropna().sort_values([ISSUED, VALID], kind="stable", ignore_index=True)


def _errors(hours: pd.DatetimeIndex, spec: DayAheadWeatherSpec) -> Values:
    """[T, H, W] normal errors of forecasts: AR(1) along the hours ahead.

    They grow on a line from 1 h to 24 h ahead. Errors of different origins and columns are
    independent, and depend on the seed and each origin's time alone.
    """
    from scipy.signal import lfilter  # slow to import, and not always needed

    epoch = hours.as_unit("s").asi8 // 3600
    shape = (24, HORIZON, len(spec.columns))
    days, day_of = np.unique(epoch // 24, return_inverse=True)
    draws = [np.random.default_rng([spec.seed, day]).standard_normal(shape) for day in days]
    shocks = np.stack(draws)[day_of, epoch % 24]
    memory = spec.autocorrelation
    shocks[:, 1:] *= np.sqrt(1 - memory**2)
    first, last = np.array([spec.errors[name] for name in spec.columns]).T
    share = np.linspace(0, 1, HORIZON)[:, None]
    return lfilter([1.0], [1.0, -memory], shocks, axis=1) * ((1 - share) * first + share * last)
