"""Figures of a study, drawn from its records and data alone: nothing here imports torch, darts or optuna."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.records.selection import COVERAGE_TOLERANCE
from hpo_lib.records.trial import TrialRecord, default_trial
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.views.model_style import BLUE, PINK, SKY_BLUE, date_axis, finished, model_colour

_SPLIT_COLOURS = {"train": BLUE, "validation": "#E69F00", "test": "#999999"}


def data_overview(dataset: Dataset) -> Figure:
    """The target over time, coloured by split, and its mean by local hour on workdays and weekends."""
    spec = dataset.spec
    target, positions = dataset.target, dataset.positions
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), width_ratios=(3, 1), layout="constrained")
    daily = target.resample("D").mean()
    for name, part in (("train", positions.train), ("validation", positions.val), ("test", positions.test)):
        hours = dataset.index[part]
        if len(hours):
            shown = daily.loc[hours[0].floor("D") : hours[-1]]
            left.plot(shown.index, shown, lw=0.8, color=_SPLIT_COLOURS[name], label=f"{name} ({len(hours)} h)")
    left.set(ylabel=f"daily mean in {spec.unit}", title=spec.title, ylim=(None, 1.2 * daily.max()))  # room for a legend
    date_axis(left, 3, 8)
    left.legend(fontsize=8, frameon=False, ncols=3)
    local = dataset.index.tz_convert(spec.tz)
    for label, days in (("workdays", local.day_of_week < 5), ("weekends", local.day_of_week >= 5)):
        profile = target[days].groupby(local[days].hour).mean()
        right.plot(profile.index, profile, label=label)
    right.set(xlabel="local hour", ylabel=f"mean in {spec.unit}", xticks=range(0, 25, 6))
    right.legend(fontsize=8, frameon=False)
    return finished(figure, dataset.source)


def pareto_front(
    trials: Sequence[TrialRecord], front: Sequence[TrialRecord], chosen: int, *, model: str, unit: str, source: str
) -> Figure:
    """All complete trials by both objectives, the front joined, the untuned defaults and the chosen one marked."""
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    done = [t for t in trials if t.state == "complete"]
    axes.scatter(*objectives(done), s=18, color="#bbbbbb", label="complete trials")
    axes.plot(
        *objectives(front), "o-", ms=5, lw=1, color=model_colour(model), label="Pareto front", drawstyle="steps-post"
    )
    default = default_trial(trials)
    rings = [
        ([t for t in done if t is default], "s", "#000000", f"untuned defaults (trial {default.number})"),
        ([t for t in done if t.number == chosen], "*", PINK, f"chosen (trial {chosen})"),
    ]
    for marked, marker, edge, label in rings:
        axes.scatter(
            *objectives(marked), s=110, marker=marker, facecolors="none", edgecolors=edge, linewidths=1.4, zorder=3,
            label=label,
        )  # fmt: skip
    axes.axhspan(0, COVERAGE_TOLERANCE, color="#000000", alpha=0.05, lw=0)
    axes.set(xlabel=f"MAE in {unit}", ylabel=f"|PICP - {NOMINAL_COVERAGE:g}| in percentage points", ylim=(0, None))
    axes.legend(fontsize=8, frameon=False)
    return finished(figure, source)


def forecast_days(
    forecasts: QuantileForecasts, origins: Sequence[int], *, unit: str, source: str, title: str
) -> Figure:
    """Forecasts of a few origins (positions in ``forecasts``) with their interval, beside the actual values."""
    figure, rows = plt.subplots(len(origins), 1, figsize=(8, 1.9 * len(origins)), layout="constrained", squeeze=False)
    hours = np.arange(1, forecasts.actual.shape[1] + 1)
    for axes, n in zip(rows[:, 0], origins, strict=True):
        axes.fill_between(
            hours, forecasts.lower[n], forecasts.upper[n], color=SKY_BLUE, alpha=0.4, lw=0, label="80 % interval"
        )
        axes.plot(hours, forecasts.median[n], color=BLUE, label="median")
        axes.plot(hours, forecasts.actual[n], color="#000000", lw=1, marker=".", ms=4, label="actual")
        axes.set(ylabel=unit, xlim=(1, hours[-1]), xticks=range(3, hours[-1] + 1, 3))
        axes.set_title(f"origin {forecasts.origins[n]:%A %Y-%m-%d %H:%M} UTC", fontsize=9)
    rows[0, 0].legend(fontsize=8, frameon=False, ncols=3)
    rows[-1, 0].set_xlabel("hours ahead")
    figure.suptitle(title, fontsize=10)
    return finished(figure, source)


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


def objectives(trials: Sequence[TrialRecord]) -> tuple[list[float], list[float]]:
    """MAE and distance from nominal coverage, for both axes of a figure."""
    return [trial.mae for trial in trials], [trial.picp_penalty for trial in trials]
