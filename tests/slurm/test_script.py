"""The job's script and the site's file, without any Slurm."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hpo_lib import paths
from hpo_lib.cli.commands import study_settings
from hpo_lib.cli.main import _parser
from hpo_lib.errors import InputError
from hpo_lib.launch.slurm import Site, job_script, read_site
from hpo_lib.launch.slurm_requeue import ThisJob
from hpo_lib.paths import RunPaths
from hpo_lib.settings import Settings
from tests.conftest import hpo

GOLDEN = Path(__file__).parent / "golden"
SITES = sorted(GOLDEN.glob("*.env"))


@pytest.mark.parametrize(
    "site, more, golden",
    [
        *((site, [], site.stem) for site in SITES),
        (GOLDEN / "venv.env", ["--workers", "4"], "venv-array"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_when_a_site_is_described_then_the_script_is_exactly_this(
    site, more, golden, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "executable", "/usr/my bin/python")
    monkeypatch.setattr(paths, "PROJECT_ROOT", Path("/my project"))
    monkeypatch.setattr(paths, "SLURM_LOGS", Path("/my project/slurm/logs"))
    folders = f"--data-dir {tmp_path} --runs-dir /runs --site {site}"
    words = f"submit --model TFT_Q --dataset water_centrum --trials 30 --simulated {folders}"
    _, script, errors = hpo(words, "--dry-run", *more)
    assert errors == ""
    script = script.replace(str(tmp_path), "/data")
    expected = GOLDEN / f"{golden}.sh"
    if os.environ.get("HPO_UPDATE_GOLDEN"):
        expected.write_text(script, encoding="utf-8")
    assert script == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "script",
    sorted(GOLDEN.glob("*.sh")) + sorted(paths.SLURM_DIR.glob("*.sh")),
    ids=lambda s: s.name,
)
def test_when_shellcheck_reads_a_script_then_it_has_no_complaint(script):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: apt-get install shellcheck")
    # Environments of a site are not on this machine, so that they cannot be followed.
    checked = subprocess.run(
        ["shellcheck", "--exclude=SC1091", str(script)], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout) == (0, "")


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


@hypothesis_settings(max_examples=30, deadline=None)
@given(folder=TEXTS, url=TEXTS)
def test_when_a_parameter_holds_anything_then_the_shell_hands_it_on_as_it_is(folder, url):
    given = {
        "runs_dir": f"/{folder}",
        "data_dir": f"/data/{folder}",
        "storage": f"postgresql://h/{url}",
        "job_id": "x",
    }
    try:
        settings = Settings.create("NHITS_Q", f"/{folder}.toml", **given)
    except InputError:
        assume(False)  # no database URL, or one with a password
    words = settings.as_words()
    head, command = job_script(settings, "heat", Site(), ["job", *words]).split(" -m hpo_lib job ")
    harmless = Settings.create("NHITS_Q", "heat", job_id="x")
    assert job_script(harmless, "heat", Site(), []).startswith(head), (
        "a parameter is outside the command"
    )
    # The very shell that would run it says what it read.
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
    ).stdout
    assert shown.decode().split("\0")[:-1] == words
    assert study_settings(_parser().parse_args(["run", *words, "--job-id", "x"])) == settings


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """What ``hpo submit`` prints as it ends with exit code 2, without having called sbatch."""
    called, program = tmp_path / "called", tmp_path / "bin/sbatch"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(called))}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def said(*arguments):
        folders = f"--simulated --data-dir {tmp_path} --runs-dir {tmp_path}"
        _, out, err = hpo(f"submit --model NHITS_Q --dataset heat {folders}", *arguments, code=2)
        assert (out, called.exists()) == ("", False)
        return err

    return said


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["--model", "NHITS_Q; rm -rf x"],
            "hpo: model is 'NHITS_Q; rm -rf x', which is not a model family",
        ),
        (
            ["--site", "no-such.env"],
            "hpo: no-such.env: cannot be read (No such file or directory); name a site file",
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_when_a_parameter_is_wrong_then_submit_says_so_before_it_asks_slurm(
    arguments, sentence, refusal
):
    assert refusal(*arguments).startswith(sentence)


def test_when_simulated_data_is_asked_for_and_there_is_no_twin_then_submit_says_so(
    tmp_path, refusal
):
    text = (
        (paths.DATASETS_DIR / "heat.toml")
        .read_text(encoding="utf-8")
        .replace('name = "heat"', 'name = "mine"')
    )
    toml = tmp_path / "mine.toml"
    toml.write_text(text.split("[twin]")[0], encoding="utf-8")
    assert f"{toml}: table [twin] is missing" in refusal("--dataset", toml)


def test_when_a_study_on_sqlite_is_to_go_on_with_several_workers_then_submit_says_so(
    tmp_path, refusal
):
    run = RunPaths(tmp_path, "NHITS_Q", "heat", "4711")
    run.folder.mkdir()
    run.sqlite.touch()
    assert refusal("--job-id", "4711", "--workers", "2") == (
        f"hpo: job_id '4711' belongs to a study with storage 'sqlite' ({run.sqlite}), now storage "
        "is 'journal'; choose another job_id, or go back to that storage\n"
    )


@pytest.mark.parametrize(
    "environment, job",
    [
        ({}, ThisJob(workers_per_gpu=4)),
        (
            {"SLURM_JOB_ID": "4711", "SLURM_RESTART_COUNT": "2"},
            ThisJob("4711", "4711", 1, 2, workers_per_gpu=4),
        ),
        # The last task of an array has the array's own number, every other one a new number.
        (
            {"SLURM_JOB_ID": "4714", "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "3"},
            ThisJob("4711_3", "4711", 9, 0, workers_per_gpu=4),
        ),
    ],
)
def test_when_slurm_starts_a_job_then_it_knows_its_study_and_its_worker(
    environment, job, monkeypatch
):
    monkeypatch.setattr(os, "environ", environment)
    assert ThisJob.of_environment(600, 20, 4) == job


def test_when_there_is_no_sbatch_then_submit_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = (
        "hpo: sbatch is not on this machine, so nothing was submitted; log in to the cluster's "
        "login node, or use `hpo run` to run the study here\n"
    )
    assert hpo("submit --model NHITS_Q --dataset heat --simulated", code=1) == (1, "", sentence)


@pytest.mark.parametrize(
    "text, sentence",
    {
        "PARTITON=gpu": "line 1 is 'PARTITON=gpu', expected KEY=value; did you mean PARTITION?",
        "PARTITION": "line 1 is 'PARTITION', expected KEY=value; did you mean PARTITION?",
        "MEM=1G\nMEM=2G": "line 2: MEM is given twice",
        "PARTITION=a b": "line 1: PARTITION is 'a b', expected one word",
        "ACCOUNT=x;reboot": "line 1: ACCOUNT is 'x;reboot', expected one word",
        "GRES=gpu:1  # one": "line 1: GRES is 'gpu:1  # one'; a comment needs a line of its own",
        "SIGNAL_SECONDS=ten": "line 1: SIGNAL_SECONDS is 'ten', expected a valid integer",
        # To Slurm these are minutes.
        "TIME=12:00": "line 1: TIME is '12:00', expected hours:minutes:seconds",
        "TIME=9-99:99:99": "line 1: TIME is '9-99:99:99', expected hours:minutes:seconds",
        "TIME=2-24:00:00": "line 1: TIME is '2-24:00:00', expected hours:minutes:seconds",
        "MEM=64 G": "line 1: MEM is '64 G', expected one word",
        "WORKERS_PER_GPU=0": "line 1: WORKERS_PER_GPU is '0', expected greater than or equal to 1",
        "MAX_REQUEUES=-1": "line 1: MAX_REQUEUES is '-1', expected greater than or equal to 0",
        "MAX_REQUEUES=1_0": "line 1: MAX_REQUEUES is '1_0', expected a valid integer",
        "SIGNAL_SECONDS=2.0": "line 1: SIGNAL_SECONDS is '2.0', expected a valid integer",
        "TIME=00:10:00": "TIME=00:10:00 is not longer than SIGNAL_SECONDS=600",
        b"MEM=1G\n\xff\xfe": "cannot be read (byte 7 is not UTF-8)",
    }.items(),
)
def test_when_a_site_file_is_wrong_then_the_line_is_named(text, sentence, tmp_path):
    file = tmp_path / "site.env"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f"^{re.escape(f'{file}: {sentence}')}"):
        read_site(file)


def test_when_the_projects_own_site_file_is_read_then_it_holds_every_key_at_its_default():
    assert read_site(paths.SITE_FILE) == Site()
    keys = {
        line.split("=")[0]
        for line in paths.SITE_FILE.read_text(encoding="utf-8").splitlines()
        if line[:1].isupper()
    }
    assert keys == {name.upper() for name in Site.model_fields}
