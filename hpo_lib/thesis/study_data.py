"""Plain data behind the figures of studies, one tidy table each; `study_plots` draws them.

Every table begins with ``dataset``, ``title``, ``unit`` and ``model``.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.records.selection import pareto_front
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.thesis.evidence import Evidence


def _of_each_study(rows_of: Callable[[StoredStudy], Iterator[dict[str, Any]]]) -> Callable[[Evidence], pd.DataFrame]:
    """One table of the rows of all studies, which name their study first."""

    @wraps(rows_of)
    def table(evidence: Evidence) -> pd.DataFrame:
        rows = []
        for study in evidence.studies:
            title = evidence.title(study.dataset)
            names = {"dataset": study.dataset, "title": title, "unit": study.unit, "model": study.model}
            rows += [names | row for row in rows_of(study)]
        return pd.DataFrame(rows)

    return table


@_of_each_study
def fronts(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every complete trial: ``trial``, ``mae``, ``picp_penalty``, and the marks ``front``, ``default``, ``chosen``."""
    for trial in study.complete:
        yield {
            "trial": trial.number,
            "mae": trial.mae,
            "picp_penalty": trial.picp_penalty,
            "front": trial in study.front,
            "default": trial == study.default,
            "chosen": trial == study.chosen,
        }


@_of_each_study
def history(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every complete trial in its order: ``order`` from 1, ``mae``, ``best_mae`` and ``hypervolume`` up to it.

    Only of studies with their storage: a JSON alone lists defaults and front, which is no history.
    """
    done = study.complete if study.has_storage else []
    best = np.minimum.accumulate([trial.mae for trial in done], dtype=float)
    for order, (trial, lowest, volume) in enumerate(zip(done, best, hypervolumes(done), strict=True), start=1):
        yield {"order": order, "mae": trial.mae, "best_mae": lowest, "hypervolume": volume}


def hypervolumes(trials: Sequence[TrialRecord]) -> list[float]:
    """Share of the box between the best and the worst value of both objectives that the trials so far dominate.

    The hypervolume indicator (Zitzler and Thiele, 1998) with the worst values among all trials as reference point, over
    the area of the box, so that 1 would be one trial that is best in both. 1 throughout if the box has no area.
    """
    points = np.array([[trial.mae, trial.picp_penalty] for trial in trials])
    if not len(points):
        return []
    low, high = points.min(axis=0), points.max(axis=0)
    area = float(np.prod(high - low))
    if area == 0:
        return [1.0] * len(points)
    return [_dominated(trials[: i + 1], high) / area for i in range(len(points))]


def _dominated(trials: Sequence[TrialRecord], reference: np.ndarray) -> float:
    """The area below and left of the reference that the front covers, as a staircase."""
    area, ceiling = 0.0, float(reference[1])
    for trial in pareto_front(trials):
        area += (float(reference[0]) - trial.mae) * (ceiling - trial.picp_penalty)
        ceiling = trial.picp_penalty
    return area


@_of_each_study
def importance(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Share of importance, 0 to 1, of each ``parameter`` for ``mae`` and for ``picp_penalty``."""
    for parameter in sorted(study.importance.get("mae", {})):
        yield {"parameter": parameter, **{goal: shares[parameter] for goal, shares in study.importance.items()}}


@_of_each_study
def cost(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every finished trial: ``state``, ``seconds``, and ``hours`` of its whole study."""
    hours = float(study.result["training_time_hours"])
    for trial in study.trials:
        if trial.finished and trial.seconds > 0:
            yield {"state": trial.state, "seconds": trial.seconds, "hours": hours}
