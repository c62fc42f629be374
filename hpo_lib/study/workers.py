"""Several workers of a study on one machine, each a process of `hpo run --worker K`.

A worker that dies is started again. The standard input of a process is its lifeline, see
`stop_requests.relaying`.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress

from joblib import cpu_count

from hpo_lib import paths, stop_requests
from hpo_lib.errors import InputError, StudyError
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import visible_gpus
from hpo_lib.records.study import StoredStudy
from hpo_lib.settings import Settings

KERNEL_KILLED = "the notebook's kernel was killed"
"""What `hpo run` says then with its last line; it counts as the death of the worker."""

PATIENCE = 60.0
"""Seconds within which a worker that was asked to end does so: one step of training, and its
record.
"""

MAX_DEATHS = 3
"""So many deaths of a worker with no training finished in between end the study: restarting will
not help.
"""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fitting(workers: int, cores: int, omp_num_threads: str) -> tuple[int, int, str]:
    """Workers and threads of each so that no two threads share a core; a sentence if fewer.

    Two workers of two threads on two cores get through half as many trials as one worker does.
    """
    threads = int(omp_num_threads) if omp_num_threads.isdecimal() else 1
    fit = min(workers, cores)
    each = min(threads, cores // fit)
    if (fit, each) == (workers, threads):
        return fit, each, ""
    started = f"{fit} of {workers} workers are started, with {each} of {threads} threads each"
    return fit, each, f"Cores available: {cores}, so {started}."


def gpu_of(worker: int, gpus: Sequence[str]) -> dict[str, str]:
    """The environment that gives each worker one of several GPUs; all would use the first one."""
    return {"CUDA_VISIBLE_DEVICES": gpus[(worker - 1) % len(gpus)]} if len(gpus) > 1 else {}


def ended_trainings(run: RunPaths, database: str = "") -> tuple[int, int]:
    """Finished trials, and trainings with fresh seeds."""
    try:
        return StoredStudy.read(run, database=database).finished, len(run.replicates())
    except InputError:
        return 0, 0


def run_workers(settings: Settings, run: RunPaths, say: Callable[[str], None]) -> None:
    """Let workers work on a study, and say what they print, until all of them have ended.

    If this process is interrupted, asked to stop or killed, the workers are asked to stop.

    Args:
        settings: of the study; its workers are numbered from ``worker`` on.
        run: its files.
        say: shows a line.

    Raises:
        InputError: as a worker ended with it.
        StudyError: likewise; or a worker dies again and again.
    """
    workers, threads, sentence = fitting(
        settings.workers, cpu_count(), os.environ.get("OMP_NUM_THREADS", "")
    )
    if sentence:
        say(sentence)
    begun = time.monotonic()
    gpus = visible_gpus()
    processes: dict[int, subprocess.Popen[bytes]] = {}
    stopping = threading.Event()

    def work(number: int) -> None:
        """Start a worker, and again if it dies."""
        environment = {
            **os.environ,
            **dict.fromkeys(_THREADS, str(threads)),
            **gpu_of(number, gpus),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(paths.PROJECT_ROOT), os.environ.get("PYTHONPATH")])
            ),
            stop_requests.LIFELINE: "yes",
        }
        words = [*settings.as_words(), "--job-id", settings.job_id, "--worker", str(number)]
        deaths = 0
        before = ended_trainings(run, settings.storage)
        while not stopping.is_set():
            limit = settings.time_budget_hours  # 0 for none
            left = limit and max(limit - (time.monotonic() - begun) / 3600, 1e-6)
            budget = ["--time-budget-hours", str(left)]
            process = processes[number] = subprocess.Popen(
                [sys.executable, "-u", "-m", "hpo_lib", "run", *words, *budget],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes through the lifeline, once
            )
            if stopping.is_set():
                _close(process)
            last = "none"
            for last in _lines(process):
                say(f"[{number}] {last}")
            code = process.wait()
            if code > 0 and KERNEL_KILLED not in last:
                raise (InputError if code == 2 else StudyError)(last.removeprefix("hpo: "))
            if code == 0 or stopping.is_set():
                return
            how = f"signal {-code}" if code < 0 else "its kernel was killed"
            now = ended_trainings(run, settings.storage)
            deaths = deaths + 1 if now == before else 1
            before = now
            if deaths == MAX_DEATHS:
                raise StudyError(
                    f"worker {number} dies without finishing a trial, {deaths} times so far, the "
                    f"last time by {how}; its last words: {last}"
                )
            say(f"worker {number} died ({how}); it is started again, and so is its trial")

    with stop_requests.listening(run.workers), ThreadPoolExecutor(workers) as pool:
        working = [pool.submit(work, settings.worker + i) for i in range(workers)]
        try:
            while not stop_requests.requested():
                ended, others = wait(working, timeout=1, return_when=FIRST_EXCEPTION)
                if not others or any(worker.exception() for worker in ended):
                    break
        finally:
            stopping.set()
            started = list(processes.values())  # a later one is closed by its own thread
            for process in started:
                _close(process)
            until = time.monotonic() + PATIENCE
            for process in started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, until - time.monotonic()))
                process.kill()
    for worker in working:
        worker.result()


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What a process prints, without blank lines and what a progress bar has drawn over."""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            text = line.decode(errors="replace").rstrip().rpartition("\r")[2].strip()
            if text:
                yield text


def _close(process: "subprocess.Popen[bytes]") -> None:
    """Ask a worker to stop."""
    assert process.stdin is not None
    process.stdin.close()
