"""The figures of benchmarks, drawn from the plain data of `benchmark_data`."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.dates import DateFormatter, DayLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hpo_lib.scoring.coverage import SEASON_NAMES, WEEKDAY_NAMES
from hpo_lib.thesis import figure_style
from hpo_lib.thesis.benchmark_data import SIGNIFICANCE
from hpo_lib.thesis.figure_style import INK, TARGET
from hpo_lib.views.model_style import date_axis, in_order, model_colour, model_marker, model_name, unit_text

ACTUAL: dict[str, Any] = {"color": "#000000", "lw": 0.7}
CALIBRATED: dict[str, Any] = {"lw": 0.6, "ls": (0, (2, 1))}


def weeks(data: pd.DataFrame) -> Figure:
    """Forecasts of two weeks with their interval, beside the actual values; a row per dataset."""
    datasets, seasons = figure_style.by_dataset(data), [s for s in ("winter", "summer") if s in set(data["season"])]
    figure, grid = figure_style.panels(len(datasets), len(seasons), height=0.7 + 1.6 * len(datasets))
    for row, of_dataset in zip(grid, datasets, strict=True):
        for axes, season in zip(row, seasons, strict=True):
            _week(axes, of_dataset[of_dataset["season"] == season], season)
        if row[0].axison:
            first = of_dataset.iloc[0]
            row[0].set_ylabel(f"{first['target']} ({unit_text(first['unit'])})")
    figure.align_ylabels(grid[:, 0])
    for axes in grid[-1]:
        axes.set_xlabel("day (UTC)")
    handles = [
        Line2D([], [], label="actual", **ACTUAL),
        Line2D([], [], color="#555555", lw=1.0, label="median forecast"),
        Patch(color="#555555", alpha=0.3, lw=0, label="80 % interval, raw"),
        Line2D([], [], color="#555555", label="after rolling calibration", **CALIBRATED),
    ]
    figure_style.legend_below(figure, handles)
    return figure


def _week(axes: Axes, own: pd.DataFrame, season: str) -> None:
    if own.empty:
        axes.set_axis_off()
        figure_style.write_inside(axes, f"no whole {season} week in the test split")
        return
    first, hours = own.iloc[0], own["hour"].dt.tz_localize(None)
    colour = model_colour(first["model"])
    axes.fill_between(hours, own["lower"], own["upper"], color=colour, alpha=0.3, lw=0)
    for bound in ("lower_rolling", "upper_rolling"):
        axes.plot(hours, own[bound], color=colour, **CALIBRATED)
    axes.plot(hours, own["median"], color=colour, lw=1.0)
    axes.plot(hours, own["actual"], **ACTUAL)
    axes.xaxis.set(major_locator=DayLocator(), major_formatter=DateFormatter("%a"))  # type: ignore[no-untyped-call]
    # Ticks that do not depend on the panel's height: the layout changes it after it has measured their labels.
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set(xlim=(hours.iloc[0], hours.iloc[-1]))
    axes.set_title(f"{first['title']}, {model_name(first['model'])}\n{season} week from {hours.iloc[0]:%-d %B %Y}")


def reliability(data: pd.DataFrame) -> Figure:
    """Observed share at or below each level, raw and after the rolling correction; a panel per dataset."""
    data = data[data["calibration"].isin(["none", "rolling"]) & ~data["model"].str.startswith("NAIVE")]
    datasets = figure_style.by_dataset(data)
    figure, grid = figure_style.panels(2, len(datasets), height=4.4, sharex=True, sharey=True)
    for column, of_dataset in zip(grid.T, datasets, strict=True):
        for axes, calibration in zip(column, ("none", "rolling"), strict=True):
            axes.plot([0, 1], [0, 1], **TARGET)
            for model, line in figure_style.by_model(of_dataset[of_dataset["calibration"] == calibration]):
                axes.plot(line["level"], line["observed"], color=model_colour(model), marker=model_marker(model))
            axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0.1, 0.5, 0.9), yticks=(0.1, 0.5, 0.9))
            axes.set_aspect("equal")
        column[0].set_title(of_dataset["title"].iloc[0])
        column[1].set_xlabel("quantile level")
    for axes, label in zip(grid[:, 0], ("raw", "rolling calibration"), strict=True):
        axes.set_ylabel(f"{label}\nobserved share")
    figure_style.legend_below(figure, figure_style.model_handles(data["model"]))
    return figure


def by_hour(data: pd.DataFrame) -> Figure:
    """MAE and PICP per hour ahead; a column per dataset."""
    datasets = figure_style.by_dataset(data)
    figure, grid = figure_style.panels(2, len(datasets), height=3.8, sharex=True, sharey="none")
    for (top, bottom), of_dataset in zip(grid.T, datasets, strict=True):
        for model, own in figure_style.by_model(of_dataset):
            for axes, score in ((top, "mae"), (bottom, "picp")):
                axes.plot(
                    own["ahead"], own[score], color=model_colour(model), marker=model_marker(model), ms=2.2, lw=0.8
                )
        first = of_dataset.iloc[0]
        top.set(title=first["title"], ylim=(0, None), ylabel=f"MAE in {unit_text(first['unit'])}")
        figure_style.coverage_line(bottom)
        bottom.set(xlabel="hours ahead", ylim=(0, 100), xticks=(1, 6, 12, 18, 24))
    grid[1, 0].set_ylabel("PICP in %")
    figure_style.legend_below(figure, figure_style.model_handles(data["model"]))
    return figure


def residuals(shares: pd.DataFrame, drift: pd.DataFrame) -> Figure:
    """How errors are distributed, and how their mean over four weeks moves through the test split."""
    datasets = figure_style.by_dataset(shares)
    figure, grid = figure_style.panels(2, len(datasets), height=3.8)
    for (top, bottom), of_dataset in zip(grid.T, datasets, strict=True):
        first = of_dataset.iloc[0]
        for model, own in figure_style.by_model(of_dataset):
            top.step(own["bin"], own["share"], where="mid", color=model_colour(model), lw=0.9)
            line = drift[(drift["dataset"] == first["dataset"]) & (drift["model"] == model)]
            bottom.plot(line["day"], line["error"], color=model_colour(model), lw=0.9)
        limit = of_dataset["bin"].max() + of_dataset["bin"].diff().max() / 2
        ticks = [-limit, -limit / 2, 0, limit / 2, limit]
        labels = [f"{tick:.0f}".replace("-", "\u2212") for tick in ticks]
        top.set_xticks(ticks, [f"\u2264{labels[0]}", *labels[1:-1], f"\u2265{labels[-1]}"])
        top.axvline(0, **TARGET)
        top.set(title=first["title"], xlabel="error in % of the mean", xlim=(-limit, limit), ylim=(0, None))
        bottom.axhline(0, **TARGET)
        bottom.set(ylabel=f"mean error in {unit_text(first['unit'])}", xlabel="end of the 28 days")
        date_axis(bottom, 2, 4)
    grid[0, 0].set_ylabel("share of hours in %")
    figure_style.legend_below(figure, figure_style.model_handles(shares["model"], marker=""))
    return figure


def baseline_vs_optimised(data: pd.DataFrame) -> Figure:
    """MAE and PICP of every model with bootstrap intervals: untuned hollow, tuned filled."""
    datasets, models = figure_style.by_dataset(data), in_order(data["model"])[::-1]
    figure, grid = figure_style.panels(2, len(datasets), height=0.9 + 0.46 * len(models), sharey=True, sharex="none")
    offsets = {"default": 0.17, "best": -0.17, "file": -0.17, "ensemble": -0.34}
    for column, of_dataset in zip(grid.T, datasets, strict=True):
        for axes, score in zip(column, ("mae", "picp"), strict=True):
            for row in of_dataset.to_dict("records"):
                place = models.index(row["model"]) + offsets.get(row["params"], 0)
                colour = model_colour(row["model"])
                fill = "white" if row["params"] == "default" else colour
                axes.plot([row[f"{score}_low"], row[f"{score}_high"]], [place] * 2, color=colour, lw=0.9)
                axes.plot(row[score], place, model_marker(row["model"]), color=colour, mfc=fill, ms=4)
            axes.set_yticks(range(len(models)), [model_name(model) for model in models])
            axes.set_ylim(-0.6, len(models) - 0.4)
        first, (top, bottom) = of_dataset.iloc[0], column
        top.set(title=first["title"], xlabel=f"MAE in {unit_text(first['unit'])}", xlim=(0, None))
        top.xaxis.set_major_locator(MaxNLocator(3))
        figure_style.coverage_line(bottom, vertical=True)
        bottom.set(xlabel="PICP in %", xlim=(0, 101), xticks=(0, 40, 80))
    handles = [
        Line2D([], [], color=INK, marker="o", ms=4, mfc="white", label="untuned defaults"),
        Line2D([], [], color=INK, marker="o", ms=4, label="tuned by a study, or by itself"),
        Line2D([], [], color=INK, label="95 % bootstrap interval"),
    ]
    figure_style.legend_below(figure, handles)
    return figure


def significance(data: pd.DataFrame) -> Figure:
    """Difference of pinball loss in percent of every two models; bold where it is significant."""
    datasets = figure_style.by_dataset(data)
    rows = -(-len(datasets) // 2)
    figure, grid = figure_style.panels(rows, 2, height=0.6 + 2.75 * rows)
    panels = list(grid.ravel())
    for axes, own in zip(panels, datasets, strict=False):
        _matrix(axes, own)
    for axes in panels[len(datasets) :]:
        axes.set_axis_off()
    lines = [
        "Pinball loss of the row's model relative to the", "column's, in %; blue: the row is better.",
        "Bold: p < 0.05 in a Diebold-Mariano test over the", "days of the test split, after Holm's correction for",
        "all pairs of the dataset. Colours end at ±50 %.",
    ]  # fmt: skip
    if len(panels) > len(datasets):
        figure_style.write_inside(panels[-1], "\n".join(lines), "black")
    else:
        figure.supxlabel(f"{' '.join(lines[:2])}\n{' '.join(lines[2:])}", fontsize=8)
    return figure


def _matrix(axes: Axes, own: pd.DataFrame) -> None:
    models = in_order(own["row"])
    differences, p_values = (
        own.pivot(index="row", columns="column", values=key).reindex(index=models, columns=models).to_numpy()
        for key in ("difference", "p_holm")
    )
    axes.imshow(differences, cmap="RdBu_r", norm=TwoSlopeNorm(0, -50, 50), aspect="auto")
    for i, j in zip(*np.nonzero(~np.eye(len(models), dtype=bool)), strict=True):
        value = round(float(differences[i, j]))
        axes.text(
            j, i, f"{value:+d}".replace("-", "\u2212") if value else "0", ha="center", va="center", fontsize=7,
            weight="bold" if p_values[i, j] < SIGNIFICANCE else "normal", color="white" if abs(value) > 32 else "black",
        )  # fmt: skip
    labels = [model_name(model) for model in models]
    axes.set_xticks(range(len(models)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(models)), labels)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(own["title"].iloc[0])


GROUPS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "hour": ("local hour", tuple(f"{hour:02d}" for hour in range(24)), ()),
    "weekday": ("weekday", WEEKDAY_NAMES, tuple(day[:2] for day in WEEKDAY_NAMES)),
    "season": ("season", SEASON_NAMES, tuple(season[:3] for season in SEASON_NAMES)),
    "level": ("forecast", ("low", "middle", "high"), ("low", "mid", "high")),
}
"""Grouping of the coverage -> label of the axis, groups in order, and their ticks (hours: every sixth)."""


def coverage(data: pd.DataFrame) -> Figure:
    """PICP by local hour, weekday, season and level of the forecast; a row per dataset."""
    datasets, models = figure_style.by_dataset(data), in_order(data["model"])
    figure, grid = figure_style.panels(
        len(datasets), len(GROUPS), height=0.7 + 1.45 * len(datasets), sharey=True, sharex="col",
        width_ratios=(1.5, 1, 0.8, 0.7),
    )  # fmt: skip
    for row, of_dataset in zip(grid, datasets, strict=True):
        for axes, (by, (_, groups, ticks)) in zip(row, GROUPS.items(), strict=True):
            for k, model in enumerate(models):
                own = of_dataset[(of_dataset["by"] == by) & (of_dataset["model"] == model)]
                shift = 0 if by == "hour" else 0.16 * (k - (len(models) - 1) / 2)
                axes.plot(
                    np.arange(len(groups)) + shift, own.set_index("group")["picp"].reindex(groups).to_numpy(),
                    model_marker(model), color=model_colour(model), ms=3, ls="-" if by == "hour" else "", lw=0.8,
                )  # fmt: skip
            figure_style.coverage_line(axes)
            if by == "hour":
                axes.set_xticks(range(0, 24, 6), groups[::6])
            else:
                axes.set_xticks(range(len(groups)), ticks)
                axes.set_xlim(-0.6, len(groups) - 0.4)
            axes.set_ylim(0, 102)
        row[0].set_ylabel(f"{of_dataset['title'].iloc[0]}\nPICP in %")
    for axes, (label, _, _) in zip(grid[-1], GROUPS.values(), strict=True):
        axes.set_xlabel(label)
    figure_style.legend_below(figure, figure_style.model_handles(models))
    return figure
