"""The study notebook as papermill runs it from a shell: all nine studies, and parameters that are
mistyped.
"""

import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.spec import load_spec
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import load_predictions
from hpo_lib.records.result import load_result
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.verify import verify
from hpo_lib.settings import PARAMETERS
from tests.conftest import short_twin
from tests.study.processes import python

TEMPLATE = "hpo_template.ipynb"


def papermill(root, out, notebook=TEMPLATE, /, **parameters):
    """``papermill notebooks/... out.ipynb -p ...``, with the backend that clusters set, under which
    a record once held no picture.
    """
    words = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
    command = ("-m", "papermill", f"notebooks/{notebook}", str(out), "--no-progress-bar", *words)
    return python(root, *command, MPLBACKEND="Agg")


@pytest.fixture
def executed(root, tmp_path):
    """Runs a notebook to its end; the notebook, and everything that it shows as text."""

    def run(notebook=TEMPLATE, /, **parameters):
        out = tmp_path / "out.ipynb"
        runs_dir = tmp_path / "runs"
        ended = papermill(root, out, notebook, **{"runs_dir": runs_dir, **parameters})
        assert ended.returncode == 0, ended.stderr
        record = nbformat.read(out, as_version=4)
        cells = [cell for cell in record.cells if cell.cell_type == "code"]
        return record, "\n".join(json.dumps(output) for cell in cells for output in cell.outputs)

    return run


# In its family's notebook, and in the template with the search of the original plan and other
# objectives. The README's test runs TFT; the benchmark's slow test trains all nine pairs, and the
# notebooks of all families run in ``tests/browser``.
PLAN = {"space": "plan", "policy": "calibrated", "objectives": "mae,winkler"}
TWINS = [("nhits_q.ipynb", "NHITS_Q", "heat", {}), (TEMPLATE, "TIMESNET_Q", "water_tommerby", PLAN)]


@pytest.mark.slow
@pytest.mark.parametrize("source, model, dataset, given", TWINS)
def test_when_papermill_runs_a_study_on_a_twin_then_all_files_of_the_contract_are_there(
    source, model, dataset, given, executed, tmp_path
):
    runs_dir = tmp_path / "runs"
    toml = short_twin(tmp_path, dataset)
    parameters = {"model": model, "dataset": toml, "test": True, "simulated": True}
    notebook, text = executed(source, **parameters, **given)

    (file,) = runs_dir.rglob("best_params_*.json")
    stem = re.fullmatch(rf"best_params_{model}_{dataset}_(local-\d{{8}}-\d{{6}})\.json", file.name)
    assert stem, file.name
    files = RunPaths(runs_dir, model, dataset, stem[1])
    assert file == files.best_params
    assert runs_dir / f"{model}_{dataset}" == files.folder
    expected = {
        files.best_params,
        files.sqlite,
        files.pareto_front,
        files.mae_history,
        files.param_importance,
        files.predictions,
        files.report,
        files.scales,
    }
    assert {path for path in files.folder.iterdir() if path.name[0] != "."} == expected
    for number in range(3):
        # November to March, 152 days, of which every one is an origin.
        assert load_predictions(files.trial_predictions(number)).values.shape == (152, 24, 3)

    record = json.loads(file.read_bytes())
    assert load_result(file).items() >= record.items()
    assert (record["status"], record["n_trials"], record["n_completed"]) == ("complete", 3, 3)
    assert record["provenance"]["data"]["source"] == "simulated"

    assert verify(file, tmp_path, str(toml)).told == []
    objectives = given.get("objectives", "mae,picp_penalty").split(",")
    for trial in StoredStudy.of_file(file).trials:
        assert [*trial.values] == objectives

    nbformat.validate(notebook)
    if "objectives" in given:
        assert "Minimised: MAE, Winkler score. No trial beats" in text
    assert "*** SIMULATED DATA ***" in text
    assert f"simulated twin of {dataset}" in text
    of_family = source != TEMPLATE
    assert text.count('"image/png"') >= 4 + of_family
    why = "The network is not shown: at the test budget it has learnt next to nothing."
    assert text.count(why) == 3 * of_family
    assert ("Trained once more" in text) == ("(the same network)" in text) == of_family
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert notebook.metadata.papermill.exception is None


@pytest.mark.slow
def test_when_a_parameter_is_mistyped_then_papermill_stops_in_the_first_cell_with_the_sentence(
    root, tmp_path
):
    """Papermill itself only warns; wrong values are in ``tests/test_broken_parameters.py``."""
    out = tmp_path / "out.ipynb"
    run = papermill(root, out, runs_dir=tmp_path / "runs", modle="TFT_Q")
    assert run.returncode != 0
    names = ", ".join(parameter.name for parameter in PARAMETERS)
    sentence = f"parameter 'modle' is unknown; did you mean model? allowed: {names}"
    assert f"InputError: {sentence}" in run.stderr
    assert not (tmp_path / "runs").exists()

    code = [cell for cell in nbformat.read(out, as_version=4).cells if cell.cell_type == "code"]
    (failed,) = (
        number
        for number, cell in enumerate(code)
        if any(output.output_type == "error" for output in cell.outputs)
    )
    assert code[failed - 1].metadata["tags"] == ["injected-parameters"]
    assert not any(cell.execution_count for cell in code[failed + 1 :])


@pytest.mark.slow
def test_when_papermill_prepares_a_raw_series_then_the_notebook_shows_what_a_study_would_read(
    root, tmp_path
):
    hours = pd.date_range("2022-10-01 00:00Z", "2024-12-31 23:00Z", freq="h")
    noise = np.random.default_rng(1).random(len(hours))
    demand = 2 + np.sin(2 * np.pi * np.arange(len(hours)) / 24) + 0.1 * noise
    pd.Series(demand, index=hours, name="0").to_csv(tmp_path / "raw.csv")
    data_dir = tmp_path / "data"
    features = data_dir / load_spec("heat").csv
    ended = papermill(
        root,
        out := tmp_path / "out.ipynb",
        "data_preparation.ipynb",
        dataset="heat",
        raw=tmp_path / "raw.csv",
        data_dir=data_dir,
    )
    assert ended.returncode == 0, ended.stderr
    text = out.read_text(encoding="utf-8")
    assert features.exists()
    assert "SIMULATED" not in text
    assert '"image/png"' in text
