"""The explorer without a browser: what it reads from records, and what its widgets hold after a
choice.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backend_bases import MouseEvent

from hpo_lib import paths
from hpo_lib.errors import InputError
from hpo_lib.figures import forecasts as tables
from hpo_lib.figures.explorer import (
    Explorer,
    find_studies,
    trial_counts,
    trial_facts,
    viewable_studies,
)
from hpo_lib.paths import RunPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts

DAYS, COVERAGE = 1, 3
"""Panels, in the order in which they are drawn."""

JSON = "NHITS_Q_heat/best_params_NHITS_Q_heat_first.json"


@pytest.fixture
def studies(stored_studies: Path) -> list[StoredStudy]:
    found, notes = viewable_studies(stored_studies)
    assert notes == []
    return found


@pytest.fixture
def copied(stored_studies: Path, tmp_path: Path) -> Path:
    """The same in a folder that a test may change."""
    return shutil.copytree(stored_studies, tmp_path / "copied")


@pytest.fixture
def explorer(studies: list[StoredStudy]) -> Explorer:
    return Explorer(studies)


def forecasts() -> QuantileForecasts:
    """Three days of two hours."""
    actual = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    median = actual - [[0.5, -0.5], [0.0, 2.0], [1.0, 1.0]]
    values = np.stack([median - 0.6, median, median + 0.6], axis=2)
    return QuantileForecasts(
        values, actual, pd.date_range("2024-01-01 23:00", periods=3, freq="D", tz="UTC")
    )


# What is read


def test_when_a_folder_is_read_then_each_study_has_its_own_unit_source_and_trials(
    studies: list[StoredStudy],
) -> None:
    assert [(s.run.model, s.run.dataset, s.unit, s.source) for s in studies] == [
        ("NHITS_Q", "heat", "kWh/h", "simulated"),
        ("TFT_Q", "water_centrum", "m3/h", "csv"),
    ]
    assert [", simulated data" in s.label for s in studies] == [True, False]
    with_storage, without = studies
    assert [(t.number, t.state) for t in with_storage.trials] == [
        (0, "complete"),
        (1, "failed"),
        (2, "complete"),
        (3, "complete"),
        (4, "complete"),
    ]
    assert trial_counts(with_storage) == "4 complete, 1 failed"
    assert [t.number for t in without.trials] == [0, 2, 3, 4]
    assert trial_counts(without).endswith(
        "the storage is not among the files, so these are the trials in the JSON"
    )
    for study in studies:
        assert [t.number for t in study.front] == [2, 3, 4]
        assert [t.number for t in study.viewable] == [2, 3, 4, 0]


def test_when_a_trial_is_described_then_its_scores_are_those_of_its_stored_forecasts(
    studies,
) -> None:
    facts = trial_facts(studies[0], 4)
    stored = studies[0].predictions(4)
    assert facts["role"] == "chosen, on the front, choice of calibrated"
    assert facts["MAE in kWh/h"] == f"{metrics.mae(stored):.5g}"
    assert facts["PICP in %"] == f"{metrics.picp(stored):.1f}"
    assert facts["lr"] == "0.005"
    assert trial_facts(studies[0], 0)["role"] == "untuned defaults, beaten by others"


def test_when_a_study_or_a_trial_cannot_be_shown_then_a_sentence_says_why_and_the_others_are_shown(
    copied,
) -> None:
    found, _ = viewable_studies(copied)
    found[0].run.trial_predictions(2).unlink()
    assert [t.number for t in found[0].viewable] == [3, 4, 0]
    (copied / JSON).write_text("{", encoding="utf-8")
    found, (note,) = find_studies(str(copied))
    assert [s.run.model for s in found] == ["TFT_Q"]
    assert "not a complete JSON file" in note


def test_when_there_is_nothing_to_show_then_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match="holds no study with stored forecasts, expected one; make it with `hpo run`",
    ):
        find_studies(str(tmp_path))


def test_when_no_folder_is_named_then_the_studies_of_the_project_are_shown_or_why_not(
    stored_studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS_DIR", tmp_path / "papermill_runs")
    shutil.copytree(stored_studies, paths.RUNS_DIR)
    shutil.rmtree(RunPaths(paths.RUNS_DIR, "NHITS_Q", "heat", "first").predictions)
    found, notes = find_studies()
    assert [study.run.model for study in found] == ["TFT_Q"]
    assert ["no forecasts of the chosen trial" in note for note in notes] == [True]


# What is computed


def test_when_days_are_cut_out_then_forecasts_follow_each_other_hour_by_hour() -> None:
    table = tables.hours_of_days(forecasts(), first=1, count=2)
    assert table["actual"].tolist() == [3, 4, 5, 6]
    assert table["median"].tolist() == [3, 2, 4, 5]
    assert list(table.index) == list(
        pd.to_datetime(
            ["2024-01-03 00:00", "2024-01-03 01:00", "2024-01-04 00:00", "2024-01-04 01:00"],
            utc=True,
        )
    )


def test_when_days_and_hours_are_scored_then_the_numbers_are_those_worked_by_hand() -> None:
    # Residuals by day: 0.5 and -0.5; 0 and 2; 1 and 1. The interval reaches 0.6 to either side.
    daily = tables.daily_errors(forecasts())
    assert daily["mae"].tolist() == [0.5, 1.0, 1.0]
    assert daily["picp"].tolist() == [100, 50, 0]
    assert daily.index[0] == pd.Timestamp("2024-01-02 00:00", tz="UTC")
    hourly = tables.by_hour(forecasts())
    assert hourly["median"].tolist() == [0.5, 1.0]
    assert hourly["picp"].tolist() == pytest.approx([200 / 3, 100 / 3])


# What is shown


def drawn(explorer: Explorer, panel: int, label: str) -> np.ndarray:
    """What a line of a panel shows."""
    (line,) = [line for line in explorer.figure.axes[panel].lines if line.get_label() == label]
    return np.asarray(line.get_ydata())


def click(explorer: Explorer, x: float, y: float) -> None:
    MouseEvent("button_press_event", explorer.canvas, x, y, button=1)._process()


def test_when_the_explorer_opens_then_the_chosen_trial_of_the_first_study_is_shown(
    explorer, studies
) -> None:
    assert explorer.trial_box.value == 4
    assert drawn(explorer, 0, "Pareto front").tolist() == [t.picp_penalty for t in studies[0].front]
    assert "trial 4" in explorer.text.value
    assert explorer.figure.axes[DAYS].get_title(loc="left") == "Forecasts of trial 4, UTC"
    assert np.array_equal(
        drawn(explorer, DAYS, "median"), studies[0].predictions(4).median[:7].ravel()
    )
    assert explorer.when.value == "after Tue 2023-10-31 23:00 UTC"


@pytest.mark.parametrize("number", [0, 2, 3])
def test_when_a_trial_is_clicked_then_every_view_changes_to_it(number, explorer, studies) -> None:
    trial = studies[0].trial(number)
    x, y = explorer.panels.front.transData.transform((trial.mae, trial.picp_penalty))
    click(explorer, x + 5, y - 5)
    stored = studies[0].predictions(number)
    assert explorer.trial_box.value == number
    assert f"trial {number}" in explorer.text.value
    assert np.array_equal(drawn(explorer, DAYS, "actual"), stored.actual[:7].ravel())
    assert np.array_equal(drawn(explorer, DAYS, "median"), stored.median[:7].ravel())
    picp = explorer.figure.axes[COVERAGE].lines[0].get_ydata()
    assert picp.tolist() == tables.by_hour(stored)["picp"].tolist()
    daily = explorer.panels.errors.collections[0].get_offsets()[:, 1]
    assert daily.tolist() == tables.daily_errors(stored)["mae"].tolist()


def test_when_forecasts_behind_a_clicked_trial_are_damaged_then_their_file_is_named_and_others_are_shown(
    copied,
):
    explorer = Explorer(viewable_studies(copied)[0])
    (file := explorer.study.run.trial_predictions(2)).write_bytes(b"PAR1")
    explorer.show_trial(2)
    assert f"{file}: not a readable parquet file" in explorer.text.value
    assert explorer.figure.axes[DAYS].get_title(loc="left") == "Forecasts of trial 4, UTC"
    explorer.show_trial(3)
    assert explorer.figure.axes[DAYS].get_title(loc="left") == "Forecasts of trial 3, UTC"
    assert "trial 3" in explorer.text.value


def test_when_a_study_has_three_objectives_then_a_trial_is_clicked_at_its_first_two_and_the_third_is_named(
    copied,
):
    record = json.loads((copied / JSON).read_text(encoding="utf-8"))
    names = ("pinball", "winkler", "mae")
    record["objectives"] = [{"name": name, "tolerance": 0.0} for name in names]
    for entry in (record["default_trial"], record["chosen_trial"], *record["all_pareto_trials"]):
        entry["values"] = {name: entry[name] for name in names}
    (copied / JSON).write_text(json.dumps(record), encoding="utf-8")
    RunPaths(copied, "NHITS_Q", "heat", "first").sqlite.unlink()
    explorer = Explorer(viewable_studies(copied)[0])
    front = explorer.panels.front
    assert (front.get_xlabel(), front.get_ylabel()) == (
        "pinball loss in kWh/h",
        "Winkler score in kWh/h",
    )
    assert "(MAE is not drawn)" in [text.get_text().strip() for text in front.texts]
    other = explorer.study.trial(2)
    click(explorer, *front.transData.transform((other.scores["pinball"], other.scores["winkler"])))
    assert explorer.trial_box.value == 2
    assert (
        trial_facts(explorer.study, 2)["pinball loss in kWh/h"] == f"{other.scores['pinball']:.4g}"
    )


def test_when_a_day_is_clicked_then_the_forecasts_begin_there_and_the_empty_front_changes_nothing(
    explorer, studies
):
    box = explorer.panels.front.bbox
    click(explorer, box.x1 - 40, box.y1 - 40)
    assert explorer.trial_box.value == 4
    x, y = explorer.panels.errors.transData.transform((explorer.panels.days[20], 0))
    click(explorer, x + 2, y + 30)
    assert explorer.first.value == 20
    assert np.array_equal(
        drawn(explorer, DAYS, "median"), studies[0].predictions(4).median[20:27].ravel()
    )


def test_when_another_study_is_chosen_then_its_unit_and_no_simulated_mark_are_shown(
    explorer: Explorer,
) -> None:
    marks = [
        text.get_text() for axes in explorer.figure.axes for text in axes.texts if text.get_text()
    ]
    assert marks == ["SIMULATED DATA"] * 2
    explorer.study_box.value = 1
    assert [text for axes in explorer.figure.axes for text in axes.texts if text.get_text()] == []
    assert explorer.figure.axes[DAYS].get_ylabel() == "m3/h"
    assert "TFT_Q on water_centrum, trial 4" in explorer.text.value


def test_when_days_near_the_end_are_chosen_then_the_shown_days_are_within_the_forecasts(
    explorer: Explorer,
) -> None:
    explorer.show_day(39)
    assert len(drawn(explorer, DAYS, "median")) == 7 * 24
    explorer.count.value = 14
    assert len(drawn(explorer, DAYS, "median")) == 14 * 24
    assert explorer.first.value == 26


def test_when_a_storage_is_damaged_then_the_explorer_says_so_and_goes_on(copied: Path) -> None:
    found, _ = viewable_studies(copied)
    found[0].run.sqlite.write_bytes(b"no database at all, but longer than a header of sqlite" * 30)
    explorer = Explorer(found[::-1])
    explorer.study_box.value = 1
    assert "not a readable study" in explorer.text.value
    explorer.show_trial(2)
    assert "TFT_Q on water_centrum, trial 2" in explorer.text.value


def test_when_names_hold_markup_then_it_is_shown_and_not_run(copied: Path) -> None:
    result = json.loads((copied / JSON).read_text(encoding="utf-8"))
    result["provenance"]["data"]["unit"] = "<script>"
    (copied / JSON).write_text(json.dumps(result), encoding="utf-8")
    explorer = Explorer(viewable_studies(copied)[0], ["<b>note"])
    assert "<script>" not in explorer.text.value
    assert explorer.notes.value == "&lt;b&gt;note"
