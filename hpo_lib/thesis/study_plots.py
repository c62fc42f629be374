"""The figures of studies, drawn from the plain data of `study_data`."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hpo_lib.records.selection import COVERAGE_TOLERANCE
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.thesis import figure_style
from hpo_lib.thesis.figure_style import INK
from hpo_lib.views.model_style import in_order, model_colour, model_marker, model_name, unit_text

PENALTY = f"|PICP \u2212 {NOMINAL_COVERAGE:g}|"
RING: dict[str, Any] = {"mfc": "none", "mec": INK, "mew": 0.8}
BAND: dict[str, Any] = {"color": "#000000", "alpha": 0.06, "lw": 0}
HATCHED: dict[str, Any] = {"facecolor": "white", "hatch": "/////", "lw": 0.5}


def fronts(data: pd.DataFrame) -> Figure:
    """Both objectives of every complete trial, a panel per model and dataset."""
    models, datasets = in_order(data["model"]), figure_style.by_dataset(data)
    figure, grid = figure_style.panels(
        len(models), len(datasets), height=0.75 + 1.55 * len(models), sharex="col", sharey=True
    )
    for column, of_dataset in zip(grid.T, datasets, strict=True):
        for axes, model in zip(column, models, strict=True):
            _front(axes, of_dataset[of_dataset["model"] == model], model_colour(model))
        column[0].set_title(of_dataset["title"].iloc[0])
        column[-1].set_xlabel(f"MAE in {unit_text(of_dataset['unit'].iloc[0])}")
    for axes, model in zip(grid[:, 0], models, strict=True):
        axes.set_ylabel(f"{model_name(model)}\n{PENALTY} in pp")
    grid[0, 0].set_ylim(0, None)
    handles = [
        Line2D([], [], ls="", marker="o", color=figure_style.GREY, label="trial"),
        Line2D([], [], marker="o", color=INK, label="Pareto front"),
        Line2D([], [], ls="", marker="s", ms=6, label="untuned defaults", **RING),
        Line2D([], [], ls="", marker="*", ms=6, label="chosen", **RING),
        Patch(label=f"PICP {NOMINAL_COVERAGE:g} ± {COVERAGE_TOLERANCE:g} %", **BAND),
    ]
    figure_style.legend_below(figure, handles)
    return figure


def _front(axes: Axes, own: pd.DataFrame, colour: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if own.empty:
        figure_style.write_inside(axes, "no study")
        return
    axes.axhspan(0, COVERAGE_TOLERANCE, **BAND)
    axes.plot(own["mae"], own["picp_penalty"], "o", color=figure_style.GREY, ms=3)
    front = own[own["front"]].sort_values(["mae", "picp_penalty"])
    axes.plot(front["mae"], front["picp_penalty"], "o-", color=colour, drawstyle="steps-post", ms=3.5)
    for column, shape, size in (("default", "s", 7), ("chosen", "*", 10)):
        axes.plot(own["mae"][own[column]], own["picp_penalty"][own[column]], shape, ms=size, **RING)


def history(data: pd.DataFrame) -> Figure:
    """Lowest MAE so far with every trial's own, and hypervolume, over the complete trials of each study."""
    datasets = figure_style.by_dataset(data)
    figure, grid = figure_style.panels(2, len(datasets), height=3.9, sharex=True)
    for (top, bottom), of_dataset in zip(grid.T, datasets, strict=True):
        for model, own in figure_style.by_model(of_dataset):
            colour = model_colour(model)
            top.plot(own["order"], own["mae"], model_marker(model), color=colour, ms=2.5, alpha=0.5)
            top.step(own["order"], own["best_mae"], where="post", color=colour)
            bottom.step(own["order"], own["hypervolume"], where="post", color=colour)
        first = of_dataset.iloc[0]
        top.set(title=first["title"], ylabel=f"MAE in {unit_text(first['unit'])}")
        bottom.set(xlabel="complete trials", ylim=(0, 1.02))
        bottom.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[1, 0].set_ylabel("hypervolume, share of box")
    lines = [
        Line2D([], [], color=INK, label="best so far"),
        Line2D([], [], ls="", marker="o", ms=2.5, alpha=0.5, color=INK, label="each trial"),
    ]
    figure_style.legend_below(figure, [*figure_style.model_handles(data["model"], ms=3), *lines])
    return figure


def importance(data: pd.DataFrame) -> Figure:
    """Importance of every hyperparameter for both objectives, a panel per model and dataset."""
    models, datasets = in_order(data["model"]), figure_style.by_dataset(data)
    parameters = [sorted(set(data["parameter"][data["model"] == model]), reverse=True) for model in models]
    sizes = [len(names) for names in parameters]
    figure, grid = figure_style.panels(
        len(models), len(datasets), height=0.8 + 0.22 * sum(sizes) + 0.3 * len(models), sharex=True, sharey="row",
        height_ratios=sizes,
    )  # fmt: skip
    for column, of_dataset in zip(grid.T, datasets, strict=True):
        for axes, model, names in zip(column, models, parameters, strict=True):
            own, colour = of_dataset[of_dataset["model"] == model], model_colour(model)
            axes.grid(axis="y", visible=False)
            shares = own.set_index("parameter").reindex(names).fillna(0)
            places = pd.Series(range(len(names)))
            axes.barh(places + 0.19, shares["mae"], 0.36, color=colour)
            axes.barh(places - 0.19, shares["picp_penalty"], 0.36, edgecolor=colour, **HATCHED)
            axes.set_yticks(places, [name.replace("_", " ") for name in names])
            if own.empty:
                figure_style.write_inside(axes, "no study")
        column[0].set_title(of_dataset["title"].iloc[0])
        column[-1].set(xlabel="share of importance", xlim=(0, 1), xticks=(0, 0.5, 1))
    for axes, model in zip(grid[:, 0], models, strict=True):
        axes.set_ylabel(model_name(model))
    figure.align_ylabels(grid[:, 0])
    handles = [Patch(color=INK, label="for MAE"), Patch(edgecolor=INK, label=f"for {PENALTY}", **HATCHED)]
    figure_style.legend_below(figure, handles)
    return figure


def cost(data: pd.DataFrame) -> Figure:
    """Seconds of every trial (each a dot, the bar is their median), and hours of the whole study."""
    models, datasets = in_order(data["model"]), figure_style.by_dataset(data)
    figure, grid = figure_style.panels(1, 2, height=2.6)
    left, right = grid[0]
    for j, of_dataset in enumerate(datasets):
        for model, own in figure_style.by_model(of_dataset):
            colour = model_colour(model)
            place = j + 0.24 * (models.index(model) - (len(models) - 1) / 2)
            left.plot([place] * len(own), own["seconds"], model_marker(model), color=colour, ms=3, alpha=0.6)
            left.plot([place - 0.09, place + 0.09], [own["seconds"].median()] * 2, color=INK, lw=1.2)
            right.bar(place, own["hours"].iloc[0], 0.2, color=colour)
    for axes in (left, right):
        axes.set_xticks(range(len(datasets)), [own["title"].iloc[0].replace(", ", ",\n") for own in datasets])
        axes.set_xlim(-0.5, len(datasets) - 0.5)
        axes.grid(axis="x", visible=False)
    left.set(yscale="log", ylabel="seconds per trial")
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.set(ylabel="hours of training per study")
    median = Line2D([], [], color=INK, lw=1.2, label="median")
    figure_style.legend_below(figure, [*figure_style.model_handles(models), median])
    return figure
