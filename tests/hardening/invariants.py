"""What holds of every study, whatever happened to its workers."""

import json
import re
from collections import Counter

from optuna.trial import TrialState

from hpo_lib.records.verify import verify
from tests.study.processes import assert_complete, assert_done


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
    assert_done(study.worker(1, trials))
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
    expected = {run.best_params, run.scales, run.pareto_front, run.mae_history}
    expected |= {run.param_importance, *storage}
    expected |= {run.trial_predictions(number) for number in complete}
    assert files(run.folder) == expected
    assert json.loads(run.best_params.read_bytes())["status"] == "complete"
