"""Plain data behind the figures of studies, one tidy table each; `study_plots` draws them.

Every table begins with ``dataset``, ``title``, ``unit`` and ``model``.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord, pareto_front
from hpo_lib.thesis.evidence import Evidence


def fronts(evidence: Evidence) -> pd.DataFrame:
    """Every complete trial: ``trial``, ``mae``, ``picp_penalty``, and the marks ``front``, ``default``, ``chosen``."""
    rows = []
    for study, names in _studies(evidence):
        front = {trial.number for trial in study.front}
        for trial in study.complete:
            rows.append(
                {
                    **names,
                    "trial": trial.number,
                    "mae": trial.mae,
                    "picp_penalty": trial.picp_penalty,
                    "front": trial.number in front,
                    "default": trial.number == study.default.number,
                    "chosen": trial.number == study.chosen.number,
                }
            )
    return pd.DataFrame(rows)


def history(evidence: Evidence) -> pd.DataFrame:
    """Every complete trial in its order: ``order`` from 1, ``mae``, ``best_mae`` and ``hypervolume`` up to it.

    Only of studies with their storage: a JSON alone lists defaults and front, which is no history.
    """
    rows = []
    for study, names in _studies(evidence):
        if not study.has_storage:
            continue
        done = study.complete
        volumes = hypervolumes(done)
        best = np.minimum.accumulate([trial.mae for trial in done], dtype=float)
        for order, (trial, lowest, volume) in enumerate(zip(done, best, volumes, strict=True), start=1):
            rows.append({**names, "order": order, "mae": trial.mae, "best_mae": lowest, "hypervolume": volume})
    return pd.DataFrame(rows)


def hypervolumes(trials: Sequence[TrialRecord]) -> list[float]:
    """Share of the box between the best and the worst value of both objectives that the trials so far dominate.

    The hypervolume indicator (Zitzler and Thiele, 1998) with the worst values among all trials as reference point, over
    the area of the box, so that 1 would be one trial that is best in both. 1 throughout where the box has no area.
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


def importance(evidence: Evidence) -> pd.DataFrame:
    """Share of importance, 0 to 1, of each ``parameter`` for ``mae`` and for ``picp_penalty``."""
    rows = []
    for study, names in _studies(evidence):
        found = study.importance
        for parameter in sorted(found.get("mae", {})):
            rows.append(
                {
                    **names,
                    "parameter": parameter,
                    **{objective: shares[parameter] for objective, shares in found.items()},
                }
            )
    return pd.DataFrame(rows)


def cost(evidence: Evidence) -> pd.DataFrame:
    """Every finished trial: ``state``, ``seconds``, and ``hours`` of its whole study."""
    rows = []
    for study, names in _studies(evidence):
        hours = float(study.result["training_time_hours"])
        for trial in study.trials:
            if trial.finished and trial.seconds > 0:
                rows.append({**names, "state": trial.state, "seconds": trial.seconds, "hours": hours})
    return pd.DataFrame(rows)


def _studies(evidence: Evidence) -> Iterator[tuple[StoredStudy, dict[str, str]]]:
    for study in evidence.studies:
        yield (
            study,
            {
                "dataset": study.dataset,
                "title": evidence.title(study.dataset),
                "unit": study.unit,
                "model": study.model,
            },
        )
