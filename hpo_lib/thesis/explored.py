"""optuna's figures of the search space that a study explored, for a notebook."""

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import IntDistribution

from hpo_lib.records.optuna_trials import quiet_optuna
from hpo_lib.scoring.objectives import Objective


def explored(study: optuna.Study, objectives: Sequence[Objective], label: str, unit: str) -> Iterator[Figure]:
    """Each objective over each hyperparameter, then all trials as parallel coordinates.

    Titles begin with ``label``; ``unit`` is that of the target. Nothing is drawn with fewer than two complete trials.
    """
    from optuna.visualization import matplotlib as visualization

    trials = study.get_trials(deepcopy=False)
    if sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials) < 2:
        return
    whole = {n for t in trials for n, d in t.distributions.items() if isinstance(d, IntDistribution)}
    for i, objective in enumerate(objectives):
        name = objective.axis(unit)
        with quiet_optuna(), mpl.rc_context({"figure.figsize": (3.2, 2.6), "figure.constrained_layout.use": True}):
            drawn: Any = visualization.plot_slice(study, target=lambda t, i=i: t.values[i], target_name=name)  # type: ignore[misc]
        slices = np.atleast_1d(drawn)  # optuna returns a single one without an array
        for axes in slices:
            axes.xaxis.label.set_size(9)
            axes.yaxis.label.set_size(9)
            if axes.get_xlabel() in whole:
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure = slices[0].figure
        bar = figure.axes[-1].yaxis
        bar.label.set_size(9)
        bar.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(f"{label}: {name} of each trial", fontsize=10)
        yield figure
    with quiet_optuna(), mpl.rc_context({"figure.figsize": (11, 3.8), "figure.constrained_layout.use": True}):
        first: Any = visualization.plot_parallel_coordinate(study)
    first.collections[0].set_cmap("viridis")  # the last colours of optuna's own map are white on white
    _, _, *others = first.figure.axes  # the first axis, the colour bar, and one axis per further tick
    for axes, tick in zip(others, first.get_xticklabels()[1:], strict=True):
        if tick.get_text() in whole:
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    first.set_title(f"{label}: every trial through its objectives and hyperparameters", fontsize=10)
    yield first.figure
