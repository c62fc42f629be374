"""The process inside a Slurm job: it runs the study, then decides whether to requeue the job.

Slurm's warning signal reaches this process alone. It passes the signal on, the study ends cleanly,
and if trials are missing, the job goes back into the queue. It also goes back if the study's
process was killed. A job that was cancelled or requeued by somebody else is left alone. Each task
of an array is one worker of the study and decides for itself.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from hpo_lib import stop_requests
from hpo_lib.errors import NO_ANSWER, InputError
from hpo_lib.launch import slurm
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import read_json, read_record, write_json
from hpo_lib.records.study import StoredStudy
from hpo_lib.study.workers import ended_trainings

WARNED_EARLY = 90.0
"""Slurm may send its warning up to this many seconds early."""


@dataclass(frozen=True)
class ThisJob:
    """Which job this process runs in, and when it goes back into the queue.

    Attributes:
        slurm_id: the id for Slurm's programs, such as ``4711_2`` for a task of an array. Empty
            outside Slurm.
        study_id: names the study's files: the id of the job, or of the array whose tasks share
            the study.
        worker: number of its first worker within the study.
        requeues: how often it went back into the queue so far.
        signal_seconds: how long before its time limit the job is warned.
        max_requeues: how many attempts without progress may be followed by another, be it by
            itself or by Slurm. An attempt in which a trial ended does not count. 0: no other
            attempt at all.
        workers_per_gpu: so many workers it starts, which share its GPU.
    """

    slurm_id: str = ""
    study_id: str = ""
    worker: int = 1
    requeues: int = 0
    signal_seconds: int = 600
    max_requeues: int = 20
    workers_per_gpu: int = 1

    @classmethod
    def of_environment(cls, *limits: int) -> "ThisJob":
        """Read from Slurm's environment variables, with the last three attributes."""
        environment = os.environ.get
        job_id = environment("SLURM_JOB_ID", "")
        task = int(environment("SLURM_ARRAY_TASK_ID", "1"))
        requeues = int(environment("SLURM_RESTART_COUNT", "0"))
        if study_id := environment("SLURM_ARRAY_JOB_ID", ""):
            job_id = f"{study_id}_{task}"
        first = (task - 1) * limits[-1] + 1
        return cls(job_id, study_id or job_id, first, requeues, *limits)


def run_job(run: RunPaths, command: Sequence[str], job: ThisJob, trials: int) -> int:
    """Run ``hpo run`` with the arguments ``command``, then end or requeue the job.

    The study ends with so many ``trials``, unless it settles with fewer.

    Returns:
        The exit code of the job: 0 if the study is complete or continues in the requeued job.
    """
    worker = f"worker {job.worker} of " if job.slurm_id != job.study_id else ""
    before = sum(ended_trainings(run))
    barren = _without_progress(run, job, before)
    print(
        f"attempt {job.requeues + 1} ({barren} of at most {job.max_requeues} without progress) of "
        f"{worker}study {run.study_name}, job {job.slurm_id}",
        flush=True,
    )
    left = slurm.seconds_left(job.slurm_id) if job.slurm_id else None
    budget = []
    if left is not None:
        budget = ["--time-budget-hours", f"{max(left - job.signal_seconds, 1) / 3600:.4f}"]
    process: subprocess.Popen[bytes] | None = None
    received = list[str]()

    def pass_on(name: str) -> None:
        received.append(name)
        # Not with print, which breaks if another signal arrives in the middle of it.
        os.write(sys.stdout.fileno(), f"received {name}: the study is asked to stop\n".encode())
        if process is not None:
            process.send_signal(signal.Signals[name])

    # To the end: a late warning must not kill the job.
    with stop_requests.handling(pass_on), _shared_gpu(job.workers_per_gpu):
        process = subprocess.Popen([sys.executable, "-m", "hpo_lib", "run", *command, *budget])
        code = process.wait()
        missing = trials
        lacks_proof = False
        with suppress(InputError):
            study = StoredStudy.read(run)
            ends_with = study.settled["trials"] if study.settled else trials
            missing = ends_with - study.finished
            lacks_proof = study.lacks_proof
        if code == 2 or (code == 0 and missing <= 0 and not lacks_proof):
            return code
        if not (why := _why_requeue(run, code, received)):
            return code
        lacks = (
            f"{missing} trials are missing"
            if missing > 0
            else "all trials are there, but the record is incomplete"
        )
        print(f"{lacks}: {why}", flush=True)
        return _requeue(job, barren, progressed=sum(ended_trainings(run)) > before, code=code)


@contextmanager
def _shared_gpu(workers: int) -> Iterator[None]:
    """Let several workers compute on the GPU at once by NVIDIA's MPS, where its daemon is there.

    Its pipes and logs are in a folder of this job. Without it the GPU serves workers in turns.
    """
    daemon = shutil.which("nvidia-cuda-mps-control")
    if workers == 1 or daemon is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="hpo-mps-") as folder:
        for variable in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
            os.environ[variable] = folder
        subprocess.run([daemon, "-d"])
        try:
            yield
        finally:
            subprocess.run([daemon], input=b"quit\n")


def _without_progress(run: RunPaths, job: ThisJob, ended: int) -> int:
    """Earlier attempts of this job in which no trial ended, where ``ended`` have until now.

    An attempt notes its start, since it may be killed without another word.
    """
    barren = 0
    if job.requeues:
        # Without a note what was before is excused.
        with suppress(ValueError, KeyError, TypeError):
            noted = read_json(run.requeues, "what an attempt notes")
            barren = int(noted["barren"]) + (noted["ended"] >= ended)
    write_json(run.requeues, {"barren": barren, "ended": ended})
    return barren


def _requeue(job: ThisJob, barren: int, *, progressed: bool, code: int) -> int:
    """Put the job back into the queue, or print why not."""
    if not job.slurm_id or slurm.state(job.slurm_id) != "RUNNING":
        print("the job was already cancelled or requeued, so it is left alone", flush=True)
        return 1
    left = slurm.seconds_left(job.slurm_id)
    at_limit = code == 0 or (left is not None and left < job.signal_seconds + WARNED_EARLY)
    if not progressed and at_limit and code >= 0:
        print(
            "no trial finished within the time limit, so a new attempt would not help; raise "
            "TIME in slurm/site.env"
        )
        return 1
    if not job.max_requeues or (not progressed and barren >= job.max_requeues):
        print(
            f"requeued {barren} times without progress, which is MAX_REQUEUES; `hpo status` "
            "shows how to continue"
        )
        return 1
    print(f"requeue {job.requeues + 1}", flush=True)
    slurm.order("requeue", "scontrol", "requeue", job.slurm_id)
    return 0


def _why_requeue(run: RunPaths, code: int, received: Sequence[str]) -> str:
    """Why another attempt makes sense, or an empty text if the study failed with an error."""
    if received:
        return f"the study was asked to stop by {received[0]}"
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    if code == 0:
        return "its time budget is spent"
    record = read_record(run.notebook)
    if NO_ANSWER in record.error:
        return NO_ANSWER
    return "" if record.complete and record.error else "its kernel was killed"
