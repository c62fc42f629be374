"""What runs inside a Slurm job: the study in a process of its own, and the decision whether the job goes on later.

Slurm's warning signal reaches this process alone; it is handed on, the study ends cleanly, and the job goes back into
the queue while trials are missing. The same where the study's process was killed. A job that was cancelled or requeued
by others stays as they want it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from hpo_lib import interrupts, results
from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths
from hpo_lib.records import read_record
from hpo_lib.slurm import queue

WARNED_EARLY = 90.0
"""Seconds by which Slurm may send its warning before it was asked to."""


def work(run: RunPaths, command: Sequence[str], *, trials: int, signal_seconds: int, max_requeues: int) -> int:
    """Run ``hpo run`` with these arguments and decide what becomes of the job.

    Args:
        run: the study's files.
        command: arguments of ``hpo run``.
        trials: finished trials that the study shall hold.
        signal_seconds: how long before its time limit the job is warned.
        max_requeues: how often the job may go back into the queue, whoever puts it there.

    Returns:
        The exit code of the job: 0 where the study is complete or goes on in the requeued job.
    """
    job_id = os.environ.get("SLURM_JOB_ID", "")
    requeues = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    print(f"attempt {requeues + 1} of at most {max_requeues + 1} of study {run.study_name}, job {job_id}", flush=True)
    before = _finished(run)
    left = queue.seconds_left(job_id) if job_id else None
    budget = [] if left is None else ["--time-budget-hours", f"{max(left - signal_seconds, 1) / 3600:.4f}"]
    process = subprocess.Popen([sys.executable, "-m", "hpo_lib", "run", *command, *budget])
    received: list[str] = []

    def hand_on(name: str) -> None:
        received.append(name)
        print(f"received {name}: the study is asked to stop", flush=True)
        if process.poll() is None:
            process.send_signal(signal.Signals[name])

    with interrupts.handling(hand_on):
        code = process.wait()
    finished = _finished(run)
    if code == 2 or finished >= trials:
        return code
    why = _why_again(run, code, received)
    if not why:
        return code
    print(f"{trials - finished} trials are missing, since {why}", flush=True)
    if not job_id or queue.state(job_id) != "RUNNING":
        print("the job was cancelled or requeued already, so that is left as it is", flush=True)
        return 1
    left = queue.seconds_left(job_id)
    at_limit = code == 0 or (left is not None and left < signal_seconds + WARNED_EARLY)
    if finished == before and at_limit and not code < 0:
        print("no trial finished within the time limit, so none would in another attempt; raise TIME in slurm/site.env")
        return 1
    if requeues >= max_requeues:
        print(f"requeued {requeues} times already, which is MAX_REQUEUES; `hpo status` shows how to go on")
        return 1
    print(f"requeue {requeues + 1} of at most {max_requeues}", flush=True)
    queue.requeue(job_id)
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
        found = results.load_result(run.best_params)
    except InputError:
        return 0
    return sum(found[key] or 0 for key in ("n_completed", "n_failed", "n_pruned"))


def _ended_with_error(run: RunPaths) -> bool:
    try:
        record = read_record(run.notebook)
    except InputError:
        return False
    return record.complete and record.error != ""
