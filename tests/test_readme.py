"""The README keeps its word: every command in it runs as it is written, in a fresh copy, which
stays clean.
"""

import os
import re
import shutil
import subprocess

import nbformat
import pytest

from tests.conftest import ABSENT

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def fresh_copy(root, folder):
    """What git tracks or would track, committed, with this checkout's environment, which `make`
    takes for complete.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(
        listed, cwd=root, capture_output=True, text=True, check=True
    ).stdout.split("\0"):
        if name and (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
            os.utime(folder / name, (0, 0))  # older than .venv/.installed: nothing is installed
    (folder / ".venv").symlink_to((root / ".venv").resolve())
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "copy"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


@pytest.mark.slow
def test_when_the_blocks_of_the_readme_are_typed_then_they_work_and_leave_the_checkout_clean(
    root, tmp_path
):
    if not (root / ".venv/.installed").exists():
        pytest.skip("this environment was not made by make")
    copy = fresh_copy(root, tmp_path / "copy")
    blocks = BLOCK.findall((copy / "README.md").read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} == {"bash"}
    script = "set -euo pipefail\n" + "".join(block for _, block in blocks)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([ABSENT, str(copy)]),  # not the library that is installed
        "OMP_NUM_THREADS": "1",
        "DEMO": "--test",
    }
    ran = subprocess.run(
        ["bash"], input=script, cwd=copy, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    record = nbformat.read(copy / "out.ipynb", as_version=4)
    assert record.metadata.papermill.exception is None
    assert not any("SIMULATED DATA" in str(cell.get("outputs")) for cell in record.cells)
    for place in re.findall(r"^ +(\w+/[\w/.*]+)$", ran.stdout, re.M):
        assert len(list(copy.glob(place))) == 1, place
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=copy, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
