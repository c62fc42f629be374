"""Errors of the environment: one sentence each, and a study that goes on where it can."""

import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from hpo_lib.cli.main import main
from hpo_lib.errors import InputError, StudyError, WriteError
from hpo_lib.launch.status import study_status
from hpo_lib.records.leases import Lease, somebody_lives
from hpo_lib.records.storage import Storage
from hpo_lib.study import trial_queue

# Folders and files


def test_when_a_file_is_where_a_folder_should_be_then_one_sentence_names_it(start, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(
        WriteError, match=rf"\A{tmp_path}/file/runs/.*: cannot be written \(Not a directory\); make"
    ):
        start(runs_dir=tmp_path / "file/runs")


def test_when_the_storage_is_lost_in_mid_study_then_one_sentence_names_it(start, files, family):
    def lose(call):
        if call == 1:
            files.sqlite.unlink()
            files.sqlite.mkdir()

    family.before = lose
    with pytest.raises(
        WriteError,
        match=rf"\A{files.sqlite}: cannot be read or written \(.*\); make room or access",
    ):
        start(storage="sqlite")


def test_when_a_line_of_a_journal_is_damaged_in_mid_study_then_one_sentence_names_it(
    start, files, family
):
    def damage(call):
        if call == 1:
            with files.journal.open("a") as stream:
                stream.write('{"op_code": 8 "trial_id"}\n' * 2)

    family.before = damage
    sentence = r"not a readable study \(line \d+ is no JSON\); restore"
    for _ in range(2):
        with pytest.raises(InputError, match=rf"\A{files.journal}: {sentence}"):
            start()
    with pytest.raises(InputError, match=sentence):
        Storage(files).read()


def test_when_a_command_meets_an_error_of_the_system_then_it_is_one_line(monkeypatch, capsys):
    def breaks(*_):
        raise PermissionError(13, "Permission denied", "/records/of/a/colleague")

    monkeypatch.setattr("hpo_lib.launch.status.study_statuses", breaks)
    assert main(["status"]) == 1
    assert capsys.readouterr().err == (
        "hpo: /records/of/a/colleague: Permission denied; make room or access, and run again\n"
    )


# Reading what others write


HOLD = """
import sys
from pathlib import Path
from hpo_lib.records.leases import Lease
lease = Lease(Path(sys.argv[1]))
print(lease.take(), flush=True)
sys.stdin.read()
"""


def test_when_only_the_lease_of_a_dead_worker_is_left_then_status_changes_nothing(files):
    file = files.worker_lease("1")
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"True\n"
        assert somebody_lives(files)
        assert study_status(files, []).state == "running"
        holder.kill()
    before = file.stat()
    assert not somebody_lives(files)
    assert study_status(files, []).state == "interrupted"
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [*file.parent.iterdir()] == [file]


def test_when_a_lease_vanishes_while_it_is_looked_at_then_nobody_lives(files, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda *_: [files.worker_lease("1")])
    assert not somebody_lives(files)
    with Lease(files.worker_lease("1")):
        monkeypatch.setattr(Lease, "refreshed", lambda lease: None)
        assert not somebody_lives(files)


# Databases


@pytest.mark.parametrize(
    "url, sentence",
    [
        (
            "postgresql://hpo@no.such.host.invalid/hpo",
            "cannot be used \\(.*resolve.*\\); fix the URL or the password",
        ),
        (
            "mysql://hpo@127.0.0.1/hpo",
            "needs its driver, which is not installed; for PostgreSQL `pip install",
        ),
        ("nosql://hpo@127.0.0.1/hpo", "storage is not a database URL"),
    ],
)
def test_when_a_database_cannot_be_reached_then_one_sentence_says_why(url, sentence, start):
    with pytest.raises(InputError, match=sentence):
        start(storage=url)


@pytest.mark.slow
def test_when_a_database_is_restarted_in_mid_study_then_the_study_goes_on_and_ends_with_its_trials(
    start, family, postgres_server, capsys, monkeypatch
):
    monkeypatch.setattr(trial_queue, "PAUSE", 0.2)

    def restart(call):
        if call == 1:
            postgres_server.stop()
            threading.Timer(3, postgres_server.start).start()

    family.before = restart
    study = start(storage=postgres_server.url, trials=4, job_id="restarted")
    assert [trial.state for trial in study.trials] == ["complete"] * 4
    assert len({str(trial.params) for trial in study.trials}) == 4
    assert capsys.readouterr().out.count("The database does not answer") == 1


@pytest.mark.slow
def test_when_a_database_is_down_or_full_as_a_worker_starts_then_it_waits_and_names_the_cause(
    start, family, postgres_server, capsys, monkeypatch
):
    monkeypatch.setattr(trial_queue, "PAUSE", 0.2)
    postgres_server.stop()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(trial_queue, "OUTAGE", 0.0)
            with pytest.raises(StudyError, match=r"refused.*; start it"):
                start(storage=postgres_server.url)
    finally:
        threading.Timer(1, postgres_server.start).start()
    assert len(start(storage=postgres_server.url, job_id="down").complete) == 3
    guests = ExitStack()
    with suppress(psycopg.OperationalError):
        while True:
            guests.enter_context(psycopg.connect(postgres_server.url))
    threading.Timer(2, guests.close).start()
    assert len(start(storage=postgres_server.url, job_id="full").complete) == 3
    assert "too many clients" in capsys.readouterr().out


@pytest.mark.slow
def test_when_a_database_stays_silent_then_the_study_says_how_to_go_on(
    start, family, postgres_server, monkeypatch
):
    monkeypatch.setattr(trial_queue, "OUTAGE", 0.0)
    family.before = lambda call: postgres_server.stop() if call == 1 else None
    try:
        with pytest.raises(
            StudyError, match=r"does not answer .* finished trials are kept, run again under job_id"
        ):
            start(storage=postgres_server.url, job_id="silent")
    finally:
        postgres_server.start()
    family.before = lambda call: None
    assert len(start(storage=postgres_server.url, job_id="silent").complete) == 3
