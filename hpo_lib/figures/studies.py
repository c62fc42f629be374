"""The trials of studies as one tidy table, and every figure that is drawn from it.

The thesis, a study's notebook and page, and the explorer draw with the same functions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import MaxNLocator

from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    GREY,
    INK,
    PINK,
    SKY_BLUE,
    TARGET,
    Look,
    beside,
    dataset_panels,
    draw_models,
    handle,
    in_order,
    joined,
    legend_below,
    model_colour,
    model_handles,
    model_name,
    panels,
)
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE, OBJECTIVES, Objective

RING: Look = {"ls": "", "mfc": "none", "mec": INK, "mew": 0.8, "clip_on": False}


def trials_of(study: StoredStudy) -> pd.DataFrame:
    """Every trial of a study as a row.

    Columns: ``trial`` (its number), ``state``, ``seconds``, ``params``, its objectives by name in
    `StoredStudy.readable`, of a stopped trial at its last check (NaN if unknown there), and the
    marks ``finished``, ``front``, ``default``, ``chosen``.
    """

    def values(trial: TrialRecord) -> Mapping[str, float]:
        if trial.state != "stopped":
            return trial.values
        checked = defaultdict(lambda: np.nan, trial.curve[-1] if trial.curve else {})
        return {one.name: one.value(checked) for one in study.objectives}

    rows = (
        {
            "trial": trial.number,
            "state": trial.state,
            "seconds": trial.seconds,
            "params": trial.params,
            **values(trial),
            "finished": trial.finished,
            "front": trial in study.front,
            "default": trial == study.default,
            "chosen": trial == study.chosen,
        }
        for trial in study.trials
    )
    return study.readable.table(pd.DataFrame(rows))


def _trials(evidence: Evidence, condition: str) -> pd.DataFrame:
    """The trials of all studies for which a condition on their columns holds.

    Beside the columns of `trials_of`, with objectives in ``unit``: ``dataset``, ``title``,
    ``model``, ``objectives`` (joined by commas), ``hours``, ``device`` and ``has_storage`` of the
    study; the first objective as ``value``, with its ``change`` in percent from that of the untuned
    defaults (NaN if that is not above 0), and of the complete trials up to each one the ``best``
    value and the ``hypervolume``.
    """
    tables = []
    for study in evidence.studies:
        trials = trials_of(study)
        objectives = study.objectives
        complete = trials["state"] == "complete"
        excesses = [trials.loc[complete, one.name].map(one.excess) for one in objectives]
        volumes = pd.Series(hypervolumes(np.transpose(excesses)), trials.index[complete])
        value = trials[objectives[0].name]
        before = value[trials["default"]].iloc[0]
        tables.append(
            trials.assign(
                dataset=study.dataset,
                title=evidence.title(study.dataset),
                unit=study.readable.name,
                model=study.model,
                objectives=",".join(objective.name for objective in objectives),
                hours=study.result["training_time_hours"],
                device=study.provenance.get("device"),
                has_storage=study.has_storage,
                value=value,
                change=100 * (value / before - 1) if before > 0 else np.nan,
                best=value.where(complete).cummin().ffill(),
                hypervolume=volumes.reindex(trials.index).ffill(),
            )
        )
    trials = joined(tables)
    return trials if trials.empty else trials.query(condition)


fronts = partial(_trials, condition="finished")
history = partial(_trials, condition="finished and has_storage")
"""A JSON alone lists defaults and front, which is no history."""
cost = partial(_trials, condition="finished and seconds > 0")


def explored(evidence: Evidence) -> pd.DataFrame:
    """Every varied ``parameter``, its ``value`` in each trial with a ``change``.

    ``leads`` marks the best tenth of each study's trials.
    """
    trials = _trials(evidence, "finished and has_storage")
    if trials.empty:
        return trials
    trials = trials.assign(item=trials["params"].map(lambda params: sorted(params.items())))
    complete = trials["value"].where(trials["state"] == "complete")
    groups = complete.groupby([trials["dataset"], trials["model"]])
    trials["leads"] = groups.rank() - 1 < groups.transform("count") / 10
    rows = trials.dropna(subset="change").explode("item")
    rows = rows.assign(parameter=rows["item"].str[0], value=rows["item"].str[1])
    return rows[rows.groupby(["model", "parameter"])["value"].transform("nunique") > 1]


def hypervolumes(excesses: np.ndarray) -> list[float]:
    """The share of the box that the trials so far dominate, for every trial.

    ``excesses`` are [trials, objectives], and the box is between their best and worst values. It is
    the hypervolume indicator (Zitzler and Thiele, 1998) of the values above the tolerances, with
    the worst ones among all trials as reference point, over the volume of the box, so that 1 would
    be one trial that is best in all. An objective in which all trials are equal does not count; 1
    throughout if there is no other.
    """
    if not len(excesses):
        return []
    gains = excesses.max(axis=0) - excesses
    ranges = np.ptp(excesses, axis=0)
    scaled = gains[:, ranges > 0] / ranges[ranges > 0]
    return [_dominated(scaled[: i + 1]) for i in range(len(scaled))]


def _dominated(gains: np.ndarray) -> float:
    """The volume that points [N, K] above 0 dominate, by slices along the last axis."""
    if gains.shape[1] == 0:
        return 1.0
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    depths = -np.diff(gains[:, -1], append=0.0)
    return float(
        sum(depth * _dominated(gains[: i + 1, :-1]) for i, depth in enumerate(depths) if depth)
    )


# The figures


def _objectives(data: pd.DataFrame) -> list[Objective]:
    """Those of the studies in a table, in the order of the first study that has them."""
    names = ",".join(data["objectives"].unique()).split(",")
    return [OBJECTIVES[name] for name in dict.fromkeys(names)]


def within_reach(trials: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Trials with those that are far worse than most moved to the edge, so that others spread.

    The edge is half as far again as four fifths of the values, the front, the defaults, the choice.
    """
    values = trials[[*names]]
    kept = values[trials[["front", "default", "chosen"]].any(axis=1)]
    reach = np.fmax(values.quantile(0.8), kept.max())
    return trials.assign(**values.clip(upper=1.5 * reach - 0.5 * values.min(), axis=1))


def draw_front(
    axes: Axes,
    trials: pd.DataFrame,
    objectives: Sequence[Objective],
    *,
    colour: str = INK,
    unit: str = "",
    size: float = 1.0,
) -> pd.DataFrame:
    """Trials `within_reach` by their first two objectives, with markers of this relative ``size``.

    Stopped trials are hollow, at the scores of their last check, and failed ones are counted. If
    there are two objectives, a line bounds what the front beats, within the tolerance of coverage
    (grey) or, thin, without any. The untuned defaults and the choice are marked. A third objective
    is only named. Returns the trials as they are drawn.
    """
    x, y = (objective.name for objective in objectives[:2])
    trials = within_reach(trials, x, y)
    spans: list[Any] = [axes.axvspan, axes.axhspan]
    for axis, objective, span in zip("xy", objectives, spans, strict=False):
        if objective.is_coverage:
            label = f"PICP {NOMINAL_COVERAGE:g} % ± {COVERAGE_TOLERANCE:g} pp"
            band = span(0, COVERAGE_TOLERANCE, color="#000000", alpha=0.06, lw=0, label=label)
            getattr(band.sticky_edges, axis).append(0)  # nothing is below

    def draw_points(mark: pd.Series, label: str, marker: str, ms: float, **look: Any) -> None:
        # Without points it would take the room down to the corner of the figure.
        look |= {"label": label, "marker": marker, "ms": ms * size, "in_layout": mark.any()}
        axes.plot(trials[x][mark], trials[y][mark], **{"ls": "", "clip_on": False, **look})

    hollow: Look = {"mfc": "none", "mec": GREY, "mew": 0.8}
    draw_points(trials["state"] == "stopped", "stopped early, last check", "o", 3, **hollow)
    draw_points(trials["state"] == "complete", "complete trial", "o", 3, color=GREY)
    tolerances = [objective.tolerance for objective in objectives[:2]]
    bounds = [("bound without tolerance", [0.0, 0.0], 0.6), ("bound of the front", tolerances, 1.6)]
    for label, least, width in bounds if len(objectives) == 2 else ():
        complete = trials.loc[trials["state"] == "complete", [x, y]].clip(lower=least)
        steps = complete.sort_values([x, y])
        axes.step(steps[x], steps[y].cummin(), where="post", color=colour, lw=width, label=label)
    draw_points(trials["front"], "Pareto front", "o", 3.5, color=colour)
    draw_points(trials["default"], "untuned defaults", "s", 7, **RING)
    draw_points(trials["chosen"], "chosen", "*", 10, **RING)
    if failed := (trials["state"] == "failed").sum():
        axes.text(1, 1, f"{failed} failed", transform=axes.transAxes, ha="right", va="top")
    others = [f"({objective.label} is not drawn)" for objective in objectives[2:]]
    axes.set_ylabel("\n".join([objectives[1].axis(unit), *others]))
    axes.set_xlabel(objectives[0].axis(unit))
    return trials


def draw_study_front(axes: Axes, study: StoredStudy) -> pd.DataFrame:
    """`draw_front` of one study on a screen."""
    return draw_front(
        axes,
        trials_of(study),
        study.objectives,
        colour=model_colour(study.model),
        unit=study.readable.name,
        size=1.6,
    )


def draw_fronts(data: pd.DataFrame) -> Figure:
    """The first two objectives of every trial, a panel per model and dataset."""
    models = in_order(data["model"])
    alike = data["objectives"].nunique() == 1
    one_scale = alike and _objectives(data)[1].is_coverage
    figure, columns = dataset_panels(
        data, len(models), height=0.75 + 1.75 * len(models), sharey=one_scale
    )
    for column, (grid, of_dataset) in enumerate(columns):
        for axes, model in zip(grid, models, strict=True):
            trials = of_dataset[of_dataset["model"] == model]
            objectives = _objectives(data if alike or trials.empty else trials)
            draw_front(
                axes,
                trials,
                objectives,
                colour=model_colour(model),
                unit=of_dataset["unit"].iloc[0],
            )
            axes.xaxis.set_major_locator(MaxNLocator(3))
            if trials.empty:
                axes.text(0.5, 0.5, "no study", ha="center", transform=axes.transAxes)
            if alike and model != models[-1]:
                axes.set_xlabel("")
            label = "" if column and one_scale else axes.get_ylabel()
            axes.set_ylabel(label if column else f"{model_name(model)}\n{label}")
    key = Figure().subplots()
    by_coverage = sorted(_objectives(data), key=lambda objective: not objective.is_coverage)
    draw_front(key, data.head(0), by_coverage[:2])
    handles, labels = key.get_legend_handles_labels()
    legend_below(figure, list(dict(zip(labels, handles, strict=True)).values()))
    return figure


def draw_history(data: pd.DataFrame) -> Figure:
    """The first objective of every trial, and of complete ones its lowest so far and hypervolume.

    Stopped trials are hollow. Trials that are far worse are at the edge.
    """
    figure, columns = dataset_panels(data, 2, height=3.9, sharex=True)
    points: Look = {"ls": "", "ms": 2.5, "alpha": 0.5}
    hollow: Look = {**points, "mfc": "none", "mew": 0.7}
    steps: Look = {"marker": "", "ls": "-", "lw": 1.0, "drawstyle": "steps-post"}
    for (top, bottom), of_dataset in columns:
        near = within_reach(of_dataset, "value")
        draw_models(top, near[near["state"] == "stopped"], "trial", "value", **hollow)
        draw_models(top, near[near["state"] == "complete"], "trial", "value", **points)
        # The step to the last trial of each model shall be seen, too.
        after = of_dataset.assign(trial=of_dataset["trial"] + 1).groupby("model").tail(1)
        longer = pd.concat([of_dataset, after])
        draw_models(top, longer, "trial", "best", **steps)
        draw_models(bottom, longer, "trial", "hypervolume", **steps)
        unit = of_dataset["unit"].iloc[0]
        names = of_dataset["objectives"].str.split(",").str[0]
        top.set_ylabel("\n".join(OBJECTIVES[name].axis(unit) for name in names.unique()))
        bottom.set(xlabel="trial", ylim=(0, 1.02))
        bottom.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.axes[len(columns)].set_ylabel("hypervolume, share of box")
    legend_below(
        figure,
        [
            *model_handles(data["model"], ms=3),
            handle("best so far", color=INK),
            handle("complete trial", marker="o", color=INK, **points),
            handle("stopped early, last check", marker="o", color=INK, **hollow),
        ],
    )
    return figure


DATASET_LOOKS = cycler(color=[BLUE, ACCENT, PINK, SKY_BLUE, "#009E73", INK], marker=list("o^sDvP"))
COLUMNS, FEW_VALUES = 4, 5


def draw_explored(
    data: pd.DataFrame, model: str, importance: Mapping[Any, str] = MappingProxyType({})
) -> Figure:
    """The first objective over every hyperparameter, in percent of that of the untuned defaults.

    Stopped trials are hollow, at their last check; the best tenth of each study has a dark edge.
    ``importance`` of a parameter is above its panel. Trials that are far worse are at the edge.
    """
    looks = dict(zip(data.sort_values("dataset")["title"].unique(), DATASET_LOOKS(), strict=False))
    data = within_reach(data[data["model"] == model], "change")
    parameters = data.groupby("parameter")
    rows = -(-len(parameters) // COLUMNS)
    figure, grid = panels(rows, COLUMNS, height=0.8 + 1.15 * rows, sharey=True)
    for axes in grid.flat[len(parameters) :]:
        axes.set_axis_off()
    for axes, (parameter, trials) in zip(grid.flat, parameters, strict=False):
        axes.axhline(0, **TARGET)
        groups = trials.assign(place=_places(axes, trials["value"])).groupby(
            ["title", "chosen", "leads", "state"], sort=False
        )
        for (title, chosen, leads, state), group in groups:
            look: Look = {**looks[title], "ms": 3, "alpha": 0.7, "mew": 0.5, "ls": ""}
            look |= {"mfc": "none"} if state == "stopped" else {"mec": INK} if leads else {}
            look |= {"marker": "*", "ms": 7, "mec": INK} if chosen else {}
            axes.plot("place", "change", data=group, clip_on=False, **look)
        label = f"{parameter}\n{importance.get(parameter, '')}".replace("_", " ")
        axes.set_xlabel(label.rstrip(), labelpad=1)
    grid[0, 0].set_title(model_name(model), loc="left")
    goal = _objectives(data)[0].label
    figure.supylabel(f"{goal} above that of the untuned defaults in %", fontsize=9)
    edge: Look = {"ls": "", "marker": "o", "ms": 4}
    legend_below(
        figure,
        [
            *(
                handle(title, ls="", **looks[title])
                for title in looks
                if title in set(data["title"])
            ),
            handle("stopped early, last check", mfc="none", mec=GREY, **edge),
            handle("best tenth", color=GREY, mec=INK, **edge),
            handle("chosen", marker="*", ms=6, **RING),
        ],
    )
    return figure


def _places(axes: Axes, values: pd.Series) -> Any:
    """Where values are drawn: a few in equal steps, many on their scale, be it logarithmic."""
    levels = pd.Categorical(values)
    ticks = levels.categories.map(value_in_words)
    if len(ticks) <= FEW_VALUES and ticks.str.len().max() <= FEW_VALUES:
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
        return levels.codes
    if 0 < 30 * levels.categories[0] < levels.categories[-1]:
        axes.set_xscale("log")
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
    return values


def draw_cost(data: pd.DataFrame) -> Figure:
    """Seconds of every trial and their medians, and the time of each study by what it was spent on.

    Complete trials are apart from others. What is left of a study's time is that of its proof.
    """
    unit, factor = ("minutes", 60) if data["hours"].max() < 2 else ("hours", 1)
    titles = list(data["title"].unique())
    width = 0.8 / data["model"].nunique()
    data = data.assign(place=data["title"].map(titles.index) + beside(data["model"], width))
    studies = data.drop_duplicates("place").set_index("place")
    figure, ((left, right),) = panels(1, 2, height=2.6)
    bottom: Any = 0.0
    bars: Look = {"width": width, "color": studies["model"].map(model_colour)}
    for is_complete, marker, side, alpha in ((True, "o", 0.2, 1.0), (False, "x", -0.2, 0.5)):
        part = data[(data["state"] == "complete") == is_complete]
        part = part.assign(beside=part["place"] + side * width)
        draw_models(left, part, "beside", "seconds", ls="", marker=marker, ms=3, alpha=0.6)
        left.plot(part.groupby("beside")["seconds"].median(), ls="", marker="_", ms=7, color=INK)
        spent = part.groupby("place")["seconds"].sum().reindex(studies.index, fill_value=0)
        spent *= factor / 3600
        right.bar(studies.index, spent, bottom=bottom, alpha=alpha, **bars)
        bottom = bottom + spent
    right.bar(studies.index, factor * studies["hours"] - bottom, bottom=bottom, alpha=0.2, **bars)
    for axes in (left, right):
        axes.set_xticks(range(len(titles)), [title.replace(", ", ",\n") for title in titles])
    left.set(yscale="log", ylabel="seconds per trial")
    left.yaxis.set_major_formatter("{x:g}")
    left.set_title(f"on {'; '.join(sorted(set(data['device'].map(str))))}", loc="left")
    right.set_ylabel(f"{unit} of training per study")
    legend_below(
        figure,
        [
            *model_handles(data["model"], ls="", marker="s"),
            handle("complete", ls="", marker="o", color=INK),
            handle("stopped early", ls="", marker="x", color=INK),
            handle("median", ls="", marker="_", ms=7, color=INK),
        ],
    )
    return figure


PICTURES = {
    "pareto_fronts": (fronts, draw_fronts),
    "optimisation_history": (history, draw_history),
    "cost": (cost, draw_cost),
}
"""Name of the files and of the caption -> the plain data of a figure, and its drawer."""
