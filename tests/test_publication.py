"""What others find beside the code: how to cite it, the workflow, issue forms, container recipes;
none can run here.
"""

import json
import re

import pytest
import yaml

import hpo_lib
from tests.conftest import text_of
from tests.test_wheel import BUILT_FROM

RECIPES = ("Dockerfile", "slurm/hpo_lib.def")


def words(text):
    """Text without continued lines and with single blanks."""
    return re.sub(r"\s+", " ", text.replace("\\\n", " "))


def test_when_the_project_is_cited_then_version_and_license_are_its_own():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == hpo_lib.__version__
    assert f"{citation['license']} License" in text_of("LICENSE")


def test_when_the_workflow_runs_then_it_calls_what_ci_run_calls():
    own = text_of(".ci/run")
    (packages,) = re.findall(r"DEBIAN_PACKAGES=\((.*?)\)", own, flags=re.DOTALL)
    (job,) = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"].values()
    commands = words(" ".join(step.get("run", "") for step in job["steps"]))
    assert f"--no-install-recommends {words(packages)} " in commands
    targets = re.findall(r"'(\[.*?\])'", job["strategy"]["matrix"]["target"])
    nightly, daily = map(json.loads, targets)
    makefile = text_of("Makefile")
    assert all(f"\n{target}:" in makefile for target in nightly)
    called = ["install", *daily]
    assert sorted(re.findall(r"^ *phase .* make ([a-z-]+)$", own, re.MULTILINE)) == sorted(called)
    assert re.findall(r"make (\S+)", commands) == ["install", "${{"]


@pytest.mark.parametrize("form", ["bug.yml", "wish.yml"])
def test_when_somebody_opens_an_issue_then_the_form_asks_questions_of_its_own(form):
    asked = yaml.safe_load(text_of(f".github/ISSUE_TEMPLATE/{form}"))
    questions = [field for field in asked["body"] if field["type"] != "markdown"]
    assert {"name", "description"} <= set(asked)
    assert len({field["id"] for field in questions}) == len(questions) >= 3
    assert all(field["attributes"]["label"].endswith("?") for field in questions)


@pytest.mark.parametrize("recipe", RECIPES)
def test_when_a_container_is_built_then_it_gets_the_files_that_the_wheel_is_made_of(recipe, root):
    text = text_of(recipe)
    copied = [
        line.split()
        for line in text.splitlines()
        if re.search(r"^(COPY )| /src/", line) and "pip" not in line
    ]
    names = {
        name for line in copied for name in line if name != "COPY" and not name.startswith("/src/")
    }
    assert names == {*BUILT_FROM, "requirements.lock"}
    assert all((root / name).exists() for name in names)


def test_when_either_container_is_built_then_base_packages_and_pins_are_the_same():
    for pattern in (r"(?i)from:? (\S+)\n", r"(?s)apt-get install (.*?libgomp1)", r"pip install .*"):
        found = [re.findall(pattern, text_of(recipe)) for recipe in RECIPES]
        assert len(found[0]) == 1
        assert found[0] == found[1]
