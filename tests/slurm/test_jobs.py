"""Studies as real jobs of a real Slurm: complete, warned, requeued, killed, cancelled."""

from contextlib import suppress

import nbformat
import psutil
import pytest
from optuna.trial import TrialState

from hpo_lib import paths
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import Record, attempts, of_all_workers, read_record
from hpo_lib.records.result import load_result
from tests.conftest import short_twin
from tests.slurm.conftest import PATIENCE, wait_until
from tests.study.processes import stored_trials

pytestmark = pytest.mark.slow

PLAN = ("--space", "plan", "--policy", "calibrated")
"""Few hyperparameters and no proof: these tests are about jobs."""


class Study:
    """A submitted study: its job, its files, its log."""

    def __init__(self, cluster, toml, runs_dir, *arguments, workers=1, storage="auto"):
        folders = ("--runs-dir", str(runs_dir), "--simulated")
        several = ("--workers", str(workers)) if workers > 1 else ()
        self.cluster, self.storage = cluster, storage
        self.job_id = cluster.submitted(
            "NHITS_Q",
            str(toml),
            *arguments,
            "--test",
            *PLAN,
            *folders,
            "--storage",
            storage,
            *several,
        )
        self.files = RunPaths(runs_dir, "NHITS_Q", "heat", self.job_id)
        self.tasks = [f"{self.job_id}_{number + 1}" for number in range(workers)]
        if not several:
            self.tasks = [self.job_id]

    @property
    def log(self):
        return "".join(file.read_text(encoding="utf-8") for file in self.logs() if file.exists())

    def logs(self):
        name, suffixes = paths.job_name("NHITS_Q", "heat"), ("log", "err")
        return [paths.job_log(name, task, suffix) for task in self.tasks for suffix in suffixes]

    def trials(self):
        return stored_trials(self.files, self.storage)

    def wait_for_trial(self, number):
        """Until the trial runs with all its parameters."""
        wait_until(self.files.trial_predictions(number - 1).exists, PATIENCE, lambda: self.log)
        wait_until(
            lambda: any(t.number == number and len(t.params) == 7 for t in self.trials()),
            PATIENCE,
            lambda: self.log,
        )

    def ended_complete(self, trials):
        """Wait, and check what holds of every study that ended well, whatever happened to it on the
        way.
        """
        job = self.cluster.wait(self.job_id)
        assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), self.log
        states = [trial.state for trial in self.trials()]
        assert states.count(TrialState.COMPLETE) == trials
        assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL}, (
            "a trial is left running or waiting"
        )
        result = load_result(self.files.best_params)
        counts = (result["n_completed"], result["n_failed"])
        assert (result["status"], *counts) == ("complete", trials, 0)
        assert len(attempts(self.files)) == int(job["Restarts"]) + 1
        nbformat.validate(nbformat.read(self.files.notebook, as_version=4))
        assert read_record(self.files.notebook).complete
        return job


@pytest.fixture
def study(cluster, tmp_path):
    started, toml = [], short_twin(tmp_path)

    def start(*arguments, runs_dir=tmp_path, **given):
        started.append(Study(cluster, toml, runs_dir, *arguments, **given))
        return started[-1]

    yield start
    for one in started:
        cluster.ask("scancel", one.job_id)
        for file in one.logs():
            file.unlink(missing_ok=True)


@pytest.fixture
def site(tmp_path):
    def write(**keys):
        file = tmp_path / "site.env"
        lines = [f"{key}={value}\n" for key, value in keys.items()]
        file.write_text("".join(lines), encoding="utf-8")
        return file

    return write


def test_when_a_study_is_submitted_then_its_job_completes_and_leaves_all_files_under_its_id(
    study, tmp_path
):
    one = study("2", runs_dir=tmp_path / "runs; touch pwned; $(touch pwned) 'x' %j {x}")
    job = one.ended_complete(2)
    assert job["JobName"] == "hpo_NHITS_Q_heat"
    assert (job["Partition"], job["TimeLimit"], job["NumCPUs"], job["Restarts"]) == (
        "a100",
        "12:00:00",
        "8",
        "0",
    )
    assert "mem=64G" in job["TRES"]
    stem = f"NHITS_Q_heat_{one.job_id}"
    assert {file.name for file in one.files.folder.iterdir() if not file.name.startswith(".")} == {
        f"best_params_{stem}.json",
        f"study_{stem}.db",
        f"hpo_{stem}.ipynb",
        f"predictions_{stem}",
        f"pareto_front_{one.job_id}.html",
        f"mae_history_{one.job_id}.html",
        f"param_importance_{one.job_id}.html",
        f"report_{one.job_id}.html",
        f"scales_{stem}.json",
    }
    assert f"attempt 1 (0 of at most 20 without progress) of study {stem}" in one.log
    assert not list(tmp_path.rglob("pwned")) + list(paths.PROJECT_ROOT.glob("pwned"))


def test_when_the_time_limit_nears_then_the_study_ends_cleanly_and_goes_on_in_the_requeued_job(
    study, site
):
    one = study("2", "--site", str(site(SIGNAL_SECONDS=90, MAX_REQUEUES=9)))
    cluster, job = one.cluster, f"JobId={one.job_id}"
    (kernel,) = wait_until(
        lambda: cluster.processes(one.job_id, "ipykernel_launcher"), PATIENCE, lambda: one.log
    )
    one.wait_for_trial(1)
    # Slurm looks at limits twice a minute. The kernel is suspended meanwhile, so that it is still
    # in that trial.
    kernel.suspend()
    days_hours, minutes, _ = cluster.job(one.job_id)["RunTime"].split(":")
    limit = cluster.ask(
        "scontrol", "update", job, f"TimeLimit={days_hours}:{int(minutes) + 3:02}:00"
    )
    assert limit.returncode == 0, limit.stderr
    wait_until(
        lambda: "received SIGUSR1: the study is asked to stop" in one.log,
        PATIENCE,
        "Slurm sends its warning",
    )
    kernel.resume()
    wait_until(lambda: cluster.job(one.job_id)["Restarts"] == "1", PATIENCE, lambda: one.log)
    assert cluster.ask("scontrol", "update", job, "TimeLimit=01:00:00").returncode == 0

    assert one.ended_complete(2)["Restarts"] == "1"
    assert "1 trials are missing: the study was asked to stop by SIGUSR1\nrequeue 1\n" in one.log
    assert "attempt 2 (0 of at most 9 without progress)" in one.log
    assert read_record(one.files.attempt_notebook(1)) == Record(complete=True)
    default, stopped, again = one.trials()
    assert stopped.user_attrs["asked_to_stop"] == "SIGUSR1"
    assert (again.params, again.user_attrs["attempt"]) == (stopped.params, 1)
    assert default.state == again.state == TrialState.COMPLETE


def test_when_slurm_requeues_the_job_then_the_study_ends_cleanly_and_goes_on(study):
    one = study("3")
    one.wait_for_trial(1)
    assert one.cluster.ask("scontrol", "requeue", one.job_id).returncode == 0
    assert one.ended_complete(3)["Restarts"] == "1", "the job requeued itself, too"
    first = read_record(one.files.attempt_notebook(1))
    assert first.complete, "the first attempt left no complete record"
    assert not first.error
    assert "received SIGTERM" in one.log


def test_when_the_user_cancels_the_job_then_it_ends_with_a_complete_record_and_stays_cancelled(
    study,
):
    one = study("9")
    one.wait_for_trial(1)
    one.cluster.ask("scancel", one.job_id)
    wait_until(
        lambda: read_record(one.files.notebook).complete,
        PATIENCE,
        "the record is written to its end",
    )
    job = one.cluster.wait(one.job_id)
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0")
    assert read_record(one.files.notebook) == Record(complete=True)
    assert load_result(one.files.best_params)["status"] == "stopped"


def assert_that_an_array_survives_the_death_of_a_worker(one, victim):
    def in_mid_trial():
        return [t for t in one.trials() if t.state == TrialState.RUNNING and len(t.params) == 7]

    while True:
        lost = wait_until(in_mid_trial, PATIENCE, lambda: one.log)[-1]
        task = f"{one.job_id}_{lost.user_attrs['worker']['name']}"
        job_id = one.cluster.job(task)["JobId"]
        (kernel,) = one.cluster.processes(job_id, "ipykernel_launcher")
        kernel.suspend()
        if any(trial.number == lost.number for trial in in_mid_trial()):
            break
        kernel.resume()  # it had ended that trial meanwhile
    (process,) = one.cluster.processes(job_id, victim)
    process.kill()
    with suppress(psutil.NoSuchProcess):
        kernel.resume()

    ended = {name: one.cluster.wait(name) for name in one.tasks}
    assert {(job["JobState"], job["ExitCode"]) for job in ended.values()} == {
        ("COMPLETED", "0:0")
    }, one.log
    assert [name for name, job in ended.items() if job["Restarts"] != "0"] == [task]
    assert "requeue 1\n" in one.log
    assert ended[task]["Restarts"] == "1"
    found = one.trials()
    assert not [t for t in found if t.state in (TrialState.RUNNING, TrialState.WAITING)]
    finished = [t for t in found if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len({str(t.params) for t in finished}) == len(finished) == 4, "one was tried twice"
    assert found[lost.number].state == TrialState.FAIL
    (retry,) = [t for t in finished if t.user_attrs.get("retry_of") == lost.number]
    assert retry.params == lost.params
    result = load_result(one.files.best_params)
    assert result["status"] == "complete"
    assert result["n_completed"] + result["n_pruned"] == 4, "early stopping ends some"
    workers = of_all_workers(one.files)
    assert all(read_record(worker.notebook).complete for worker in workers)
    assert len(workers) == len(one.tasks)
    assert not read_record(workers[one.tasks.index(task)].attempt_notebook(1)).complete


def test_when_a_worker_of_an_array_on_a_journal_is_killed_then_exactly_all_trials_are_completed(
    study,
):
    one = study("4", workers=2)
    assert_that_an_array_survives_the_death_of_a_worker(one, "ipykernel_launcher")
    assert one.files.journal.exists()
    assert (
        "attempt 1 (0 of at most 20 without progress) of worker 2 of study "
        f"{one.files.study_name}, job {one.job_id}_2" in one.log
    )


def test_when_a_worker_of_an_array_on_postgres_is_killed_then_exactly_all_trials_are_completed(
    study, postgres_url
):
    one = study("4", workers=2, storage=postgres_url)
    assert_that_an_array_survives_the_death_of_a_worker(one, "run")
    assert load_result(one.files.best_params)["storage_path"] == postgres_url
