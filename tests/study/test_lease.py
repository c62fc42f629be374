"""Leases and the liveness that rests on them, also as on NFS, which cannot exchange names."""

import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import filelock
import optuna
import pytest
from optuna.study import StudyDirection

from hpo_lib import paths
from hpo_lib.errors import StudyError
from hpo_lib.families.search_space import IntRange
from hpo_lib.paths import RunPaths
from hpo_lib.records import leases
from hpo_lib.records.leases import Lease, Liveness, somebody_lives
from hpo_lib.settings import Settings
from hpo_lib.study.first_trials import FirstTrial
from hpo_lib.study.trial_queue import LeaseLost, TrialQueue, _Guarded
from tests.conftest import refusal
from tests.study.processes import PATIENCE

ELSEWHERE = "filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=0123\nduration={!r}\n"


IDENTITY = {"budget": {}, "recipe": {}, "early_stopping": "off"}
SPACE = {"width": IntRange(1, 9)}


@contextmanager
def working(run, worker=1):
    """The queue of a study of two trials, whose worker lives."""
    queue = TrialQueue(
        Settings.create("TFT_Q", "heat", trials=2, worker=worker, storage="journal"), run, SPACE
    )
    with queue.liveness:
        queue.open(IDENTITY, [FirstTrial({"width": 4}, "defaults")])
        yield queue


@pytest.fixture
def run(tmp_path):
    return RunPaths(tmp_path, "TFT_Q", "heat", "1")


@pytest.fixture(params=["ext4", "nfs"])
def short(request, monkeypatch):
    """Leases of half a second."""
    monkeypatch.setattr(leases, "DURATION", 0.5)
    if request.param == "nfs":
        for found in pkgutil.walk_packages(
            filelock.__path__, "filelock."
        ):  # its versions have it in different modules
            if "exchange_names" in vars(module := importlib.import_module(found.name)):
                monkeypatch.setattr(module, "exchange_names", lambda source, target: False)
    return 0.5


def process(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=paths.PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process):
    return process.stdout.readline().rstrip("\n")


def seconds_until(happened):
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.01)
    return time.monotonic() - begun


# Leases


def test_when_several_want_a_lease_then_one_has_it_at_a_time(tmp_path):
    inside = []
    most = []

    def hold():
        one = Lease(tmp_path / "new/lease")
        for _ in range(20):
            with one:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


PAUSE = """
import os, signal, sys
from pathlib import Path
from hpo_lib.records import leases
leases.DURATION = 0.5
with leases.Lease(Path(sys.argv[1])) as held:
    print(held.held, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    print(held.held, flush=True)
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGKILL], ids=["paused", "killed"])
def test_when_a_holder_is_paused_or_killed_then_another_takes_the_lease_and_keeps_it(
    number, tmp_path, short
):
    file = tmp_path / "lease"
    mine = Lease(file)
    with process(PAUSE, file) as holder, ExitStack() as whatever_happens:
        whatever_happens.callback(holder.kill)
        assert first_line(holder) == "True"
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
        if number == signal.SIGKILL:
            holder.kill()
            holder.wait()
        assert seconds_until(mine.take) >= short or number == signal.SIGKILL
        assert mine.held
        holder.send_signal(number)
        assert holder.communicate()[0] == ("False\nended\n" if number == signal.SIGCONT else "")
        assert mine.held, "the earlier holder gave up a lease that was not its own"
    mine.release()
    assert not mine.held
    assert not file.exists()


def test_when_the_looker_is_paused_in_the_middle_of_a_look_then_a_refreshed_lease_is_not_broken(
    tmp_path, monkeypatch
):
    clock = SimpleNamespace(now=time.monotonic())
    faked = SimpleNamespace(monotonic=lambda: clock.now, sleep=time.sleep, time=time.time)
    monkeypatch.setattr(leases, "time", faked)
    look = Lease.refreshed
    with Lease(tmp_path / "lease") as one:
        other = Lease(tmp_path / "lease")
        assert not other.take()

        def paused(lease):
            seen = look(lease)
            clock.now += lease.patience + 1
            return seen

        monkeypatch.setattr(Lease, "refreshed", paused)
        assert not other.take()
        assert one.held


def test_when_a_stop_is_asked_for_while_another_holds_the_lease_then_the_wait_for_it_ends(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(leases, "STOP_PATIENCE", 0.1)
    monkeypatch.setattr(leases.stop_requests, "requested", lambda: "SIGTERM")
    with Lease(tmp_path / "lease"), pytest.raises(StudyError, match="a stop was asked for"):
        Lease(tmp_path / "lease").__enter__()


def test_when_a_lease_has_the_duration_of_another_version_then_it_is_held_until_it_is_silent(
    tmp_path, monkeypatch
):
    file = tmp_path / "lease"
    file.write_text(ELSEWHERE.format(7.0), encoding="utf-8")
    lease = Lease(file)
    assert not lease.take()
    lease.patience = 0.0
    assert not lease.take()
    assert lease.take()


def test_when_a_lease_is_held_then_it_is_refreshed_well_within_the_silence_that_others_bear(
    tmp_path, monkeypatch
):
    assert (
        max(30, 4 * leases.REFRESH) < leases.DURATION < Lease(tmp_path / "lease").patience < 600
    ), "30 s are optuna's"
    monkeypatch.setattr(leases, "REFRESH", 0.01)
    with Lease(tmp_path / "lease") as one:
        begun = one.refreshed()
        seconds_until(lambda: one.refreshed() not in (begun, None))
        assert one.held


def test_when_the_lease_is_lost_in_the_middle_of_a_decision_then_no_later_write_reaches_the_study(
    tmp_path,
):
    storage = optuna.storages.InMemoryStorage()
    one = Lease(tmp_path / "lease")
    other = Lease(tmp_path / "lease")
    guarded = _Guarded(storage, one)
    with one:
        number = guarded.create_new_study([StudyDirection.MINIMIZE], "s")
        one.file.unlink()  # it was silent for too long
        with other:
            for write in (
                lambda: guarded.create_new_trial(number),
                lambda: guarded.set_study_user_attr(number, "a", 1),
            ):
                with pytest.raises(LeaseLost):
                    write()
            assert guarded.get_all_trials(number) == []
            assert guarded.get_study_user_attrs(number) == {}


# Liveness

LIVE = """
import sys
from pathlib import Path
from hpo_lib.errors import StudyError
from hpo_lib.paths import RunPaths
from hpo_lib.records import leases
from hpo_lib.records.leases import Liveness
leases.REFRESH = 0.1
try:
    with Liveness(RunPaths(Path(sys.argv[1]), "TFT_Q", "heat", "1"), sys.argv[2]):
        print("lives", flush=True)
        sys.stdin.read()
except StudyError as error:
    print(error, flush=True)
"""


def test_when_a_worker_is_killed_then_it_lives_no_more_and_another_may_take_its_name(run):
    sentence = (
        f"another process works on this study (it holds {run.worker_lease('2')}); wait for it, "
        "stop it, or choose another job_id"
    )
    other = {**Liveness(run, "2").identity}
    with Liveness(run, "1") as me, process(LIVE, run.runs_dir, "2") as holder:
        try:
            assert first_line(holder) == "lives"
            assert me.lives(other)
            with process(LIVE, run.runs_dir, "2") as refused:
                assert first_line(refused) == sentence
            with refusal(sentence, StudyError), Liveness(run, "2"):
                pass
            assert me.lives(other)
        finally:
            holder.kill()  # SIGKILL: no handler runs, nothing is cleaned up
            holder.wait()
        assert not me.lives(other)
        with process(LIVE, run.runs_dir, "2") as successor:
            assert first_line(successor) == "lives"
            assert me.lives(other)
            successor.communicate("")
        assert not me.lives(other)


def test_when_a_worker_elsewhere_is_silent_then_it_is_dead_after_a_while_and_may_start_again(
    run, short
):
    far = {"name": "3", "machine": "elsewhere"}
    file = run.worker_lease("3")
    with Liveness(run, "1") as me:
        file.write_text(ELSEWHERE.format(short), encoding="utf-8")
        for tick in range(10):
            os.utime(file, (tick, tick))  # by a clock that is years behind
            assert me.lives(far)
            time.sleep(short / 5)
        assert seconds_until(lambda: not me.lives(far)) >= short / 2
        file.write_text(ELSEWHERE.format(short), encoding="utf-8")
        with Liveness(run, "3") as again:
            assert me.lives(again.identity)


def test_when_a_worker_was_paused_and_presumed_dead_then_it_lives_again_unless_its_name_is_taken(
    run,
):
    with Liveness(run, "1") as me, Liveness(run, "2") as paused:
        run.worker_lease("2").unlink()
        assert not me.lives(paused.identity)
        paused.renew()
        assert me.lives(paused.identity)
        run.worker_lease("2").unlink()
        with process(LIVE, run.runs_dir, "2") as successor:
            assert first_line(successor) == "lives"
            with pytest.raises(StudyError, match="another process works on this study"):
                paused.renew()
            successor.communicate("")


def test_when_others_look_at_a_killed_worker_while_it_starts_again_then_it_is_not_refused(
    run, monkeypatch
):
    looks, looks_next = (Lease(run.worker_lease("2")) for _ in range(2))  # as `Liveness.lives` does
    assert looks.take()
    clock = SimpleNamespace(monotonic=time.monotonic, time=time.time, polls=0)

    def between_polls(_):
        clock.polls += 1
        if clock.polls == 1:
            looks.release()
            assert looks_next.take()
        else:
            looks_next.release()

    clock.sleep = between_polls
    monkeypatch.setattr(leases, "time", clock)
    with Liveness(run, "2"):
        assert clock.polls == 2


def test_when_a_crash_left_empty_leases_then_they_are_waited_for_once_and_it_is_said_once(
    run, capsys, short
):
    run.workers.mkdir(parents=True)
    run.worker_lease("1").touch()
    run.decision_lease.write_text(ELSEWHERE.format(0.5), encoding="utf-8")
    patience = Lease(run.decision_lease).patience
    with Liveness(run, "1"), Lease(run.proof_lease):
        waited = seconds_until(Lease(run.decision_lease).take)
    assert waited < patience / 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == (
        f"{run.worker_lease('1')} is held by a process without a name; waiting up to "
        f"{patience:.0f} s to see whether it still runs"
    )


def test_when_only_the_lease_of_decisions_is_silent_then_who_waits_says_whose_it_is(
    tmp_path, capsys, monkeypatch, short
):
    monkeypatch.setattr(leases, "REFRESH", 0.05)
    (file := tmp_path / "lease").write_text(ELSEWHERE.format(0.5), encoding="utf-8")
    with Lease(file):
        pass
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{file} is held by process 1 on elsewhere; waiting up to 1 s to see")


def test_when_only_an_old_lease_is_left_of_another_machine_then_nobody_lives(run):
    file = run.worker_lease("3")
    file.parent.mkdir(parents=True)
    file.write_text(ELSEWHERE.format(leases.DURATION), encoding="utf-8")
    assert somebody_lives(run)
    os.utime(file, (time.time() - leases.DURATION,) * 2)
    assert not somebody_lives(run)


def test_when_the_lease_is_lost_while_the_record_is_made_then_it_is_made_again(run, monkeypatch):
    made = []
    written = []
    monkeypatch.setattr(
        "hpo_lib.study.trial_queue.write_json", lambda _, content: written.append(content)
    )
    with working(run) as queue:

        def content(records):
            made.append(records)
            if len(made) == 1:
                # this worker was silent, and another one took the lease
                run.decision_lease.unlink()
            return {"made": len(made)}

        assert queue.write(content) == {"made": 2}
    assert written == [{"made": 2}]


def test_when_running_and_finished_trials_are_as_many_as_asked_for_then_no_other_begins(run):
    with ExitStack() as living:
        queues = [living.enter_context(working(run, number)) for number in (1, 2, 3)]
        first, second, third = (queue.claim() for queue in queues)
        assert third is None
        assert first is not None
        assert second is not None
        queues[0].end(first, 1.0, {"scores": {"mae": 0.5, "picp": 80.0}})
        assert queues[2].claim() is None
        queues[1].interrupt(second, "somebody")
        again = queues[2].claim()
        assert again.params == second.params
        queues[2].end(again, 1.0, {"cause": "NaN in the forecasts"})
        assert queues[0].claim() is None, "a failed trial is finished"


def test_when_two_workers_settle_a_study_then_one_verdict_stands_and_what_runs_counts(run):
    with working(run) as first, working(run, 2) as second:
        trial = first.claim({"asked": 2})
        assert first.settled is None, "a configuration that waits is tried first"
        assert second.claim({"asked": 2}) is None
        first.interrupt(trial, "somebody")
        assert first.claim({"asked": 9}).params == trial.params
        assert second.claim({"asked": 9}) is None
        assert first.settled == second.settled == {"trials": 1, "asked": 2}
