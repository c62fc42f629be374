"""The figures of studies, drawn from the plain data of `study_data`."""

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures import style
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    INK,
    PINK,
    SKY_BLUE,
    in_order,
    model_colour,
    model_marker,
    model_name,
    unit_text,
)
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE, OBJECTIVES, POINTS, Objective

RING: dict[str, Any] = {"mfc": "none", "mec": INK, "mew": 0.8}
BAND: dict[str, Any] = {"color": "#000000", "alpha": 0.06, "lw": 0}


def _objectives(data: pd.DataFrame) -> list[Objective]:
    """Those of the studies in a table, in the order of the first study that has them."""
    return [
        OBJECTIVES[name] for name in dict.fromkeys(",".join(data["objectives"].unique()).split(","))
    ]


def _label(objective: Objective) -> str:
    return objective.label.replace(" - ", " \u2212 ")


def _axis(objective: Objective, unit: str) -> str:
    return f"{_label(objective)} in {'pp' if objective.unit == POINTS else unit_text(unit)}"


def fronts(data: pd.DataFrame) -> Figure:
    """The first two objectives of every complete trial, a panel per model and dataset."""
    models, datasets = in_order(data["model"]), style.by_dataset(data)
    alike = data["objectives"].nunique() == 1
    figure, grid = style.panels(
        len(models),
        len(datasets),
        height=0.75 + 1.55 * len(models),
        sharex="col" if alike else False,
        sharey=alike and _objectives(data)[1].is_coverage,
    )
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
                texts += [
                    _axis(second, unit),
                    *(f"({_label(objective)} is not drawn)" for objective in further),
                ]
            axes.set_ylabel("\n".join(texts))
        column[0].set_title(of_dataset["title"].iloc[0])
    for axes in grid.ravel():  # once all is drawn: panels share their axes
        if axes.get_ylim()[0] < 0:
            axes.set_ylim(0, None)
    handles: list[Any] = [
        Line2D([], [], ls="", marker="o", color=style.GREY, label="trial"),
        Line2D([], [], marker="o", color=INK, label="Pareto front"),
        Line2D([], [], ls="", marker="s", ms=6, label="untuned defaults", **RING),
        Line2D([], [], ls="", marker="*", ms=6, label="chosen", **RING),
    ]
    if any(objective.is_coverage for objective in _objectives(data)):
        handles.append(
            Patch(label=f"PICP {NOMINAL_COVERAGE:g} % ± {COVERAGE_TOLERANCE:g} pp", **BAND)
        )
    style.legend_below(figure, handles)
    return figure


def _front(
    axes: Axes,
    own: pd.DataFrame,
    objectives: tuple[Objective, Objective],
    colour: str,
    *,
    joined: bool,
) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if own.empty:
        style.write_inside(axes, "no study")
        return
    first, second = objectives
    x, y = first.name, second.name
    if first.is_coverage:
        axes.axvspan(0, COVERAGE_TOLERANCE, **BAND)
    if second.is_coverage:
        axes.axhspan(0, COVERAGE_TOLERANCE, **BAND)
    axes.plot(own[x], own[y], "o", color=style.GREY, ms=3)
    front = own[own["front"]].sort_values([x, y])
    axes.plot(
        front[x], front[y], "o-" if joined else "o", color=colour, drawstyle="steps-post", ms=3.5
    )
    for column, shape, size in (("default", "s", 7), ("chosen", "*", 10)):
        axes.plot(own[x][own[column]], own[y][own[column]], shape, ms=size, **RING)


def history(data: pd.DataFrame) -> Figure:
    """The first objective, its lowest so far and each trial's, and hypervolume, over each study's
    complete trials.
    """
    datasets = style.by_dataset(data)
    figure, grid = style.panels(2, len(datasets), height=3.9, sharex=True)
    for (top, bottom), of_dataset in zip(grid.T, datasets, strict=True):
        for model, own in style.by_model(of_dataset):
            colour = model_colour(model)
            top.plot(
                own["order"], own["value"], model_marker(model), color=colour, ms=2.5, alpha=0.5
            )
            top.step(own["order"], own["best"], where="post", color=colour)
            bottom.step(own["order"], own["hypervolume"], where="post", color=colour)
        first = of_dataset.iloc[0]
        firsts = {names.split(",")[0]: "" for names in of_dataset["objectives"]}
        top.set(
            title=first["title"],
            ylabel="\n".join(_axis(OBJECTIVES[name], first["unit"]) for name in firsts),
        )
        bottom.set(xlabel="complete trials", ylim=(0, 1.02))
        bottom.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[1, 0].set_ylabel("hypervolume, share of box")
    lines = [
        Line2D([], [], color=INK, label="best so far"),
        Line2D([], [], ls="", marker="o", ms=2.5, alpha=0.5, color=INK, label="each trial"),
    ]
    style.legend_below(figure, [*style.model_handles(data["model"], ms=3), *lines])
    return figure


DATASET_LOOKS = (
    (BLUE, "o"),
    (ACCENT, "^"),
    (PINK, "s"),
    (SKY_BLUE, "D"),
    ("#009E73", "v"),
    (INK, "P"),
)
COLUMNS, FEW = 4, 5


def explored(data: pd.DataFrame, model: str) -> Figure:
    """The first objective over every hyperparameter of a model, in percent of the untuned defaults.

    Trials that are far worse are beyond the panels.
    """
    looks = {
        own["title"].iloc[0]: look
        for own, look in zip(style.by_dataset(data), cycle(DATASET_LOOKS))
    }
    data = data[data["model"] == model]
    rows = -(-data["parameter"].nunique() // COLUMNS)
    figure, grid = style.panels(rows, COLUMNS, height=0.8 + 1.15 * rows, sharey=True)
    for axes in grid.ravel()[data["parameter"].nunique() :]:
        axes.set_axis_off()
    for axes, (parameter, own) in zip(grid.ravel(), data.groupby("parameter"), strict=False):
        axes.axhline(0, **style.TARGET)
        places = _places(axes, own["value"])
        for title, (colour, marker) in looks.items():
            for chosen, look in (
                (False, {"marker": marker, "ms": 3}),
                (True, {"marker": "*", "ms": 7, "mec": INK}),
            ):
                shown = (own["title"] == title) & (own["chosen"] == chosen)
                axes.plot(
                    places[shown],
                    own["change"][shown],
                    ls="",
                    color=colour,
                    alpha=0.7,
                    mew=0.5,
                    **look,
                )
        axes.set_xlabel(str(parameter).replace("_", " "), labelpad=1)
    grid[0, 0].set_title(model_name(model), loc="left")
    low, high = data["change"].min(), max(2.0, data["change"].quantile(0.9))
    grid[0, 0].set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    goal = _label(OBJECTIVES[data["objectives"].iloc[0].split(",")[0]])
    figure.supylabel(f"{goal} above that of the untuned defaults in %", fontsize=9)
    handles = [
        Line2D([], [], ls="", color=colour, marker=marker, label=title)
        for title, (colour, marker) in looks.items()
        if title in set(data["title"])
    ]
    style.legend_below(
        figure, [*handles, Line2D([], [], ls="", marker="*", ms=6, label="chosen", **RING)]
    )
    return figure


def _places(axes: Axes, values: pd.Series) -> pd.Series:
    """Where values are drawn: a few in equal steps, many on their scale, which is logarithmic if
    they span much.
    """
    few = sorted(set(values))
    if len(few) <= FEW and all(len(value_in_words(value)) <= FEW for value in few):
        axes.set_xticks(range(len(few)), [value_in_words(value) for value in few])
        axes.set_xlim(-0.5, len(few) - 0.5)
        return values.map(few.index)
    if 0 < 30 * few[0] < few[-1]:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
    return values


def cost(data: pd.DataFrame) -> Figure:
    """Seconds of every trial (each a dot, the bar is their median), and hours (minutes below 2) of
    the whole study.
    """
    models, datasets = in_order(data["model"]), style.by_dataset(data)
    minutes = data["hours"].max() < 2
    figure, grid = style.panels(1, 2, height=2.6)
    left, right = grid[0]
    for j, of_dataset in enumerate(datasets):
        for model, own in style.by_model(of_dataset):
            colour = model_colour(model)
            place = j + 0.24 * (models.index(model) - (len(models) - 1) / 2)
            left.plot(
                [place] * len(own),
                own["seconds"],
                model_marker(model),
                color=colour,
                ms=3,
                alpha=0.6,
            )
            left.plot(
                [place - 0.09, place + 0.09], [own["seconds"].median()] * 2, color=INK, lw=1.2
            )
            right.bar(place, own["hours"].iloc[0] * (60 if minutes else 1), 0.2, color=colour)
    for axes in (left, right):
        axes.set_xticks(
            range(len(datasets)), [own["title"].iloc[0].replace(", ", ",\n") for own in datasets]
        )
        axes.set_xlim(-0.5, len(datasets) - 0.5)
        axes.grid(axis="x", visible=False)
    left.set(yscale="log", ylabel="seconds per trial")
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.set(ylabel=f"{'minutes' if minutes else 'hours'} of training per study")
    left.set_title(f"on {'; '.join(sorted(set(data['device'])))}", loc="left")
    median = Line2D([], [], color=INK, lw=1.2, label="median")
    style.legend_below(figure, [*style.model_handles(models), median])
    return figure
