"""Worker processes of a study on one machine: how many fit, starting them, and noticing when one dies.

A process imports everything once and then works through trials like any worker; what it may do it learns from the
study's storage. Its standard input is its lifeline: when that ends, because the parent asks for it or is no more, the
process gives its trial back and ends.
"""

import math
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from hpo_lib import paths
from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import HpoError, InputError, StudyError
from hpo_lib.settings import Settings

EXIT_CODES: dict[int, type[HpoError]] = {2: InputError, 3: StudyError}
"""What a process ends with whose study raised; its last line is the error's sentence."""

EXIT_ASKED = 4
"""What a process ends with that was asked to end."""

PATIENCE = 20.0
"""Seconds within which a process that was asked to end does so; one step of training may come before."""

MAX_DEATHS = 3
"""This many deaths per worker without a finished trial in between end the study: starting again will not help."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def usable_cores() -> int:
    """CPU cores that this process may use: its affinity, and the quota of its control group where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def fitting(workers: int, cores: int, threads: int = 0) -> tuple[int, int, str]:
    """Workers, and threads of each, such that no two threads share a core; a sentence where that was not asked for.

    Two workers of two threads on two cores get through half as many trials as one worker does.

    Args:
        workers: as asked for.
        cores: as there are.
        threads: of each worker, as asked for with ``OMP_NUM_THREADS``; 0: as many as fit.
    """
    fit = min(workers, cores)
    each = cores // fit
    few = f"{cores} core{'s' * (cores > 1)}"
    if fit < workers:
        text = f"{workers} workers do not fit on {few}, where threads that share a core slow each other down; "
        return fit, each, text + f"working with {fit}"
    if threads > each:
        return fit, each, f"{workers} workers of {threads} threads do not fit on {few}; each gets {each}"
    return fit, threads or each, ""


def threads_asked() -> int:
    """``OMP_NUM_THREADS``, 0 where it is not set."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() else 0


class Pool:
    """Processes that work on one study; a context manager that leaves none behind.

    Args:
        settings: of the study.
        dataset: which every process is handed as it is, so that it is read and checked once.
        workers: number of processes.
        threads: of each.
    """

    def __init__(self, settings: Settings, dataset: Dataset, workers: int, threads: int) -> None:
        self._work = settings, dataset
        self._names = [f"{settings.worker}.{number}" for number in range(1, workers + 1)]
        self._threads = threads
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._processes: dict[str, _Process] = {}
        self._deaths = 0

    def __enter__(self) -> "Pool":
        for name in self._names:
            self._start(name)
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes.values():
            process.ask_to_end()
        until = time.monotonic() + PATIENCE
        for process in self._processes.values():
            process.wait(until)

    def _start(self, name: str) -> None:
        self._processes[name] = _Process(name, (*self._work, name), self._threads, self._lines)

    def lines(self) -> Iterator[str]:
        """What the processes say, as it comes, until all have ended; an empty line at least every second.

        A process that died is started again.

        Raises:
            InputError, StudyError: as a process raised it; or processes die again and again.
        """
        while self._processes:
            with suppress(queue.Empty):
                yield self._lines.get(timeout=1)
                continue
            for name, process in list(self._processes.items()):
                if (code := process.code) is None:
                    continue
                del self._processes[name]
                process.wait(time.monotonic())
                if code in EXIT_CODES:
                    raise EXIT_CODES[code](process.last_line)
                if code not in (0, EXIT_ASKED):
                    yield self._replace(name, process, code)
            yield ""

    def _replace(self, name: str, process: "_Process", code: int) -> str:
        self._deaths += 1
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if self._deaths >= MAX_DEATHS * len(self._names):
            raise StudyError(
                f"the workers die without finishing a trial, {self._deaths} times so far, the last with {how}; "
                f"its last words: {process.last_line or 'none'}"
            )
        self._start(name)
        return f"worker {name} died ({how}); a new one takes its place, and its trial is tried again"

    def progressed(self) -> None:
        """To be called when a trial has finished: earlier deaths do not count any more."""
        self._deaths = 0


class _Process:
    """One worker process and the thread that listens to it."""

    def __init__(self, name: str, work: object, threads: int, lines: "queue.SimpleQueue[str]") -> None:
        self.last_line = ""
        path = os.pathsep.join([str(paths.PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "hpo_lib.study.worker_process"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes through the lifeline, once
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._lifeline = self._process.stdin
        self._listener = threading.Thread(target=self._listen, args=(name, self._process.stdout, lines), daemon=True)
        self._listener.start()
        with suppress(BrokenPipeError):  # it died at once, which `code` tells
            pickle.dump(work, self._lifeline)
            self._lifeline.flush()

    def _listen(self, name: str, stream: IO[bytes], lines: "queue.SimpleQueue[str]") -> None:
        with stream:
            for line in stream:
                if text := line.decode("utf-8", errors="replace").strip():
                    self.last_line = text
                    lines.put(f"[{name}] {text}")

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def ask_to_end(self) -> None:
        with suppress(OSError):
            self._lifeline.close()

    def wait(self, until: float) -> None:
        """Wait for its end and its last line, and kill it if it is still there by then."""
        self.ask_to_end()
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(1)
