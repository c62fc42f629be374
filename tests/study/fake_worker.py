"""A worker with a family that sleeps instead of training: one process of a study, as a cluster
starts several.

python fake_worker.py DATASET.toml RUNS_DIR STORAGE TRIALS WORKER SECONDS_PER_TRIAL BEGIN_TOGETHER
[PAUSE]

No trial ends before BEGIN_TOGETHER workers are in the middle of one, however long some of them take
to start. With PAUSE leases are short; if it names a function of `pause_once`, the process stops
itself as that is first called after its first trial has begun.
"""

import os
import signal
import sys
import time
from pathlib import Path

import optuna

from hpo_lib.records import leases
from hpo_lib.records.storage import JournalLock
from hpo_lib.settings import Settings
from hpo_lib.study import run, trial_queue
from hpo_lib.study.trial_queue import TrialQueue
from tests.study.fakes import FakeFamily


def pause_once(name):
    """Let this process stop itself as that is first called after its first training has begun."""
    places = (FakeFamily, TrialQueue, optuna.Study, optuna.Trial, trial_queue, JournalLock)
    owner = next(place for place in places if hasattr(place, name))
    fit, begun = FakeFamily.fit, []

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


def main(toml, runs_dir, storage, trials, worker, seconds, together, pause=""):
    family = FakeFamily()
    begun = Path(runs_dir) / f"begun-{worker}"

    def train(call):
        begun.touch()
        while len(list(begun.parent.glob("begun-*"))) < int(together):
            time.sleep(0.02)
        time.sleep(float(seconds))

    family.before = train
    if pause:
        leases.DURATION = 3.0
        if pause != "-":
            pause_once(pause)
    run.get_family = lambda name: family
    run.code_provenance = lambda: {}  # spares the import of torch for the device's name
    settings = Settings.create(
        family.name,
        toml,
        trials=int(trials),
        job_id="a",
        preset="test",
        policy="calibrated",
        storage=storage,
        worker=int(worker),
        data_dir=str(Path(toml).parent),
        runs_dir=runs_dir,
    )
    run.run_study(settings, progress=False)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
