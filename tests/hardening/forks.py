"""Workers that are forks of the test: nothing is imported again, and each dies alone."""

import json
import multiprocessing
import os
import re
import sys
from collections import Counter

import optuna.importance._fanova
import optuna.visualization.matplotlib
import plotly.offline
from optuna.trial import TrialState

from hpo_lib.records.verify import verify
from tests.study import fake_worker
from tests.study.processes import PATIENCE, assert_complete

# What a study imports while it runs is here already.
assert optuna.visualization.matplotlib
assert optuna.importance._fanova
FORK = multiprocessing.get_context("fork")


def said(study):
    """The last lines of all workers, for a test that fails."""
    return "\n".join(
        f"{file.name}: {file.read_text()[-1500:]}" for file in study.files.runs_dir.glob("said-*")
    )


def fork(study, trials, worker=1, seconds=0.0, before=lambda: None):
    """Start a worker of the fake family, which calls ``before`` first."""

    def run():
        output = os.open(
            study.files.runs_dir / f"said-{worker}", os.O_CREAT | os.O_APPEND | os.O_WRONLY
        )
        os.dup2(output, 1), os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        plotly.offline.get_plotlyjs = lambda: ""  # 5 MB
        before()
        folder = str(study.files.runs_dir)
        fake_worker.main(
            str(study.toml), folder, study.storage, str(trials), str(worker), str(seconds), "1"
        )

    process = FORK.Process(target=run, daemon=True)
    process.start()
    return process


def assert_ends(study, *processes):
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0, said(study)


def files(folder):
    """All files but those that a killed process had not finished, or had just moved aside."""
    unfinished = re.compile(r"\.|.+\.(break|restore)\.\d+\..+|.+\.rename")
    return {f for f in folder.rglob("*") if not f.is_dir() and not unfinished.match(f.name)}


def assert_that_nothing_was_lost_and_nothing_is_left(study, trials):
    """The invariants of every study that was killed or starved, after one more run of it, which
    finds nothing to do.

    Exactly so many trials; each configuration finished once, or tried once more for each of its
    deaths; no trial runs; the record can be computed again; no lease, lock or orphan is left.
    """
    assert_ends(study, fork(study, trials))
    assert_complete(study, trials)
    run, found = study.files, study.trials()
    retries = Counter(
        trial.user_attrs["retry_of"] for trial in found if "retry_of" in trial.user_attrs
    )
    assert set(retries.values()) <= {1}, "a dead worker's trial was queued twice"
    complete = [trial.number for trial in found if trial.state == TrialState.COMPLETE]
    assert run.predicted_trials() == complete
    told = verify(run.best_params, study.toml.parent, str(study.toml))
    assert told.exit_code == 0, told
    assert {word for word, _ in told.told} <= ({"note"} if "://" in study.storage else set()), told
    storage = {run.sqlite, run.journal} & files(run.folder)
    assert len(storage) == ("://" not in study.storage)
    expected = {
        run.best_params,
        run.scales,
        run.pareto_front,
        run.mae_history,
        run.param_importance,
        *storage,
    }
    expected |= {run.trial_predictions(number) for number in complete}
    assert files(run.folder) == expected
    assert json.loads(run.best_params.read_text(encoding="utf-8"))["status"] == "complete"
