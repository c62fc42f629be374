"""When a study ends because more trials would gain less than luck: what it says, keeps and goes on
with.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from hpo_lib.figures.study_page import sections
from hpo_lib.launch.status import study_status
from hpo_lib.records.verify import verify
from hpo_lib.scoring.uncertainty import expected_drop, prospect
from hpo_lib.study import run as study_run
from tests.conftest import change
from tests.study.conftest import opened
from tests.study.fakes import DEFAULTS, Died
from tests.study.test_proof import family as seeded_family

family = seeded_family


@pytest.fixture
def settle(start, family):
    """Runs a study of up to 30 trials that are a little worse than the defaults."""
    family.error = lambda params, seed: 1.0 if params == DEFAULTS else 1.02
    return lambda trials=30, **given: start(
        trials, **{"preset": "laptop", "policy": "proven", **given}
    )


def kept(files):
    return opened(files).user_attrs.get("settled")


def die(*_):
    raise Died


@pytest.mark.slow
def test_a_settled_study_says_so_in_numbers_everywhere(settle, family, files, capsys, tiny_toml):
    toml = tiny_toml()
    run = settle()
    settled = kept(files)
    assert (settled["trials"], settled["asked"], settled["days"]) == (10, 30, 15)
    assert len(run.trials) == 10
    assert 0 <= settled["gain"] < settled["luck"]
    assert family.replicates[:2] == [(True, 43), (True, 44)]
    assert run.result["settled"] == settled
    assert (run.result["status"], run.result["n_trials"]) == ("complete", 30)
    better = "better" if settled["change"] <= 0 else "worse"
    line = run.settled_line
    assert line.startswith(
        f"Settled after 10 of 30 trials: the best was {abs(settled['change']):.1f} % {better} than "
        f"the untuned defaults on 15 validation days, seeds alone move {settled['seed_change']:.1f}"
        " %; another 20 trials were expected to gain less than "
    )
    assert line.endswith("Choice: untuned defaults.")
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert line in next(text for title, text, _ in sections(run) if "choice" in title)
    status = study_status(files, [])
    assert (status.state, status.describe()) == ("done", "done 10 of 30, settled")

    def told():
        return [
            sentence
            for kind, sentence in verify(files.best_params, toml.parent, str(toml)).told
            if kind != "note"
        ]

    assert told() == []
    for key, wrong in (("gain", 9.0), ("trials", 11), ("seed_change", 0.0), ("days", 14)):
        right, _ = change(files.best_params, ("settled", key), lambda _, wrong=wrong: wrong)
        assert told() == [f"settled.{key} is {wrong!r}, recomputed {right!r}"]
        change(files.best_params, ("settled", key), lambda _, right=right: right)
    files.replicate(0, 44).record.unlink()
    assert "replicate_0000_seed_44.json: no such file" in told()[0]


@pytest.mark.slow
def test_a_settled_study_goes_on_only_if_asked(settle, family, files, capsys):
    settle()
    trained = len(family.calls)
    settled = kept(files)
    for given in ({}, {"trials": 40}, {"policy": "calibrated"}):
        run = settle(**given)
        assert "had settled with 10 trials" in capsys.readouterr().out
        assert (len(run.trials), run.result["settled"], kept(files)) == (10, settled, settled)
    assert len(family.calls) == trained
    run = settle(12, settle=False)
    assert (len(run.trials), run.result["settled"], run.settled_line) == (12, None, "")
    assert study_status(files, []).describe() == "done 12 of 12"


@pytest.mark.slow
def test_nothing_settles_that_knows_too_little_or_was_told_not_to(settle, files):
    for job_id, given in {
        "few": {"trials": 10},
        "test": {"trials": 11, "preset": "test"},
        "policy": {"trials": 11, "policy": "knee"},
        "off": {"trials": 11, "settle": False},
    }.items():
        run = settle(job_id=job_id, **given)
        assert (len(run.trials), run.settled) == (given["trials"], None), job_id


@pytest.mark.slow
@pytest.mark.parametrize("killed_in", ["TrialQueue.claim", "_Worker.finish"])
def test_when_it_is_killed_around_the_settling_then_it_ends_as_it_would_have(
    killed_in, settle, files, tmp_path, monkeypatch
):
    whole = settle(runs_dir=tmp_path / "whole").result
    owner, name = killed_in.split(".")
    method = getattr(getattr(study_run, owner), name)

    def killed(self, *arguments):
        return method(self, *arguments) if len(self.records()) < 10 else die()

    with monkeypatch.context() as patch:
        patch.setattr(f"hpo_lib.study.run.{killed_in}", killed)
        with pytest.raises(Died):
            settle()
    assert (kept(files) is None) == (name == "claim")
    again = settle().result
    assert again["settled"] == whole["settled"] == kept(files)
    for key in ("n_completed", "best_trial_number", "proof", "all_pareto_trials", "selection"):
        assert again[key] == whole[key], key


@pytest.mark.slow
def test_what_runs_as_a_study_settles_still_counts_even_if_its_worker_dies(
    settle, family, files, monkeypatch
):
    def second_worker(call):
        """During the tenth trial of the first one; it dies as it waits for that trial."""
        if call == 9:
            family.before = lambda call: None
            with monkeypatch.context() as patch:
                patch.setattr("hpo_lib.study.run.time", clock)
                with pytest.raises(Died):
                    settle(worker=2)
            die()

    clock = SimpleNamespace(sleep=die, monotonic=lambda: 0.0)
    family.before = second_worker
    with pytest.raises(Died):
        settle()
    settled = kept(files)
    assert settled["trials"] == 11, "ten had ended, and one was running"
    run = settle()
    assert (run.finished, run.result["settled"], kept(files)) == (11, settled, settled)
    assert sum(trial.state == "interrupted" for trial in run.trials) == 1


@pytest.mark.slow
def test_what_a_study_settles_by_knows_nothing_of_the_test_split(settle, tiny_dataset, tmp_path):
    frame = tiny_dataset.frame.copy()
    frame.iloc[2040:] = np.random.default_rng(0).normal(50, 20, frame.iloc[2040:].shape)
    other = dataclasses.replace(tiny_dataset, frame=frame)
    assert settle(dataset=other, runs_dir=tmp_path / "other").settled == settle().settled


# By what


def test_the_drop_of_the_lowest_follows_from_the_better_half():
    assert expected_drop(np.array([1.0, 1.2, 1.6, 3.0, 9.0, 9.0]), 4) == pytest.approx(0.3 * 0.75)
    assert expected_drop(np.array([1.0, 1.2, 1.6, 3.0, 9.0, 9.0]), 1) == 0
    # of random configurations of two parameters that matter, and one that does not
    configurations = np.random.default_rng(0).uniform(-1, 1, (4000, 80, 3))
    scores = configurations[:, :, 0] ** 2 + 3 * configurations[:, :, 1] ** 2
    expected = np.mean([expected_drop(np.sort(some[:20]), 4) for some in scores])
    fell = scores[:, :20].min(axis=1).mean() - scores.min(axis=1).mean()
    assert fell < expected < 2 * fell


def test_more_trials_pay_where_others_still_differ_by_more_than_seeds_and_days():
    random = np.random.default_rng(3)
    days = np.abs(random.standard_normal(60)) + 1

    def scored(score, noise=0.01):
        noisy = score * days * (1 + noise * random.standard_normal(60))
        return {"mae": noisy, "winkler": noisy, "picp": np.full(60, 80.0)}

    untuned = [scored(1.0), scored(1.01), scored(0.99)]
    alike = prospect(untuned, [scored(1.0 + 0.001 * i) for i in range(9)], 4)
    apart = prospect(untuned, [scored(1.0 + 0.05 * i) for i in range(9)], 4)
    far = prospect(untuned, [scored(2.0 + 0.05 * i) for i in range(9)], 4)
    assert [one["gain"] < one["luck"] for one in (alike, apart, far)] == [True, False, True]
    assert alike["seed_change"] == pytest.approx(1, abs=0.3)
    assert alike["luck"] >= alike["seed_change"]  # two fresh seeds each, and days
    assert far["gain"] == 0
    assert far["change"] == pytest.approx(100, abs=1)
    certain = prospect([scored(1.0, 0)] * 3, [scored(1.0 + 0.01 * i, 0) for i in range(9)], 4)
    assert certain["luck"] == pytest.approx(0)
    assert certain["gain"] > certain["luck"]
