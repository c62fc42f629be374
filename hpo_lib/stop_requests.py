"""Requests to stop a study: a signal asks, the study looks for it between batches and ends cleanly.

A user or a job script signals papermill; a cluster that ends a job signals every process of it, the
kernel too. `relaying` in papermill's process and `listening` in the kernel turn both into one
request, which a file carries. ``hpo stop`` writes another file, which all workers of a study look
at, wherever they run.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo_lib import paths

STOP_FILE = "HPO_STOP_FILE"
"""Environment variable with the file in which papermill hands a request to stop to its kernel."""

LIFELINE = "HPO_LIFELINE"
"""Environment variable of a process that another one has started: the end of its standard input,
which the other one holds, is a request to stop.
"""

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What a cluster sends before it ends a job. Ctrl-C (SIGINT) interrupts the notebook's cell."""

_asked: list[str] = []
_watched: dict[Path, int] = {}
"""A study's file -> when it was written at the start of this process: that was for others."""


class StopRequested(Exception):
    """Ends a training that was asked to stop; not a failure of its trial."""


def requested() -> str:
    """What asked this process or its papermill to stop (a signal, hpo stop), or an empty text."""
    if _asked:
        return _asked[0]
    if any(paths.written(file) not in (0, before) for file, before in _watched.items()):
        return "hpo stop"
    file = os.environ.get(STOP_FILE)
    try:
        return Path(file).read_text(encoding="utf-8") if file else ""
    except FileNotFoundError:
        return ""


def check() -> None:
    """Raise StopRequested if a stop was asked for; cheap enough to be called after every batch."""
    if reason := requested():
        raise StopRequested(reason)


@contextmanager
def listening(folder: Path) -> Iterator[None]:
    """While the study runs, a signal asks it to stop instead of ending the process.

    So does a new stop file in the folder of its workers.
    """
    _asked.clear()
    file = paths.stop_file(folder)
    _watched[file] = paths.written(file)
    try:
        with handling(_asked.append):
            yield
    finally:
        _watched.pop(file, None)


@contextmanager
def relaying() -> Iterator[None]:
    """While papermill runs, a signal asks the study in its kernel to stop, not papermill to end.

    The kernel's connection file is in the same temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="hpo-") as folder:
        file = paths.stop_file(Path(folder))
        os.environ[STOP_FILE] = str(file)
        relayed: list[str] = []

        def relay(name: str) -> None:
            # The first alone: signals that come faster than a busy machine writes the file would
            # interrupt each other's handlers without end.
            if not relayed:
                relayed.append(name)
                paths.write_text(file, name)

        try:
            with handling(relay):
                if LIFELINE in os.environ:
                    threading.Thread(target=_watch_lifeline, daemon=True).start()
                yield
        finally:
            del os.environ[STOP_FILE]


def _watch_lifeline() -> None:
    # Of the file itself: a thread in a buffered read would block the end of the interpreter.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def handling(on_signal: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_signal`` with the name of each signal.

    In the main thread only: Python allows it nowhere else.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda received, _: on_signal(signal.Signals(received).name))
        for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
