"""What `notebooks/explore.ipynb` shows: click a point of the Pareto front and see the forecasts of that trial."""

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hpo_lib import explore
from hpo_lib.errors import InputError
from hpo_lib.explore import StoredStudy
from hpo_lib.figures import MODEL_COLOURS
from hpo_lib.forecasts import NOMINAL_COVERAGE
from hpo_lib.results import COVERAGE_TOLERANCE, default_trial

WIDTH = 960
_BAND = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
_INTERVAL = {"fill": "tonexty", "fillcolor": "rgba(86, 180, 233, 0.4)"}


class Explorer:
    """Study, trial and days, each chosen in one place and shown everywhere; see `widget`."""

    def __init__(self, studies: Sequence[StoredStudy], notes: Sequence[str] = ()) -> None:
        self.studies = studies
        self.study = studies[0]
        self.study_box = widgets.Dropdown(
            description="Study", options=[(study.label, i) for i, study in enumerate(studies)], value=0,
            layout={"width": f"{WIDTH}px"},
        )  # fmt: skip
        self.trial_box = widgets.Dropdown(description="Trial", layout={"width": "460px"})
        self.first = widgets.IntSlider(
            description="First day", min=0, max=0, readout=False, continuous_update=False, layout={"width": "560px"}
        )
        self.count = widgets.ToggleButtons(description="Days", options=[1, 3, 7, 14], value=7)
        self.count.style.button_width = "44px"
        self.when = widgets.Label()
        self.text = widgets.HTML(layout={"width": "460px"})
        self.notes = widgets.HTML("<br>".join(html.escape(note) for note in notes))
        self.front = _front_figure()
        self.forecast = _forecast_figure()
        self.errors = _errors_figure()
        self.hours = _hours_figure()
        self.study_box.observe(lambda change: self.show_study(change["new"]), names="value")
        self.trial_box.observe(lambda change: self._trial_chosen(change["new"]), names="value")
        self.first.observe(lambda _: self._show_days(), names="value")
        self.count.observe(lambda _: self._show_days(), names="value")
        for name in ("other trials", "Pareto front"):
            self._trace(self.front, name).on_click(_clicked(self.show_trial))
        self._trace(self.errors, "MAE").on_click(_clicked(self.show_day))
        self.show_study(0)

    def widget(self) -> widgets.VBox:
        """All of it, for a cell to end with."""
        return widgets.VBox(
            [
                self.notes,
                self.study_box,
                widgets.HBox([self.front, widgets.VBox([self.trial_box, self.text])]),
                widgets.HBox([self.first, self.when]),
                self.count,
                self.forecast,
                widgets.HBox([self.errors, self.hours]),
            ]
        )

    def show_study(self, position: int) -> None:
        """Show a study, and of it the chosen trial."""
        self.study = self.studies[position]
        try:
            shown = self.study.shown
        except InputError as error:
            self.text.value = f"<b>{html.escape(str(error))}</b>"
            return
        front, model = self.study.front, self.study.run.model
        others = [trial for trial in shown if trial not in front]
        default = default_trial(self.study.trials)
        with self.front.batch_update():
            for name, trials in (
                ("other trials", others),
                ("Pareto front", [trial for trial in front if trial in shown]),
                ("untuned defaults", [default] if default in shown else []),
                ("chosen", [self.study.trial(self.study.chosen)]),
            ):
                trace = self._trace(self.front, name)
                trace.x = [trial.mae for trial in trials]
                trace.y = [trial.picp_penalty for trial in trials]
                trace.customdata = [trial.number for trial in trials]
            self._trace(self.front, "Pareto front").line.color = MODEL_COLOURS.get(model, "#444444")
            self.front.layout.xaxis.title.text = f"MAE in {self.study.unit}"
            _mark(self.front, self.study)
        labels = [(f"{t.number}: MAE {t.mae:.4g}, PICP {t.scores['picp']:.1f} %", t.number) for t in shown]
        self.trial_box.options = labels  # takes the first one, which shows it
        self.show_trial(self.study.chosen)

    def show_trial(self, number: int) -> None:
        """Show a trial of the present study, at the days that are chosen."""
        if self.trial_box.value != number:
            self.trial_box.value = number  # comes back by `_trial_chosen`
        else:
            self._trial_chosen(number)

    def show_day(self, position: int) -> None:
        """Move the shown days so that they begin with a forecast, by its position."""
        self.first.value = min(position, self.first.max)

    def _trial_chosen(self, number: int | None) -> None:
        if number is None:
            return
        study, trial, forecasts = self.study, self.study.trial(number), self.study.forecasts(number)
        rows = "".join(
            f"<tr><td style='padding-right: 1em'>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
            for name, value in study.facts(number).items()
        )
        self.text.value = (
            f"<div style='line-height: 1.5'><b>{html.escape(study.run.model)} on {html.escape(study.run.dataset)}, "
            f"trial {number}</b><br>{html.escape(study.summary())}<table>{rows}</table></div>"
        )
        with self.front.batch_update():
            ring = self._trace(self.front, "shown below")
            ring.x, ring.y = [trial.mae], [trial.picp_penalty]
        daily, hourly = explore.daily_errors(forecasts), explore.by_hour(forecasts)
        with self.errors.batch_update():
            dots = self._trace(self.errors, "MAE")
            dots.x, dots.y, dots.customdata = daily.index, daily["mae"], np.arange(len(daily))
            dots.text = [f"{mae:.4g} {study.unit}, {picp:.0f} % inside" for mae, picp in daily.to_numpy()]
            self.errors.layout.yaxis.title.text = f"MAE of the day in {study.unit}"
        with self.hours.batch_update():
            for name, column in (("10 %", "q10"), ("residuals, 10 to 90 %", "q90"), ("median residual", "q50")):
                trace = self._trace(self.hours, name)
                trace.x, trace.y = hourly.index, hourly[column]
            bars = self._trace(self.hours, "PICP")
            bars.x, bars.y = hourly.index, hourly["picp"]
            self.hours.layout.yaxis.title.text = f"actual less median in {study.unit}"
        self._show_days()

    def _show_days(self) -> None:
        forecasts = self.study.forecasts(self.trial_box.value)
        self.first.max = max(len(forecasts.origins) - self.count.value, 0)
        shown = explore.days(forecasts, self.first.value, self.count.value)
        with self.forecast.batch_update():
            for name, column in (
                ("lower", "lower"),
                ("80 % interval", "upper"),
                ("median", "median"),
                ("actual", "actual"),
            ):
                trace = self._trace(self.forecast, name)
                trace.x, trace.y = shown.index, shown[column]
            self.forecast.layout.yaxis.title.text = self.study.unit
            shown_trial = f"{self.study.run.model} on {self.study.run.dataset}, trial {self.trial_box.value}"
            self.forecast.layout.title.text = f"{shown_trial}: the forecast of each day"
            _mark(self.forecast, self.study)
        self.when.value = f"{shown.index[0]:%a %Y-%m-%d} to {shown.index[-1]:%a %Y-%m-%d} (UTC)"

    @staticmethod
    def _trace(figure: go.FigureWidget, name: str) -> Any:
        return next(trace for trace in figure.data if trace.name == name)


def _clicked(show: Callable[[int], None]) -> Callable[..., None]:
    """What plotly calls with the clicked points; every point carries its number."""

    def handler(trace: Any, points: Any, _: Any) -> None:
        if points.point_inds:
            show(int(trace.customdata[points.point_inds[0]]))

    return handler


def _figure(width: int, height: int, **layout: Any) -> go.FigureWidget:
    figure = go.FigureWidget()
    _style(figure, width, height)
    figure.update_layout(**layout)
    return figure


def _style(figure: go.FigureWidget, width: int, height: int) -> None:
    figure.update_layout(
        template="plotly_white", width=width, height=height, margin={"l": 60, "r": 15, "t": 50, "b": 45},
        font={"size": 12}, title={"font": {"size": 13}}, hovermode="closest",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
    )  # fmt: skip


def _mark(figure: go.FigureWidget, study: StoredStudy) -> None:
    """The sign that data is simulated, on the figure itself."""
    sign = {"text": "SIMULATED DATA", "xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right"}
    sign |= {"yanchor": "top", "showarrow": False, "font": {"color": "#D55E00", "size": 11}}
    figure.layout.annotations = [sign] if study.source == "simulated" else []


def _front_figure() -> go.FigureWidget:
    figure = _figure(480, 430, yaxis={"title": {"text": f"|PICP - {NOMINAL_COVERAGE:g}| in percentage points"}})
    figure.layout.yaxis.rangemode = "tozero"
    figure.add_hrect(y0=0, y1=COVERAGE_TOLERANCE, fillcolor="#000000", opacity=0.05, line_width=0)
    told = "trial %{customdata}<br>MAE %{x:.4g}<br>off by %{y:.1f} points<extra></extra>"
    ring = {"mode": "markers", "hoverinfo": "skip"}  # which also lets clicks through to the point below
    figure.add_scatter(
        name="other trials", mode="markers", marker={"color": "#bbbbbb", "size": 8}, hovertemplate=told, x=[], y=[]
    )
    figure.add_scatter(
        name="Pareto front", mode="lines+markers", line={"shape": "hv", "width": 1}, marker={"size": 10},
        hovertemplate=told, x=[], y=[],
    )  # fmt: skip
    for name, symbol, colour, size in (
        ("untuned defaults", "square-open", "#000000", 15),
        ("chosen", "star-open", "#CC79A7", 18),
        ("shown below", "circle-open", "#D55E00", 22),
    ):
        marker = {"symbol": symbol, "color": colour, "size": size, "line": {"width": 2}}
        figure.add_scatter(name=name, marker=marker, x=[], y=[], **ring)
    figure.layout.title.text = "Click a point to see its forecasts below"
    figure.layout.legend = {"y": -0.18, "yanchor": "top"}
    figure.layout.margin.b = 90
    return figure


def _forecast_figure() -> go.FigureWidget:
    figure = _figure(WIDTH, 320, hovermode="x unified")
    figure.add_scatter(name="lower", showlegend=False, x=[], y=[], **_BAND)
    figure.add_scatter(name="80 % interval", x=[], y=[], **_BAND, **_INTERVAL)
    figure.add_scatter(name="median", mode="lines", line={"color": "#0072B2"}, x=[], y=[])
    actual = {"mode": "lines+markers", "line": {"color": "#000000", "width": 1}, "marker": {"size": 3}}
    figure.add_scatter(name="actual", x=[], y=[], **actual)
    return figure


def _errors_figure() -> go.FigureWidget:
    figure = _figure(WIDTH // 2, 330, title={"text": "Click a day to go there"}, showlegend=False)
    figure.add_scatter(name="MAE", mode="markers", marker={"size": 6, "color": "#0072B2"}, x=[], y=[])
    figure.data[0].hovertemplate = "%{x|%a %Y-%m-%d}<br>%{text}<extra></extra>"
    figure.layout.yaxis.rangemode = "tozero"
    return figure


def _hours_figure() -> go.FigureWidget:
    figure = go.FigureWidget(make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08))
    _style(figure, WIDTH // 2, 330)
    figure.add_scatter(name="10 %", x=[], y=[], row=1, col=1, **{**_BAND, "showlegend": False})
    figure.add_scatter(name="residuals, 10 to 90 %", x=[], y=[], row=1, col=1, **_BAND, **_INTERVAL)
    figure.add_scatter(name="median residual", mode="lines", line={"color": "#0072B2"}, x=[], y=[], row=1, col=1)
    figure.add_bar(name="PICP", marker={"color": "#56B4E9"}, showlegend=False, x=[], y=[], row=2, col=1)
    figure.add_hline(y=NOMINAL_COVERAGE, line={"dash": "dash", "width": 1, "color": "#000000"}, row=2, col=1)
    figure.update_yaxes(title_text="PICP in %", range=[0, 100], row=2, col=1)
    figure.update_xaxes(title_text="hours ahead", dtick=3, row=2, col=1)
    return figure
