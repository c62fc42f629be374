"""What killed processes leave: the next run of the study removes its own, `hpo doctor --clean` the
rest.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hpo_lib import paths, stop_requests
from hpo_lib.cli.main import main
from hpo_lib.launch import doctor
from hpo_lib.launch.notebook_run import _keep_earlier
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import Liveness
from tests.study.fakes import FakeFamily


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> FakeFamily:
    fake = FakeFamily()
    monkeypatch.setattr("hpo_lib.study.run.get_family", lambda name: fake)
    return fake


def leave(run: RunPaths) -> list[Path]:
    """What kills of workers leave, in every place."""
    files = [
        run.folder / f".{run.best_params.name}.a1b2c3d4.tmp.json",
        run.folder / f".{run.pareto_front.name}.a1b2c3d4.tmp.html",
        run.predictions / ".trial_0001.parquet.a1b2c3d4.tmp.parquet",
        run.workers / f"{run.decision_lease.name}.break.17.{'0' * 32}",
        run.folder / f"{run.journal.name}.lock12345678-1234-1234-1234-123456789abc.rename",
        run.trial_predictions(77),
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")
    return files


def test_when_a_study_goes_on_after_a_kill_then_it_removes_what_was_left_of_it_and_of_no_other(
    start, files
) -> None:
    start(trials=1)
    other = RunPaths(
        files.runs_dir, files.model, files.dataset, "a.b"
    )  # its name begins with that of the first
    left, others = leave(files), leave(other)
    start(trials=2)
    assert [file for file in left if file.exists()] == []
    assert all(file.exists() for file in others)
    assert [files.trial_predictions(number).exists() for number in (0, 1)] == [True, True]


def test_when_another_worker_lives_then_nothing_of_the_study_is_removed(start, files) -> None:
    start(trials=1)
    left = leave(files)
    with Liveness(files, "2"):
        start(trials=2)
    assert all(file.exists() for file in left)


def test_when_a_notebook_is_written_again_then_what_papermill_left_of_it_is_removed(files) -> None:
    mine = files.folder / f".{files.notebook.name}.a1b2c3d4.tmp.ipynb"
    second = (
        files.folder
        / f".{RunPaths(files.runs_dir, 'FAKE_Q', 'tiny', 'a', 2).notebook.name}.a1b2c3d4.tmp.ipynb"
    )
    files.folder.mkdir()
    for file in (mine, second):
        file.write_bytes(b"half")
    _keep_earlier(files)
    assert (mine.exists(), second.exists()) == (False, True)


def test_when_papermill_was_killed_then_its_next_run_removes_the_folder_of_that_run(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folders = [
        tmp_path / f"hpo-{name}~{pid}-abcd_123"
        for name, pid in (
            ("A_heat_1.1", dead.pid),
            ("A_heat_1.1", os.getpid()),
            ("A_heat_1.2", dead.pid),
        )
    ]
    for folder in folders:
        folder.mkdir()
    with stop_requests.relaying("A_heat_1.1"):
        own = Path(os.environ[stop_requests.STOP_FILE]).parent
        assert own.name.startswith(f"hpo-A_heat_1.1~{os.getpid()}-")
        assert [folder.exists() for folder in folders] == [False, True, True]
    assert stop_requests.abandoned() == [folders[2]]


def test_when_the_doctor_cleans_then_it_lists_first_and_removes_only_if_told(
    start, files, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in (
        "BENCHMARK_DIR",
        "MODELS_DIR",
        "DRAFTS_DIR",
        "FIGURES_DIR",
        "TABLES_DIR",
        "CARDS_DIR",
    ):
        monkeypatch.setattr(paths, name, tmp_path / "none")
    start(trials=1)
    left, kept = leave(files), set(tmp_path.rglob("*"))
    words = ["doctor", "--clean", "--runs-dir", str(files.runs_dir)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.endswith(
        "6 left by killed processes\nnothing is removed; give --yes to remove them\n"
    )
    assert all(str(file) in text and file.exists() for file in left)
    new = tmp_path / ".table.csv.a1b2c3d4.tmp.csv"
    new.write_bytes(b"half")
    assert main([*words, "--yes"]) == 0
    assert kept - set(tmp_path.rglob("*")) == set(left)
    assert new.exists(), "somebody may be writing it"
    os.utime(new, (time.time() - 4000,) * 2)
    assert doctor.leftovers(files.runs_dir) == [new]
    with Liveness(files, "1"):
        leave(files)
        assert doctor.leftovers(files.runs_dir) == [new]
