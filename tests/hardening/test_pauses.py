"""A worker that is stopped for longer than every grace, in real time, and then goes on."""

import os
import signal
from functools import partial

from tests.hardening.invariants import assert_that_nothing_was_lost_and_nothing_is_left
from tests.study.fake_worker import pause_once
from tests.study.processes import assert_done

TRIALS = 8
POINTS = ("fit", "ask", "_finish", "release", "write_json")
"""Training, claiming, ending, giving up the lock of the journal, and writing the record."""


def test_when_a_worker_is_paused_for_longer_than_every_grace_then_no_result_counts_twice(
    study_in, tmp_path
):
    """A lease is silent for 120 s before others take it, a lock of the journal for 30 s: all
    studies wait at once.
    """
    studies = {
        point: study_in("journal", runs_dir=tmp_path / str(i)) for i, point in enumerate(POINTS)
    }
    workers = {}
    for point, study in studies.items():
        study.files.runs_dir.mkdir()
        workers[point] = study.worker(1, TRIALS, partial(pause_once, point))
    for worker in workers.values():
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
    others = {point: study.worker(2, TRIALS) for point, study in studies.items()}
    for point, other in others.items():
        other.wait(1200)
        assert other.exitcode == 0, f"{point}: {other.communicate()[0]}"
    for worker in workers.values():
        worker.send_signal(signal.SIGCONT)
    for point, study in studies.items():
        assert_done(workers[point])
        assert_that_nothing_was_lost_and_nothing_is_left(study, TRIALS)
