"""Plain data behind the figures of studies, one tidy table each; `study_plots` draws them.

Every table begins with ``dataset``, ``title``, ``unit``, ``model`` and ``objectives``, the names of
what the study minimised, joined by commas.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.style import readable
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import Objective


def _of_each_study(
    rows_of: Callable[[StoredStudy], Iterator[dict[str, Any]]],
) -> Callable[[Evidence], pd.DataFrame]:
    """One table of the rows of all studies, which name their study first."""

    @wraps(rows_of)
    def table(evidence: Evidence) -> pd.DataFrame:
        rows = []
        for study in evidence.studies:
            title = evidence.title(study.dataset)
            objectives = ",".join(objective.name for objective in study.objectives)
            names = {
                "dataset": study.dataset,
                "title": title,
                "unit": _readable(study)[0],
                "model": study.model,
            }
            names |= {"objectives": objectives}
            rows += [names | row for row in rows_of(study)]
        return pd.DataFrame(rows)

    return table


@_of_each_study
def fronts(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every complete trial: ``trial``, its objectives by name, and the marks ``front``,
    ``default``, ``chosen``.
    """
    for trial in study.complete:
        yield {
            "trial": trial.number,
            **{o.name: trial.values[o.name] * _factor(study, o) for o in study.objectives},
            "front": trial in study.front,
            "default": trial == study.default,
            "chosen": trial == study.chosen,
        }


@_of_each_study
def history(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every complete trial in its order: ``order`` from 1, ``value``, ``best`` and ``hypervolume``
    up to it.

    ``value`` and ``best`` are of the first objective. Only of studies with their storage: a JSON
    alone lists defaults and front, which is no history.
    """
    done = study.complete if study.has_storage else []
    values = [
        trial.values[study.objectives[0].name] * _factor(study, study.objectives[0])
        for trial in done
    ]
    best, volumes = np.minimum.accumulate(values, dtype=float), hypervolumes(done, study.objectives)
    for order, (value, lowest, volume) in enumerate(
        zip(values, best, volumes, strict=True), start=1
    ):
        yield {"order": order, "value": value, "best": lowest, "hypervolume": volume}


def hypervolumes(trials: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[float]:
    """Share of the box between the best and the worst value of all objectives that the trials so
    far dominate.

    The hypervolume indicator (Zitzler and Thiele, 1998) of the values above the tolerances, with
    the worst ones among all trials as reference point, over the volume of the box, so that 1 would
    be one trial that is best in all. An objective in which all trials are equal does not count; 1
    throughout if there is no other.
    """
    if not trials:
        return []
    points = np.array([[o.excess(trial.values[o.name]) for o in objectives] for trial in trials])
    low, high = points.min(axis=0), points.max(axis=0)
    differs = high > low
    scaled = (high - points)[:, differs] / (high - low)[differs]
    return [_dominated(scaled[: i + 1]) for i in range(len(points))]


def _dominated(gains: np.ndarray) -> float:
    """The volume that points [N, K] above 0 dominate: slices along the last axis, each one axis
    less.
    """
    if gains.shape[1] == 0:
        return 1.0
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    depths = gains[:, -1] - np.append(gains[1:, -1], 0.0)
    return float(
        sum(depth * _dominated(gains[: i + 1, :-1]) for i, depth in enumerate(depths) if depth > 0)
    )


@_of_each_study
def explored(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every ``parameter`` with its ``value`` in each complete trial.

    ``change`` is by how many percent the trial's first objective is above that of the untuned
    defaults. Only of studies with their storage, whose defaults have a value above 0.
    """
    name = study.objectives[0].name
    before = study.default.values.get(name, 0.0)
    for trial in study.complete if study.has_storage and before > 0 else ():
        for parameter, value in sorted(trial.params.items()):
            yield {
                "parameter": parameter,
                "value": value,
                "change": 100 * (trial.values[name] / before - 1),
                "default": trial == study.default,
                "chosen": trial == study.chosen,
            }


@_of_each_study
def cost(study: StoredStudy) -> Iterator[dict[str, Any]]:
    """Every finished trial: ``state``, ``seconds``, and ``hours`` and ``device`` of its whole
    study.
    """
    hours = float(study.result["training_time_hours"])
    for trial in study.trials:
        if trial.finished and trial.seconds > 0:
            device = str(study.provenance.get("device"))
            yield {"state": trial.state, "seconds": trial.seconds, "hours": hours, "device": device}


def _factor(study: StoredStudy, objective: Objective) -> float:
    """From the unit of stored values to the one that is shown."""
    return 1.0 if objective.unit else _readable(study)[1]


def _readable(study: StoredStudy) -> tuple[str, float]:
    return readable(study.unit, study.chosen.mae)
