"""A study that outlives its terminal, ``hpo stop`` and ``attach``."""

import asyncio
import os
import re
import shlex
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

from hpo_lib import stop_requests
from hpo_lib.errors import InputError, StudyError
from hpo_lib.figures import explorer
from hpo_lib.launch import status
from hpo_lib.launch.slurm import Job
from hpo_lib.records.leases import Liveness
from hpo_lib.records.study import StoredStudy
from tests.conftest import hpo
from tests.study.processes import python, until


@pytest.fixture
def stop(tmp_path):
    """Exit code of ``hpo stop``, and what it says."""

    def run(name="a"):
        code, out, err = hpo("stop", name, "--runs-dir", tmp_path, code=None)
        return code, out + err

    return run


def test_when_a_study_is_stopped_then_its_trial_is_put_back_and_a_later_run_completes_it(
    start, family, files, stop
):
    said = []

    def ask(call):
        if call == 1:
            said.append(stop())
            stop_requests.check()  # as a training does after every batch

    family.before = ask
    assert [trial.state for trial in start(trials=3).trials] == ["complete", "interrupted"]
    ((code, text),) = said
    assert code == 0
    assert text.startswith("FAKE_Q_tiny_a is asked to stop: ")
    assert StoredStudy.read(files).result["status"] == "stopped"
    assert stop("FAKE_Q_tiny_a") == (
        1,
        "hpo: FAKE_Q_tiny_a does not run, so nothing is stopped: interrupted (it was asked to "
        "stop, or its time was up)\n",
    )
    family.before = lambda call: None
    again = start(trials=3)
    assert [trial.state for trial in again.trials if trial.finished] == ["complete"] * 3
    assert again.trials[2].params == again.trials[1].params


def test_when_no_study_has_that_name_then_stop_says_which_there_are(start, stop):
    start(trials=1)
    code, text = stop("b")
    assert code == 2
    assert text.startswith("hpo: ")
    assert "FAKE_Q_tiny_a" in text


@pytest.mark.parametrize("name", ["4711", "NHITS_Q_heat_4711"])
def test_when_the_study_is_a_running_slurm_job_then_it_is_cancelled(name, tmp_path, monkeypatch):
    program = tmp_path / "bin/scancel"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $@ > {shlex.quote(str(tmp_path))}/called\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    job = Job("4711_2", "hpo_NHITS_Q_heat", "RUNNING")
    assert status.stop(name, [job], str(tmp_path)).startswith("Slurm job 4711 is cancelled")
    assert (tmp_path / "called").read_text() == "4711\n"
    with pytest.raises(InputError, match="holds no study"):
        status.stop(name, [Job("4711", "hpo_NHITS_Q_heat", "COMPLETED")], str(tmp_path))


def test_when_a_detached_study_cannot_begin_then_the_sentence_of_its_log_comes_out(files):
    with Liveness(files, "1"):  # the lease of a process that looks whether another one runs
        files.notebook.touch()  # of an earlier run
        with pytest.raises(InputError, match=r"^model is 'TFT', which is not a model family"):
            status.detach(files, ["run", "--model", "TFT", "--dataset", "heat"])


def test_when_a_detached_study_ends_without_a_word_then_its_log_and_code_are_named(
    files, monkeypatch
):
    monkeypatch.setattr(status.sys, "executable", "/bin/false")
    with pytest.raises(StudyError, match=r"hpo_FAKE_Q_tiny_a\.log: the process ended with 1$"):
        status.detach(files, ["run"])


def test_when_the_storage_does_not_answer_for_a_while_then_who_looks_is_told_and_looks_on(
    start, files, monkeypatch
):
    monkeypatch.setattr(explorer, "EVERY", 0.01)
    start(trials=1)
    study = StoredStudy.read(files)
    page = explorer.HTML()
    said = []
    page.observe(lambda change: said.append(change["new"]), "value")
    monkeypatch.setattr(StoredStudy, "read", Mock(side_effect=[StudyError("no answer"), study]))
    asyncio.run(explorer._follow(page, study))
    assert said[0] == "<b>no answer</b>"
    assert "FAKE_Q_tiny_a: done" in said[1]


def test_when_a_study_is_attached_to_then_it_is_followed_until_its_end_by_all_who_look(
    start, files, monkeypatch
):
    monkeypatch.setattr(explorer, "EVERY", 0.01)
    pages = []
    monkeypatch.setattr(explorer, "display", pages.append)

    async def look():
        for _ in range(2):
            explorer.attach("a", str(files.runs_dir))
        with Liveness(files, "7"):
            while not all("running, 1 of 1 trials" in page.value for page in pages):
                await asyncio.sleep(0.01)
        assert all("<progress" in page.value and "<img" in page.value for page in pages)
        start(trials=2)
        await asyncio.wait([page.task for page in pages], timeout=60)

    start(trials=1)
    asyncio.run(look())
    for page in pages:
        assert page.task.exception() is None
        assert "max=2 value=2" in page.value
        assert "FAKE_Q_tiny_a: done, 2 of 2 trials" in page.value
        assert "trial 1: complete MAE " in page.value
        assert "TEST BUDGET" in page.value


@pytest.mark.slow
def test_when_a_study_of_two_workers_is_detached_then_it_survives_and_stop_ends_both(study_in):
    study = study_in("journal", "NHITS_Q")
    begun = python(study.root, *study.words(50), "--workers", "2", "--detach")
    assert (begun.returncode, begun.stderr) == (0, "")
    shown = dict(re.findall(r"^(\w+) +(.*)", begun.stdout, re.M))
    assert shown["log"] == str(study.files.log)
    leases = [study.files.worker_lease(str(number)) for number in (1, 2)]
    lives = [SimpleNamespace(poll=lambda: None)]
    until(lambda: all(study.running(number) for number in "12"), "both workers train", lives)
    # A study that is stopped before its first complete trial fails.
    until(lambda: "COMPLETE" in {t.state.name for t in study.trials()}, "a trial ends", lives)
    pids = [int(re.search(r"^pid=(\d+)$", lease.read_text(), re.M)[1]) for lease in leases]
    kernels = [psutil.Process(pid) for pid in pids]
    ended = python(study.root, "-m", "hpo_lib", *shlex.split(shown["stop"].split("  ")[0])[1:])
    assert ended.returncode == 0, ended.stderr
    _, alive = psutil.wait_procs([*kernels, *kernels[0].parents()[:1]], 120)
    assert alive == []
    stored = status.study_status(study.files, [])
    assert stored.state == "interrupted"
    assert stored.study.finished < 50
    assert {t.state.name for t in study.trials()} <= {"COMPLETE", "FAIL"}
    said = study.files.log.read_text()
    assert "[2] The study stopped before its end: request to stop (hpo stop)" in said
