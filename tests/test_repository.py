"""The repository as a whole: pins, notebooks, checklists and the tools that keep them in order."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT, text_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads(text_of("pyproject.toml"))["project"]


def locked():
    lines = text_of("requirements.lock").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def declared(*, dev):
    """What the library needs, with what one of its commands needs; or what its developers need."""
    extras = PROJECT["optional-dependencies"]
    return [
        Requirement(text)
        for text in [*PROJECT["dependencies"], *extras["dev" if dev else "dashboard"]]
    ]


def stripping_hook():
    """What runs nbstripout before a commit."""
    (local, *_) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    return next(hook for hook in local["hooks"] if hook["id"] == "nbstripout")


def repository_files():
    """Tracked files and those that would be tracked next."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so the project's files cannot be told from the user's")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# Pins


def test_when_the_lock_is_read_then_every_line_is_one_exact_portable_pin():
    names = []
    for pin in locked():
        # a + fits one kind of machine only, a URL names a place
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.!]+( *;.*)?", str(pin)), pin
        names.append(canonicalize_name(pin.name))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("wanted", declared(dev=True), ids=lambda wanted: wanted.name)
def test_when_a_dependency_is_declared_then_the_lock_pins_it_within_the_range(wanted):
    pins = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in locked()}
    version = pins.get(canonicalize_name(wanted.name))
    assert version is not None, f"{wanted.name} is not in requirements.lock; run `make lock`"
    assert wanted.specifier.contains(version), (
        f"{wanted} excludes the locked {version}; run `make lock`"
    )


def test_when_the_library_imports_a_package_then_pyproject_declares_it():
    providers = packages_distributions()
    names = {canonicalize_name(requirement.name) for requirement in declared(dev=False)}
    undeclared = set()
    for file in (ROOT / "hpo_lib").rglob("*.py"):
        modules = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module or "")
        tops = {module.partition(".")[0] for module in modules} - {"hpo_lib"}
        for top in tops - sys.stdlib_module_names:
            if not names & {canonicalize_name(provider) for provider in providers.get(top, [])}:
                undeclared.add(f"{file.relative_to(ROOT)} imports {top}")
    assert not undeclared


def test_when_the_library_reads_a_file_then_nothing_in_it_is_run():
    runs = (
        r"pickle\.loads?\(|allow_pickle|weights_only=False|joblib\.load|read_pickle|(?<!\.)eval\("
    )
    for file in (ROOT / "hpo_lib").rglob("*.py"):
        assert not re.search(runs, file.read_text(encoding="utf-8")), file


def test_when_conda_makes_the_environment_then_it_takes_the_same_pins():
    (*conda, pip) = yaml.safe_load(text_of("environment.yml"))["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    (python,) = (name.removeprefix("python=") for name in conda if name.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)


# Notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_when_a_notebook_is_read_then_its_format_is_valid(path):
    nbformat.validate(nbformat.read(path, as_version=4))


def test_when_the_commit_hook_strips_a_notebook_then_outputs_go_and_the_parameters_tag_stays(
    tmp_path,
):
    tags = {"tags": ["parameters"]}
    cell = nbformat.v4.new_code_cell(
        "model = 'NHITS_Q'",
        metadata={**tags, "papermill": {"status": "completed"}, "execution": {"started": "x"}},
        outputs=[nbformat.v4.new_output("stream", name="stdout", text="seen")],
        execution_count=7,
    )
    text = nbformat.v4.new_markdown_cell("# Kept", metadata={"tags": ["intro"]})
    file = tmp_path / "study.ipynb"
    run_of = {"papermill": {"duration": 1.0}}
    nbformat.write(nbformat.v4.new_notebook(cells=[text, cell], metadata=run_of), file)

    command = [sys.executable, "-m", "nbstripout", *stripping_hook()["args"], str(file)]
    subprocess.run(command, check=True, cwd=tmp_path)

    stripped = nbformat.read(file, as_version=4)
    assert "papermill" not in stripped.metadata
    text_after, cell_after = stripped.cells
    assert (text_after.metadata, cell_after.metadata) == ({"tags": ["intro"]}, tags)
    cell.update(outputs=[], execution_count=None, metadata=tags)
    assert {**cell_after, "id": ""} == {**cell, "id": ""}


def test_when_the_commit_hook_chooses_files_then_executed_records_are_left_alone():
    pattern = re.compile(stripping_hook()["files"])
    assert pattern.search("notebooks/hpo_template.ipynb")
    assert not pattern.search("papermill_runs/TFT_Q_heat/hpo_TFT_Q_heat_1.ipynb")


# Words and scripts


def test_when_something_is_to_be_added_then_contributing_says_how():
    kinds = re.findall(r"^## How to add a (\w+)$", text_of("CONTRIBUTING.md"), re.MULTILINE)
    assert sorted(kinds) == ["dataset", "family", "metric"]


def test_when_files_are_committed_then_none_names_a_path_of_this_machine():
    # Folders that every machine has, such as a /tmp with the clone in it, give nothing away.
    everyday = map(Path, ("/", "/tmp", "/home", "/root", "/opt", "/usr", "/srv", "/mnt"))
    environment = {Path(sys.prefix)} if sys.prefix != sys.base_prefix else set()
    folders = {ROOT, ROOT.parent, *environment}.difference(everyday)
    named = {
        f"{file.relative_to(ROOT)}: {folder}"
        for file in repository_files()
        for folder in folders
        if f"{folder}/".encode() in file.read_bytes()
    }
    assert not named


def test_when_make_is_called_alone_then_it_describes_every_target():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    makefile = text_of("Makefile")
    assert not [name for name in re.findall(r"\btests/\w+", makefile) if not (ROOT / name).exists()]
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    command = ["make", "--no-print-directory"]
    lines = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    assert [re.sub(r"^make ([a-z-]+) +\S.*", r"\1", line) for line in lines] == phony.split()


def test_when_ci_runs_then_it_lints_and_runs_all_suites_of_the_makefile():
    script = text_of(".ci/run")
    assert "set -euo pipefail" in script
    made = {"install", "lint", "test", "test-slow", "test-browser", "test-slurm"}
    assert {*re.findall(r"^ *phase .* make (\S+)$", script, re.MULTILINE)} == made
