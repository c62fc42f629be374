"""Kills at any moment: a hundred `kill -9` of real processes, and a database that crashes among
them.
"""

import random
import time

import pytest

from tests.hardening.invariants import assert_that_nothing_was_lost_and_nothing_is_left
from tests.study.processes import PATIENCE, assert_done

KILLS = 40
"""Of each kind of storage."""


def begun(study):
    """When a training began last, by the clock of the file system."""
    return max((file.stat().st_mtime_ns for file in study.all_begun()), default=0)


def storm(study, workers, trials, restart=None):
    """Kill a worker and start it again, each time after some training has begun, at a moment that
    chance chooses.
    """
    dice, seconds = random.Random(17), 0.5 * workers  # so that trials outlast the storm
    alive = {
        number: study.worker(number, trials, seconds=seconds) for number in range(1, workers + 1)
    }
    before = 0
    for kill in range(KILLS):
        give_up = time.monotonic() + PATIENCE
        while begun(study) == before:
            assert time.monotonic() < give_up, alive[1].communicate(0)[0]
            for number, process in alive.items():  # one that had no database as it began
                if not process.is_alive():
                    assert restart, f"worker {number} ended by itself: {process.communicate()[0]}"
                    alive[number] = study.worker(number, trials, seconds=seconds)
            time.sleep(0.005)
        before = begun(study)
        time.sleep(dice.random() ** 2)
        victim = dice.randrange(workers) + 1
        alive[victim].kill()
        alive[victim].join()
        if restart and kill % 10 == 5:
            restart.stop()
            time.sleep(1)
            restart.start()
        alive[victim] = study.worker(victim, trials, seconds=seconds)
    for process in alive.values():
        process.wait(PATIENCE)
        assert process.exitcode == 0 or restart, process.communicate(0)[0]
    assert_done(study.worker(1, trials))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_when_workers_are_killed_forty_times_then_the_study_has_its_trials_and_nothing_is_left(
    kind, study_in
):
    study = study_in(kind)
    storm(study, workers=1 if kind == "sqlite" else 3, trials=60)
    assert_that_nothing_was_lost_and_nothing_is_left(study, 60)


def test_when_workers_on_postgres_are_killed_and_it_is_restarted_then_the_same_holds(
    study_in, postgres_server
):
    study = study_in(postgres_server.url)
    storm(study, workers=3, trials=60, restart=postgres_server)
    assert_that_nothing_was_lost_and_nothing_is_left(study, 60)
