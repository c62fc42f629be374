"""The figures of studies, drawn from the plain data of `study_data`."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE, OBJECTIVES, POINTS, Objective
from hpo_lib.thesis import figure_style
from hpo_lib.thesis.figure_style import INK
from hpo_lib.views.model_style import in_order, model_colour, model_marker, model_name, unit_text

RING: dict[str, Any] = {"mfc": "none", "mec": INK, "mew": 0.8}
BAND: dict[str, Any] = {"color": "#000000", "alpha": 0.06, "lw": 0}
HATCHED: dict[str, Any] = {"facecolor": "white", "hatch": "/////", "lw": 0.5}
PLAIN: dict[str, Any] = {"facecolor": "white", "lw": 0.5}


def _objectives(data: pd.DataFrame) -> list[Objective]:
    """Those of the studies in a table, in the order of the first study that has them."""
    return [OBJECTIVES[name] for name in dict.fromkeys(",".join(data["objectives"].unique()).split(","))]


def _label(objective: Objective) -> str:
    return objective.label.replace(" - ", " \u2212 ")


def _axis(objective: Objective, unit: str) -> str:
    return f"{_label(objective)} in {'pp' if objective.unit == POINTS else unit_text(unit)}"


def fronts(data: pd.DataFrame) -> Figure:
    """The first two objectives of every complete trial, a panel per model and dataset."""
    models, datasets = in_order(data["model"]), figure_style.by_dataset(data)
    alike = data["objectives"].nunique() == 1
    figure, grid = figure_style.panels(
        len(models), len(datasets), height=0.75 + 1.55 * len(models), sharex="col" if alike else False,
        sharey=alike and _objectives(data)[1].is_coverage,
    )  # fmt: skip
    for column, of_dataset in zip(grid.T, datasets, strict=True):
        unit = of_dataset["unit"].iloc[0]
        for axes, model in zip(column, models, strict=True):
            own = of_dataset[of_dataset["model"] == model]
            first, second, *further = _objectives(data if alike or own.empty else own)
            _front(axes, own, (first, second), model_colour(model), joined=not further)
            if axes in grid[-1] or not alike:
                axes.set_xlabel(_axis(first, unit))
            texts = [model_name(model)] if axes in grid[:, 0] else []
            if axes in grid[:, 0] or not (alike and second.is_coverage):
                texts += [_axis(second, unit), *(f"({_label(objective)} is not drawn)" for objective in further)]
            axes.set_ylabel("\n".join(texts))
        column[0].set_title(of_dataset["title"].iloc[0])
    handles: list[Any] = [
        Line2D([], [], ls="", marker="o", color=figure_style.GREY, label="trial"),
        Line2D([], [], marker="o", color=INK, label="Pareto front"),
        Line2D([], [], ls="", marker="s", ms=6, label="untuned defaults", **RING),
        Line2D([], [], ls="", marker="*", ms=6, label="chosen", **RING),
    ]
    if any(objective.is_coverage for objective in _objectives(data)):
        handles.append(Patch(label=f"PICP {NOMINAL_COVERAGE:g} ± {COVERAGE_TOLERANCE:g} %", **BAND))
    figure_style.legend_below(figure, handles)
    return figure


def _front(
    axes: Axes, own: pd.DataFrame, objectives: tuple[Objective, Objective], colour: str, *, joined: bool
) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if own.empty:
        figure_style.write_inside(axes, "no study")
        return
    first, second = objectives
    x, y = first.name, second.name
    if first.is_coverage:
        axes.axvspan(0, COVERAGE_TOLERANCE, **BAND)
    if second.is_coverage:
        axes.axhspan(0, COVERAGE_TOLERANCE, **BAND)
    axes.plot(own[x], own[y], "o", color=figure_style.GREY, ms=3)
    front = own[own["front"]].sort_values([x, y])
    axes.plot(front[x], front[y], "o-" if joined else "o", color=colour, drawstyle="steps-post", ms=3.5)
    for column, shape, size in (("default", "s", 7), ("chosen", "*", 10)):
        axes.plot(own[x][own[column]], own[y][own[column]], shape, ms=size, **RING)
    if second.is_coverage:
        axes.set_ylim(0, None)


def history(data: pd.DataFrame) -> Figure:
    """The first objective, its lowest so far and each trial's, and hypervolume, over each study's complete trials."""
    datasets = figure_style.by_dataset(data)
    figure, grid = figure_style.panels(2, len(datasets), height=3.9, sharex=True)
    for (top, bottom), of_dataset in zip(grid.T, datasets, strict=True):
        for model, own in figure_style.by_model(of_dataset):
            colour = model_colour(model)
            top.plot(own["order"], own["value"], model_marker(model), color=colour, ms=2.5, alpha=0.5)
            top.step(own["order"], own["best"], where="post", color=colour)
            bottom.step(own["order"], own["hypervolume"], where="post", color=colour)
        first = of_dataset.iloc[0]
        firsts = {names.split(",")[0]: "" for names in of_dataset["objectives"]}
        top.set(title=first["title"], ylabel="\n".join(_axis(OBJECTIVES[name], first["unit"]) for name in firsts))
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
    """Importance of every hyperparameter for each objective, a panel per model and dataset."""
    models, datasets = in_order(data["model"]), figure_style.by_dataset(data)
    parameters = [sorted(set(data["parameter"][data["model"] == model]), reverse=True) for model in models]
    sizes = [len(names) for names in parameters]
    goals = _objectives(data)
    height = 0.76 / len(goals)
    figure, grid = figure_style.panels(
        len(models), len(datasets), sharex=True, sharey="row",
        height=min(0.8 + 0.22 * sum(sizes) + 0.3 * len(models), 9.5),  # of a page
        height_ratios=sizes,
    )  # fmt: skip
    for column, of_dataset in zip(grid.T, datasets, strict=True):
        for axes, model, names in zip(column, models, parameters, strict=True):
            own, colour = of_dataset[of_dataset["model"] == model], model_colour(model)
            axes.grid(axis="y", visible=False)
            shares = own.set_index("parameter").reindex(names).fillna(0)
            places = pd.Series(range(len(names)))
            for i, goal in enumerate(goals):
                shift = height * ((len(goals) - 1) / 2 - i)
                axes.barh(places + shift, shares[goal.name], 0.95 * height, **_bar(i, colour))
            axes.set_yticks(places, [name.replace("_", " ") for name in names])
            if own.empty:
                figure_style.write_inside(axes, "no study")
        column[0].set_title(of_dataset["title"].iloc[0])
        column[-1].set(xlabel="share of importance", xlim=(0, 1), xticks=(0, 0.5, 1))
    for axes, model in zip(grid[:, 0], models, strict=True):
        axes.set_ylabel(model_name(model))
    figure.align_ylabels(grid[:, 0])
    handles = [Patch(label=f"for {_label(goal)}", **_bar(i, INK)) for i, goal in enumerate(goals)]
    figure_style.legend_below(figure, handles)
    return figure


def _bar(position: int, colour: str) -> dict[str, Any]:
    """How the bars of the first, the second and a further objective look."""
    return ({"color": colour}, {"edgecolor": colour, **HATCHED}, {"edgecolor": colour, **PLAIN})[min(position, 2)]


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
