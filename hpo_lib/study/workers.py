"""Several workers of a study on one machine, each a process of `hpo run --worker K`.

A worker that dies is started again. The standard input of a process is its lifeline, see
`stop_requests.relaying`.
"""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from joblib import cpu_count

from hpo_lib import paths, stop_requests
from hpo_lib.errors import HpoError, InputError, StudyError
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

SILENCE = 1.0
"""Seconds without a line after which it is seen to workers that have ended."""

MAX_DEATHS = 3
"""So many deaths per worker without a finished training in between end the study: restarting will
not help.
"""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fitting(workers: int, cores: int, omp_num_threads: str = "") -> tuple[int, int, str]:
    """Workers and threads of each so that no two threads share a core; a sentence if fewer.

    Two workers of two threads on two cores get through half as many trials as one worker does.
    """
    threads = int(omp_num_threads) if omp_num_threads.isdecimal() else 1
    only = f"Only {cores} core{'s are' if cores > 1 else ' is'} available, so"
    if cores < workers:
        started = f"{cores} workers are" if cores > 1 else "1 worker is"
        return cores, 1, f"{only} {started} started instead of {workers}."
    each = cores // workers
    if threads > each:
        fewer = f"{each} threads" if each > 1 else "1 thread"
        return workers, each, f"{only} each of {workers} workers gets {fewer} instead of {threads}."
    return workers, threads, ""


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
        StudyError: likewise; or the workers die again and again.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    workers, threads, sentence = fitting(settings.workers, cpu_count(), asked)
    if sentence:
        say(sentence)
    lines: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    last = dict.fromkeys(range(settings.worker, settings.worker + workers), "none")
    begun, gpus = time.monotonic(), visible_gpus()

    def start(number: int) -> "subprocess.Popen[bytes]":
        words = [*settings.as_words(), "--job-id", settings.job_id, "--worker", str(number)]
        if limit := settings.time_budget_hours:
            left = limit - (time.monotonic() - begun) / 3600
            words += ["--time-budget-hours", str(max(left, 1e-6))]
        process = _start(words, {**dict.fromkeys(_THREADS, str(threads)), **gpu_of(number, gpus)})
        threading.Thread(target=_listen, args=(process, number, lines), daemon=True).start()
        return process

    def show_line(seconds: float) -> bool:
        """Show the next line; False if none comes for so long."""
        try:
            number, last[number] = lines.get(timeout=seconds)
        except queue.Empty:
            return False
        say(f"[{number}] {last[number]}")
        return True

    alive: dict[int, subprocess.Popen[bytes]] = {}
    deaths, before = 0, ended_trainings(run, settings.storage)
    with stop_requests.listening():
        try:
            for number in last:
                alive[number] = start(number)
            while alive and not stop_requests.requested():
                ended = [number for number, process in alive.items() if process.poll() is not None]
                if show_line(SILENCE):  # the last words of those that have ended, too
                    continue
                for number in ended:
                    code = alive.pop(number).returncode
                    if not code:
                        continue
                    killed = f"signal {-code}" if code < 0 else ""
                    if not killed and KERNEL_KILLED not in last[number]:
                        raise _error(code, last[number])
                    how = killed or "its kernel was killed"
                    now = ended_trainings(run, settings.storage)
                    deaths, before = deaths + 1 if now == before else 1, now
                    if deaths >= MAX_DEATHS * workers:
                        raise StudyError(
                            f"the workers die without finishing a trial, {deaths} times so far, "
                            f"the last with {how}; its last words: {last[number]}"
                        )
                    alive[number] = start(number)
                    say(f"worker {number} died ({how}); it is started again, and so is its trial")
        finally:
            _end(alive.values())
            while show_line(0.2):
                pass
    for number, process in alive.items():
        if process.returncode:
            raise _error(process.returncode, last[number])


def _error(code: int, line: str) -> HpoError:
    """The error that a worker ended with, by its exit code and its last line."""
    sentence = line.removeprefix("hpo: ")
    return InputError(sentence) if code == 2 else StudyError(sentence)


def _start(words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(filter(None, [str(paths.PROJECT_ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "hpo_lib", "run", *words],
        env={**os.environ, **environment, "PYTHONPATH": path, stop_requests.LIFELINE: "yes"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C comes through the lifeline, once
    )


def _listen(
    process: "subprocess.Popen[bytes]", number: int, lines: "queue.SimpleQueue[tuple[int, str]]"
) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            text = line.decode("utf-8", errors="replace").rstrip()
            if text := text.rpartition("\r")[2].strip():  # a progress bar is drawn over
                lines.put((number, text))


def _end(processes: Collection["subprocess.Popen[bytes]"]) -> None:
    """Ask workers to stop, and kill those that do not."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    until = time.monotonic() + PATIENCE
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
        process.kill()
        process.wait()
