"""Requests to stop, from the signal to the flag."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from hpo_lib import paths, stop_requests
from tests.study.processes import python

ASK_THE_CHILD = """
import subprocess, sys, time
from hpo_lib import stop_requests
with stop_requests.relaying():
    child = subprocess.Popen([sys.executable, "-c", '''
import time
from hpo_lib import stop_requests
print("ready", flush=True)
while not (name := stop_requests.requested()):
    time.sleep(0.02)
print(name)
'''])
    sys.exit(child.wait())
"""


@pytest.mark.parametrize("number", stop_requests.SIGNALS, ids=lambda number: number.name)
def test_when_a_signal_reaches_the_parent_then_the_child_is_asked_by_it_and_both_live_on(
    number, root, tmp_path
):
    command = [sys.executable, "-c", ASK_THE_CHILD]
    how = {"env": os.environ | {"TMPDIR": str(tmp_path)}, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=root, **how) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"{number.name}\n"
    assert process.returncode == 0
    assert not list(tmp_path.glob(f"hpo-*/{number.name}"))


@pytest.mark.parametrize("number", stop_requests.SIGNALS, ids=lambda number: number.name)
def test_when_a_signal_reaches_a_listening_process_then_it_is_a_request_and_afterwards_it_is_not(
    number, tmp_path
):
    before = signal.getsignal(number)
    with stop_requests.listening(tmp_path):
        stop_requests.check()
        os.kill(os.getpid(), number)
        assert stop_requests.requested() == number.name
        with pytest.raises(stop_requests.StopRequested, match=number.name):
            stop_requests.check()
    assert signal.getsignal(number) == before
    with stop_requests.listening(tmp_path):
        assert stop_requests.requested() == "", (
            "the request of an earlier study counts for this one"
        )


def test_when_the_stop_file_of_a_study_is_written_then_who_began_before_it_is_asked(tmp_path):
    file = paths.stop_file(tmp_path)
    paths.write_text(file, "")
    with stop_requests.listening(tmp_path):
        assert stop_requests.requested() == "", "an earlier request, which others have obeyed"
        file.unlink()
        assert stop_requests.requested() == ""
        paths.write_text(file, "")
        assert stop_requests.requested() == "hpo stop"
    assert stop_requests.requested() == ""


def test_when_a_study_runs_in_another_thread_then_it_leaves_the_handlers_alone(tmp_path):
    before = [signal.getsignal(number) for number in stop_requests.SIGNALS]
    seen = []

    def listen():
        with stop_requests.listening(tmp_path):
            seen.extend(signal.getsignal(number) for number in stop_requests.SIGNALS)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == before


SIGNALS_IN_THE_HANDLER = """
import os, signal
from hpo_lib import stop_requests

rename, written = os.replace, []
def replace(file, target):
    written.append(file)
    # as when a cluster signals faster than a busy machine writes a file
    os.kill(os.getpid(), signal.SIGTERM)
    return rename(file, target)
os.replace = replace
with stop_requests.relaying():
    os.kill(os.getpid(), signal.SIGTERM)
    print(stop_requests.requested(), len(written))
"""


def test_when_signals_come_while_the_first_is_handed_on_then_it_alone_is_and_nothing_breaks(root):
    ended = python(root, "-c", SIGNALS_IN_THE_HANDLER)
    assert (ended.returncode, ended.stdout) == (0, "SIGTERM 1\n"), ended.stderr
