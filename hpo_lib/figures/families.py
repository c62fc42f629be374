"""A look into one trained network of each family: stacks, weights, periods."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.figures.series import spread_origins
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    PINK,
    TARGET,
    hours_axis,
    marked_by_source,
    model_colour,
    on_screen,
    panels,
)

if TYPE_CHECKING:
    from hpo_lib.families.insight import FusionWeights, Periods, StackForecasts
    from hpo_lib.families.models import Forecaster

STACK_COLOURS = (BLUE, "#E69F00", "#009E73", PINK, ACCENT)
LARGEST_FIRST = 12
"""Variables that are shown one by one; the others are summed."""


@on_screen()
def stacks(forecaster: "Forecaster", data: Dataset) -> list[Figure]:
    """N-HiTS: forecasts of three days as the sum of what the stacks add, and the sizes of these."""
    from hpo_lib.families.insight import stack_forecasts

    parts, unit = stack_forecasts(forecaster), data.spec.unit
    days = spread_origins(len(parts.base), 4)[:3]
    return _marked(data, draw_stacks(parts, days, unit), draw_stack_sizes(parts, unit))


@on_screen()
def fusion(forecaster: "Forecaster", data: Dataset) -> list[Figure]:
    """TFT: the weights of the variables, and the attention on the hours of the past week."""
    from hpo_lib.families.insight import fusion_weights

    weights = fusion_weights(forecaster)
    return _marked(data, draw_variables(weights), draw_attention(weights.attention))


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
    return _marked(data, draw_periods(spectrum), image)


def _marked(data: Dataset, *figures: Figure) -> list[Figure]:
    return [marked_by_source(figure, data.source) for figure in figures]


def _medians(parts: "StackForecasts") -> np.ndarray:
    """[N, S, H] what each stack adds to the median."""
    return parts.stacks[..., parts.forecasts.levels.index(0.5)]


def draw_stacks(parts: "StackForecasts", days: Sequence[int], unit: str) -> Figure:
    """Median forecasts, and below them what each stack adds to the base.

    They are those of a few origins, given as positions in ``parts``.
    """
    added, forecasts = _medians(parts), parts.forecasts
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


def draw_stack_sizes(parts: "StackForecasts", unit: str) -> Figure:
    """How much each stack moves the median, by hour ahead: the mean size of what it adds."""
    figure, ((axes,),) = panels(1, 1, height=2.8, width=6)
    rates = [f"{rate} hours" if rate > 1 else "hour" for rate in parts.hours]
    names = [f"stack {s} (a value every {rate})" for s, rate in enumerate(rates, 1)]
    sizes = pd.DataFrame(np.abs(_medians(parts)).mean(axis=0).T, columns=names)
    sizes.index += 1
    sizes.plot(ax=axes, style=".-", color=STACK_COLOURS, legend=False)
    hours_axis(axes)
    axes.set(ylabel=f"mean size in {unit}", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def draw_variables(weights: "FusionWeights") -> Figure:
    """Mean weight of every variable, with the 10 to 90 % range over origins."""
    tables = {"the past week": weights.history, "the day ahead": weights.future}
    n_bars = min(max(len(table.columns) for table in tables.values()), LARGEST_FIRST + 1)
    figure, (row,) = panels(1, 2, height=0.7 + 0.26 * n_bars, width=9)
    for axes, (title, table) in zip(row, tables.items(), strict=True):
        sns.barplot(
            _largest(100 * table),
            orient="h",
            errorbar=("pi", 80),
            color=model_colour("TFT_Q"),
            width=0.7,
            saturation=1,
            err_kws={"color": "#000000", "linewidth": 1.2},
            ax=axes,
        )
        axes.axvline(100 / len(table.columns), **TARGET)
        axes.set(title=f"{title}: {len(table.columns)} variables", xlabel="weight in %")
    return figure


def _largest(weights: pd.DataFrame) -> pd.DataFrame:
    """The variables with the largest mean weight first; many small ones become one column."""
    weights = weights[weights.mean().sort_values(ascending=False, kind="stable").index]
    rest = weights.columns[LARGEST_FIRST:]
    if len(rest) < 2:
        return weights
    others = {f"{len(rest)} others together": weights[rest].sum(axis=1)}
    return weights.drop(columns=rest).assign(**others)


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


def draw_periods(spectrum: "Periods") -> Figure:
    """The spectrum of each block with the periods that it folds by, and what each image weighs."""
    n_blocks, n_periods = spectrum.hours.shape
    figure, rows = panels(n_blocks, 2, height=0.5 + 2.0 * n_blocks, width=9, width_ratios=(2, 1))
    lengths = spectrum.length / np.arange(1, spectrum.amplitude.shape[1] + 1)
    colour, ticks = model_colour("TIMESNET_Q"), [2, 4, 6, 8, 12, 24, 48, 96, 192]
    weights = 100 * spectrum.weights.mean(axis=0)
    blocks = zip(rows, spectrum.hours, spectrum.amplitude, weights, strict=True)
    for block, ((left, right), hours, amplitude, weight) in enumerate(blocks, 1):
        strongest = amplitude.argsort()[::-1][:n_periods]
        left.plot(lengths, amplitude, color="#777777", lw=1)
        left.plot(lengths[strongest], amplitude[strongest], "o", color=colour, ms=5)
        folds = ", ".join(map(str, sorted(set(hours))))
        state = f"folds by {folds} h" if amplitude.any() else "untrained"
        left.set(xscale="log", ylabel="amplitude", ylim=(0, None), title=f"block {block}: {state}")
        left.set_xticks(ticks, labels=ticks)
        left.minorticks_off()
        right.bar(range(n_periods), weight, color=colour, width=0.7)
        right.set_xticks(range(n_periods), [f"{hour} h" for hour in hours])
        right.set(ylabel="weight in %", ylim=(0, None))
    rows[-1, 0].set_xlabel("period in hours")
    rows[-1, 1].set_xlabel("image of period")
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
