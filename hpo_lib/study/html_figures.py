"""Interactive figures of a study as HTML files that share one copy of plotly."""

from typing import Any

import optuna
from optuna import visualization

from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.paths import write_text
from hpo_lib.records.storage import quiet_optuna
from hpo_lib.records.study import TELLING_TRIALS, StoredStudy


def write_optuna_figures(study: optuna.Study, stored: StoredStudy) -> None:
    """Front without tolerances, history and importance of the first objective, as HTML of optuna.

    They are beside `RunPaths.plotly`. Importance is that of PED-ANOVA (Watanabe et al., 2023).
    """
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as its figures

    run, script, complete = stored.run, get_plotlyjs(), len(stored.complete)
    source = mark_of(stored.source) + ", test budget" * stored.is_test
    axes = [objective.axis(stored.unit) for objective in stored.objectives]
    first: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": axes[0]}
    with quiet_optuna():
        figures = {
            run.pareto_front: visualization.plot_pareto_front(study, target_names=axes),
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
