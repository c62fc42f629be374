"""``hpo verify``: every figure of a best_params JSON computed again from the stored validation
predictions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError, StudyError
from hpo_lib.records.choice import (
    CHALLENGERS,
    challengers,
    pareto_front,
    prove,
)
from hpo_lib.records.leftovers import predicted_trials
from hpo_lib.records.result import chosen_entries, trial_entry, trial_of_json
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import TrainingMissing, replicate
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import evaluate, validation_baselines
from hpo_lib.scoring.objectives import coverage_error
from hpo_lib.scoring.proof import DailyScores, daily_scores

TOLERANCE = 1e-9
"""Relative; sums of the same numbers may differ in their last digits between machines."""


@dataclass(frozen=True)
class Verification:
    """The result for one file: how many figures were computed again, and sentences under a word
    each.

    ``BROKEN`` is damaged, ``DRIFT`` differs from what is recomputed, ``LOST`` was there when the
    study ran and is needed to recompute something; ``note`` says what else is not recomputed.
    """

    path: Path
    n_figures: int
    told: tuple[tuple[str, str], ...]

    @property
    def exit_code(self) -> int:
        """Of the command: 1 if something is damaged or differs, else 2 if something is lost."""
        words = {word for word, _ in self.told}
        return 1 if words & {"BROKEN", "DRIFT"} else 2 if "LOST" in words else 0

    def __str__(self) -> str:
        ok = (
            []
            if self.exit_code or not self.n_figures
            else [("ok", f"{self.n_figures} figures recomputed")]
        )
        return "\n".join(
            f"{word:6} {self.path}: {sentence}" for word, sentence in (*ok, *self.told)
        )


def verify(path: Path, data_dir: str | Path = "", dataset: str = "") -> Verification:
    """Compute the figures of one JSON again, front and choice from all stored predictions. Needs no
    training library.

    Args: path: a best_params JSON with its predictions beside it. data_dir: folder of the CSVs;
        empty: that of the project. MASE, the naive forecasts and the proof need the data
            that the study had.
        dataset: TOML of the dataset, if the registry does not know its name.

    Raises:
        InputError: there is no such file.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a best_params JSON of a study")
    told: list[tuple[str, str]] = []
    recomputed: dict[str, Any] = {}
    try:
        study = StoredStudy.of_file(path)
        if study.result["schema_version"] < 2:
            old = "written before predictions were stored, so nothing can be recomputed"
            return Verification(path, 0, (("none", old),))
        if study.run.best_params.name != path.name:
            wrong = f"holds the result of {study.run.study_name}, which its name does not say"
            return Verification(path, 0, (("DRIFT", wrong),))
        recomputed = _recomputed(
            study, _data(study, data_dir, dataset or study.dataset, told), told
        )
    except (InputError, StudyError) as error:
        told.append(("BROKEN", str(error).removeprefix(f"{path}: ")))
        return Verification(path, 0, tuple(told))
    found, stored = dict(_figures("", recomputed)), dict(_figures("", study.result))
    if study.result["objectives"] is None:  # an old file lacks the figures that came later
        found = {key: value for key, value in found.items() if key in stored}
    for key, value in found.items():
        if not _equal(stored.get(key), value):
            told.append(("DRIFT", f"{key} is {stored.get(key)!r}, recomputed {value!r}"))
    return Verification(path, len(found), tuple(told))


def _data(
    study: StoredStudy, data_dir: str | Path, name: str, told: list[tuple[str, str]]
) -> Dataset | None:
    """The data that the study had, or None."""
    wanted = str(study.data.get("sha256"))
    try:
        data = load_dataset(
            load_spec(name), data_dir, simulated=study.source.startswith("simulated")
        )
        if data.sha256 == wanted:
            return data
        why = f"the study had data with sha256 {wanted[:12]} and {data.path} has {data.sha256[:12]}"
    except InputError as error:
        why = str(error)
    told.append(
        (
            "LOST",
            f"mase, calibrated scores, baselines and proof are not recomputed, since {why}; name "
            "the folder of that data "
            "with --data-dir",
        )
    )
    return None


def _recomputed(
    study: StoredStudy, data: Dataset | None, told: list[tuple[str, str]]
) -> dict[str, Any]:
    """The part of the JSON that follows from the predictions, in the JSON's own shape."""
    result, again = study.result, dict[int, TrialRecord]()
    trials = _complete(study, told)
    for trial in trials:
        if (file := study.run.trial_predictions(trial.number)).exists():
            again[trial.number] = _scored(study, trial, data)
        else:
            told.append(("LOST", f"{file}: no such file; expected stored predictions of a trial"))
    if len(again) < len(trials):
        return {}  # what a lost trial was worth is not known, so neither is the front
    default = _default(study, again, told)
    untuned = again.get(default.number, default)
    proof = result["proof"]
    if proof and data is not None:
        others = [trial for trial in again.values() if trial.number != default.number]
        try:
            proof = _proven(study, proof, [untuned, *others], data)
        except TrainingMissing as missing:
            told.append(("LOST", str(missing)))
            return {}
    trials = list(again.values())
    front = pareto_front(trials, study.objectives)
    recomputed = chosen_entries(front, result["selection"]["policy"], trials, untuned, proof)
    for prose in ("policy", "reason"):
        del recomputed["selection"][prose]
    recomputed["all_pareto_trials"] = [trial_entry(trial) for trial in front]
    recomputed["default_trial"] = trial_entry(untuned)
    if proof:
        recomputed["proof"] = proof
    if data is not None:
        recomputed["baselines"] = validation_baselines(data)
    return recomputed


def _complete(study: StoredStudy, told: list[tuple[str, str]]) -> Sequence[TrialRecord]:
    """The trials that front and choice come from: all complete ones, which the storage or else the
    predictions name.
    """
    result, where = study.result, "the storage has"
    listed = [result["default_trial"], result["chosen_trial"], *result["all_pareto_trials"]]
    stated = {
        one["trial"]: trial_of_json(one)
        for one in listed
        if one and one.get("state", "complete") == "complete"
    }
    found = study.complete
    if not study.has_storage:
        failed = {one["trial"] for one in result["failures"] or []}
        numbers = [number for number in predicted_trials(study.run) if number not in failed]
        found = [stated.get(number, TrialRecord(number, "complete", {})) for number in numbers]
        where = "there are predictions of"
        told.append(
            (
                "note",
                "the parameters of trials are not compared, since the study's storage is not there",
            )
        )
    if len(found) == result["n_completed"]:
        return found
    told.append(
        (
            "LOST",
            "the front and the choice from it are not recomputed, since the record counts "
            f"{result['n_completed']} complete trials and {where} {len(found)}; restore what is "
            "missing, or run the study "
            "again",
        )
    )
    return list(stated.values())


def _default(
    study: StoredStudy, again: Mapping[int, TrialRecord], told: list[tuple[str, str]]
) -> TrialRecord:
    """The trial of the untuned defaults; without the storage the first one, unless that was
    interrupted.
    """
    if study.has_storage:
        return study.default
    stated = trial_of_json(study.result["default_trial"])
    if 0 in again or stated.number == 0:
        return again.get(0, stated)
    if not study.result["n_interrupted"]:
        return TrialRecord(0, "failed", {})
    told.append(
        (
            "note",
            "which trial has the untuned defaults is not recomputed, since trials were interrupted",
        )
    )
    return stated


def _proven(
    study: StoredStudy, proof: Mapping[str, Any], trials: Sequence[TrialRecord], data: Dataset
) -> dict[str, Any]:
    """The proof from the stored forecasts, with the seeds that it names; the first trial is that of
    the defaults.
    """

    def scored(number: int) -> DailyScores:
        return daily_scores(study.predictions(number), data.known_target)

    numbers, cause = challengers(trials, scored, 1 if study.is_test else CHALLENGERS)
    return prove(
        trials[0].number,
        numbers,
        cause,
        proof["seeds"],
        partial(replicate, study.run),
        data.known_target,
    )


def _scored(study: StoredStudy, trial: TrialRecord, data: Dataset | None) -> TrialRecord:
    """A trial with the scores of its stored predictions."""
    forecasts = study.predictions(trial.number)
    if data is None:  # scores after calibration need it too
        scores = {
            **trial.scores,
            **{name: metric(forecasts) for name, metric in metrics.METRICS.items()},
        }
    else:
        scores = evaluate(forecasts, data)
    return replace(
        trial,
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
