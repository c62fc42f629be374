"""The figures of studies, drawn from the plain data of `study_data`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hpo_lib.records.trial import COVERAGE_TOLERANCE
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.thesis import style
from hpo_lib.views import look
from hpo_lib.views.look import colour, name, unit_text

PENALTY = f"|PICP \u2212 {NOMINAL_COVERAGE:g}| in pp"


def fronts(data: pd.DataFrame) -> Figure:
    """Both objectives of every complete trial, a panel per model and dataset."""
    models, datasets = look.in_order(list(data["model"])), sorted(set(data["dataset"]))
    figure, grid = style.panels(len(models), len(datasets), height=0.75 + 1.55 * len(models), sharex="col", sharey=True)
    for i, model in enumerate(models):
        for j, dataset in enumerate(datasets):
            axes, own = grid[i, j], data[(data["model"] == model) & (data["dataset"] == dataset)]
            _front(axes, own, colour(model))
            if j == 0:
                axes.set_ylabel(f"{name(model)}\n{PENALTY}")
    for j, dataset in enumerate(datasets):
        found = data[data["dataset"] == dataset].iloc[0]
        grid[0, j].set_title(found["title"])
        grid[-1, j].set_xlabel(f"MAE in {unit_text(found['unit'])}")
    grid[0, 0].set_ylim(0, None)
    handles = [
        Line2D([], [], ls="", marker="o", color=style.GREY, label="trial"),
        Line2D([], [], marker="o", color=style.INK, label="Pareto front"),
        _ring("s", "untuned defaults"),
        _ring("*", "chosen"),
        Patch(color="#000000", alpha=0.06, lw=0, label=f"PICP {NOMINAL_COVERAGE:g} ± {COVERAGE_TOLERANCE:g} %"),
    ]
    style.legend_below(figure, handles)
    return figure


def _front(axes: Axes, own: pd.DataFrame, shade: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if own.empty:
        axes.text(0.5, 0.5, "no study", ha="center", va="center", color="#777777", transform=axes.transAxes)
        return
    axes.axhspan(0, COVERAGE_TOLERANCE, color="#000000", alpha=0.06, lw=0)
    axes.plot(own["mae"], own["picp_penalty"], "o", color=style.GREY, ms=3)
    front = own[own["front"]].sort_values(["mae", "picp_penalty"])
    axes.plot(front["mae"], front["picp_penalty"], "o-", color=shade, drawstyle="steps-post", ms=3.5)
    for column, shape, size in (("default", "s", 7), ("chosen", "*", 10)):
        marked = own[own[column]]
        axes.plot(marked["mae"], marked["picp_penalty"], shape, ms=size, mfc="none", mec=style.INK, mew=0.8)


def _ring(shape: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker=shape, ms=6, mfc="none", mec=style.INK, mew=0.8, label=label)


def history(data: pd.DataFrame) -> Figure:
    """Lowest MAE so far with every trial's own, and hypervolume, over the complete trials of each study."""
    datasets = sorted(set(data["dataset"]))
    figure, grid = style.panels(2, len(datasets), height=3.9, sharex=True)
    for j, dataset in enumerate(datasets):
        of_dataset = data[data["dataset"] == dataset]
        top, bottom = grid[0, j], grid[1, j]
        for model in look.in_order(list(of_dataset["model"])):
            own, shade = of_dataset[of_dataset["model"] == model], colour(model)
            top.plot(own["order"], own["mae"], look.marker(model), color=shade, ms=2.5, alpha=0.5)
            top.step(own["order"], own["best_mae"], where="post", color=shade)
            bottom.step(own["order"], own["hypervolume"], where="post", color=shade)
        first = of_dataset.iloc[0]
        top.set(title=first["title"], ylabel=f"MAE in {unit_text(first['unit'])}")
        bottom.set(xlabel="complete trials", ylim=(0, 1.02))
        bottom.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[1, 0].set_ylabel("hypervolume, share of box")
    handles = [
        Line2D([], [], color=colour(model), marker=look.marker(model), ms=3, label=name(model))
        for model in look.in_order(list(data["model"]))
    ]
    lines = [
        Line2D([], [], color=style.INK, label="best so far"),
        Line2D([], [], ls="", marker="o", ms=2.5, alpha=0.5, color=style.INK, label="each trial"),
    ]
    style.legend_below(figure, [*handles, *lines])
    return figure


def importance(data: pd.DataFrame) -> Figure:
    """Importance of every hyperparameter for both objectives, a panel per model and dataset."""
    models, datasets = look.in_order(list(data["model"])), sorted(set(data["dataset"]))
    sizes = [data[data["model"] == model]["parameter"].nunique() for model in models]
    figure, grid = style.panels(
        len(models), len(datasets), height=0.8 + 0.22 * sum(sizes) + 0.3 * len(models), sharex=True, sharey="row",
        height_ratios=sizes,
    )  # fmt: skip
    for i, model in enumerate(models):
        parameters = sorted(set(data[data["model"] == model]["parameter"]), reverse=True)
        for j, dataset in enumerate(datasets):
            axes, own = grid[i, j], data[(data["model"] == model) & (data["dataset"] == dataset)]
            axes.grid(axis="y", visible=False)
            shares = own.set_index("parameter").reindex(parameters).fillna(0)
            places = pd.Series(range(len(parameters)))
            axes.barh(places + 0.19, shares["mae"], 0.36, color=colour(model))
            axes.barh(
                places - 0.19,
                shares["picp_penalty"],
                0.36,
                color="white",
                edgecolor=colour(model),
                hatch="/////",
                lw=0.5,
            )
            axes.set_yticks(places, [parameter.replace("_", " ") for parameter in parameters])
            if j == 0:
                axes.set_ylabel(name(model))
            if i == 0:
                axes.set_title(data[data["dataset"] == dataset]["title"].iloc[0])
            if own.empty:
                axes.text(0.5, 0.5, "no study", ha="center", va="center", color="#777777", transform=axes.transAxes)
    for axes in grid[-1]:
        axes.set(xlabel="share of importance", xlim=(0, 1), xticks=(0, 0.5, 1))
    figure.align_ylabels(grid[:, 0])
    handles = [
        Patch(color=style.INK, label="for MAE"),
        Patch(
            facecolor="white", edgecolor=style.INK, hatch="/////", lw=0.5, label=f"for {PENALTY.removesuffix(' in pp')}"
        ),
    ]
    style.legend_below(figure, handles)
    return figure


def cost(data: pd.DataFrame) -> Figure:
    """Seconds of every trial (each a dot, the bar is their median), and hours of the whole study."""
    models, datasets = look.in_order(list(data["model"])), sorted(set(data["dataset"]))
    figure, grid = style.panels(1, 2, height=2.6)
    left, right = grid[0]
    labels = []
    for j, dataset in enumerate(datasets):
        labels.append(data[data["dataset"] == dataset]["title"].iloc[0].replace(", ", ",\n"))
        for i, model in enumerate(models):
            own = data[(data["model"] == model) & (data["dataset"] == dataset)]
            place = j + 0.24 * (i - (len(models) - 1) / 2)
            left.plot([place] * len(own), own["seconds"], look.marker(model), color=colour(model), ms=3, alpha=0.6)
            left.plot([place - 0.09, place + 0.09], [own["seconds"].median()] * 2, color=style.INK, lw=1.2)
            right.bar(place, own["hours"].iloc[0] if len(own) else 0, 0.2, color=colour(model))
    for axes in (left, right):
        axes.set_xticks(range(len(datasets)), labels)
        axes.set_xlim(-0.5, len(datasets) - 0.5)
        axes.grid(axis="x", visible=False)
    left.set(yscale="log", ylabel="seconds per trial")
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.set(ylabel="hours of training per study")
    style.legend_below(
        figure, [*style.model_handles(models, markers=True), Line2D([], [], color=style.INK, lw=1.2, label="median")]
    )
    return figure
