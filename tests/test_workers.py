from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace

import pytest

from hpo_lib.errors import InputError, StudyError, WriteError
from hpo_lib.records.provenance import visible_gpus
from hpo_lib.study.workers import fitting, gpu_of, run_workers


@pytest.mark.parametrize(
    ("workers", "cores", "threads", "expected"),
    [
        (1, 2, "", (1, 2, "")),
        (2, 2, "", (2, 1, "")),
        (2, 8, "", (2, 4, "")),
        (3, 8, "2,1", (3, 2, "")),
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
    workers, cores, threads, expected
) -> None:
    assert fitting(workers, cores, threads) == expected
    fit, each, _ = expected
    assert fit * each <= cores


@pytest.fixture
def starts_until_the_end(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """How many processes are started for two workers, if they end at once with these codes, until
    an error or the end.

    A trial is finished after every so many starts.
    """

    def run(
        codes: Sequence[int], starts_per_trial: int = 99, error: type[Exception] = StudyError
    ) -> int:
        started: list[int] = []
        budget = SimpleNamespace(spent=0.0)

        def start(*given: object) -> SimpleNamespace:
            assert given[-1] == budget.spent, (
                "a process that replaces another has a time budget of its own"
            )
            budget.spent += 60
            started.append(code := codes[len(started)])
            return SimpleNamespace(
                stdin=None,
                returncode=code,
                poll=lambda: code,
                wait=lambda *_: code,
                kill=lambda: None,
            )

        monkeypatch.setattr("hpo_lib.study.workers._start", start)
        silent = SimpleNamespace(get=lambda timeout: {}["no line"])
        monkeypatch.setattr(
            "hpo_lib.study.workers.queue",
            SimpleNamespace(SimpleQueue=lambda: silent, Empty=KeyError),
        )
        with suppress(error):
            list(
                run_workers(
                    SimpleNamespace(worker=1),
                    2,
                    1,
                    lambda: len(started) // starts_per_trial,
                    budget,
                )
            )
        return len(started)

    return run


@pytest.mark.parametrize(("code", "error"), [(2, InputError), (3, StudyError), (4, WriteError)])
def test_when_a_process_ends_with_an_error_of_ours_then_it_is_raised_and_none_is_started_again(
    code, error, starts_until_the_end
) -> None:
    assert starts_until_the_end([code, code], error=error) == 2


@pytest.mark.parametrize(
    ("codes", "starts_per_trial", "starts"),
    [
        ([-9] * 9, 99, 7),
        ([0, *[-9] * 5, 0], 99, 7),  # one was asked to end, which is no death
        ([*[-9] * 9, 0, 0], 4, 11),  # trials were finished in between
    ],
)
def test_when_two_workers_die_six_times_without_a_trial_then_it_is_over(
    codes, starts_per_trial, starts, starts_until_the_end
) -> None:
    assert starts_until_the_end(codes, starts_per_trial) == starts


def test_when_there_are_several_gpus_then_workers_take_turns_on_them_and_else_nothing_is_set(
    monkeypatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,MIG-b,3")
    gpus = visible_gpus()
    taken = [gpu_of(worker, gpus).get("CUDA_VISIBLE_DEVICES") for worker in range(1, 6)]
    assert taken == ["GPU-a", "MIG-b", "3", "GPU-a", "MIG-b"]
    assert gpu_of(2, ["0"]) == gpu_of(2, []) == {}
