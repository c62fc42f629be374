"""Studies that stop trials: what the storage and the record hold, what the sampler sees, and how
they are resumed.
"""

import json
from dataclasses import asdict
from typing import ClassVar

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from hpo_lib.families.models import Budget
from hpo_lib.families.search_space import FloatRange
from hpo_lib.figures import study_page
from hpo_lib.settings import Settings
from hpo_lib.study.early_stopping import RULE, Rung, StoppingRule
from hpo_lib.study.run import run_study
from hpo_lib.study.trial_queue import TrialQueue
from tests.study.conftest import fake_study, opened
from tests.study.fakes import Canned, Died, FakeFamily, around

CHECKS = 8


class LearningFamily(FakeFamily):
    """Its error falls at every check towards one that follows from the parameters: the nearer ``x``
    to 0, the lower.
    """

    search_space: ClassVar = {"x": FloatRange(-1, 1), "width": FloatRange(0.1, 2)}
    defaults: ClassVar = {"x": 0.9, "width": 1.0}
    budgets: ClassVar = {"test": Budget(steps=80, batch_size=8, checks=CHECKS)}

    trials = 16

    def __init__(self):
        super().__init__()
        self.steps = []

    def fit(self, params, dataset, budget, *, seed, on_check=None, **_):
        self.calls.append(dict(params))
        self.steps.append(0)
        for check in range(1, budget.checks + 1):
            forecasts = self.forecasts(params, dataset, check / budget.checks)
            self.steps[-1] = budget.steps * check // budget.checks
            if check == 1:
                self.before(len(self.calls) - 1)
            on_check(self.steps[-1], forecasts)
        return Canned(forecasts)

    def forecasts(self, params, dataset, share=1.0):
        error = (0.1 + params["x"] ** 2) / share
        return around(dataset, np.random.default_rng(5), error, params["width"])


@pytest.fixture
def family(monkeypatch):
    return fake_study(LearningFamily(), monkeypatch)


def outcome(run):
    return [
        (t.state, dict(t.params), t.stopped_at, t.mae, t.cause) for t in run.trials if t.finished
    ]


@pytest.mark.parametrize("storage", ["journal", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_when_trials_fall_behind_then_they_are_kept_as_stopped_and_count_as_finished(
    storage, start, family, files
):
    run = start(storage=storage, seed=1)
    behind = [t for t in run.trials if t.state == "stopped"]
    assert len(run.trials) == 16
    assert 4 <= len(behind) <= 12
    assert run.trials[0].state == "complete", "the untuned defaults are among the worst here"
    complete = 0
    for t in run.trials:
        complete += t.state == "complete"
        if t.state == "stopped":
            assert ("the untuned defaults were more than 2%" in t.cause) == (complete < 5)
    for t in behind:
        optuna_trial = opened(files, storage).trials[t.number]
        assert optuna_trial.state == TrialState.PRUNED
        assert optuna_trial.values is None
        assert t.stopped_at in (0.125, 0.375)
        assert family.steps[t.number] == t.stopped_at * 80
        assert [check["step"] for check in t.curve] == list(
            range(10, family.steps[t.number] + 1, 10)
        )
        assert "better in MAE and interval score after" in t.cause
        assert np.isnan(t.mae)
        assert t.scores == {}
        assert not files.trial_predictions(t.number).exists()

    record = json.loads(files.best_params.read_bytes())
    assert (record["status"], record["n_pruned"], record["failures"]) == (
        "complete",
        len(behind),
        [],
    )
    assert record["provenance"]["early_stopping"] == json.loads(json.dumps(asdict(RULE)))
    assert {t.number for t in behind}.isdisjoint(t.number for t in run.front)
    assert start(storage=storage, seed=1).trials == run.trials, (
        "stopped trials are finished and are not tried again"
    )
    assert len(family.calls) == 16


def test_when_the_switch_is_off_then_every_trial_is_trained_to_the_end(start, family, tmp_path):
    run = start(early_stopping=False)
    assert [t.state for t in run.trials] == ["complete"] * 16
    assert set(family.steps) == {80}
    assert study_page.stopped_early(run) == "Early stopping was off."
    whole = family.calls.copy()
    family.calls.clear()
    start(trials=RULE.warm_up, runs_dir=tmp_path / "other")
    assert family.calls == whole[: RULE.warm_up], (
        "before anything is stopped, the switch changes nothing"
    )


@pytest.mark.parametrize("trials", [6, 2], ids=["some", "none"])
def test_when_a_study_shows_what_it_stopped_then_it_says_how_many_at_which_share_of_their_steps(
    trials, start, monkeypatch
):
    monkeypatch.setattr("hpo_lib.study.run.RULE", StoppingRule((Rung(0.5, 0.01),), 2))
    run = start(trials=trials)
    count = sum(t.state == "stopped" for t in run.trials)
    assert (count > 0) == (trials == 6)
    shares = f": {count} after 50% of their steps" if count else ""
    assert study_page.stopped_early(run) == f"Stopped early: {count} of {trials} trials{shares}."


# Resuming


def test_when_a_study_is_resumed_or_its_workers_die_then_it_asks_for_and_stops_the_same_trials(
    start, family, tmp_path
):
    whole = start(runs_dir=tmp_path / "whole")
    assert sum(t.state == "stopped" for t in whole.trials) >= 4
    for trials in (3, 11, 16):
        run = start(runs_dir=tmp_path / "resumed", trials=trials)
    assert outcome(run) == outcome(whole)
    begun = len(family.calls)

    def before(call):
        if call - begun in (6, 12):
            raise Died

    family.before = before
    for _ in range(2):
        with pytest.raises(Died):
            start()
    assert outcome(start()) == outcome(whole)


def test_when_a_study_was_begun_with_another_rule_then_it_goes_on_with_its_own(start, monkeypatch):
    former = StoppingRule((Rung(0.375, 0.2),), 2)
    with monkeypatch.context() as patched:
        patched.setattr("hpo_lib.study.run.RULE", former)
        start(trials=8)
    run = start()
    assert {t.stopped_at for t in run.trials[8:]} == {None, 0.375}
    assert run.provenance["early_stopping"]["warm_up"] == 2


def test_when_a_training_is_checked_then_the_storage_is_read_at_the_rungs_alone(
    start, family, monkeypatch
):
    """To read it takes longer with every trial."""
    reads = []
    records = TrialQueue.records
    fit = family.fit

    def counted(queue):
        if reads:
            reads[-1] += 1
        return records(queue)

    def fit_and_count(*arguments, **options):
        reads.append(0)
        forecaster = fit(*arguments, **options)
        during_fit.append(reads.pop())
        return forecaster

    during_fit = []
    monkeypatch.setattr(TrialQueue, "records", counted)
    monkeypatch.setattr(family, "fit", fit_and_count)
    start(trials=1)
    assert during_fit == [len(RULE.rungs)]


# The sampler


def asked(values, stopped, seed):
    """What TPE asks for after these values, where some trials are stopped instead of complete."""
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=optuna.samplers.TPESampler(seed=seed)
    )
    space = {"x": FloatDistribution(-1, 1), "y": FloatDistribution(-1, 1)}
    rng = np.random.default_rng(3)
    for number, value in enumerate(values):
        params = dict(zip(space, rng.uniform(-1, 1, size=2).tolist(), strict=True))
        ended = {"state": TrialState.PRUNED} if number in stopped else {"values": value}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, **ended))
    return study.ask(space).params


def test_when_stopped_trials_are_behind_the_front_then_the_sampler_learns_as_if_complete():
    """So nothing has to be put in their place: TPE counts them among the configurations to keep
    away from.
    """
    values = [(1.0, 9.0), (2.0, 5.0), (3.0, 1.0)] + [(4.0 + i % 5, 9.5 + i % 3) for i in range(17)]
    complete = [asked(values, (), seed) for seed in range(10)]
    assert [asked(values, range(3, 20), seed) for seed in range(10)] == complete
    without = [asked(values[:11], (), seed) for seed in range(10)]
    assert without != complete, "stopped trials that are left out change what is asked for"


# A real training


@pytest.mark.slow
def test_when_a_real_training_is_stopped_then_nothing_else_of_the_study_changes(
    tmp_path, tiny_dataset, monkeypatch
):
    import torch

    monkeypatch.setattr("hpo_lib.study.run.RULE", StoppingRule((Rung(0.5, 0.3),), warm_up=1))

    def run(trials, job_id):
        settings = Settings.create(
            "NHITS_Q",
            "tiny",
            trials=trials,
            job_id=job_id,
            preset="test",
            space="plan",
            policy="calibrated",
            runs_dir=str(tmp_path),
        )
        return run_study(settings, tiny_dataset, progress=False)

    torch.set_num_threads(1)
    whole = run(6, "whole")
    states = [t.state for t in whole.trials]
    assert "stopped" in states
    assert states.count("complete") >= 2
    assert all(len(t.curve) == {"stopped": 1, "complete": 2}[t.state] for t in whole.trials)
    for trials in (2, 6):
        parts = run(trials, "parts")
    assert outcome(parts) == outcome(whole), (
        "stopped ones leave nothing behind that changes the next"
    )
