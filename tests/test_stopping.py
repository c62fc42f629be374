"""The rule of early stopping: decisions worked by hand, and what holds for any learning curves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_lib.records.trial import TrialRecord
from hpo_lib.study.early_stopping import RULE, Rung, StoppedEarly, StoppingRule, best_check

CHECKS = 8
HALVING = StoppingRule(rungs=(Rung(0.25, 0.5), Rung(0.5, 0.5)), warm_up=1)


def curve(*maes, winkler=None):
    """A curve with these MAEs; the pinball loss is a third, the interval score four times, unless
    given, the MAE.
    """
    return [
        {
            "step": 10 * i,
            "mae": mae,
            "picp": 80.0,
            "pinball": mae / 3,
            "winkler": winkler or 4 * mae,
        }
        for i, mae in enumerate(maes, start=1)
    ]


def trial(number, checks, state="complete"):
    return TrialRecord(number, state, {}, curve=checks)


def stopped(rule, own, trials, number=9, checks=CHECKS):
    try:
        rule.judge(own, checks, number, trials)
    except StoppedEarly:
        return True
    return False


# Decisions worked by hand

FOUR = [trial(i, curve(*[float(mae)] * CHECKS)) for i, mae in enumerate([1, 2, 3, 4])]


@pytest.mark.parametrize(
    "mae, expected",
    {
        0.5: False,  # none of four is better
        2.5: False,  # two are, and 2 < 0.5 * 5
        3.0: False,  # an equal one is not better
        3.5: True,  # three are
        9.0: True,
    }.items(),
)
def test_when_a_trial_reaches_a_rung_then_it_ends_where_at_least_half_of_all_five_are_better(
    mae, expected
):
    assert stopped(HALVING, curve(mae, mae), FOUR) is expected


def test_when_a_trial_is_stopped_then_it_is_said_where_and_why_and_its_curve_is_kept():
    own = curve(6, 5, 4, 3.5)
    with pytest.raises(
        StoppedEarly,
        match=r"^3 of 4 other trials were better in MAE and interval score after 50% of",
    ) as caught:
        HALVING.judge(own, CHECKS, 9, FOUR)
    assert caught.value.share == 0.5


@pytest.mark.parametrize(
    "rule, checks, decided",
    [
        (HALVING, 1, {}),  # a rung never falls on the last check: there is nothing left to save
        (HALVING, 2, {1: 0.5}),  # both rungs fall on the first check, where the later decides
        (HALVING, CHECKS, {2: 0.25, 4: 0.5}),
        (HALVING, 6, {2: 0.25, 3: 0.5}),  # a rung is decided at the first check at or after it
        (HALVING, 15, {4: 0.25, 8: 0.5}),
        (RULE, 2, {}),  # as the test budget, whose first check is too late for a rung
        (RULE, 5, {1: 0.1, 2: 0.3}),  # as TimesNet
        (RULE, 6, {1: 0.1, 2: 0.3}),  # as the TFT
        (RULE, 10, {1: 0.1, 3: 0.3}),  # as N-HiTS
    ],
)
def test_when_checks_are_few_or_many_then_a_rung_is_the_first_check_that_reaches_it_soon_after(
    rule, checks, decided
):
    rungs = {check: rule.rung_at(check, checks) for check in range(1, checks + 1)}
    assert {check: rung.share for check, rung in rungs.items() if rung} == decided


def test_when_a_trial_is_worse_in_one_score_only_then_it_goes_on():
    assert not stopped(HALVING, curve(9, 9, winkler=0.1), FOUR)
    assert stopped(HALVING, curve(9, 9), FOUR)


def test_when_others_fell_later_then_they_are_compared_at_the_same_share_of_their_steps():
    late = [trial(i, curve(9, 8, 7, 1, 1, 1, 1, 1)) for i in range(4)]
    assert not stopped(HALVING, curve(9, 8), late)
    assert stopped(HALVING, curve(9, 8, 7, 1.1), late)


def test_when_a_curve_rises_again_then_its_best_check_so_far_counts():
    assert best_check(curve(3, 1, 2))["mae"] == 1
    assert not stopped(HALVING, curve(1.5, 9), FOUR)
    risen = [trial(i, curve(1, 9, 9, 9, 9, 9, 9, 9)) for i in range(4)]
    assert stopped(HALVING, curve(2, 2), risen)


def test_when_too_few_trials_are_complete_then_none_is_stopped():
    rule = StoppingRule(HALVING.rungs, warm_up=4)
    others = [*FOUR[:3], trial(3, curve(1, 1), "stopped")]
    assert not stopped(rule, curve(9, 9), others)
    assert stopped(rule, curve(9, 9), [*others, trial(4, curve(*[1.0] * CHECKS))])


def test_until_then_a_trial_ends_that_the_untuned_defaults_beat_by_more_than_the_margin():
    rule = StoppingRule(HALVING.rungs, warm_up=4, margin=0.5)
    untuned = trial(0, curve(*[4.0] * CHECKS))
    better = [trial(i, curve(1, 1), "stopped") for i in range(1, 4)]
    assert not stopped(rule, curve(6, 5.9), [untuned, *better])
    assert stopped(rule, curve(7, 6.1), [untuned, *better])
    assert not stopped(rule, curve(9, 9), [TrialRecord(0, "failed", {}), *FOUR[1:]])


def test_when_others_were_stopped_then_they_count_where_they_have_been():
    others = [FOUR[0], *[trial(i, curve(1, 1), "stopped") for i in (1, 2, 3)]]
    assert stopped(HALVING, curve(9, 9), others)
    assert not stopped(HALVING, curve(9, 9, 9, 9), [trial(0, curve(*[99.0] * CHECKS)), *others[1:]])
    assert stopped(HALVING, curve(3, 3), [FOUR[0], trial(1, curve(2, 2), "stopped"), FOUR[3]]), (
        "two of four are half"
    )


@pytest.mark.parametrize("state", ["failed", "interrupted", "running", "waiting"])
def test_when_others_did_not_run_to_an_end_of_their_own_then_they_are_not_compared_with(state):
    others = [trial(0, curve(*[99.0] * CHECKS)), *[trial(i, curve(1, 1), state) for i in (1, 2, 3)]]
    assert not stopped(HALVING, curve(9, 9), others)


def test_when_the_untuned_defaults_are_the_worst_then_they_are_trained_to_the_end_their_retry_too():
    default = TrialRecord(0, "running", {})
    others = [trial(i, curve(*[1.0] * CHECKS)) for i in range(1, 5)]
    assert not stopped(HALVING, curve(9, 9), [default, *others], number=0)
    retried = [
        TrialRecord(0, "interrupted", {}),
        *others,
        TrialRecord(5, "running", {}, retry_of=0),
    ]
    assert not stopped(HALVING, curve(9, 9), retried, number=5)
    assert stopped(HALVING, curve(9, 9), [*retried, TrialRecord(6, "running", {})], number=6)


# What must hold for any curves

SCORES = st.floats(0.1, 10)
CURVES = st.lists(
    st.builds(
        lambda mae, winkler, pinball: {
            "step": 1,
            "mae": mae,
            "picp": 80.0,
            "pinball": pinball,
            "winkler": winkler,
        },
        SCORES,
        SCORES,
        SCORES,
    ),
    min_size=CHECKS,
    max_size=CHECKS,
)
STUDIES = st.lists(CURVES, min_size=1, max_size=12).map(
    lambda curves: [trial(i, c) for i, c in enumerate(curves)]
)


@settings(max_examples=60, deadline=None)
@given(
    STUDIES,
    CURVES,
    st.integers(1, CHECKS),
    st.randoms(),
    st.sampled_from([2.0**-9, 4.0, 1024.0]),
    st.sampled_from([HALVING, RULE]),
)
def test_when_curves_are_any_then_neither_order_nor_unit_counts_and_the_best_is_never_stopped(
    trials, own, length, random, factor, rule
):
    def scaled(checks):
        return [
            {**c, **{name: c[name] * factor for name in ("mae", "pinball", "winkler")}}
            for c in checks
        ]

    best = [{"step": 1, "mae": 0.01, "picp": 80.0, "pinball": 0.01, "winkler": 0.01}] * length
    assert not stopped(rule, best, trials, 99)
    own = own[:length]
    expected = stopped(rule, own, trials, 99)
    shuffled = trials[1:]
    random.shuffle(shuffled)  # the first one says which trial is the default
    assert stopped(rule, own, [trials[0], *shuffled], 99) is expected
    rescaled = [trial(t.number, scaled(t.curve)) for t in trials]
    assert stopped(rule, scaled(own), rescaled, 99) is expected
