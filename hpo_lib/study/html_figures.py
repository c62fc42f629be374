"""Interactive figures of a study, drawn by optuna, as self-contained HTML files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from hpo_lib.data.dataset import Dataset
from hpo_lib.paths import RunPaths, atomic
from hpo_lib.records.optuna_trials import quiet_optuna
from hpo_lib.scoring.objectives import OBJECTIVES


def write_optuna_figures(study: optuna.Study, paths: RunPaths, dataset: Dataset) -> None:
    """Pareto front, MAE history and parameter importance as self-contained HTML."""
    from optuna import visualization

    labels = [f"MAE in {dataset.spec.unit}", OBJECTIVES["picp_penalty"].label]
    mae: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": labels[0]}
    figures: list[tuple[Path, Callable[[], Any]]] = [
        (paths.pareto_front, lambda: visualization.plot_pareto_front(study, target_names=labels)),
        (paths.mae_history, lambda: visualization.plot_optimization_history(study, **mae)),
        (paths.param_importance, lambda: visualization.plot_param_importances(study, **mae)),
    ]
    marked = f" ({dataset.path})" if dataset.source == "simulated" else ""
    with quiet_optuna():
        for path, draw in figures:
            figure = draw()
            figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{marked}")
            with atomic(path) as temporary:
                figure.write_html(temporary, include_plotlyjs=True)
