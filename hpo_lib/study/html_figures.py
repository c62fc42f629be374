"""Interactive figures of a study as HTML files that share one copy of plotly."""

from typing import Any

import optuna
import pandas as pd
from optuna import visualization

from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.paths import write_text
from hpo_lib.records.storage import quiet_optuna
from hpo_lib.records.study import TELLING_TRIALS, StoredStudy


def write_optuna_figures(study: optuna.Study, stored: StoredStudy) -> None:
    """Pareto front, and history and parameter importance of the first objective, as HTML.

    They are beside `RunPaths.plotly`.
    """
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as its figures

    run, script, complete = stored.run, get_plotlyjs(), len(stored.complete)
    source = mark_of(stored.source) + ", test budget" * stored.is_test
    first: dict[str, Any] = {
        "target": lambda trial: trial.values[0],
        "target_name": stored.objectives[0].axis(stored.unit),
    }
    with quiet_optuna():
        figures = {
            run.pareto_front: _front(stored),
            run.mae_history: visualization.plot_optimization_history(study, **first),
        }
        if complete >= TELLING_TRIALS:
            figures[run.param_importance] = visualization.plot_param_importances(study, **first)
    why = f"importance needs {TELLING_TRIALS} complete trials, there are {complete}{source}."
    few = f"<!DOCTYPE html><html><body><p>{study.study_name}: {why}</p></body></html>\n"
    texts = {run.plotly: script, run.param_importance: few}
    for path, figure in figures.items():
        figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{source}")
        texts[path] = figure.to_html(include_plotlyjs=f"../{run.plotly.name}")
    if run.plotly.is_file() and run.plotly.stat().st_size == len(script.encode()):
        del texts[run.plotly]
    for path, text in texts.items():
        write_text(path, text)


def _front(stored: StoredStudy) -> Any:
    """Complete trials by two or three objectives; front, defaults and choice are marked."""
    import plotly.express as px

    marks = {
        "complete trials": [trial for trial in stored.complete if trial not in stored.front],
        "Pareto front": stored.front,
        "untuned defaults": [stored.default],
        "chosen": [stored.chosen],
    }
    axes = [objective.axis(stored.unit) for objective in stored.objectives]
    table = pd.DataFrame(
        {"mark": mark, "trial": trial.number, **trial.params}
        | dict(zip(axes, trial.values.values(), strict=True))
        for mark, marked in marks.items()
        for trial in marked
        if trial.state == "complete"
    )
    draw = px.scatter if len(axes) == 2 else px.scatter_3d
    figure = draw(
        table,
        **dict(zip("xyz", axes, strict=False)),
        color="mark",
        symbol="mark",
        symbol_map=dict(zip(marks, ("circle", "circle", "square-open", "x"), strict=True)),
        hover_data=[*table.columns.drop(["mark", *axes])],
        title="Pareto front",
    )
    figure.update_traces(marker_size=9)
    figure.update_traces(marker_size=14, selector={"name": "untuned defaults"})
    tolerance = stored.objectives[1].tolerance
    if len(axes) == 2 and tolerance:
        figure.add_hrect(y0=0, y1=tolerance, fillcolor="grey", opacity=0.15, line_width=0)
    return figure
