"""The one direction of imports, what may import heavy libraries, and how large a module may be.

A new module fails here until it has its line in `MAY_IMPORT`: put it below everything that it
imports.
"""

import ast
import functools
import graphlib
import tokenize

import pytest

from tests.conftest import ROOT
from tests.study.processes import python

PACKAGE = ROOT / "hpo_lib"

# Room (a module or subpackage directly in hpo_lib) -> rooms that it may import. Rows run from the
# bottom of the house to its top, and a row may name rows above it only, so nothing can ever import
# in a circle or upwards.
MAY_IMPORT = {
    room: set(others.split())
    for room, others in {
        "hpo_lib": "",
        "errors": "",
        "paths": "errors",
        "settings": "errors paths",
        "stop_requests": "paths",
        "data": "errors paths",
        "scoring": "errors data",
        "families": "errors stop_requests data scoring",
        "baselines": "errors data scoring families",
        "leaks": "errors data scoring families baselines",
        "records": "hpo_lib errors paths stop_requests data scoring families",
        "study": "errors paths settings stop_requests data scoring families records",
        "benchmark": "errors paths settings data scoring families baselines records",
        "launch": "hpo_lib errors paths settings stop_requests data families records study",
        "figures": "hpo_lib errors paths settings data scoring families records benchmark",
        "daily": "errors paths settings data scoring families baselines records figures benchmark",
        "cli": (
            "hpo_lib errors paths settings stop_requests data scoring records figures "
            "benchmark leaks daily launch"
        ),
        "__main__": "cli",
    }.items()
}

# Library -> rooms that may import it at run time, be it inside a function.
HEAVY = {
    "optuna": {"records", "study"},
    "torch": {"families", "settings", "records"},
    "pytorch_lightning": {"families"},
    "darts": {"families", "baselines"},
    "neuralforecast": {"families"},
    "papermill": {"launch"},
    "matplotlib": {"figures"},
    "lightgbm": {"families"},
    "sklearn": {"baselines", "leaks"},
}

MAX_LINES, MAX_FILES = 450, 105
MAX_TOKENS = {"hpo_lib": 122_000, "tests": 167_600, "measurements": 22_000}
"""Names, operators, numbers and strings, so that comments and layout are free. It may only fall."""

MAX_ROOMS, MAX_STOREYS, MAX_ARROWS = 19, 12, 100
"""Of the house: `hpo_lib` and, as one more room, `measurements/`. An arrow leads from a room to one
that it imports.
"""


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def room(module):
    """hpo_lib.data.dataset -> data, hpo_lib.paths -> paths, hpo_lib -> hpo_lib."""
    return module.split(".")[1] if "." in module else module


@functools.cache
def imports(file, *, run_time_only=False):
    """Every module or package that a file imports, wherever in its code; of hpo_lib the module
    itself.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = []
    if run_time_only:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides where it leads"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.append(inner if inner in MODULES else node.module)
    return names


def own_imports(module):
    return {name for name in imports(MODULES[module]) if name.split(".")[0] == "hpo_lib"}


def house():
    """Room -> rooms that it imports. The package's own `__init__` only holds the version and is no
    room.
    """
    found = {"measurements": set()}
    for module in MODULES:
        found.setdefault(room(module), set()).update(map(room, own_imports(module)))
    for file in (ROOT / "measurements").glob("*.py"):
        found["measurements"] |= {
            room(name) for name in imports(file) if name.startswith("hpo_lib.")
        }
    return {name: below - {name, "hpo_lib"} for name, below in found.items() if name != "hpo_lib"}


def test_when_the_house_is_measured_then_it_has_few_rooms_storeys_and_arrows():
    rooms = house()
    storeys = {}
    for name in graphlib.TopologicalSorter(rooms).static_order():
        storeys[name] = 1 + max((storeys[below] for below in rooms[name]), default=0)
    assert len(rooms) <= MAX_ROOMS
    assert max(storeys.values()) <= MAX_STOREYS
    assert sum(map(len, rooms.values())) <= MAX_ARROWS


def code_tokens(file):
    counted = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    with tokenize.open(file) as source:
        return sum(token.type in counted for token in tokenize.generate_tokens(source.readline))


@pytest.mark.parametrize("folder", MAX_TOKENS)
def test_when_code_is_counted_then_it_stays_small_enough_to_be_read(folder):
    assert sum(map(code_tokens, (ROOT / folder).rglob("*.py"))) <= MAX_TOKENS[folder]


def test_when_the_files_of_the_library_are_counted_then_each_holds_more_than_a_fragment():
    assert len(MODULES) <= MAX_FILES


def test_when_the_table_is_read_then_it_lists_the_modules_that_exist_and_only_leads_downwards():
    rooms = {room(module) for module in MODULES}
    assert not (rooms - set(MAY_IMPORT)), "new modules: give them a row in MAY_IMPORT"
    assert not (set(MAY_IMPORT) - rooms), "gone: take the rows out of MAY_IMPORT"
    below = set()
    for name, allowed in MAY_IMPORT.items():
        assert allowed <= below, f"{name} may not import {allowed - below}, which are above it"
        below.add(name)


@pytest.mark.parametrize("module", MODULES)
def test_when_a_module_imports_another_then_its_row_of_the_table_allows_it(module):
    own = room(module)
    wrong = {
        name for name in own_imports(module) if room(name) not in MAY_IMPORT.get(own, set()) | {own}
    }
    assert wrong == set(), f"{module} imports {wrong}, which is not downwards"


def test_when_modules_of_one_folder_import_each_other_then_never_in_a_circle():
    list(
        graphlib.TopologicalSorter(
            {module: own_imports(module) - {module} for module in MODULES}
        ).static_order()
    )


def test_when_a_family_is_added_then_it_knows_of_no_other_family():
    families = {
        module
        for module in MODULES
        if module.startswith("hpo_lib.families.") and module.endswith("_q")
    }
    assert len(families) >= 3
    assert not {(f, other) for f in families for other in own_imports(f) & families if other != f}


@pytest.mark.parametrize("library", HEAVY)
def test_when_a_heavy_library_is_imported_then_only_where_it_belongs(library):
    users = {
        room(module)
        for module in MODULES
        for name in imports(MODULES[module], run_time_only=True)
        if name.split(".")[0] == library
    }
    assert users <= HEAVY[library]
    assert users, f"nobody imports {library} any more: take it out of the table"


def test_when_all_but_study_and_families_is_imported_then_no_training_library_is_loaded():
    searching = {"hpo_lib.records.storage", "hpo_lib.launch.notebook_run"}
    searching |= {m for m in MODULES if m.startswith("hpo_lib.study.")}
    light = [
        m
        for m in MODULES
        if m not in searching and (room(m) != "families" or m == "hpo_lib.families.models")
    ]
    assert {
        "hpo_lib.figures.style",
        "hpo_lib.records.study",
        "hpo_lib.cli.main",
        "hpo_lib.launch.status",
    } <= set(light)
    heavy = {"torch", "darts", "neuralforecast", "pytorch_lightning", "ray", "optuna", "papermill"}
    script = f"import sys, {', '.join(light)}; print({heavy} & {{*sys.modules}})"
    assert python(ROOT, "-c", script).stdout == "set()\n"


def test_when_the_command_line_starts_then_it_loads_no_table_library_either():
    script = "import sys, hpo_lib.cli.main; print({'pandas', 'matplotlib'} & {*sys.modules})"
    assert python(ROOT, "-c", script).stdout == "set()\n"


def test_when_a_file_is_named_then_paths_names_it():
    """Nobody else joins a folder and a file name; joining two variables is not naming."""
    joined = [
        f"{module}: {ast.unparse(node)}"
        for module, file in MODULES.items()
        if room(module) != "paths"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if isinstance(node.right, ast.JoinedStr)
        or (isinstance(node.right, ast.Constant) and isinstance(node.right.value, str))
    ]
    assert joined == []


def test_when_a_module_is_named_then_it_says_what_is_in_it():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "core", "base_utils"}
    assert not ({file.stem for file in MODULES.values()} & vague)


@pytest.mark.parametrize("module", MODULES)
def test_when_a_module_grows_then_it_is_split_in_time(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("module", MODULES)
def test_when_a_module_is_opened_then_its_first_line_says_what_it_is_for(module):
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))


def test_when_an_error_may_happen_then_only_the_study_catches_everything():
    """A broad except turns a mistake into a number; the study keeps the cause of what it caught."""
    broad = {
        f"{room(module)} {ast.unparse(node.type) if node.type else 'bare'}"
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        if node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
    }
    assert broad == {"study Exception"}
