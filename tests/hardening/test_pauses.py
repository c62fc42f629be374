"""A worker that is stopped for longer than every grace, in real time, and then goes on as if
nothing had happened.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from optuna.study import Study as OptunaStudy

from hpo_lib.records.optuna_trials import JournalLock
from hpo_lib.study import trial_queue
from tests.hardening.forks import (
    assert_ends,
    assert_that_nothing_was_lost_and_nothing_is_left,
    fork,
    said,
)
from tests.study.fakes import FakeFamily

TRIALS = 8
POINTS = {
    "training": (FakeFamily, "fit"),
    "claiming": (OptunaStudy, "ask"),
    "ending": (trial_queue.TrialQueue, "_finish"),
    "holding the lock of the journal": (JournalLock, "release"),
    "writing the record": (trial_queue, "write_json"),
}


def pausing(owner: Any, name: str) -> Callable[[], None]:
    """Make a worker stop itself the first time that it comes there after its first training has
    begun.
    """

    def install() -> None:
        fit, begun = FakeFamily.fit, []

        def trained(*arguments: Any, **rest: Any) -> Any:
            begun.append(1)
            return fit(*arguments, **rest)

        FakeFamily.fit = trained
        method = getattr(owner, name)

        def paused(*arguments: Any, **rest: Any) -> Any:
            if begun:
                setattr(owner, name, method)
                os.kill(os.getpid(), signal.SIGSTOP)
            return method(*arguments, **rest)

        setattr(owner, name, paused)

    return install


def test_when_a_worker_is_paused_for_longer_than_every_grace_then_no_result_counts_twice(
    study_in, tmp_path
) -> None:
    """A lease is silent for 120 s before others take it, a lock of the journal for 30 s: all
    studies wait at once.
    """
    studies = {
        point: study_in("journal", runs_dir=tmp_path / str(i)) for i, point in enumerate(POINTS)
    }
    workers = {}
    for point, study in studies.items():
        study.files.runs_dir.mkdir()
        workers[point] = fork(study, TRIALS, before=pausing(*POINTS[point]))
    for worker in workers.values():
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
    others = {point: fork(study, TRIALS, worker=2) for point, study in studies.items()}
    for point, other in others.items():
        other.join(1200)
        assert other.exitcode == 0, f"{point}: {said(studies[point])}"
    for worker in workers.values():
        os.kill(worker.pid, signal.SIGCONT)
    for point, study in studies.items():
        assert_ends(study, workers[point])
        assert_that_nothing_was_lost_and_nothing_is_left(study, TRIALS)
