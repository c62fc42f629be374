import contextlib
import itertools
import json
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import create_trial
from sqlalchemy import event
from sqlalchemy.engine import Engine

from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths
from hpo_lib.records.storage import Storage
from hpo_lib.records.study import StoredStudy
from tests.conftest import SIMULATED_RUNS

RUN = ("TFT_Q", "heat", "4711")


@pytest.fixture
def run(tmp_path):
    return RunPaths(tmp_path, *RUN)


def created(run, kind="journal"):
    return optuna.create_study(storage=Storage(run, kind).open(), study_name="s")


def loaded(storage):
    return optuna.load_study(storage=storage, study_name="s")


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_when_a_storage_is_opened_then_a_study_in_it_lies_in_its_file_and_is_found_again(
    tmp_path, kind
):
    run = RunPaths(tmp_path / "new", *RUN)
    created(run, kind).add_trial(create_trial(value=1.5))
    files = [f for f in run.folder.iterdir() if f.suffix in (".db", ".journal")]
    assert files == [getattr(run, kind)]
    assert loaded(Storage(run, kind).open()).best_value == 1.5


def test_when_a_journal_storage_is_pickled_then_it_opens_the_same_journal_elsewhere(run):
    """Parallel code of optuna's users hands storages to processes."""
    created(run).add_trial(create_trial(value=1.5))
    again = pickle.loads(pickle.dumps(Storage(run).open()))
    assert loaded(again).best_value == 1.5
    with run.journal.open("ab") as stream:
        stream.write(b'{"half a li')
    loaded(again).add_trial(create_trial(value=0.5))
    assert loaded(Storage(run).open()).best_value == 0.5


def test_when_the_storage_is_a_database_then_its_url_is_recorded_as_it_stands(run):
    assert Storage(run, "postgresql://user@host/db").recorded == "postgresql://user@host/db"


def test_when_storage_is_auto_then_it_is_what_the_study_was_begun_with_and_sqlite_for_a_new_one(
    tmp_path, run
):
    assert Storage(run, "auto").recorded == Storage(run, "sqlite").recorded
    Storage(run, "auto").open()
    assert run.sqlite.exists()
    with pytest.raises(InputError, match="belongs to a study with storage 'sqlite'"):
        Storage(run, "journal").open()

    other = RunPaths(tmp_path, "TFT_Q", "heat", "4712")
    Storage(other, "journal").open()
    assert Storage(other, "auto").recorded == other.journal.name
    assert StoredStudy.read(other).storage == str(other.journal)
    Storage(other, "auto").open()
    assert not other.sqlite.exists()


def test_when_a_writer_of_a_journal_was_killed_or_paused_within_a_line_then_it_is_left_out(
    tmp_path, run
):
    study = created(run)
    study.add_trial(create_trial(value=1.5))
    whole = run.journal.read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    with run.journal.open("ab", buffering=0) as journal:
        journal.write(line[:40])  # as SIGKILL or a full disk leaves it
        study.add_trial(create_trial(value=0.5))
        journal.write(line[40:])  # as a writer does that was only paused
    assert run.journal.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in run.journal.read_text(encoding="utf-8").splitlines())
    assert [trial.value for trial in loaded(Storage(run).open()).trials] == [1.5, 0.5]


def test_when_a_pipe_is_in_the_place_of_a_storage_then_no_reader_waits_for_it(run):
    run.folder.mkdir()
    for file in (run.sqlite, run.journal):
        os.mkfifo(file)
        assert Storage(run).read() is None


def test_when_the_folder_of_the_records_has_braces_in_its_name_then_the_study_lies_in_it(tmp_path):
    run = RunPaths(tmp_path / "{x} {SCHEMA_VERSION}", *RUN)
    study = optuna.create_study(study_name=run.study_name, storage=Storage(run, "sqlite").open())
    study.tell(study.ask(), 1.0)
    assert run.sqlite.exists()
    assert [trial.value for trial in Storage(run).read().trials] == [1.0]


def test_when_a_writer_was_paused_and_another_broke_its_lock_then_it_goes_on(run, monkeypatch):
    study = created(run)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: Path(f"{run.journal}.lock").unlink())
        study.add_trial(create_trial(value=1.5))
    assert [trial.value for trial in study.trials] == [1.5]


def test_when_a_study_is_read_by_plain_queries_then_it_is_what_optunas_own_reader_returns(tmp_path):
    """That one is ten times as slow: `hpo status` of a thousand studies took 43 s."""
    runs_dir = shutil.copytree(SIMULATED_RUNS, tmp_path / "runs")
    run = RunPaths(runs_dir, "NHITS_Q", "heat", "published")
    read = Storage(run).read()
    theirs = optuna.load_study(study_name=run.study_name, storage=f"sqlite:///{run.sqlite}")
    assert read.user_attrs == theirs.user_attrs
    for mine, other in zip(read.trials, theirs.get_trials(), strict=True):
        for name in ("number", "state", "values", "params", "distributions", "user_attrs"):
            assert getattr(mine, name) == getattr(other, name)


@pytest.mark.slow
def test_when_a_worker_is_killed_at_any_write_of_a_new_sqlite_then_the_study_stays_one(tmp_path):
    def begin(run, writes):
        def write(connection, cursor="", statement="COMMIT", *_):
            if not statement.startswith(("SELECT", "PRAGMA")) and next(writes) == 0:
                os._exit(9)

        event.listen(Engine, "before_cursor_execute", write)
        event.listen(Engine, "commit", write)
        created(run, "sqlite")

    for writes in itertools.count():
        run = RunPaths(tmp_path / str(writes), *RUN)
        countdown = itertools.count(writes, -1)
        worker = multiprocessing.get_context("fork").Process(target=begin, args=(run, countdown))
        worker.start()
        worker.join()
        if worker.exitcode == 0:
            break
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            created(run, "sqlite")
        with pytest.raises(optuna.exceptions.DuplicatedStudyError):
            created(run, "sqlite")
        assert loaded(Storage(run, "sqlite").open()).trials == []
    assert writes > 20
