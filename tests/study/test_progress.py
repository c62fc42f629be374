"""What a study says while a trial trains, and where it is shown."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpo_lib.study import progress
from hpo_lib.study.progress import telling


def test_when_a_trial_trains_for_long_then_lines_tell_its_time_and_its_last_check_until_it_ends(
    monkeypatch,
):
    monkeypatch.setattr(progress, "FIRST_PAUSE", 0.02)
    curve = []
    said = []

    def wait_for(count):
        until = time.monotonic() + 60
        while len(said) < count and time.monotonic() < until:
            time.sleep(0.01)

    with telling(7, curve, "m3/h", said.append):
        wait_for(1)
        curve.append({"mae": 0.1234, "step": 15})
        wait_for(len(said) + 2)
    told = len(said)
    assert said[0] == "trial 7 trains: 0 s"
    assert said[-1].endswith(" s, MAE 0.1234 m³/h after 15 steps")
    time.sleep(0.1)
    assert len(said) == told


SAY = "from hpo_lib.study.progress import say; say('1/3  trial 0')"
PARENT = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2]], "
    "check=True, stderr=subprocess.DEVNULL)"
)


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="only Linux shows the files of the parent"
)
@pytest.mark.parametrize(
    "name, stop, shown",
    [("papermill", "", "\r1/3  trial 0\n"), ("papermill", "/tmp/stop", ""), ("jupyter", "", "")],
    ids=["plain papermill", "hpo run", "JupyterLab"],
)
def test_when_a_notebook_runs_under_plain_papermill_then_only_its_terminal_shows_the_lines(
    name, stop, shown, root, tmp_path
):
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        **({"HPO_STOP_FILE": stop} if stop else {}),
    }
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, "-c", PARENT, name, SAY], env=environment, stderr=log, check=True
        )
    assert (tmp_path / "log").read_bytes().decode() == shown


@pytest.mark.parametrize(
    "script, asked, threads",
    [
        ("import hpo_lib", "", None),
        ("from hpo_lib.cli.main import main; main(['datasets', '--json', 'heat'])", "", "1"),
        ("from hpo_lib.cli.main import main; main(['datasets', '--json', 'heat'])", "4", "4"),
        (
            "import types; from hpo_lib.settings import check_injected_parameters as check; "
            "check(types.SimpleNamespace(user_ns={}))",
            "",
            "1",
        ),
    ],
    ids=["import", "command", "command with threads", "notebook"],
)
def test_when_a_process_is_ours_then_it_trains_with_one_thread_and_an_import_sets_nothing(
    script, asked, threads, root
):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if asked:
        environment["OMP_NUM_THREADS"] = asked
    command = [
        sys.executable,
        "-c",
        f"{script}; import os; print(os.environ.get('OMP_NUM_THREADS'))",
    ]
    ended = subprocess.run(
        command, env=environment, cwd=root, check=True, capture_output=True, text=True
    )
    assert ended.stdout.splitlines()[-1] == str(threads)
