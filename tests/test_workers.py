from pathlib import Path

import pytest

from hpo_lib.study.workers import fitting, usable_cores


@pytest.mark.parametrize(
    ("workers", "cores", "threads", "expected"),
    [
        (1, 2, 0, (1, 2, "")),
        (2, 2, 0, (2, 1, "")),
        (2, 8, 0, (2, 4, "")),
        (3, 8, 0, (3, 2, "")),
        (3, 8, 1, (3, 1, "")),
        (2, 2, 2, (2, 1, "Only 2 cores are available, so each of 2 workers gets 1 thread instead of 2.")),
        (4, 2, 0, (2, 1, "Only 2 cores are available, so 2 workers are started instead of 4.")),
        (2, 1, 1, (1, 1, "Only 1 core is available, so 1 worker is started instead of 2.")),
    ],
)
def test_when_workers_are_asked_for_then_no_two_threads_share_a_core(workers, cores, threads, expected) -> None:
    assert fitting(workers, cores, threads) == expected
    fit, each, _ = expected
    assert fit * each <= cores


@pytest.mark.parametrize(
    ("cpu_max", "cores"), [("max 100000", 4), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)]
)
def test_when_a_control_group_limits_the_cpu_then_only_what_it_grants_counts(
    cpu_max: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: f"{cpu_max}\n")
    assert usable_cores() == cores
