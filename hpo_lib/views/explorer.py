"""The widgets of `notebooks/explore.ipynb`: click a point of the Pareto front and see the forecasts of that trial."""

import html
import threading
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
from ipympl.backend_nbagg import Canvas, FigureManager
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure

from hpo_lib.errors import InputError
from hpo_lib.records.study import StoredStudy
from hpo_lib.views.explorer_data import trial_counts, trial_facts
from hpo_lib.views.explorer_figure import SIZE, Panels, draw

HALF = "450px"


class LockedCanvas(Canvas):  # type: ignore[misc]  # ipympl has no types
    """A canvas that draws nothing while its figure is made anew.

    The kernel handles messages of widgets and of the canvas in threads of their own (subshells). A request to draw that
    met a figure in the making left the page empty.
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
            description="Study", options=[(study.label, i) for i, study in enumerate(studies)], value=0,
            layout={"width": f"{SIZE[0] * 100:g}px"},
        )  # fmt: skip
        self.trial_box = widgets.Dropdown(description="Trial", layout={"width": HALF})
        self.count = widgets.Dropdown(description="Days", options=[1, 3, 7, 14, 28], value=7, layout={"width": "170px"})
        self.first = widgets.IntSlider(
            description="First day", min=0, max=0, readout=False, continuous_update=False, layout={"width": HALF}
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
        return widgets.VBox([self.notes, self.study_box, widgets.HBox([controls, self.text]), self.canvas])

    def show_study(self, position: int) -> None:
        """Show a study with its chosen trial; if it cannot be read, say so and keep what is shown."""
        study = self.studies[position]
        try:
            shown = study.viewable
        except InputError as error:
            self._say(error)
            return
        self.study = study
        labels = [(f"{t.number}: MAE {t.mae:.4g}, PICP {t.scores['picp']:.1f} %", t.number) for t in shown]
        self.trial_box.options = labels
        self.trial_box.value = study.chosen.number
        self._show()  # no change is observed if the trial has the same number as in the study before

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
            f"<tr><td style='padding-right: 1em'>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
            for name, value in trial_facts(study, number).items()
        )
        self.text.value = (
            f"<div style='line-height: 1.5'><b>{html.escape(study.model)} on {html.escape(study.dataset)}, "
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
