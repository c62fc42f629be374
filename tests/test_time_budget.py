"""What measured trial times say about a time budget."""

from types import SimpleNamespace

import pytest

from hpo_lib.records.trial import TrialRecord
from hpo_lib.study.progress import TimeBudget


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("hpo_lib.study.progress.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def trials(*seconds):
    return [TrialRecord(number, "complete", {}, seconds=s) for number, s in enumerate(seconds)]


def test_when_a_recent_trial_was_longer_than_what_is_left_then_no_other_is_begun(clock):
    budget = TimeBudget(limit_hours=1.0)
    clock.now += 1800
    assert budget.out_of_time(trials(1800, 60)) == ""
    assert budget.out_of_time(trials(1801, 60)) == (
        "time budget of 1 h: 0.50 h are spent and a trial takes up to 0.50 h"
    )
    assert budget.out_of_time(trials(1801, 60, 60, 60, 60, 60)) == "", (
        "a long trial long ago says little"
    )
    assert budget.out_of_time([*trials(60), TrialRecord(1, "failed", {}, seconds=9999)]) == "", (
        "it did not complete"
    )
    assert TimeBudget(0.0).out_of_time(trials(10_000)) == ""
