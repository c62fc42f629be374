"""What drives the forecasts, from stored explanations alone: plain data, and how it is drawn.

Every table names its ``dataset``, ``title`` and ``unit``; a title says how many days and donors.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hpo_lib.explain.explanation import (
    REFITTED,
    Explanation,
    by_row,
    mean_daily,
    stored_explanations,
)
from hpo_lib.explain.run import LINEAR
from hpo_lib.explain.shapley import deletion, mean_deletion, order_of, shapley_values
from hpo_lib.figures import style
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.style import ACCENT, BLUE, INK, TARGET, aligned
from hpo_lib.scoring.metrics import in_target_unit, readable_unit
from hpo_lib.scoring.uncertainty import bootstrap_interval, drawn_days

Explanations = Sequence[Explanation]
MEAN = "mean"
"""In the place of a seed: the mean over all seeds."""


def name_of(row: Any) -> str:
    """Model and params as they are printed."""
    return style.model_name(row[0]) + (f", {REFITTED}" if row[1] == REFITTED else "")


def _look(row: Any) -> dict[str, str]:
    """Colour and marker of model and params."""
    if row[1] == REFITTED:
        return {"color": INK, "marker": "s"}
    return {"color": style.model_colour(row[0]), "marker": style.model_marker(row[0])}


def named(rows: pd.DataFrame, explanations: Explanations) -> pd.DataFrame:
    """A table with the names of its dataset, in a readable unit."""
    facts = explanations[0].facts
    unit, factor = readable_unit(facts["unit"], min(one.loss[-1] for one in explanations))
    donors = facts["donors"]
    title = f"{facts['title']}: {len(donors)} days, {min(donors)} to {max(donors)} donors"
    values = {name: rows[name] * factor for name in map(str, rows) if in_target_unit(name)}
    return rows.assign(**values, dataset=facts["dataset"], title=title, unit=unit)


def of_evidence(rows: Callable[[Explanations], pd.DataFrame], evidence: Evidence) -> pd.DataFrame:
    """One table of all benchmarks whose models were explained."""
    stored = [stored_explanations(one.paths) for one in evidence.explanations]
    return style.joined(named(rows(explanations), explanations) for explanations in stored)


def figure(name: str, explanations: Explanations) -> Figure:
    """One of `PICTURES` for a notebook."""
    _, draw, rows = PICTURES[name]
    data = named(rows(explanations), explanations)
    with style.on_screen():
        return style.marked_by_source(draw(data), explanations[0].facts["source"])


def losses(explanations: Explanations) -> pd.DataFrame:
    """What each group takes off the MAE of each row, with its interval, and of each ``seed``."""
    rows = []
    for row, seeds in by_row(explanations).items():
        daily, drawn = -shapley_values(mean_daily(seeds, "mae")), drawn_days(len(seeds[0].origins))
        for i, group in enumerate(seeds[0].facts["players"]):
            mean = bootstrap_interval(daily[i], drawn)
            rows.append((*row, group, MEAN, mean.value, mean.low, mean.high))
            for one in seeds:
                rows.append((*row, group, str(one.training[2]), -one.worth[i], np.nan, np.nan))
    columns = ["model", "params", "group", "seed", "mae", "mae_low", "mae_high"]
    return pd.DataFrame(rows, columns=columns)


def draw_losses(data: pd.DataFrame) -> Figure:
    """A panel per dataset: groups below each other, in each the models with their seeds."""
    datasets = style.by_dataset(data)
    height = 0.9 + sum(0.55 * part["group"].nunique() for part in datasets)
    figure, grid = style.panels(len(datasets), 1, height=height)
    for (axes,), part in zip(grid, datasets, strict=True):
        groups = list(part["group"].unique())
        rows = list(part.groupby(["model", "params"], sort=False))
        for place, (row, values) in enumerate(rows):
            y = values["group"].map(groups.index) + (place + 0.5) / len(rows) * 0.8 - 0.4
            mean = values["seed"] == MEAN
            x, low, high = (values[mean][f"mae{end}"] for end in ("", "_low", "_high"))
            bars = {"xerr": [x - low, high - x], "ls": "", "ms": 3.5, "lw": 0.8, **_look(row)}
            axes.errorbar(x, y[mean], label=name_of(row), **bars)
            axes.plot(values[~mean]["mae"], y[~mean], ls="", marker="|", ms=5, color=INK)
        axes.axvline(0, **TARGET)
        axes.set(yticks=range(len(groups)), yticklabels=groups, title=part["title"].iloc[0])
        axes.set_xlabel(f"taken off the MAE in {style.unit_of(part)}")
        axes.invert_yaxis()
    style.legend_below(figure, grid[0, 0].get_legend_handles_labels()[0])
    return figure


def _best(explanations: Explanations) -> list[Explanation]:
    """The seeds of the row with the lowest MAE, refitted ones aside."""
    rows = [seeds for row, seeds in by_row(explanations).items() if row[1] != REFITTED]
    return min(rows, key=lambda seeds: float(np.mean([one.loss[-1] for one in seeds])))


def hours(explanations: Explanations) -> pd.DataFrame:
    """Of the most accurate row by hour ahead: what a group adds to median and width.

    ``median`` is the mean size, ``mean_width`` the mean.
    """
    seeds = _best(explanations)
    median, width = (
        shapley_values(np.mean([one.hourly(what) for one in seeds], axis=0))
        for what in ("median", "width")
    )
    parts = {"median": np.abs(median).mean(axis=1), "mean_width": width.mean(axis=1)}
    table = pd.concat(
        {
            name: pd.DataFrame(part, seeds[0].facts["players"], range(1, part.shape[1] + 1)).stack()
            for name, part in parts.items()
        },
        axis=1,
    )
    return (
        table.rename_axis(["group", "hour"]).reset_index().assign(model=name_of(seeds[0].training))
    )


def draw_hours(data: pd.DataFrame) -> Figure:
    """Group by hour ahead as shades, for the median and for the width; a row per dataset."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(len(datasets), 2, height=0.4 + 1.9 * len(datasets))
    shades: dict[str, dict[str, Any]] = {
        "median": {"cmap": "Blues", "vmin": 0},
        "mean_width": {"cmap": "RdBu_r", "center": 0},
    }
    for row, part in zip(grid, datasets, strict=True):
        for axes, (column, shade) in zip(row, shades.items(), strict=True):
            values = part.pivot(index="group", columns="hour", values=column)
            values = values.loc[part["group"].unique()]
            sns.heatmap(values, ax=axes, xticklabels=3, yticklabels=column == "median", **shade)
            what = {"median": "size, median", "mean_width": "width"}[column]
            axes.set(xlabel="hours ahead", ylabel="")
            axes.set_title(f"{part['model'].iloc[0]}: {what}, {style.unit_of(part)}")
    return figure


def steps(game: np.ndarray, players: Iterable[str], start: float) -> pd.DataFrame:
    """The waterfall of a daily mean [2^g]: what is added to ``start``, which comes first."""
    parts = dict(zip(players, shapley_values(game), strict=True))
    parts = {"average day": start, "model": game[0] - start, **parts}
    return pd.DataFrame({"step": list(parts), "median": list(map(float, parts.values()))})


def waterfall(explanations: Explanations) -> pd.DataFrame:
    """The steps of the day that the groups move furthest, of the most accurate row.

    They begin at the linear baseline's forecast without any information, where that is explained.
    """
    seeds = _best(explanations)
    game = mean_daily(seeds, "median")
    day = int(np.abs(game[-1] - game[0]).argmax())
    linear = by_row(explanations).get((LINEAR, "own"), seeds)
    table = steps(game[:, day], seeds[0].facts["players"], linear[0].daily("median")[0, day])
    return table.assign(
        model=name_of(seeds[0].training), day=f"{seeds[0].origins[day]:%Y-%m-%d %H:%M} UTC"
    )


def draw_waterfall(data: pd.DataFrame) -> Figure:
    """Each step to the daily mean of the median from where the steps before it end."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(len(datasets), 1, height=0.3 + 1.9 * len(datasets))
    for (axes,), part in zip(grid, datasets, strict=True):
        added = part["median"].to_numpy()
        ends = added.cumsum()
        widths, left = [0, *added[1:], 0], [ends[0], *ends[:-1], ends[-1]]
        colours = np.where(np.array(widths) > 0, ACCENT, BLUE)
        bars = axes.barh([*part["step"], "forecast"], widths, left=left, color=colours)
        texts = aligned([ends[0], *added[1:], ends[-1]], like=[np.abs(added[1:]).max()])
        axes.bar_label(bars, texts, padding=4, fontsize=6)
        axes.plot(ends[[0, -1]], [0, len(added)], "d", color=INK, ms=4)
        names = part["title"].iloc[0], part["model"].iloc[0], f"after {part['day'].iloc[0]}"
        axes.set(xlabel=f"daily mean in {style.unit_of(part)}", title=", ".join(names))
        axes.invert_yaxis()
        axes.use_sticky_edges = False
        axes.margins(x=0.12)
    return figure


def deletions(explanations: Explanations) -> pd.DataFrame:
    """MAE without the first groups in a row's own order, and in the mean over all orders."""
    curves = []
    for (model, params), seeds in by_row(explanations).items():
        loss = mean_daily(seeds, "mae").mean(axis=1)
        own = deletion(loss, order_of(shapley_values(loss)))
        curve = pd.DataFrame({"mae": own, "mae_of_orders": mean_deletion(loss)})
        curves.append(curve.assign(model=model, params=params))
    return pd.concat(curves).rename_axis("deleted").reset_index()


def draw_deletions(data: pd.DataFrame) -> Figure:
    """A panel per dataset: solid in the own order, dashed in the mean over all orders."""
    figure, columns = style.dataset_columns(data, 1, height=2.9)
    for (axes,), part in columns:
        for row, curve in part.groupby(["model", "params"], sort=False):
            look = _look(row)
            axes.plot(curve["deleted"], curve["mae"], label=name_of(row), ms=3.5, **look)
            axes.plot(curve["deleted"], curve["mae_of_orders"], "--", lw=0.8, color=look["color"])
        axes.set(
            xticks=part["deleted"].unique(),
            xlabel="groups hidden",
            ylabel=f"MAE in {style.unit_of(part)}",
        )
    handles = columns[0][0][0].get_legend_handles_labels()[0]
    all_orders = Line2D([], [], color=INK, ls="--", label="mean of all orders")
    style.legend_below(figure, [*handles, all_orders])
    return figure


PICTURES = {
    "loss": (
        "What each group of information takes off the MAE of each model; ticks are seeds.",
        draw_losses,
        losses,
    ),
    "hours": (
        "What each group adds to the median (mean size) and to the width of the interval by hour "
        "ahead, of the explained model with the lowest MAE.",
        draw_hours,
        hours,
    ),
    "day": (
        "From the linear baseline's forecast without any information to the forecast, of the day "
        "that the groups move furthest.",
        draw_waterfall,
        waterfall,
    ),
    "deletion": (
        "MAE as groups are hidden one after the other, the most valuable of each model first; "
        "dashed: in the mean over all orders.",
        draw_deletions,
        deletions,
    ),
}
"""Name -> what it shows, its drawer and plain data."""

ESTIMAND = (
    "Explained are the days that the title counts, spread over the split. Shapley values: a "
    "group's mean effect over all orders in which groups may become known; a hidden group is that "
    "of donor days of training of the same season (21 days of the year around the day) and hour, "
    "for the history also of the same kind of day. Means over the seeds, with 95 % block bootstrap "
    "intervals over days. Refitted: the linear baseline fitted again without the hidden groups."
)
