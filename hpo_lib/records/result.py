"""The best_params JSON of a study: today's is written, that of the original HPO plan is read, too.

Nothing here imports optuna: `hpo_lib.records.storage` turns its trials into `TrialRecord`s.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model

from hpo_lib.errors import InputError
from hpo_lib.families.models import read_recipe
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import Provenance
from hpo_lib.records.read_write import Count, Json, Name, Params, Part, check, checked_json
from hpo_lib.records.trial import (
    Selection,
    Settled,
    TrialRecord,
    Trials,
    check_trial,
    default_trial,
    pareto_front,
    select,
)
from hpo_lib.scoring.objectives import FORMER_PAIR, OBJECTIVES, Objective

SCHEMA_VERSION = 2
"""1 is that of the original HPO plan (both of its variants), which had no version key."""


class _Trial(Part):
    """What else it holds is checked as a `TrialRecord`."""

    trial: Count
    params: Params


_Change = Annotated[list[float], Field(min_length=3, max_length=3)] | None


class _Challenger(Part):
    trial: Count
    proven: bool
    cause: str
    probability: float | None = None
    score_change: _Change = None
    mae_change: _Change = None
    winkler_calibrated_change: _Change = None
    picp_calibrated: float | None = None


class _Proof(Part):
    seeds: list[int]
    days: Count
    challengers: list[_Challenger]
    cause: str


class _Objective(Part):
    name: str
    tolerance: float


class _Failure(Part):
    trial: Count
    cause: str


class _Scores(Part, extra="allow"):
    __pydantic_extra__: dict[str, float | None]
    by_step: dict[str, list[float]] | None = None


class _Versioned(Part):
    schema_version: int = 1


class _Record(Part):
    """The JSON as `study_result` makes it, in its order."""

    schema_version: Count
    model: Name
    dataset: Name
    job_id: Name
    status: str
    settled: Settled | None = None
    optimization_date: str
    n_trials: Count
    n_completed: Count
    n_failed: Count
    n_pruned: Count
    n_interrupted: Count
    space: str | None
    n_pareto_optimal: Count
    best_trial_number: Count
    best_mae: float
    best_picp: float
    best_picp_approx: float
    best_params: Params
    selection: Selection
    chosen_trial: _Trial
    validation_metrics: _Scores
    proof: _Proof | None
    best_recipe: Json | None
    default_trial: _Trial
    baselines: dict[str, dict[str, float]]
    study_name: str
    storage_path: str
    training_time_hours: float
    all_pareto_trials: Annotated[list[_Trial], Field(min_length=1)]
    failures: list[_Failure]
    objectives: list[_Objective]
    provenance: Provenance


_OPTIONAL: Json = {key: (kind | None, None) for key, kind in _Record.__annotations__.items()}
_OldRecord = create_model(
    "_OldRecord",
    __base__=Part,
    **{**_OPTIONAL, "model": Name, "dataset": Name, "best_params": Params},
)
"""The original HPO plan's JSON in both of its variants, each of which lacked some keys."""


def study_result(
    run: RunPaths,
    trials: Trials,
    objectives: Sequence[Objective],
    policy: str,
    proof: Json | None = None,
    proof_seconds: float = 0.0,
    **stated: Any,
) -> Json:
    """The content of a best_params JSON.

    Args:
        run: the study's files.
        trials: all of them.
        objectives: of the study.
        policy: that chooses, see `select`.
        proof: as `prove` makes it.
        proof_seconds: those of all trainings with fresh seeds so far.
        stated: the entries ``status`` (``complete``, ``running``: trials or the proof are still
            missing, or ``stopped``: by time budget or signal), ``n_trials`` (as asked for),
            ``settled`` (see `Settled`, or None), ``storage_path``, ``optimization_date``,
            ``baselines`` and ``provenance``.

    Raises:
        StudyError: no trial is complete.
    """
    counts = Counter(trial.state for trial in trials)
    entries = {
        **asdict(run),
        "schema_version": SCHEMA_VERSION,
        "n_completed": counts["complete"],
        "n_failed": counts["failed"],
        "n_pruned": counts["stopped"],
        "n_interrupted": counts["interrupted"],
        "space": stated["provenance"].get("space"),
        "proof": proof,
        "study_name": run.study_name,
        "training_time_hours": (sum(t.seconds for t in trials) + proof_seconds) / 3600,
        "failures": [{"trial": t.number, "cause": t.cause} for t in trials if t.state == "failed"],
        "objectives": [{"name": o.name, "tolerance": o.tolerance} for o in objectives],
        **stated,
        **choice_entries(trials, objectives, policy, proof, stated["provenance"]),
    }
    return {key: entries[key] for key in _Record.model_fields}


def choice_entries(
    trials: Trials,
    objectives: Sequence[Objective],
    policy: str,
    proof: Json | None,
    provenance: Json,
) -> Json:
    """The entries that follow from the scores of trials, arguments as in `study_result`.

    Raises:
        StudyError: no trial is complete.
    """
    default = default_trial(trials)
    front = pareto_front(trials, objectives)
    selection = select(front, policy, default=default, proof=proof)
    chosen = next(trial for trial in trials if trial.number == selection.trial)
    recipe = read_recipe(provenance.get("recipe", {}))
    return {
        "n_pareto_optimal": len(front),
        "best_trial_number": chosen.number,
        "best_mae": chosen.mae,
        "best_picp": chosen.scores["picp"],
        "best_picp_approx": chosen.scores["picp"],
        "best_params": chosen.params,
        "selection": selection.model_dump(),
        "chosen_trial": chosen.to_json(),
        "validation_metrics": {**chosen.scores, "by_step": chosen.by_step},
        "best_recipe": recipe.updated(chosen.params)[0].stored() if recipe else None,
        "default_trial": default.to_json(),
        "all_pareto_trials": [trial.to_json() for trial in front],
    }


def objectives_of(entries: Sequence[Json] | None, source: Path) -> tuple[Objective, ...]:
    """The objectives that a record states, by name and tolerance; those of the HPO plan if none.

    Raises:
        InputError: this version does not know one of them.
    """
    objectives = list[Objective]()
    for entry in entries or ():
        if (name := entry["name"]) not in OBJECTIVES:
            raise InputError(
                f"{source}: objective {name!r} is unknown to this version; update hpo_lib"
            )
        objective = OBJECTIVES[name]
        objectives.append(replace(objective, tolerance=entry.get("tolerance", objective.tolerance)))
    return tuple(objectives) or FORMER_PAIR


def load_result(path: Path) -> Json:
    """A best_params JSON, checked, with today's keys. Values that an old file lacks are None.

    Old files say ``best_trial`` for ``best_trial_number``, ``optuna_study_name`` for
    ``study_name``, ``total_trials_completed`` for ``n_completed``, ``pruned_trials`` for
    ``n_pruned``, and only an approximate PICP; ``schema_version`` is 1 for them.

    Raises:
        InputError: the file is missing, is not a JSON object, or holds something else than a
            best_params JSON.
    """
    what = "a best_params JSON of a study"
    record = {"schema_version": 1, **checked_json(path, what, _Versioned)}
    if (schema := record["schema_version"]) > SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {schema}, this version reads up to {SCHEMA_VERSION}; "
            "update hpo_lib"
        )
    if schema < SCHEMA_VERSION:
        record = {_RENAMED.get(key, key): value for key, value in record.items()}
        check(_OldRecord, record, path, what)
        record = {key: record.get(key) for key in _Record.model_fields}
    else:
        check(_Record, record, path, what)
    objectives = objectives_of(record["objectives"], path)
    if wrong := next(_contradictions(record, [objective.name for objective in objectives]), ""):
        raise InputError(f"{path}: {wrong}; restore the file from a copy, or write it again")
    return record


_RENAMED = {
    "best_trial": "best_trial_number",
    "optuna_study_name": "study_name",
    "total_trials_completed": "n_completed",
    "pruned_trials": "n_pruned",
}


def listed_trials(record: Json) -> Trials:
    """The trials that a best_params JSON lists, some twice: untuned defaults, choice and front."""
    named = [record.get("default_trial"), record.get("chosen_trial")]
    entries = [*named, *(record.get("all_pareto_trials") or ())]
    return [TrialRecord.from_json(entry) for entry in entries if entry]


def _contradictions(record: Json, objectives: Sequence[str]) -> Iterator[str]:
    """What the parts of a checked JSON say against each other."""
    trials = listed_trials(record)
    is_old = record["schema_version"] < SCHEMA_VERSION
    for trial in trials:
        try:
            check_trial(trial, () if is_old else ("picp",), objectives)
        except ValueError as error:
            yield f"trial {trial.number}: {error}"
    if is_old:
        return
    for challenger in record["proof"]["challengers"] if record["proof"] else ():
        lacking = sorted(set(_Challenger.model_fields) - set(challenger))
        if lacking and not challenger["cause"]:
            yield f"proof names trial {challenger['trial']} without its {lacking[0]}"
    if (number := record["best_trial_number"]) not in [trial.number for trial in trials]:
        yield f"best_trial_number is {number}, which is none of its trials"
