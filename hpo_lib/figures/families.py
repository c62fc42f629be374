"""The parts of a family's own notebook: a look into the chosen configuration, which is trained
again for it.

A study keeps forecasts, not weights, so the training is repeated with the same seed and budget.
Each function prints how far its forecasts are from the stored ones.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY
from hpo_lib.families.models import RECIPES, Forecaster, get_family
from hpo_lib.figures import study_figures, study_tables
from hpo_lib.figures.style import ACCENT, BLUE, PINK, finished, model_colour
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.settings import Settings

if TYPE_CHECKING:
    from hpo_lib.families.insight import FusionWeights, Periods, StackForecasts

_STACK_COLOURS = (BLUE, "#E69F00", "#009E73", PINK, ACCENT)
_ACTUAL = {"color": "#000000", "lw": 1, "marker": ".", "ms": 4, "label": "actual"}
LARGEST_FIRST = 12
"""Variables that are shown one by one; the others are summed."""


def stack_decomposition(
    found: "StackForecasts", shown: Sequence[int], *, unit: str, source: str
) -> Figure:
    """Median forecasts of a few origins (positions in ``found``), and below them what each stack
    adds to the base.
    """
    n_stacks, horizon = found.stacks.shape[1:3]
    figure, rows = plt.subplots(
        n_stacks + 1,
        len(shown),
        figsize=(3.0 * len(shown) + 0.8, 1.5 + 1.15 * n_stacks),
        sharex=True,
        sharey="row",
        layout="constrained",
        squeeze=False,
        height_ratios=[1.6, *[1.0] * n_stacks],
    )
    hours = np.arange(1, horizon + 1)
    median = found.forecasts.levels.index(0.5)
    for column, n in zip(rows.T, shown, strict=True):
        column[0].plot(
            hours, found.base[n], color="#999999", lw=1, ls="--", label=f"base: {found.base_name}"
        )
        column[0].plot(
            hours,
            found.forecasts.median[n],
            color=model_colour("NHITS_Q"),
            label="median = base + stacks",
        )
        column[0].plot(hours, found.forecasts.actual[n], **_ACTUAL)
        column[0].set_title(f"{found.forecasts.origins[n]:%a %Y-%m-%d %H:%M} UTC", fontsize=9)
        for s, colour in zip(range(n_stacks), cycle(_STACK_COLOURS), strict=False):
            column[s + 1].axhline(0, color="#999999", lw=0.8)
            column[s + 1].bar(hours, found.stacks[n, s, :, median], width=0.8, color=colour)
        column[-1].set(
            xlabel="hours ahead", xlim=(0.5, horizon + 0.5), xticks=range(6, horizon + 1, 6)
        )
    rows[0, 0].set_ylabel(unit)
    for s in range(n_stacks):
        rows[s + 1, 0].set_ylabel(f"stack {s + 1}\nadds {unit}", fontsize=9)
    handles = rows[0, 0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return finished(figure, source)


def stack_sizes(found: "StackForecasts", *, unit: str, source: str) -> Figure:
    """How much each stack moves the median, by hour ahead: the mean over all origins of what it
    adds, without sign.
    """
    figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
    sizes = np.abs(found.stacks[..., found.forecasts.levels.index(0.5)]).mean(axis=0)
    hours = np.arange(1, sizes.shape[1] + 1)
    for s, (size, rate) in enumerate(zip(sizes, found.hours, strict=True)):
        gives = f"a value every {rate} hours" if rate > 1 else "a value every hour"
        colour = _STACK_COLOURS[s % len(_STACK_COLOURS)]
        axes.plot(hours, size, marker=".", color=colour, label=f"stack {s + 1} ({gives})")
    axes.set(
        xlabel="hours ahead", ylabel=f"mean size in {unit}", xlim=(1, hours[-1]), ylim=(0, None)
    )
    axes.set_xticks(range(3, int(hours[-1]) + 1, 3))
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return finished(figure, source)


def variable_selection(found: "FusionWeights", *, source: str) -> Figure:
    """Mean weight of every variable over all origins and hours, with the 10 to 90 % range over
    origins.
    """
    panels = [
        ("the past week", found.history_names, found.history.mean(axis=1)),
        ("the day ahead", found.future_names, found.future.mean(axis=1)),
    ]
    n_bars = [min(len(names), LARGEST_FIRST + 1) for _, names, _ in panels]
    figure, columns = plt.subplots(
        1, 2, figsize=(9, 0.7 + 0.26 * max(n_bars)), layout="constrained"
    )
    for axes, (title, names, weights) in zip(columns, panels, strict=True):
        shown, weights = _largest(names, 100 * weights)
        places = np.arange(len(shown))[::-1]
        mean = weights.mean(axis=0)
        low, high = np.quantile(weights, [0.1, 0.9], axis=0)
        axes.barh(places, mean, color=model_colour("TFT_Q"), height=0.7)
        axes.hlines(places, low, high, color="#000000", lw=1.2)
        axes.axvline(100 / len(names), color="#000000", lw=0.8, ls="--")
        axes.set_yticks(places, shown, fontsize=8)
        axes.set(xlabel="weight in %", xlim=(0, None))
        axes.set_title(f"{title}: {len(names)} variables", fontsize=10)
    return finished(figure, source)


def attention(found: "FusionWeights", *, source: str) -> Figure:
    """Attention on each hour of the past week and of the day ahead: as the mean of all hours ahead,
    and for each.
    """
    mean = 100 * found.attention.mean(axis=0)
    horizon, total = mean.shape
    history = total - horizon
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(9, 4.2), sharex=True, layout="constrained", height_ratios=(1, 1.3)
    )
    hours = np.arange(1 - history, horizon + 1)  # the hour of the origin is 0
    upper.fill_between(
        hours, mean.mean(axis=0), color=model_colour("TFT_Q"), alpha=0.5, lw=0, step="mid"
    )
    upper.axhline(100 / total, color="#000000", lw=0.8, ls="--", label="equal attention")
    upper.set(ylabel="attention in %", ylim=(0, None))
    upper.legend(fontsize=8, frameon=False, loc="upper left")
    image = lower.pcolormesh(
        np.arange(total + 1) + 0.5 - history,
        np.arange(horizon + 1) + 0.5,
        np.ma.masked_equal(mean, 0),
        cmap="cividis",
        vmin=0,
        rasterized=True,
    )
    figure.colorbar(image, ax=lower, label="attention in %", pad=0.01)
    lower.set(xlabel="hours from the origin", ylabel="hours ahead", yticks=(1, 6, 12, 18, 24))
    lower.set_xticks(range(-history + 24 - history % 24, horizon + 1, 24))
    for axes in (upper, lower):
        axes.axvline(0.5, color="#000000", lw=1)
    return finished(figure, source)


def dominant_periods(found: "Periods", *, source: str) -> Figure:
    """The spectrum of each block over training with the periods that it folds by, and how much each
    image weighs.
    """
    n_blocks = len(found.hours)
    figure, rows = plt.subplots(
        n_blocks,
        2,
        figsize=(9, 0.5 + 2.0 * n_blocks),
        layout="constrained",
        squeeze=False,
        width_ratios=(2, 1),
    )
    cycles = np.arange(1, found.amplitude.shape[1] + 1)
    colour = model_colour("TIMESNET_Q")
    for block, (left, right) in enumerate(rows):
        chosen = np.sort(_distinct(found.hours[block]))
        left.plot(found.length / cycles, found.amplitude[block], color="#777777", lw=1)
        strongest = found.amplitude[block].argsort()[::-1][: found.hours.shape[1]]
        left.plot(
            found.length / cycles[strongest],
            found.amplitude[block, strongest],
            "o",
            color=colour,
            ms=5,
        )
        left.set(xscale="log", ylabel="amplitude", ylim=(0, None))
        folds = (
            f"folds by {', '.join(map(str, chosen))} h"
            if found.amplitude[block].any()
            else "untrained"
        )
        left.set_title(f"block {block + 1}: {folds}", fontsize=9)
        left.set_xticks(
            [2, 4, 6, 8, 12, 24, 48, 96, 192], labels=map(str, [2, 4, 6, 8, 12, 24, 48, 96, 192])
        )
        left.minorticks_off()
        weights = 100 * found.weights[:, block].mean(axis=0)
        right.bar(np.arange(len(weights)), weights, color=colour, width=0.7)
        right.set_xticks(np.arange(len(weights)), [f"{hours} h" for hours in found.hours[block]])
        right.set(ylabel="weight in %", ylim=(0, None))
    rows[-1, 0].set_xlabel("period in hours")
    rows[-1, 1].set_xlabel("image of period")
    return finished(figure, source)


def folded_window(
    found: "Periods",
    history: np.ndarray,
    forecasts: QuantileForecasts,
    n: int,
    *,
    unit: str,
    source: str,
) -> Figure:
    """The window of one origin, folded by the periods of a TimesNet's first block.

    The window is ``history`` [L], the target up to the origin, and the median of the ``n``-th of
    the ``forecasts``.
    """
    window = np.concatenate([history, forecasts.median[n]])
    shown = _distinct(found.hours[0])[:4]
    figure, columns = plt.subplots(
        1, len(shown), figsize=(2.3 * len(shown) + 1.0, 3.0), layout="constrained", squeeze=False
    )
    for axes, period in zip(columns[0], shown, strict=True):
        axes.imshow(
            folded(window, period),
            aspect="auto",
            interpolation="nearest",
            cmap="cividis",
            vmin=window.min(),
            vmax=window.max(),
            extent=(0, period, -(-len(window) // period), 0),
        )
        row, column = divmod(len(history), period)  # the line between history and forecast
        axes.plot(
            [0, column, column, period],
            [row + 1, row + 1, row, row],
            color=ACCENT,
            lw=1.5,
            clip_on=False,
        )
        axes.set_title(f"period {period} h", fontsize=9)
        axes.set_xlabel("hour of the period")
    columns[0, 0].set_ylabel("period, the first on top")
    figure.colorbar(columns[0, 0].images[0], ax=columns[0], label=unit, pad=0.01)
    when = f"{forecasts.origins[n]:%A %Y-%m-%d %H:%M} UTC"
    figure.suptitle(f"week before {when}, and below the line the median forecast", fontsize=10)
    return finished(figure, source)


def folded(window: np.ndarray, period: int) -> np.ndarray:
    """[T] -> [rows, period], row after row in time; NaN where the last period is cut off by the end
    of the window.
    """
    rows = -(-len(window) // period)
    image = np.full(rows * period, np.nan)
    image[: len(window)] = window
    return image.reshape(rows, period)


def _largest(names: Sequence[str], weights: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The variables with the largest mean weight first, [N, V]; many small ones become one."""
    order = weights.mean(axis=0).argsort()[::-1]
    if len(order) <= LARGEST_FIRST + 1:
        return [names[i] for i in order], weights[:, order]
    first, rest = order[:LARGEST_FIRST], order[LARGEST_FIRST:]
    summed = weights[:, rest].sum(axis=1, keepdims=True)
    return [*(names[i] for i in first), f"{len(rest)} others together"], np.hstack(
        [weights[:, first], summed]
    )


def _distinct(hours: np.ndarray) -> list[int]:
    """Periods in their order, each once: neighbouring frequencies may round to the same period."""
    return list(dict.fromkeys(int(hour) for hour in hours))


def stacks(study: StoredStudy, settings: Settings, data: Dataset) -> tuple[Figure, Figure]:
    """N-HiTS: the forecasts of three days as the sum of what the stacks add, and how much each adds
    over all days.
    """
    from hpo_lib.families import insight

    found = insight.stack_forecasts(
        _chosen_again(study, settings, data), data.context(data.validation_origins)
    )
    names = {"unit": data.spec.unit, "source": data.source}
    shown = study_figures.spread_origins(len(data.validation_origins), 4)[:3]
    return stack_decomposition(found, shown, **names), stack_sizes(found, **names)


def fusion(study: StoredStudy, settings: Settings, data: Dataset) -> tuple[Figure, Figure]:
    """TFT: the weights of the variables, and the attention on the hours of the past week."""
    from hpo_lib.families import insight

    found = insight.fusion_weights(
        _chosen_again(study, settings, data), data.context(data.validation_origins)
    )
    selection = variable_selection(found, source=data.source)
    return selection, attention(found, source=data.source)


def periods(study: StoredStudy, settings: Settings, data: Dataset) -> tuple[Figure, Figure]:
    """TimesNet: the dominant periods, and one window of the validation split folded by them."""
    from hpo_lib.families import insight

    found = insight.periods(
        _chosen_again(study, settings, data), data.context(data.validation_origins)
    )
    n = study_figures.spread_origins(len(data.validation_origins), 4)[1]
    history = data.target.to_numpy()[data.validation_origins[n] - HISTORY + 1 :][:HISTORY]
    folded = folded_window(
        found,
        history,
        study.predictions(study.chosen.number),
        n,
        unit=data.spec.unit,
        source=data.source,
    )
    return dominant_periods(found, source=data.source), folded


def _chosen_again(study: StoredStudy, settings: Settings, data: Dataset) -> Forecaster:
    family = get_family(settings.model)
    forecaster = family.fit(
        study.chosen.params,
        data,
        family.budgets[settings.budget_name],
        seed=settings.seed,
        recipe=RECIPES[settings.recipe],
    )
    print(
        study_tables.same_forecasts(
            forecaster.validation, study.predictions(study.chosen.number), data.spec.unit
        )
    )
    return forecaster
