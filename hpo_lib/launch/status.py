"""``hpo status``: which experiments ran, are running or are missing; studies are only read.

And studies without a terminal: ``hpo run --detach`` and ``hpo stop``.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hpo_lib import paths
from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.errors import InputError, StudyError
from hpo_lib.families.models import family_names
from hpo_lib.launch.slurm import TEST_COMMENT, Job, order
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import Lease
from hpo_lib.records.read_write import Json, attempts, of_all_workers
from hpo_lib.records.study import StoredStudy, last_written, named_study, study_runs
from hpo_lib.settings import DEFAULT_TRIALS

EXPERIMENTS = tuple(product(family_names(), ("heat", "water_centrum", "water_tommerby")))
"""Model and dataset of the project's nine studies."""

STATES = ("running", "done", "queued", "interrupted", "failed", "corrupt", "missing")
"""If an experiment has several studies, the table shows a study in the first of these states."""

NOTHING_TO_START = STATES[:3]

ACTIVE = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "SIGNALING")
"""Slurm's words for jobs that have not ended."""


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study, by its files and the queue.

    Attributes:
        run: its files.
        state: one of `STATES`.
        study: the stored study; None if it has no files yet, or corrupt ones.
        cause: why it failed, waits or was interrupted.
        workers: follows the state: ``, 1 of 3 workers`` of a job array are running.
    """

    run: RunPaths
    state: str
    study: StoredStudy | None = None
    cause: str = ""
    workers: str = ""

    @property
    def is_test(self) -> bool:
        return self.study is not None and self.study.is_test

    def describe(self) -> str:
        """The state in a few words: ``running 7 of 50, 3.2 h left``."""
        text = self.state
        study = self.study
        if study is None:
            return text
        if text == "queued" and not study.asked:  # its job has not begun
            return f"{text} ({self.cause.partition(',')[0]})" + self.workers
        if text not in ("failed", "corrupt") and (study.asked or study.finished):
            text += f" {study.finished} of {study.asked or '?'}"
        seconds = [trial.seconds for trial in study.complete]
        if self.state == "running" and seconds:  # by the mean so far
            at_once = max(sum(trial.state == "running" for trial in study.trials), 1)
            missing = study.ends_with - study.finished
            text += f", {missing * sum(seconds) / len(seconds) / at_once / 3600:.2g} h left"
        text += ", settled" * bool(study.settled) + self.workers
        if (names := [objective.name for objective in study.objectives]) != ["mae", "picp_penalty"]:
            text += f", by {' and '.join(names)}"
        return text + mark_of(study.source)

    def facts(self) -> Json:
        """What JSON and the table say of the study."""
        mae, picp = self.study.scores if self.study else (None, None)
        return {
            "model": self.run.model,
            "dataset": self.run.dataset,
            "job_id": self.run.job_id,
            "state": self.describe(),
            # of the worker with the most attempts
            "attempts": max(len(attempts(worker)) for worker in of_all_workers(self.run)),
            "mae": mae,
            "unit": self.study.unit if self.study else "",
            "picp": picp,
            "test": self.is_test,
            "cause": self.cause,
            "page": str(self.run.report) if self.run.report.exists() else "",
        }


def study_statuses(runs_dir: Path, jobs: Sequence[Job], database: str = "") -> list[StudyStatus]:
    """The state of every study below a folder, and of those whose jobs have not begun.

    ``database`` as in `StoredStudy`.
    """
    found = study_runs(runs_dir)
    named = {paths.job_name(*pair): pair for pair in EXPERIMENTS}
    for job in jobs:
        if job.name in named and job.state in ACTIVE and job.comment != TEST_COMMENT:
            run = RunPaths(runs_dir, *named[job.name], job_id=job.study_id)
            if run not in found:
                found.append(run)
    return [study_status(run, jobs, database) for run in found]


def study_status(run: RunPaths, jobs: Sequence[Job], database: str = "") -> StudyStatus:
    """The state of one study, by its files and, where they leave it open, by its job."""
    try:
        study = StoredStudy.read(run, database=database)
    except InputError as error:
        return StudyStatus(run, "corrupt", cause=str(error))
    state, cause = study.state()
    if state == "corrupt":
        return StudyStatus(run, state, cause=cause)
    tasks = [job for job in jobs if job.study_id == run.job_id]
    job = min(tasks, key=_rank, default=Job("", "", "COMPLETED"))
    rank = _rank(job)
    if rank == 0:
        state = "running"
        cause = ""
    elif rank == 1 and state not in ("running", "done"):
        state = "queued"
        cause = job.reason
    elif rank == 2 and state == "interrupted":
        cause = f"Slurm says {job.state}"
    workers = ""
    if state in ("running", "queued") and any(job.job_id != run.job_id for job in tasks):
        workers = f", {sum(_rank(job) == 0 for job in tasks)} of {len(tasks)} workers"
    return StudyStatus(run, state, study, cause, workers)


def _rank(job: Job) -> int:
    """Rank of an array's tasks for their study: 0 running, 1 waiting, 2 ended badly, 3 well."""
    if job.state in ACTIVE:
        return int(job.state == "PENDING")
    return 3 if job.state == "COMPLETED" else 2


def as_rows(studies: Sequence[StudyStatus], *, slurm: bool) -> list[Json]:
    """The experiments, then the studies that are not in their table, as plain values.

    These are tests, studies of other datasets, and corrupt ones beside one that is in the table.
    ``command`` submits or runs the missing trials, for a machine with or without Slurm; it is empty
    if nothing is missing.
    """
    rows = list[Json]()
    counted = list[StudyStatus]()
    beside = list[StudyStatus]()
    for model, dataset in EXPERIMENTS:
        candidates = [
            one
            for one in studies
            if not one.is_test and (one.run.model, one.run.dataset) == (model, dataset)
        ]
        best = min(
            candidates,
            key=lambda one: (STATES.index(one.state), -last_written(one.run)),
            default=StudyStatus(RunPaths(Path(), model, dataset, ""), "missing"),
        )
        counted += candidates
        beside += [one for one in candidates if one.state == "corrupt" and one is not best]
        command = ""
        if best.state not in NOTHING_TO_START:
            trials = (best.study.asked if best.study else 0) or DEFAULT_TRIALS
            command = (
                f"slurm/submit_job.sh {model} {dataset} {trials}"
                if slurm
                else f"hpo run --model {model} --dataset {dataset} --trials {trials}"
            )
            command += f" --job-id {best.run.job_id}" * (best.state == "interrupted")
        ids = [one.run.job_id for one in candidates]
        rows.append({**best.facts(), "job_ids": ids, "command": command})
    others = [one for one in studies if one not in counted]
    return rows + [one.facts() for one in (*others, *beside)]


def table_text(rows: Sequence[Json], *, slurm: bool, extra: str = "") -> str:
    """The rows of `as_rows` as text: a table, and lists of what belongs to some rows only."""
    lines = [("model", "dataset", "state", "MAE", "PICP", "job id")]
    commands = f"To {'submit' if slurm else 'run'} what is missing"
    pages = "Pages of studies, for a browser (`hpo report JOB_ID` makes one)"
    parts: dict[str, list[str]] = {
        title: [] for title in ("Notes", "Other studies", "Test studies", pages, commands)
    }
    for row in rows:
        mae = "-" if row["mae"] is None else f"{row['mae']:.3g} {row['unit']}"
        picp = "-" if row["picp"] is None else f"{row['picp']:.1f} %"
        parts[pages] += filter(None, [row["page"]])
        study = row["model"], row["dataset"]
        if "command" not in row:
            scores = f", MAE {mae}, PICP {picp}" if mae != "-" else ""
            cause = f": {row['cause']}" if row["state"] == "corrupt" else ""
            line = f"{'_'.join([*study, row['job_id']])}: {row['state']}{scores}{cause}"
            parts["Test studies" if row["test"] else "Other studies"].append(line)
            continue
        state, _, more = row["state"].partition(", ")
        job_id = row["job_id"] or "-"
        lines.append((*study, state, mae, picp, job_id))
        also = " ".join(other for other in row["job_ids"] if other != job_id)
        attempt = f"attempt {row['attempts']}" if row["attempts"] > 1 else ""
        cause = row["cause"] * (row["cause"] not in row["state"])
        notes = [more, attempt, f"also job {also}" if also else "", cause]
        if any(notes):
            parts["Notes"].append(f"{' on '.join(study)}: {'; '.join(filter(None, notes))}")
        parts[commands] += [row["command"] + extra] if row["command"] else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    for title, part in parts.items():
        text += ["", f"{title}:", *(f"  {line}" for line in part)] if part else []
    return "\n".join(text)


def detach(run: RunPaths, words: Sequence[str], extra: str = "") -> str:
    """Run ``hpo`` with these words of a study in a session of its own, which outlives a terminal.

    Returns when its first worker has begun, or all of it has ended.

    Args: run: the files of its first worker. words: of the command line. extra: options that name
        the folder of the records, for the commands in the report.

    Returns: A report for the user: the log, and what to type next.

    Raises: InputError, StudyError: what the process ended with.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    before = paths.written(run.notebook)
    with run.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "hpo_lib", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    lease = Lease(run.worker_lease(str(run.worker)))
    # The lease of before the notebook is that of the process which looks for another one.
    while paths.written(run.notebook) in (0, before) or not lease.seems_held:
        if (code := process.poll()) is not None:
            if code:
                said = run.log.read_text("utf-8").splitlines()
                last = said[-1] if said else f"{run.log}: the process ended with {code}"
                raise (InputError if code == 2 else StudyError)(last.removeprefix("hpo: "))
            break
        time.sleep(POLL)
    attached = f"{run.job_id!r}" + f", {str(run.runs_dir)!r}" * bool(extra)
    return f"""\
study    {run.study_name} runs by itself: this terminal can be closed
log      {run.log}
record   {run.notebook}
watch    hpo status{extra}
         tail -F {run.log}
         attach({attached}) in a notebook, after `from hpo_lib.figures.explorer import attach`
stop     hpo stop {run.study_name}{extra}   (finished trials are kept)"""


POLL = 0.2
"""Seconds between two looks at a process that begins."""


def stop(name: str, jobs: Sequence[Job], runs_dir: str = "", database: str = "") -> str:
    """Ask all workers of a study to end: each puts the trial in flight back, and writes its record.

    Args: name, runs_dir, database: as in `named_study`. jobs: Slurm's; one of this study is
        cancelled, which asks its processes for the same.

    Returns: A sentence for the user.

    Raises:
        InputError: there is no such study.
        StudyError: it does not run.
        SlurmError: Slurm refuses.
    """
    job_id = name.rpartition("_")[2]
    if any(job.study_id == job_id and job.state in ACTIVE for job in jobs):
        order("end", "scancel", job_id)
        return (
            f"Slurm job {job_id} is cancelled: its study is asked to stop, finished trials are kept"
        )
    study = named_study(name, runs_dir, database)
    state, cause = study.state()
    if state != "running":
        why = f" ({cause})" if cause else ""
        raise StudyError(
            f"{study.run.study_name} does not run, so nothing is stopped: {state}{why}"
        )
    paths.write_text(paths.stop_file(study.run.workers), "")
    return (
        f"{study.run.study_name} is asked to stop: its workers put their trials in flight back and "
        "write the record, which takes a minute at most; `hpo status` shows the end"
    )
