"""Rules that keep notebooks thin: what they call is in the library, where tests can reach it."""

import ast
import re
from dataclasses import MISSING

import nbformat
import numpy as np
import papermill
import pytest

from hpo_lib.settings import PARAMETERS
from tests.conftest import ROOT, text_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST = ROOT / "notebooks/from_python.ipynb"
FAMILY_NOTEBOOKS = [path for path in NOTEBOOKS if path.stem.endswith("_q")]
MAX_CODE_LINES = 40
ABSOLUTE = re.compile(r"^(/|~|[A-Za-z]:[\\/]|file:)")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def code(request):
    return [
        cell
        for cell in nbformat.read(request.param, as_version=4).cells
        if cell.cell_type == "code"
    ]


def parsed(code):
    return [node for cell in code for node in ast.walk(ast.parse(cell.source))]


def parameters(code):
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    return cell


def test_when_a_notebook_is_read_then_it_begins_with_its_one_parameters_cell(code):
    assert parameters(code) is code[0]


def test_when_a_notebook_is_read_then_its_code_is_plain_python_and_short(code):
    lines = [line.strip() for cell in code for line in cell.source.splitlines()]
    assert not [line for line in lines if line.startswith(("%", "!"))]
    assert sum(bool(line) and not line.startswith("#") for line in lines) <= MAX_CODE_LINES
    parsed(code)


def test_when_a_notebook_is_read_then_it_defines_nothing_and_catches_nothing(code):
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.Try, ast.While)
    assert not [ast.unparse(node) for node in parsed(code) if isinstance(node, logic)]


def test_when_a_notebook_names_files_then_no_path_is_absolute(code):
    texts = [
        node.value
        for node in parsed(code)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert not [text for text in texts if ABSOLUTE.match(text)]


def test_when_a_notebook_is_a_source_then_it_has_no_outputs(code):
    assert not [cell.source for cell in code if cell.outputs or cell.execution_count is not None]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_when_a_notebook_names_a_document_then_it_links_to_it(path):
    assert "`docs/" not in path.read_text(encoding="utf-8")


def test_when_parameters_are_declared_then_each_is_typed_plainly_and_explained(code):
    cell = parameters(code)
    for statement, line in zip(ast.parse(cell.source).body, cell.source.splitlines(), strict=True):
        assert isinstance(statement, ast.AnnAssign), line
        # papermill lists and types these alone (`papermill --help-notebook`).
        assert ast.unparse(statement.annotation) in ("str", "int", "float", "bool"), line
        assert type(ast.literal_eval(statement.value)).__name__ == ast.unparse(
            statement.annotation
        ), line
        assert re.search(r"  # \S", line), line


def test_when_a_parameter_is_misspelt_then_the_cell_after_the_parameters_checks_it(code):
    calls = {ast.unparse(node.func) for node in parsed(code[1:2]) if isinstance(node, ast.Call)}
    assert {"Settings.from_notebook", "check_injected_parameters"} & calls


STUDY = [parameter.name for parameter in PARAMETERS]
DATA = ["dataset", "data_dir"]
SHARED = {
    "benchmark": [*DATA, "simulated", "test", "preset", "recipe"],
    "data_preparation": DATA,
    "forecast": DATA,
    "leak_audit": [*DATA, "simulated", "recipe"],
}


@pytest.mark.parametrize(
    "path", [*FAMILY_NOTEBOOKS, *(NOTEBOOKS[0].with_stem(s) for s in ("hpo_template", *SHARED))]
)
def test_when_a_notebook_has_parameters_of_a_study_then_they_are_as_the_settings_state_them(path):
    found = papermill.inspect_notebook(str(path))
    if path.stem not in SHARED:
        assert list(found) == STUDY
    model = path.stem.upper() if path in FAMILY_NOTEBOOKS else ""
    for parameter in PARAMETERS:
        if parameter.name not in SHARED.get(path.stem, STUDY):
            continue
        default = parameter.default
        text = parameter.metadata["description"]
        if parameter.name == "model" and model:
            default = model
            text = f"this notebook shows {model} and takes no other model"
        elif default is MISSING:
            default = {"model": "NHITS_Q", "dataset": "bike_dc"}[parameter.name]
        own = found[parameter.name]
        expected = (type(default).__name__, default, text)
        assert (
            own["inferred_type_name"],
            ast.literal_eval(own["default"]),
            own["help"],
        ) == expected


@pytest.mark.parametrize("path", FAMILY_NOTEBOOKS, ids=lambda path: path.name)
def test_when_the_study_notebook_changes_then_the_family_notebooks_hold_the_same_cells(path):
    """Only the explanation, the model, and cells before the last two differ from the template."""
    template, own = (
        [c.source for c in nbformat.read(p, 4).cells]
        for p in (path.with_stem("hpo_template"), path)
    )
    setup = template[3].replace("get_ipython())", f'get_ipython(), only="{path.stem.upper()}")')
    setup = setup.replace("import study_page", "import explanations, study_page")
    assert own[2:6] == [template[2], setup, *template[4:6]]
    assert own[-2:] == template[6:]
    assert len(own) > len(template)


@pytest.mark.slow
def test_when_a_python_user_follows_the_first_notebook_then_six_calls_lead_to_a_forecast(tmp_path):
    given = {"test": True, "trials": 1, "out": str(tmp_path)}
    record = papermill.execute_notebook(str(FIRST), str(tmp_path / "out.ipynb"), given, cwd=ROOT)
    cells = [cell for cell in record.cells if cell.cell_type == "code"][-6:]
    texts = [str(cell.outputs) for cell in cells]
    for text, words in zip(
        texts,
        (
            "rides [users/h]",
            "chosen (trial 0)",
            "RESIDUAL_LINEAR",
            "v001",
            "time_local",
            "image/png",
        ),
        strict=True,
    ):
        assert words in text
    assert "TEST BUDGET" in texts[2]
    (shown,) = [one["data"]["text/html"] for one in cells[4].outputs]
    values = np.array(re.findall(r"<td>(-?[\d.]+)</td>", shown), dtype=float).reshape(24, 3)
    assert (np.diff(values) >= 0).all()


def test_when_make_lab_serves_notebooks_then_it_serves_what_they_link_to():
    (line,) = [line for line in text_of("Makefile").splitlines() if "/jupyter lab" in line]
    assert line.endswith("--LabApp.default_url=/lab/tree/notebooks"), "all of the project"


def test_when_a_notebook_exists_then_the_list_of_notebooks_has_it():
    listed = text_of("docs/running.md")
    assert not [path.name for path in NOTEBOOKS if f"../notebooks/{path.name})" not in listed]


def test_when_a_family_exists_then_it_has_its_notebook():
    families = {file.stem for file in (ROOT / "hpo_lib/families").glob("*_q.py")}
    assert {path.stem for path in FAMILY_NOTEBOOKS} == families
