"""How workers are started and started again; with processes that end at once."""

import io
import itertools
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from hpo_lib.errors import HpoError
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import visible_gpus
from hpo_lib.settings import Settings
from hpo_lib.study import workers
from hpo_lib.study.workers import KERNEL_KILLED, fitting, gpu_of, run_workers

ONLY = "Cores available:"


@pytest.mark.parametrize(
    "asked, cores, threads, expected",
    [
        (1, 2, "", (1, 1, "")),
        (2, 2, "", (2, 1, "")),
        (2, 8, "", (2, 1, "")),
        (2, 8, "4", (2, 4, "")),
        (3, 8, "2,1", (3, 1, "")),
        (3, 8, "1", (3, 1, "")),
        (2, 2, "2", (2, 1, f"{ONLY} 2, so 2 of 2 workers are started, with 1 of 2 threads each.")),
        (4, 2, "", (2, 1, f"{ONLY} 2, so 2 of 4 workers are started, with 1 of 1 threads each.")),
        (2, 1, "1", (1, 1, f"{ONLY} 1, so 1 of 2 workers are started, with 1 of 1 threads each.")),
    ],
)
def test_when_workers_are_asked_for_then_no_two_threads_share_a_core(
    asked, cores, threads, expected
):
    assert fitting(asked, cores, threads) == expected
    fit, each, _ = expected
    assert fit * each <= cores


Outcomes = Sequence[tuple[int, str]]
"""Exit code and last line of a worker, each time that it is started."""

FINE = (0, "fine")
SIGKILL = (-9, "x")
KERNEL = (1, f"hpo: {KERNEL_KILLED}, perhaps for lack of memory")


@pytest.fixture
def run_two(monkeypatch, tmp_path):
    """The options that workers are started with, and the lines, if they end at once like this.

    A training ends with every so many starts.
    """

    def run(first, second=(FINE,), starts_per_training=99, **given):
        started = []
        lines = []
        worker = given.get("worker", 1)
        left = {str(worker): list(first), str(worker + 1): list(second)}

        def start(command, **_):
            started.append(dict(itertools.pairwise(command)))
            code, line = left[started[-1]["--worker"]].pop(0)
            return SimpleNamespace(
                stdin=io.BytesIO(),
                stdout=io.BytesIO(f"trial 0 trains: 1 s\r{line}\n\n".encode()),
                wait=lambda *_: code,
                kill=lambda: None,
            )

        monkeypatch.setattr("subprocess.Popen", start)
        monkeypatch.setattr(workers, "cpu_count", lambda: 2)
        monkeypatch.setattr(
            workers, "ended_trainings", lambda *_: (len(started) // starts_per_training, 0)
        )
        settings = Settings.create("NHITS_Q", "heat", job_id="a", workers=2, **given)
        try:
            run_workers(settings, RunPaths(tmp_path, "NHITS_Q", "heat", "a"), lines.append)
        except HpoError as error:
            lines.append(f"{type(error).__name__}: {error}")
        return started, lines

    return run


def starts(started):
    """How often worker 1 was started."""
    return sum(options["--worker"] == "1" for options in started)


def test_when_workers_end_in_order_then_each_was_one_hpo_run_and_their_lines_are_shown(run_two):
    started, lines = run_two([(0, "one")], [(0, "two")], worker=3, time_budget_hours=1.0)
    assert sorted(lines) == ["[3] one", "[4] two"]
    assert {options["--worker"] for options in started} == {"3", "4"}
    for options in started:
        assert (options["--job-id"], options["--storage"]) == ("a", "journal")
        assert 0.99 < float(options["--time-budget-hours"]) <= 1.0
        assert "--workers" not in options


@pytest.mark.parametrize("code, error", [(1, "StudyError"), (2, "InputError")])
def test_when_a_worker_ends_with_an_error_of_ours_then_it_is_raised_and_not_started_again(
    code, error, run_two
):
    started, lines = run_two([(code, "hpo: fix that")])
    assert starts(started) == 1
    assert lines[-1] == f"{error}: fix that"


@pytest.mark.parametrize(
    "outcomes, how", [(SIGKILL, "signal 9"), (KERNEL, "its kernel was killed")]
)
def test_when_a_worker_dies_three_times_without_a_training_then_it_is_over(outcomes, how, run_two):
    started, lines = run_two([outcomes] * 9)
    assert starts(started) == 3
    assert lines.count(f"worker 1 died ({how}); it is started again, and so is its trial") == 2
    assert lines[-1] == (
        "StudyError: worker 1 dies without finishing a trial, 3 times so far, the last time by "
        f"{how}; its last words: {outcomes[1]}"
    )


def test_when_trainings_end_between_deaths_then_the_worker_is_started_again_every_time(run_two):
    started, lines = run_two([*[SIGKILL] * 9, FINE], starts_per_training=2)
    assert starts(started) == 10
    assert sum(line.startswith("worker 1 died") for line in lines) == 9


def test_when_there_are_several_gpus_then_workers_take_turns_on_them_and_else_nothing_is_set(
    monkeypatch,
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,MIG-b,3")
    gpus = visible_gpus()
    taken = [gpu_of(worker, gpus).get("CUDA_VISIBLE_DEVICES") for worker in range(1, 6)]
    assert taken == ["GPU-a", "MIG-b", "3", "GPU-a", "MIG-b"]
    assert gpu_of(2, ["0"]) == gpu_of(2, []) == {}
