"""The package from its wheel, in an empty folder, as somebody has it who installed it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pandas as pd
import pytest

from hpo_lib import paths
from tests.conftest import ABSENT

BUILT_FROM = (
    "hpo_lib",
    "notebooks",
    "datasets",
    "slurm",
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
)


class Installed:
    """An empty folder and the ``hpo`` of an environment of its own, which sees the packages of this
    one.
    """

    def __init__(self, environment, folder):
        self.environment = environment
        self.folder = folder

    def __call__(self, *words):
        """What a command printed; it must end well."""
        command = [str(self.environment / "bin/hpo"), *words]
        variables = os.environ | {"PYTHONPATH": ABSENT}  # this checkout's package is not seen
        ended = subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    work = tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        source = paths.PROJECT_ROOT / name
        to = work / "source" / name
        to.parent.mkdir(exist_ok=True)
        shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)
    pip = [sys.executable, "-m", "pip"]
    no = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *no, "--no-build-isolation", "-w", work, work / "source"], check=True
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "env"], check=True)
    (wheel,) = work.glob("*.whl")
    subprocess.run([*pip, "--python", work / "env/bin/python", "install", *no, wheel], check=True)
    (site,) = (work / "env/lib").glob("python*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    (work / "empty").mkdir()
    return Installed(work / "env", work / "empty")


@pytest.mark.slow
def test_when_the_wheel_is_used_in_an_empty_folder_then_datasets_are_known_and_nothing_is_written(
    installed,
):
    lines = installed("datasets").splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [
        "bike_dc",
        "heat",
        "water_centrum",
        "water_tommerby",
    ]
    assert sum("SIMULATED" in line for line in lines) == 3
    assert "LINEAR_Q" in installed("audit", "--dataset", "bike_dc", "--models", "LINEAR_Q")
    doctor = installed("doctor", "heat")
    assert f"in {installed.folder}, Python" in doctor
    assert str(paths.PROJECT_ROOT) not in doctor
    assert "submit" in installed("--help")
    assert list(installed.folder.iterdir()) == []


@pytest.mark.slow
def test_when_a_study_of_an_own_toml_is_run_then_its_record_is_below_the_current_folder(installed):
    index = pd.date_range("2020-02-01 00:00Z", periods=100 * 24, freq="h")
    values = 10 + np.arange(len(index)) % 24 / 4 + np.random.default_rng(1).random(len(index))
    pd.Series(values, index=index, name="0").to_csv(installed.folder / "mine.csv")
    installed("new-dataset", "mine.csv", "--timezone", "Europe/Rome")
    installed("prepare", "--dataset", "mine.toml", "--raw", "mine.csv")
    assert (installed.folder / "data/mine_features.csv").is_file()
    installed("datasets", "mine.toml")
    assert (installed.folder / "mine.png").is_file()
    words = "run --model NHITS_Q --dataset mine.toml --job-id a --test --trials 1 --space plan"
    installed(*words.split(), "--policy", "calibrated")
    run = paths.RunPaths(installed.folder / "papermill_runs", "NHITS_Q", "mine", "a")
    result = json.loads(run.best_params.read_bytes())
    assert (result["status"], result["n_completed"]) == ("complete", 1)
    assert result["provenance"]["data"]["path"] == "data/mine_features.csv"
    assert result["provenance"]["git_commit"] is None
    assert run.notebook.is_file()
    assert "figures recomputed" in installed("verify", "--dataset", "mine.toml")
    assert "N-HiTS" in installed("analyze", "--dataset", "mine.toml")
