"""``hpo verify``: a best_params JSON made again from the stored predictions, and compared."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.scales import Scales
from hpo_lib.errors import InputError, StudyError
from hpo_lib.families.models import read_recipe
from hpo_lib.records.provenance import read_scales
from hpo_lib.records.read_write import Json
from hpo_lib.records.result import SCHEMA_VERSION, choice_entries, listed_trials
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import TrainingMissing, replicate
from hpo_lib.records.trial import Proof, TrialRecord, Trials, n_complete
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import evaluate, validation_baselines
from hpo_lib.scoring.objectives import coverage_error
from hpo_lib.scoring.uncertainty import daily_scores

TOLERANCE = 1e-9
"""Relative; sums of the same numbers may differ in their last digits between machines."""

Messages = list[tuple[str, str]]
"""As in `Verification`."""


@dataclass(frozen=True)
class Verification:
    """The result for one file: how many figures were computed again, and sentences after a word.

    ``BROKEN`` is damaged, ``DRIFT`` differs from what is recomputed, ``LOST`` was there when the
    study ran and is needed to recompute something; ``note`` says what else is not recomputed, and
    is not among the lines.
    """

    path: Path
    n_figures: int
    told: Messages

    @property
    def exit_code(self) -> int:
        """Of the command: 1 if something is damaged or differs, else 2 if something is lost."""
        words = {word for word, _ in self.told}
        return 1 if words & {"BROKEN", "DRIFT"} else 2 if "LOST" in words else 0

    def __str__(self) -> str:
        told = [*self.told]
        if self.n_figures and not self.exit_code:
            told.insert(0, ("ok", f"{self.n_figures} figures recomputed"))
        return "\n".join(f"{word:6} {self.path}: {text}" for word, text in told if word != "note")


def verify(path: Path, data_dir: str | Path, dataset: str = "") -> Verification:
    """Make one JSON again from all stored predictions, and compare. Needs no training library.

    Args:
        path: a best_params JSON with its predictions beside it.
        data_dir: folder of the CSVs; empty: that of the project. The scores of the naive forecasts
            need the data that the study had.
        dataset: TOML of the dataset, if the registry does not know its name.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected a best_params JSON of a study or a CSV of a benchmark"
        )
    messages = Messages()
    figures = dict[str, object]()
    try:
        study = StoredStudy.of_file(path)
        if study.result["schema_version"] < SCHEMA_VERSION:
            old = "written before predictions were stored, so nothing can be recomputed"
            return Verification(path, 0, [("none", old)])
        if study.run.best_params.name != path.name:
            wrong = f"holds the result of {study.run.study_name}, which its name does not say"
            return Verification(path, 0, [("DRIFT", wrong)])
        data = _data(study, data_dir, dataset or study.dataset, messages)
        if data is not None:
            scales = data.scales
        elif study.run.scales.exists():
            scales = read_scales(study.run.scales, study.data.get("sha256"))
        else:
            raise TrainingMissing(f"{study.run.scales}: no such file; expected scales of its data")
        again = _recomputed(study, scales, messages)
        if data is not None:
            again["baselines"] = validation_baselines(data)
        figures = dict(_figures("", again))
        stored = dict(_figures("", {name: study.result.get(name) for name in again}))
        for key in {**figures, **stored}:
            value = figures.get(key)
            if not _equal(stored.get(key), value) and key != "selection.reason":  # prose
                messages.append(("DRIFT", f"{key} is {stored.get(key)!r}, recomputed {value!r}"))
    except (InputError, StudyError) as error:
        messages.append(("BROKEN", str(error).removeprefix(f"{path}: ")))
    except TrainingMissing as missing:
        messages.append(("LOST", str(missing)))
    return Verification(path, len(figures), messages)


def _data(
    study: StoredStudy, data_dir: str | Path, name: str, messages: Messages
) -> Dataset | None:
    """The data that the study had, or None."""
    sha256 = str(study.data.get("sha256"))
    try:
        data = load_dataset(name, data_dir, simulated=study.is_simulated)
        if data.sha256 == sha256:
            return data
        why = f"the study had data with sha256 {sha256[:12]} and {data.path} has {data.sha256[:12]}"
    except InputError as error:
        why = str(error)
    needs = f"scores of the naive forecasts are not recomputed, since {why}"
    messages.append(("note", f"{needs}; name the folder of that data with --data-dir"))
    return None


def _recomputed(study: StoredStudy, scales: Scales, messages: Messages) -> Json:
    """The part of the JSON that follows from what is there, in the JSON's own shape.

    Raises:
        TrainingMissing: so are forecasts of a trial, and so is what front and choice follow from.
    """
    trials = [_scored(study, trial, scales) for trial in _trials(study, messages)]
    again_proven = Proof(
        study.provenance["seed"],
        study.is_test,
        lambda number: daily_scores(study.predictions(number), scales),
        lambda trial, seed: daily_scores(replicate(study.run, trial.number, seed), scales),
    )
    proof = study.result["proof"] and again_proven.entry(trials)
    if (settled := study.settled) and n_complete(trials) == study.result["n_completed"]:
        finished = settled.get("finished") or [t.number for t in trials if t.finished]
        counted = study.finished if study.is_complete else settled["trials"]
        found = again_proven.outlook(trials, finished, settled["asked"])
        settled = found and {**settled, "trials": counted, **found}
    # A storage may be older than a field of the recipe.
    stated, stored = (
        {**entries, "recipe": read_recipe(entries.get("recipe") or {})}
        for entries in (study.provenance, study.identity)
    )
    for key in study.identity.keys() & study.provenance.keys():
        if stated[key] != stored[key]:
            differs = f"provenance.{key} is {stated[key]!r}, its storage has {stored[key]!r}"
            messages.append(("DRIFT", differs))
    policy = study.result["selection"]["policy"]
    again = choice_entries(trials, study.objectives, policy, proof, study.provenance)
    return again | {"proof": proof, "settled": settled}


def _trials(study: StoredStudy, messages: Messages) -> Trials:
    """The trials that front and choice come from, the untuned defaults first.

    Without the storage the predictions say which are complete, and the record which has the
    defaults. If some are not there, those that the record lists.
    """
    record = study.result
    listed = {trial.number: trial for trial in listed_trials(record)}
    trials = list(study.trials)
    if not study.has_storage:
        lost = "the parameters of trials are not compared, since the study's storage is not there"
        messages.append(("note", lost))
        complete = {n: TrialRecord(n, "complete", {}) for n in study.run.predicted_trials()}
        first = 0, record["default_trial"]["trial"]  # the untuned defaults, or their retry
        trials = list({**complete, **listed}.values())
        trials.sort(key=lambda trial: (trial.number not in first, trial.number))
    if n_complete(trials) == record["n_completed"]:
        return trials
    lost = (
        "the front and the choice from it are not recomputed, since the record counts "
        f"{record['n_completed']} complete trials and {n_complete(trials)} are there; restore what "
        "is missing, or run the study again"
    )
    messages.append(("LOST", lost))
    return list(listed.values())


def _scored(study: StoredStudy, trial: TrialRecord, scales: Scales) -> TrialRecord:
    """A trial with the scores of its stored predictions."""
    if not trial.complete:
        return trial
    if not (file := study.run.trial_predictions(trial.number)).exists():
        raise TrainingMissing(f"{file}: no such file; expected stored predictions of a trial")
    forecasts = study.predictions(trial.number)
    scores = evaluate(forecasts, scales)
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
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _figures(f"{key}[{position}]", inner)
    else:
        yield key, value


def _equal(stored: object, recomputed: object) -> bool:
    if isinstance(stored, float) and isinstance(recomputed, float):
        return math.isclose(stored, recomputed, rel_tol=TOLERANCE, abs_tol=1e-12)
    return stored == recomputed
