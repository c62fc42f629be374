"""The picture of `notebooks/explore.ipynb`: five panels with the front and the days and hours of one trial."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.views import explorer_data
from hpo_lib.views.model_style import ACCENT, BLUE, PINK, SKY_BLUE, date_axis, model_colour
from hpo_lib.views.study_figures import draw_forecast, draw_front, not_drawn, places
from hpo_lib.views.study_tables import warning_of

SIZE = (9.4, 9.6)
"""Inches at 100 dots; fits a JupyterLab of 1400 pixels with its file browser open."""


@dataclass(frozen=True)
class Panels:
    """The panels that can be clicked, and the points in them in data coordinates."""

    front: Axes
    front_points: dict[int, tuple[float, float]]
    """Trial -> its place."""
    errors: Axes
    error_points: np.ndarray
    """[N] places of the days along the horizontal axis."""

    def trial_at(self, x: float, y: float, reach: float = 20) -> int | None:
        """The trial nearest to a place in pixels, or None if none is within reach."""
        numbers = list(self.front_points)
        places = self.front.transData.transform([self.front_points[number] for number in numbers])
        distances = np.hypot(*(places - (x, y)).T)
        return numbers[int(distances.argmin())] if distances.min() <= reach else None

    def day_at(self, x: float) -> int:
        """The position of the day nearest to a horizontal place in pixels."""
        places = self.errors.transData.transform(np.column_stack([self.error_points, np.zeros(len(self.error_points))]))
        return int(np.abs(places[:, 0] - x).argmin())


def draw(figure: Figure, study: StoredStudy, number: int, first: int, count: int) -> Panels:
    """Draw everything again: trial ``number`` of a study, and ``count`` of its forecasts from position ``first`` on."""
    figure.clear()
    # Fixed places, so that nothing jumps from one trial to the next.
    grid = figure.add_gridspec(
        3, 1, left=0.075, right=0.985, top=0.97, bottom=0.05, hspace=0.5, height_ratios=(2.2, 1.3, 1.1)
    )
    upper = grid[0].subgridspec(2, 2, hspace=0.55, wspace=0.18)
    front, days = figure.add_subplot(upper[:, 0]), figure.add_subplot(grid[1])
    residuals, coverage = figure.add_subplot(upper[0, 1]), figure.add_subplot(upper[1, 1])
    errors = figure.add_subplot(grid[2])
    forecasts = study.predictions(number)
    points = _front(front, study, study.trial(number))
    hourly = explorer_data.by_hour(forecasts)
    residuals.fill_between(hourly.index, hourly["q10"], hourly["q90"], color=SKY_BLUE, alpha=0.4, lw=0)
    residuals.plot(hourly.index, hourly["q50"], color=BLUE)
    residuals.axhline(0, color="#000000", lw=0.8, ls="--")
    _title(residuals, "Residuals by hour ahead: median, 10 to 90 %", study.unit)
    coverage.bar(hourly.index, hourly["picp"], color=SKY_BLUE)
    coverage.axhline(NOMINAL_COVERAGE, color="#000000", lw=0.8, ls="--")
    coverage.set_ylim(0, 100)
    coverage.set_xlabel("hours ahead", fontsize=9)
    _title(coverage, "Coverage by hour ahead", "PICP in %")
    for axes in (residuals, coverage):
        axes.set(xlim=(0.4, len(hourly) + 0.6), xticks=range(3, len(hourly) + 1, 3))
    shown = explorer_data.days(forecasts, first, count)
    draw_forecast(days, shown, ms=3)
    days.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98))
    _title(days, f"Forecasts of trial {number}, UTC", study.unit)
    daily = explorer_data.daily_errors(forecasts)
    errors.axvspan(shown.index[0], shown.index[-1], color="#000000", alpha=0.08, lw=0)
    drawn = errors.scatter(daily.index, daily["mae"], c=daily["picp"], cmap="cividis", vmin=0, vmax=100, s=22)
    bar = figure.colorbar(drawn, ax=errors, pad=0.01, aspect=12)
    bar.set_label("hours inside, %", fontsize=9)
    errors.set_ylim(0, 1.1 * daily["mae"].max())
    _title(errors, "All days: click one to go there", f"MAE of the day, {study.unit}")
    for axes in (days, errors):
        date_axis(axes, 3, 9)
    if warning := warning_of(study):
        for axes, height, side in ((front, 1.02, "bottom"), (days, 0.97, "top")):  # where no point can be below it
            axes.text(
                0.99, height, warning, transform=axes.transAxes, ha="right", va=side, fontsize=8, color=ACCENT,
                weight="bold",
            )  # fmt: skip
    return Panels(front, points, errors, np.asarray(drawn.get_offsets())[:, 0])


def _front(axes: Axes, study: StoredStudy, chosen: TrialRecord) -> dict[int, tuple[float, float]]:
    front = [trial for trial in study.front if trial in study.viewable]
    others = [trial for trial in study.viewable if trial not in front]
    objectives = study.objectives
    axes.scatter(*places(others, objectives), s=24, color="#bbbbbb", label="other trials")
    draw_front(axes, front, objectives, colour=model_colour(study.model), unit=study.unit, ms=7)
    default = study.default
    rings = [
        ([t for t in study.viewable if t == default], "s", "#000000", 110, "untuned defaults"),
        ([study.chosen], "*", PINK, 190, "chosen"),
        ([chosen], "o", ACCENT, 260, "shown below"),
    ]
    for trials, marker, edge, size, label in rings:
        axes.scatter(
            *places(trials, objectives), s=size, marker=marker, facecolors="none", edgecolors=edge, linewidths=1.6,
            zorder=3, label=label, clip_on=False,
        )  # fmt: skip
    axes.xaxis.label.set_fontsize(9)
    axes.margins(0.08)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.125), columnspacing=1)
    axes.text(0.5, 0.99, not_drawn(objectives), transform=axes.transAxes, ha="center", va="top", fontsize=8)
    _title(axes, "Pareto front: click a trial", axes.get_ylabel())
    drawn = zip(study.viewable, *places(study.viewable, objectives), strict=True)
    return {trial.number: (x, y) for trial, x, y in drawn}


def _title(axes: Axes, title: str, ylabel: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(ylabel, fontsize=9)
    axes.tick_params(labelsize=8)
