"""What runs inside a Slurm job: the study in a process of its own, and the decision whether the job goes on later.

Slurm's warning signal reaches this process alone; it is handed on, the study ends cleanly, and the job goes back into
the queue while trials are missing. The same where the study's process was killed. A job that was cancelled or requeued
by others stays as they want it. A task of an array is a worker of the study and decides for itself.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hpo_lib import stop_requests
from hpo_lib.errors import InputError
from hpo_lib.launch import slurm_queue
from hpo_lib.paths import RunPaths
from hpo_lib.records.executed_notebook import read_record
from hpo_lib.records.result import load_result

WARNED_EARLY = 90.0
"""Seconds by which Slurm may send its warning before it was asked to."""


@dataclass(frozen=True)
class Job:
    """Which job this process runs in.

    Attributes:
        slurm_id: for Slurm's programs; of a task of an array ``4711_2``, since its own number may mean the whole array.
            Empty outside Slurm.
        study_id: names the study's files: the id of the job, or of the array whose tasks share the study.
        worker: number of the task within its array, else 1.
        requeues: how often it went back into the queue so far.
    """

    slurm_id: str = ""
    study_id: str = ""
    worker: int = 1
    requeues: int = 0

    @classmethod
    def of_environment(cls) -> "Job":
        """As Slurm's environment variables say."""
        given = os.environ.get
        job_id, requeues = given("SLURM_JOB_ID", ""), int(given("SLURM_RESTART_COUNT", "0"))
        array = given("SLURM_ARRAY_JOB_ID", "")
        if not array:
            return cls(job_id, job_id, requeues=requeues)
        task = given("SLURM_ARRAY_TASK_ID", "")
        return cls(slurm_queue.task_id(array, task), array, int(task), requeues)

    @property
    def is_task(self) -> bool:
        """Whether it is one task of an array."""
        return self.slurm_id != self.study_id


@dataclass(frozen=True)
class Rules:
    """What the site and the user say of a job.

    Attributes:
        trials: finished trials that the study shall hold.
        signal_seconds: how long before its time limit the job is warned.
        max_requeues: how often the job may go back into the queue, whoever puts it there.
    """

    trials: int
    signal_seconds: int
    max_requeues: int


def work(run: RunPaths, command: Sequence[str], job: Job, rules: Rules) -> int:
    """Run ``hpo run`` with these arguments and decide what becomes of the job.

    Args:
        run: the study's files, as this worker sees them.
        command: arguments of ``hpo run``.
        job: this job.
        rules: when it goes on.

    Returns:
        The exit code of the job: 0 where the study is complete or goes on in the requeued job.
    """
    study = f"study {run.study_name}" if not job.is_task else f"worker {job.worker} of study {run.study_name}"
    attempt = f"attempt {job.requeues + 1} of at most {rules.max_requeues + 1}"
    print(f"{attempt} of {study}, job {job.slurm_id}", flush=True)
    before = _finished(run)
    left = slurm_queue.seconds_left(job.slurm_id) if job.slurm_id else None
    budget = [] if left is None else ["--time-budget-hours", f"{max(left - rules.signal_seconds, 1) / 3600:.4f}"]
    process: subprocess.Popen[bytes] | None = None
    received: list[str] = []

    def hand_on(name: str) -> None:
        received.append(name)
        # Not with print, which breaks where the next signal comes in the middle of it.
        os.write(sys.stdout.fileno(), f"received {name}: the study is asked to stop\n".encode())
        if process is not None and process.poll() is None:
            process.send_signal(signal.Signals[name])

    with stop_requests.handling(hand_on):  # to the end: a warning that comes late must not end the job
        process = subprocess.Popen([sys.executable, "-m", "hpo_lib", "run", *command, *budget])
        code = process.wait()
        finished = _finished(run)
        missing = rules.trials - finished
        why = "" if code == 2 or (code == 0 and missing <= 0) else _why_again(run, code, received)
        if not why:
            return code
        lacks = f"{missing} trials are missing" if missing > 0 else "all trials are there, but not the whole record"
        print(f"{lacks}, since {why}", flush=True)
        return _go_on(job, rules, progressed=finished > before, code=code)


def _go_on(job: Job, rules: Rules, *, progressed: bool, code: int) -> int:
    """Put the job back into the queue, or say why not."""
    if not job.slurm_id or slurm_queue.state(job.slurm_id) != "RUNNING":
        print("the job was cancelled or requeued already, so that is left as it is", flush=True)
        return 1
    left = slurm_queue.seconds_left(job.slurm_id)
    at_limit = code == 0 or (left is not None and left < rules.signal_seconds + WARNED_EARLY)
    if not progressed and at_limit and not code < 0:
        print("no trial finished within the time limit, so none would in another attempt; raise TIME in slurm/site.env")
        return 1
    if job.requeues >= rules.max_requeues:
        print(f"requeued {job.requeues} times already, which is MAX_REQUEUES; `hpo status` shows how to go on")
        return 1
    print(f"requeue {job.requeues + 1} of at most {rules.max_requeues}", flush=True)
    slurm_queue.requeue(job.slurm_id)
    return 0


def _why_again(run: RunPaths, code: int, received: Sequence[str]) -> str:
    """Why the study should go on in another attempt, or an empty text where it failed."""
    if received:
        return f"it was asked to stop by {received[0]}"
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    if code == 0:
        return "its time budget is spent"
    return "" if _ended_with_error(run) else "its kernel was killed"


def _finished(run: RunPaths) -> int:
    try:
        found = load_result(run.best_params)
    except InputError:
        return 0
    return sum(found[key] or 0 for key in ("n_completed", "n_failed", "n_pruned"))


def _ended_with_error(run: RunPaths) -> bool:
    try:
        record = read_record(run.notebook)
    except InputError:
        return False
    return record.complete and record.error != ""
