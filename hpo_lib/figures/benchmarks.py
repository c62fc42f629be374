"""The figures of benchmarks, drawn from the plain data of `benchmark_data`."""

from collections.abc import Hashable, Mapping
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

from hpo_lib.families.models import family_names
from hpo_lib.figures import style
from hpo_lib.figures.benchmark_data import SIGNIFICANCE
from hpo_lib.figures.style import (
    INK,
    TARGET,
    date_axis,
    in_order,
    model_colour,
    model_marker,
    model_name,
    no_negative_demand,
    number,
    unit_text,
)
from hpo_lib.scoring.coverage import SEASON_NAMES, WEEKDAY_NAMES

ACTUAL: dict[str, Any] = {"color": "#000000", "lw": 0.7}
CALIBRATED: dict[str, Any] = {"lw": 0.6, "ls": (0, (2, 1))}
RAW_AND_CALIBRATED = [
    Line2D([], [], color=INK, ls="", marker="o", ms=3.5, mfc="white", label="raw"),
    Line2D([], [], color=INK, ls="", marker="o", ms=3.5, label="calibrated"),
]
PARAMS = {"best": "tuned", "file": "file", "ensemble": "ensemble", "default": "untuned", "own": ""}


def weeks(data: pd.DataFrame) -> Figure:
    """Forecasts of two weeks with their interval, beside the actual values; a row per dataset."""
    datasets, seasons = (
        style.by_dataset(data),
        [s for s in ("winter", "summer") if s in set(data["season"])],
    )
    figure, grid = style.panels(len(datasets), len(seasons), height=0.7 + 1.6 * len(datasets))
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
        Line2D([], [], color="#555555", label="calibrated", **CALIBRATED),
    ]
    style.legend_below(figure, handles)
    return figure


def _week(axes: Axes, own: pd.DataFrame, season: str) -> None:
    if own.empty:
        axes.set_axis_off()
        style.write_inside(axes, f"no whole {season} week in the test split")
        return
    first, hours = own.iloc[0], own["hour"].dt.tz_localize(None)
    colour = model_colour(first["model"])
    axes.fill_between(hours, own["lower"], own["upper"], color=colour, alpha=0.3, lw=0)
    for bound in ("lower_calibrated", "upper_calibrated"):
        axes.plot(hours, own[bound], color=colour, **CALIBRATED)
    axes.plot(hours, own["median"], color=colour, lw=1.0)
    axes.plot(hours, own["actual"], **ACTUAL)
    axes.xaxis.set(major_locator=DayLocator(), major_formatter=DateFormatter("%a"))  # type: ignore[no-untyped-call]
    # Ticks that do not depend on the panel's height: the layout changes it after it has measured
    # their labels.
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set(xlim=(hours.iloc[0], hours.iloc[-1]))
    no_negative_demand(axes, own["actual"])
    axes.set_title(
        f"{first['title']}, {model_name(first['model'])}\n{season} week from "
        f"{hours.iloc[0]:%-d %B %Y}"
    )


def reliability(data: pd.DataFrame) -> Figure:
    """Observed share of actuals at or below each level less the level; raw hollow, calibrated
    filled.
    """
    datasets, models = style.by_dataset(data), in_order(data["model"])
    levels = sorted(set(data["level"]))
    figure, grid = style.panels(1, len(datasets), height=2.5, sharey=True)
    for axes, of_dataset in zip(grid[0], datasets, strict=True):
        axes.axhline(0, **TARGET)
        for model, own in style.by_model(of_dataset):
            places = own["level"].map(levels.index) + 0.16 * (
                models.index(model) - (len(models) - 1) / 2
            )
            _both(
                axes,
                places,
                100 * (own["observed"] - own["level"]),
                100 * (own["observed_calibrated"] - own["level"]),
                model,
            )
        axes.set(
            title=of_dataset["title"].iloc[0],
            xlabel="quantile level",
            xlim=(-0.6, len(levels) - 0.4),
        )
        axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        axes.grid(axis="x", visible=False)
    grid[0, 0].set_ylabel("observed share less level in pp")
    style.legend_below(figure, [*style.model_handles(models, ls=""), *RAW_AND_CALIBRATED])
    return figure


def _both(
    axes: Axes, x: Any, raw: Any, calibrated: Any, model: str, *, upright: bool = True
) -> None:
    """Raw values as hollow markers joined to the calibrated ones, filled, along y or, if not
    ``upright``, along x.
    """
    colour, marker = model_colour(model), model_marker(model)
    for place, before, after in zip(x, raw, calibrated, strict=True):
        ends = [place, place], [before, after]
        axes.plot(*(ends if upright else ends[::-1]), color=colour, lw=0.6, alpha=0.7)
    for values, fill in ((raw, "white"), (calibrated, colour)):
        axes.plot(
            *((x, values) if upright else (values, x)),
            marker,
            color=colour,
            mfc=fill,
            ms=3.5,
            ls="",
        )


def by_hour(data: pd.DataFrame) -> Figure:
    """MAE and PICP per hour ahead, families and the best baseline (dashed); a column per dataset."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(2, len(datasets), height=3.6, sharex=True)
    for (top, bottom), of_dataset in zip(grid.T, datasets, strict=True):
        for model, own in style.by_model(of_dataset):
            for axes, score in ((top, "mae"), (bottom, "picp")):
                axes.plot(own["ahead"], own[score], color=model_colour(model), **_line(model))
        first = of_dataset.iloc[0]
        top.set(title=first["title"], ylim=(0, None), ylabel=f"MAE in {unit_text(first['unit'])}")
        style.coverage_line(bottom)
        bottom.set(xlabel="hours ahead", xticks=(1, 6, 12, 18, 24), ylim=_picp_limits(data["picp"]))
    grid[1, 0].set_ylabel("PICP in %")
    style.legend_below(
        figure,
        [
            handle
            for model in in_order(data["model"])
            for handle in style.model_handles([model], marker="", **_line(model))
        ],
    )
    return figure


def _line(model: str) -> dict[str, Any]:
    """Families as a line, a baseline dashed."""
    return {"lw": 1.1} if model in family_names() else {"lw": 0.9, "ls": (0, (4, 2))}


def _picp_limits(values: pd.Series) -> tuple[float, float]:
    """Coverage from 50 % or, if a value is lower, from the ten below it."""
    return min(50.0, 10 * np.floor(values.min() / 10)), 101


def drift(data: pd.DataFrame) -> Figure:
    """How the mean error over four weeks moves through the test split; a panel per dataset."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(1, len(datasets), height=2.2)
    for axes, of_dataset in zip(grid[0], datasets, strict=True):
        for model, own in style.by_model(of_dataset):
            axes.plot(own["day"], own["error"], color=model_colour(model), **_line(model))
        first = of_dataset.iloc[0]
        axes.axhline(0, **TARGET)
        axes.set(
            title=first["title"],
            ylabel=f"mean error in {unit_text(first['unit'])}",
            xlabel="end of the 28 days",
        )
        date_axis(axes, 2, 4)
    style.legend_below(figure, style.model_handles(data["model"], marker=""))
    return figure


def baseline_vs_optimised(data: pd.DataFrame) -> Figure:
    """MAE and PICP of every row with bootstrap intervals, the lowest MAE on top; a row of panels
    per dataset.
    """
    datasets = style.by_dataset(data)
    counts = [len(own) for own in datasets]
    figure, grid = style.panels(
        len(datasets),
        2,
        height=min(0.5 + 0.55 * len(datasets) + 0.16 * sum(counts), 7.8),
        sharey="row",
        height_ratios=counts,
        width_ratios=(3, 2),
    )
    for (left, right), own in zip(grid, datasets, strict=True):
        near = 1.1 * own["mae_high"][~own["model"].str.startswith("NAIVE")].max()
        for place, row in enumerate(own.to_dict("records")):
            colour, marker = model_colour(row["model"]), model_marker(row["model"])
            for axes, score in ((left, "mae"), (right, "picp")):
                if score == "mae" and row["mae"] > near:
                    _beyond(axes, place, row["mae"], colour)
                    continue
                axes.plot(
                    [row[f"{score}_low"], row[f"{score}_high"]], [place] * 2, color=colour, lw=0.9
                )
            if row["mae"] <= near:
                left.plot(row["mae"], place, marker, color=colour, ms=4)
            _both(
                right, [place], [row["picp"]], [row["picp_calibrated"]], row["model"], upright=False
            )
        left.set_yticks(range(len(own)), [_row_name(row) for row in own.to_dict("records")])
        left.set(
            ylim=(len(own) - 0.4, -0.6),
            xlabel=f"MAE in {unit_text(own['unit'].iloc[0])}",
            xlim=(None, near),
        )
        style.coverage_line(right, vertical=True)
        right.set(xlabel="PICP in %", xlim=_picp_limits(own["picp_low"]))
        left.set_title(own["title"].iloc[0], loc="left")
    interval = Line2D([], [], color=INK, label="95 % bootstrap interval")
    style.legend_below(figure, [interval, *RAW_AND_CALIBRATED])
    return figure


def _row_name(row: Mapping[Hashable, Any]) -> str:
    return ", ".join(filter(None, (model_name(row["model"]), PARAMS[row["params"]])))


def _beyond(axes: Axes, place: float, value: float, colour: str) -> None:
    """A value beyond the panel: an arrow at its edge, and the number."""
    axes.annotate(
        f"{number(value)} \u2192",
        (1, place),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="center",
        fontsize=7,
        color=colour,
    )


def significance(data: pd.DataFrame) -> Figure:
    """Difference of pinball loss in percent of every two models; bold where it is significant."""
    datasets = style.by_dataset(data)
    rows = -(-len(datasets) // 2)
    figure, grid = style.panels(rows, 2, height=0.6 + 2.75 * rows)
    panels = list(grid.ravel())
    for axes, own in zip(panels, datasets, strict=False):
        _matrix(axes, own)
    for axes in panels[len(datasets) :]:
        axes.set_axis_off()
    lines = [
        "Pinball loss of the row's model relative to the",
        "column's, in %; blue: the row is better.",
        "Bold: p < 0.05 in a Diebold-Mariano test over the",
        "days of the test split, after Holm's correction for",
        "all pairs of the dataset. Colours end at ±50 %.",
    ]
    if len(panels) > len(datasets):
        style.write_inside(panels[-1], "\n".join(lines), "black")
    else:
        figure.supxlabel(f"{' '.join(lines[:2])}\n{' '.join(lines[2:])}", fontsize=8)
    return figure


def _matrix(axes: Axes, own: pd.DataFrame) -> None:
    models = list(own.groupby("row")["difference"].mean().sort_values(kind="stable").index)
    differences, p_values = (
        own.pivot(index="row", columns="column", values=key)
        .reindex(index=models, columns=models)
        .to_numpy()
        for key in ("difference", "p_holm")
    )
    axes.imshow(differences, cmap="RdBu_r", norm=TwoSlopeNorm(0, -50, 50), aspect="auto")
    for i, j in zip(*np.nonzero(~np.eye(len(models), dtype=bool)), strict=True):
        value = round(float(differences[i, j]))
        axes.text(
            j,
            i,
            f"{value:+d}".replace("-", "\u2212") if value else "0",
            ha="center",
            va="center",
            fontsize=7,
            weight="bold" if p_values[i, j] < SIGNIFICANCE else "normal",
            color="white" if abs(value) > 32 else "black",
        )
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
"""Grouping of the coverage -> label of the axis, groups in order, and their ticks (hours: every
sixth).
"""


def coverage(data: pd.DataFrame) -> Figure:
    """PICP by local hour (calibrated, raw dotted), weekday, season and level of the forecast; a row
    per dataset.
    """
    datasets, models = style.by_dataset(data), in_order(data["model"])
    figure, grid = style.panels(
        len(datasets),
        len(GROUPS),
        height=0.7 + 1.45 * len(datasets),
        sharey=True,
        sharex="col",
        width_ratios=(1.5, 1.2, 0.8, 0.7),
    )
    for row, of_dataset in zip(grid, datasets, strict=True):
        for axes, (by, (_, groups, ticks)) in zip(row, GROUPS.items(), strict=True):
            for k, model in enumerate(models):
                own = of_dataset[(of_dataset["by"] == by) & (of_dataset["model"] == model)]
                raw, calibrated = (
                    own.set_index("group")[name].reindex(groups)
                    for name in ("picp", "picp_calibrated")
                )
                if by == "hour":
                    axes.plot(range(24), raw, color=model_colour(model), lw=0.7, ls=":")
                    axes.plot(range(24), calibrated, color=model_colour(model), lw=0.9)
                else:
                    _both(
                        axes,
                        np.arange(len(groups)) + 0.2 * (k - (len(models) - 1) / 2),
                        raw,
                        calibrated,
                        model,
                    )
            style.coverage_line(axes)
            if by == "hour":
                axes.set_xticks(range(0, 24, 6), groups[::6])
            else:
                axes.set_xticks(range(len(groups)), ticks)
                axes.set_xlim(-0.6, len(groups) - 0.4)
        row[0].set_ylabel(f"{of_dataset['title'].iloc[0]}\nPICP in %")
    grid[0, 0].set_ylim(_picp_limits(pd.concat([data["picp"], data["picp_calibrated"]])))
    for axes, (label, _, _) in zip(grid[-1], GROUPS.values(), strict=True):
        axes.set_xlabel(label)
    style.legend_below(figure, [*style.model_handles(models), *RAW_AND_CALIBRATED])
    return figure
