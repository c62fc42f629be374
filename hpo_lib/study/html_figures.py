"""Interactive figures of a study, drawn by optuna, as self-contained HTML files."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna

from hpo_lib.data.dataset import Dataset
from hpo_lib.paths import RunPaths, atomic
from hpo_lib.records.optuna_trials import quiet_optuna
from hpo_lib.scoring.objectives import Objective


def write_optuna_figures(
    study: optuna.Study, objectives: Sequence[Objective], paths: RunPaths, dataset: Dataset
) -> None:
    """Pareto front, and history and parameter importance of the first objective, as self-contained HTML."""
    from optuna import visualization

    labels = [objective.axis(dataset.spec.unit) for objective in objectives]
    first: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": labels[0]}

    def front() -> Any:
        judged, values = _by_excess(study, objectives), [trial.values for trial in study.get_trials(deepcopy=False)]
        return visualization.plot_pareto_front(
            judged, target_names=labels, targets=lambda trial: values[trial.number] or []
        )

    figures: list[tuple[Path, Callable[[], Any]]] = [
        (paths.pareto_front, front),
        (paths.mae_history, lambda: visualization.plot_optimization_history(study, **first)),
        (paths.param_importance, lambda: visualization.plot_param_importances(study, **first)),
    ]
    marked = f" ({dataset.path})" if dataset.is_simulated else ""
    with quiet_optuna():
        for path, draw in figures:
            figure = draw()
            figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{marked}")
            with atomic(path) as temporary:
                figure.write_html(temporary, include_plotlyjs=True)


def _by_excess(study: optuna.Study, objectives: Sequence[Objective]) -> optuna.Study:
    """The same trials with values above the tolerances alone: optuna compares values as they are."""
    judged = optuna.create_study(directions=study.directions)
    for trial in study.get_trials(deepcopy=False):
        compared = copy.copy(trial)
        if trial.values is not None:
            compared.values = [o.excess(value) for o, value in zip(objectives, trial.values, strict=True)]
        judged.add_trial(compared)
    return judged
