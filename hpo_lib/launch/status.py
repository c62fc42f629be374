"""``hpo status``: which experiments ran, are running or are missing; studies are only read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo_lib import paths
from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.errors import InputError
from hpo_lib.families.models import family_names
from hpo_lib.launch.slurm import TEST_COMMENT, Job
from hpo_lib.paths import RunPaths
from hpo_lib.records.executed_notebook import attempts, of_all_workers
from hpo_lib.records.study import StoredStudy, last_written, study_runs
from hpo_lib.settings import DEFAULT_TRIALS
from hpo_lib.study.time_budget import seconds_per_trial


@dataclass(frozen=True)
class Experiment:
    """One of the project's nine studies; those with three stars run first."""

    name: str
    priority: int
    model: str
    dataset: str


DATASETS = "heat", "water_centrum", "water_tommerby"
"""In the order in which their studies should run."""


EXPERIMENTS = tuple(
    Experiment(f"EXP-{len(DATASETS) * m + d + 1:02d}", len(DATASETS) - d, model, dataset)
    for d, dataset in enumerate(DATASETS)
    for m, model in enumerate(family_names())
)
"""A study of each family on each of these datasets, in the order in which they should run."""

STATES = ("running", "done", "queued", "interrupted", "failed", "corrupt", "missing")
"""If an experiment has several studies, the table shows a study in the first of these states."""


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study, by its files and the queue.

    Attributes:
        run: its files.
        state: one of `STATES`.
        study: the stored study; None if its files are corrupt.
        cause: why it failed, waits or was interrupted.
        workers: how many tasks of a job array are running.
    """

    run: RunPaths
    state: str
    study: StoredStudy | None
    cause: str = ""
    workers: str = ""

    @property
    def is_test(self) -> bool:
        return self.study is not None and self.study.is_test

    @property
    def attempts(self) -> int:
        """Of the worker with the most attempts."""
        return max(len(attempts(one)) for one in of_all_workers(self.run))

    @property
    def hours_left(self) -> float:
        """Until the missing trials are complete, by the mean so far; NaN before the first."""
        if self.study is None or not (seconds := seconds_per_trial(self.study.trials)):
            return math.nan
        at_once = max(sum(trial.state == "running" for trial in self.study.trials), 1)
        return (
            (self.study.asked - self.study.finished) * sum(seconds) / len(seconds) / at_once / 3600
        )

    def describe(self) -> str:
        """The state in a few words: ``running 7 of 50, 3.2 h left``."""
        text, study = self.state, self.study
        if study is None:
            return text
        if self.state in ("running", "queued", "interrupted", "done") and (
            study.asked or study.finished
        ):
            text += f" {study.finished} of {study.asked or '?'}"
        if self.state == "running" and math.isfinite(self.hours_left):
            text += f", {self.hours_left:.2g} h left"
        text += f", {self.workers}" if self.workers else ""
        if (names := [objective.name for objective in study.objectives]) != ["mae", "picp_penalty"]:
            text += f", by {' and '.join(names)}"
        return text + mark_of(study.source)


@dataclass(frozen=True)
class ExperimentRow:
    """One line of the table: an experiment, the study shown for it, and all its job ids."""

    experiment: Experiment
    status: StudyStatus | None
    state: str
    job_ids: Sequence[str] = ()

    def command(self, slurm: bool) -> str:
        """The command that submits or runs the missing trials; empty if nothing is missing."""
        if self.state.split()[0] in ("done", "running", "queued"):
            return ""
        study = self.status.study if self.status else None
        trials = study.asked if study and study.asked else DEFAULT_TRIALS
        model, dataset = self.experiment.model, self.experiment.dataset
        text = f"slurm/submit_job.sh {model} {dataset} {trials}"
        text = text if slurm else f"hpo run --model {model} --dataset {dataset} --trials {trials}"
        return (
            f"{text} --job-id {study.run.job_id}"
            if study and self.state.startswith("interrupted")
            else text
        )


def experiment_table(
    runs_dir: Path, jobs: Sequence[Job], database: str = ""
) -> tuple[list[ExperimentRow], list[StudyStatus]]:
    """The table, and the studies that are not in it.

    These are tests, studies of other datasets, and corrupt ones beside one that is in the table.
    """
    found = [study_status(run, jobs, database) for run in study_runs(runs_dir)]
    ours = {(experiment.model, experiment.dataset) for experiment in EXPERIMENTS}
    others = [one for one in found if one.is_test or (one.run.model, one.run.dataset) not in ours]
    counted = [one for one in found if one not in others]
    table = [_row(experiment, counted, jobs) for experiment in EXPERIMENTS]
    shown = [row.status for row in table]
    return table, [
        *others,
        *(one for one in counted if one.state == "corrupt" and one not in shown),
    ]


def _row(
    experiment: Experiment, studies: Sequence[StudyStatus], jobs: Sequence[Job]
) -> ExperimentRow:
    own = [
        one
        for one in studies
        if (one.run.model, one.run.dataset) == (experiment.model, experiment.dataset)
    ]
    name = paths.job_name(experiment.model, experiment.dataset)
    new = [
        job for job in jobs if job.name == name and job.comment != TEST_COMMENT and _is_active(job)
    ]
    ids = list(dict.fromkeys([*(one.run.job_id for one in own), *(job.study_id for job in new)]))
    best = min(own, key=lambda one: (STATES.index(one.state), -last_written(one.run)), default=None)
    pending = [job for job in new if job.study_id not in {one.run.job_id for one in own}]
    if pending and (best is None or best.state not in ("running", "done", "queued")):
        first = min(pending, key=_task_rank)
        word = "queued" if first.state == "PENDING" else "running"
        why = f" ({first.reason.partition(',')[0]})" if first.reason and word == "queued" else ""
        tasks = _tasks([job for job in pending if job.study_id == first.study_id])
        return ExperimentRow(experiment, best, word + why + (f", {tasks}" if tasks else ""), ids)
    return ExperimentRow(experiment, best, best.describe() if best else "missing", ids)


def study_status(run: RunPaths, jobs: Sequence[Job], database: str = "") -> StudyStatus:
    """The state of one study; ``database`` as in `StoredStudy`."""
    try:
        study = StoredStudy.read(run, database=database, brief=True)
    except InputError as error:
        return StudyStatus(run, "corrupt", None, str(error))
    own = [job for job in jobs if job.study_id == run.job_id]
    state, cause = _state(study, min(own, key=_task_rank, default=None))
    if state == "corrupt":
        return StudyStatus(run, state, None, cause)
    tasks = _tasks(own) if state in ("running", "queued") else ""
    return StudyStatus(run, state, study, cause, tasks)


def _state(study: StoredStudy, job: Job | None) -> tuple[str, str]:
    """The state by the study's files and, where they leave it open, by its job."""
    state, cause = study.state()
    if job is None or state == "corrupt":
        return state, cause
    if _is_active(job):
        if job.state != "PENDING":
            return "running", ""
        if state not in ("running", "done"):
            return "queued", job.reason
    elif state == "interrupted" and job.state != "COMPLETED":
        return state, f"Slurm says {job.state}"
    return state, cause


def _task_rank(job: Job) -> int:
    """Rank of an array's tasks for their study: running, waiting, ended badly, ended well."""
    if _is_active(job):
        return 1 if job.state == "PENDING" else 0
    return 3 if job.state == "COMPLETED" else 2


def _tasks(jobs: Sequence[Job]) -> str:
    """How many tasks of an array are running; an empty text for a single job."""
    if not any(job.job_id != job.study_id for job in jobs):
        return ""
    running = sum(_task_rank(job) == 0 for job in jobs)
    return f"{running} of {len(jobs)} workers"


def _is_active(job: Job) -> bool:
    return job.state in (
        "PENDING",
        "RUNNING",
        "CONFIGURING",
        "COMPLETING",
        "SUSPENDED",
        "REQUEUED",
        "SIGNALING",
    )


def as_rows(
    table: Sequence[ExperimentRow], others: Sequence[StudyStatus], *, slurm: bool
) -> list[dict[str, Any]]:
    """The experiments, then the other studies, as plain values.

    ``command`` is for a machine with or without Slurm.
    """
    nine = [
        {
            **asdict(row.experiment),
            **(_facts(row.status) if row.status else {}),
            "state": row.state,
            "job_ids": list(row.job_ids),
            "command": row.command(slurm),
        }
        for row in table
    ]
    return nine + [_facts(one) for one in others]


def _facts(status: StudyStatus) -> dict[str, Any]:
    run, study = status.run, status.study
    mae, picp = study.scores if study else (math.nan, math.nan)
    return {
        "model": run.model,
        "dataset": run.dataset,
        "job_id": run.job_id,
        "state": status.describe(),
        "attempts": status.attempts,
        "mae": None if math.isnan(mae) else mae,
        "unit": study.unit if study else "",
        "picp": None if math.isnan(picp) else picp,
        "test": status.is_test,
        "cause": status.cause,
        "page": str(run.report) if run.report.exists() else "",
    }


def table_text(rows: Sequence[Mapping[str, Any]], *, slurm: bool, extra: str = "") -> str:
    """The rows of `as_rows` as text: a table, and lists of what belongs to some rows only."""
    lines = [("", "", "model", "dataset", "state", "MAE", "PICP", "job id")]
    commands = f"To {'submit' if slurm else 'run'} what is missing"
    pages = "Pages of studies, for a browser (`hpo report JOB_ID` makes one)"
    parts: dict[str, list[str]] = {
        title: [] for title in ("Notes", "Other studies", "Test studies", pages, commands)
    }
    for row in rows:
        mae = "-" if row.get("mae") is None else f"{row['mae']:.3g} {row['unit']}"
        picp = "-" if row.get("picp") is None else f"{row['picp']:.1f} %"
        parts[pages] += filter(None, [row.get("page")])
        if "command" not in row:
            scores = f", MAE {mae}, PICP {picp}" if mae != "-" else ""
            cause = f": {row['cause']}" if row["state"] == "corrupt" else ""
            told = f"{row['model']}_{row['dataset']}_{row['job_id']}: {row['state']}{scores}{cause}"
            parts["Test studies" if row["test"] else "Other studies"].append(told)
            continue
        state, _, more = row["state"].partition(", ")
        first = row.get("job_id") or "".join(row["job_ids"][:1]) or "-"
        lines.append(
            (
                row["name"],
                "*" * row["priority"],
                row["model"],
                row["dataset"],
                state,
                mae,
                picp,
                first,
            )
        )
        also = " ".join(job_id for job_id in row["job_ids"] if job_id != first)
        attempt = f"attempt {row['attempts']}" if row.get("attempts", 0) > 1 else ""
        if notes := "; ".join(
            filter(None, [more, attempt, f"also job {also}" if also else "", row.get("cause")])
        ):
            parts["Notes"].append(f"{row['name']}: {notes}")
        parts[commands] += [row["command"] + extra] if row["command"] else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    for title, part in parts.items():
        text += ["", f"{title}:", *(f"  {line}" for line in part)] if part else []
    return "\n".join(text)
