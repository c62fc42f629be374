"""The widgets of `notebooks/explore.ipynb`: click a point of the Pareto front and see the forecasts
of that trial.
"""

import html
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from ipympl.backend_nbagg import Canvas, FigureManager
from matplotlib.axes import Axes
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure

from hpo_lib.errors import InputError
from hpo_lib.figures import explorer_data
from hpo_lib.figures.explorer_data import trial_counts, trial_facts
from hpo_lib.figures.study_figures import draw_forecast, draw_front, not_drawn, places
from hpo_lib.figures.study_tables import warning_of
from hpo_lib.figures.style import ACCENT, BLUE, PINK, SKY_BLUE, date_axis, model_colour
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE

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
        places = self.errors.transData.transform(
            np.column_stack([self.error_points, np.zeros(len(self.error_points))])
        )
        return int(np.abs(places[:, 0] - x).argmin())


def draw(figure: Figure, study: StoredStudy, number: int, first: int, count: int) -> Panels:
    """Draw everything again: trial ``number`` of a study, and ``count`` of its forecasts from
    position ``first`` on.
    """
    figure.clear()
    # Fixed places, so that nothing jumps from one trial to the next.
    grid = figure.add_gridspec(
        3,
        1,
        left=0.075,
        right=0.985,
        top=0.97,
        bottom=0.05,
        hspace=0.5,
        height_ratios=(2.2, 1.3, 1.1),
    )
    upper = grid[0].subgridspec(2, 2, hspace=0.55, wspace=0.18)
    front, days = figure.add_subplot(upper[:, 0]), figure.add_subplot(grid[1])
    residuals, coverage = figure.add_subplot(upper[0, 1]), figure.add_subplot(upper[1, 1])
    errors = figure.add_subplot(grid[2])
    forecasts = study.predictions(number)
    points = _front(front, study, study.trial(number))
    hourly = explorer_data.by_hour(forecasts)
    residuals.fill_between(
        hourly.index, hourly["q10"], hourly["q90"], color=SKY_BLUE, alpha=0.4, lw=0
    )
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
    drawn = errors.scatter(
        daily.index, daily["mae"], c=daily["picp"], cmap="cividis", vmin=0, vmax=100, s=22
    )
    bar = figure.colorbar(drawn, ax=errors, pad=0.01, aspect=12)
    bar.set_label("hours inside, %", fontsize=9)
    errors.set_ylim(0, 1.1 * daily["mae"].max())
    _title(errors, "All days: click one to go there", f"MAE of the day, {study.unit}")
    for axes in (days, errors):
        date_axis(axes, 3, 9)
    if warning := warning_of(study):
        for axes, height, side in (
            (front, 1.02, "bottom"),
            (days, 0.97, "top"),
        ):  # where no point can be below it
            axes.text(
                0.99,
                height,
                warning,
                transform=axes.transAxes,
                ha="right",
                va=side,
                fontsize=8,
                color=ACCENT,
                weight="bold",
            )
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
            *places(trials, objectives),
            s=size,
            marker=marker,
            facecolors="none",
            edgecolors=edge,
            linewidths=1.6,
            zorder=3,
            label=label,
            clip_on=False,
        )
    axes.xaxis.label.set_fontsize(9)
    axes.margins(0.08)
    axes.legend(
        fontsize=8,
        frameon=False,
        ncols=3,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.125),
        columnspacing=1,
    )
    axes.text(
        0.5,
        0.99,
        not_drawn(objectives),
        transform=axes.transAxes,
        ha="center",
        va="top",
        fontsize=8,
    )
    _title(axes, "Pareto front: click a trial", axes.get_ylabel())
    drawn = zip(study.viewable, *places(study.viewable, objectives), strict=True)
    return {trial.number: (x, y) for trial, x, y in drawn}


def _title(axes: Axes, title: str, ylabel: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(ylabel, fontsize=9)
    axes.tick_params(labelsize=8)


HALF = "450px"


class LockedCanvas(Canvas):  # type: ignore[misc]  # ipympl has no types
    """A canvas that draws nothing while its figure is made anew.

    The kernel handles messages of widgets and of the canvas in threads of their own (subshells). A
    request to draw that met a figure in the making left the page empty.
    """

    def __init__(self, figure: Figure) -> None:
        self.lock = threading.RLock()
        super().__init__(figure)

    def _handle_message(self, widget: Any, content: dict[str, Any], buffers: Any) -> None:
        with self.lock:
            super()._handle_message(widget, content, buffers)


class Explorer:
    """Study, trial and days, each chosen in one place and shown everywhere; see `widget`."""

    def __init__(self, studies: Sequence[StoredStudy], notes: Sequence[str] = ()) -> None:
        self.studies = studies
        self.study = studies[0]
        self.panels: Panels | None = None
        self.study_box = widgets.Dropdown(
            description="Study",
            options=[(study.label, i) for i, study in enumerate(studies)],
            value=0,
            layout={"width": f"{SIZE[0] * 100:g}px"},
        )
        self.trial_box = widgets.Dropdown(description="Trial", layout={"width": HALF})
        self.count = widgets.Dropdown(
            description="Days", options=[1, 3, 7, 14, 28], value=7, layout={"width": "170px"}
        )
        self.first = widgets.IntSlider(
            description="First day",
            min=0,
            max=0,
            readout=False,
            continuous_update=False,
            layout={"width": HALF},
        )
        self.when = widgets.Label()
        self.text = widgets.HTML(layout={"width": HALF})
        self.notes = widgets.HTML("<br>".join(html.escape(note) for note in notes))
        self.figure = Figure(figsize=SIZE, dpi=100)
        self.canvas = LockedCanvas(self.figure)
        FigureManager(self.canvas, 0)
        self.canvas.header_visible = False
        self.canvas.resizable = False
        self.canvas.toolbar_position = "right"
        self.canvas.mpl_connect("button_press_event", self._clicked)
        self.study_box.observe(lambda change: self.show_study(change["new"]), names="value")
        self.trial_box.observe(lambda _: self._show(), names="value")
        self.first.observe(lambda _: self._show(), names="value")
        self.count.observe(lambda _: self._show(), names="value")
        self.show_study(0)

    def widget(self) -> widgets.VBox:
        """All widgets as one, for the last line of a cell."""
        controls = widgets.VBox([self.trial_box, self.first, widgets.HBox([self.count, self.when])])
        return widgets.VBox(
            [self.notes, self.study_box, widgets.HBox([controls, self.text]), self.canvas]
        )

    def show_study(self, position: int) -> None:
        """Show a study with its chosen trial; if it cannot be read, say so and keep what is shown."""
        study = self.studies[position]
        try:
            shown = study.viewable
        except InputError as error:
            self._say(error)
            return
        self.study = study
        labels = [
            (f"{t.number}: MAE {t.mae:.4g}, PICP {t.scores['picp']:.1f} %", t.number) for t in shown
        ]
        self.trial_box.options = labels
        self.trial_box.value = study.chosen.number
        # no change is observed if the trial has the same number as in the study before
        self._show()

    def show_trial(self, number: int) -> None:
        """Show a trial of the study, with the chosen days."""
        self.trial_box.value = number

    def show_day(self, position: int) -> None:
        """Begin with the forecast at this position, or as near to it as the number of days allows."""
        self.first.value = min(position, self.first.max)

    def _show(self) -> None:
        with self.canvas.lock:
            try:
                self._draw()
            except InputError as error:  # of damaged forecasts; what is drawn stays
                self._say(error)

    def _say(self, error: InputError) -> None:
        self.text.value = f"<b>{html.escape(str(error))}</b>"

    def _draw(self) -> None:
        study, number = self.study, self.trial_box.value
        if number not in [trial.number for trial in study.viewable]:
            return
        last = max(len(study.predictions(number).origins) - self.count.value, 0)
        if self.first.value > last:
            self.first.value = last  # which calls this method again
        self.first.max = last
        self.panels = draw(self.figure, study, number, self.first.value, self.count.value)
        self.canvas.draw_idle()
        origins = study.predictions(number).origins[self.first.value :][: self.count.value]
        self.when.value = f"after {origins[0]:%a %Y-%m-%d %H:%M} UTC"
        rows = "".join(
            "<tr><td style='padding-right: "
            f"1em'>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
            for name, value in trial_facts(study, number).items()
        )
        self.text.value = (
            f"<div style='line-height: 1.5'><b>{html.escape(study.model)} on "
            f"{html.escape(study.dataset)}, "
            f"trial {number}</b><br>{html.escape(trial_counts(study))}<table>{rows}</table></div>"
        )

    def _clicked(self, event: Event) -> None:
        assert isinstance(event, MouseEvent)
        if self.panels is None or self.canvas.toolbar.mode:  # zooming or panning
            return
        if event.inaxes is self.panels.front:
            number = self.panels.trial_at(event.x, event.y)
            if number is not None:
                self.show_trial(number)
        elif event.inaxes is self.panels.errors:
            self.show_day(self.panels.day_at(event.x))
