import pytest

from hpo_lib.study.workers import fitting


@pytest.mark.parametrize(("workers", "cores", "threads", "expected"), [
    (1, 2, "", (1, 2, "")), (2, 2, "", (2, 1, "")), (2, 8, "", (2, 4, "")),
    (3, 8, "2,1", (3, 2, "")), (3, 8, "1", (3, 1, "")),
    (2, 2, "2", (2, 1, "Only 2 cores are available, so each of 2 workers gets 1 thread instead of 2.")),
    (4, 2, "", (2, 1, "Only 2 cores are available, so 2 workers are started instead of 4.")),
    (2, 1, "1", (1, 1, "Only 1 core is available, so 1 worker is started instead of 2.")),
])  # fmt: skip
def test_when_workers_are_asked_for_then_no_two_threads_share_a_core(workers, cores, threads, expected) -> None:
    assert fitting(workers, cores, threads) == expected
    fit, each, _ = expected
    assert fit * each <= cores
