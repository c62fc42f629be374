"""A study whose workers are real processes: to start them, wait for them, kill them, and see what
they have left.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from optuna.trial import TrialState

from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths
from hpo_lib.records.storage import Storage

PATIENCE = 900.0
"""Seconds until a process that does not get on counts as stuck."""


def python(root, *command, **environment):
    """Runs Python in the repository's root, outside any Slurm job, and waits for its end."""
    inherited = {name: value for name, value in os.environ.items() if name != "SLURM_JOB_ID"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


def until(happened, what, processes):
    """Wait for something that processes do, and say what they said if they end without it."""
    give_up = time.monotonic() + PATIENCE
    while True:
        begun = time.monotonic()
        if found := happened():
            return found
        looked = time.monotonic() - begun
        assert time.monotonic() < give_up, f"waited in vain: {what}"
        ended = [process for process in processes if process.poll() is not None]
        assert len(ended) < len(processes), (
            f"all ended before: {what}\n{[p.communicate()[0] for p in ended]}"
        )
        time.sleep(0.05 + 3 * looked)  # to look costs the processes no more than a quarter


def stored_trials(files, storage="auto"):
    """All trials of a study; none while its tables are being made."""
    with suppress(InputError):
        if study := Storage(files, storage).read():
            return study.trials
    return []


class Study:
    """One study in a folder, with its processes; none is left behind."""

    def __init__(self, root, runs_dir, toml, storage, model):
        self.root = root
        self.storage = storage
        self.toml = toml
        self.files = RunPaths(runs_dir, model, "tiny", "a")
        self.processes = []

    def start(self, *command):
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self.root,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell that starts the tests in the background has them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.processes.append(process)
        return process

    def worker(self, number, trials, *before, seconds=0.0, together=1):
        """One of the fake family."""
        from tests.study.fake_worker import FakeWorker  # imports what a study imports as it runs

        worker = FakeWorker(self, number, trials, seconds, together, before)
        self.processes.append(worker)
        worker.start()
        return worker

    def begun(self, number):
        """The file that a worker of the fake family touches as it begins a training."""
        return self.files.runs_dir / f"begun-{number}"

    def all_begun(self):
        return [*self.files.runs_dir.glob("begun-*")]

    def words(self, trials):
        """Of the command on the tiny dataset with the smallest budget."""
        folders = ("--data-dir", str(self.toml.parent), "--runs-dir", str(self.files.runs_dir))
        names = ("--model", self.files.model, "--dataset", str(self.toml), "--job-id", "a")
        setup = ("--test", "--space", "plan", "--policy", "calibrated", "--storage", self.storage)
        return ("-m", "hpo_lib", "run", *names, *folders, *setup, "--trials", str(trials))

    def hpo_run(self, trials):
        return self.start(*self.words(trials))

    def trials(self):
        return stored_trials(self.files, self.storage)

    def running(self, worker):
        """Trials that this worker is in the middle of."""
        return [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING
            and trial.user_attrs.get("worker", {}).get("name") == worker
        ]

    def record(self):
        return json.loads(self.files.best_params.read_bytes())

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                for member in [*psutil.Process(process.pid).children(recursive=True), process]:
                    member.kill()
                process.communicate()


@pytest.fixture
def study_in(root, tmp_path, tiny_toml):
    studies = []

    def make(storage, model="FAKE_Q", runs_dir=tmp_path):
        studies.append(Study(root, runs_dir, tiny_toml(), storage, model))
        return studies[-1]

    yield make
    for study in studies:
        study.stop()


def kill(process):
    process.kill()
    process.wait()


def end(process, code=0):
    """What a process says until it ends with this code."""
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    return said


def assert_done(*processes):
    for process in processes:
        assert end(process).splitlines()[-1] == "done"


def assert_complete(study, trials):
    """Exactly so many finished trials, each configuration once, nothing left running, and a record
    that says so.
    """
    found = study.trials()
    states = Counter(trial.state for trial in found)
    finished = [t for t in found if t.state == TrialState.COMPLETE or "cause" in t.user_attrs]
    assert len(finished) == trials, states
    assert states[TrialState.RUNNING] == states[TrialState.WAITING] == 0
    assert [trial.number for trial in found] == list(range(len(found)))
    assert len({json.dumps(trial.params, sort_keys=True) for trial in finished}) == trials
    record = study.record()
    counted = record["n_completed"] + record["n_failed"] + record["n_pruned"]
    assert (record["status"], counted) == ("complete", trials)
    complete = {trial.number for trial in found if trial.state == TrialState.COMPLETE}
    assert complete <= {*study.files.predicted_trials()}
