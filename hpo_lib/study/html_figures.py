"""Interactive figures of a study as HTML files that share one copy of plotly."""

from typing import Any

import optuna
import pandas as pd
from optuna import visualization

from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.paths import atomic
from hpo_lib.records.optuna_trials import quiet_optuna
from hpo_lib.records.study import TELLING_TRIALS, StoredStudy

MARKS = {
    "complete trials": ("circle", 6),
    "Pareto front": ("circle", 9),
    "untuned defaults": ("square-open", 14),
    "chosen": ("x", 11),
}
"""Name -> symbol and size in pixels."""


def write_optuna_figures(study: optuna.Study, stored: StoredStudy) -> None:
    """Pareto front, and history and parameter importance of the first objective, as HTML.

    They are beside `RunPaths.plotly`.
    """
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as its figures

    run, script = stored.run, get_plotlyjs()
    if not run.plotly.is_file() or run.plotly.stat().st_size != len(script.encode()):
        with atomic(run.plotly) as temporary:
            temporary.write_text(script, encoding="utf-8")
    marked = mark_of(stored.source) + ", test budget" * stored.is_test
    first: dict[str, Any] = {
        "target": lambda trial: trial.values[0],
        "target_name": stored.objectives[0].axis(stored.unit),
    }
    complete = len(stored.complete)
    with quiet_optuna():
        figures = {
            run.pareto_front: _front(stored),
            run.mae_history: visualization.plot_optimization_history(study, **first),
        }
        if complete >= TELLING_TRIALS:
            importance = visualization.plot_param_importances(study, **first)
            figures[run.param_importance] = importance
    for path, figure in figures.items():
        figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{marked}")
        with atomic(path) as temporary:
            figure.write_html(temporary, include_plotlyjs=f"../{run.plotly.name}")
    if complete < TELLING_TRIALS:
        why = f"importance needs {TELLING_TRIALS} complete trials, there are {complete}{marked}."
        text = f"<!DOCTYPE html><html><body><p>{study.study_name}: {why}</p></body></html>\n"
        with atomic(run.param_importance) as temporary:
            temporary.write_text(text)


def _front(stored: StoredStudy) -> Any:
    """Complete trials by two or three objectives; front, defaults and choice are marked."""
    import plotly.express as px

    trials = {
        "complete trials": [trial for trial in stored.complete if trial not in stored.front],
        "Pareto front": stored.front,
        "untuned defaults": [stored.default],
        "chosen": [stored.chosen],
    }
    axes = [objective.axis(stored.unit) for objective in stored.objectives]
    table = pd.DataFrame(
        {"mark": mark, "trial": trial.number, **trial.params}
        | dict(zip(axes, trial.values.values(), strict=True))
        for mark, marked in trials.items()
        for trial in marked
        if trial.state == "complete"
    )
    draw = px.scatter if len(axes) == 2 else px.scatter_3d
    others = [name for name in table if name not in ("mark", *axes)]
    places = dict(zip("xyz", axes, strict=False))
    figure = draw(table, **places, color="mark", hover_data=others, title="Pareto front")
    for name, (symbol, size) in MARKS.items():
        figure.update_traces(marker={"symbol": symbol, "size": size}, selector={"name": name})
    tolerance = stored.objectives[1].tolerance
    if len(axes) == 2 and tolerance:
        figure.add_hrect(y0=0, y1=tolerance, fillcolor="grey", opacity=0.15, line_width=0)
    return figure
