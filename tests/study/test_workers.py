"""Several workers on one study, as real processes, some of them killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo_lib.launch.status import study_status
from hpo_lib.paths import RunPaths
from hpo_lib.records.storage import open_storage, read_study

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
PATIENCE = 300.0
"""Seconds until a process that does not get on counts as stuck."""


def until(happened: Callable[[], Any], what: str, processes: "list[subprocess.Popen[str]]") -> Any:
    """Wait for something that processes do, and say what they said if they end without it."""
    give_up = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < give_up, f"waited in vain: {what}"
        ended = [process for process in processes if process.poll() is not None]
        assert len(ended) < len(processes), f"all ended before: {what}\n{[p.communicate()[0] for p in ended]}"
        time.sleep(0.05)
    return found


class Study:
    """One study in a folder, with its processes; none is left behind."""

    def __init__(self, root: Path, runs_dir: Path, toml: Path, storage: str, model: str) -> None:
        self.root, self.storage, self.toml = root, storage, toml
        self.files = RunPaths(runs_dir, model, "tiny", "a")
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.root)}
        process = subprocess.Popen(
            [sys.executable, *command], cwd=self.root, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(
        self, number: int, trials: int, seconds: float, together: int = 1, pause: str = ""
    ) -> "subprocess.Popen[str]":
        script, files = str(HERE / "fake_worker.py"), (self.toml, self.files.runs_dir)
        return self.start(script, *map(str, (*files, self.storage, trials, number, seconds, together, pause)))

    def trials(self) -> list[FrozenTrial]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            study = optuna.load_study(study_name=self.files.study_name, storage=open_storage(self.storage, self.files))
        except (KeyError, ImportError):
            return []
        return study.get_trials(deepcopy=False)

    def running(self, worker: str) -> list[FrozenTrial]:
        """Trials that this worker is in the middle of."""
        return [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING and trial.user_attrs.get("worker", {}).get("name") == worker
        ]

    def record(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.files.best_params.read_text(encoding="utf-8"))
        return content

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                for member in [*psutil.Process(process.pid).children(recursive=True), process]:
                    member.kill()
            if process.stdout is not None and not process.stdout.closed:
                process.communicate()


@pytest.fixture
def study_in(root: Path, tmp_path: Path, tiny_toml: Callable[[], Path]):
    studies = []

    def make(storage: str, model: str = "FAKE_Q") -> Study:
        studies.append(Study(root, tmp_path, tiny_toml(), storage, model))
        return studies[-1]

    yield make
    for study in studies:
        study.stop()


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def assert_done(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        assert said.splitlines()[-1] == "done"


def assert_complete(study: Study, trials: int) -> None:
    """Exactly so many finished trials, each configuration once, nothing left running, and a record that says so."""
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
    stored = {int(file.stem.split("_")[1]) for file in study.files.predictions.glob("*.parquet")}
    assert stored >= {trial.number for trial in found if trial.state == TrialState.COMPLETE}


def assert_that_three_workers_survive_the_death_of_one(study: Study, trials: int) -> None:
    workers = [study.worker(number, trials, seconds=0.5, together=3) for number in (1, 2, 3)]
    (victim,) = until(lambda: study.running("3"), "worker 3 runs a trial", workers)
    kill(workers[2])
    assert_done(*workers[:2])
    assert_complete(study, trials)
    found = study.trials()
    assert found[victim.number].state == TrialState.FAIL
    (retry,) = [trial for trial in found if trial.user_attrs.get("retry_of") == victim.number]
    assert (retry.params, retry.state) == (victim.params, TrialState.COMPLETE)
    assert {trial.user_attrs["worker"]["name"] for trial in found} == {"1", "2", "3"}


def test_when_one_of_three_workers_on_a_journal_is_killed_then_the_others_complete_the_study(study_in):
    assert_that_three_workers_survive_the_death_of_one(study_in("journal"), trials=12)


def test_when_one_of_three_workers_on_postgres_is_killed_then_the_others_complete_the_study(study_in, postgres_url):
    study = study_in(postgres_url)
    assert_that_three_workers_survive_the_death_of_one(study, trials=12)
    assert study.record()["storage_path"] == postgres_url
    study.files.best_params.write_text(
        study.files.best_params.read_text().replace('"n_completed": 12', '"n_completed": 2')
    )
    stored = study_status(study.files, [], postgres_url).study
    assert stored is not None
    assert stored.finished == 12, "the JSON alone was read, not the database"
    elsewhere = postgres_url.replace(postgres_url.split(":")[2], "1/hpo")
    assert read_study(study.files, elsewhere) is None


def test_when_the_last_worker_waits_then_it_takes_over_the_trial_of_one_that_dies(study_in) -> None:
    study = study_in("journal")
    slow = study.worker(1, trials=1, seconds=1000)
    until(lambda: study.running("1"), "worker 1 runs the only trial", [slow])
    waiting = study.worker(2, trials=1, seconds=0)
    until(study.files.worker_lease("2").exists, "worker 2 is there", [waiting])
    kill(slow)
    assert_done(waiting)
    assert_complete(study, 1)


@pytest.mark.parametrize("call", ["_requeue", "ask", "_suggest", "fit", "_finish", "write_json"])
@pytest.mark.parametrize("killed", [False, True], ids=["paused", "killed"])
def test_when_a_worker_stops_in_the_middle_of_a_decision_or_a_training_then_the_others_go_on_and_no_result_counts_twice(
    call, killed, study_in
) -> None:
    study = study_in("journal")
    stops, other = study.worker(1, 8, 0.3, 2, call), study.worker(2, 8, 0.3, 2, "-")
    until(lambda: psutil.Process(stops.pid).status() == psutil.STATUS_STOPPED, "worker 1 stops itself", [stops, other])
    if killed:
        kill(stops)
    assert_done(other)
    if not killed:
        stops.send_signal(signal.SIGCONT)
        assert_done(stops)
    assert_complete(study, 8)


def test_when_a_worker_that_runs_is_started_again_then_the_second_is_refused(study_in) -> None:
    study = study_in("journal")
    first = study.worker(2, trials=3, seconds=1000)
    until(lambda: study.running("2"), "worker 2 runs a trial", [first])
    second = study.worker(2, trials=3, seconds=1000)
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode != 0
    assert "another process works on this study" in said.splitlines()[-1]


RUN = """
import sys
from pathlib import Path
from hpo_lib.settings import Settings
from hpo_lib.study import run

run.cpu_count = lambda: 2  # wherever the tests run
toml, runs_dir, trials = sys.argv[1:]
settings = Settings.create(
    "NHITS_Q", toml, trials=int(trials), job_id="a", preset="test", policy="calibrated", workers=2, runs_dir=runs_dir,
    data_dir=str(Path(toml).parent),
)
run.run_study(settings, progress=False)
print("done", flush=True)
"""


def test_when_a_worker_process_is_killed_then_it_is_restarted_and_the_study_completes(study_in) -> None:
    study = study_in("journal", "NHITS_Q")
    parent = study.start("-c", RUN, str(study.toml), str(study.files.runs_dir), "5")
    (victim,) = until(lambda: study.running("1.2"), "process 1.2 runs a trial", [parent])
    (pid,) = re.findall(r"^pid=(\d+)$", study.files.worker_lease("1.2").read_text(), re.MULTILINE)
    os.kill(int(pid), signal.SIGKILL)
    said, _ = parent.communicate(timeout=PATIENCE)
    assert parent.returncode == 0, said
    assert "worker 1.2 died (signal 9); it is restarted, and its trial is tried again" in said
    assert "[1.1] " in said
    assert said.splitlines()[-1] == "done"
    assert_complete(study, 5)
    assert "asked_to_stop" not in study.trials()[victim.number].user_attrs


def test_when_the_parent_is_killed_then_its_worker_processes_end_too_and_their_trials_are_given_back(study_in) -> None:
    study = study_in("journal", "NHITS_Q")
    parent = study.start("-c", RUN, str(study.toml), str(study.files.runs_dir), "50")
    until(lambda: study.running("1.1") and study.running("1.2"), "both processes run trials", [parent])
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2
    parent.kill()
    parent.wait(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    states = Counter(trial.state for trial in study.trials())
    assert states[TrialState.RUNNING] == 0
    interrupted = [trial for trial in study.trials() if trial.state == TrialState.FAIL]
    assert {trial.user_attrs["worker"]["name"] for trial in interrupted} == {"1.1", "1.2"}
    assert all("asked_to_stop" in trial.user_attrs for trial in interrupted)


APPEND = """
import multiprocessing, sys, optuna
from pathlib import Path
from hpo_lib.paths import RunPaths
from hpo_lib.launch.status import study_status
from hpo_lib.records.storage import open_storage, read_study

optuna.logging.set_verbosity(optuna.logging.ERROR)

def append(number):
    storage = open_storage("journal", RunPaths(Path(sys.argv[1]), "M", "d", "a"))
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


def test_when_fifty_short_processes_append_to_one_journal_then_nothing_is_lost(root, tmp_path) -> None:
    run = RunPaths(tmp_path, "M", "d", "a")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="s", storage=open_storage("journal", run))
    subprocess.run([sys.executable, "-c", APPEND, str(tmp_path)], cwd=root, check=True, timeout=PATIENCE)
    trials = study.get_trials()
    assert sorted(trial.user_attrs["by"] for trial in trials) == list(range(50))
    assert [trial.number for trial in trials] == list(range(50))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
