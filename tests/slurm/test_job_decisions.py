"""What a job decides when its study's process has ended, with stand-ins for that process and for
Slurm's programs.
"""

import os
import shlex
import sys
from pathlib import Path

import pytest

from hpo_lib.errors import NO_ANSWER
from hpo_lib.launch.slurm_requeue import ThisJob, run_job
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import write_json
from tests.conftest import essentials, executed

MAX_REQUEUES = 2
SCONTROL = """#!/bin/sh
echo "$*" >> {log}
echo JobState={state}
"""


@pytest.fixture
def run(tmp_path):
    found = RunPaths(tmp_path, "NHITS_Q", "heat", "4711", worker=2)
    found.folder.mkdir()
    return found


@pytest.fixture
def decide(run, tmp_path, monkeypatch, capfd):
    """The exit code of the job, its output, and whether it was requeued."""

    def program(name, text):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
        return str(file)

    def outcome(end, *, before=0, after=0, state="RUNNING", left="10:30", requeues=0, **more):
        for file, finished in ((run.best_params, before), (tmp_path / "after", after)):
            kinds = enumerate(("completed", "failed", "pruned"))
            counts = {f"n_{kind}": int(finished > i) for i, kind in kinds}
            write_json(file, {**essentials({}), **counts, **more})
        write = shlex.join(["cp", str(tmp_path / "after"), str(run.best_params)])
        monkeypatch.setattr(sys, "executable", program("python", f"#!/bin/sh\n{write}\n{end}\n"))
        log = tmp_path / "scontrol.log"
        program("scontrol", SCONTROL.format(log=shlex.quote(str(log)), state=state))
        program("squeue", f"#!/bin/sh\necho {left}\n")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        code = run_job(
            run, [], ThisJob("4711_2", "4711", 2, requeues, 600, max_requeues=MAX_REQUEUES), 3
        )
        requeued = "requeue 4711_2\n" in (log.read_text(encoding="utf-8") if log.exists() else "")
        log.unlink(missing_ok=True)
        return code, capfd.readouterr().out, requeued

    return outcome


KILLED = "kill -9 $$"


def test_when_workers_share_a_gpu_then_the_daemon_of_mps_serves_them_alone(
    run, tmp_path, monkeypatch
):
    said = tmp_path / "said"
    daemon = f'echo "mps $* $(timeout 1 cat) $CUDA_MPS_PIPE_DIRECTORY" >> {shlex.quote(str(said))}'
    study = f'echo "study $* $CUDA_MPS_PIPE_DIRECTORY" >> {shlex.quote(str(said))}; exit 2'
    for name, text in (("nvidia-cuda-mps-control", daemon), ("python", study)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for variable in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
        monkeypatch.setenv(variable, "of others")
    assert run_job(run, ["--workers", "2"], ThisJob("4711_2", "4711", 3, workers_per_gpu=2), 3) == 2
    begun, study, ended = said.read_text().splitlines()
    folder = begun.split()[-1]
    assert begun == f"mps -d  {folder}"
    assert study == f"study -m hpo_lib run --workers 2 {folder}"
    assert ended == f"mps  quit {folder}"
    assert not Path(folder).exists()
    said.unlink()
    run_job(run, [], ThisJob("4711", "4711"), 3)
    assert said.read_text().count("mps ") == 0, "one worker needs no daemon"


def test_when_all_trials_are_there_then_the_job_is_done(decide):
    attempt = "attempt 1 (0 of at most 2 without progress) of worker 2 of study NHITS_Q_heat_4711"
    assert decide("exit 0", after=3) == (0, f"{attempt}, job 4711_2\n", False)


def test_when_the_study_settled_with_fewer_trials_then_the_job_is_done(decide):
    numbers = dict.fromkeys(("change", "seed_change", "luck", "gain"), 1.0)
    settled = {"trials": 2, "asked": 3, "days": 9, **numbers}
    assert decide("exit 0", after=2, settled=settled)[::2] == (0, False)


def test_when_a_study_starts_then_its_time_budget_ends_as_slurm_warns(decide):
    for left, hours, code in (("5:00", "0.0003", 1), ("11:30", "0.0250", 0)):
        ended, output, _ = decide('echo "$*"; exit 1', left=left)
        assert (ended, f" run --time-budget-hours {hours}\n" in output) == (code, True)


@pytest.mark.parametrize(
    "given, why",
    [
        ({"after": 1}, "2 trials are missing: its process was killed by SIGKILL"),
        ({}, "3 trials are missing: its process was killed by SIGKILL"),
        (
            {"after": 3},
            "all trials are there, but the record is incomplete: its process was killed by SIGKILL",
        ),
        ({"end": "exit 1", "after": 2}, "1 trials are missing: its kernel was killed"),
        ({"end": "exit 0", "after": 2}, "1 trials are missing: its time budget is spent"),
        (
            {"end": "kill -USR1 $PPID; sleep 0.3; exit 0", "after": 2},
            "1 trials are missing: the study was asked to stop by SIGUSR1",
        ),
    ],
)
def test_when_another_attempt_can_bring_what_is_missing_then_the_job_is_requeued(
    given, why, decide
):
    end = given.get("end", KILLED)
    code, said, requeued = decide(**{**given, "end": f"trap '' USR1; {end}"})
    assert (code, requeued) == (0, True)
    assert f"{why}\nrequeue 1\n" in said


@pytest.mark.parametrize(
    "given, why",
    [
        ({"state": "CANCELLED"}, "the job was already cancelled or requeued, so it is left alone"),
        ({"end": "exit 0", "before": 1}, "no trial finished within the time limit"),
        ({"end": "exit 1", "before": 1}, "no trial finished within the time limit"),
    ],
)
def test_when_another_attempt_is_unwanted_or_useless_then_the_job_fails_and_says_why(
    given, why, decide
):
    code, said, requeued = decide(**{"end": KILLED, "after": 1, **given})
    assert (code, requeued) == (1, False)
    assert why in said


UNPROVEN = {"selection": {"policy": "proven", "trial": 0, "reason": "", "alternatives": {}}}


def test_when_only_the_proof_is_missing_then_it_goes_on_as_long_as_trainings_are_made(decide, run):
    lacks = "all trials are there, but the record is incomplete: its time budget is spent\n"
    run.predictions.mkdir()
    one_more = f"touch {shlex.quote(str(run.replicate(0, 43).record))}; exit 0"
    code, said, requeued = decide(one_more, before=3, after=3, **UNPROVEN)
    assert (code, requeued, f"{lacks}requeue 1\n" in said) == (0, True, True)
    code, said, requeued = decide(one_more, before=3, after=3, requeues=1, **UNPROVEN)
    assert (code, requeued) == (1, False)
    assert f"{lacks}no trial finished within the time limit" in said


def test_when_the_job_is_warned_then_the_study_is_told(decide):
    _, output, _ = decide(
        "trap 'echo told; exit 0' USR1; kill -USR1 $PPID; for i in $(seq 3000); do sleep 0.2; done"
    )
    assert "received SIGUSR1: the study is asked to stop\n" in output
    assert "told\n" in output


@pytest.mark.parametrize(
    "sentence, outcome", [("all failed alike", (1, False)), (f"{NO_ANSWER} (down)", (0, True))]
)
def test_when_the_study_failed_then_the_job_fails_too_but_for_a_database_that_is_down(
    sentence, outcome, decide, run
):
    write_json(run.notebook, executed(error=sentence))
    assert decide("exit 1", after=1)[::2] == outcome


def test_when_every_attempt_progresses_then_preemptions_do_not_use_up_the_requeues(decide):
    for done in range(3):
        code, said, requeued = decide(KILLED, before=done, after=done + 1, requeues=10 + done)
        assert (code, requeued) == (0, True)
        assert f"attempt {11 + done} (0 of at most 2 without progress)" in said


def test_when_attempts_make_no_progress_then_they_are_counted_across_requeues_and_end_the_job(
    decide,
):
    def requeued(before, after, requeues=0):
        return decide(KILLED, before=before, after=after, requeues=requeues, left="5:00:00")[2]

    assert requeued(1, 1)
    assert requeued(1, 1, 1)
    code, output, _ = decide(KILLED, before=1, after=1, requeues=2, left="5:00:00")
    assert (code, "requeued 2 times without progress, which is MAX_REQUEUES" in output) == (1, True)
    # In between one attempt progresses, and does not count; Slurm itself put two back that said
    # nothing at their end.
    assert requeued(1, 1)
    assert requeued(1, 2, 1)
    assert requeued(2, 2, 2)
    assert not requeued(2, 2, 3)


def test_when_max_requeues_is_zero_then_there_is_no_other_attempt(decide, monkeypatch):
    monkeypatch.setattr("tests.slurm.test_job_decisions.MAX_REQUEUES", 0)
    code, said, requeued = decide(KILLED, after=1)
    assert (code, requeued) == (1, False)
    assert "which is MAX_REQUEUES" in said


def test_when_the_input_is_wrong_then_nothing_is_tried_again(decide):
    assert decide("exit 2")[::2] == (2, False)
