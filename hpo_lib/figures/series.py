"""The series of a dataset and its forecasts: tidy tables, figures of notebooks and pages."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import MARKS
from hpo_lib.data.features import season_of
from hpo_lib.figures.style import (
    BLUE,
    PINK,
    SKY_BLUE,
    TARGET,
    date_axis,
    hours_axis,
    legend_below,
    marked_by_source,
    number,
    on_screen,
    panels,
    unit_text,
)
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import SEASON_NAMES
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.uncertainty import daily_losses

# What a study's notebook shows of its data: where it comes from, its splits, and the series.

SPLIT_COLOURS = {"train": BLUE, "validation": "#E69F00", "test": "#999999"}


def banner(dataset: Dataset, *, is_test: bool = False) -> str:
    """Where the data comes from.

    Warns of tests, simulated data, other splits and weather that nobody knows.
    """
    lines = []
    facts = [f"Data: {dataset.path}, sha256 {dataset.sha256[:12]}"]
    if is_test:
        lines.append(
            "*** TEST BUDGET *** It only shows that everything works: no number below says how "
            "good a model can be."
        )
    if dataset.kind_of_weather in MARKS:
        lines.append(
            f"*** {MARKS[dataset.kind_of_weather]} *** Models see weather of the day ahead that no "
            "forecaster has: the scores are an upper bound."
        )
    if dataset.is_simulated:
        lines.append(
            f"*** SIMULATED DATA *** This run uses the {dataset.path} instead of "
            f"{dataset.spec.csv}. No number below says anything about real demand. To use real "
            "data, put the CSV into data/ or set data_dir to its folder."
        )
        return "\n".join(lines)
    if dataset.n_filled:
        facts.append(f"{dataset.n_filled} missing hours were filled")
    if len(dataset.missing):
        left_out = ", ".join(
            f"{count} in {split}" for split, count in dataset.origins_left_out().items()
        )
        facts.append(
            f"{len(dataset.missing)} hours are in longer gaps, which leaves out daily origins "
            f"({left_out})"
        )
    if dataset.weather is not None:
        facts.append(f"weather of the day ahead: {dataset.kind_of_weather}")
    return "\n".join([*lines, "; ".join(facts)])


def data_summary(dataset: Dataset) -> pd.DataFrame:
    """One row per split: first and last hour, hours, daily origins, and the target's range."""
    left_out = dataset.origins_left_out()
    parts = vars(dataset.positions).values()
    rows = {}
    for (split, origins), part in zip(dataset.daily_origins.items(), parts, strict=True):
        values = dataset.known_target.iloc[part]
        if len(values):
            rows[split] = {
                "from": f"{values.index[0]:%Y-%m-%d %H:%M}",
                "to": f"{values.index[-1]:%Y-%m-%d %H:%M}",
                "hours": len(values),
                "daily origins": len(origins),
                **({"left out by gaps": left_out[split]} if len(dataset.missing) else {}),
                f"mean {unit_text(dataset.spec.unit)}": number(values.mean()),
                "least": number(values.min()),
                "greatest": number(values.max()),
            }
    return pd.DataFrame(rows).T


@on_screen()
def data_overview(dataset: Dataset) -> Figure:
    """The target over time, coloured by split, and its mean by local hour on workdays and weekends.

    Gaps that the gap rule does not fill are shaded.
    """
    spec = dataset.spec
    target = dataset.known_target
    parts = vars(dataset.positions).values()
    figure, ((left, right),) = panels(1, 2, height=2.8, width=9, width_ratios=(3, 1))
    daily = target.resample("D").mean()
    for (split, colour), part in zip(SPLIT_COLOURS.items(), parts, strict=True):
        if len(hours := dataset.index[part]):
            days = daily.loc[hours[0].floor("D") : hours[-1]]
            left.plot(days, lw=0.8, color=colour, label=f"{split} ({len(hours)} h)")
    left.fill_between(
        dataset.index,
        0,
        1,
        where=dataset.is_missing,
        transform=left.get_xaxis_transform(),
        color=PINK,
        alpha=0.3,
        lw=0,
    )
    left.set(ylabel=f"{spec.target_words}, daily\nmean ({unit_text(spec.unit)})", title=spec.title)
    # With room for the legend.
    left.set_ylim(None, daily.max() + 0.2 * (daily.max() - min(0.0, daily.min())))
    date_axis(left, 3, 8)
    left.legend(ncols=3)
    local = dataset.index.tz_convert(spec.tz)
    by_hour = target.groupby([local.hour, local.day_of_week >= 5]).mean().unstack()
    right.plot(by_hour, label=["workdays", "weekends"])
    right.set(xlabel="local hour", ylabel=f"mean ({unit_text(spec.unit)})", xticks=range(0, 25, 6))
    right.legend()
    return marked_by_source(figure, dataset.source)


# Forecasts as tidy tables of hours and of days, and the figures that are drawn from them.

BAND = ("lower", "median", "upper")
COLUMNS = (*BAND, "actual")


def hours_of_days(forecasts: QuantileForecasts, first: int, count: int) -> pd.DataFrame:
    """The hours of ``count`` consecutive forecasts from position ``first`` on.

    Columns are those of `COLUMNS`, the index is the UTC hour.
    """
    part = forecasts.rows(slice(first, first + count))
    return pd.DataFrame({name: getattr(part, name).ravel() for name in COLUMNS}, part.hours)


def middle_weeks(f: QuantileForecasts, hemisphere: str = "north") -> dict[str, int]:
    """Season -> position of the first forecast of its middle whole week, where it has one.

    Weeks are from Monday to Sunday, UTC.
    """
    days = f.days.tz_localize(None)
    seasons = np.take(SEASON_NAMES, season_of(days.month.to_numpy(), hemisphere))
    weeks = pd.Series(range(len(days))).groupby([seasons, days.to_period("W")])
    whole = weeks.min()[weeks.size() == 7].groupby(level=0)
    return {str(season): week.iloc[len(week) // 2] for season, week in whole}


def daily_errors(forecasts: QuantileForecasts) -> pd.DataFrame:
    """MAE in the target's unit and PICP in % of each forecast, by its first hour."""
    return pd.DataFrame(daily_losses(forecasts), forecasts.days, ["mae", "picp"])


def by_hour(forecasts: QuantileForecasts) -> pd.DataFrame:
    """Residuals (actual less median) and scores per hour ahead (1..H).

    ``lower``, ``median`` and ``upper`` are the quantiles 0.1, 0.5 and 0.9 of the residual; they and
    ``mae`` are in the target's unit, ``picp`` in %.
    """
    residuals = np.quantile(forecasts.actual - forecasts.median, (0.1, 0.5, 0.9), axis=0)
    hours = range(1, 1 + residuals.shape[1])
    return pd.DataFrame(residuals, BAND, hours).T.assign(**metrics.by_step(forecasts))


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
    axes.axhline(NOMINAL_COVERAGE, **TARGET)
    hours_axis(axes)
    axes.set(ylabel="PICP in %", ylim=(0, 100))


@on_screen()
def forecast_rows(
    tables: Mapping[str, pd.DataFrame], *, unit: str, xlabel: str, ms: float = 0.0
) -> Figure:
    """Forecasts with their interval, beside the actual values: a row per table, by its title."""
    figure, rows = panels(len(tables), 1, height=2.2 * len(tables), width=8)
    for axes, (title, table) in zip(rows[:, 0], tables.items(), strict=True):
        draw_forecast(axes, table, ms=ms)
        axes.set(ylabel=unit, title=title)
        date_axis(axes, 3, 8)
    legend_below(figure, rows[0, 0].get_legend_handles_labels()[0])
    rows[-1, 0].set_xlabel(xlabel)
    return figure


def forecast_weeks(forecasts: QuantileForecasts, *, unit: str) -> Figure:
    """The weeks with the least, the middle and the largest error, in order of time.

    There is a gap where a day is missing.
    """
    errors = daily_errors(forecasts)["mae"]
    means = {
        first: errors.iloc[first : first + 7].mean()
        for first in range(0, max(len(errors) - 6, 1), 7)
    }
    ranked = sorted(means, key=means.__getitem__)
    names = {ranked[-1]: "hardest", ranked[len(ranked) // 2]: "middle", ranked[0]: "easiest"}
    tables = {}
    for first in sorted(names):
        title = (
            f"{names[first]} week, from {errors.index[first]:%A %Y-%m-%d}: "
            f"MAE {number(means[first])} {unit}"
        )
        tables[title] = hours_of_days(forecasts, first, 7).asfreq("h")
    return forecast_rows(tables, unit=unit, xlabel="UTC")


@on_screen()
def by_hour_figure(forecasts: QuantileForecasts, *, unit: str) -> Figure:
    """MAE and PICP per hour ahead."""
    figure, ((left, right),) = panels(1, 2, height=2.6, width=8)
    hourly = by_hour(forecasts)
    left.plot(hourly["mae"], marker=".")
    hours_axis(left)
    left.set(ylabel=f"MAE in {unit}", ylim=(0, None))
    draw_coverage(right, hourly)
    return figure
