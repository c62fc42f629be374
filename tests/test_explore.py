"""The explorer without a browser: what it reads from records, and what its widgets hold after a
choice.
"""

import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.backend_bases import MouseEvent

from hpo_lib import paths
from hpo_lib.figures import series as tables
from hpo_lib.figures.explorer import (
    COVERAGE,
    DAYS,
    ERRORS,
    FRONT,
    Explorer,
    find_studies,
    trial_counts,
    trial_facts,
)
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import read_json, write_json
from hpo_lib.scoring import metrics
from tests.conftest import change, made_forecasts, refusal

JSON = "NHITS_Q_heat/best_params_NHITS_Q_heat_first.json"


@pytest.fixture
def studies(stored_studies):
    studies, notes = find_studies(str(stored_studies))
    assert notes == []
    return studies


@pytest.fixture
def copied(stored_studies, tmp_path):
    """The same in a folder that a test may change."""
    return shutil.copytree(stored_studies, tmp_path / "copied")


@pytest.fixture
def explorer(studies):
    return Explorer(studies)


# What is read


def test_when_a_folder_is_read_then_each_study_has_its_own_unit_source_and_trials(studies):
    assert [(s.model, s.dataset, s.unit, s.source) for s in studies] == [
        ("NHITS_Q", "heat", "kWh/h", "simulated"),
        ("TFT_Q", "water_centrum", "m3/h", "csv"),
    ]
    assert [", simulated data" in s.label for s in studies] == [True, False]
    with_storage, without = studies
    assert [t.state for t in with_storage.trials] == ["complete", "failed", *["complete"] * 3]
    assert trial_counts(with_storage) == "4 complete, 1 failed"
    assert [t.number for t in without.trials] == [0, 2, 3, 4]
    assert trial_counts(without) == (
        "4 complete; the storage is not among the files, so these are the trials in the JSON"
    )
    for study in studies:
        assert [t.number for t in study.front] == [2, 3, 4]
        assert [t.number for t in study.viewable] == [2, 3, 4, 0]


def test_when_a_trial_is_described_then_its_scores_are_those_of_its_stored_forecasts(studies):
    facts = trial_facts(studies[0], 4)
    stored = studies[0].predictions(4)
    assert facts["role"] == "chosen, on the front, choice of calibrated"
    assert facts["MAE in kWh/h"] == f"{metrics.mae(stored):.5g}"
    assert facts["PICP in %"] == f"{metrics.picp(stored):.1f}"
    assert facts["lr"] == "0.005"
    assert trial_facts(studies[0], 0)["role"] == "untuned defaults, beaten by others"


def test_when_a_study_or_a_trial_cannot_be_shown_then_a_sentence_says_why(
    copied, tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "RUNS_DIR", copied)  # where no folder is named
    first = find_studies()[0][0]
    first.run.trial_predictions(2).unlink()
    assert [t.number for t in first.viewable] == [3, 4, 0]
    shutil.rmtree(first.run.predictions)
    studies, notes = find_studies()
    assert [study.model for study in studies] == ["TFT_Q"]
    assert ["no forecasts of the chosen trial" in note for note in notes] == [True]
    (copied / JSON).write_text("{", encoding="utf-8")
    ((study,), (note,)) = find_studies()
    assert study.model == "TFT_Q"
    assert "not a complete JSON file" in note
    with refusal(
        f"{tmp_path / 'no'}: holds no study with stored forecasts, expected one; make it with `hpo "
        "run`, or set runs_dir"
    ):
        find_studies(str(tmp_path / "no"))


# What is computed


def test_when_days_and_hours_are_scored_then_the_numbers_are_those_worked_by_hand():
    # Three days of two hours. Residuals by day: 0.5 and -0.5; 0 and 2; 1 and 1. The interval
    # reaches 0.6 to either side.
    actual = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    median = actual - [[0.5, -0.5], [0.0, 2.0], [1.0, 1.0]]
    forecasts = made_forecasts(actual, 0.6, median, "2024-01-01 23:00")
    daily = tables.daily_errors(forecasts)
    assert daily["mae"].tolist() == [0.5, 1.0, 1.0]
    assert daily["picp"].tolist() == [100, 50, 0]
    assert daily.index[0] == pd.Timestamp("2024-01-02 00:00Z")
    hourly = tables.by_hour(forecasts)
    assert hourly["median"].tolist() == [0.5, 1.0]
    assert hourly["picp"].tolist() == pytest.approx([200 / 3, 100 / 3])
    hours = tables.hours_of_days(forecasts, first=1, count=2)
    assert hours["actual"].tolist() == [3, 4, 5, 6]
    assert hours["median"].tolist() == [3, 2, 4, 5]
    assert hours.index.astype(str).str[:16].tolist() == [
        f"2024-01-0{day} 0{hour}:00" for day in (3, 4) for hour in (0, 1)
    ]


# What is shown


def drawn(explorer, panel, label):
    """What a line of a panel shows."""
    lines = {line.get_label(): line for line in explorer.figure.axes[panel].lines}
    return list(lines[label].get_ydata())


def click(explorer, panel, x, y):
    """Click near a place in the coordinates of a panel."""
    x, y = explorer.figure.axes[panel].transData.transform((x, y))
    MouseEvent("button_press_event", explorer.canvas, x + 3, y - 3, button=1)._process()


def assert_shown(explorer, number, first=0):
    """Every view shows a trial of the study, with a week of its forecasts."""
    study = explorer.study
    stored = study.readable.forecasts(study.predictions(number))
    assert explorer.trial_box.value == number
    assert f"{study.model} on {study.dataset}, trial {number}" in explorer.text.value
    days = explorer.figure.axes[DAYS]
    assert days.get_title(loc="left") == f"Forecasts of trial {number}, UTC"
    assert days.get_ylabel() == study.readable.name
    assert explorer.first.value == first
    for line in ("actual", "median"):
        values = getattr(stored, line)[first : first + 7]
        assert drawn(explorer, DAYS, line) == values.ravel().tolist()
    picp = explorer.figure.axes[COVERAGE].lines[0].get_ydata()
    assert list(picp) == tables.by_hour(stored)["picp"].tolist()
    daily = explorer.figure.axes[ERRORS].collections[0].get_offsets()[:, 1]
    assert daily.tolist() == tables.daily_errors(stored)["mae"].tolist()


def test_when_the_explorer_opens_then_the_chosen_trial_of_the_first_study_is_shown(
    explorer, studies
):
    assert_shown(explorer, 4)
    front = [trial.picp_penalty for trial in studies[0].front]
    assert drawn(explorer, FRONT, "Pareto front") == front
    assert explorer.when.value == "after Tue 2023-10-31 23:00 UTC"


def test_when_a_trial_or_a_day_is_clicked_then_every_view_changes_to_it(explorer, studies):
    for number in (0, 2, 3):
        trial = studies[0].trial(number)
        click(explorer, FRONT, trial.mae, trial.picp_penalty)
        assert_shown(explorer, number)
    right, top = explorer.figure.axes[FRONT].viewLim.max
    click(explorer, FRONT, 0.99 * right, 0.9 * top)  # where no trial is
    assert_shown(explorer, 3)
    click(explorer, ERRORS, explorer.days[20], 0.1)
    assert_shown(explorer, 3, first=20)


def test_when_a_stopped_trial_is_clicked_then_its_cause_and_parameters_are_shown(root):
    studies, _ = find_studies(str(root / "papermill_runs"))
    explorer = Explorer([study for study in studies if study.model == "NHITS_Q"])
    study = explorer.study
    stopped = next(trial for trial in study.trials if trial.state == "stopped")
    click(explorer, FRONT, *explorer.trials.loc[stopped.number])
    assert explorer.trial_box.value == stopped.number
    assert explorer.text.value.count("<b>") == 2 + len(stopped.params)
    assert stopped.cause in explorer.text.value
    assert explorer.when.value == ""
    title = explorer.figure.axes[DAYS].get_title(loc="left")
    assert title == f"Trial {stopped.number} was stopped early: it keeps no forecasts"
    click(explorer, ERRORS, 0.5, 0.5)
    explorer.trial_box.value = study.chosen.number
    assert_shown(explorer, study.chosen.number)


def test_when_a_naive_forecast_or_another_trial_is_put_beside_then_its_line_is_drawn(explorer):
    study = explorer.study
    actual = study.predictions(4).actual
    other = study.predictions(2).median
    assert drawn(explorer, DAYS, "beside")[24:] == actual[:6].ravel().tolist()
    explorer.beside.value = "168h"
    explorer.first.value = 10
    assert drawn(explorer, DAYS, "beside") == actual[3:10].ravel().tolist()
    explorer.beside.value = "2"
    assert drawn(explorer, DAYS, "beside") == other[10:17].ravel().tolist()
    explorer.trial_box.value = 2
    assert drawn(explorer, DAYS, "beside") == other[10:17].ravel().tolist()
    explorer.beside.value = ""
    assert "beside" not in [line.get_label() for line in explorer.figure.axes[DAYS].lines]


def test_when_studies_are_found_then_the_newest_own_one_is_first_and_tests_are_last(copied):
    def dated(file, date, preset):
        record = read_json(file, "a record")
        record["optimization_date"], record["provenance"]["preset"] = date, preset
        write_json(file, record)

    first, second = sorted(copied.rglob("best_params_*.json"))
    for preset, names in (("laptop", ["second", "first"]), ("test", ["first", "second"])):
        dated(first, "2026-01-16", "laptop")
        dated(second, "2026-01-17", preset)
        assert [study.run.job_id for study in find_studies(str(copied))[0]] == names


def test_when_days_near_the_end_are_chosen_then_the_shown_days_are_within_the_forecasts(explorer):
    explorer.first.value = 39
    assert_shown(explorer, 4, first=33)
    explorer.count.value = 14
    assert len(drawn(explorer, DAYS, "median")) == 14 * 24
    assert explorer.first.value == 26


def test_when_another_study_is_chosen_then_its_unit_and_no_simulated_mark_are_shown(explorer):
    assert explorer.figure.get_supxlabel() == "SIMULATED DATA"
    explorer.study_box.index = 1
    assert explorer.figure.get_supxlabel() == ""
    assert_shown(explorer, 4)


def test_when_a_study_has_three_objectives_then_a_trial_is_clicked_at_its_first_two(copied):
    record = read_json(copied / JSON, "a record")
    names = ("pinball", "winkler", "mae")
    record["objectives"] = [{"name": name, "tolerance": 0.0} for name in names]
    for entry in (record["default_trial"], record["chosen_trial"], *record["all_pareto_trials"]):
        entry["values"] = {name: entry[name] for name in names}
    write_json(copied / JSON, record)
    RunPaths(copied, "NHITS_Q", "heat", "first").sqlite.unlink()
    explorer = Explorer(find_studies(str(copied))[0])
    front = explorer.figure.axes[FRONT]
    other = explorer.study.trial(2)
    labels = "pinball loss in kWh/h", "Winkler score in kWh/h\n(MAE is not drawn)"
    assert (front.get_xlabel(), front.get_ylabel()) == labels
    assert (front.lines[1].get_linestyle(), len(front.patches)) == ("None", 0)
    click(explorer, FRONT, other.scores["pinball"], other.scores["winkler"])
    assert_shown(explorer, 2)
    assert trial_facts(explorer.study, 2)[labels[0]] == f"{other.scores['pinball']:.4g}"


def test_when_files_are_damaged_then_the_explorer_names_them_and_goes_on(copied):
    studies = find_studies(str(copied))[0]
    explorer = Explorer(studies)
    (file := explorer.study.run.trial_predictions(2)).write_bytes(b"PAR1")
    explorer.trial_box.value = 2
    assert f"{file}: not a readable parquet file" in explorer.text.value
    assert explorer.figure.axes[DAYS].get_title(loc="left") == "Forecasts of trial 4, UTC"
    explorer.trial_box.value = 3
    assert_shown(explorer, 3)

    studies = find_studies(str(copied))[0]
    studies[0].run.sqlite.write_bytes(b"no database at all, but longer than a header of it" * 30)
    explorer = Explorer(studies[::-1])
    explorer.study_box.index = 1
    assert "not a readable study" in explorer.text.value
    explorer.trial_box.value = 2
    assert_shown(explorer, 2)


def test_when_names_hold_markup_then_it_is_shown_and_not_run(copied):
    change(copied / JSON, ("provenance", "data", "unit"), lambda _: "<script>")
    explorer = Explorer(find_studies(str(copied))[0], ["<b>note"])
    assert "<script>" not in explorer.text.value
    assert explorer.notes.value == "&lt;b&gt;note"
