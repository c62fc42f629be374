import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpo_lib import paths
from hpo_lib.errors import StudyError
from hpo_lib.paths import RunPaths
from hpo_lib.study import liveness
from hpo_lib.study.liveness import SILENCE, Presence, turn

HOLD = """
import sys
from pathlib import Path
from hpo_lib.errors import StudyError
from hpo_lib.paths import RunPaths
from hpo_lib.study.liveness import Presence
try:
    with Presence(RunPaths(Path(sys.argv[1]), "TFT_Q", "heat", "1"), sys.argv[2]):
        print("held", flush=True)
        sys.stdin.read()
except StudyError as error:
    print(error, flush=True)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path, "TFT_Q", "heat", "1")


def worker(run: RunPaths, name: str) -> "subprocess.Popen[str]":
    """A real process that says ``held`` or why not, and is this worker until its stdin ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.runs_dir), name],
        cwd=paths.PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_when_a_worker_is_killed_then_it_lives_no_more_and_the_next_one_may_be_what_it_was_refused_before(
    run: RunPaths,
) -> None:
    sentence = (
        f"another process works on this study (it holds {run.worker_lock('2')}); wait for it, stop it, or choose "
        "another job_id"
    )
    other = {**Presence(run, "2").identity}
    with Presence(run, "1") as me, worker(run, "2") as holder:
        try:
            assert first_line(holder) == "held"
            assert me.lives(other)
            with worker(run, "2") as refused:
                assert first_line(refused) == sentence
            with pytest.raises(StudyError) as caught, Presence(run, "2"):
                pass
            assert str(caught.value) == sentence
            assert me.lives(other)
        finally:
            holder.kill()  # SIGKILL: no handler runs, nothing is cleaned up
            holder.wait()
        assert not me.lives(other)
        with worker(run, "2") as successor:
            assert first_line(successor) == "held"
            assert me.lives(other)
            successor.communicate("")
        assert not me.lives(other)


def test_when_the_work_ends_badly_then_the_worker_lives_no_more(run: RunPaths) -> None:
    with pytest.raises(ZeroDivisionError), Presence(run, "1"):
        raise ZeroDivisionError
    with Presence(run, "1"), Presence(RunPaths(run.runs_dir, "TFT_Q", "heat", "2"), "1"):
        pass


def test_when_a_worker_comes_back_then_nobody_lives_who_was_itself_or_had_been_started_by_it(run: RunPaths) -> None:
    with Presence(run, "1") as me, Presence(run, "1.2") as child, Presence(run, "11") as other:
        assert not me.lives(None)
        assert not me.lives(me.identity)
        assert not me.lives(child.identity)
        assert not me.lives({"name": "1.2", "machine": "elsewhere"})
        assert me.lives(other.identity)
        assert child.lives(me.identity)


def test_when_a_worker_on_another_machine_is_silent_then_it_is_dead_after_a_while_by_the_waiting_ones_clock(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(liveness.time, "monotonic", lambda: clock.now)
    far, beat = {"name": "3", "machine": "elsewhere"}, run.worker_beat("3")
    me = Presence(run, "1")
    run.workers.mkdir(parents=True)
    beat.write_text("long ago")
    assert me.lives(far), "nobody has waited for it yet"
    clock.now += SILENCE - 1
    assert me.lives(far)
    beat.write_text("a clock that is years behind")
    assert me.lives(far)
    clock.now += SILENCE - 1
    assert me.lives(far)
    clock.now += 1
    assert not me.lives(far)
    beat.write_text("it was only cut off")
    assert me.lives(far)


def test_when_a_worker_lives_then_its_heartbeat_changes(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "BEAT", 0.01)
    written = []
    changed = threading.Event()
    write_text = Path.write_text

    def watch(file: Path, text: str, encoding: str) -> int:
        written.append((file, text))
        if len(written) == 3:
            changed.set()
        return write_text(file, text, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", watch)
    with Presence(run, "1"):
        assert changed.wait(30)
    assert {file for file, _ in written} == {run.worker_beat("1")}


def test_when_several_want_the_turn_then_one_has_it_at_a_time(run: RunPaths) -> None:
    inside, most = [], []

    def take() -> None:
        for _ in range(20):
            with turn(run):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
