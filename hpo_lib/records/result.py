"""The best_params JSON of a study: its newest schema is written, every schema is read.

Nothing here imports optuna: `hpo_lib.records.optuna_trials` turns its trials into `TrialRecord`s.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hpo_lib.errors import InputError
from hpo_lib.families.models import read_recipe
from hpo_lib.paths import RunPaths
from hpo_lib.records.choice import pareto_front, select
from hpo_lib.records.files import read_json
from hpo_lib.records.schema import check_result, contradictions
from hpo_lib.records.trial import TrialRecord, default_trial
from hpo_lib.scoring.objectives import FORMER_PAIR, OBJECTIVES, Objective

SCHEMA_VERSION = 2
"""1 is the schema of the original HPO plan (both of its variants), which had no version key."""


def study_result(
    run: RunPaths,
    *,
    storage_path: str,
    status: str,
    trials_asked: int,
    policy: str,
    objectives: Sequence[Objective],
    trials: Sequence[TrialRecord],
    optimization_date: str,
    baselines: Mapping[str, Mapping[str, float]],
    provenance: Mapping[str, Any],
    proof: Mapping[str, Any] | None = None,
    proof_seconds: float = 0.0,
) -> dict[str, Any]:
    """The content of a best_params JSON: the keys that old readers rely on, and those of newer
    ones.

    ``status`` is ``complete``, ``running`` (trials or the proof are still missing) or ``stopped``
    (by time budget or signal). ``proof_seconds`` are those of all trainings with fresh seeds so
    far.
    """
    default = default_trial(trials) if trials else None
    front = pareto_front(trials, objectives)
    counts = Counter(trial.state for trial in trials)
    chosen, recipe = (
        chosen_entries(front, policy, trials, default, proof),
        read_recipe(provenance.get("recipe", {})),
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "model": run.model,
        "dataset": run.dataset,
        "job_id": run.job_id,
        "status": status,
        "optimization_date": optimization_date,
        "n_trials": trials_asked,
        "n_completed": counts["complete"],
        "n_failed": counts["failed"],
        "n_pruned": counts["stopped"],
        "n_interrupted": counts["interrupted"],
        "space": provenance.get("space"),
        **chosen,
        "proof": proof,
        "best_recipe": asdict(recipe.updated(chosen["best_params"])[0]) if recipe else None,
        "default_trial": None if default is None else trial_entry(default),
        "baselines": {name: dict(scores) for name, scores in baselines.items()},
        "study_name": run.study_name,
        "storage_path": storage_path,
        "training_time_hours": (sum(t.seconds for t in trials) + proof_seconds) / 3600,
        "all_pareto_trials": [trial_entry(t) for t in front],
        "failures": [{"trial": t.number, "cause": t.cause} for t in trials if t.state == "failed"],
        "objectives": [{"name": o.name, "tolerance": o.tolerance} for o in objectives],
        "provenance": dict(provenance),
    }


def chosen_entries(
    front: Sequence[TrialRecord],
    policy: str,
    trials: Sequence[TrialRecord],
    default: TrialRecord | None,
    proof: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The JSON's entries on the choice among ``trials``, of which the policy ``proven`` may take
    one off the front.

    Raises:
        StudyError: the front is empty.
    """
    selection = select(front, policy, default=default, proof=proof)
    chosen = next(t for t in trials if t.number == selection.trial)
    return {
        "n_pareto_optimal": len(front),
        "best_trial_number": chosen.number,
        "best_mae": chosen.mae,
        "best_picp": chosen.scores["picp"],
        "best_picp_approx": chosen.scores["picp"],
        "best_params": dict(chosen.params),
        "selection": asdict(selection),
        "chosen_trial": trial_entry(chosen),
        "validation_metrics": {**chosen.scores, "by_step": dict(chosen.by_step)},
    }


LISTED_SCORES = ("picp", "pinball", "winkler", "picp_calibrated", "winkler_calibrated")
"""Scores of each trial in the JSON, beside MAE: all that an objective is a function of."""


def trial_entry(trial: TrialRecord) -> dict[str, Any]:
    """A trial's entry in the JSON."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "mae": trial.mae if trial.state == "complete" else None,
        "picp_penalty": trial.picp_penalty if trial.state == "complete" else None,
        **{name: trial.scores.get(name) for name in LISTED_SCORES},
        "values": dict(trial.values),
        "shares": None if trial.shares is None else list(trial.shares),
        "params": dict(trial.params),
    }


def trial_of_json(found: Mapping[str, Any]) -> TrialRecord:
    """A trial as a best_params JSON lists it; the inverse of `trial_entry`."""
    scores = {name: found[name] for name in LISTED_SCORES if found.get(name) is not None}
    mae, penalty = (
        math.nan if found.get(name) is None else found[name] for name in ("mae", "picp_penalty")
    )
    return TrialRecord(
        int(found["trial"]),
        str(found.get("state", "complete")),
        found["params"],
        mae,
        penalty,
        scores,
        shares=None if found.get("shares") is None else (found["shares"][0], found["shares"][1]),
        values=found.get("values", {}),
    )


def objectives_of(
    stated: Sequence[str | Mapping[str, Any]] | None, file: Path
) -> tuple[Objective, ...]:
    """The objectives that a JSON states, or a study's identity (their names alone); without any the
    former pair.

    Raises:
        InputError: this version does not know one of them.
    """
    found = []
    for one in stated or []:
        name, own = (
            (one, {}) if isinstance(one, str) else (one["name"], {"tolerance": one["tolerance"]})
        )
        if name not in OBJECTIVES:
            raise InputError(
                f"{file}: objective {name!r} is unknown to this version; update hpo_lib"
            )
        found.append(replace(OBJECTIVES[name], **own))
    return tuple(found) or FORMER_PAIR


def load_result(path: Path) -> dict[str, Any]:
    """A best_params JSON of any schema, with the keys of the newest one. Values that an old file
    lacks are None.

    Old files say ``best_trial`` for ``best_trial_number``, ``optuna_study_name`` for
    ``study_name``, ``total_trials_completed`` for ``n_completed``, and only an approximate PICP;
    ``schema_version`` is 1 for them.

    Raises: InputError: the file is missing, is not a JSON object, or holds something else than a
        best_params JSON.
    """
    found = read_json(path, "a best_params JSON of a study")
    if not isinstance(found, dict):
        raise InputError(
            f"{path}: holds a {type(found).__name__}, expected the JSON object of best parameters"
        )
    schema = found.get("schema_version", 1)
    if isinstance(schema, bool) or not isinstance(schema, int) or schema > SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {schema!r}, this version reads up to {SCHEMA_VERSION}; "
            "update hpo_lib"
        )
    present = {_RENAMED.get(str(key), str(key)): value for key, value in found.items()}
    result = {**dict.fromkeys(_KEYS), **present, "schema_version": schema}
    check_result(result, path)
    objectives_of(result["objectives"], path)
    if wrong := next(contradictions(result), "") if schema > 1 else "":
        raise InputError(f"{path}: {wrong}; restore the file from a copy, or write it again")
    return result


_RENAMED = {
    "best_trial": "best_trial_number",
    "optuna_study_name": "study_name",
    "total_trials_completed": "n_completed",
    "pruned_trials": "n_pruned",
}

_KEYS = (
    "job_id",
    "status",
    "optimization_date",
    "n_trials",
    "n_completed",
    "n_failed",
    "n_pruned",
    "n_interrupted",
    "n_pareto_optimal",
    "best_trial_number",
    "best_mae",
    "best_picp",
    "best_picp_approx",
    "selection",
    "chosen_trial",
    "proof",
    "validation_metrics",
    "default_trial",
    "baselines",
    "study_name",
    "storage_path",
    "training_time_hours",
    "all_pareto_trials",
    "failures",
    "objectives",
    "provenance",
    "space",
    "best_recipe",
)
