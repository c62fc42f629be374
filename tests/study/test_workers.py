"""Several workers on one study, as real processes, some of them killed."""

import os
import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import optuna
import psutil
import psycopg
import pytest
from optuna.trial import TrialState

from hpo_lib.launch.status import study_status
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import of_all_workers, read_record
from hpo_lib.records.storage import Storage
from tests.study.fake_worker import leases_are_short, pause_once
from tests.study.processes import PATIENCE, assert_complete, assert_done, end, kill, python, until

pytestmark = pytest.mark.slow


def assert_that_three_workers_survive_the_death_of_one(study, trials):
    workers = [
        study.worker(number, trials, seconds=seconds, together=3)
        for number, seconds in ((1, 0.1), (2, 0.1), (3, 1000))
    ]
    # The others wait for the third to be in the middle of a training, not only to have a trial.
    until(study.begun(3).exists, "worker 3 trains", workers)
    (victim,) = study.running("3")
    kill(workers[2])
    assert_done(*workers[:2])
    assert_complete(study, trials)
    found = study.trials()
    assert found[victim.number].state == TrialState.FAIL
    (retry,) = [trial for trial in found if trial.user_attrs.get("retry_of") == victim.number]
    assert (retry.params, retry.state) == (victim.params, TrialState.COMPLETE)
    assert {trial.user_attrs["worker"]["name"] for trial in found} == {"1", "2", "3"}


def test_when_one_of_three_workers_on_a_journal_is_killed_then_the_others_complete_the_study(
    study_in,
):
    assert_that_three_workers_survive_the_death_of_one(study_in("journal"), trials=6)


def test_when_one_of_three_workers_on_postgres_is_killed_then_the_others_complete_the_study(
    study_in, postgres_url
):
    study = study_in(postgres_url)
    assert_that_three_workers_survive_the_death_of_one(study, trials=6)
    assert study.record()["storage_path"] == postgres_url
    study.files.best_params.write_text(
        study.files.best_params.read_text().replace('"n_completed": 6', '"n_completed": 2')
    )
    stored = study_status(study.files, [], postgres_url).study
    assert stored is not None
    assert stored.finished == 6, "the JSON alone was read, not the database"
    elsewhere = postgres_url.replace(postgres_url.split(":")[2], "1/hpo")
    assert Storage(study.files, elsewhere).read() is None


def test_when_the_last_worker_waits_then_it_takes_over_the_trial_of_one_that_dies(study_in):
    study = study_in("journal")
    slow = study.worker(1, trials=1, seconds=1000)
    until(lambda: study.running("1"), "worker 1 runs the only trial", [slow])
    waiting = study.worker(2, trials=1)
    until(study.files.worker_lease("2").exists, "worker 2 is there", [waiting])
    kill(slow)
    assert_done(waiting)
    assert_complete(study, 1)


@pytest.mark.parametrize("call", ["_requeue", "ask", "_suggest", "fit", "_finish", "write_json"])
@pytest.mark.parametrize("killed", [False, True], ids=["paused", "killed"])
def test_when_a_worker_stops_in_a_decision_or_a_training_then_no_result_counts_twice(
    call, killed, study_in
):
    study = study_in("journal")
    stops = study.worker(1, 5, leases_are_short, partial(pause_once, call), together=2)
    other = study.worker(2, 5, leases_are_short, together=3)
    until(
        lambda: psutil.Process(stops.pid).status() == psutil.STATUS_STOPPED,
        "worker 1 stops itself",
        [stops],
    )
    study.begun("stopped").touch()  # which the other waited for in its first training
    if killed:
        kill(stops)
    assert_done(other)
    if not killed:
        stops.send_signal(signal.SIGCONT)
        assert_done(stops)
    assert_complete(study, 5)


RUN = """
import sys
from pathlib import Path
from hpo_lib.settings import Settings
from hpo_lib.study import run, workers

workers.cpu_count = lambda: 2  # wherever the tests run
toml, runs_dir, trials = sys.argv[1:]
settings = Settings.create(
    "NHITS_Q", toml, trials=int(trials), job_id="a", preset="test", policy="calibrated", workers=2,
    runs_dir=runs_dir, data_dir=str(Path(toml).parent),
)
run.run_study(settings, progress=False)
print("done", flush=True)
"""


def test_when_a_worker_process_is_killed_then_it_is_restarted_and_the_study_completes(study_in):
    study = study_in("journal", "NHITS_Q")
    parent = study.start("-c", RUN, study.toml, study.files.runs_dir, "5")
    (victim,) = until(lambda: study.running("2"), "worker 2 runs a trial", [parent])
    (pid,) = re.findall(r"^pid=(\d+)$", study.files.worker_lease("2").read_text(), re.MULTILINE)
    os.kill(int(pid), signal.SIGKILL)
    said = end(parent)
    assert "worker 2 died (its kernel was killed); it is started again, and so is its trial" in said
    assert "[1] " in said
    assert said.splitlines()[-1] == "done"
    assert_complete(study, 5)
    assert "asked_to_stop" not in study.trials()[victim.number].user_attrs
    assert all(read_record(one.notebook).complete for one in of_all_workers(study.files))


def test_when_the_parent_is_killed_then_its_workers_end_too_and_their_trials_are_given_back(
    study_in,
):
    study = study_in("journal", "NHITS_Q")
    parent = study.start("-c", RUN, study.toml, study.files.runs_dir, "50")
    until(lambda: study.running("1") and study.running("2"), "both workers run trials", [parent])
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 4
    parent.kill()
    parent.wait(PATIENCE)
    _, alive = psutil.wait_procs(children, PATIENCE)
    assert alive == []
    assert Counter(trial.state for trial in study.trials())[TrialState.RUNNING] == 0
    interrupted = [trial for trial in study.trials() if trial.state == TrialState.FAIL]
    # One of them may have been between two trials.
    assert interrupted
    assert all("asked_to_stop" in trial.user_attrs for trial in interrupted)


APPEND = """
import multiprocessing, sys, optuna
from pathlib import Path
from hpo_lib.paths import RunPaths
from hpo_lib.records.storage import Storage

optuna.logging.set_verbosity(optuna.logging.ERROR)

def append(number):
    storage = Storage(RunPaths(Path(sys.argv[1]), "M", "d", "a"), "journal").open()
    study = optuna.load_study(study_name="s", storage=storage)
    trial = study.ask()
    trial.set_user_attr("by", number)
    study.tell(trial, trial.suggest_float("x", 0, 1))

fork = multiprocessing.get_context("fork")  # the libraries are imported once, not fifty times
processes = [fork.Process(target=append, args=(number,)) for number in range(50)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(any(process.exitcode for process in processes))
"""


def test_when_fifty_short_processes_append_to_one_journal_then_nothing_is_lost(root, tmp_path):
    run = RunPaths(tmp_path, "M", "d", "a")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="s", storage=Storage(run, "journal").open())
    assert python(root, "-c", APPEND, tmp_path).returncode == 0
    trials = study.get_trials()
    assert sorted(trial.user_attrs["by"] for trial in trials) == list(range(50))
    assert [trial.number for trial in trials] == list(range(50))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}


def test_when_workers_make_the_tables_of_one_new_database_at_once_then_none_of_them_fails(
    postgres_server, tmp_path
):
    """Nine jobs of an array begin nine studies in one database."""
    url, _, _ = postgres_server.url.rpartition("/")
    for attempt in range(3):
        name = f"new{attempt}"
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        storages = [
            Storage(RunPaths(tmp_path, "TFT_Q", "heat", f"{number}"), f"{url}/{name}")
            for number in range(6)
        ]
        with ThreadPoolExecutor(len(storages)) as pool:
            for opened in [pool.submit(storage.open) for storage in storages]:
                opened.result()
