"""Interactive figures of a study, drawn by optuna, as HTML files that share one copy of plotly."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna import visualization

from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.paths import atomic
from hpo_lib.records.optuna_trials import quiet_optuna
from hpo_lib.records.study import StoredStudy

TELLING_TRIALS = 15
"""Of fewer complete trials the importance of hyperparameters is noise."""


def write_optuna_figures(study: optuna.Study, stored: StoredStudy) -> None:
    """Pareto front, and history and parameter importance of the first objective, as HTML beside `RunPaths.plotly`."""
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as optuna's figures

    label, run = stored.objectives[0].axis(stored.unit), stored.run
    first: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": label}
    figures: list[tuple[Path, Callable[[], Any]]] = [
        (run.pareto_front, lambda: _front(study, stored)),
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
                why = f"importance needs {TELLING_TRIALS} complete trials, there are {len(stored.complete)}{marked}."
                temporary.write_text(f"<!DOCTYPE html><html><body><p>{study.study_name}: {why}</p></body></html>\n")
                continue
            with quiet_optuna():
                figure = draw()
            figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{marked}")
            figure.write_html(temporary, include_plotlyjs=f"../{run.plotly.name}")


def _front(study: optuna.Study, stored: StoredStudy) -> Any:
    """The front of the values above the tolerances alone, since optuna compares values as they are, with its marks."""
    trials, objectives = study.get_trials(deepcopy=False), stored.objectives
    judged = optuna.create_study(directions=study.directions)
    for trial in trials:
        compared = copy.copy(trial)
        if trial.values is not None:
            compared.values = [o.excess(value) for o, value in zip(objectives, trial.values, strict=True)]
        judged.add_trial(compared)
    figure = visualization.plot_pareto_front(
        judged,
        target_names=[objective.axis(stored.unit) for objective in objectives],
        targets=lambda trial: trials[trial.number].values or [],
    )
    mark = figure.add_scatter if len(objectives) == 2 else figure.add_scatter3d
    for one, name, symbol in ((stored.default, "untuned defaults", "square-open"), (stored.chosen, "chosen", "x")):
        if one.state == "complete":
            place = {axis: [one.values[o.name]] for axis, o in zip("xyz", objectives, strict=False)}
            mark(**place, mode="markers", name=f"{name} (trial {one.number})", marker={"symbol": symbol, "size": 14})
    for draw, objective in zip((figure.add_vrect, figure.add_hrect), objectives, strict=False):
        if objective.tolerance and len(objectives) == 2:
            ends = ("x0", "x1") if draw == figure.add_vrect else ("y0", "y1")
            draw(**dict(zip(ends, (0, objective.tolerance), strict=True)), fillcolor="grey", opacity=0.15, line_width=0)
    return figure
