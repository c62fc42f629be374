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


def test_when_the_missing_trials_do_not_fit_then_it_is_said_once_as_soon_as_one_is_measured(clock):
    budget = TimeBudget(limit_hours=2.0)
    assert budget.shortfall([], 50) == ""
    clock.now += 600
    # 49 trials of ten minutes are over eight hours; 110 minutes hold eleven of them.
    assert budget.shortfall(trials(600), 49) == (
        "49 trials are missing and take about 8.2 h (600 s each), 1.8 h of the time budget are "
        "left: about 11 of them will finish in this run"
    )
    assert budget.shortfall(trials(600), 48) == ""


@pytest.mark.parametrize(
    ("limit", "missing"), [(0.0, 1000), (2.0, 11)], ids=["no limit", "they fit"]
)
def test_when_the_trials_fit_then_nothing_is_said(limit, missing, clock):
    budget = TimeBudget(limit)
    clock.now += 600
    assert budget.shortfall(trials(600), missing) == ""


def test_when_trials_were_stopped_early_then_the_missing_ones_are_expected_to_be_stopped_as_often(
    clock,
):
    clock.now += 900
    half_stopped = [*trials(600), TrialRecord(1, "stopped", {}, seconds=300)]
    assert (
        TimeBudget(limit_hours=2.0)
        .shortfall(half_stopped, 20)
        .startswith("20 trials are missing and take about 2.5 h (450 s")
    )


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
