"""What drives the forecasts of one dataset, drawn from stored explanations alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from hpo_lib.explain.explanation import (
    LINEAR,
    REFITTED,
    Explanations,
    game,
    losses,
    shapley_table,
    stored_explanations,
)
from hpo_lib.explain.shapley import deletion, mean_deletion, order_of, shapley_values
from hpo_lib.figures import style
from hpo_lib.figures.evidence import Evidence
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.scoring.metrics import readable_unit


def explained(folder: BenchmarkPaths) -> tuple[Explanations, dict[str, Any]]:
    """All of a folder in a readable unit, and the facts that they share, with a ``title``."""
    stored = stored_explanations(folder)
    facts = dict(next(iter(stored.values()))[0].facts)
    unit, factor = readable_unit(facts["unit"], losses(stored[_best(stored)])[-1])
    donors, facts["unit"] = facts["donors"], style.unit_text(unit)
    facts["title"] += f": {len(donors)} days, {min(donors)} to {max(donors)} donors"
    return {row: [one.times(factor) for one in seeds] for row, seeds in stored.items()}, facts


def of_page(page: Evidence) -> tuple[Explanations, dict[str, Any]]:
    """That of its only dataset."""
    return explained(page.explanations[0].paths)


def name_of(row: tuple[str, str]) -> str:
    """Model and params as they are printed."""
    return style.model_name(row[0]) + (f", {REFITTED}" if row[1] == REFITTED else "")


def _look(row: tuple[str, str]) -> dict[str, Any]:
    colour = style.INK if row[1] == REFITTED else style.model_colour(row[0])
    marker = "s" if row[1] == REFITTED else style.model_marker(row[0])
    return {"label": name_of(row), "ms": 3.5, "lw": 0.8, "color": colour, "marker": marker}


def _best(explanations: Explanations) -> tuple[str, str]:
    """The row with the lowest MAE, refitted ones aside."""
    rows = [row for row in explanations if row[1] != REFITTED]
    return min(rows, key=lambda row: losses(explanations[row])[-1])


def taken_off(explanations: Explanations) -> pd.DataFrame:
    """What each group takes off the MAE of each row and ``seed``, with its interval."""
    table = shapley_table(explanations).query("what == 'mae' and group not in ['none', 'all']")
    return table.assign(mae=-table["value"], mae_low=-table["high"], mae_high=-table["low"])


def draw_losses(explanations: Explanations, facts: Mapping[str, Any]) -> Figure:
    """Groups below each other, in each the models with their seeds."""
    table, groups = taken_off(explanations), facts["players"]
    figure, [[axes]] = style.panels(1, 1, height=0.9 + 0.55 * len(groups))
    for place, row in enumerate(explanations):
        values = table[(table["model"] == row[0]) & (table["params"] == row[1])]
        y = values["group"].map(groups.index) + (place + 0.5) / len(explanations) * 0.8 - 0.4
        mean = values[values["seed"] == "mean"]
        axes.plot(values["mae"].drop(mean.index), y.drop(mean.index), "|", ms=5, color=style.INK)
        axes.hlines(y[mean.index], mean["mae_low"], mean["mae_high"], style.INK, lw=0.5)
        axes.plot(mean["mae"], y[mean.index], ls="", **_look(row))
    axes.axvline(0, **style.TARGET)
    axes.set(yticks=range(len(groups)), yticklabels=groups, title=facts["title"])
    axes.set_xlabel(f"taken off the MAE in {facts['unit']}")
    axes.invert_yaxis()
    style.legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def draw_hours(explanations: Explanations, facts: Mapping[str, Any]) -> Figure:
    """Group by hour ahead as shades: mean size of the median's values, mean of the width's."""
    row = _best(explanations)
    figure, [panels] = style.panels(1, 2, height=2.4, sharey=True)
    for axes, what, shade in zip(panels, ("median", "width"), ("Blues", "RdBu_r"), strict=True):
        values = shapley_values(game(explanations[row], what))
        values = (np.abs(values) if what == "median" else values).mean(axis=1)
        centre = None if what == "median" else 0
        labels = range(1, 1 + values.shape[1])
        data = pd.DataFrame(values, facts["players"], labels)
        sns.heatmap(data, ax=axes, cmap=shade, center=centre, xticklabels=3)
        axes.set(xlabel="hours ahead", title=f"{name_of(row)}: {what}, {facts['unit']}")
    return figure


def steps(daily: np.ndarray, groups: Iterable[str], average: float) -> pd.Series:
    """The waterfall of a daily mean [2^g]: what is added to ``average``, which comes first."""
    index = ["average day", "model", *groups]
    return pd.Series([average, daily[0] - average, *shapley_values(daily)], index)


def draw_day(explanations: Explanations, facts: Mapping[str, Any]) -> Figure:
    """The day that the groups move furthest, of the most accurate row."""
    row = _best(explanations)
    daily = game(explanations[row], "median").mean(axis=2)
    day = np.abs(daily[-1] - daily[0]).argmax()
    average = game(explanations.get((LINEAR, "own"), explanations[row]), "median")[0, day].mean()
    title = f"{facts['title']}, {name_of(row)}, after {facts['days'][day]}"
    return draw_steps(steps(daily[:, day], facts["players"], average), title, facts["unit"])


def draw_steps(added: pd.Series, title: str, unit: str) -> Figure:
    """Each of `steps` from where those before it end."""
    figure, [[axes]] = style.panels(1, 1, height=2.2)
    ends, changes = added.cumsum(), added.iloc[1:]
    colours = np.where(changes > 0, style.ACCENT, style.BLUE)
    names = [added.index[0], *changes.index, "forecast"]
    widths, left = [0, *changes, 0], [ends.iloc[0], *ends]
    bars = axes.barh(names, widths, left=left, color=["none", *colours, "none"])
    texts = style.aligned([ends.iloc[0], *changes, ends.iloc[-1]], like=[changes.abs().max()])
    axes.bar_label(bars, texts, padding=4, fontsize=6)
    axes.plot(ends.iloc[[0, -1]], [names[0], names[-1]], "d", color=style.INK, ms=4)
    axes.set(xlabel=f"daily mean in {unit}", title=title)
    axes.invert_yaxis()
    axes.use_sticky_edges = False
    axes.margins(x=0.12)
    return figure


def draw_deletions(explanations: Explanations, facts: Mapping[str, Any]) -> Figure:
    """MAE without the first groups in a row's own order; dashed in the mean over all orders."""
    figure, [[axes]] = style.panels(1, 1, height=2.9)
    for row, seeds in explanations.items():
        loss, look = losses(seeds), _look(row)
        axes.plot(deletion(loss, order_of(shapley_values(loss))), **look)
        axes.plot(mean_deletion(loss), "--", lw=0.8, color=look["color"])
    axes.set(xlabel="groups hidden", ylabel=f"MAE in {facts['unit']}", title=facts["title"])
    all_orders = style.handle("mean of all orders", color=style.INK, ls="--")
    style.legend_below(figure, [*axes.get_legend_handles_labels()[0], all_orders])
    return figure


PICTURES: Mapping[str, tuple[str, Callable[..., Figure]]] = {
    "explanation_loss": (
        "What each group of information takes off the MAE of each model; ticks are seeds.",
        draw_losses,
    ),
    "explanation_hours": (
        "What each group adds to the median (mean size) and to the width of the interval by hour "
        "ahead, of the explained model with the lowest MAE.",
        draw_hours,
    ),
    "explanation_day": (
        "From the linear baseline's forecast without any information to the forecast, of the day "
        "that the groups move furthest.",
        draw_day,
    ),
    "explanation_deletion": (
        "MAE as groups are hidden one after the other, the most valuable of each model first; "
        "dashed: in the mean over all orders.",
        draw_deletions,
    ),
}
"""Name of the files -> what it shows, and its drawer."""

ESTIMAND = (
    "Explained are the days that the title counts, spread over the split. Shapley values: a "
    "group's mean effect over all orders in which groups may become known; a hidden group is that "
    "of donor days of training of the same season (21 days of the year around the day) and hour, "
    "for the history also of the same kind of day. Means over the seeds, with 95 % block bootstrap "
    "intervals over days. Refitted: the linear baseline fitted again without the hidden groups."
)


def figure(name: str, folder: BenchmarkPaths) -> Figure:
    """One of `PICTURES` for a notebook."""
    explanations, facts = explained(folder)
    with style.on_screen():
        return style.marked_by_source(PICTURES[name][1](explanations, facts), facts["source"])
