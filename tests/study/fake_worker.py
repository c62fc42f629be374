"""A worker with a family that sleeps instead of training: a fork of the test, so that nothing is
imported again, as one process of a study, of which a cluster starts several.
"""

import os
import signal
import sys
import time
from multiprocessing.context import ForkProcess

import optuna
import optuna.importance._fanova
import optuna.visualization.matplotlib
import plotly.offline

from hpo_lib.records import leases
from hpo_lib.records.storage import JournalLock
from hpo_lib.settings import Settings
from hpo_lib.study import proof, run, trial_queue
from hpo_lib.study.trial_queue import TrialQueue
from tests.study.fakes import FakeFamily

# What a study imports while it runs is here already.
assert optuna.visualization.matplotlib
assert optuna.importance._fanova


def pause_once(name):
    """Let this process stop itself as that is first called after its first training has begun."""
    places = (FakeFamily, TrialQueue, optuna.Study, optuna.Trial, trial_queue, JournalLock)
    owner = next(place for place in places if hasattr(place, name))
    fit = FakeFamily.fit
    begun = []

    def trained(*arguments, **rest):
        begun.append(1)
        return fit(*arguments, **rest)

    FakeFamily.fit = trained
    method = getattr(owner, name)

    def paused(*arguments, **rest):
        if begun:
            setattr(owner, name, method)
            os.kill(os.getpid(), signal.SIGSTOP)
        return method(*arguments, **rest)

    setattr(owner, name, paused)


def leases_are_short():
    leases.DURATION = 2.0


class FakeWorker(ForkProcess):
    """Says what a `subprocess.Popen` says of its process. Calls all of ``before`` first.

    No trial ends before ``together`` workers are in the middle of one, however long some of them
    take to start.
    """

    def __init__(self, study, number, trials, seconds, together, before):
        super().__init__(daemon=True)
        self.study = study
        self.number = number
        self.trials = trials
        self.before = before
        self.seconds = seconds
        self.together = together
        self.said = study.files.runs_dir / f"said-{number}"
        self.said.touch()

    def run(self):
        output = os.open(self.said, os.O_APPEND | os.O_WRONLY)
        os.dup2(output, 1), os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w")
        plotly.offline.get_plotlyjs = lambda: ""  # 5 MB
        for prepare in self.before:
            prepare()
        family = FakeFamily()
        study = self.study
        family.before = self.train
        proof.get_family = lambda name: family
        run.code_provenance = lambda: {}
        settings = Settings.create(
            family.name,
            str(study.toml),
            trials=self.trials,
            job_id="a",
            preset="test",
            policy="calibrated",
            storage=study.storage,
            worker=self.number,
            data_dir=str(study.toml.parent),
            runs_dir=str(study.files.runs_dir),
        )
        run.run_study(settings, progress=False)
        print("done", flush=True)

    def train(self, call):
        self.study.begun(self.number).touch()
        while len(self.study.all_begun()) < self.together:
            time.sleep(0.02)
        time.sleep(self.seconds)

    def poll(self):
        return self.exitcode

    returncode = property(poll)

    def wait(self, timeout=None):
        self.join(timeout)

    def communicate(self, timeout=None):
        self.join(timeout)
        return self.said.read_text(encoding="utf-8"), None

    def send_signal(self, number):
        os.kill(self.pid, number)
