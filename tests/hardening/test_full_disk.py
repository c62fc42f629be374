"""A disk that is full or read-only, for real: one sentence, no trial is lost, and the study ends
with its trials.
"""

import os
import signal
import subprocess
from contextlib import suppress
from functools import partial

import pytest

from hpo_lib.cli.main import main
from hpo_lib.errors import HpoError, WriteError
from hpo_lib.launch.status import study_status
from hpo_lib.paths import RunPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.verify import verify
from tests.conftest import SIMULATED_RUNS
from tests.hardening.invariants import assert_that_nothing_was_lost_and_nothing_is_left
from tests.study.conftest import files, start
from tests.study.fake_worker import pause_once
from tests.study.fakes import FakeFamily
from tests.study.processes import assert_done, end, until

__all__ = ["files", "start"]

FREE = (0, 4, 8, 16, 24, 48)
"""Kilobytes left when the disk is full: another file is the first that does not fit."""


@pytest.fixture
def disk(tmp_path, request):
    """A file system of 2 MB, or of as many as the test says."""
    (folder := tmp_path / "disk").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={getattr(request, 'param', 2)}m", "tmpfs", folder],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a file system needs root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def ext4(tmp_path):
    """A file system of 8 MB that becomes read-only at the first error."""
    (folder := tmp_path / "FAKE_Q_tiny").mkdir()
    with (image := folder.with_suffix(".img")).open("wb") as stream:
        stream.truncate(2**23)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, folder]):
        if subprocess.run(command).returncode != 0:
            pytest.skip("a file system in a file needs root and a loop device")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def read_only(tmp_path):
    """Makes a second view of a file system, through which nothing can be written."""
    (folder := tmp_path / "read-only").mkdir()

    def mount(disk):
        subprocess.run(["mount", "--bind", disk, folder], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def family(monkeypatch):
    fake = FakeFamily()
    monkeypatch.setattr("hpo_lib.study.proof.get_family", lambda name: fake)
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")  # 5 MB, more than the disk
    return fake


def fill(disk, free):
    """A file that leaves so many kilobytes."""
    left, filler = os.statvfs(disk), disk / "filler"
    with suppress(OSError):  # a study that writes meanwhile takes what is left
        filler.write_bytes(bytes(max(left.f_bavail * left.f_frsize - free * 1024, 0)))
    return filler


def left_behind(run):
    """Files of the study that are none of its records."""
    kept = {
        run.best_params,
        run.scales,
        run.pareto_front,
        run.mae_history,
        run.param_importance,
        run.sqlite,
        run.journal,
    }
    kept |= set(run.predictions.glob("trial_????.parquet"))
    return [str(file) for file in run.folder.rglob("*") if file.is_file() and file not in kept]


@pytest.mark.parametrize("free", FREE)
@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_when_the_disk_fills_up_then_one_sentence_says_so_and_with_room_the_study_completes(
    storage, free, disk, start, family, files
):
    files = RunPaths(disk, files.model, files.dataset, files.job_id)
    family.before = lambda call: fill(disk, free) if call == 2 else None
    with pytest.raises(WriteError, match=r"; make room or access, and run again\Z") as refused:
        start(trials=8, runs_dir=disk, storage=storage)
    assert str(disk) in str(refused.value)
    study_status(files, [])  # reads what is there
    family.before = lambda call: None
    with pytest.raises(WriteError):  # still full
        start(trials=8, runs_dir=disk, storage=storage)
    (disk / "filler").unlink()
    study = start(trials=8, runs_dir=disk, storage=storage)
    assert [trial.state for trial in study.trials if trial.finished] == ["complete"] * 8
    assert len({str(trial.params) for trial in study.complete}) == 8
    assert not [trial for trial in study.trials if trial.state == "running"]
    assert study_status(files, []).state != "corrupt"
    start(trials=8, runs_dir=disk, storage=storage)
    assert left_behind(files) == []


@pytest.mark.parametrize("free", [8, 12, 16, 20, 24])
def test_when_the_disk_is_full_as_a_study_begins_then_it_is_named_and_with_room_the_study_completes(
    free, disk, start, family
):
    filler = fill(disk, free)
    for _ in range(2):
        with pytest.raises(WriteError, match=r"(disk|device).*; make room or access"):
            start(runs_dir=disk, storage="sqlite")
    filler.unlink()
    for _ in range(2):
        assert len(start(runs_dir=disk, storage="sqlite").complete) == 3


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
@pytest.mark.parametrize("place", ["ask", "_finish"])
def test_when_a_file_system_turns_read_only_then_one_sentence_says_so_and_nothing_is_lost(
    place, storage, ext4, study_in
):
    study = study_in(storage)
    worker = study.worker(1, 5, partial(pause_once, place))
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
    subprocess.run(["mount", "-o", "remount,abort", ext4], check=True)
    worker.send_signal(signal.SIGCONT)
    assert "WriteError" in end(worker, 1)
    subprocess.run(["umount", ext4], check=True)
    subprocess.run(["mount", "-o", "loop", ext4.with_suffix(".img"), ext4], check=True)
    assert_done(study.worker(1, 5))
    assert_that_nothing_was_lost_and_nothing_is_left(study, 5)


@pytest.mark.parametrize("disk", [20], indirect=True)
def test_when_records_are_read_only_then_reports_work_and_what_would_write_says_one_sentence(
    disk, read_only, start, family, tmp_path, capsys
):
    subprocess.run(["cp", "-r", *SIMULATED_RUNS.iterdir(), disk], check=True)
    start(trials=3, runs_dir=disk)
    disk = read_only(disk)
    before = {file: file.stat().st_mtime_ns for file in disk.rglob("*")}
    runs, thesis, none = ["--runs-dir", str(disk)], tmp_path / "thesis", str(tmp_path / "none")
    assert main(["status", *runs]) == 0
    assert main(["analyze", *runs]) == 0
    assert main(["figures", *runs, "--out", str(thesis), "--benchmark-dir", none]) == 0
    for file in disk.rglob("best_params_*heat*.json"):
        assert not [word for word, _ in verify(file, none).told if word in ("BROKEN", "DRIFT")]
    capsys.readouterr()
    for words in (
        ["figures", *runs, "--out", str(disk), "--benchmark-dir", none],
        ["consolidate", *runs, "--out", str(disk)],
        ["run", *runs, "--model", "NHITS_Q", "--dataset", "heat", "--test", "--simulated"],
    ):
        assert main(words) == 1, words
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1, said
        assert "Read-only file system" in said[0]
    with pytest.raises(HpoError, match=r"Read-only file system|readonly database"):
        start(trials=5, runs_dir=disk)
    assert {file: file.stat().st_mtime_ns for file in disk.rglob("*")} == before


@pytest.mark.parametrize("disk", [40], indirect=True)
def test_when_the_disk_fills_up_during_hpo_run_then_it_says_one_sentence_and_with_room_it_completes(
    disk, study_in
):
    study = study_in("sqlite", "NHITS_Q", disk)
    process = study.hpo_run(3)
    until(study.files.trial_predictions(0).exists, "the first trial is stored", [process])
    filler = fill(disk, 0)
    said = end(process, 1)
    last = said.splitlines()[-1]
    assert last.startswith(f"hpo: {disk}"), said
    assert last.endswith("make room or access, and run again")
    assert "Traceback" not in said
    filler.unlink()
    end(study.hpo_run(3))
    trials = StoredStudy.read(study.files).trials
    assert [trial.state for trial in trials if trial.finished] == ["complete"] * 3
    toml = study.toml
    assert verify(study.files.best_params, toml.parent, str(toml)).told == []
