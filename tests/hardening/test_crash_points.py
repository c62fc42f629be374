"""Studies whose workers are killed before each file operation of a trial, one after the other."""

import multiprocessing
import os
import signal
import sys

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.hardening.invariants import assert_that_nothing_was_lost_and_nothing_is_left
from tests.study.fakes import FakeFamily
from tests.study.processes import assert_done, end

AT_ONCE = 10
"""Studies side by side: a worker that dies in the lock of a journal makes the next one wait for
half a minute.
"""

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class CrashPoints:
    """Counts operations that change a file from the begin of a worker's first training to that of
    its second.

    These are files that are opened to be written, renamed, removed or synced, and commits of a
    database. The process is killed before the one of number ``dies_at``; each is told before.
    """

    def __init__(self, dies_at, told=lambda operation: None):
        self.dies_at, self.told, self.count, self.trainings, self.wrote = dies_at, told, 0, 0, False

    def install(self):
        """In the process that is to die; it never gets rid of it."""
        fit, fsync = FakeFamily.fit, os.fsync

        def trained(*arguments, **rest):
            self.trainings += 1
            return fit(*arguments, **rest)

        def synced(descriptor):
            self.reach("fsync")
            fsync(descriptor)

        FakeFamily.fit, os.fsync = trained, synced
        event.listen(Engine, "before_cursor_execute", self.execute)
        event.listen(Engine, "commit", self.commit)
        sys.addaudithook(self.audit)

    def audit(self, name, arguments):
        if name in CHANGES or (
            name == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        ):
            self.reach(f"{name} {os.path.basename(str(arguments[0]))}")

    def execute(self, connection, cursor, statement, *_):
        self.wrote |= not statement.startswith("SELECT")

    def commit(self, connection):
        if self.wrote:
            self.reach("commit")
        self.wrote = False

    def reach(self, operation):
        if self.trainings == 1:
            self.count += 1
            self.told(operation)
            if self.count == self.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_when_workers_die_before_each_operation_of_a_trial_then_nothing_is_lost_or_left(
    storage, study_in, tmp_path
):
    def study(name):
        (tmp_path / name).mkdir()
        return study_in(storage, runs_dir=tmp_path / name)

    operations = multiprocessing.get_context("fork").SimpleQueue()
    assert_done(study("whole").worker(1, 2, CrashPoints(0, operations.put).install))
    points = 0
    while not operations.empty():
        operations.get()
        points += 1
    assert points > 20
    studies = [study(f"study-{number}") for number in range(AT_ONCE)]
    trials = points // AT_ONCE + 5  # each worker but the last ends one trial at most
    for first in range(1, points + 1, AT_ONCE):
        begun = [
            one.worker(1, trials, CrashPoints(first + offset).install)
            for offset, one in enumerate(studies)
            if first + offset <= points
        ]
        for worker in begun:
            end(worker, -signal.SIGKILL)
    for one in studies:
        assert_done(one.worker(1, trials))
        assert_that_nothing_was_lost_and_nothing_is_left(one, trials)
