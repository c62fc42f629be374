"""What drives the forecasts: figures of stored explanations alone."""

from collections.abc import Callable, Iterable, Mapping

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
        Explanations.of_folder(one.paths, *one.unit_and_factor) for one in evidence.explanations
    ]


def _models(data: list[Explanations]) -> set[str]:
    return {training[0] for one in data for training in one.parts}


def losses(data: Explanations) -> pd.DataFrame:
    """What each group adds to the ``mae`` of each model and ``seed``, with its interval."""
    table = data.table().query("what == 'mae' and group not in ['none', 'all']")
    return table.rename(columns={"value": "mae", "low": "mae_low", "high": "mae_high"})


def draw_losses(data: list[Explanations]) -> Figure:
    """Groups below each other, in each the models: means with intervals, and ticks for seeds."""
    figure, [panels] = style.panels(1, len(data), height=4.2)
    for axes, one in zip(panels, data, strict=True):
        rows = losses(one)
        palette = {model: style.model_colour(model) for model in rows["model"]}
        how = {"y": "group", "hue": "model", "palette": palette, "dodge": 0.6, "ax": axes}
        how |= {"linestyle": "none", "legend": False}
        means, seeds = (rows[(rows["seed"] == MEAN) == is_mean] for is_mean in (True, False))
        # The median of a value and its bounds is the value, and their range the interval.
        bars = means.melt(["model", "group"], ["mae", "mae_low", "mae_high"], value_name="x")
        sns.pointplot(bars, x="x", estimator="median", errorbar=("pi", 100), **how)
        sns.pointplot(seeds, x="mae", marker="|", errorbar=None, **how)
        axes.axvline(0, **style.TARGET)
        axes.set(xlabel=f"added to the MAE in {one.unit}", ylabel="", title=one.facts["title"])
    style.legend_below(figure, style.model_handles(_models(data)))
    return figure


def draw_hours(data: list[Explanations]) -> Figure:
    """Group by hour ahead as shades: the mean size of what it adds, of the best model."""
    figure, columns = style.panels(2, len(data), height=4.2)
    for panels, one in zip(columns.T, data, strict=True):
        for axes, what in zip(panels, ("median", "width"), strict=True):
            sizes = np.abs(shapley_values(one.games(what)[one.best])).mean(axis=1)
            shades = pd.DataFrame(sizes, one.facts["players"], range(1, 1 + sizes.shape[1]))
            sns.heatmap(shades, ax=axes, cmap="Blues", xticklabels=3)
            axes.set(xlabel="hours ahead", ylabel=f"{what}, {one.unit}")
        panels[0].set_title(f"{one.facts['title']}\n{style.model_name(one.best[0])}")
    return figure


def draw_day(data: list[Explanations]) -> Figure:
    """The day that the groups move furthest, of the best model."""
    figure, [panels] = style.panels(1, len(data), height=2.4)
    for axes, one in zip(panels, data, strict=True):
        medians = one.games("median")
        daily = medians[one.best].mean(axis=2)
        day = np.abs(daily[-1] - daily[0]).argmax()
        average = medians.get((LINEAR, "own", MEAN), daily)[0, day].mean()
        draw_steps(axes, daily[:, day], one.facts["players"], average, one.unit)
        name = style.model_name(one.best[0])
        axes.set_title(f"{one.facts['title']}\n{name}, after {one.facts['days'][day]}")
    return figure


def draw_steps(
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


def draw_deletions(data: list[Explanations]) -> Figure:
    """MAE without the first groups in a model's own order; dashed in the mean over all orders."""
    figure, [panels] = style.panels(1, len(data), height=2.9)
    for axes, one in zip(panels, data, strict=True):
        for (model, _, seed), loss in one.losses().items():
            if seed == MEAN:
                look = {"color": style.model_colour(model)}
                axes.plot(deletion(loss, order_of(loss)), **look)
                axes.plot(mean_deletion(loss), "--", **look)
        axes.set(xlabel="groups hidden", ylabel=f"MAE in {one.unit}", title=one.facts["title"])
    style.legend_below(figure, style.model_handles(_models(data), marker=""))
    return figure


PICTURES: Mapping[str, tuple[str, Callable[[list[Explanations]], Figure]]] = {
    "explanation_loss": (
        "What each group of information adds to the MAE of each model; ticks are seeds.",
        draw_losses,
    ),
    "explanation_hours": (
        "By how much each group moves the median and the width of the interval by hour ahead, of "
        "the explained model with the lowest MAE.",
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
