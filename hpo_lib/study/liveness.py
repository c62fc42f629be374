"""Which workers of a study live, and whose turn it is to decide who does what.

Everything lies in one hidden folder beside the study's record, so it works the same for every storage; workers on
several machines need one shared ``runs_dir`` for the record and the predictions anyway.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hpo_lib.errors import StudyError
from hpo_lib.paths import RunPaths

BEAT = 15.0
"""Seconds between two heartbeats of a worker."""

SILENCE = 180.0
"""Seconds without a heartbeat after which a worker on another machine counts as dead."""

TURN_GRACE = 30
"""Seconds after which the turn of a worker that died while it had it is taken from it."""


@contextmanager
def turn(run: RunPaths) -> Iterator[None]:
    """Held by one worker at a time, for the moment that it takes to claim or to end a trial; not reentrant.

    A file made with ``O_EXCL``, as optuna's journal uses it: unlike ``flock`` it holds between machines on any shared
    file system.
    """
    from optuna.storages.journal import JournalFileOpenLock

    run.workers.mkdir(parents=True, exist_ok=True)
    lock = JournalFileOpenLock(str(run.turn), grace_period=TURN_GRACE)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Presence:
    """Says to the other workers of a study that this one lives, and asks the same of them.

    On one machine a lock says it, which ends with its process however that dies. Between machines locks are not to be
    relied upon, so there a heartbeat says it: a file that changes every `BEAT` seconds. Whoever waits for it measures
    its silence by his own clock, so clocks need not agree.

    Args:
        run: the study's files.
        name: of the worker within the study, ``1`` or, for a process that worker 1 has started, ``1.2``.
    """

    def __init__(self, run: RunPaths, name: str) -> None:
        self._run, self.name = run, name
        self._lock = FileLock(run.worker_lock(name))
        self._ended = threading.Event()
        self._seen: dict[str, tuple[str, float]] = {}

    @property
    def identity(self) -> dict[str, str]:
        """What a trial keeps of the worker that runs it."""
        return {"name": self.name, "machine": _machine()}

    def __enter__(self) -> "Presence":
        with turn(self._run):  # as do the others who look whether this lock is free, which takes it for a moment
            try:
                self._lock.acquire(timeout=1)  # `somebody_lives` takes it for a moment, without having the turn
            except Timeout:
                raise StudyError(
                    f"another process works on this study (it holds {self._run.worker_lock(self.name)}); wait for it, "
                    "stop it, or choose another job_id"
                ) from None
        self._ended.clear()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._beating.join()
        self._run.worker_beat(self.name).unlink(missing_ok=True)
        self._lock.release()

    def _beat(self) -> None:
        file = self._run.worker_beat(self.name)
        while True:
            with suppress(OSError):  # a full disk for a moment; were it for longer, the others would rightly take over
                file.write_text(f"{time.time():.0f} {os.getpid()} {_machine()}\n", encoding="utf-8")
            if self._ended.wait(BEAT):
                return

    def lives(self, worker: Mapping[str, str] | None) -> bool:
        """Whether the worker of a running trial lives; to be asked by whoever has the turn.

        This worker's own trials of before, and those of the processes that it had started, are nobody's any more.
        """
        if worker is None or worker["name"] == self.name or worker["name"].startswith(f"{self.name}."):
            return False
        if worker["machine"] == _machine():
            return _is_held(self._run.worker_lock(worker["name"]))
        now, beat = time.monotonic(), _text(self._run.worker_beat(worker["name"]))
        last, since = self._seen.get(worker["name"], ("", now))
        if beat != last or worker["name"] not in self._seen:
            self._seen[worker["name"]] = beat, now
            return True
        return now - since < SILENCE


def somebody_lives(run: RunPaths) -> bool:
    """Whether any worker of a study lives; to be asked by those who do not work on it.

    Of workers on other machines the time of the last heartbeat says it, which is wrong where clocks disagree by
    minutes; workers among themselves do not rely on it.
    """
    if any(_is_held(lock) for lock in run.worker_locks()):
        return True
    far = [beat for beat in run.worker_beats() if _machine() not in _text(beat)]
    return any(time.time() - beat.stat().st_mtime < SILENCE for beat in far)


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, blocking=False):
            return False
    except Timeout:
        return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _machine() -> str:
    """Names a machine since its last start; two with one host name are still told apart."""
    return f"{socket.gethostname()} {_text(Path('/proc/sys/kernel/random/boot_id')).strip()}".strip()
