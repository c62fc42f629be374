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
    """Pareto front, and history and parameter importance of the first objective, as HTML beside
    `RunPaths.plotly`.
    """
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as optuna's figures

    label, run = stored.objectives[0].axis(stored.unit), stored.run
    first: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": label}
    figures: list[tuple[Path, Callable[[], Any]]] = [
        (run.pareto_front, lambda: _front(stored)),
        (run.mae_history, partial(visualization.plot_optimization_history, study, **first)),
        (run.param_importance, partial(visualization.plot_param_importances, study, **first)),
    ]
    if not run.plotly.is_file() or run.plotly.stat().st_size != len(get_plotlyjs().encode()):
        with atomic(run.plotly) as temporary:
            temporary.write_text(get_plotlyjs(), encoding="utf-8")
    marked = mark_of(stored.source) + ", test budget" * stored.is_test
    for path, draw in figures:
        with atomic(path) as temporary:
            if path == run.param_importance and len(stored.complete) < TELLING_TRIALS:
                why = (
                    f"importance needs {TELLING_TRIALS} complete trials, there are "
                    f"{len(stored.complete)}{marked}."
                )
                temporary.write_text(
                    f"<!DOCTYPE html><html><body><p>{study.study_name}: {why}</p></body></html>\n"
                )
                continue
            with quiet_optuna():
                figure = draw()
            figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{marked}")
            figure.write_html(temporary, include_plotlyjs=f"../{run.plotly.name}")


def _front(stored: StoredStudy) -> Any:
    """Every complete trial by its first two or three objectives; the front, the defaults and the
    choice are marked.
    """
    from plotly.graph_objects import Figure

    figure, objectives = Figure(layout={"title": "Pareto front"}), stored.objectives
    others = [trial for trial in stored.complete if trial not in stored.front]
    default, chosen = ([one] * (one.state == "complete") for one in (stored.default, stored.chosen))
    marks = {
        "complete trials": (others, "circle", 6),
        "Pareto front": (stored.front, "circle", 9),
        "untuned defaults": (default, "square-open", 14),
        "chosen": (chosen, "x", 11),
    }
    add, axes = (
        (figure.add_scatter, "xy") if len(objectives) == 2 else (figure.add_scatter3d, "xyz")
    )
    for name, (trials, symbol, size) in marks.items():
        places = {
            axis: [t.values[o.name] for t in trials]
            for axis, o in zip(axes, objectives, strict=True)
        }
        texts = [
            f"trial {t.number}<br>" + "<br>".join(f"{k} {v}" for k, v in t.params.items())
            for t in trials
        ]
        add(
            **places, name=name, text=texts, mode="markers", marker={"symbol": symbol, "size": size}
        )
    titles = {
        f"{axis}axis": {"title": o.axis(stored.unit)}
        for axis, o in zip(axes, objectives, strict=True)
    }
    figure.update_layout(titles if len(objectives) == 2 else {"scene": titles})
    if len(objectives) == 2 and objectives[1].tolerance:
        figure.add_hrect(
            y0=0, y1=objectives[1].tolerance, fillcolor="grey", opacity=0.15, line_width=0
        )
    return figure
