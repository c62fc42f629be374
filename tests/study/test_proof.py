"""The policy ``proven`` from its trainings to its record: what is trained, kept, gone on with,
chosen and verified.
"""

import os
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpo_lib import stop_requests
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.figures.study_page import proof_figure
from hpo_lib.launch.status import study_status
from hpo_lib.records.leases import Lease
from hpo_lib.records.read_write import load_predictions, read_json, write_json, write_predictions
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.verify import verify
from hpo_lib.scoring.forecasts import QuantileForecasts
from tests.study.conftest import fake_study
from tests.study.fakes import DEFAULTS, Died, FakeFamily, around


class SeededFamily(FakeFamily):
    """Forecasts with an error that follows from parameters and seed, and with about the nominal
    coverage.
    """

    error: Callable[[Mapping[str, Any], int], float] = staticmethod(
        lambda params, seed: 1.0 if params == DEFAULTS else 0.8
    )

    def forecasts(self, params, dataset):
        stop_requests.check()
        rng = np.random.default_rng([self.seeds[-1], *repr(sorted(params.items())).encode()])
        error = self.error(params, self.seeds[-1])
        return around(dataset, rng, error, 1.28 * error)

    @property
    def replicates(self):
        """Of each training with a fresh seed: whether it was of the defaults, and the seed."""
        return [(p == DEFAULTS, s) for p, s in zip(self.calls, self.seeds, strict=True) if s != 42]


@pytest.fixture
def family(monkeypatch):
    return fake_study(SeededFamily(), monkeypatch)


@pytest.fixture
def prove(start):
    """Runs a study of four trials with the default policy and not the test preset."""
    return lambda trials=4, **given: start(
        trials, **{"preset": "laptop", "policy": "proven", **given}
    )


def at_fresh(number, act, family):
    """Act in the ``number``-th training with a fresh seed."""

    def before(call):
        if family.seeds[-1] != 42 and len(family.replicates) == number:
            act()

    family.before = before


def fail(error):
    def act():
        raise error

    return act


# What is chosen


def test_when_a_trial_is_better_with_fresh_seeds_too_then_it_is_chosen_and_the_change_recorded(
    prove, family, files
):
    run = prove()
    proof = run.result["proof"]
    selection = run.result["selection"]
    assert family.replicates == [(True, 43), (True, 44), (False, 43), (False, 44)]
    totals = {"seeds": [43, 44], "days": 15, "trainings": 4, "cause": ""}
    assert {key: proof[key] for key in totals} == totals
    (one,) = proof["challengers"]
    assert one["proven"]
    assert one["trial"] == run.result["best_trial_number"] == selection["trial"] != 0
    assert one["probability"] >= 0.95
    for key in ("score_change", "mae_change", "winkler_calibrated_change"):
        mean, low, high = one[key]
        assert low <= mean <= high < 0
        assert mean == pytest.approx(-20, abs=6)
    mean, low, high = (f"{-value:.1f}" for value in one["score_change"])
    assert selection["reason"] == (
        f"trial {one['trial']} beats the untuned defaults by {mean} % of MAE and calibrated "
        "interval score "
        f"[{high}, {low}] with probability {one['probability']:.2f} over 2 fresh seeds and 15 days"
    )
    assert set(selection["alternatives"]) == {"proven", "calibrated", "lowest_mae", "knee"}
    assert run.result["status"] == "complete"
    assert run.result["best_params"] == run.trial(one["trial"]).params
    seconds = [read_json(file, "a training")["seconds"] for file in files.replicates()]
    assert len(seconds) == 4
    total = sum(seconds) + sum(trial.seconds for trial in run.trials)
    assert run.result["training_time_hours"] == pytest.approx(total / 3600)


def test_when_trials_are_better_with_their_own_seed_only_then_both_leaders_try_and_defaults_stay(
    prove, family
):
    family.error = lambda params, seed: 0.9 if seed == 42 and params != DEFAULTS else 1.0
    run = prove()
    proof = run.result["proof"]
    assert run.result["best_trial_number"] == 0
    assert run.result["best_params"] == DEFAULTS
    assert [one["proven"] for one in proof["challengers"]] == [False] * len(proof["challengers"])
    assert proof["trainings"] == len(family.replicates) == 2 + 2 * len(proof["challengers"])
    assert re.fullmatch(
        r"no challenger was proven better than the untuned defaults: the best, trial \d, is "
        r"\d\.\d % (better|worse) "
        r"with probability 0\.\d\d over 2 fresh seeds and 15 days",
        run.result["selection"]["reason"],
    )


def test_when_no_trial_is_better_with_its_own_seed_then_nothing_more_is_trained(prove, family):
    family.error = lambda params, seed: 1.0 if params == DEFAULTS else 1.3
    run = prove()
    assert family.replicates == []
    assert (run.result["best_trial_number"], run.result["status"]) == (0, "complete")
    assert run.result["proof"]["trainings"] == 0
    assert run.result["selection"]["reason"] == (
        "the untuned defaults stay: no trial is better than the untuned defaults with the "
        "study's own seed"
    )


def test_when_the_preset_is_test_then_one_challenger_has_one_fresh_seed(prove, family):
    family.error = lambda params, seed: 0.9 if seed == 42 and params != DEFAULTS else 1.0
    assert prove(preset="test").result["proof"]["seeds"] == [43]
    assert family.replicates == [(True, 43), (False, 43)]


def test_when_the_policy_is_another_then_nothing_more_is_trained_and_there_is_no_proof(
    prove, family
):
    run = prove(policy="lowest_mae")
    assert (family.replicates, run.result["proof"], run.result["status"]) == ([], None, "complete")
    assert "proven" not in run.result["selection"]["alternatives"]
    again = prove()
    assert len(family.replicates) == 4
    assert again.result["selection"]["alternatives"]["proven"] == again.chosen.number


# What fails


def test_when_a_challenger_fails_then_it_is_out_with_its_cause_and_the_next_one_may_win(
    prove, family
):
    at_fresh(3, fail(RuntimeError("no memory")), family)
    run = prove(8)
    first, second = run.result["proof"]["challengers"]
    assert first == {"trial": first["trial"], "proven": False, "cause": "RuntimeError: no memory"}
    assert second["proven"]
    assert run.result["best_trial_number"] == second["trial"]
    trained = len(family.calls)
    assert prove(8).result["proof"] == run.result["proof"]
    assert len(family.calls) == trained, "a failure is kept as that of a trial is"


def test_when_the_defaults_fail_with_a_fresh_seed_then_they_stay_unproven_with_the_cause(
    prove, family
):
    at_fresh(2, fail(RuntimeError("no memory")), family)
    run = prove()
    assert (run.result["best_trial_number"], run.result["status"]) == (0, "complete")
    cause = "the untuned defaults failed with a fresh seed (RuntimeError: no memory)"
    totals = {"seeds": [43, 44], "days": 0, "trainings": 2, "cause": cause}
    assert run.result["proof"] == {**totals, "challengers": []}


def test_when_the_trial_of_the_defaults_failed_then_the_calibrated_rule_chooses_and_says_so(
    prove, family
):
    family.before = lambda call: fail(RuntimeError("no memory"))() if call == 0 else None
    run = prove()
    assert family.replicates == []
    assert run.result["best_trial_number"] == run.result["selection"]["alternatives"]["calibrated"]
    assert run.result["selection"]["reason"] == (
        "the untuned defaults are not complete, so nothing is proven: lowest MAE with |PICP - "
        "80| <= 5"
    )
    assert run.result["status"] == "complete"


# What is kept


def test_when_the_process_dies_during_the_proof_then_the_next_run_trains_the_rest_and_ends_alike(
    prove, family, files, tmp_path
):
    at_fresh(3, fail(Died()), family)
    with pytest.raises(Died):
        prove()
    half = StoredStudy.read(files)
    assert (half.result["status"], half.result["proof"], half.chosen.number) == ("running", None, 0)
    assert (
        half.result["selection"]["reason"] == "nothing is proven yet, so the untuned defaults stay"
    )
    assert half.lacks_proof
    assert study_status(files, []).state == "interrupted"
    family.before = lambda call: None
    run = prove()
    assert family.replicates == [(True, 43), (True, 44), (False, 43), (False, 43), (False, 44)]
    assert study_status(files, []).state == "done"
    assert run.result["proof"] == prove(runs_dir=tmp_path / "whole").result["proof"]


def test_when_what_makes_a_replicate_changes_then_it_alone_is_trained_again(prove, family, files):
    before = prove().result["proof"]
    file = files.replicate(0, 44).record
    about = read_json(file, "a training")
    assert about["key"]["params"] == DEFAULTS
    assert set(about["key"]) == {"params", "budget", "recipe", "seed", "data", "version"}
    assert (
        "thermal" not in about["key"]["recipe"]
    )  # without weather of the day ahead it changes nothing
    about["key"]["version"] += 1
    write_json(file, about)
    del family.calls[:], family.seeds[:]
    assert prove().result["proof"] == before
    assert family.replicates == [(True, 44)]


def test_when_more_trials_are_asked_for_then_the_proof_waits_and_keeps_the_trainings_of_defaults(
    prove, family, files
):
    prove()
    seen = []
    family.before = lambda call: seen.append(StoredStudy.read(files).result["selection"]["reason"])
    del family.calls[:], family.seeds[:]
    family.error = lambda params, seed: 1.0 if params == DEFAULTS else 0.4
    run = prove(6)
    assert set(seen[1:]) == {"nothing is proven yet, so the untuned defaults stay"}
    assert family.replicates == [(False, 43), (False, 44)]
    assert run.result["best_trial_number"] in (4, 5)


# Stopping, and several workers


@pytest.mark.parametrize("during", [True, False])
def test_when_the_proof_is_asked_to_stop_then_the_record_says_so_and_the_next_run_goes_on(
    during, prove, family, files, capsys, monkeypatch
):
    at_fresh(2, lambda: stop_requests._asked.append("SIGTERM"), family)
    if not during:  # it is only seen after the training
        monkeypatch.setattr(stop_requests, "check", lambda: None)
    result = prove().result
    assert (result["status"], result["proof"], result["best_trial_number"]) == ("stopped", None, 0)
    assert len(files.replicates()) == (1 if during else 2)
    last = (
        "The study stopped before its end: request to stop (SIGTERM); run again under the "
        "same job_id to go on."
    )
    assert capsys.readouterr().out.splitlines()[-1] == last
    assert study_status(files, []).state == "interrupted"
    family.before = lambda call: None
    assert prove().result["status"] == "complete"
    assert len(family.replicates) == (5 if during else 4)


def test_when_the_time_budget_ends_before_the_proof_then_it_waits_for_the_next_run(
    prove, family, ten_minutes_each
):
    run = prove(time_budget_hours=5 / 6)
    assert (run.result["status"], family.replicates) == ("stopped", [(True, 43)])
    assert run.result["training_time_hours"] == pytest.approx(5 / 6)
    assert prove().result["status"] == "complete"
    assert len(family.replicates) == 4


def test_when_another_worker_trains_for_the_proof_then_this_one_waits_and_only_reads(
    prove, family, files, monkeypatch
):
    done = prove()
    stored = {file: file.read_bytes() for file in files.predictions.glob("replicate_*")}
    for file in stored:
        file.unlink()
    trained = len(family.calls)
    other = Lease(files.proof_lease)
    assert other.take()

    def end():
        for file, content in stored.items():
            file.write_bytes(content)
        other.release()

    monkeypatch.setattr("hpo_lib.study.proof.time", SimpleNamespace(sleep=lambda seconds: end()))
    assert prove().result["proof"] == done.result["proof"]
    assert len(family.calls) == trained


# Verifying and showing


def test_when_a_proof_or_its_forecasts_are_changed_then_verify_says_so(
    prove, family, files, tiny_toml
):
    toml = tiny_toml()
    prove(dataset=load_dataset(load_spec(toml), toml.parent))

    def said():
        return str(verify(files.best_params, toml.parent, str(toml)))

    assert re.fullmatch(r"ok .*: \d+ figures recomputed", said())
    record = read_json(files.best_params, "a study")
    (challenger,) = record["proof"]["challengers"]
    number = challenger["trial"]
    write_json(files.best_params, {**record, "best_trial_number": 0})
    assert f"best_trial_number is 0, recomputed {number}" in said()
    challenger["mae_change"][0] -= 0.01
    write_json(files.best_params, record)
    assert "proof.challengers[0].mae_change[0] is " in said()

    challenger["mae_change"][0] += 0.01
    write_json(files.best_params, record)
    file = files.replicate(number, 44).forecasts["validation"]
    before = file.read_bytes()
    forecasts = load_predictions(file)
    write_predictions(
        file, QuantileForecasts(forecasts.values + 0.2, forecasts.actual, forecasts.origins)
    )
    assert f"{file}: it or its record was changed since it was stored" in said()
    file.write_bytes(before)
    files.replicate(number, 44).record.unlink()
    assert f"{files.replicate(number, 44).record}: no such file" in said()
    os.truncate(files.replicate(0, 43).record, 0)
    assert f"{files.replicate(0, 43).record}: not a complete JSON file" in said()


def test_when_the_storage_is_gone_then_a_choice_off_the_front_is_still_known(prove, family, files):
    family.error = lambda params, seed: 0.7 if seed == 42 and params != DEFAULTS else 1.0
    run = prove()
    assert run.chosen.number == 0
    assert 0 not in [trial.number for trial in run.front]
    files.journal.unlink()
    again = StoredStudy.read(files)
    assert not again.has_storage
    assert again.chosen.params == DEFAULTS
    assert again.scores == run.scores == (run.trial(0).mae, run.trial(0).scores["picp"])


def test_when_a_proof_is_drawn_then_each_challenger_has_its_three_changes_and_its_verdict(
    prove, family
):
    proof = prove().result["proof"]
    (axes,) = proof_figure(proof).axes
    ((one,),) = [proof["challengers"]]
    points = [line for line in axes.lines if line.get_marker() in ("o", "s", "D")]
    drawn = sorted(line.get_xdata()[0] for line in points)
    expected = sorted(one[f"{name}_change"][0] for name in ("score", "mae", "winkler_calibrated"))
    assert drawn == pytest.approx(expected)
    (verdict,), (label,) = axes.texts, axes.get_yticklabels()
    assert verdict.get_text() == f"probability {one['probability']:.2f}: proven"
    assert label.get_text() == f"trial {one['trial']}"


@pytest.mark.parametrize(
    "cause, tried", [("no trial is better", []), ("", [(3, "RuntimeError: no memory")])]
)
def test_when_nothing_was_compared_then_the_figure_says_why(cause, tried):
    challengers = [{"trial": number, "proven": False, "cause": why} for number, why in tried]
    (axes,) = proof_figure({"challengers": challengers, "cause": cause}).axes
    (text,) = [text.get_text() for text in axes.texts]
    assert text == f"Nothing was compared: {cause or 'trial 3: RuntimeError: no memory'}."
