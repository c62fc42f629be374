"""What measured trial times say about a time budget."""

from hpo_lib.records.trial import TrialRecord
from hpo_lib.study.progress import out_of_time


def trials(*seconds):
    return [TrialRecord(number, "complete", {}, seconds=s) for number, s in enumerate(seconds)]


def test_when_a_recent_trial_was_longer_than_what_is_left_then_no_other_is_begun():
    assert out_of_time(1.0, 1800, trials(1800, 60)) == ""
    assert out_of_time(1.0, 1800, trials(1801, 60)) == (
        "time budget of 1 h: 0.50 h are spent and a trial takes up to 0.50 h"
    )
    assert out_of_time(1.0, 1800, trials(1801, 60, 60, 60, 60, 60)) == "", "that was long ago"
    failed = TrialRecord(1, "failed", {}, seconds=9999)
    assert out_of_time(1.0, 1800, [*trials(60), failed]) == "", "it did not complete"
    assert out_of_time(0.0, 1800, trials(10_000)) == ""
