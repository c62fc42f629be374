"""The study notebook as papermill runs it from a shell: all nine studies, and parameters that are
mistyped.
"""

import json
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.raw_files import WEATHER_COLUMNS
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import family_names
from hpo_lib.paths import RunPaths
from hpo_lib.records.files import load_predictions
from hpo_lib.records.result import load_result
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.verify import verify
from hpo_lib.settings import PARAMETERS
from tests.conftest import SIMULATED_RUNS

DATASETS = ("heat", "water_centrum", "water_tommerby")
KEYS = {
    "model",
    "dataset",
    "job_id",
    "optimization_date",
    "n_trials",
    "n_completed",
    "n_pareto_optimal",
    "best_trial_number",
    "best_mae",
    "best_picp",
    "best_picp_approx",
    "best_params",
    "study_name",
    "storage_path",
    "all_pareto_trials",
    "validation_metrics",
    "selection",
    "training_time_hours",
    "n_failed",
    "n_pruned",
    "schema_version",
    "provenance",
}


def papermill(root, out, notebook="hpo_template.ipynb", /, **parameters):
    """``papermill notebooks/... out.ipynb -p ...`` from the repository's root, outside any Slurm
    job.

    With the backend that clusters set, under which a record once held no picture.
    """
    given = [word for name, value in parameters.items() for word in ("-p", name, value)]
    command = [
        sys.executable,
        "-m",
        "papermill",
        f"notebooks/{notebook}",
        str(out),
        "--no-progress-bar",
        *given,
    ]
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    environment |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=900
    )


def outputs(notebook):
    """Everything that the record shows as text."""
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    return "\n".join(json.dumps(output) for output in shown)


# Each model and each dataset once with the search and the proof of today, and once the original
# plan's; the benchmark's slow test trains all nine pairs.
TWINS = [
    *((*pair, {}) for pair in zip(family_names(), DATASETS, strict=True)),
    ("NHITS_Q", "water_centrum", {"space": "plan", "policy": "calibrated"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "dataset", "given"), TWINS)
def test_when_papermill_runs_a_study_on_a_twin_then_all_files_of_the_contract_are_there(
    model, dataset, given, root, tmp_path
):
    out, runs_dir = tmp_path / "out.ipynb", tmp_path / "runs"
    run = papermill(
        root,
        out,
        model=model,
        dataset=dataset,
        test="true",
        runs_dir=str(runs_dir),
        simulated="true",
        **given,
    )
    assert run.returncode == 0, run.stderr

    (file,) = runs_dir.rglob("best_params_*.json")
    stem = re.fullmatch(rf"best_params_{model}_{dataset}_(local-\d{{8}}-\d{{6}})\.json", file.name)
    assert stem, file.name
    files = RunPaths(runs_dir, model, dataset, stem[1])
    assert file == files.best_params
    assert runs_dir / f"{model}_{dataset}" == files.folder
    expected = {
        files.sqlite,
        files.pareto_front,
        files.mae_history,
        files.param_importance,
        files.predictions,
    }
    expected |= {files.report}
    assert {path.name for path in files.folder.iterdir() if not path.name.startswith(".")} == {
        path.name for path in {file, *expected}
    }
    for number in range(3):
        # November to March, 152 days, of which every one is an origin.
        assert load_predictions(files.trial_predictions(number)).values.shape == (152, 24, 3)

    record = json.loads(file.read_text(encoding="utf-8"))
    assert set(record) >= KEYS
    assert load_result(file).items() >= record.items()
    assert (record["model"], record["dataset"], record["job_id"]) == (model, dataset, stem[1])
    assert (record["status"], record["n_trials"], record["n_completed"]) == ("complete", 3, 3)
    assert record["best_picp_approx"] == record["best_picp"] == record["validation_metrics"]["picp"]
    assert record["provenance"]["data"]["source"] == "simulated"
    assert record["provenance"]["data"]["unit"] == load_spec(dataset).unit

    notebook = nbformat.read(out, as_version=4)
    nbformat.validate(notebook)
    shown = outputs(notebook)
    assert "*** SIMULATED DATA ***" in shown
    assert f"simulated twin of {dataset}" in shown
    assert shown.count('"image/png"') >= 4
    assert not [
        cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is None
    ]
    assert notebook.metadata.papermill.exception is None


@pytest.mark.slow
def test_when_papermill_is_given_other_objectives_then_the_study_its_page_and_its_record_follow_them(
    root, tmp_path
):
    out, runs_dir = tmp_path / "out.ipynb", tmp_path / "runs"
    run = papermill(
        root,
        out,
        model="NHITS_Q",
        dataset="heat",
        test="true",
        objectives="mae,winkler",
        runs_dir=str(runs_dir),
        simulated="true",
    )
    assert run.returncode == 0, run.stderr
    (file,) = runs_dir.rglob("best_params_*.json")
    study = StoredStudy.of_file(file)
    assert [dict(trial.values) for trial in study.trials] == [
        {"mae": trial.mae, "winkler": trial.scores["winkler"]} for trial in study.trials
    ]
    assert verify(file, tmp_path).told == ()
    shown = outputs(nbformat.read(out, as_version=4))
    assert "Minimised: MAE, Winkler score. No trial beats" in shown
    assert shown.count('"image/png"') >= 4


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            {"modle": "TFT_Q"},
            "InputError: parameter 'modle' is unknown; did you mean model? Allowed: "
            f"{', '.join(parameter.name for parameter in PARAMETERS)}",
        ),
        pytest.param(
            {"model": "TFT"},
            "InputError: model is 'TFT', which is not a model family; did you mean TFT_Q? Allowed: "
            f"{', '.join(family_names())}",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["name", "value"],
)
def test_when_a_parameter_is_mistyped_then_papermill_stops_in_the_first_cell_with_the_sentence(
    parameters, sentence, root, tmp_path
):
    out = tmp_path / "out.ipynb"
    run = papermill(root, out, runs_dir=str(tmp_path / "runs"), **parameters)
    assert run.returncode != 0
    assert sentence in run.stderr
    assert not (tmp_path / "runs").exists()

    notebook = nbformat.read(out, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    failed = [
        cell for cell in code if any(output.output_type == "error" for output in cell.outputs)
    ]
    assert len(failed) == 1
    tags = [cell.metadata.get("tags", []) for cell in code[: code.index(failed[0])]]
    assert tags[-2:] == [["parameters"], ["injected-parameters"]], (
        "an earlier cell than the first one after them ran"
    )
    assert [
        cell for cell in code[code.index(failed[0]) + 1 :] if cell.execution_count is not None
    ] == []


@pytest.mark.slow
def test_when_papermill_runs_a_family_notebook_then_it_shows_the_network_that_the_study_chose(
    root, tmp_path
):
    """One family under the clusters' backend; the notebooks of all families run in
    ``tests/browser``.
    """
    out, runs_dir = tmp_path / "out.ipynb", tmp_path / "runs"
    run = papermill(
        root,
        out,
        "nhits_q.ipynb",
        test="true",
        trials="1",
        runs_dir=str(runs_dir),
        simulated="true",
        job_id="family",
    )
    assert run.returncode == 0, run.stderr
    shown = outputs(nbformat.read(out, as_version=4))
    assert "Trained once more" in shown
    assert "(the same network)" in shown
    assert shown.count('"image/png"') >= 6
    assert (
        load_result(RunPaths(runs_dir, "NHITS_Q", "heat", "family").best_params)["n_completed"] == 1
    )


@pytest.mark.slow
def test_when_a_family_notebook_is_given_another_model_then_it_stops_before_anything_is_trained(
    root, tmp_path
):
    run = papermill(
        root,
        tmp_path / "out.ipynb",
        "tft_q.ipynb",
        model="NHITS_Q",
        runs_dir=str(tmp_path / "runs"),
    )
    assert "InputError: model is 'NHITS_Q', but this notebook shows TFT_Q" in run.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("notebook", "parameters", "text", "pictures"),
    [
        ("explore.ipynb", {}, "NHITS_Q on heat, published", 0),
        (  # front, history, trials by hyperparameter, cost
            "analysis.ipynb",
            {"dataset": "heat", "model": "TFT_Q", "out": "{}"},
            "No advice on 1 of 1 studies: test budget",
            4,
        ),
    ],
)
def test_when_papermill_runs_a_notebook_on_records_then_it_shows_them(
    notebook, parameters, text, pictures, root, tmp_path
):
    parameters = {name: value.format(tmp_path) for name, value in parameters.items()}
    run = papermill(
        root, tmp_path / "out.ipynb", notebook, runs_dir=str(SIMULATED_RUNS), **parameters
    )
    assert run.returncode == 0, run.stderr
    shown = outputs(nbformat.read(tmp_path / "out.ipynb", as_version=4))
    assert text in shown
    assert shown.count('"image/png"') >= pictures
    if "out" in parameters:
        assert pd.read_parquet(tmp_path / "studies.parquet")["model"].tolist() == ["TFT_Q"]


@pytest.mark.slow
def test_when_papermill_prepares_a_raw_series_then_the_notebook_shows_what_a_study_would_read(
    root, tmp_path
):
    hours = pd.date_range("2018-04-01", "2024-12-31 23:00", freq="h", tz="UTC")
    demand = (
        2
        + np.sin(2 * np.pi * np.arange(len(hours)) / 24)
        + 0.1 * np.random.default_rng(1).random(len(hours))
    )
    pd.Series(demand, index=hours, name="0").to_csv(tmp_path / "raw.csv")
    issued = hours[hours.hour == 0].repeat(48)
    lead = np.tile(np.arange(1, 49), len(issued) // 48)
    pd.DataFrame({"issued": issued, "lead_hours": lead, "temp": 10.0}).to_csv(
        tmp_path / "archive.csv", index=False
    )
    times = hours.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    observed = pd.DataFrame(
        {name: 1000.0 if name == "pressure" else 10.0 for name in WEATHER_COLUMNS}, index=times
    )
    observed.to_csv(tmp_path / "weather.csv", index_label="dt_iso")
    toml = tmp_path / "heat.toml"
    weather = (
        '[day_ahead_weather]\nkind = "forecast"\ncolumns = ["temp"]\ncsv = '
        '"weather_forecasts.csv"\n'
    )
    toml.write_text(
        f"{(root / 'datasets' / 'heat.toml').read_text(encoding='utf-8')}\n{weather}",
        encoding="utf-8",
    )
    out = tmp_path / "out.ipynb"
    run = papermill(
        root,
        out,
        "data_preparation.ipynb",
        dataset=str(toml),
        raw=str(tmp_path / "raw.csv"),
        weather=str(tmp_path / "weather.csv"),
        weather_forecast=str(tmp_path / "archive.csv"),
        data_dir=str(tmp_path / "data"),
    )
    assert run.returncode == 0, run.stderr
    shown = outputs(nbformat.read(out, as_version=4))
    features = tmp_path / "data" / load_spec("heat").csv
    assert features.exists()
    assert (features.parent / "weather_forecasts.csv").exists()
    assert "weather of the day ahead: forecast" in shown
    assert "SIMULATED" not in shown
    assert '"image/png"' in shown
