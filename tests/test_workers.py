"""How workers are started and started again; with processes that end at once."""

import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpo_lib.errors import HpoError
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import visible_gpus
from hpo_lib.settings import Settings
from hpo_lib.study import workers
from hpo_lib.study.workers import KERNEL_KILLED, fitting, gpu_of, run_workers


@pytest.mark.parametrize(
    ("asked", "cores", "threads", "expected"),
    [
        (1, 2, "", (1, 1, "")),
        (2, 2, "", (2, 1, "")),
        (2, 8, "", (2, 1, "")),
        (2, 8, "4", (2, 4, "")),
        (3, 8, "2,1", (3, 1, "")),
        (3, 8, "1", (3, 1, "")),
        (
            2,
            2,
            "2",
            (2, 1, "Only 2 cores are available, so each of 2 workers gets 1 thread instead of 2."),
        ),
        (4, 2, "", (2, 1, "Only 2 cores are available, so 2 workers are started instead of 4.")),
        (2, 1, "1", (1, 1, "Only 1 core is available, so 1 worker is started instead of 2.")),
    ],
)
def test_when_workers_are_asked_for_then_no_two_threads_share_a_core(
    asked, cores, threads, expected
) -> None:
    assert fitting(asked, cores, threads) == expected
    fit, each, _ = expected
    assert fit * each <= cores


Outcome = tuple[int, str]
"""The exit code of a worker, and its last line."""

KILLED = (1, f"hpo: {KERNEL_KILLED}, perhaps for lack of memory")


@pytest.fixture
def run_two(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[list[list[str]], list[str]]]:
    """The words that two workers are started with, and the lines, if they end at once like this.

    A trial is finished after every so many starts.
    """

    def run(outcomes: Sequence[Outcome], starts_per_trial: int = 99, **parameters: Any) -> Any:
        started, lines = list[list[str]](), list[str]()

        def start(words: list[str], environment: Mapping[str, str]) -> SimpleNamespace:
            code, line = outcomes[len(started)]
            started.append(words)
            return SimpleNamespace(
                stdin=io.BytesIO(),
                stdout=io.BytesIO(f"trial 0 trains: 1 s\r{line}\n".encode()),
                returncode=code,
                poll=lambda: code,
                wait=lambda *_: code,
                kill=lambda: None,
            )

        monkeypatch.setattr(workers, "_start", start)
        monkeypatch.setattr(workers, "cpu_count", lambda: 2)
        monkeypatch.setattr(workers, "SILENCE", 0.05)
        monkeypatch.setattr(
            workers, "ended_trainings", lambda *_: (len(started) // starts_per_trial, 0)
        )
        settings = Settings.create("NHITS_Q", "heat", job_id="a", workers=2, **parameters)
        paths = RunPaths(tmp_path, "NHITS_Q", "heat", "a")
        try:
            run_workers(settings, paths, lines.append)
        except HpoError as error:
            lines.append(f"{type(error).__name__}: {error}")
        return started, lines

    return run


def test_when_workers_end_in_order_then_each_was_one_hpo_run_and_their_lines_are_shown(
    run_two,
) -> None:
    started, lines = run_two([(0, "one"), (0, "two")], worker=3, time_budget_hours=1.0)
    assert sorted(lines) == ["[3] one", "[4] two"]
    for number, words in zip("34", started, strict=True):
        options = dict(itertools.pairwise(words))
        assert (options["--worker"], options["--job-id"], options["--storage"]) == (
            number,
            "a",
            "journal",
        )
        assert 0.99 < float(options["--time-budget-hours"]) <= 1.0
        assert "--workers" not in words


@pytest.mark.parametrize(("code", "error"), [(1, "StudyError"), (2, "InputError")])
def test_when_a_worker_ends_with_an_error_of_ours_then_it_is_raised_and_none_is_started_again(
    code, error, run_two
) -> None:
    started, lines = run_two([(code, "hpo: fix that"), (code, "hpo: fix that")])
    assert len(started) == 2
    assert lines[-1] == f"{error}: fix that"


DIED = "worker 1 died (signal 9); it is started again, and so is its trial"


@pytest.mark.parametrize(
    ("outcomes", "starts_per_trial", "starts"),
    [
        ([(-9, "x")] * 9, 99, 7),
        ([KILLED] * 9, 99, 7),
        ([(0, "x"), *[(-9, "x")] * 5, (0, "x")], 99, 7),  # one ended in order, which is no death
        ([*[(-9, "x")] * 9, (0, "x"), (0, "x")], 4, 11),  # trials were finished in between
    ],
)
def test_when_two_workers_die_six_times_without_a_trial_then_it_is_over(
    outcomes, starts_per_trial, starts, run_two
) -> None:
    started, lines = run_two(outcomes, starts_per_trial)
    assert len(started) == starts
    assert (DIED in lines) == (outcomes[0][0] == -9)
    over = "StudyError: the workers die without finishing a trial, 6 times so far, the last with"
    assert lines[-1].startswith(over) == (outcomes[-1][0] != 0)


def test_when_there_are_several_gpus_then_workers_take_turns_on_them_and_else_nothing_is_set(
    monkeypatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,MIG-b,3")
    gpus = visible_gpus()
    taken = [gpu_of(worker, gpus).get("CUDA_VISIBLE_DEVICES") for worker in range(1, 6)]
    assert taken == ["GPU-a", "MIG-b", "3", "GPU-a", "MIG-b"]
    assert gpu_of(2, ["0"]) == gpu_of(2, []) == {}
