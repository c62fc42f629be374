"""The widgets of notebooks: click a trial and see its forecasts; attach to a study that runs.

They show stored studies and need neither the series nor a model.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from ipympl.backend_nbagg import Canvas, FigureManager
from IPython.display import display
from ipywidgets import HTML, Dropdown, HBox, IntSlider, Label, VBox
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure

from hpo_lib.errors import HpoError, InputError
from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures import series
from hpo_lib.figures.evidence import warning_for
from hpo_lib.figures.studies import RING, draw_study_front
from hpo_lib.figures.study_page import front_figure, picture
from hpo_lib.figures.style import (
    ACCENT,
    NETWORK_KEPT,
    PINK,
    SCREEN,
    date_axis,
    hours_axis,
    marked,
    network_kept,
)
from hpo_lib.records.study import (
    StoredStudy,
    StudiesAndNotes,
    named_study,
    read_studies,
    records_folder,
    study_runs,
)
from hpo_lib.records.trial import Trials
from hpo_lib.scoring import metrics
from hpo_lib.scoring.metrics import mae_in_words

SIZE = (9.4, 5.5)
"""Inches at 100 dots: below the facts it fits a JupyterLab of 1440 x 900 with its file browser."""


FRONT, RESIDUALS, COVERAGE, DAYS, ERRORS = range(5)
"""Panels, in the order in which they are drawn."""

NAIVE = {"the day before": "24h", "the week before": "168h"}
"""Naive forecasts that can be beside those of a trial, and how much older their values are."""

REACH = 20
"""Pixels between the mouse and the trial that it means, at most."""


def find_studies(runs_dir: str = "") -> StudiesAndNotes:
    """The studies whose chosen trial has stored forecasts, and a sentence on each other one.

    They are those below a folder; an empty text is the folder of the project. The newest come
    first, those of the test budget last.
    """
    folder = records_folder(runs_dir)
    viewable = []
    studies, notes = read_studies(folder)
    for study in studies:
        if study.result["schema_version"] < 2:
            notes.append(f"{study.file}: written before forecasts were stored")
        elif study.run.trial_predictions(study.result["best_trial_number"]).exists():
            viewable.append(study)
        else:
            notes.append(f"{study.run.predictions}: no forecasts of the chosen trial")
    # those of a day stay in the order of their names
    viewable.sort(
        key=lambda one: (not one.is_test, str(one.result["optimization_date"])), reverse=True
    )
    if not viewable:
        raise InputError(
            f"{folder}: holds no study with stored forecasts, expected one; make it with `hpo "
            "run`, or set runs_dir"
        )
    notes += [
        f"{run.study_name}: no trial completed yet"
        for run in study_runs(folder)
        if not run.best_params.exists()
    ]
    return viewable, notes


def selectable(study: StoredStudy) -> Trials:
    """Trials with stored forecasts, then those that were stopped early, which keep none."""
    stopped = [trial for trial in study.trials if trial.state == "stopped" and trial.curve]
    return [*study.viewable, *stopped]


def trial_facts(study: StoredStudy, number: int) -> dict[str, str]:
    """A trial's role, scores and hyperparameters, as texts."""
    trial = study.trial(number)
    params = {name: value_in_words(value, 4) for name, value in trial.params.items()}
    if not trial.complete:
        return {"role": trial.cause, **params}
    unit, factor = study.readable
    predictions = study.readable.forecasts(study.predictions(number))
    roles = {
        "chosen": trial == study.chosen,
        "untuned defaults": trial == study.default,
        "on the front" if trial in study.front else "beaten by others": True,
    }
    policies = study.result["selection"]["alternatives"].items()
    roles |= {f"choice of {policy}": chosen == number for policy, chosen in policies}
    return {
        "role": ", ".join(role for role, holds in roles.items() if holds),
        f"MAE in {unit}": f"{metrics.mae(predictions):.5g}",
        "PICP in %": f"{metrics.picp(predictions):.1f}",
        f"mean width in {unit}": f"{metrics.mean_width(predictions):.4g}",
        f"Winkler score in {unit}": f"{metrics.winkler(predictions):.4g}",
        NETWORK_KEPT: network_kept(trial.shares),
        **{
            objective.axis(unit): (
                f"{trial.values[objective.name] * (1 if objective.unit else factor):.4g}"
            )
            for objective in study.objectives
            if objective.name != "mae"
        },
        **params,
    }


def trial_counts(study: StoredStudy) -> str:
    """The number of trials in each state, in one line."""
    counts = Counter(trial.state for trial in study.trials).most_common()
    line = ", ".join(f"{count} {state}" for state, count in counts)
    if study.has_storage:
        return line
    return f"{line}; the storage is not among the files, so these are the trials in the JSON"


@mpl.style.context([SCREEN, {"axes.titlelocation": "left"}])
def draw(
    figure: Figure, study: StoredStudy, number: int, first: int, count: int, beside: str
) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw a trial of a study, and ``count`` of its forecasts from position ``first`` on.

    Dashed ``beside`` them: the median of the trial of this number, or what came so long before,
    such as ``24h``.

    Returns:
        What can be clicked, in data coordinates: the trials of the panel `FRONT` by their numbers,
        and the places of the days along the panel `ERRORS`, none of a trial without forecasts.
    """
    figure.clear()
    panels = figure.subplot_mosaic(
        [["front", "residuals", "coverage"], ["front", *["days"] * 2], [".", *["errors"] * 2]],
        width_ratios=(1.1, 1, 1),
        height_ratios=(1, 1.5, 1.1),
    )
    # Fixed places, so that nothing jumps from one trial to the next.
    figure.subplots_adjust(0.065, 0.06, 0.985, 0.955, wspace=0.3, hspace=0.52)
    front, residuals, coverage, days, errors = panels.values()
    trials = draw_study_front(front, study).set_index("trial")
    points = trials.loc[
        [trial.number for trial in selectable(study)],
        [objective.name for objective in study.objectives[:2]],
    ]
    shown = {**RING, "mec": ACCENT, "mew": 1.6}
    front.plot(*points.loc[number], marker="o", ms=16, label="shown", **shown)
    front.margins(0.08)
    front.locator_params(axis="x", nbins=3)
    front.autoscale_view()  # now, and not when it is drawn, since clicks are looked up in it
    front.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.15), columnspacing=1)
    front.set_title("Pareto front: click a trial")
    marked(figure, warning_for([study]))
    if not study.trial(number).complete:
        for axes in figure.axes[1:]:
            axes.set_axis_off()
        days.set_title(f"Trial {number} was stopped early: it keeps no forecasts")
        return points, np.empty(0)

    unit = study.readable
    predictions = unit.forecasts(study.predictions(number))
    hourly = series.by_hour(predictions)
    series.draw_band(residuals, hourly)
    residuals.axhline(0, color="#000000", lw=0.8, ls="--")
    hours_axis(residuals)
    residuals.set(xlabel="", ylabel=unit.name, title="Residuals: median, 10 to 90 %")
    series.draw_coverage(coverage, hourly)
    coverage.set_title("Coverage by hour ahead")

    hours = series.hours_of_days(predictions, first, count)
    series.draw_forecast(days, hours, ms=3)
    if beside:
        is_naive = beside in NAIVE.values()
        other = predictions if is_naive else unit.forecasts(study.predictions(int(beside)))
        whole = series.hours_of_days(other, 0, len(other.origins))
        line = whole["actual"].shift(freq=beside) if is_naive else whole["median"]
        days.plot(line.reindex(hours.index), "--", color=PINK, lw=1.2, label="beside")
    days.set(ylabel=unit.name, title=f"Forecasts of trial {number}, UTC")
    days.legend(
        ncols=4, loc="lower right", bbox_to_anchor=(1, 0.98), handlelength=1.2, columnspacing=1
    )
    daily = series.daily_errors(predictions)
    errors.axvspan(hours.index[0], hours.index[-1], color="#000000", alpha=0.08, lw=0)
    dots = errors.scatter(daily.index, daily["mae"], c=daily["picp"], vmin=0, vmax=100, s=22)
    figure.colorbar(dots, ax=errors, pad=0.01, aspect=12, label="hours inside, %")
    errors.set(ylim=(0, 1.1 * daily["mae"].max()), ylabel=f"MAE, {unit.name}")
    errors.set_title("All days: click one to go there")
    for axes in (days, errors):
        date_axis(axes, 3, 9)
    return points, np.asarray(dots.get_offsets())[:, 0]


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
    """Study, trial and days, each chosen in one place and shown everywhere.

    ``widget`` holds all widgets as one, for the last line of a cell.
    """

    def __init__(self, studies: Sequence[StoredStudy], notes: Sequence[str] = ()) -> None:
        whole, half, short = ({"width": f"{width}px"} for width in (SIZE[0] * 100, 300, 140))
        self.study_box = Dropdown(
            description="Study",
            options=[(study.label, study) for study in studies],
            layout={"width": "640px"},
        )
        self.trial_box = Dropdown(description="Trial", layout=half)
        self.beside = Dropdown(description="Beside", layout=half)
        self.count = Dropdown(description="Days", options=[1, 3, 7, 14, 28], value=7, layout=short)
        self.first = IntSlider(
            description="First day", max=0, readout=False, continuous_update=False, layout=half
        )
        self.when = Label()
        self.text = HTML(layout=whole)
        self.notes = HTML("<br>".join(map(escape, notes)))
        self.figure = Figure(figsize=SIZE, dpi=100)
        self.canvas = LockedCanvas(self.figure)
        FigureManager(self.canvas, 0)
        self.canvas.header_visible = self.canvas.resizable = False
        self.canvas.toolbar_position = "right"
        self.canvas.mpl_connect("button_press_event", self._clicked)
        self.study_box.observe(self._show_study, names="index")
        for box in (self.trial_box, self.beside, self.first, self.count):
            box.observe(self._show, names="value")
        self.widget = VBox(
            [
                self.notes,
                HBox([self.study_box, self.beside]),
                HBox([self.trial_box, self.count, self.first, self.when]),
                self.text,
                self.canvas,
            ]
        )
        self._show_study()

    def _show_study(self, _: object = None) -> None:
        """Show the selected study with its chosen trial."""
        study = self.study_box.value
        with self._errors_told():
            trials = study.viewable
            self.study = study
            self.trial_box.options = [
                (
                    f"{trial.number}: {mae_in_words(trial.mae, study.unit)}, "
                    f"PICP {trial.scores['picp']:.1f} %"
                    if trial.complete
                    else f"{trial.number}: stopped",
                    trial.number,
                )
                for trial in selectable(study)
            ]
            self.trial_box.value = study.chosen.number
            others = [(f"median of trial {trial.number}", str(trial.number)) for trial in trials]
            self.beside.options = [*NAIVE.items(), *others, ("nothing", "")]
            self.beside.value = "24h"
            # no change is observed if the trial has the same number as in the study before
            self._show()

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Alone with the figure; of damaged files a sentence is shown, and what is drawn stays."""
        with self.canvas.lock:
            try:
                yield
            except InputError as error:
                self.text.value = f"<b>{escape(str(error))}</b>"

    def _show(self, _: object = None) -> None:
        study = self.study
        number = self.trial_box.value
        if number not in [trial.number for trial in selectable(study)]:
            return
        with self._errors_told():
            self.when.value = ""
            if study.trial(number).complete:
                origins = study.predictions(number).origins
                self.first.max = max(len(origins) - self.count.value, 0)
                self.when.value = f"after {origins[self.first.value]:%a %Y-%m-%d %H:%M} UTC"
            self.trials, self.days = draw(
                self.figure,
                study,
                number,
                self.first.value,
                self.count.value,
                self.beside.value or "",
            )
            self.canvas.draw_idle()
            facts = " ".join(
                f"<span style='white-space: nowrap; margin-right: 16px'>{escape(name)} "
                f"<b>{escape(value)}</b></span>"
                for name, value in trial_facts(study, number).items()
            )
            title = escape(f"{study.model} on {study.dataset}, trial {number}")
            self.text.value = (
                f"<div style='line-height: 1.4'><b>{title}</b> of {escape(trial_counts(study))}<br>"
                f"{facts}</div>"
            )

    def _clicked(self, event: Event) -> None:
        assert isinstance(event, MouseEvent)
        if event.inaxes is None or event.xdata is None or self.canvas.toolbar.mode:  # zooming
            return
        panel = self.figure.axes.index(event.inaxes)
        if panel == ERRORS and len(self.days):  # the slider ends where the last days begin
            self.first.value = int(np.abs(self.days - event.xdata).argmin())
        elif panel == FRONT:
            places = event.inaxes.transData.transform(self.trials)
            distances = np.hypot(*(places - (event.x, event.y)).T)
            if distances.min() <= REACH:
                self.trial_box.value = int(self.trials.index[distances.argmin()])


EVERY = 2.0
"""Seconds between two looks at a study."""


def attach(name: str, runs_dir: str = "", database: str = "") -> None:
    """Show a study in a notebook while it runs elsewhere: how far it is, last trials, its front.

    The cell ends at once. What it shows follows the study's storage until the study ends, in any
    number of notebooks, and does nothing to the study.

    Args: as in `hpo_lib.records.study.named_study`.

    Raises:
        InputError: there is no such study.
    """
    study = named_study(name, runs_dir, database)
    shown = HTML()
    display(shown)
    # asyncio itself would forget it
    shown.task = asyncio.get_running_loop().create_task(_follow(shown, study))


async def _follow(shown: HTML, study: StoredStudy) -> None:
    before = None
    state = "running"
    while state == "running":
        try:
            study = StoredStudy.read(study.run, database=study.database)
            state, cause = study.state()
            now = state, len(study.result), [trial.state for trial in study.trials]
            if now != before:
                before = now
                shown.value = progress(study, state, cause)
        except HpoError as error:  # such as a database that does not answer
            shown.value = f"<b>{escape(str(error))}</b>"
        await asyncio.sleep(EVERY)


def progress(study: StoredStudy, state: str, cause: str) -> str:
    """How far a study is, as HTML: a bar, its last trials, and its front if it has one."""
    lines = [f"{study.run.study_name}: {state}, {study.finished} of {study.asked} trials"]
    label = study.label if study.result else ""
    lines += filter(None, [cause, warning_for([study]), label, study.settled_line])
    for trial in study.trials[-RECENT:]:
        scores = mae_in_words(trial.mae, study.unit) if trial.complete else trial.cause
        seconds = f" ({trial.seconds:.0f} s)" if trial.finished else ""
        lines.append(f"trial {trial.number}: {trial.state} {scores}{seconds}")
    bar = f"<progress style='width: 100%' max={study.asked} value={study.finished}></progress>"
    front = picture(front_figure(study), "Pareto front") if study.result else ""
    return "<br>".join([bar, *map(escape, lines), front])


RECENT = 8
"""Trials of which the last state is shown."""
