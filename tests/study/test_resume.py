"""A study whose process is killed or interrupted in mid-trial, as it happens on a cluster and on a
laptop.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths
from hpo_lib.records.executed_notebook import Record, read_record
from hpo_lib.records.result import load_result
from hpo_lib.records.storage import Storage

pytestmark = pytest.mark.slow

PATIENCE = 300
"""Seconds until a process that does not get on counts as stuck."""


class Study:
    """One study of the smallest budget on the simulated heat data, run by the command in a process
    of its own.
    """

    def __init__(self, root: Path, runs_dir: Path, storage: str, trials: int) -> None:
        self.root, self.storage = root, storage
        self.files = RunPaths(runs_dir, "NHITS_Q", "heat", "k")
        self.command = [
            sys.executable,
            "-m",
            "hpo_lib",
            "run",
            "--model",
            "NHITS_Q",
            "--dataset",
            "heat",
            "--test",
            "--job-id",
            "k",
            "--runs-dir",
            str(runs_dir),
            "--simulated",
            "--storage",
            storage,
            "--trials",
            str(trials),
            "--space",
            "plan",
            "--policy",
            "calibrated",
        ]
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    @contextmanager
    def begun(self) -> Iterator[subprocess.Popen[str]]:
        """The process, once trial 1 is running with all its parameters; nothing of it is left
        afterwards.
        """
        with subprocess.Popen(
            self.command,
            cwd=self.root,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=heeding_interrupts,
        ) as process:
            family_tree: list[psutil.Process] = []
            try:
                give_up = time.monotonic() + PATIENCE
                while not self._trial_1_runs():
                    assert process.poll() is None, f"ended too early: {process.communicate()[0]}"
                    assert time.monotonic() < give_up, "trial 1 never began"
                    time.sleep(0.02)
                family_tree = psutil.Process(process.pid).children(recursive=True)
                assert family_tree, "papermill has started no kernel"
                yield process
            finally:
                for member in [*family_tree, process]:
                    if (
                        member.is_running()
                        if isinstance(member, psutil.Process)
                        else member.poll() is None
                    ):
                        member.kill()

    def _trial_1_runs(self) -> bool:
        return any(
            t.number == 1 and t.state == TrialState.RUNNING and len(t.params) == 7
            for t in self.trials()
        )

    def trials(self) -> list[FrozenTrial]:
        with suppress(InputError):  # its tables are being made
            if study := Storage(self.files).read():
                return study.get_trials(deepcopy=True)
        return []


def heeding_interrupts() -> None:
    """A shell that starts the tests in the background has them, and all that they start, ignore
    Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL to papermill and its kernel, which Jupyter puts into a group of its own."""
    members = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    for member in members:
        member.kill()
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert_gone(members)


def assert_gone(members: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(members, timeout=60)
    assert alive == [], "a kernel outlived its papermill"


def assert_completed(study: Study, trials: int, before: list[FrozenTrial]) -> None:
    """All trials are there, what was finished is untouched, and the interrupted configuration was
    tried again.
    """
    after = study.trials()
    assert before[0].state == TrialState.COMPLETE
    assert after[0] == before[0]
    states = [trial.state for trial in after]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, *[TrialState.COMPLETE] * (trials - 1)]
    assert after[1].user_attrs["interrupted"] is True
    assert after[1].params == after[2].params == before[1].params
    assert after[2].user_attrs["retry_of"] == 1
    record = load_result(study.files.best_params)
    assert record["status"] == "complete"
    assert record["n_completed"] == trials
    assert record["n_interrupted"] == 1
    for notebook in (study.files.notebook, study.files.attempt_notebook(1)):
        nbformat.validate(nbformat.read(notebook, as_version=4))
    assert not study.files.attempt_notebook(2).exists()
    assert study.files.pareto_front.exists()


@pytest.fixture
def study_of(root: Path, tmp_path: Path) -> Callable[[str, int], Study]:
    return lambda storage, trials: Study(root, tmp_path, storage, trials)


@pytest.mark.parametrize(("storage", "trials"), [("sqlite", 3), ("journal", 2)])
def test_when_all_processes_are_killed_in_mid_trial_then_the_same_command_completes_the_study(
    storage, trials, study_of
) -> None:
    study = study_of(storage, trials)
    with study.begun() as process:
        kill_all(process)
    before = study.trials()
    assert [trial.state for trial in before[:2]] == [TrialState.COMPLETE, TrialState.RUNNING]

    again = study.run()
    assert again.returncode == 0, again.stderr
    assert_completed(study, trials, before)

    if storage == "sqlite":
        complete = study.trials()
        third = study.run()
        assert third.returncode == 0, third.stderr
        assert "The study holds 3 finished trials, so no trial is trained" in third.stdout
        assert study.trials() == complete
        assert study.files.attempt_notebook(2).exists()


def test_when_the_user_interrupts_a_study_then_it_says_how_to_go_on_and_the_same_command_completes_it(
    study_of,
) -> None:
    study = study_of("sqlite", 5)
    with study.begun() as process:
        kernels = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert (
            "hpo: interrupted; finished trials are kept, `hpo run --model NHITS_Q --dataset heat "
            "--job-id k` with the "
            "same options continues"
        ) in said
        assert "To exit: use" not in said
        assert_gone(kernels)
    kept = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    assert kept

    again = study.run()
    assert again.returncode == 0, again.stderr
    after = study.trials()
    assert {trial.state for trial in after} <= {
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
    }
    # The rule may stop a trial early, which counts as one of the five.
    assert sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in after) == 5
    assert after[: len(kept)] == kept


def test_when_papermill_and_then_every_process_gets_sigterms_then_the_record_is_written_to_its_end(
    study_of,
):
    study = study_of("sqlite", 50)
    with study.begun() as process:
        members = [
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        ]
        process.terminate()
        while "asked_to_stop" not in study.trials()[-1].user_attrs:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        while not read_record(study.files.notebook).complete and process.poll() is None:
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    member.terminate()
            time.sleep(0.01)
        said, _ = process.communicate(timeout=PATIENCE)
    assert read_record(study.files.notebook) == Record(complete=True), said
    result = load_result(study.files.best_params)
    assert (result["status"], result["n_interrupted"]) == ("stopped", 1)
    stopped = study.trials()[-1]
    assert (stopped.state, stopped.user_attrs["asked_to_stop"]) == (TrialState.FAIL, "SIGTERM")


def test_when_only_papermill_is_killed_then_its_kernel_ends_too_and_frees_the_study(
    study_of,
) -> None:
    study = study_of("sqlite", 50)
    with study.begun() as process:
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(timeout=30)
        assert_gone(kernels)
    assert len(study.trials()) < 50, "the kernel went on without its papermill"
