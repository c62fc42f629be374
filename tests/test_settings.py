"""From parameters to settings; the errors for wrong ones are in test_broken_parameters.py."""

import dataclasses
import os
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from hpo_lib import paths
from hpo_lib.cli.commands import study_settings
from hpo_lib.cli.main import _parser
from hpo_lib.errors import InputError
from hpo_lib.families import models
from hpo_lib.records import trial
from hpo_lib.scoring import objectives
from hpo_lib.settings import (
    OBJECTIVES,
    PARAMETERS,
    PER_PROCESS,
    POLICIES,
    PRESETS,
    RECIPES,
    STORAGES,
    Settings,
    check_injected_parameters,
    option_of,
)
from tests.conftest import refusal

NAMES = [parameter.name for parameter in PARAMETERS]


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def run_by_papermill(**parameters):
    """Settings as the notebook sees them after papermill has injected its cell below the parameters
    cell.
    """
    notebook = parameterize_notebook(load_notebook_node(str(paths.HPO_NOTEBOOK)), parameters)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tags = [tag for cell in code[:2] for tag in cell.metadata.get("tags", [])]
    assert tags == ["parameters", "injected-parameters"]
    namespace = {"In": [""]}
    for cell in code[:2]:
        exec(cell.source, namespace)
        namespace["In"].append(cell.source)
    return Settings.from_notebook(SimpleNamespace(user_ns=namespace))


# Defaults


def test_when_only_model_and_dataset_are_given_then_the_rest_is_resolved_from_the_defaults():
    settings = Settings.create("TFT_Q", "heat")
    assert re.fullmatch(r"local-\d{8}-\d{6}", settings.job_id)
    resolved = {
        "trials": 50,
        "job_id": settings.job_id,
        "data_dir": None,
        "runs_dir": paths.RUNS_DIR,
    }
    stated = {parameter.name: parameter.default for parameter in PARAMETERS}
    assert settings == Settings(**{**stated, "model": "TFT_Q", "dataset": "heat", **resolved})


URL = "postgresql://user@host/db"


@pytest.mark.parametrize(
    "given_parameters, expected",
    [
        ({}, {"trials": 50, "preset": "auto"}),
        ({"test": True}, {"trials": 3, "preset": "test"}),
        ({"test": True, "trials": 7}, {"trials": 7, "preset": "test"}),
        ({"test": True, "preset": "test"}, {"trials": 3, "preset": "test", "budget_name": "test"}),
        (
            {"trials": 0, "preset": "laptop"},
            {"trials": 50, "preset": "laptop", "budget_name": "laptop"},
        ),
        *(({"storage": kind}, {"storage": kind}) for kind in (*STORAGES, URL)),
        *(
            ({"workers": 2, "storage": kind}, {"storage": "journal"})
            for kind in ("auto", "journal")
        ),
        *(({"worker": 2, "storage": kind}, {"storage": "journal"}) for kind in ("auto", "journal")),
        ({"workers": 2, "storage": URL}, {"storage": URL}),
        ({"worker": 2, "storage": URL}, {"storage": URL}),
    ],
    ids=str,
)
def test_when_parameters_depend_on_each_other_then_the_settings_are_resolved(
    given_parameters, expected
):
    settings = Settings.create("TFT_Q", "heat", **given_parameters)
    assert {name: getattr(settings, name) for name in expected} == expected


def test_when_the_job_runs_under_slurm_then_its_id_names_the_study_unless_one_is_given(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert Settings.create("TFT_Q", "heat").job_id == "4711"
    assert Settings.create("TFT_Q", "heat", job_id=None).job_id == "4711"
    assert Settings.create("TFT_Q", "heat", job_id="winter").job_id == "winter"
    monkeypatch.setenv("SLURM_JOB_ID", "")
    assert Settings.create("TFT_Q", "heat").job_id.startswith("local-")


def test_when_folders_are_given_as_text_path_or_home_then_they_become_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.create("TFT_Q", "heat", data_dir="~/data", runs_dir=tmp_path / "runs")
    assert (settings.data_dir, settings.runs_dir) == (tmp_path / "data", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)  # the notebook runs elsewhere
    settings = Settings.create("TFT_Q", "heat", data_dir="data", runs_dir="runs")
    assert (settings.data_dir, settings.runs_dir) == (tmp_path / "data", tmp_path / "runs")


def test_when_policies_recipes_and_objectives_are_named_then_registries_hold_them():
    assert (trial.PROVEN, *trial.POLICIES) == POLICIES
    assert tuple(models.RECIPES) == RECIPES
    assert tuple(objectives.OBJECTIVES) == OBJECTIVES


def test_when_objectives_are_named_with_spaces_then_the_settings_hold_them_joined_by_commas():
    settings = Settings.create("TFT_Q", "heat", objectives=" mae, winkler ,pinball")
    assert settings.objectives == "mae,winkler,pinball"


def parameters_table():
    """``docs/parameters.md``'s table of all parameters, in Markdown."""
    lines = ["| parameter | type | default | `hpo run` | meaning |", "|---|---|---|---|---|"]
    for parameter in PARAMETERS:
        name = parameter.name
        default = parameter.default
        required = default is dataclasses.MISSING
        kind = "str" if required else type(default).__name__
        shown = "required" if required else f"`{default!r}`"
        option = option_of(f"no_{name}" if default is True else name)
        lines.append(
            f"| `{name}` | {kind} | {shown} | `{option}` | {parameter.metadata['description']} |"
        )
    return "\n".join(lines) + "\n"


def test_when_the_parameters_are_documented_then_the_table_is_that_of_the_settings():
    document = paths.PROJECT_ROOT / "docs/parameters.md"
    head, _, table = document.read_text(encoding="utf-8").partition("| parameter |")
    if os.environ.get("HPO_UPDATE_GOLDEN"):
        document.write_text(head + parameters_table(), encoding="utf-8")
    else:
        assert f"| parameter |{table}" == parameters_table()


# Through papermill


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("test", "true", True),
        ("test", "TRUE", True),
        ("test", "false", False),
        ("test", True, True),
        ("job_id", 4711, "4711"),
    ],
)
def test_when_papermill_passes_a_value_in_another_type_then_it_is_understood(name, value, expected):
    assert getattr(run_by_papermill(**{name: value}), name) == expected


def test_when_papermill_passes_nothing_then_defaults_are_those_of_the_command_line():
    notebook = run_by_papermill()
    assert notebook == Settings.create("NHITS_Q", "bike_dc", job_id=notebook.job_id)


def test_when_a_notebook_lacks_a_parameter_then_the_error_names_it():
    shell = SimpleNamespace(user_ns={name: None for name in NAMES if name != "policy"})
    with refusal(
        "parameter 'policy' is missing from the parameters cell; add it as in hpo_template.ipynb"
    ):
        Settings.from_notebook(shell)


def test_when_a_family_notebook_is_given_another_model_then_the_error_names_both():
    namespace = Settings.create("TFT_Q", "heat").parameters()
    assert Settings.from_notebook(SimpleNamespace(user_ns=namespace), only="TFT_Q").model == "TFT_Q"
    with pytest.raises(
        InputError,
        match=r"^model is 'TFT_Q', but this notebook shows NHITS_Q; run hpo_template.ipynb",
    ):
        Settings.from_notebook(SimpleNamespace(user_ns=namespace), only="NHITS_Q")


def test_when_cells_were_run_then_what_was_injected_is_compared_with_those_before_it():
    before = ["", "a: str = 'x'  # first\nb: int = 0  # second", "broken ("]
    for good in (
        ["# Parameters\na = 'y'\n", "x = '# Parameters'"],
        [],
        ["c = 3", "# Parameters\nb = 1\nc = 2\n"],
    ):
        check_injected_parameters(SimpleNamespace(user_ns={"In": before + good}))
    with refusal("parameter 'c' is unknown; allowed: a, b"):
        check_injected_parameters(
            SimpleNamespace(user_ns={"In": [*before, "# Parameters\nb = 1\nc = 2\n", "c = 3"]})
        )


@hypothesis_settings(max_examples=10, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["NHITS_Q", "TFT_Q"]),
            "dataset": st.sampled_from(["heat", "my/heat_2020.toml", 'quote\'d \\ "name".toml']),
            "job_id": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
            "trials": st.integers(1, 500),
            "seed": st.integers(0, 2**31),
            "test": st.booleans(),
            "preset": st.sampled_from(PRESETS),
            "time_budget_hours": st.just(0) | st.floats(0, 1e3),
            "early_stopping": st.booleans(),
            "settle": st.booleans(),
            "storage": st.sampled_from(["auto", "journal", "postgresql://user@host/db"]),
            "workers": st.integers(1, 4),
            "worker": st.integers(1, 4),
            "policy": st.sampled_from(POLICIES),
            "recipe": st.sampled_from(RECIPES),
            "simulated": st.booleans(),
            "data_dir": st.sampled_from(["", "some/where", "with space"]),
            "runs_dir": st.sampled_from(["", "runs"]),
        }
    ).filter(lambda drawn: not drawn["test"] or drawn["preset"] in ("auto", "test"))
)
def test_when_settings_become_parameters_or_words_then_they_are_read_back(parameters):
    settings = Settings.create(**parameters)
    plain = settings.parameters()
    assert Settings.create(**plain) == settings
    assert run_by_papermill(**plain) == settings
    words = [
        *settings.as_words(),
        *(f"--{name.replace('_', '-')}={plain[name]}" for name in PER_PROCESS),
    ]
    assert study_settings(_parser().parse_args(["run", *words])) == settings
