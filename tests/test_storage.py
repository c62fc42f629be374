import subprocess
import sys
from pathlib import Path

import pytest

from hpo_lib import paths
from hpo_lib.errors import StudyError
from hpo_lib.paths import RunPaths
from hpo_lib.storage import StudyLock, open_storage, storage_url

HOLD = """
import sys, time
from pathlib import Path
from hpo_lib.errors import StudyError
from hpo_lib.storage import StudyLock
try:
    with StudyLock(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
except StudyError as error:
    print(error, flush=True)
"""


def worker(lock: Path) -> "subprocess.Popen[str]":
    """A real process that says ``held`` or why not, and holds the lock until its stdin ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)],
        cwd=paths.PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def sentence(lock: Path) -> str:
    return f"another process works on this study (it holds {lock}); wait for it, stop it, or choose another job_id"


def test_when_a_worker_is_killed_then_the_next_one_gets_the_study_which_it_was_refused_before(tmp_path: Path) -> None:
    lock = tmp_path / "TFT_Q_heat" / ".study.lock"
    with worker(lock) as holder:
        try:
            assert first_line(holder) == "held"
            with worker(lock) as refused:
                assert first_line(refused) == sentence(lock)
            with pytest.raises(StudyError) as caught, StudyLock(lock):
                pass
            assert str(caught.value) == sentence(lock)
        finally:
            holder.kill()  # SIGKILL: no handler runs, nothing is cleaned up
    with worker(lock) as successor:
        assert first_line(successor) == "held"
        successor.communicate("")


def test_when_the_work_ends_well_or_badly_then_the_lock_is_free_again(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with StudyLock(lock), pytest.raises(StudyError, match="another process works on this study"), StudyLock(lock):
        pass
    with pytest.raises(ZeroDivisionError), StudyLock(lock):
        raise ZeroDivisionError
    with StudyLock(lock):
        pass


def test_when_two_studies_are_worked_on_then_neither_waits_for_the_other(tmp_path: Path) -> None:
    one, other = (RunPaths(tmp_path, "TFT_Q", "heat", job_id) for job_id in ("1", "2"))
    with StudyLock(one.lock), StudyLock(other.lock):
        pass


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_when_a_storage_is_opened_then_a_study_in_it_lies_in_its_file_and_is_found_again(tmp_path, kind: str) -> None:
    import optuna

    run = RunPaths(tmp_path / "new", "TFT_Q", "heat", "4711")
    file = {"sqlite": run.sqlite, "journal": run.journal}[kind]
    optuna.create_study(storage=open_storage(kind, run), study_name="s").add_trial(optuna.trial.create_trial(value=1.5))
    assert file.is_file()
    assert [f for f in run.folder.iterdir() if f.suffix in (".db", ".journal")] == [file]
    assert optuna.load_study(storage=open_storage(kind, run), study_name="s").best_value == 1.5


def test_when_a_storage_is_recorded_then_it_is_what_a_reader_can_open(tmp_path: Path) -> None:
    run = RunPaths(tmp_path, "TFT_Q", "heat", "4711")
    assert storage_url("sqlite", run) == f"sqlite:///{tmp_path}/TFT_Q_heat/study_TFT_Q_heat_4711.db"
    assert storage_url("journal", run) == f"{tmp_path}/TFT_Q_heat/study_TFT_Q_heat_4711.journal"
    assert storage_url("postgresql://user@host/db", run) == "postgresql://user@host/db"


def test_when_a_url_is_given_then_the_study_lies_there_and_not_in_the_runs_folder(tmp_path: Path) -> None:
    import optuna

    run = RunPaths(tmp_path / "runs", "TFT_Q", "heat", "4711")
    optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/elsewhere.db", run), study_name="s")
    assert (tmp_path / "elsewhere.db").is_file()
    assert not run.sqlite.exists()
