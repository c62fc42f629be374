"""What drives the forecasts: of every model, from stored explanations, and inside each family."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.benchmark.explanations import (
    LINEAR,
    MEAN,
    Explanations,
    deletion,
    mean_deletion,
    shapley_values,
)
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.linear_baseline import MEDIAN
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    INK,
    TARGET,
    aligned,
    beside,
    draw_intervals,
    legend_below,
    marked_by_source,
    model_colour,
    model_handles,
    model_look,
    model_name,
    on_screen,
    panels,
    unit_text,
)
from hpo_lib.records.study import StoredStudy

if TYPE_CHECKING:
    from hpo_lib.families.insight import FusionWeights, StackForecasts


def explained(evidence: Evidence) -> list[Explanations]:
    """What was found on each dataset, in the unit in which its scores are read best."""
    return [Explanations.of_folder(one.paths, *one.unit) for one in evidence.explanations]


def draw(
    fill: Callable[[Axes, Explanations], Iterable[str]], data: Sequence[Explanations]
) -> Figure:
    """A figure with a row for each dataset, filled by a function that returns drawn models."""
    figure, grid = panels(len(data), 1, height=0.7 + 2.2 * len(data))
    models = list[str]()
    for axes, one in zip(grid[:, 0], data, strict=True):
        axes.set_title(one.facts["title"])
        models.extend(fill(axes, one))
    if models:
        legend_below(figure, model_handles(models, ls="-"))
    return figure


def losses(one: Explanations) -> pd.DataFrame:
    """What each group adds to the MAE of each model and ``seed``, with its interval."""
    return one.table().query("what == 'mae' and group not in ['none', 'all']")


def fill_losses(axes: Axes, one: Explanations) -> Iterable[str]:
    """Groups below each other, in each the models: means with intervals, and ticks for seeds."""
    rows = losses(one).rename(columns={"low": "value_low", "high": "value_high"})
    groups = one.facts["players"]
    rows["place"] = rows["group"].map(groups.index) + beside(rows["model"], 0.12)
    means = rows[rows["seed"] == MEAN]
    seeds = rows[rows["seed"] != MEAN]
    axes.plot(seeds["value"], seeds["place"], "|", color=INK)
    draw_intervals(axes, means, "value", upright=False)
    axes.axvline(0, **TARGET)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_xlabel(f"added to the MAE in {one.unit}")
    axes.invert_yaxis()
    return means["model"]


def fill_hours(axes: Axes, one: Explanations) -> Iterable[str]:
    """Group by hour ahead as shades: the mean size of what it adds, of the best model."""
    parts = "median", "width"
    values = np.vstack([shapley_values(one.games(part)[one.best]) for part in parts])
    rows = [f"{part}, {group}" for part in parts for group in one.facts["players"]]
    sizes = pd.DataFrame(np.abs(values).mean(axis=1), rows, range(1, 1 + HORIZON))
    label = {"label": f"mean size in {one.unit}"}
    sns.heatmap(sizes, ax=axes, cmap="Blues", xticklabels=3, cbar_kws=label)
    axes.set(xlabel="hours ahead", ylabel=model_name(one.best[0]))
    return ()


def fill_day(axes: Axes, one: Explanations) -> Iterable[str]:
    """The day that the groups move furthest, of the best model."""
    medians = one.games("median")
    daily = medians[one.best].mean(axis=2)
    day = np.abs(daily[-1] - daily[0]).argmax()
    average = medians.get((LINEAR, "own", MEAN), daily)[0, day].mean()
    fill_reasons(axes, daily[:, day], one.facts["players"], average, one.unit)
    days = one.facts["days"]
    axes.set_title(axes.get_title().replace(f"{len(days)} days", f"after {days[day]}"))
    axes.set_ylabel(model_name(one.best[0]))
    return ()


def fill_reasons(
    axes: Axes, daily: np.ndarray, groups: Iterable[str], average: float, unit: str
) -> None:
    """What leads from an ``average`` day to a daily mean [2^g] with all information."""
    steps = [daily[0] - average, *shapley_values(daily)]
    first, last = fill_steps(axes, pd.Series(steps, ["model", *groups]), average)
    axes.set_xlabel(f"daily mean in {unit}, from {first} (average day) to {last}")


def fill_steps(
    axes: Axes, added: pd.Series, start: float, texts: Sequence[str] = ()
) -> Sequence[str]:
    """A waterfall of what is ``added`` to a mean; ``texts``: other labels than numbers.

    Returns where it starts and ends, as texts.
    """
    ends = start + np.cumsum([0, *added])
    bars = axes.barh(added.index, added, left=ends[:-1], color=np.where(added > 0, ACCENT, BLUE))
    axes.bar_label(bars, texts or aligned(added, [added.abs().max()]), padding=4, fontsize=6)
    axes.invert_yaxis()
    axes.use_sticky_edges = False
    axes.margins(x=0.12)
    return aligned(ends[[0, -1]])


def fill_deletions(axes: Axes, one: Explanations) -> Iterable[str]:
    """MAE without the first groups in a model's own order; dashed in the mean over all orders."""
    means = {row[0]: loss for row, loss in one.losses().items() if row[2] == MEAN}
    for model, loss in means.items():
        own_order = deletion(loss, shapley_values(loss))
        axes.plot(own_order, **{**model_look(model), "lw": 1, "ls": "-"})
        axes.plot(mean_deletion(loss), "--", color=model_colour(model))
    axes.set(xlabel="groups hidden", ylabel=f"MAE in {one.unit}")
    return means


PICTURES = {
    name: (explained, partial(draw, fill))
    for name, fill in {
        "explanation_loss": fill_losses,
        "explanation_hours": fill_hours,
        "explanation_day": fill_day,
        "explanation_deletion": fill_deletions,
    }.items()
}
"""Name of the files and of the caption -> the data of a figure, and its drawer."""

# Inside the network of each family


def of_network(study: StoredStudy, show: Callable[..., Any], *given: Any) -> Any:
    """What ``show`` makes of a study's network, or why it says nothing, as a sentence."""
    if not any(study.chosen.shares or [1]):
        why = "nothing of it is kept, the linear baseline forecasts"
    elif study.is_test:
        why = "at the test budget it has learnt next to nothing"
    else:
        return show(*given)
    return Markdown(f"The network is not shown: {why}.")


LARGEST_FIRST = 12
"""Claims that are shown; a title counts all."""


@on_screen()
def draw_claims(
    model: str, data: Dataset, label: str, tables: Mapping[str, pd.DataFrame]
) -> Figure:
    """What a network says of itself, tables [N, claims]: means, with the 10 to 90 % range of days.

    A dashed line is where all of a table's claims would be alike.
    """
    n_bars = max(len(table.columns[:LARGEST_FIRST]) for table in tables.values())
    figure, (row,) = panels(1, len(tables), height=0.7 + 0.26 * n_bars, width=9)
    for axes, (title, table) in zip(row, tables.items(), strict=True):
        sns.barplot(
            table[table.mean().nlargest(LARGEST_FIRST).index],
            orient="h",
            errorbar=("pi", 80),
            color=model_colour(model),
            err_kws={"color": "#000000", "linewidth": 1.2},
            ax=axes,
        )
        axes.axvline(table.to_numpy().mean(), **TARGET)
        axes.set(title=f"{len(table.columns)} {title}", xlabel=label)
    return marked_by_source(figure, data.source)


@on_screen()
def draw_stacks(parts: "StackForecasts", data: Dataset) -> Figure:
    """N-HiTS: the daily means of three forecasts as sums of what the stacks add."""
    figure, (row,) = panels(1, 3, height=2.4, width=9, sharey=True)
    unit = unit_text(data.spec.unit)
    for quarter, axes in enumerate(row, 1):
        n = quarter * (len(parts.base) - 1) // 4
        added = pd.Series(parts.stacks[n, ..., MEDIAN].mean(axis=1), parts.sizes.columns)
        first, last = fill_steps(axes, added, parts.base[n].mean())
        axes.set_xlabel(f"daily mean in {unit},\nfrom {first} ({parts.base_name}) to {last}")
        axes.set_title(f"after {parts.origins[n]:%A %Y-%m-%d %H:%M} UTC")
    return marked_by_source(figure, data.source)


@on_screen()
def draw_attention(weights: "FusionWeights", data: Dataset) -> Figure:
    """Attention of a TFT on each hour of the week and the day ahead, mean over hours ahead."""
    figure, [[axes]] = panels(1, 1, height=2.4, width=9)
    mean = 100 * weights.attention.mean(axis=(0, 1))
    edges = np.arange(0.5 - HISTORY, HORIZON + 1)  # the hour of the origin is 0
    axes.stairs(mean, edges, fill=True, color=model_colour("TFT_Q"), alpha=0.5)
    axes.axhline(100 / len(mean), label="equal attention", **TARGET)
    axes.axvline(0.5, color="#000000", lw=1)
    axes.set(
        xlabel="hours from the origin",
        xticks=range(24 - HISTORY, HORIZON + 1, 24),
        ylabel="attention in %",
        ylim=(0, None),
    )
    axes.legend(loc="upper left")
    return marked_by_source(figure, data.source)
