"""The proof of a study's choice in one figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.figures import explorer_data
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    PINK,
    SKY_BLUE,
    date_axis,
    finished,
    model_colour,
    number,
)
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE, Objective

_SPLIT_COLOURS = {"train": BLUE, "validation": "#E69F00", "test": "#999999"}


def data_overview(dataset: Dataset) -> Figure:
    """The target over time, coloured by split, and its mean by local hour on workdays and weekends.

    Gaps that the gap rule does not fill are shaded.
    """
    spec = dataset.spec
    target, positions = dataset.known_target, dataset.positions
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 2.8), width_ratios=(3, 1), layout="constrained"
    )
    daily = target.resample("D").mean()
    for name, part in (
        ("train", positions.train),
        ("validation", positions.val),
        ("test", positions.test),
    ):
        hours = dataset.index[part]
        if len(hours):
            shown = daily.loc[hours[0].floor("D") : hours[-1]]
            left.plot(
                shown.index,
                shown,
                lw=0.8,
                color=_SPLIT_COLOURS[name],
                label=f"{name} ({len(hours)} h)",
            )
    left.fill_between(
        dataset.index,
        0,
        1,
        where=dataset.is_missing,
        transform=left.get_xaxis_transform(),
        color=PINK,
        alpha=0.3,
        lw=0,
    )
    left.set(ylabel=f"{spec.target_words}, daily\nmean ({spec.unit})", title=spec.title)
    left.set_ylim(
        None, daily.max() + 0.2 * (daily.max() - min(0.0, daily.min()))
    )  # room for a legend
    date_axis(left, 3, 8)
    left.legend(fontsize=8, frameon=False, ncols=3)
    local = dataset.index.tz_convert(spec.tz)
    for label, days in (("workdays", local.day_of_week < 5), ("weekends", local.day_of_week >= 5)):
        profile = target[days].groupby(local[days].hour).mean()
        right.plot(profile.index, profile, label=label)
    right.set(xlabel="local hour", ylabel=f"mean ({spec.unit})", xticks=range(0, 25, 6))
    right.legend(fontsize=8, frameon=False)
    return finished(figure, dataset.source)


def pareto_front(study: StoredStudy) -> Figure:
    """All complete trials by the first two objectives, with the front, the untuned defaults and the
    chosen one marked.

    The points of the front are joined if there are no further objectives.
    """
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    objectives, default, chosen = study.objectives, study.default, study.chosen
    axes.scatter(
        *places(study.complete, objectives), s=18, color="#bbbbbb", label="complete trials"
    )
    draw_front(
        axes, study.front, objectives, colour=model_colour(study.model), unit=study.unit, ms=5
    )
    for marked, marker, edge, label in (
        (default, "s", "#000000", "untuned defaults"),
        (chosen, "*", PINK, "chosen"),
    ):
        axes.scatter(
            *places([marked] * (marked.state == "complete"), objectives),
            s=110,
            marker=marker,
            facecolors="none",
            edgecolors=edge,
            linewidths=1.4,
            zorder=3,
            label=f"{label} (trial {marked.number})",
        )
    axes.set_title(not_drawn(objectives), fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return finished(figure, study.source)


def forecast_days(
    forecasts: QuantileForecasts, origins: Sequence[int], *, unit: str, source: str, title: str
) -> Figure:
    """Forecasts of a few origins (positions in ``forecasts``) with their interval, beside the
    actual values.
    """
    figure, rows = plt.subplots(
        len(origins), 1, figsize=(8, 1.9 * len(origins)), layout="constrained", squeeze=False
    )
    hours = np.arange(1, forecasts.actual.shape[1] + 1)
    for axes, n in zip(rows[:, 0], origins, strict=True):
        shown = {
            name: getattr(forecasts, name)[n] for name in ("lower", "median", "upper", "actual")
        }
        draw_forecast(axes, pd.DataFrame(shown, index=hours), ms=4)
        axes.set(ylabel=unit, xlim=(1, hours[-1]), xticks=range(3, hours[-1] + 1, 3))
        axes.set_title(f"origin {forecasts.origins[n]:%A %Y-%m-%d %H:%M} UTC", fontsize=9)
    rows[0, 0].legend(fontsize=8, frameon=False, ncols=3)
    rows[-1, 0].set_xlabel("hours ahead")
    figure.suptitle(title, fontsize=10)
    return finished(figure, source)


def forecast_weeks(forecasts: QuantileForecasts, *, unit: str, source: str) -> Figure:
    """The weeks with the least, the middle and the largest error, in order of time; a gap where a
    day is missing.
    """
    errors = explorer_data.daily_errors(forecasts)["mae"]
    weeks = range(0, max(len(errors) - 6, 1), 7)
    by_error = sorted(weeks, key=lambda first: errors.iloc[first : first + 7].mean())
    names = {
        by_error[-1]: "hardest",
        by_error[len(by_error) // 2]: "middle",
        by_error[0]: "easiest",
    }
    figure, rows = plt.subplots(
        len(names), 1, figsize=(8, 2.2 * len(names)), layout="constrained", squeeze=False
    )
    for axes, first in zip(rows[:, 0], sorted(names), strict=True):
        draw_forecast(axes, explorer_data.days(forecasts, first, 7).asfreq("h"), ms=0)
        axes.set(ylabel=unit)
        error = f"{number(errors.iloc[first : first + 7].mean())} {unit}"
        axes.set_title(
            f"{names[first]} week, from {errors.index[first]:%A %Y-%m-%d}: MAE {error}", fontsize=9
        )
        date_axis(axes, 3, 8)
    rows[0, 0].legend(fontsize=8, frameon=False, ncols=3)
    rows[-1, 0].set_xlabel("UTC")
    return finished(figure, source)


def draw_forecast(axes: Axes, shown: pd.DataFrame, *, ms: float) -> None:
    """Interval, median and actual values over the index of a table with these columns."""
    axes.fill_between(
        shown.index,
        shown["lower"],
        shown["upper"],
        color=SKY_BLUE,
        alpha=0.4,
        lw=0,
        label="80 % interval",
    )
    axes.plot(shown.index, shown["median"], color=BLUE, label="median")
    axes.plot(
        shown.index, shown["actual"], color="#000000", lw=1, marker=".", ms=ms, label="actual"
    )


def coverage_by_step(by_step: Mapping[str, list[float]], *, unit: str, source: str) -> Figure:
    """MAE and PICP per hour ahead."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
    hours = np.arange(1, len(by_step["mae"]) + 1)
    left.plot(hours, by_step["mae"], marker=".")
    left.set(xlabel="hours ahead", ylabel=f"MAE in {unit}", ylim=(0, None))
    right.plot(hours, by_step["picp"], marker=".")
    right.axhline(NOMINAL_COVERAGE, color="#000000", lw=0.8, ls="--")
    right.set(xlabel="hours ahead", ylabel="PICP in %", ylim=(0, 100))
    for axes in (left, right):
        axes.set_xticks(range(3, int(hours[-1]) + 1, 3))
    return finished(figure, source)


def spread_origins(n_origins: int, count: int) -> list[int]:
    """``count`` positions spread evenly over the forecasts, so that several seasons are seen."""
    count = min(count, n_origins)
    return [int((i + 0.5) * n_origins / count) for i in range(count)]


def places(
    trials: Sequence[TrialRecord], objectives: Sequence[Objective]
) -> tuple[list[float], list[float]]:
    """The first two objectives of each trial, for both axes of a figure."""
    x, y = ([trial.values[objective.name] for trial in trials] for objective in objectives[:2])
    return x, y


def draw_front(
    axes: Axes,
    front: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    *,
    colour: str,
    unit: str,
    ms: float,
) -> None:
    """The front in the plane of the first two objectives, whose axes are labelled; distances from
    coverage begin at 0.

    The tolerance of coverage is a grey band.
    """
    line = "o-" if len(objectives) == 2 else "o"
    axes.plot(
        *places(front, objectives),
        line,
        ms=ms,
        lw=1,
        color=colour,
        label="Pareto front",
        drawstyle="steps-post",
    )
    x, y = objectives[:2]
    axes.set(xlabel=x.axis(unit), ylabel=y.axis(unit))
    if x.is_coverage:
        axes.axvspan(0, COVERAGE_TOLERANCE, color="#000000", alpha=0.05, lw=0)
        axes.set_xlim(0, None)
    if y.is_coverage:
        axes.axhspan(0, COVERAGE_TOLERANCE, color="#000000", alpha=0.05, lw=0)
        axes.set_ylim(0, None)


def not_drawn(objectives: Sequence[Objective]) -> str:
    """Names a third objective, which a figure of the first two leaves out; empty if there is none."""
    return "".join(f" ({objective.label} is not drawn)" for objective in objectives[2:])


_CHANGES = {
    "score_change": ("both", "#000000", "o"),
    "mae_change": ("MAE", BLUE, "s"),
    "winkler_calibrated_change": ("calibrated interval score", ACCENT, "D"),
}


def proof_figure(proof: Mapping[str, Any], *, source: str) -> Figure:
    """What each challenger changes of the untuned defaults' scores, in percent with 90 % intervals,
    over fresh seeds.

    The probability of a lower score stands beside; where nothing was compared, the figure says why.
    """
    compared = [one for one in proof["challengers"] if not one["cause"]]
    figure, axes = plt.subplots(figsize=(7, 1.2 + 0.9 * len(compared)), layout="constrained")
    if not compared:
        axes.set_axis_off()
        why = "; ".join(
            [
                proof["cause"],
                *(f"trial {one['trial']}: {one['cause']}" for one in proof["challengers"]),
            ]
        )
        axes.text(0.5, 0.5, f"Nothing was compared: {why.strip('; ')}.", ha="center", wrap=True)
        return finished(figure, source)
    axes.axvline(0, color=PINK, lw=1.5, label="untuned defaults")
    for row, one in enumerate(compared):
        for place, (key, (label, colour, marker)) in enumerate(_CHANGES.items()):
            mean, low, high = one[key]
            height = row + 0.22 * (place - 1)
            axes.plot([low, high], [height, height], color=colour, lw=1.5)
            axes.plot(
                mean,
                height,
                marker,
                color=colour,
                ms=5,
                ls="none",
                label=label if row == 0 else None,
            )
        verdict = "proven" if one["proven"] else "not proven"
        beside = f"probability {one['probability']:.2f}: {verdict}"
        axes.annotate(
            beside, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    axes.set(
        xlabel="change of the score in %, with 90 % interval; left of the line is better",
        yticks=range(len(compared)),
        yticklabels=[f"trial {one['trial']}" for one in compared],
        ylim=(len(compared) - 0.5, -0.5),
    )
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return finished(figure, source)
