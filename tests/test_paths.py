from dataclasses import replace
from pathlib import Path

import pytest

from hpo_lib import paths
from hpo_lib.errors import WriteError
from hpo_lib.paths import RunPaths, checked_name
from hpo_lib.records.read_write import of_all_workers
from hpo_lib.records.study import study_runs
from tests.conftest import refusal

RUN = RunPaths(Path("runs"), "TFT_Q", "heat", "4711")


FILES = {
    "best_params": "best_params_TFT_Q_heat_4711.json",
    "sqlite": "study_TFT_Q_heat_4711.db",
    "journal": "study_TFT_Q_heat_4711.journal",
    "notebook": "hpo_TFT_Q_heat_4711.ipynb",
    "pareto_front": "pareto_front_4711.html",
    "mae_history": "mae_history_4711.html",
    "param_importance": "param_importance_4711.html",
    "report": "report_4711.html",
}


def test_when_a_study_is_saved_then_its_files_have_the_documented_names():
    assert {name: getattr(RUN, name) for name in FILES} == {
        name: Path("runs/TFT_Q_heat") / file for name, file in FILES.items()
    }


def test_when_a_further_worker_keeps_a_notebook_then_only_that_has_another_name():
    third = RunPaths(Path("runs"), "TFT_Q", "heat", "4711", worker=3)
    assert third.notebook == Path("runs/TFT_Q_heat/hpo_TFT_Q_heat_4711.worker-3.ipynb")
    assert third.attempt_notebook(2) == Path(
        "runs/TFT_Q_heat/hpo_TFT_Q_heat_4711.worker-3.attempt-2.ipynb"
    )
    assert (third.best_params, third.journal, third.workers) == (
        RUN.best_params,
        RUN.journal,
        RUN.workers,
    )


def test_when_several_workers_left_notebooks_then_they_are_one_study_and_each_is_found(tmp_path):
    run = RunPaths(tmp_path, "TFT_Q", "heat", "4711")
    run.folder.mkdir()
    workers = [
        run,
        *(RunPaths(tmp_path, "TFT_Q", "heat", "4711", worker=number) for number in (2, 10)),
    ]
    for worker in workers[1:]:
        worker.notebook.touch()
        worker.attempt_notebook(1).touch()
    assert study_runs(tmp_path) == [run]
    long = RunPaths(tmp_path, "TIDE_MLP_Q", "water_Q_dev", "7")
    long.folder.mkdir()
    long.best_params.touch()
    assert study_runs(tmp_path) == [run, long]
    assert of_all_workers(run) == workers
    assert of_all_workers(replace(run, job_id="471")) == [replace(run, job_id="471")]


def test_when_one_folder_holds_several_studies_then_no_two_share_a_file():
    other = RunPaths(Path("runs"), "TFT_Q", "heat", "4712")
    files = {name for name in dir(RUN) if isinstance(getattr(RUN, name), Path)} - {
        "folder",
        "runs_dir",
        "plotly",
    }
    assert len(files) >= 9
    assert not [name for name in files if getattr(RUN, name) == getattr(other, name)]
    assert RUN.attempt_notebook(1) not in (
        RUN.notebook,
        RUN.attempt_notebook(2),
        other.attempt_notebook(1),
    )


@pytest.mark.parametrize(
    "name", ["4711", "4711_3", "local-20260116-103000", "a", "A.b_c-d", "x" * 100]
)
def test_when_a_name_is_safe_in_files_and_shells_then_it_is_kept(name):
    assert checked_name("job_id", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "..",
        ".hidden",
        "-rf",
        "_a",
        "a b",
        "a\n",
        "a;b",
        "$(id)",
        "`id`",
        "a*",
        "a\\b",
        "é",
        "a:b",
        "x" * 101,
    ],
)
def test_when_a_name_is_not_safe_then_the_error_says_what_is(name):
    with refusal(
        f"job_id is {name!r}, expected 1 to 100 letters, digits, '_', '.' or '-', starting with a "
        "letter or digit (it becomes part of file names); choose another job_id"
    ):
        checked_name("job_id", name)


def test_when_the_disk_is_full_then_the_old_file_stays_and_nothing_is_left(tmp_path):
    """/dev/full answers every write with what a full disk does."""
    path = tmp_path / "result.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(WriteError, match=r"No space left on device"), paths.atomic(path):
        Path("/dev/full").write_text("new", encoding="utf-8")
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == {
        "result.json": "old"
    }


@pytest.mark.parametrize("target", ["/dev/null", "folder"])
def test_when_a_path_is_a_device_or_a_folder_then_it_is_never_replaced(target, tmp_path):
    path = Path(target) if target.startswith("/") else tmp_path / target
    if path.parent == tmp_path:
        path.mkdir()
    with pytest.raises(WriteError, match=r"not a regular file"), paths.atomic(path) as temporary:
        temporary.write_text("x", encoding="utf-8")
    assert path.exists()
    assert not path.is_file()
