"""What drives the forecasts: of every model, from stored explanations, and inside each family."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.benchmark.explanations import (
    LINEAR,
    MEAN,
    Explanations,
    deletion,
    mean_deletion,
    order_of,
    shapley_values,
)
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.linear_baseline import MEDIAN
from hpo_lib.figures import style
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.series import spread_origins
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    INK,
    PINK,
    TARGET,
    hours_axis,
    marked_by_source,
    model_colour,
    on_screen,
    panels,
)

if TYPE_CHECKING:
    from hpo_lib.families.insight import StackForecasts
    from hpo_lib.families.models import Forecaster

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


def draw(
    fill: Callable[[Axes, Explanations], Iterable[str]], data: Sequence[Explanations]
) -> Figure:
    """A figure with a panel for each dataset, filled by a function that returns drawn models."""
    figure, [row] = panels(1, len(data), height=3.6)
    models = list[str]()
    for axes, one in zip(row, data, strict=True):
        axes.set_title(one.facts["title"])
        models.extend(fill(axes, one))
    if models:
        style.legend_below(figure, style.model_handles(models))
    return figure


def losses(one: Explanations) -> pd.DataFrame:
    """What each group adds to the ``mae`` of each model and ``seed``, with its interval."""
    table = one.table().query("what == 'mae' and group not in ['none', 'all']")
    return table.rename(columns={"value": "mae", "low": "mae_low", "high": "mae_high"})


def fill_losses(axes: Axes, one: Explanations) -> Iterable[str]:
    """Groups below each other, in each the models: means with intervals, and ticks for seeds."""
    rows, groups = losses(one), one.facts["players"]
    rows["y"] = rows["group"].map(groups.index) + style.beside(rows["model"], 0.12)
    means, seeds = rows[rows["seed"] == MEAN], rows[rows["seed"] != MEAN]
    axes.plot(seeds["mae"], seeds["y"], "|", color=INK)
    colours = [*means["model"].map(model_colour)]
    axes.hlines(means["y"], means["mae_low"], means["mae_high"], colours)
    style.draw_models(axes, means, "mae", "y", ls="")
    axes.axvline(0, **TARGET)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_xlabel(f"added to the MAE in {one.unit}")
    axes.invert_yaxis()
    return means["model"]


def fill_hours(axes: Axes, one: Explanations) -> Iterable[str]:
    """Group by hour ahead as shades: the mean size of what it adds, of the best model."""
    sizes = {}
    for what in ("median", "width"):
        values = np.abs(shapley_values(one.games(what)[one.best])).mean(axis=1)
        sizes[what] = pd.DataFrame(values, one.facts["players"], range(1, 1 + HORIZON))
    sns.heatmap(pd.concat(sizes), ax=axes, cmap="Blues", xticklabels=3)
    axes.set(xlabel="hours ahead", ylabel=f"{style.model_name(one.best[0])}, {one.unit}")
    return ()


def fill_day(axes: Axes, one: Explanations) -> Iterable[str]:
    """The day that the groups move furthest, of the best model."""
    medians = one.games("median")
    daily = medians[one.best].mean(axis=2)
    day = np.abs(daily[-1] - daily[0]).argmax()
    average = medians.get((LINEAR, "own", MEAN), daily)[0, day].mean()
    fill_steps(axes, daily[:, day], one.facts["players"], average, one.unit)
    axes.set_ylabel(f"{style.model_name(one.best[0])}, after {one.facts['days'][day]}")
    return ()


def fill_steps(
    axes: Axes, daily: np.ndarray, groups: Iterable[str], average: float, unit: str
) -> None:
    """A waterfall from ``average`` to a daily mean [2^g] with all information."""
    added = np.array([daily[0] - average, *shapley_values(daily)])
    ends = average + np.cumsum([0, *added])
    colours = np.where(added > 0, ACCENT, BLUE)
    bars = axes.barh(["model", *groups], added, left=ends[:-1], color=colours)
    axes.bar_label(bars, style.aligned(added), padding=4, fontsize=6)
    begin, end = style.aligned(ends[[0, -1]])
    axes.set_xlabel(f"daily mean in {unit}, from {begin} (average day) to {end}")
    axes.invert_yaxis()
    axes.use_sticky_edges = False
    axes.margins(x=0.12)


def fill_deletions(axes: Axes, one: Explanations) -> Iterable[str]:
    """MAE without the first groups in a model's own order; dashed in the mean over all orders."""
    means = {row[0]: loss for row, loss in one.losses().items() if row[2] == MEAN}
    for model, loss in means.items():
        axes.plot(deletion(loss, order_of(loss)), color=model_colour(model))
        axes.plot(mean_deletion(loss), "--", color=model_colour(model))
    axes.set(xlabel="groups hidden", ylabel=f"MAE in {one.unit}")
    return means


PICTURES = {
    "explanation_loss": (
        explained,
        partial(draw, fill_losses),
        "What each group of information adds to the MAE of each model; ticks are seeds. "
        f"{ESTIMAND}",
    ),
    "explanation_hours": (
        explained,
        partial(draw, fill_hours),
        "By how much each group moves the median and the width of the interval by hour ahead, of "
        f"the explained model with the lowest MAE. {ESTIMAND}",
    ),
    "explanation_day": (
        explained,
        partial(draw, fill_day),
        "From the linear baseline's forecast without any information to the forecast, of the day "
        f"that the groups move furthest. {ESTIMAND}",
    ),
    "explanation_deletion": (
        explained,
        partial(draw, fill_deletions),
        "MAE as groups are hidden one after the other, the most valuable of each model first; "
        f"dashed: in the mean over all orders. {ESTIMAND}",
    ),
}
"""Name of the files -> the data of a figure, its drawer, and its caption without the data."""

# Inside the network of each family

STACK_COLOURS = (BLUE, "#E69F00", "#009E73", PINK, ACCENT)
LARGEST_FIRST = 12
"""Claims that are shown; a title counts all."""


@on_screen()
def stacks(forecaster: "Forecaster", data: Dataset) -> list[Figure]:
    """N-HiTS: forecasts of three days as the sum of what the stacks add, and the sizes of these."""
    from hpo_lib.families.insight import stack_forecasts

    parts, unit = stack_forecasts(forecaster), data.spec.unit
    days = spread_origins(len(parts.base), 4)[:3]
    sizes = draw_claims("NHITS_Q", f"mean size in {unit}", {"stacks": parts.sizes})
    return _marked(data, draw_stacks(parts, days, unit), sizes)


@on_screen()
def fusion(forecaster: "Forecaster", data: Dataset) -> list[Figure]:
    """TFT: the weights of the variables, and the attention on the hours of the past week."""
    from hpo_lib.families.insight import fusion_weights

    weights = fusion_weights(forecaster)
    tables = {"variables of the past week": weights.history}
    tables["variables of the day ahead"] = weights.future
    shares = draw_claims("TFT_Q", "weight", tables)
    return _marked(data, shares, draw_attention(weights.attention))


@on_screen()
def periods(forecaster: "Forecaster", data: Dataset) -> list[Figure]:
    """TimesNet: the dominant periods, and one window of the validation split folded by them."""
    from hpo_lib.families import insight

    spectrum, forecasts = insight.periods(forecaster), forecaster.validation
    n = spread_origins(len(forecasts.origins), 4)[1]
    end = data.validation_origins[n] + 1
    window = np.append(data.target.to_numpy()[end - HISTORY : end], forecasts.median[n])
    when = f"{forecasts.origins[n]:%A %Y-%m-%d %H:%M} UTC"
    image = draw_folded_window(window, spectrum.hours[0], data.spec.unit, when)
    shares = draw_claims("TIMESNET_Q", "weight", {"periods": spectrum.of_periods})
    return _marked(data, shares, image)


def _marked(data: Dataset, *figures: Figure) -> list[Figure]:
    return [marked_by_source(figure, data.source) for figure in figures]


def draw_stacks(parts: "StackForecasts", days: Sequence[int], unit: str) -> Figure:
    """Median forecasts, and below them what each stack adds to the base.

    They are those of a few origins, given as positions in ``parts``.
    """
    added, forecasts = parts.stacks[..., MEDIAN], parts.forecasts
    n_stacks = len(parts.hours)
    figure, grid = panels(
        n_stacks + 1,
        len(days),
        height=1.5 + 1.15 * n_stacks,
        width=3.0 * len(days) + 0.8,
        sharex=True,
        sharey="row",
        height_ratios=[1.6, *[1.0] * n_stacks],
    )
    hours = np.arange(1, HORIZON + 1)
    for (top, *below), n in zip(grid.T, days, strict=True):
        top.plot(hours, parts.base[n], "--", c="#999999", lw=1, label=f"base: {parts.base_name}")
        colour = model_colour("NHITS_Q")
        top.plot(hours, forecasts.median[n], c=colour, label="median = base + stacks")
        top.plot(hours, forecasts.actual[n], ".-", c="#000000", lw=1, ms=4, label="actual")
        top.set_title(f"{forecasts.origins[n]:%a %Y-%m-%d %H:%M} UTC")
        for axes, values, colour in zip(below, added[n], cycle(STACK_COLOURS), strict=False):
            axes.axhline(0, **TARGET)
            axes.bar(hours, values, color=colour)
        hours_axis(below[-1], 6)
    for row, axes in enumerate(grid[:, 0]):
        axes.set_ylabel(f"stack {row}\nadds {unit}" if row else unit)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def draw_claims(model: str, label: str, tables: Mapping[str, pd.DataFrame]) -> Figure:
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
            width=0.7,
            saturation=1,
            err_kws={"color": "#000000", "linewidth": 1.2},
            ax=axes,
        )
        axes.axvline(table.to_numpy().mean(), **TARGET)
        axes.set(title=f"{len(table.columns)} {title}", xlabel=label)
    return figure


def draw_attention(attention: np.ndarray) -> Figure:
    """Attention on each hour of the week and the day ahead, of all hours ahead and of each."""
    mean = 100 * attention.mean(axis=0)
    figure, ((upper,), (lower,)) = panels(
        2, 1, height=4.2, width=9, sharex=True, height_ratios=(1, 1.3)
    )
    edges = np.arange(0.5 - HISTORY, HORIZON + 1)  # the hour of the origin is 0
    colour = model_colour("TFT_Q")
    upper.stairs(mean.mean(axis=0), edges, fill=True, color=colour, alpha=0.5)
    upper.axhline(100 / (HISTORY + HORIZON), label="equal attention", **TARGET)
    upper.set(ylabel="attention in %", ylim=(0, None))
    upper.legend(loc="upper left")
    extent = edges[0], edges[-1], 0.5, HORIZON + 0.5
    seen = np.ma.masked_equal(mean, 0)
    image = lower.imshow(seen, extent=extent, origin="lower", vmin=0)
    figure.colorbar(image, ax=lower, label="attention in %", pad=0.01)
    lower.set(xlabel="hours from the origin", ylabel="hours ahead", yticks=(1, 6, 12, 18, 24))
    lower.set_xticks(range(24 - HISTORY, HORIZON + 1, 24))
    for axes in (upper, lower):
        axes.axvline(0.5, color="#000000", lw=1)
    return figure


def draw_folded_window(window: np.ndarray, hours: np.ndarray, unit: str, when: str) -> Figure:
    """A week of the target and the median forecast after it [T], folded by periods in hours."""
    hours = pd.unique(hours)[:4]  # neighbouring frequencies may have the same period
    figure, (row,) = panels(1, len(hours), height=3.0, width=2.3 * len(hours) + 1.0)
    for axes, period in zip(row, hours, strict=True):
        rest = -len(window) % period
        image = np.pad(window, (0, rest), constant_values=np.nan).reshape(-1, period)
        extent = 0, period, len(image), 0
        axes.imshow(image, extent=extent, vmin=window.min(), vmax=window.max())
        full, column = divmod(HISTORY, period)  # the line between history and forecast
        steps = [0, column, column, period], [full + 1, full + 1, full, full]
        axes.plot(*steps, color=ACCENT, lw=1.5, clip_on=False)
        axes.set(title=f"period {period} h", xlabel="hour of the period")
    row[0].set_ylabel("period, the first on top")
    figure.colorbar(row[0].images[0], ax=row, label=unit, pad=0.01)
    figure.suptitle(f"week before {when}, and below the line the median forecast")
    return figure
