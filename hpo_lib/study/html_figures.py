"""Interactive figures of a study, drawn by optuna, as HTML files that share one copy of plotly."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna import visualization

from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.paths import atomic
from hpo_lib.records.optuna_trials import quiet_optuna
from hpo_lib.records.study import TELLING_TRIALS, StoredStudy


def write_optuna_figures(study: optuna.Study, stored: StoredStudy) -> None:
    """Write the Pareto front, and history and importance of the first objective, as HTML."""
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as optuna's figures

    label, run = stored.objectives[0].axis(stored.unit), stored.run
    first: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": label}
    figures: dict[Path, Callable[[], Any]] = {
        run.pareto_front: lambda: _front(stored),
        run.mae_history: partial(visualization.plot_optimization_history, study, **first),
        run.param_importance: partial(visualization.plot_param_importances, study, **first),
    }
    if not run.plotly.is_file() or run.plotly.stat().st_size != len(get_plotlyjs().encode()):
        with atomic(run.plotly) as temporary:
            temporary.write_text(get_plotlyjs(), encoding="utf-8")
    mark = mark_of(stored.source) + (", test budget" if stored.is_test else "")
    for path, draw in figures.items():
        with atomic(path) as temporary:
            if path == run.param_importance and len(stored.complete) < TELLING_TRIALS:
                why = (
                    f"importance needs {TELLING_TRIALS} complete trials, there are "
                    f"{len(stored.complete)}{mark}."
                )
                temporary.write_text(
                    f"<!DOCTYPE html><html><body><p>{study.study_name}: {why}</p></body></html>\n"
                )
                continue
            with quiet_optuna():
                figure = draw()
            figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{mark}")
            figure.write_html(temporary, include_plotlyjs=f"../{run.plotly.name}")


def _front(stored: StoredStudy) -> Any:
    """Complete trials by two or three objectives; front, defaults and choice are marked."""
    from plotly.graph_objects import Figure

    figure = Figure(layout={"title": "Pareto front"})
    objectives = dict(zip("xyz", stored.objectives, strict=False))
    flat = "z" not in objectives
    add = figure.add_scatter if flat else figure.add_scatter3d
    for name, trials, symbol, size in (
        ("complete trials", [t for t in stored.complete if t not in stored.front], "circle", 6),
        ("Pareto front", stored.front, "circle", 9),
        ("untuned defaults", [stored.default], "square-open", 14),
        ("chosen", [stored.chosen], "x", 11),
    ):
        complete = [trial for trial in trials if trial.state == "complete"]
        lines = [
            [f"trial {t.number}", *(f"{k} {v}" for k, v in t.params.items())] for t in complete
        ]
        add(
            **{axis: [t.values[o.name] for t in complete] for axis, o in objectives.items()},
            name=name,
            text=["<br>".join(line) for line in lines],
            mode="markers",
            marker={"symbol": symbol, "size": size},
        )
    titles = {f"{axis}axis": {"title": o.axis(stored.unit)} for axis, o in objectives.items()}
    figure.update_layout(titles if flat else {"scene": titles})
    if flat and (tolerance := stored.objectives[1].tolerance):
        figure.add_hrect(y0=0, y1=tolerance, fillcolor="grey", opacity=0.15, line_width=0)
    return figure
