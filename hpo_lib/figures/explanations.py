"""What drives the forecasts: figures of stored explanations alone."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.explain.explanation import (
    LINEAR,
    MEAN,
    Explanations,
    deletion,
    mean_deletion,
    order_of,
    shapley_values,
)
from hpo_lib.figures import style
from hpo_lib.figures.evidence import Evidence

ESTIMAND = (
    "Explained are the days that the title counts, spread over the split. Shapley values: a "
    "group's mean effect over all orders in which groups may become known; a hidden group is that "
    "of donor days of training of the same season (21 days of the year around the day) and hour, "
    "for the history also of the same kind of day. Means over the seeds, with 95 % block bootstrap "
    "intervals over days. Refitted: the linear baseline fitted again without the hidden groups."
)


def explained(evidence: Evidence) -> list[Explanations]:
    """What was found on each dataset, in the unit in which its scores are read best."""
    return [
        Explanations.of_folder(one.paths, style.unit_text(one.unit), one.unit_and_factor[1])
        for one in evidence.explanations
    ]


def draw(fill: Callable[[Axes, Explanations], None], data: list[Explanations]) -> Figure:
    """A figure with a panel for each dataset, filled by one of `PICTURES`."""
    figure, [panels] = style.panels(1, len(data), height=3.6)
    for axes, one in zip(panels, data, strict=True):
        axes.set_title(one.facts["title"])
        fill(axes, one)
    if handles := panels[0].get_legend_handles_labels()[0]:
        style.legend_below(figure, handles)
    return figure


def losses(one: Explanations) -> pd.DataFrame:
    """What each group adds to the ``mae`` of each model and ``seed``, with its interval."""
    table = one.table().query("what == 'mae' and group not in ['none', 'all']")
    return table.rename(columns={"value": "mae", "low": "mae_low", "high": "mae_high"})


def fill_losses(axes: Axes, one: Explanations) -> None:
    """Groups below each other, in each the models: means with intervals, and ticks for seeds."""
    groups = one.facts["players"]
    for place, (model, rows) in enumerate(style.by_model(losses(one))):
        name, colour = style.model_name(model), style.model_colour(model)
        for seed, row in rows.groupby("seed"):
            y = np.arange(len(groups)) + place / 10
            if seed == MEAN:
                bounds = np.abs(row[["mae_low", "mae_high"]].T - row["mae"])
                marker = style.model_marker(model)
                axes.errorbar(row["mae"], y, xerr=bounds, fmt=marker, color=colour, label=name)
            else:
                axes.plot(row["mae"], y, "|", color=style.INK)
    axes.axvline(0, **style.TARGET)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_xlabel(f"added to the MAE in {one.unit}")
    axes.invert_yaxis()


def fill_hours(axes: Axes, one: Explanations) -> None:
    """Group by hour ahead as shades: the mean size of what it adds, of the best model."""
    sizes = {}
    for what in ("median", "width"):
        values = np.abs(shapley_values(one.games(what)[one.best])).mean(axis=1)
        sizes[what] = pd.DataFrame(values, one.facts["players"], range(1, 1 + values.shape[1]))
    sns.heatmap(pd.concat(sizes), ax=axes, cmap="Blues", xticklabels=3)
    axes.set(xlabel="hours ahead", ylabel=f"{style.model_name(one.best[0])}, {one.unit}")


def fill_day(axes: Axes, one: Explanations) -> None:
    """The day that the groups move furthest, of the best model."""
    medians = one.games("median")
    daily = medians[one.best].mean(axis=2)
    day = np.abs(daily[-1] - daily[0]).argmax()
    average = medians.get((LINEAR, "own", MEAN), daily)[0, day].mean()
    fill_steps(axes, daily[:, day], one.facts["players"], average, one.unit)
    axes.set_ylabel(f"{style.model_name(one.best[0])}, after {one.facts['days'][day]}")


def fill_steps(
    axes: Axes, daily: np.ndarray, groups: Iterable[str], average: float, unit: str
) -> None:
    """A waterfall from ``average`` to a daily mean [2^g] with all information."""
    added = np.array([daily[0] - average, *shapley_values(daily)])
    ends = average + np.cumsum([0, *added])
    colours = np.where(added > 0, style.ACCENT, style.BLUE)
    bars = axes.barh(["model", *groups], added, left=ends[:-1], color=colours)
    axes.bar_label(bars, style.aligned(added), padding=4, fontsize=6)
    begin, end = style.aligned(ends[[0, -1]])
    axes.set_xlabel(f"daily mean in {unit}, from {begin} (average day) to {end}")
    axes.invert_yaxis()
    axes.use_sticky_edges = False
    axes.margins(x=0.12)


def fill_deletions(axes: Axes, one: Explanations) -> None:
    """MAE without the first groups in a model's own order; dashed in the mean over all orders."""
    for (model, _, seed), loss in one.losses().items():
        if seed == MEAN:
            colour = style.model_colour(model)
            own = deletion(loss, order_of(loss))
            axes.plot(own, color=colour, label=style.model_name(model))
            axes.plot(mean_deletion(loss), "--", color=colour)
    axes.set(xlabel="groups hidden", ylabel=f"MAE in {one.unit}")


PICTURES = {
    "explanation_loss": (
        fill_losses,
        "What each group of information adds to the MAE of each model; ticks are seeds. "
        f"{ESTIMAND}",
    ),
    "explanation_hours": (
        fill_hours,
        "By how much each group moves the median and the width of the interval by hour ahead, of "
        f"the explained model with the lowest MAE. {ESTIMAND}",
    ),
    "explanation_day": (
        fill_day,
        "From the linear baseline's forecast without any information to the forecast, of the day "
        f"that the groups move furthest. {ESTIMAND}",
    ),
    "explanation_deletion": (
        fill_deletions,
        "MAE as groups are hidden one after the other, the most valuable of each model first; "
        f"dashed: in the mean over all orders. {ESTIMAND}",
    ),
}
"""Name of the files -> what fills its panels, and what they show."""
