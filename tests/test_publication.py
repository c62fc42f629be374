"""What others find beside the code: how to cite it, the workflow, issue forms, container recipes;
none can run here.
"""

import json
import re

import pytest
import yaml

import hpo_lib
from tests.test_wheel import BUILT_FROM

RECIPES = ("Dockerfile", "slurm/hpo_lib.def")


def words(text):
    """Text without continued lines and with single blanks."""
    return re.sub(r"\s+", " ", text.replace("\\\n", " "))


def test_when_the_project_is_cited_then_version_and_license_are_its_own(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == hpo_lib.__version__
    assert f"{citation['license']} License" in (root / "LICENSE").read_text(encoding="utf-8")


def test_when_the_workflow_runs_then_it_calls_what_ci_run_calls(root):
    own = (root / ".ci" / "run").read_text(encoding="utf-8")
    (packages,) = re.findall(r"DEBIAN_PACKAGES=\((.*?)\)", own, flags=re.DOTALL)
    (job,) = yaml.safe_load(
        (root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    )["jobs"].values()
    commands = words(" ".join(step.get("run", "") for step in job["steps"]))
    assert f"--no-install-recommends {words(packages)} " in commands
    targets = re.findall(r"'(\[.*?\])'", job["strategy"]["matrix"]["target"])
    nightly, daily = map(json.loads, targets)
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in nightly)
    called = ["install", *daily]
    phases = re.findall(r"^ *phase .* make ([a-z-]+)$", own, flags=re.MULTILINE)
    assert sorted(phases) == sorted(called)
    assert re.findall(r"make (\S+)", commands) == ["install", "${{"]


@pytest.mark.parametrize("form", ["bug.yml", "wish.yml"])
def test_when_somebody_opens_an_issue_then_the_form_asks_questions_of_its_own(form, root):
    asked = yaml.safe_load((root / ".github" / "ISSUE_TEMPLATE" / form).read_text(encoding="utf-8"))
    questions = [field for field in asked["body"] if field["type"] != "markdown"]
    assert {"name", "description"} <= set(asked)
    assert len({field["id"] for field in questions}) == len(questions) >= 3
    assert all(field["attributes"]["label"].endswith("?") for field in questions)


@pytest.mark.parametrize("recipe", RECIPES)
def test_when_a_container_is_built_then_it_gets_the_files_that_the_wheel_is_made_of(recipe, root):
    text = (root / recipe).read_text(encoding="utf-8")
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


def test_when_either_container_is_built_then_base_packages_and_pins_are_the_same(root):
    for pattern in (r"(?i)from:? (\S+)\n", r"(?s)apt-get install (.*?libgomp1)", r"pip install .*"):
        found = [
            re.findall(pattern, (root / recipe).read_text(encoding="utf-8")) for recipe in RECIPES
        ]
        assert len(found[0]) == 1
        assert found[0] == found[1]
