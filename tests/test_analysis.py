"""All studies in one table, and the verdict on them: from files as studies write them, and from old
and broken ones.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from hpo_lib.errors import InputError
from hpo_lib.figures.build import analyse, picture
from hpo_lib.figures.tables import improvement_report, load_studies, studies_frame, write_studies
from hpo_lib.paths import DATASETS_DIR, RunPaths
from hpo_lib.records.read_write import write_json
from hpo_lib.records.trial import TrialRecord
from tests.conftest import SIMULATED_RUNS, hpo, record_of

DATA = {
    "source": "csv",
    "sha256": "a" * 64,
    "train_end": "2017-12-31 23:00:00+00:00",
    "val_end": "2018-12-31 23:00:00+00:00",
}


def save(
    runs_dir,
    model,
    job_id,
    mae,
    picp=81.0,
    *,
    dataset="heat",
    status="complete",
    preset="laptop",
    date="2026-01-16T10:30:00+00:00",
    **data,
):
    """A study of untuned defaults with an MAE of 0.2, the chosen trial, and a failed one.

    Each trial took 30 minutes.
    """
    default = {"mae": 0.2, "picp": 60.0}
    chosen = {"mae": mae, "picp": picp, "winkler": 0.5}
    trials = [
        TrialRecord(0, "complete", {"lr": 0.001}, 0.2, 20.0, default, seconds=1800.0),
        TrialRecord(1, "complete", {"lr": 0.01}, mae, abs(picp - 80), chosen, seconds=1800.0),
        TrialRecord(2, "failed", {"lr": 0.1}, cause="ValueError: NaN"),
    ]
    run = RunPaths(runs_dir, model, dataset, job_id)
    provenance = {"data": {**DATA, **data}, "preset": preset}
    result = record_of(run, trials, status=status, optimization_date=date, provenance=provenance)
    write_json(run.best_params, result)
    return run.best_params


def table_of(runs_dir):
    return studies_frame(load_studies(runs_dir)[0])


def save_old(runs_dir):
    """A study of the first schema, which lacks most keys."""
    file = runs_dir / "best_params_NHITS_Q_heat.json"
    old = {
        "model": "NHITS_Q",
        "dataset": "heat",
        "best_mae": 0.185,
        "best_params": {"lr": 0.1},
        "best_trial": 4,
    }
    write_json(file, old)
    return file


def test_when_a_study_is_read_then_its_row_says_what_it_found(tmp_path):
    file = save(tmp_path, "NHITS_Q", "a", 0.18)
    (row,) = table_of(tmp_path).to_dict("records")
    expected = {
        "dataset": "heat",
        "model": "NHITS_Q",
        "job_id": "a",
        "status": "complete",
        "source": "csv",
        "preset": "laptop",
        "trials": 2.0,
        "failed": 1.0,
        "hours": 1.0,
        "mae_default": 0.2,
        "mae": 0.18,
        "picp_default": 60.0,
        "picp": 81.0,
        "winkler": 0.5,
        "schema": 2,
        "file": file.name,
        "params": "lr 0.01",
        "causes": "1 x ValueError: NaN",
        "stopped": 0.0,
    }
    assert {key: row[key] for key in expected} == expected
    assert row["improvement"] == pytest.approx(10.0)
    assert np.isnan(row["rmse"])


def test_when_files_are_old_broken_or_none_then_the_old_ones_are_in_the_table_and_others_are_named(
    tmp_path,
):
    with pytest.raises(InputError, match="holds no readable best_params JSON; make one with `hpo"):
        load_studies(tmp_path)
    save_old(tmp_path)
    alone = analyse(str(tmp_path))
    assert all(picture(name, alone.evidence) is None for name in ("pareto_fronts", "cost"))
    save(tmp_path, "TFT_Q", "a", 0.18)
    broken = tmp_path / "best_params_NHITS_Q_cut.json"
    broken.write_text('{"model": ', encoding="utf-8")
    studies, (note,) = load_studies(tmp_path)
    table = studies_frame(studies)
    names = ["model", "status", "mae"]
    assert table[names].to_numpy().tolist() == [
        ["NHITS_Q", "unknown", 0.185],
        ["TFT_Q", "complete", 0.18],
    ]
    assert np.isnan(table["improvement"][0])
    assert note.startswith(f"Passed over {broken}: not a complete JSON file")


def test_when_two_of_three_models_are_better_then_the_criteria_are_reached_by_the_newest_studies(
    tmp_path,
):
    save(tmp_path, "NHITS_Q", "older", 0.16, date="2026-01-01T00:00:00+00:00")
    save(tmp_path, "NHITS_Q", "a", 0.18)
    save(tmp_path, "TFT_Q", "a", 0.19)
    save(tmp_path, "TIMESNET_Q", "a", 0.199)
    (line,) = improvement_report(table_of(tmp_path))
    assert line == (
        "heat (csv aaaaaaaaaaaa): reached, 2 of 3 models: NHITS_Q +10.0 % at PICP 81.0, TFT_Q +5.0 "
        "% at PICP 81.0, TIMESNET_Q +0.5 % at PICP 81.0"
    )


OTHER_DATA = (
    {"sha256": "b" * 64},
    {"train_end": "2018-03-31 23:00:00+00:00"},
    {"val_end": "2019-03-31 23:00:00+00:00"},
)


@pytest.mark.parametrize(
    "second",
    [
        {"mae": 0.1901},
        {"picp": 85.1},
        {"status": "stopped"},
        {"preset": "test"},
        {"dataset": "water_centrum"},
        *OTHER_DATA,
    ],
)
def test_when_the_second_model_does_not_count_then_the_criteria_are_not_reached(second, tmp_path):
    save(tmp_path, "NHITS_Q", "a", 0.18)
    save(tmp_path, "TFT_Q", "a", **{"mae": 0.18, **second})
    lines = improvement_report(table_of(tmp_path))
    assert all(": not reached, " in line for line in lines), lines
    assert len(lines) == (2 if {*DATA, "dataset"} & set(second) else 1)


def test_when_studies_are_old_or_without_storage_then_the_analysis_says_what_it_lacks(
    tmp_path, capsys
):
    file = save(tmp_path, "TFT_Q", "a", 0.18, unit="kWh/h")
    old_file = save_old(tmp_path)
    begun = RunPaths(tmp_path, "TIMESNET_Q", "heat", "b")
    begun.folder.mkdir()
    begun.sqlite.touch()
    found = analyse(str(tmp_path))
    assert len(found.table) == 2
    assert found.notes == (
        "TIMESNET_Q_heat_b: no trial is complete yet, so it is not in the table.",
    )
    passed_over, lacking = found.evidence.notes
    assert (
        passed_over
        == f"Passed over {old_file}: written before predictions and provenance were stored."
    )
    assert lacking.startswith(f"{file}: its storage is not among the files")
    assert picture("pareto_fronts", found.evidence) is not None
    assert picture("optimisation_history", found.evidence) is None
    assert "Optimisation history: no record here has" in capsys.readouterr().out
    assert list(found.explored()) == []
    assert (
        found.overview().data.count("<tr>") == 5
    )  # the header, a section each for the old file and the new one


def test_when_a_study_is_stored_then_its_explored_space_is_shown(tmp_path):
    shutil.copytree(SIMULATED_RUNS / "TFT_Q_heat", tmp_path / "TFT_Q_heat")
    found = analyse(str(tmp_path), model="TFT_Q", dataset=str(DATASETS_DIR / "heat.toml"))
    assert found.evidence.notes == ()
    (shown,) = found.explored()
    assert shown.data.startswith(b"\x89PNG")


def test_when_studies_are_shown_then_the_best_is_on_top_and_bold_and_no_row_is_cut(tmp_path):
    for n in range(70):
        save(tmp_path, "TFT_Q", f"a{n}", 0.0040 + n / 1e5, dataset="water_centrum", unit="m3/h")
    shown = analyse(str(tmp_path)).overview().data
    assert shown.count(">TFT<") == 70
    assert "water_centrum (L/h, data: csv)" in shown
    assert shown.index("<b>4.00</b>") < shown.index(">4.01<")
    assert shown.count("<b>") == 1


def test_when_studies_are_consolidated_then_the_csv_holds_the_table(tmp_path):
    save(tmp_path / "runs", "NHITS_Q", "a", 0.18)
    save(tmp_path / "runs", "TFT_Q", "a", 0.19, dataset="water_centrum")
    table = table_of(tmp_path / "runs")
    csv = write_studies(table, tmp_path / "out")
    again = pd.read_csv(csv, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/studies.csv"]


def test_when_names_are_long_then_the_command_stays_within_100_columns(tmp_path):
    for model in ("NHITS_Q", "TIMESNET_Q"):
        save(tmp_path, model, "published", 0.00262, dataset="water_tommerby_dev")
    report, _, _ = hpo("analyze --runs-dir", tmp_path).out.partition("note: ")
    assert max(map(len, report.splitlines())) <= 100


def test_when_the_commands_are_called_then_they_show_and_write_studies_or_name_those_there(
    tmp_path,
):
    save(tmp_path, "NHITS_Q", "winter", 0.18)
    save(tmp_path, "TFT_Q", "summer", 0.19)
    shown = hpo("analyze --model NHITS_Q --runs-dir", tmp_path).out
    assert "winter" in shown
    assert "summer" not in shown
    assert "not reached, 1 of 1 models" in shown
    found = json.loads(hpo("analyze --json --runs-dir", tmp_path).out)
    assert [study["job_id"] for study in found["studies"]] == ["winter", "summer"]
    assert found["criteria"][0].startswith("heat (csv aaaaaaaaaaaa): reached, 2 of 2 models")
    said = hpo("consolidate --runs-dir", tmp_path, "--out", tmp_path / "out")
    assert "studies.csv (2 studies)" in said.out
    said = hpo("analyze --model NHITS --runs-dir", tmp_path, code=2)
    assert "model is 'NHITS', of which there is no study; did you mean NHITS_Q?" in said.err
