"""Worker processes of a study on one machine: how many fit, starting them, and restarting those
that die.

The standard input of a process is its lifeline: when it ends, because the parent closes it or is
dead, the process gives its trial back and ends.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

from hpo_lib import paths
from hpo_lib.errors import HpoError, InputError, StudyError, WriteError
from hpo_lib.records.provenance import visible_gpus
from hpo_lib.settings import Settings
from hpo_lib.study.time_budget import TimeBudget

EXIT_CODES: dict[type[HpoError], int] = {InputError: 2, StudyError: 3, WriteError: 4}
"""What a process ends with after an error, whose sentence is its last line. It ends with 0 if it
was asked to end.
"""

PATIENCE = 20.0
"""Seconds within which a process that was asked to end does so; it may finish one step of training.
"""

MAX_DEATHS = 3
"""This many deaths per worker without a finished trial in between end the study: restarting will
not help.
"""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fitting(workers: int, cores: int, omp_num_threads: str = "") -> tuple[int, int, str]:
    """Workers, and threads of each, such that no two threads share a core; a sentence where that
    was not asked for.

    Two workers of two threads on two cores get through half as many trials as one worker does.
    """
    fit = min(workers, cores)
    each = cores // fit
    only = f"Only {cores} core{'s are' if cores > 1 else ' is'} available, so"
    if fit < workers:
        started = f"{fit} workers are" if fit > 1 else "1 worker is"
        return fit, each, f"{only} {started} started instead of {workers}."
    threads = int(omp_num_threads) if omp_num_threads.isdecimal() else 0
    if threads > each:
        got = f"{each} threads" if each > 1 else "1 thread"
        return fit, each, f"{only} each of {workers} workers gets {got} instead of {threads}."
    return fit, threads or each, ""


def gpu_of(worker: int, gpus: Sequence[str]) -> dict[str, str]:
    """The environment that gives each worker, from 1 on, one of several GPUs; all would use the
    first one otherwise.
    """
    return {"CUDA_VISIBLE_DEVICES": gpus[(worker - 1) % len(gpus)]} if len(gpus) > 1 else {}


def run_workers(
    settings: Settings, workers: int, threads: int, finished: Callable[[], int], budget: TimeBudget
) -> Generator[str, None, None]:
    """Let processes work on an open study; what they print, as it comes, and an empty line at least
    every second.

    Ends when all of them have ended. Close the iterator to end them earlier; none is left behind.

    Args:
        settings: of the study.
        workers: number of processes.
        threads: of each.
        finished: counts the finished trials.
        budget: of time, which goes on for a process that starts late.

    Raises: InputError, StudyError, WriteError: as a process raised it; or processes die again and
        again.
    """
    lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    last = dict.fromkeys(
        (f"{settings.worker}.{number}" for number in range(1, workers + 1)), "none"
    )
    deaths, before = 0, finished()
    alive: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in last:
            alive[name] = _start(settings, name, threads, lines, budget.spent)
        while alive:
            with suppress(queue.Empty):
                name, last[name] = lines.get(timeout=1)
                yield f"[{name}] {last[name]}"
                continue
            yield ""
            deaths, before = (deaths, before) if finished() == before else (0, finished())
            for name in [name for name, process in alive.items() if process.poll() is not None]:
                code = alive.pop(name).returncode
                for error, its_code in EXIT_CODES.items():
                    if code == its_code:
                        raise error(last[name])
                if code == 0:
                    continue
                deaths += 1
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                if deaths >= MAX_DEATHS * workers:
                    raise StudyError(
                        f"the workers die without finishing a trial, {deaths} times so far, the "
                        f"last with {how}; "
                        f"its last words: {last[name]}"
                    )
                alive[name] = _start(settings, name, threads, lines, budget.spent)
                yield f"worker {name} died ({how}); it is restarted, and its trial is tried again"
    finally:
        _end(list(alive.values()))


def _start(
    settings: Settings,
    name: str,
    threads: int,
    lines: "queue.SimpleQueue[tuple[str, str]]",
    spent: float,
) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(paths.PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [name, json.dumps(settings.parameters()), str(spent)]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "hpo_lib.study.worker_process", *words],
        env={
            **os.environ,
            **dict.fromkeys(_THREADS, str(threads)),
            **gpu_of(int(name.rpartition(".")[2]), visible_gpus()),
            "PYTHONPATH": path,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C comes through the lifeline, once
    )

    assert process.stdout is not None
    output = process.stdout

    def listen() -> None:
        with output:
            for line in output:
                if text := line.decode("utf-8", errors="replace").strip():
                    lines.put((name, text))

    threading.Thread(target=listen, daemon=True).start()
    return process


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    """Ask them to end, and kill those that do not."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    until = time.monotonic() + PATIENCE
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
        process.kill()
        process.wait()
