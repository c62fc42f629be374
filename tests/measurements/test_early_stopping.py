"""The replay of recorded learning curves, by hand on a few, and the table that is replayed."""

import json

import numpy as np
import pytest

from hpo_lib.families.models import get_family
from hpo_lib.families.search_space import is_whole
from hpo_lib.paths import RUNS_DIR, RunPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.study.early_stopping import Rung, StoppingRule
from measurements import settling
from measurements.early_stopping import Recorded, complete, cost, drawn, load_table, measure, replay
from measurements.record_curves import NEAR, append, configuration, counts, record, recorded

BY_MAE = StoppingRule((Rung(0.5, 0.5),), warm_up=1)


def trial(number, maes, factor=1.0, picp=80.0, winkler=1.0):
    curve = [
        {"step": 10 * i, "mae": mae, "picp": picp, "pinball": mae, "winkler": winkler}
        for i, mae in enumerate(maes, start=1)
    ]
    return complete(number, {"steps_factor": factor}, winkler, curve)


FOUR = Recorded(
    "hand", [trial(0, (4, 2)), trial(1, (5, 1), 0.5), trial(2, (3, 3), 1.5), trial(3, (6, 6))]
)


def test_when_a_study_is_replayed_then_trials_cost_their_part_of_the_default_steps():
    """The default goes on whatever it is. The others come in a random order; those behind half at
    1/2 end there.
    """
    for seed in range(5):
        trials = replay(FOUR, BY_MAE, 4, seed)
        assert trials[0].state == "complete"
        by_params = {t.curve[0]["mae"]: t for t in trials}
        assert by_params[6].state == "stopped"
        assert cost(by_params[6]) == 0.5
        assert cost(by_params[3]) == 1.5
    assert (measure(FOUR, StoppingRule(()), 4) == [1, 1, 4]).all()


def test_when_the_best_trial_is_stopped_then_the_hypervolume_says_what_is_lost():
    """Trial 1, the best, looks bad halfway; without it the best MAE is 2, outside of the box up to
    1.25.
    """
    steps, kept, _ = measure(FOUR, StoppingRule((Rung(0.5, 0.1),), warm_up=1), 4).T
    assert kept.min() == 0
    assert steps.max() < 1


def test_when_scores_are_weighed_then_the_box_is_a_quarter_above_the_best_and_tolerance_counts():
    study = Recorded("hand", [trial(0, (1,), winkler=1.1), trial(1, (1.125,), winkler=1.0)])
    assert study.hypervolume(study.trials[:1], ("mae", "winkler")) == pytest.approx(0.6)
    assert study.hypervolume(study.trials, ("mae", "winkler")) == pytest.approx(0.6 + 0.5 * 0.4)
    pair, picps = ("mae", "picp_penalty"), (80, 84.9, 95)
    study = Recorded("hand", [trial(i, (1,), picp=picp) for i, picp in enumerate(picps)])
    assert [study.hypervolume([t], pair) for t in study.trials] == [1, 1, 0.5]
    assert study.hypervolume(study.trials, pair) == 1


@pytest.mark.parametrize("first, least, most", [(0, 8, 15), (NEAR, 2, 7)])
def test_when_configurations_are_drawn_then_they_are_inside_the_space_and_maybe_near_the_defaults(
    first, least, most
):
    family = get_family("NHITS_Q")
    space, defaults = family.searched("wide"), configuration(family, 0)
    del space["linear_trees"]
    drawn_ones = [configuration(family, first + number) for number in range(1, 61)]
    assert len({json.dumps(params) for params in drawn_ones}) == 60
    for params in drawn_ones:
        assert is_whole(params, space)
        assert all(space[name].contains(value) for name, value in params.items())
    moved = [
        {name for name in defaults if params.get(name) != defaults[name]} for params in drawn_ones
    ]
    assert least <= np.mean([len(names) for names in moved]) <= most
    assert set().union(*moved) == set(defaults)
    rates = np.log([params["lr"] for params in drawn_ones])
    assert np.ptp(rates) > 0.7 * np.log(space["lr"].high / space["lr"].low)  # on the log scale


def test_when_more_trials_are_asked_than_were_recorded_then_some_come_twice():
    assert sorted(t.number for t in drawn(FOUR, 4, seed=1)) == [0, 1, 2, 3]
    many = [t.number for t in drawn(FOUR, 30, seed=1)]
    assert (many[0], set(many)) == (0, {0, 1, 2, 3})
    assert len(many) == 30
    assert many.count(0) == 1
    assert counts(["NHITS_Q=20", "TFT_Q=3"]) == {"NHITS_Q": 20, "TFT_Q": 3}


def test_when_the_shipped_table_is_read_then_trials_are_whole_and_drawn_as_it_says():
    studies = load_table()
    assert {study.name.split()[0] for study in studies} == {
        "heat_dev",
        "water_centrum_dev",
        "water_tommerby_dev",
    }
    for study in studies:
        family = get_family(study.name.split()[1])
        assert {len(t.curve) for t in study.trials} == {family.budgets["laptop"].checks}
        for t in study.trials:
            params = configuration(family, t.number)
            assert t.params == pytest.approx(params, rel=1e-12)  # the last digit is the processor's


def test_when_recording_was_interrupted_then_it_goes_on_with_what_is_missing(
    tiny_dataset, tmp_path
):
    table = tmp_path / "results/curves.csv"
    checks = [
        {"step": step, "mae": 1.0, "picp": 80.0, "pinball": 0.3, "winkler": 4.0}
        for step in (10, 20)
    ]
    append(table, ("tiny", "NHITS_Q", 0), configuration(get_family("NHITS_Q"), 0), 3.5, checks)
    done = [key for key, _ in record([tiny_dataset], {"NHITS_Q": range(2)}, "test", table)]
    assert done == [("tiny", "NHITS_Q", 1)]
    assert recorded(table) == {("tiny", "NHITS_Q", 0), ("tiny", "NHITS_Q", 1)}
    (study,) = load_table(table)
    assert [t.params for t in study.trials] == [
        configuration(get_family("NHITS_Q"), number) for number in (0, 1)
    ]
    assert study.trials[0].scores["winkler_calibrated"] == 3.5
    assert list(record([tiny_dataset], {"NHITS_Q": range(2)}, "test", table)) == []


@pytest.mark.slow
def test_when_a_published_study_is_replayed_then_it_settles_before_its_end_on_the_same_choice(
    monkeypatch,
):
    """It settled at the minimum of ten trials, so the replay has a lower one."""
    monkeypatch.setattr(settling, "MIN_FINISHED", 5)
    run = RunPaths(RUNS_DIR, "NHITS_Q", "water_centrum_dev", "published")
    study = settling.Replayed(StoredStudy.read(run), stopping=False)
    trials = study.in_order(0)
    n = study.ends(trials, None)
    assert 5 <= n < len(trials)
    choices = {study.choice(tuple(settling.complete(some))) for some in (trials[:n], trials)}
    assert choices == {study.study.result["best_trial_number"]}
    assert study.score(0) == pytest.approx(100)
