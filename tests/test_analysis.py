"""All studies in one table, and the verdict on them: from files as studies write them, and from old and broken ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo_lib.analysis import improvement_report, load_studies, write_studies
from hpo_lib.cli import main
from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths
from hpo_lib.results import TrialRecord, study_result, write_json

DATA = {"source": "csv", "sha256": "a" * 64, "train_end": "2017-12-31", "val_end": "2018-12-31"}


def save(runs_dir: Path, model: str, job_id: str, mae: float, picp: float = 81.0, **other: Any) -> Path:
    """A study whose defaults had an MAE of 0.2 and whose second trial was chosen, with 30 minutes per trial."""
    trials = [
        TrialRecord(0, "complete", {"lr": 0.001}, 0.2, 20.0, {"mae": 0.2, "picp": 60.0}, seconds=1800.0),
        TrialRecord(
            1, "complete", {"lr": 0.01}, mae, abs(picp - 80), {"mae": mae, "picp": picp, "winkler": 0.5}, seconds=1800.0
        ),
        TrialRecord(2, "failed", {"lr": 0.1}, cause="ValueError: NaN"),
    ]  # fmt: skip
    given = {"dataset": "heat", "status": "complete", "preset": "laptop", "date": "2026-01-16T10:30:00+00:00", **other}
    result = study_result(
        model=model, dataset=given["dataset"], job_id=job_id, study_name="x", storage_path="x.db",
        status=given["status"], trials_asked=3, policy="calibrated", trials=trials, optimization_date=given["date"],
        baselines={},
        provenance={"data": {**DATA, **other.get("data", {})}, "preset": given["preset"]},
    )  # fmt: skip
    file = RunPaths(runs_dir, model, given["dataset"], job_id).best_params
    write_json(file, result)
    return file


def test_when_a_study_is_read_then_its_row_says_what_it_found(tmp_path) -> None:
    file = save(tmp_path, "NHITS_Q", "a", 0.18)
    (row,) = load_studies(tmp_path).table.to_dict("records")
    expected = {
        "dataset": "heat", "model": "NHITS_Q", "job_id": "a", "status": "complete", "source": "csv", "preset": "laptop",
        "trials": 2.0, "failed": 1.0, "hours": 1.0, "mae_default": 0.2, "mae": 0.18, "picp_default": 60.0, "picp": 81.0,
        "winkler": 0.5, "schema": 2, "file": str(file), "params": "{'lr': 0.01}",
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    assert row["improvement"] == pytest.approx(10.0)
    assert np.isnan(row["rmse"])


def test_when_files_are_old_or_broken_then_the_old_ones_are_in_the_table_and_the_broken_ones_are_named(
    tmp_path,
) -> None:
    save(tmp_path, "TFT_Q", "a", 0.18)
    old = {"model": "NHITS_Q", "dataset": "heat", "best_mae": 0.185, "best_params": {"lr": 0.1}, "best_trial": 4}
    (tmp_path / "best_params_NHITS_Q_heat.json").write_text(json.dumps(old), encoding="utf-8")
    broken = tmp_path / "best_params_NHITS_Q_cut.json"
    broken.write_text('{"model": ', encoding="utf-8")
    studies = load_studies(tmp_path)
    assert list(studies.table["model"]) == ["NHITS_Q", "TFT_Q"]
    assert list(studies.table["status"]) == ["unknown", "complete"]
    assert studies.table["mae"].tolist() == [0.185, 0.18]
    assert np.isnan(studies.table["improvement"][0])
    (note,) = studies.notes
    assert note.startswith(f"Passed over {broken}: not a complete JSON file")


def test_when_there_is_nothing_then_the_sentence_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match="holds no readable best_params JSON; make one with `hpo run`"):
        load_studies(tmp_path)


def test_when_two_of_three_models_are_better_then_the_criteria_are_reached(tmp_path) -> None:
    save(tmp_path, "NHITS_Q", "a", 0.18)
    save(tmp_path, "TFT_Q", "a", 0.19)
    save(tmp_path, "TIMESNET_Q", "a", 0.199)
    (line,) = improvement_report(load_studies(tmp_path))
    assert line == (
        "heat (csv aaaaaaaaaaaa): reached, 2 of 3 models: NHITS_Q +10.0 % at PICP 81.0, TFT_Q +5.0 % at PICP 81.0, "
        "TIMESNET_Q +0.5 % at PICP 81.0"
    )


@pytest.mark.parametrize(
    "second",
    [
        {"mae": 0.1901}, {"mae": 0.18, "picp": 85.1}, {"mae": 0.18, "status": "stopped"},
        {"mae": 0.18, "preset": "test"}, {"mae": 0.18, "data": {"sha256": "b" * 64}},
        {"mae": 0.18, "data": {"val_end": "2018-06-30"}}, {"mae": 0.18, "dataset": "water_centrum"},
    ],
    ids=["too little", "covers too much", "stopped", "test", "other data", "other splits", "other dataset"],
)  # fmt: skip
def test_when_the_second_model_does_not_count_then_the_criteria_are_not_reached(second, tmp_path) -> None:
    save(tmp_path, "NHITS_Q", "a", 0.18)
    save(tmp_path, "TFT_Q", "a", **second)
    lines = improvement_report(load_studies(tmp_path))
    assert all(": not reached, " in line for line in lines), lines
    assert len(lines) == (2 if {"data", "dataset"} & set(second) else 1)


def test_when_a_model_has_several_studies_then_the_newest_counts(tmp_path) -> None:
    save(tmp_path, "NHITS_Q", "a", 0.16, date="2026-01-01T00:00:00+00:00")
    save(tmp_path, "NHITS_Q", "b", 0.18, date="2026-02-01T00:00:00+00:00")
    (line,) = improvement_report(load_studies(tmp_path))
    assert "1 of 1 models: NHITS_Q +10.0 %" in line


def test_when_studies_are_consolidated_then_parquet_and_csv_hold_the_same_table(tmp_path) -> None:
    save(tmp_path / "runs", "NHITS_Q", "a", 0.18)
    save(tmp_path / "runs", "TFT_Q", "a", 0.19, dataset="water_centrum")
    studies = load_studies(tmp_path / "runs")
    parquet, csv = write_studies(studies, tmp_path / "out")
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), studies.table)
    again = pd.read_csv(csv, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(again, studies.table, check_dtype=False)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["studies.csv", "studies.parquet"]


def test_when_the_commands_are_called_then_they_show_and_write_the_studies(tmp_path, capsys) -> None:
    save(tmp_path, "NHITS_Q", "winter", 0.18)
    save(tmp_path, "TFT_Q", "summer", 0.19)
    assert main(["analyze", "--model", "NHITS_Q", "--runs-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "winter" in shown
    assert "summer" not in shown
    assert "not reached, 1 of 1 models" in shown
    assert main(["consolidate", "--runs-dir", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "studies.parquet (2 studies)" in capsys.readouterr().out


def test_when_no_study_fits_then_the_command_names_what_there_is(tmp_path, capsys) -> None:
    save(tmp_path, "NHITS_Q", "a", 0.18)
    assert main(["analyze", "--model", "NHITS", "--runs-dir", str(tmp_path)]) == 2
    assert "model is 'NHITS', of which there is no study; did you mean NHITS_Q?" in capsys.readouterr().err
