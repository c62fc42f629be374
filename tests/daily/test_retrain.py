"""Retraining: real trainings of N-HiTS at the test budget on a hundred days, and when a model is
put in use.
"""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.daily.retrain import Verdict, _notes, _Training, _verdict
from hpo_lib.daily.versions import FITTED, REFITTED, Version, relative_mae, store, with_ends
from hpo_lib.daily.versions import in_use as version_in_use
from hpo_lib.daily.watch import Watched, watch
from hpo_lib.families.models import RECIPES, get_family
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import Lease
from hpo_lib.records.read_write import load_predictions, read_json, write_json
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.evaluation import seasonal_naive
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.settings import Settings
from tests.conftest import essentials
from tests.daily.conftest import SMALL, quantiles, with_facts


def study(utility, job_id, *, status="complete", preset="test", **params):
    """A best_params JSON of a study on older data."""
    run = RunPaths(utility.folder / "runs", "NHITS_Q", "utility", job_id)
    data = {"source": "csv", "sha256": "0" * 64}
    result = {
        **essentials({**SMALL, **params}),
        "model": "NHITS_Q",
        "dataset": "utility",
        "job_id": job_id,
        "status": status,
        "optimization_date": job_id,
        "provenance": {"data": data, "preset": preset, "recipe": asdict(RECIPES["standard"])},
    }
    write_json(run.best_params, result)
    return run.best_params


def command(utility, *words, code=0):
    runs_dir = utility.folder / "runs"
    return utility.run("retrain --model NHITS_Q --runs-dir", runs_dir, *words, code=code)


def trains(monkeypatch, trained):
    """Gives these models to whoever trains; the seed, and the end of the data, of each training
    that is asked for.
    """
    kind = type(get_family("NHITS_Q"))
    asked = []

    def train(_, params, *, dataset, seed, like=None, **more):
        asked.append((seed, str(dataset.spec.splits.val_end)))
        return trained[like is not None]

    monkeypatch.setattr(kind, "fit", train)
    return asked


def asked_for(monkeypatch):
    """Which models of stored versions are asked for."""
    asked = set()
    model = Version.model
    monkeypatch.setattr(
        Version, "model", lambda own, which, data: asked.add(which) or model(own, which, data)
    )
    return asked


def number_in_use(utility):
    return int(read_json(utility.models.current, "the version in use")["version"])


def test_when_a_model_is_retrained_then_the_compared_days_chose_nothing_and_the_refit_knows_all(
    utility,
):
    sentence = "holds no usable study of NHITS_Q on utility; make one with `hpo run`"
    assert sentence in command(utility, "--test", code=2).err
    study(utility, "2025-01-01", status="stopped", lr=1e-2)
    study(utility, "2024-01-01", lr=1e-3, near_hours=3, linear_part=False)  # of the wide space
    utility.write(utility.whole.iloc[:-7])  # the last day is not whole
    command(utility, "--test")
    version = version_in_use(utility.models)
    assert version.facts["params"]["lr"] == 1e-3
    # Of 15 validation days, moved to the end of the data, 7 are held out.
    learnt_from = version.facts["key"]["data"]
    ends = pd.Timestamp(learnt_from["train_end"]), version.chosen_until, version.trained_until
    assert [f"{end:%m-%d %H}" for end in ends] == ["05-23 23", "05-31 23", "06-07 23"]
    held_out = load_predictions(version.paths.training(1).forecasts["compared"])
    assert list(held_out.origins[[0, -1]].strftime("%m-%d %H")) == ["05-31 23", "06-06 23"]
    dataset = utility.dataset()
    fitted = version.model(FITTED, dataset)
    assert (fitted.recipe.near_hours, fitted.scaling.linear) == (3, None)
    own = fitted.forecasts(dataset, dataset.index.get_indexer(held_out.origins))
    assert np.array_equal(own.values.astype(np.float32), held_out.values)
    card = version.paths.card(1).read_text(encoding="utf-8")
    assert "| held-out days, this model | 7 |" in card
    assert (
        "chose its weights on days up to 2019-05-31 23:00:00+00:00 and has not seen the days of "
        "these scores" in card
    )


def test_when_the_version_in_use_was_a_test_then_real_use_takes_the_parameters_of_a_study(in_use):
    data = in_use.dataset()
    version = Version.read(in_use.models, 1)
    study(in_use, "2024-01-01", preset="test", lr=5e-3)
    study(in_use, "2023-01-01", preset="laptop", lr=2e-3)
    found = {}
    for preset, source in (("test", "csv"), ("laptop", "csv"), ("test", "simulated")):
        settings = Settings.create(
            "NHITS_Q", str(in_use.toml), preset=preset, runs_dir=str(in_use.folder / "runs")
        )
        before = with_facts(version, provenance={"data": {"source": source}})
        training = _Training(settings, data, data, data, before)
        found[preset, source] = training.parameters("").params["lr"]
    assert found == {
        ("test", "csv"): SMALL["lr"],
        ("laptop", "csv"): 2e-3,
        ("test", "simulated"): 5e-3,
    }
    assert training.parameters("default").params == get_family("NHITS_Q").defaults


def test_when_the_seed_differs_then_it_is_another_training_and_with_the_same_one_none(
    utility, trained, monkeypatch
):
    """The trainings are those of the fixture; here it matters which are asked for."""
    asked = trains(monkeypatch, trained)
    compared = asked_for(monkeypatch)
    words = "--test", "--params", study(utility, "2025-01-01"), "--replace"
    for seed in ("1", "2", "1"):
        said = command(utility, *words, "--seed", seed)
    assert utility.models.versions() == [1, 2]
    # The first training ends before the held-out days, the refit with the data.
    ends = "2019-06-01 23:00:00+00:00", "2019-06-08 23:00:00+00:00"
    assert asked == [(seed, end) for seed in (1, 2) for end in ends]
    assert compared == {FITTED}, "a refit has seen the days of the comparison"
    assert "v001 (TEST BUDGET) was already trained in this way" in said.out
    before = utility.models.current.read_bytes()
    # Without a file the parameters are those of the version in use.
    _, told, progress = command(utility, "--test", "--seed", "1", "--json")
    assert "v001 (TEST BUDGET) was already trained in this way" in progress
    folder = utility.models.version(1)
    card = utility.models.card(1)
    own = version_in_use(utility.models).facts
    assert json.loads(told) == {**own, "folder": str(folder), "card": str(card)}
    assert utility.models.current.read_bytes() == before
    dataset = utility.dataset()
    for which, own in zip((FITTED, REFITTED), trained, strict=True):
        stored = version_in_use(utility.models).model(which, dataset)
        again, before = (one.forecasts(dataset, dataset.test_origins) for one in (stored, own))
        assert np.array_equal(again.values, before.values)


def test_when_days_after_its_refit_are_compared_then_the_version_in_use_speaks_as_before_it(
    in_use, trained, monkeypatch
):
    trains(monkeypatch, trained)
    compared = asked_for(monkeypatch)
    command(in_use, "--test", "--seed", "7", "--replace")
    assert number_in_use(in_use) == 2
    assert compared == {FITTED}


def test_when_the_version_in_use_cannot_be_read_then_an_error_says_so_before_the_training(
    in_use, trained, monkeypatch
):
    asked = trains(monkeypatch, trained)
    in_use.models.trained(1, FITTED).unlink()
    assert "remove" in command(in_use, "--test", "--replace", code=2).err
    assert asked == []


def test_when_a_model_is_retrained_then_another_command_waits(in_use, monkeypatch):
    def is_free(_):
        raise ZeroDivisionError(Lease(in_use.models.lease).take())

    monkeypatch.setattr("hpo_lib.daily.retrain._fitting_and_whole", is_free)
    with pytest.raises(ZeroDivisionError, match="False"):
        command(in_use, "--test")


@pytest.mark.parametrize("pinball, code, used", [(0.61, 1, 1), (0.6, 0, 2), (0.59, 0, 2)])
def test_when_a_new_version_is_worse_than_the_one_in_use_then_that_stays(
    pinball, code, used, utility, trained, monkeypatch
):
    trains(monkeypatch, trained)
    verdict = Verdict(1, 7, pinball, 0.6, None)
    monkeypatch.setattr("hpo_lib.daily.retrain._verdict", lambda *_: verdict)
    words = "--test", "--params", study(utility, "2025-01-01"), "--seed"
    command(utility, *words, 1)
    said = command(utility, *words, 2, code=code)
    sentence = (
        f"is worse than v001 ({verdict}), so v001 stays in use; look at both cards, and give "
        "--replace to put the new one in use anyway"
    )
    assert (sentence in said.err) == (code == 1)
    facts = [Version.read(utility.models, number).facts for number in (1, 2)]
    assert [one["comparison"] for one in facts] == [None, asdict(verdict)]
    card = utility.models.card(2).read_text("utf-8")
    assert "| held-out days, v001 before it | 7 |" in card
    assert f"Compared with the version before: {verdict}." in card
    assert (number_in_use(utility), utility.models.versions()) == (used, [1, 2])
    command(utility, *words, 2, "--replace")
    assert read_json(utility.models.current, "the version in use") == {"version": 2, "before": 1}


def test_when_two_versions_are_compared_then_by_the_pinball_loss_of_each(trained):
    own = trained[0].validation
    rival = replace(own, values=own.values + np.array([-1.0, 0.0, 1.0]))
    found = _verdict(1, own, rival)
    assert (found.pinball, found.pinball_before) == (metrics.pinball(own), metrics.pinball(rival))
    assert found.pinball < found.pinball_before
    assert _verdict(1, rival, own).p_value == found.p_value < 0.05
    assert _verdict(1, own.rows(np.arange(13)), rival.rows(np.arange(13))).p_value is None


def test_when_storing_a_version_breaks_off_then_there_is_no_such_version(
    in_use, trained, monkeypatch
):
    version = Version.read(in_use.models, 1)
    monkeypatch.setattr("hpo_lib.families.stored_model.save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store(Version(in_use.models, 2, version.facts), {FITTED: trained[0], REFITTED: trained[1]})
    assert in_use.models.versions() == [1]


def test_when_the_refit_has_seen_days_that_chose_nothing_then_the_fitted_model_forecasts_them(
    in_use, trained
):
    """The days between those that chose the weights and the end of the refit are held out."""
    version = Version.read(in_use.models, 1)
    dataset = in_use.dataset()
    held_out = with_facts(version, val_end="2019-05-17 23:00:00+00:00")
    origins = dataset.index.get_indexer(pd.date_range("2019-05-18 23:00Z", "2019-05-25 23:00Z"))
    parts = zip(trained, (origins[:6], origins[6:]), strict=True)
    expected = QuantileForecasts.joined([one.forecasts(dataset, part) for one, part in parts])
    found = held_out.forecasts(dataset, origins)
    assert np.array_equal(found.values, expected.values.astype(np.float32))
    write_json(in_use.models.training(1).record, held_out.facts)
    assert watched(in_use).days_since == 15


def test_when_a_test_split_had_an_end_then_data_with_other_ends_has_none(tiny_dataset):
    splits = tiny_dataset.spec.splits
    ended = replace(splits, test_end=tiny_dataset.index[-10 * 24 - 1])
    dataset = replace(tiny_dataset, spec=replace(tiny_dataset.spec, splits=ended))
    assert len(dataset.test_origins) == 5
    assert len(with_ends(dataset, splits.train_end, splits.val_end).test_origins) == 15


def test_when_a_model_is_judged_beside_naive_forecasts_then_the_better_one_counts(tiny_dataset):
    day, week = (seasonal_naive(tiny_dataset, tiny_dataset.test_origins, lag) for lag in (24, 168))
    assert metrics.mae(week) < metrics.mae(day)
    assert relative_mae(week, tiny_dataset) == 1
    assert relative_mae(day, tiny_dataset) == metrics.mae(day) / metrics.mae(week)


def test_when_the_version_before_has_seen_some_of_the_compared_days_then_the_card_says_so(in_use):
    version = Version.read(in_use.models, 1)
    verdict = Verdict(1, 7, 0.5, 0.6, None)
    saw_more = with_facts(version, val_end="2019-05-28 23:00:00+00:00")
    warning = (
        "The version before chose its weights on days up to 2019-05-28 23:00:00+00:00, "
        "some of them below."
    )
    assert warning in _notes(version, saw_more, verdict)
    for new in (version, saw_more):
        assert "some of them below" not in " ".join(_notes(new, version, verdict))


@pytest.mark.slow
def test_when_several_models_are_in_use_then_one_is_asked_for_and_all_are_watched(in_use):
    params = study(in_use, "2025-01-01", **SMALL)
    defaults = dict(get_family("TFT_Q").defaults)
    write_json(params, {**read_json(params, "a study"), "model": "TFT_Q", "best_params": defaults})
    in_use.run("retrain --model TFT_Q --test --params", params)
    tables = {model: quantiles(in_use.forecast("--model", model)) for model in ("NHITS_Q", "TFT_Q")}
    assert not np.array_equal(tables["NHITS_Q"], tables["TFT_Q"])
    both = "NHITS_Q v001 (TEST BUDGET) and TFT_Q v001 (TEST BUDGET)"
    assert f"{both} are in use; choose one with --model" in in_use.run("forecast", code=2).err
    assert in_use.run("watch").out.count("since its training") == 2


def watched(utility):
    (found,) = watch(
        str(utility.toml), data_dir=str(utility.folder), models_dir=str(utility.models.models_dir)
    )
    return found


def test_when_the_model_in_use_is_watched_then_it_is_scored_on_days_that_it_did_not_learn_from(
    in_use, trained
):
    found = watched(in_use)
    assert found.days_since == 15
    dataset = in_use.dataset()
    before = trained[0].validation.rows(
        np.arange(2, 15)
    )  # 13 days before and 15 days after the refit's last hour
    after = trained[1].forecasts(dataset, dataset.test_origins)
    mae = (13 * metrics.mae(before) + 15 * metrics.mae(after)) / 28
    assert found.mae == pytest.approx(mae, rel=1e-6)
    # The first of them calibrate the others.
    seen = QuantileForecasts.joined([trained[0].validation, after])
    calibrated = calibrate(seen, None, dataset.scales)
    assert found.coverage == pytest.approx(metrics.picp(calibrated.rows(np.arange(2, 30))), abs=0.2)
    assert abs(found.coverage - metrics.picp(seen.rows(np.arange(2, 30)))) > 1, (
        "as raw intervals cover"
    )


def test_when_the_error_has_grown_by_over_a_quarter_then_a_retraining_is_due(in_use):
    version = Version.read(in_use.models, 1)
    now = watched(in_use).relative
    for grown, reasons in ((1.2, 0), (1.32, 1)):
        facts = with_facts(version, relative_mae=now / grown).facts
        write_json(in_use.models.training(1).record, facts)
        assert " ".join(watched(in_use).due).count("MAE") == reasons
    shown = in_use.run("watch").out
    assert "NHITS_Q v001 (TEST BUDGET): 15 days since its training; last 28 days: MAE" in shown
    assert "a retraining is due: " in shown
    assert "MAE beside naive forecasts is 1.32 times that of then" in shown


@pytest.mark.parametrize(
    "coverage, due", [(69.9, True), (70.0, False), (90.0, False), (90.1, True)]
)
def test_when_coverage_leaves_its_range_then_a_retraining_is_due(in_use, coverage, due):
    version = Version.read(in_use.models, 1)
    found = Watched(version, "m3/h", 3, 1.0, coverage, relative=0.5, relative_before=0.5)
    assert found.due == (["coverage is outside 70 to 90 %"] if due else [])
    assert ("a retraining is due" if due else "no retraining is due") in str(found)
