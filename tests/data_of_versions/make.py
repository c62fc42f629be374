"""Make the records of this version, which every later version must open: ``python -m
tests.data_of_versions.make``.

Run it once per release, when the form of a record has changed. Data are the tests' own hundred
days, so no series is stored; networks are tiny.
"""

import re
import shutil
import tempfile
from pathlib import Path

from hpo_lib import __version__
from hpo_lib.cli.main import main
from hpo_lib.families.models import get_family
from hpo_lib.families.search_space import Choice
from hpo_lib.paths import PROJECT_ROOT, RunPaths, benchmarks
from hpo_lib.records.read_write import read_json, write_json
from hpo_lib.records.study import study_runs
from tests.conftest import tiny_dataset
from tests.daily.conftest import SMALL, Utility

HERE = Path(__file__).resolve().parent
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA"
    "AABJRU5ErkJggg=="
)
"""In place of each picture of the notebook."""

FAMILY, DATASET, JOB_ID = "NHITS_Q", "utility", "kept"


def make(folder: Path, out: Path) -> None:
    """A study with its executed notebook, a training of a benchmark, a model in use and its
    forecast.
    """
    utility = Utility(folder, tiny_dataset.__wrapped__().target)
    words = ["--model", FAMILY, "--dataset", str(utility.toml), "--data-dir", str(folder), "--test"]
    runs = RunPaths(out / "papermill_runs", FAMILY, DATASET, JOB_ID)
    studies = [
        "--runs-dir",
        str(runs.runs_dir),
        "--job-id",
        JOB_ID,
        "--storage",
        "journal",
        "--trials",
        "3",
    ]
    assert main(["run", *words, *studies]) == 0
    small = folder / runs.best_params.name
    family = get_family(FAMILY)
    family.search_space = {**family.search_space, "layer_widths": Choice((8,))}
    params = {**SMALL, "layer_widths": 8}
    write_json(small, _with_params(read_json(runs.best_params, "a record"), params))
    words += ["--params", str(small)]
    assert main(["benchmark", *words, "--out", str(out / "benchmark_results"), "--seeds", "1"]) == 0
    assert main(["retrain", *words, "--models-dir", str(out / "models")]) == 0
    forecast = ["forecast", "--dataset", str(utility.toml), "--data-dir", str(folder)]
    assert (
        main([*forecast, "--models-dir", str(out / "models"), "--out", str(out / "forecast.csv")])
        == 0
    )


def tidy(folder: Path, out: Path) -> None:
    """Keep what readers read, without pictures and names of folders."""
    (run,), (benchmark,) = study_runs(out / "papermill_runs"), benchmarks(out / "benchmark_results")
    own = {FAMILY, "RESIDUAL_LINEAR"}
    others = [file for file in benchmark.runs.iterdir() if file.name.partition("-")[0] not in own]
    figures = [run.pareto_front, run.mae_history, run.param_importance, out / "forecast.png"]
    for file in (*others, *figures, *benchmark.folder.glob("*.csv")):
        file.unlink(missing_ok=True)
    shutil.rmtree(run.workers, ignore_errors=True)
    for file in out.rglob("*"):
        if file.suffix in (".json", ".ipynb", ".journal", ".md"):
            text = (
                file.read_text(encoding="utf-8")
                .replace(str(out), "out")
                .replace(str(folder), "data")
            )
            text = text.replace(str(PROJECT_ROOT), "project")
            file.write_text(
                re.sub(r'("image/png": )"[^"]*"', rf'\1"{PIXEL}"', text), encoding="utf-8"
            )


def _with_params(record: dict, params: dict) -> dict:
    chosen = [
        {**trial, "params": params}
        for trial in (record["chosen_trial"] or record["default_trial"],)
    ]
    trials = [{**trial, "params": params} for trial in record["all_pareto_trials"]]
    return {**record, "best_params": params, "chosen_trial": chosen[0], "all_pareto_trials": trials}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        shutil.rmtree(HERE / __version__, ignore_errors=True)
        make(Path(made).resolve(), HERE / __version__)
        tidy(Path(made).resolve(), HERE / __version__)
