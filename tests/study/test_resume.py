"""A study whose process is killed or interrupted in mid-trial, as on a cluster and on a laptop."""

import os
import signal
import time
from contextlib import suppress

import nbformat
import psutil
import pytest
from optuna.trial import TrialState

from hpo_lib.records.read_write import Record, read_record
from hpo_lib.records.result import load_result
from tests.study.processes import PATIENCE, end, until

pytestmark = pytest.mark.slow


def begin(study, trials):
    """The command and its kernel with all that it has started, once trial 1 is running."""
    process = study.hpo_run(trials)
    until(study.files.trial_predictions(0).exists, "trial 0 is stored", [process])
    until(
        lambda: [t for t in study.running("1") if (t.number, len(t.params)) == (1, 7)],
        "trial 1 runs",
        [process],
    )
    kernels = psutil.Process(process.pid).children(recursive=True)
    assert kernels, "papermill has started no kernel"
    return process, kernels


def assert_gone(members):
    _, alive = psutil.wait_procs(members, PATIENCE)
    assert alive == [], "a kernel outlived its papermill"


def test_when_all_processes_are_killed_in_mid_trial_then_the_same_command_completes_the_study(
    study_in,
):
    study = study_in("sqlite", "NHITS_Q")
    process, kernels = begin(study, 3)
    os.killpg(process.pid, signal.SIGKILL)
    for kernel in kernels:  # Jupyter puts them into groups of their own
        kernel.kill()
    end(process, -signal.SIGKILL)
    assert_gone(kernels)
    before = study.trials()
    assert [trial.state for trial in before[:2]] == [TrialState.COMPLETE, TrialState.RUNNING]

    end(study.hpo_run(3))
    after = study.trials()
    assert after[0] == before[0]
    states = [trial.state for trial in after]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, *[TrialState.COMPLETE] * 2]
    assert after[1].user_attrs["interrupted"] is True
    assert after[1].params == after[2].params == before[1].params
    assert after[2].user_attrs["retry_of"] == 1
    record = load_result(study.files.best_params)
    assert (record["status"], record["n_completed"], record["n_interrupted"]) == ("complete", 3, 1)
    for notebook in (study.files.notebook, study.files.attempt_notebook(1)):
        nbformat.validate(nbformat.read(notebook, as_version=4))
    assert not study.files.attempt_notebook(2).exists()
    assert study.files.pareto_front.exists()

    assert "The study holds 3 finished trials, so no trial is trained" in end(study.hpo_run(3))
    assert study.trials() == after
    assert study.files.attempt_notebook(2).exists()


def test_when_the_user_interrupts_a_study_then_the_command_that_it_names_completes_it(study_in):
    study = study_in("sqlite", "NHITS_Q")
    process, kernels = begin(study, 3)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    said = end(process, 130)
    again = f"this goes on: hpo run --model NHITS_Q --dataset {study.toml} --job-id a "
    assert f"hpo: interrupted; finished trials are kept, and {again}" in said
    assert "To exit: use" not in said
    assert_gone(kernels)
    complete = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    assert complete

    end(study.hpo_run(3))
    after = study.trials()
    states = [trial.state for trial in after]
    assert set(states) <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    # The rule may stop a trial early, which counts as one of the three.
    assert states.count(TrialState.COMPLETE) + states.count(TrialState.PRUNED) == 3
    assert after[: len(complete)] == complete


def test_when_papermill_and_then_every_process_gets_sigterms_then_the_record_is_written_to_its_end(
    study_in,
):
    study = study_in("sqlite", "NHITS_Q")
    process, kernels = begin(study, 50)
    process.terminate()
    until(
        lambda: any("asked_to_stop" in trial.user_attrs for trial in study.trials()),
        "it is asked",
        [process],
    )
    while not read_record(study.files.notebook).complete and process.poll() is None:
        for member in (psutil.Process(process.pid), *kernels):
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        time.sleep(0.01)
    said, _ = process.communicate(timeout=PATIENCE)
    assert read_record(study.files.notebook) == Record(complete=True), said
    result = load_result(study.files.best_params)
    assert (result["status"], result["n_interrupted"]) == ("stopped", 1)
    stopped = study.trials()[-1]
    assert (stopped.state, stopped.user_attrs["asked_to_stop"]) == (TrialState.FAIL, "SIGTERM")


def test_when_only_papermill_is_killed_then_its_kernel_ends_too_and_frees_the_study(study_in):
    study = study_in("sqlite", "NHITS_Q")
    process, kernels = begin(study, 50)
    process.kill()
    assert_gone(kernels)
    assert len(study.trials()) < 50, "the kernel went on without its papermill"
