"""The study's own logic, with a family that needs no training: what is asked, told, kept, retried
and refused.
"""

import itertools
import json
import os
import re
import time
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest

from hpo_lib.errors import InputError, StudyError, WriteError
from hpo_lib.records.leases import Lease, Liveness
from hpo_lib.records.trainings import MODEL_VERSION
from hpo_lib.scoring import metrics
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.study import run as run_module
from tests.conftest import refusal
from tests.study.conftest import opened
from tests.study.fakes import DEFAULTS, Died


@pytest.fixture(params=["sqlite", "journal"])
def storage(request):
    return str(request.param)


def read(files):
    return json.loads(files.best_params.read_bytes())


def fail_with(error, *calls):
    """Raises the error in these calls of ``fit``, in all of them where none is named."""

    def before(call):
        if not calls or call in calls:
            raise error

    return before


def states(run):
    return [trial.state for trial in run.trials]


# A study from beginning to end


def test_when_a_trial_will_need_much_memory_then_the_study_says_so_first(
    start, tiny_dataset, capsys, monkeypatch
):
    values = tiny_dataset.training_frame.size
    monkeypatch.setattr(run_module, "GIGABYTES", 2 / values)
    start(trials=1)
    first, *_ = capsys.readouterr().out.splitlines()
    assert f"training has {values} values" in first
    assert "needs about 3.0 GB of memory" in first
    monkeypatch.setattr(run_module, "GIGABYTES", 1 / values)
    start(trials=2)
    assert "memory" not in capsys.readouterr().out


def test_when_a_study_ends_then_it_holds_the_trials_asked_for_and_its_record_says_how(
    start, family, files, tiny_dataset, storage
):
    run = start(trials=5, storage=storage, seed=9)
    assert states(run) == ["complete"] * 5
    assert [trial.number for trial in run.trials] == [0, 1, 2, 3, 4]
    assert run.trials[0].params == DEFAULTS
    assert [dict(trial.params) for trial in run.trials] == family.calls
    assert len({tuple(call.items()) for call in family.calls}) == 5
    assert family.seeds == [9] * 5
    for call in family.calls:
        family.check_params(call)
    assert {trial.best_step for trial in run.trials} == {7}
    assert [list(trial.shares) for trial in run.trials] == [[0.25, 1.0]] * len(run.trials)
    assert run.result["default_trial"]["shares"] == [0.25, 1.0]
    record = read(files)
    assert record == run.result
    assert (record["model"], record["dataset"], record["job_id"]) == ("FAKE_Q", "tiny", "a")
    place = {"sqlite": f"sqlite:///{files.sqlite}", "journal": str(files.journal)}
    assert run.storage == place[storage]
    # Relative to the record, so that the folder may be moved.
    beside = {"sqlite": f"sqlite:///{files.sqlite.name}", "journal": files.journal.name}
    assert record["storage_path"] == beside[storage]
    assert files.sqlite.exists() == (storage == "sqlite")
    assert files.journal.exists() == (storage == "journal")
    assert record["best_params"] == run.trial(record["best_trial_number"]).params
    assert record["n_pareto_optimal"] == len(record["all_pareto_trials"]) >= 1
    assert record["default_trial"]["params"] == DEFAULTS
    provenance = record["provenance"]
    expected = {"seed": 9, "preset": "test", "family_version": MODEL_VERSION}
    assert expected.items() <= provenance.items()
    assert {"sha256": tiny_dataset.sha256, "source": "csv"}.items() <= provenance["data"].items()
    assert provenance["packages"]["optuna"] == optuna.__version__


def test_when_a_study_runs_then_its_record_is_written_after_every_trial(start, family, files):
    seen = []

    def before(call):
        if call:
            record = read(files)
            seen.append((call, record["status"], record["n_completed"]))
            assert files.trial_predictions(call - 1).exists()

    family.before = before
    start(trials=6)
    assert seen == [(call, "running", call) for call in range(1, 6)]
    assert read(files)["status"] == "complete"
    assert list(files.folder.rglob("*.tmp")) == []


# Resuming


@pytest.mark.parametrize("trials", [3, 2], ids=["as many", "fewer"])
def test_when_a_study_has_its_trials_then_running_it_again_trains_nothing_and_says_so(
    trials, start, family, files, capsys
):
    start(trials=3)
    before = read(files)
    capsys.readouterr()
    again = start(trials=trials)
    assert capsys.readouterr().out == (
        "The study holds 3 finished trials, so no trial is trained; ask for more with `trials`.\n"
    )
    assert len(family.calls) == 3
    assert states(again) == ["complete"] * 3
    changed = {"optimization_date", "n_trials"}
    assert {key for key in before if again.result[key] != before[key]} <= changed


def test_when_two_job_ids_are_used_then_they_are_two_studies_and_another_seed_tries_others(
    start, family
):
    first = start(trials=2, job_id="a", seed=1)
    second = start(trials=2, job_id="b", seed=2)
    assert first.run.folder == second.run.folder
    assert first.run.best_params.exists()
    assert second.run.best_params.exists()
    assert family.calls[0] == family.calls[2] == DEFAULTS
    assert family.calls[1] != family.calls[3]


def other_data(dataset):
    return replace(dataset, sha256="f" * 64)


def moved(name):
    """The same data, one of whose splits ends a day earlier."""

    def move(dataset):
        splits = dataset.spec.splits
        earlier = replace(splits, **{name: getattr(splits, name) - pd.Timedelta(days=1)})
        return replace(dataset, spec=replace(dataset.spec, splits=earlier))

    return move


@pytest.mark.parametrize(
    "changes, difference",
    [
        ({"seed": 2}, "seed 42, now it is 2;"),
        ({"preset": "laptop"}, "preset 'test', now it is 'laptop';"),
        ({"recipe": "plain"}, "recipe.level_hours "),
        ({"space": "wide"}, "space 'plan', now it is 'wide';"),
        ({"early_stopping": False}, "early_stopping 'on', now it is 'off';"),
        (
            {"objectives": "mae,pinball"},
            "objectives ['mae', 'picp_penalty'], now it is ['mae', 'pinball'];",
        ),
        ({"dataset": other_data}, "data_sha256 "),
        ({"dataset": moved("train_end")}, "train_end '2019-05-09 23:00:00+00:00', now it is "),
        ({"dataset": moved("val_end")}, "val_end '2019-05-24 23:00:00+00:00', now it is "),
    ],
    ids=lambda changes: "-".join(changes) if isinstance(changes, dict) else "",
)
def test_when_a_study_is_resumed_with_other_settings_or_data_then_it_is_refused(
    changes, difference, start, family, tiny_dataset, files
):
    start(trials=1)
    scales = files.scales.read_bytes()
    if "dataset" in changes:
        changes = {"dataset": changes["dataset"](tiny_dataset)}
    with pytest.raises(InputError) as caught:
        start(trials=2, **changes)
    sentence = str(caught.value)
    assert sentence.startswith(f"job_id 'a' belongs to a study with {difference}")
    name = difference.split()[0]
    assert sentence.endswith(
        "; results of different settings are not mixed: choose another job_id, or go back to that "
        f"{name}"
    )
    assert len(family.calls) == 1
    assert files.scales.read_bytes() == scales


# Objectives


@pytest.mark.parametrize(
    "names", ["mae,winkler", "winkler_calibrated,pinball,picp_penalty_calibrated"]
)
def test_when_a_study_has_its_own_objectives_then_optuna_the_record_and_the_figures_hold_them(
    names, start, files, html_figures
):
    chosen = names.split(",")
    run = start(trials=6, objectives=names)
    study = opened(files)
    assert study.metric_names == chosen
    for stored, trial in zip(study.trials, run.trials, strict=True):
        assert dict(zip(chosen, stored.values, strict=True)) == trial.values
        assert trial.values == {name: OBJECTIVES[name].value(trial.scores) for name in chosen}
        assert (trial.mae, trial.picp_penalty) == (
            trial.scores["mae"],
            abs(trial.scores["picp"] - 80),
        )
    record = read(files)
    assert [(one["name"], one["tolerance"]) for one in record["objectives"]] == [
        (name, 5 * ("penalty" in name)) for name in chosen
    ]
    front = record["all_pareto_trials"]
    assert [entry["trial"] for entry in front] == [trial.number for trial in run.front]
    values = [entry["values"][chosen[0]] for entry in front]
    assert values == sorted(values)
    labels = [OBJECTIVES[name].axis("m3/h") for name in chosen]
    drawn, history, _ = (
        text.replace("\\u002f", "/").replace("\\u2212", "\N{MINUS SIGN}")
        for text in figure_texts(files)
    )
    assert not [label for label in labels if label not in drawn]
    assert labels[0] in history


# Failures


def test_when_forecasts_cannot_be_written_then_the_study_stops_and_the_trial_is_tried_again(
    start, family, files
):
    """As on a full disk: the configuration is not to blame."""

    def block(call):
        if call == 0:
            files.predictions.parent.mkdir(parents=True, exist_ok=True)
            files.predictions.write_text("in the way", encoding="utf-8")

    family.before = block
    with pytest.raises(WriteError, match="cannot be written"):
        start(trials=2)
    files.predictions.unlink()
    run = start(trials=2)
    assert states(run) == ["interrupted", "complete", "complete"]
    assert dict(run.trials[1].params) == dict(run.trials[0].params) == DEFAULTS


def test_when_a_trial_fails_then_it_keeps_its_cause_gets_no_score_and_the_study_goes_on(
    start, family, files, storage
):
    family.before = fail_with(MemoryError("tried to\n  allocate   9 GiB"), 1)
    run = start(trials=3, storage=storage)
    assert states(run) == ["complete", "failed", "complete"]
    failed = run.trials[1]
    cause = "MemoryError: tried to allocate 9 GiB"
    assert failed.cause == cause
    assert np.isnan(failed.mae)
    assert failed.scores == {}
    assert failed.params == family.calls[1]
    record = read(files)
    assert (record["n_completed"], record["n_failed"]) == (2, 1)
    assert record["failures"] == [{"trial": 1, "cause": cause}]
    assert 1 not in [trial["trial"] for trial in record["all_pareto_trials"]]
    assert len(start(trials=3, storage=storage).trials) == 3, (
        "a failed trial is finished and is not tried again"
    )


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_when_forecasts_or_scores_are_not_finite_then_the_trial_fails_and_never_gets_a_score(
    start, family, monkeypatch
):
    canned = family.forecasts
    honest = metrics.METRICS["mae"]

    def forecasts(params, dataset):
        good = canned(params, dataset)
        if len(family.calls) == 2:  # behind the check at construction, as a careless family would
            good.values[3, 5, 1] = np.nan
        if len(family.calls) == 3:  # more than the float32 that is stored can hold
            good.values[:, :, 2] = 1e39
        return good

    wrong = {4: np.nan, 5: np.inf}

    class Broken(type(honest)):
        def __call__(self, f):
            return wrong.get(len(family.calls)) or honest(f)

    monkeypatch.setattr(family, "forecasts", forecasts)
    monkeypatch.setitem(metrics.METRICS, "mae", Broken(**vars(honest)))
    run = start(trials=6)
    assert [trial.cause for trial in run.trials if trial.state == "failed"] == [
        "NonFiniteForecast: 1 of 15 forecasts hold NaN or infinity",
        "NonFiniteForecast: 15 of 15 forecasts hold NaN or infinity",
        "ArithmeticError: score mae is nan",
        "ArithmeticError: score mae is inf",
    ]
    assert states(run) == ["complete", *["failed"] * 4, "complete"]


def test_when_the_first_trials_all_fail_alike_then_the_study_stops_and_says_so(
    start, family, files, storage, capsys
):
    def before(call):
        raise RuntimeError(f"tried to allocate {call + 1}.5 GiB")  # alike but for the numbers

    family.before = before
    with refusal(
        "the first 3 trials of FAKE_Q_tiny_a all failed alike (RuntimeError: tried to allocate 1.5 "
        "GiB); fix that and run again under another job_id",
        StudyError,
    ):
        start(trials=50, storage=storage)
    assert len(family.calls) == 3
    assert (
        capsys.readouterr().out.count("failed: RuntimeError: tried to allocate") == 3
    )  # seen as it happens
    assert not files.best_params.exists()

    family.before = lambda call: None
    assert states(start(trials=5, storage=storage)) == ["failed"] * 3 + ["complete"] * 2


@pytest.mark.parametrize(
    "errors",
    [
        [ValueError("one"), ValueError("two"), KeyError("one"), ValueError("one"), None],
        [None, *[ValueError("wide")] * 3, None],
    ],
    ids=["for different reasons", "after one that completed"],
)
def test_when_trials_fail_otherwise_then_the_study_goes_on(errors, start, family):
    def before(call):
        if error := errors[call]:
            raise error

    family.before = before
    assert states(start(trials=5)) == ["failed" if error else "complete" for error in errors]


# Interruptions


@pytest.mark.parametrize(
    "interruption, call, storage",
    [
        *itertools.product((KeyboardInterrupt(), SystemExit(1), Died()), (0, 1), ["journal"]),
        (KeyboardInterrupt(), 0, "sqlite"),
        (Died(), 1, "sqlite"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_when_a_worker_ends_in_mid_trial_then_its_configuration_is_tried_again(
    interruption, call, start, family, files, tmp_path, storage
):
    family.before = fail_with(interruption, call)
    with pytest.raises(type(interruption)):
        start(trials=3, storage=storage)
    assert len(family.calls) == call + 1
    if call == 1 and not isinstance(interruption, Died):
        assert read(files)["status"] == "stopped"

    run = start(trials=3, storage=storage)
    expected = ["complete"] * 3
    expected.insert(call, "interrupted")
    assert states(run) == expected
    assert run.trials[call + 1].params == run.trials[call].params == family.calls[call]
    record = read(files)
    assert (record["n_interrupted"], record["n_completed"]) == (1, 3)
    default = record["default_trial"]
    assert (default["params"], default["state"]) == (DEFAULTS, "complete")

    retried = family.calls.copy()
    del retried[call]
    family.calls.clear()
    family.before = lambda call: None
    start(trials=3, storage=storage, runs_dir=tmp_path / "other")
    assert family.calls == retried, "the interruption changed what is tried afterwards"


def test_when_a_worker_died_after_it_had_stored_forecasts_then_only_complete_trials_keep_theirs(
    start, family, files
):
    def store_and_die(call):
        if call == 1:
            files.trial_predictions(1).write_bytes(b"whole")
            raise Died

    family.before = store_and_die
    with pytest.raises(Died):
        start(trials=2)
    start(trials=2)
    (files.predictions / "trial_0002 (copy).parquet").touch()
    assert files.predicted_trials() == [0, 2]


def test_when_one_configuration_is_interrupted_again_and_again_then_only_three_deaths_fail_it(
    start, family, storage
):
    """A user may interrupt it as often as he likes."""
    begun = 1
    for interruption, times in ((KeyboardInterrupt(), 2), (SystemExit(1), 3), (Died(), 3)):
        family.before = fail_with(interruption, *range(begun, begun + times))
        for _ in range(times):
            with pytest.raises(type(interruption)):
                start(trials=3, storage=storage)
        begun += times
    run = start(trials=3, storage=storage)
    assert states(run) == ["complete", *["interrupted"] * 7, "failed", "complete"]
    assert run.trials[8].cause == (
        "the worker died during this configuration 3 times, perhaps for lack of memory"
    )
    assert all(call == family.calls[1] for call in family.calls[1:9])
    assert family.calls[9] not in family.calls[:9]


def test_when_a_worker_dies_before_it_drew_any_parameter_then_the_default_is_still_tried(
    start, family, files, storage
):
    with pytest.raises(StudyError):
        start(trials=2, storage=storage, time_budget_hours=1e-12)  # too little even for one trial
    assert family.calls == []
    opened(files, storage).ask()  # a worker that dies at once

    run = start(trials=2, storage=storage)
    assert states(run) == ["interrupted", "complete", "complete"]
    assert family.calls[0] == DEFAULTS
    assert read(files)["default_trial"]["trial"] == 1
    assert read(files)["default_trial"]["mae"] == run.trials[1].mae


def test_when_a_worker_dies_while_it_draws_parameters_then_they_are_drawn_again(
    start, family, files, tmp_path
):
    start(trials=1)
    opened(files).ask().suggest_categorical("width", (2, 4, 8))
    assert states(start(trials=3)) == ["complete", "interrupted", "complete", "complete"]
    in_parts = family.calls.copy()
    family.calls.clear()
    start(trials=3, runs_dir=tmp_path / "other")
    assert family.calls == in_parts


# Time and other workers


def test_when_the_time_budget_is_spent_then_the_study_stops_says_so_and_a_later_run_completes_it(
    start, family, files, capsys, ten_minutes_each
):
    run = start(trials=10, time_budget_hours=0.5)
    # Three trials of ten minutes fill half an hour; a fourth would end later.
    assert states(run) == ["complete"] * 3
    assert [trial.seconds for trial in run.trials] == [600] * 3
    assert read(files)["status"] == "stopped"
    assert read(files)["n_trials"] == 10
    assert read(files)["training_time_hours"] == 0.5
    assert capsys.readouterr().out.splitlines()[-1] == (
        "The study stopped before its end: time budget of 0.5 h: 0.50 h are spent and a trial "
        "takes up to 0.17 h; run again under the same job_id to go on."
    )

    run = start(trials=10)
    assert states(run) == ["complete"] * 10
    assert read(files)["status"] == "complete"
    assert len(family.calls) == 10


def test_when_a_worker_was_silent_then_its_result_is_dropped_and_none_runs_too_many(
    start, family, files, monkeypatch
):
    monkeypatch.setattr(
        "hpo_lib.study.run.POLL", -1
    )  # a worker that waits for the others gets an error
    monkeypatch.setattr(
        "hpo_lib.study.trial_queue.UpdateFinishedTrialError", Died
    )  # else it would try for ever

    def before(call):
        if call == 0:
            files.worker_lease("1").unlink()
            start(trials=1, storage="journal", worker=2)
        if call == 2:
            raise MemoryError
        if call == 3:  # the last one that was asked for
            with pytest.raises(ValueError, match="sleep"):
                start(storage="journal", worker=2)

    family.before = before
    assert states(start(storage="journal")) == ["interrupted", "complete", "failed", "complete"]
    assert family.calls[0] == family.calls[1]


def test_when_the_clock_is_ahead_as_a_study_is_opened_then_files_of_running_trials_stay(
    start, family, files, monkeypatch
):
    monkeypatch.setattr("hpo_lib.study.run.POLL", -1)  # as above

    def before(call):
        if call == 0:
            files.predictions.mkdir()
            (stored := files.trial_predictions(0)).touch()
            os.utime(files.worker_lease("1"), (time.time() - 300,) * 2)
            with pytest.raises(ValueError, match="sleep"):
                start(trials=2, worker=2)
            assert stored.exists()

    family.before = before
    assert states(start(trials=2)) == ["complete"] * 2


def test_when_this_worker_runs_already_then_the_study_is_refused_until_the_last_figure(
    start, family, files, monkeypatch
):
    monkeypatch.setattr("hpo_lib.records.leases.REFRESH", 0.1)
    with (
        Liveness(files, "1"),
        pytest.raises(StudyError, match="another process works on this study"),
    ):
        start(trials=2)
    assert family.calls == []

    free = []
    monkeypatch.setattr(
        "hpo_lib.study.run.write_optuna_figures",
        lambda *_: free.append(Lease(files.worker_lease("1")).take()),
    )
    assert states(start(trials=2)) == ["complete"] * 2
    assert free == [False]


# Figures


def figure_texts(files):
    return [
        file.read_text(encoding="utf-8")
        for file in (files.pareto_front, files.mae_history, files.param_importance)
    ]


@pytest.mark.parametrize("scale", [1.0, 0.0], ids=["different", "equal"])
@pytest.mark.parametrize("trials", [1, 2, 15])
def test_when_a_study_ends_then_its_figures_are_whole_pages_that_need_no_network(
    trials, scale, start, family, files, html_figures
):
    family.scale = scale
    start(trials=trials)
    assert files.plotly.samefile(files.runs_dir / "plotly.min.js")
    assert "Plotly" in files.plotly.read_text(encoding="utf-8")
    for file in (files.pareto_front, files.mae_history, files.param_importance):
        text = file.read_text(encoding="utf-8")
        drawn = file != files.param_importance or trials == 15
        assert ("Plotly.newPlot" in text) == drawn
        assert "FAKE_Q_tiny_a" in text
        assert (
            re.findall(r"<(?:script|link|img)\b[^>]*\b(?:src|href)=\S+", text)
            == ['<script charset="utf-8" src="../plotly.min.js"></script>'] * drawn
        )
        assert "</html>" in text
        assert file.stat().st_size < 500_000
    front, history, importance = figure_texts(files)
    assert "MAE in m3" in front
    assert "MAE in m3" in history
    if trials < 15:
        assert f"importance needs 15 complete trials, there are {trials}" in importance
    else:
        assert all(name in importance for name in ("width", "depth", "lr"))


def test_when_the_data_is_simulated_then_every_figure_says_so(
    start, files, tiny_dataset, html_figures
):
    simulated = replace(tiny_dataset, source="simulated", path="simulated twin of tiny")
    start(trials=2, dataset=simulated)
    assert read(files)["provenance"]["data"]["source"] == "simulated"
    assert all(", simulated data" in text for text in figure_texts(files))
