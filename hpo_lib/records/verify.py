"""``hpo verify``: every figure of a best_params JSON computed again from the stored validation predictions."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError
from hpo_lib.records.proof import ReplicateMissing, prove, stored_replicate
from hpo_lib.records.result import chosen_entries, trial_entry, trial_of_json
from hpo_lib.records.selection import pareto_front
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import evaluate, validation_baselines
from hpo_lib.scoring.objectives import coverage_error

TOLERANCE = 1e-9
"""Relative; sums of the same numbers may differ in their last digits between machines."""


@dataclass(frozen=True)
class Verification:
    """The result for one file: how many figures were computed again, and a sentence for each that differs."""

    path: Path
    n_figures: int
    problems: tuple[str, ...]
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            return f"none   {self.path}: {self.note}"
        if not self.problems:
            return f"ok     {self.path}: {self.n_figures} figures recomputed"
        return "\n".join(f"DRIFT  {self.path}: {problem}" for problem in self.problems)


def verify(path: Path, data_dir: str | Path = "", dataset: str = "") -> Verification:
    """Compute the figures of one JSON again. Needs neither GPU nor any training library.

    Args:
        path: a best_params JSON with its predictions beside it.
        data_dir: folder of the CSVs; empty: that of the project. MASE, the naive forecasts and the proof need the data
            that the study had.
        dataset: TOML of the dataset, if the registry does not know its name.
    """
    try:
        study = StoredStudy.of_file(path)
        result, run = study.result, study.run
        if result["schema_version"] < 2:
            return Verification(path, 0, (), "written before predictions were stored, so nothing can be recomputed")
        if run.best_params.name != path.name:
            return Verification(path, 0, (f"holds the result of {run.study_name}, which its name does not say",))
        data, problem = _data(result, data_dir, dataset or result["dataset"])
        found = dict(_figures("", _recomputed(study, data)))
    except InputError as error:
        return Verification(path, 0, (str(error).removeprefix(f"{path}: "),))
    stored = dict(_figures("", result))
    if result["objectives"] is None:  # an old file lacks the figures that came later
        found = {key: value for key, value in found.items() if key in stored}
    wrong = [
        f"{key} is {stored.get(key)!r}, recomputed {value!r}"
        for key, value in found.items()
        if not _equal(stored.get(key), value)
    ]
    return Verification(path, len(found), (*wrong, *([problem] if problem else [])))


def _data(result: Mapping[str, Any], data_dir: str | Path, name: str) -> tuple[Dataset | None, str]:
    had = result["provenance"]["data"]
    wanted, simulated = had["sha256"], had["source"].startswith("simulated")
    data = load_dataset(load_spec(name), data_dir, simulated=simulated)
    if data.sha256 == wanted:
        return data, ""
    return None, (
        f"mase, calibrated scores, baselines and proof are not recomputed, since the study had data with sha256 "
        f"{wanted[:12]} and {data.path} has {data.sha256[:12]}; name the folder of that data with --data-dir"
    )


def _recomputed(study: StoredStudy, data: Dataset | None) -> dict[str, Any]:
    """The part of the JSON that follows from the predictions, in the JSON's own shape."""
    result, default = study.result, study.result["default_trial"]
    complete = [trial for trial in (default, result["chosen_trial"]) if trial and trial["state"] == "complete"]
    listed = {trial["trial"]: trial for trial in [*complete, *result["all_pareto_trials"]]}
    again = {number: _scored(study, trial, data) for number, trial in listed.items()}
    front = pareto_front(list(again.values()), study.objectives)
    untuned = again.get(default["trial"]) if default else None
    proof = result["proof"]
    if proof and data is not None:
        proof = _proven(study, proof, data)
    recomputed = chosen_entries(front, result["selection"]["policy"], list(again.values()), untuned, proof)
    for prose in ("policy", "reason"):
        del recomputed["selection"][prose]
    recomputed["all_pareto_trials"] = [trial_entry(trial) for trial in front]
    if untuned is not None:
        recomputed["default_trial"] = trial_entry(untuned)
    if proof:
        recomputed["proof"] = proof
    if data is not None:
        recomputed["baselines"] = validation_baselines(data)
    return recomputed


def _proven(study: StoredStudy, proof: Mapping[str, Any], data: Dataset) -> dict[str, Any]:
    """The proof from the stored forecasts, with the challengers and seeds that it names."""
    numbers, default = [one["trial"] for one in proof["challengers"]], study.result["default_trial"]["trial"]
    cause = proof["cause"] if not numbers else ""
    try:
        return prove(default, numbers, cause, proof["seeds"], partial(stored_replicate, study.run), data.known_target)
    except ReplicateMissing as missing:
        raise InputError(str(missing)) from None


def _scored(study: StoredStudy, trial: Mapping[str, Any], data: Dataset | None) -> TrialRecord:
    """A trial of the JSON with the scores of its stored predictions."""
    forecasts, stored = study.predictions(trial["trial"]), trial_of_json(trial)
    if data is None:  # scores after calibration need it too
        scores = {**stored.scores, **{name: metric(forecasts) for name, metric in metrics.METRICS.items()}}
    else:
        scores = evaluate(forecasts, data)
    return replace(
        stored,
        mae=scores["mae"],
        picp_penalty=coverage_error(scores),
        values={objective.name: objective.value(scores) for objective in study.objectives},
        scores=scores,
        by_step=metrics.by_step(forecasts),
    )


def _figures(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Every value in a JSON with its key: ``validation_metrics.by_step.mae[3]``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _figures(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _figures(f"{key}[{position}]", inner)
    else:
        yield key, value


def _equal(stored: object, recomputed: object) -> bool:
    if isinstance(stored, float) and isinstance(recomputed, float):
        return math.isclose(stored, recomputed, rel_tol=TOLERANCE, abs_tol=1e-12)
    return stored == recomputed
