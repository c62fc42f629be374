"""Forecasts as tidy tables of hours and of days, and the figures that are drawn from them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.figures import style
from hpo_lib.figures.style import BLUE, SKY_BLUE, date_axis, hours_axis, number
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import daily_losses

BAND = ("lower", "median", "upper")
COLUMNS = (*BAND, "actual")


def hours_of_days(forecasts: QuantileForecasts, first: int, count: int) -> pd.DataFrame:
    """The hours of ``count`` consecutive forecasts from position ``first`` on.

    Columns are those of `COLUMNS`, the index is the UTC hour.
    """
    part = forecasts.rows(slice(first, first + count))
    rows = part.to_frame()
    hours = rows["origin"] + pd.to_timedelta(rows["step"], unit="h")
    values = {name: getattr(part, name).ravel() for name in COLUMNS}
    return pd.DataFrame(values, pd.DatetimeIndex(hours))


def daily_errors(forecasts: QuantileForecasts) -> pd.DataFrame:
    """MAE in the target's unit and PICP in % of each forecast, by its first hour."""
    losses = daily_losses(forecasts)
    hours = forecasts.origins + pd.Timedelta(hours=1)
    return pd.DataFrame({name: losses[name] for name in ("mae", "picp")}, index=hours)


def by_hour(forecasts: QuantileForecasts) -> pd.DataFrame:
    """Residuals (actual less median) and scores per hour ahead (1..H).

    ``lower``, ``median`` and ``upper`` are the quantiles 0.1, 0.5 and 0.9 of the residual; they and
    ``mae`` are in the target's unit, ``picp`` in %.
    """
    residuals = np.quantile(forecasts.actual - forecasts.median, (0.1, 0.5, 0.9), axis=0)
    hours = pd.RangeIndex(1, residuals.shape[1] + 1, name="hours ahead")
    scores = pd.DataFrame(metrics.by_step(forecasts), index=hours)
    return scores.assign(**dict(zip(BAND, residuals, strict=True)))


def spread_origins(n_origins: int, count: int) -> list[int]:
    """``count`` positions spread evenly over the forecasts, so that several seasons are seen."""
    count = min(count, n_origins)
    return [int((i + 0.5) * n_origins / count) for i in range(count)]


def draw_band(axes: Axes, table: pd.DataFrame) -> None:
    """Interval and median over the index of a table with columns `BAND`."""
    axes.fill_between(
        table.index,
        table["lower"],
        table["upper"],
        color=SKY_BLUE,
        alpha=0.4,
        lw=0,
        label="80 % interval",
    )
    axes.plot(table["median"], color=BLUE, label="median")


def draw_forecast(axes: Axes, table: pd.DataFrame, *, ms: float) -> None:
    """Interval, median and actual values over the index of a table with columns `COLUMNS`."""
    draw_band(axes, table)
    axes.plot(table["actual"], color="#000000", lw=1, marker=".", ms=ms, label="actual")


def draw_coverage(axes: Axes, hourly: pd.DataFrame) -> None:
    """PICP over the hours ahead of `by_hour`, on its full scale beside its target."""
    axes.plot(hourly["picp"], marker=".")
    style.coverage_line(axes)
    hours_axis(axes, len(hourly))
    axes.set(ylabel="PICP in %", ylim=(0, 100))


@style.on_screen()
def forecast_rows(
    tables: Mapping[str, pd.DataFrame], *, unit: str, xlabel: str, ms: float = 0.0
) -> Figure:
    """Forecasts with their interval, beside the actual values: a row per table, by its title."""
    figure, rows = style.panels(len(tables), 1, height=2.2 * len(tables), width=8)
    for axes, (title, table) in zip(rows[:, 0], tables.items(), strict=True):
        draw_forecast(axes, table, ms=ms)
        axes.set(ylabel=unit, title=title)
        date_axis(axes, 3, 8)
    rows[0, 0].legend(ncols=3)
    rows[-1, 0].set_xlabel(xlabel)
    return figure


def forecast_weeks(forecasts: QuantileForecasts, *, unit: str) -> Figure:
    """The weeks with the least, the middle and the largest error, in order of time.

    There is a gap where a day is missing.
    """
    errors = daily_errors(forecasts)["mae"]
    begins = range(0, max(len(errors) - 6, 1), 7)
    means = {first: errors.iloc[first : first + 7].mean() for first in begins}
    ranked = sorted(means, key=means.__getitem__)
    middle = ranked[len(ranked) // 2]
    names = {ranked[-1]: "hardest", middle: "middle", ranked[0]: "easiest"}
    tables = {}
    for first in sorted(names):
        begin = f"{names[first]} week, from {errors.index[first]:%A %Y-%m-%d}"
        title = f"{begin}: MAE {number(means[first])} {unit}"
        tables[title] = hours_of_days(forecasts, first, 7).asfreq("h")
    return forecast_rows(tables, unit=unit, xlabel="UTC")


@style.on_screen()
def by_hour_figure(forecasts: QuantileForecasts, *, unit: str) -> Figure:
    """MAE and PICP per hour ahead."""
    figure, ((left, right),) = style.panels(1, 2, height=2.6, width=8)
    hourly = by_hour(forecasts)
    left.plot(hourly["mae"], marker=".")
    hours_axis(left, len(hourly))
    left.set(ylabel=f"MAE in {unit}", ylim=(0, None))
    draw_coverage(right, hourly)
    return figure
