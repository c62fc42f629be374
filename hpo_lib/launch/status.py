"""``hpo status``: what ran, what is running and what is missing of the nine experiments, without touching a study."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo_lib import paths
from hpo_lib.errors import InputError
from hpo_lib.launch.slurm_queue import Job
from hpo_lib.launch.slurm_script import TEST_COMMENT
from hpo_lib.paths import RunPaths
from hpo_lib.records.executed_notebook import attempts, of_all_workers, read_record
from hpo_lib.records.result import load_result
from hpo_lib.records.storage import read_study
from hpo_lib.records.trial import TrialRecord, pareto_front
from hpo_lib.settings import DEFAULT_TRIALS
from hpo_lib.study.liveness import somebody_lives
from hpo_lib.study.time_budget import seconds_per_trial


@dataclass(frozen=True)
class Experiment:
    """One of the studies that the project is about; three stars come first."""

    name: str
    priority: int
    model: str
    dataset: str


# In the order in which they should run: by priority.
EXPERIMENTS = (
    Experiment("EXP-01", 3, "NHITS_Q", "heat"),
    Experiment("EXP-04", 3, "TFT_Q", "heat"),
    Experiment("EXP-07", 3, "TIMESNET_Q", "heat"),
    Experiment("EXP-02", 2, "NHITS_Q", "water_centrum"),
    Experiment("EXP-05", 2, "TFT_Q", "water_centrum"),
    Experiment("EXP-08", 2, "TIMESNET_Q", "water_centrum"),
    Experiment("EXP-03", 1, "NHITS_Q", "water_tommerby"),
    Experiment("EXP-06", 1, "TFT_Q", "water_tommerby"),
    Experiment("EXP-09", 1, "TIMESNET_Q", "water_tommerby"),
)


@dataclass(frozen=True)
class StudyState:
    """A study as its files and the queue show it. ``state`` is one of `STATES`."""

    run: RunPaths
    state: str
    finished: int = 0
    asked: int = 0
    mae: float = math.nan
    picp: float = math.nan
    cause: str = ""
    attempts: int = 0
    hours_left: float = math.nan
    workers: str = ""
    simulated: bool = False
    test: bool = False
    changed: float = 0.0

    def describe(self) -> str:
        """The state in a few words: ``running 7 of 50, 3.2 h left``."""
        text = self.state
        if self.state in ("running", "queued", "interrupted", "done") and (self.asked or self.finished):
            text += f" {self.finished} of {self.asked or '?'}"
        if self.state == "running" and math.isfinite(self.hours_left):
            text += f", {self.hours_left:.2g} h left"
        text += f", {self.workers}" if self.workers else ""
        return text + (", simulated data" if self.simulated else "")


STATES = ("running", "done", "queued", "interrupted", "failed", "corrupt", "missing")
"""Where an experiment has several studies, the first of these that one of them has is shown."""


@dataclass(frozen=True)
class Row:
    """One line of the table: an experiment, the study that says most about it, and all its job ids."""

    experiment: Experiment
    study: StudyState | None
    state: str
    job_ids: Sequence[str] = field(default_factory=tuple)

    @property
    def command(self) -> str:
        """What submits the missing trials, or an empty text where nothing is missing."""
        if self.state.split()[0] in ("done", "running", "queued"):
            return ""
        trials = self.study.asked if self.study and self.study.asked else DEFAULT_TRIALS
        text = f"slurm/submit_job.sh {self.experiment.model} {self.experiment.dataset} {trials}"
        return f"{text} --job-id {self.study.run.job_id}" if self.study and self.study.state == "interrupted" else text


def rows(runs_dir: Path, jobs: Sequence[Job]) -> tuple[list[Row], list[StudyState]]:
    """The table, and the studies that are not in it because they only tested something or are of other datasets."""
    studies = [examine(run, jobs) for run in paths.studies(runs_dir)]
    table = [_row(experiment, studies, jobs) for experiment in EXPERIMENTS]
    ours = {(experiment.model, experiment.dataset) for experiment in EXPERIMENTS}
    return table, [s for s in studies if s.test or (s.run.model, s.run.dataset) not in ours]


def _row(experiment: Experiment, studies: Sequence[StudyState], jobs: Sequence[Job]) -> Row:
    own = [s for s in studies if not s.test and (s.run.model, s.run.dataset) == (experiment.model, experiment.dataset)]
    name = paths.job_name(experiment.model, experiment.dataset)
    new = [job for job in jobs if job.name == name and job.comment != TEST_COMMENT and _is_active(job)]
    ids = list(dict.fromkeys([*(s.run.job_id for s in own), *(job.study_id for job in new)]))
    best = min(own, key=lambda s: (STATES.index(s.state), -s.changed), default=None)
    pending = [job for job in new if job.study_id not in {s.run.job_id for s in own}]
    if pending and (best is None or best.state not in ("running", "done", "queued")):
        first = min(pending, key=_by_telling)
        word = "queued" if first.state == "PENDING" else "running"
        why = f" ({first.reason})" if first.reason and word == "queued" else ""
        tasks = _tasks([job for job in pending if job.study_id == first.study_id])
        return Row(experiment, best, word + why + (f", {tasks}" if tasks else ""), ids)
    return Row(experiment, best, best.describe() if best else "missing", ids)


def examine(run: RunPaths, jobs: Sequence[Job]) -> StudyState:
    """The state of one study."""
    try:
        found = _Files.read(run)
    except InputError as error:
        return StudyState(run, "corrupt", cause=str(error), attempts=_attempts(run), changed=_changed(run))
    own = [job for job in jobs if job.study_id == run.job_id]
    job = min(own, key=_by_telling, default=None)
    state, cause = _state(run, found, job)
    seconds = seconds_per_trial(found.trials)
    at_once = max(sum(trial.state == "running" for trial in found.trials), 1)
    missing = found.asked - found.finished
    front = pareto_front(found.trials)
    chosen = next((t for t in front if t.number == found.chosen), front[0] if front else None)
    return StudyState(
        run,
        state,
        finished=found.finished,
        asked=found.asked,
        mae=chosen.mae if chosen else found.mae,
        picp=chosen.scores["picp"] if chosen else found.picp,
        cause=cause,
        attempts=_attempts(run),
        workers=_tasks(own) if state in ("running", "queued") else "",
        hours_left=missing * sum(seconds) / len(seconds) / at_once / 3600 if seconds else math.nan,
        simulated=found.simulated,
        test=found.test,
        changed=_changed(run),
    )


@dataclass(frozen=True)
class _Files:
    """What a study's JSON and storage say together."""

    trials: Sequence[TrialRecord]
    finished: int
    asked: int
    chosen: int | None
    mae: float
    picp: float
    simulated: bool
    test: bool

    @classmethod
    def read(cls, run: RunPaths) -> "_Files":
        result = load_result(run.best_params) if run.best_params.exists() else {}
        study = read_study(run, str(result.get("storage_path") or ""))
        trials: list[TrialRecord] = []
        attrs: dict[str, Any] = {}
        if study is not None:
            from hpo_lib.records.optuna_trials import trial_record  # with optuna, only where there is a study to read

            trials, attrs = [trial_record(t) for t in study.get_trials(deepcopy=False)], study.user_attrs
        told = sum(result.get(key) or 0 for key in ("n_completed", "n_failed", "n_pruned"))
        provenance = result.get("provenance") or {}
        return cls(
            trials=trials,
            finished=sum(t.finished for t in trials) if study is not None else told,
            asked=attrs.get("trials_asked") or result.get("n_trials") or 0,
            chosen=result.get("best_trial_number"),
            mae=result.get("best_mae") or math.nan,
            picp=result.get("best_picp") or math.nan,
            simulated=provenance.get("data", {}).get("source") == "simulated",
            test="test" in (provenance.get("preset"), attrs.get("identity", {}).get("preset")),
        )


def _state(run: RunPaths, found: _Files, job: Job | None) -> tuple[str, str]:
    if somebody_lives(run) or (job and _is_active(job) and job.state != "PENDING"):
        return "running", ""
    if found.finished >= found.asked > 0:
        return "done", ""
    if job and _is_active(job):
        return "queued", job.reason
    try:
        records = [read_record(one.notebook) for one in of_all_workers(run) if one.notebook.exists()]
    except InputError as error:
        return "interrupted", str(error)
    errors = [record.error for record in records if record.error and "before the study stopped" not in record.error]
    if errors:
        return "failed", errors[0]
    ended = f"Slurm says {job.state}" if job and job.state != "COMPLETED" else ""
    if not all(record.complete for record in records):
        return "interrupted", ended or "its process was killed"
    return "interrupted", ended or "it was asked to stop, or its time was up"


def _by_telling(job: Job) -> int:
    """Of the tasks of an array the one that runs says most, then one that waits, then one that ended badly."""
    if _is_active(job):
        return 1 if job.state == "PENDING" else 0
    return 3 if job.state == "COMPLETED" else 2


def _tasks(jobs: Sequence[Job]) -> str:
    """How many of an array's workers are at work, or an empty text for a single job."""
    if not any(job.job_id != job.study_id for job in jobs):
        return ""
    running = sum(_by_telling(job) == 0 for job in jobs)
    return f"{running} of {len(jobs)} workers"


def _attempts(run: RunPaths) -> int:
    """Of the worker that was started most often."""
    return max(len(attempts(one)) for one in of_all_workers(run))


def _is_active(job: Job) -> bool:
    return job.state in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "SIGNALING")


def _changed(run: RunPaths) -> float:
    files = (run.best_params, run.sqlite, run.journal, run.notebook)
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


def render(table: Sequence[Row], others: Sequence[StudyState], *, extra: str = "") -> str:
    """The table as text, then the causes, and then the commands that submit what is missing."""
    head = ("", "", "model", "dataset", "state", "best MAE", "PICP", "attempts", "job ids")
    lines = [head]
    for row in table:
        study, experiment = row.study, row.experiment
        lines.append(
            (
                experiment.name,
                "*" * experiment.priority,
                experiment.model,
                experiment.dataset,
                row.state,
                f"{study.mae:.5g}" if study and math.isfinite(study.mae) else "-",
                f"{study.picp:.1f}" if study and math.isfinite(study.picp) else "-",
                str(study.attempts) if study else "-",
                " ".join(row.job_ids) or "-",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    causes = [f"{row.experiment.name}: {row.study.cause}" for row in table if row.study and row.study.cause]
    beside = [f"{s.run.study_name}: {s.describe()}" for s in others]
    commands = [row.command + extra for row in table if row.command]
    for title, part in (("Causes", causes), ("Not counted", beside), ("To submit what is missing", commands)):
        text += ["", f"{title}:", *(f"  {line}" for line in part)] if part else []
    return "\n".join(text)
