"""What settings become of parameters; what wrong ones say is in test_broken_parameters.py."""

import ast
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from papermill.cli import _resolve_type
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from hpo_lib import paths
from hpo_lib.errors import InputError
from hpo_lib.families import contract
from hpo_lib.records import trial
from hpo_lib.settings import POLICIES, PRESETS, RECIPES, STORAGES, Settings, default_job_id, injected_names

FIELDS = [field.name for field in dataclasses.fields(Settings)]


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def parameters_cell() -> str:
    cells = nbformat.read(paths.HPO_NOTEBOOK, as_version=4).cells
    (source,) = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    return source


def run_by_papermill(**parameters: Any) -> Settings:
    """Settings as the notebook sees them after papermill has injected its cell below the parameters cell."""
    notebook = parameterize_notebook(load_notebook_node(str(paths.HPO_NOTEBOOK)), parameters)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tags = [tag for cell in code[:2] for tag in cell.metadata.get("tags", [])]
    assert tags == ["parameters", "injected-parameters"]
    namespace: dict[str, Any] = {"In": [""]}
    for cell in code[:2]:
        exec(cell.source, namespace)
        namespace["In"].append(cell.source)
    return Settings.from_notebook(SimpleNamespace(user_ns=namespace))


# Defaults


def test_when_only_model_and_dataset_are_given_then_the_rest_is_the_documented_default() -> None:
    settings = Settings.create("TFT_Q", "heat")
    assert re.fullmatch(r"local-\d{8}-\d{6}", settings.job_id)
    assert dataclasses.replace(settings, job_id="") == Settings(
        model="TFT_Q", dataset="heat", trials=50, job_id="", seed=42, test=False, preset="auto",
        recipe="standard", time_budget_hours=0.0, early_stopping=True, storage="auto", workers=1, worker=1,
        policy="calibrated", data_dir=paths.DATA_DIR, runs_dir=paths.RUNS_DIR,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given_parameters", "trials", "preset"),
    [
        ({}, 50, "auto"),
        ({"test": True}, 3, "test"),
        ({"test": True, "trials": 7}, 7, "test"),
        ({"test": True, "preset": "a100"}, 3, "test"),
        ({"test": False, "trials": 1}, 1, "auto"),
        ({"trials": 0, "preset": "laptop"}, 50, "laptop"),
        ({"trials": 0, "test": True}, 3, "test"),
    ],
)
def test_when_test_is_set_then_trials_and_budget_are_small_unless_trials_are_given(
    given_parameters: dict[str, Any], trials: int, preset: str
) -> None:
    settings = Settings.create("TFT_Q", "heat", **given_parameters)
    assert (settings.trials, settings.preset) == (trials, preset)


def test_when_the_job_runs_under_slurm_then_its_id_names_the_study_unless_one_is_given(monkeypatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert Settings.create("TFT_Q", "heat").job_id == "4711"
    assert Settings.create("TFT_Q", "heat", job_id=None).job_id == "4711"
    assert Settings.create("TFT_Q", "heat", job_id="winter").job_id == "winter"
    monkeypatch.setenv("SLURM_JOB_ID", "")
    assert default_job_id().startswith("local-")


def test_when_a_budget_name_is_asked_for_then_only_auto_depends_on_the_machine() -> None:
    assert Settings.create("TFT_Q", "heat", preset="a100").budget_name == "a100"
    assert Settings.create("TFT_Q", "heat", preset="laptop", test=True).budget_name == "test"


def test_when_folders_are_given_as_text_path_or_home_then_they_become_paths(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.create("TFT_Q", "heat", data_dir="~/data", runs_dir=tmp_path / "runs")
    assert (settings.data_dir, settings.runs_dir) == (tmp_path / "data", tmp_path / "runs")


@pytest.mark.parametrize("storage", [*STORAGES, "sqlite:///elsewhere.db", "postgresql://user@host/db"])
def test_when_storage_is_a_kind_or_a_url_then_it_is_taken(storage: str) -> None:
    assert Settings.create("TFT_Q", "heat", storage=storage).storage == storage


@pytest.mark.parametrize("several", [{"workers": 2}, {"worker": 2}])
def test_when_several_workers_leave_the_storage_open_then_it_is_a_journal(several: dict[str, int]) -> None:
    assert Settings.create("TFT_Q", "heat", **several).storage == "journal"
    assert Settings.create("TFT_Q", "heat", storage="journal", **several).storage == "journal"
    url = "postgresql://user@host/db"
    assert Settings.create("TFT_Q", "heat", storage=url, **several).storage == url


def test_when_policies_are_named_then_settings_and_results_know_the_same_ones() -> None:
    assert tuple(trial.POLICIES) == POLICIES


def test_when_recipes_are_named_then_settings_and_families_know_the_same_ones() -> None:
    assert tuple(contract.RECIPES) == RECIPES


def test_when_settings_are_made_then_they_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.create("TFT_Q", "heat").trials = 3


# Through papermill


def test_when_papermill_reads_the_command_line_then_it_types_values_as_the_settings_expect() -> None:
    words = ["true", "True", "123", "2.5", "None", "heat"]
    assert [_resolve_type(word) for word in words] == ["true", True, 123, 2.5, None, "heat"]


@pytest.mark.parametrize(("word", "test"), [("true", True), ("TRUE", True), ("false", False), (True, True)])
def test_when_papermill_passes_test_as_a_word_then_it_is_understood(word: object, test: bool) -> None:
    assert run_by_papermill(test=word).test is test


def test_when_papermill_passes_a_job_id_of_digits_as_a_number_then_it_is_a_text_again() -> None:
    assert run_by_papermill(job_id=4711).job_id == "4711"


def test_when_papermill_passes_nothing_then_the_notebooks_defaults_are_those_of_the_command_line() -> None:
    notebook = run_by_papermill()
    assert notebook == Settings.create("NHITS_Q", "heat", job_id=notebook.job_id)


def test_when_papermill_passes_a_misspelt_name_then_the_error_names_the_nearest_parameter() -> None:
    with pytest.raises(InputError) as caught:
        run_by_papermill(model="TFT_Q", trails=5)
    assert str(caught.value) == f"parameter 'trails' is unknown; did you mean trials? Allowed: {', '.join(FIELDS)}"


def test_when_a_notebook_lacks_a_parameter_then_the_error_names_it() -> None:
    namespace = {name: None for name in FIELDS if name != "policy"}
    with pytest.raises(InputError) as caught:
        Settings.from_namespace(namespace, [])
    assert str(caught.value) == (
        "parameter 'policy' is missing from the parameters cell; add it as in hpo_template.ipynb"
    )


def test_when_cells_are_run_then_only_what_papermill_injected_counts_as_a_parameter() -> None:
    cells = [
        "",
        "# Parameters\nmodel = 'TFT_Q'\ntrials = 5\n",
        "other = 1",
        "x = '# Parameters'",
        "for trails in []: 0",
    ]
    assert injected_names(cells) == ["model", "trials"]


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["NHITS_Q", "TFT_Q"]),
            "dataset": st.sampled_from(["heat", "my/heat_2020.toml", 'quote\'d \\ "name".toml']),
            "trials": st.integers(1, 500),
            "job_id": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
            "seed": st.integers(0, 2**31),
            "test": st.booleans(),
            "preset": st.sampled_from(PRESETS),
            "time_budget_hours": st.just(0) | st.floats(0, 1e3),
            "early_stopping": st.booleans(),
            "storage": st.sampled_from(["auto", "journal", "postgresql://user@host/db"]),
            "workers": st.integers(1, 4),
            "worker": st.integers(1, 4),
            "policy": st.sampled_from(POLICIES),
            "recipe": st.sampled_from(RECIPES),
            "data_dir": st.sampled_from(["", "some/where", "with space"]),
            "runs_dir": st.sampled_from(["", "runs"]),
        }
    )
)
def test_when_settings_become_notebook_parameters_then_the_notebook_gets_the_same_settings(parameters) -> None:
    settings = Settings.create(**parameters)
    assert Settings.create(**settings.parameters()) == settings
    assert run_by_papermill(**settings.parameters()) == settings


# The parameters cell of the notebook


def test_when_the_parameters_cell_is_read_then_it_has_every_field_in_order_typed_and_commented() -> None:
    source = parameters_cell()
    statements = ast.parse(source).body
    assert all(isinstance(statement, ast.AnnAssign) for statement in statements)
    assert [statement.target.id for statement in statements] == FIELDS
    assert all(re.search(r"  # \S", line) for line in source.splitlines())


def test_when_the_parameters_cell_is_read_then_every_choice_that_a_user_has_is_named_there() -> None:
    lines = {line.partition(":")[0]: line for line in parameters_cell().splitlines()}
    for name, allowed in (("preset", PRESETS), ("recipe", RECIPES), ("policy", POLICIES), ("storage", STORAGES)):
        assert [choice for choice in allowed if choice not in lines[name]] == [], name
