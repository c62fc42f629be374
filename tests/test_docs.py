"""Documents keep their promises: links lead somewhere, commands parse, targets and code exist."""

import ast
import re
import shlex
from pathlib import Path

import nbformat
import pytest

from hpo_lib.cli import main
from hpo_lib.families.search_space import RECIPE_SPACE
from hpo_lib.launch.status import EXPERIMENTS
from hpo_lib.settings import OBJECTIVES, POLICIES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "data/*.md", "datasets/*.md")
    for file in ROOT.glob(pattern)
    if file.name != "CHANGELOG.md"
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?:!?\[[^\]]*\]\(|<img src=\")([^)\s\"]+)")


def prose(file: Path) -> str:
    """The text of a document, or of a notebook's markdown cells."""
    if file.suffix == ".ipynb":
        cells = nbformat.read(file, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return file.read_text(encoding="utf-8")


def anchors(file: Path) -> set[str]:
    """Places in a document that links can name, as GitHub makes them from its headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", prose(file)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(file: Path, program: str) -> list[str]:
    """Command lines of a program in code blocks and inline code, comments and continued lines
    resolved.
    """
    text = prose(file).replace("\\\n", " ")
    indented = re.findall(r"^    +(\S.*)$", text, flags=re.MULTILINE)
    fenced = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", text)
    lines = [line.split("#")[0].strip() for line in [*indented, *fenced, *inline]]
    return sorted({line for line in lines if re.match(rf"{program}(\s|$)", line)})


def every(program: str) -> list[tuple[str, str]]:
    return [
        (file.name, line) for file in [*DOCUMENTS, *NOTEBOOKS] for line in commands(file, program)
    ]


@pytest.mark.parametrize(
    "file", [*DOCUMENTS, *NOTEBOOKS], ids=lambda file: str(file.relative_to(ROOT))
)
def test_when_a_document_links_to_a_file_or_a_heading_then_it_is_there(file: Path) -> None:
    broken = []
    for target in LINK.findall(prose(file)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (file.parent / path).resolve() if path else file
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize(
    "file", [*DOCUMENTS, *NOTEBOOKS], ids=lambda file: str(file.relative_to(ROOT))
)
def test_when_a_document_names_a_file_of_the_project_in_backticks_then_it_is_there(
    file: Path,
) -> None:
    tops = ("docs/", "hpo_lib/", "notebooks/", "tests/", "slurm/", "datasets/", "measurements/")
    named = re.findall(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|md|ipynb|toml|env|sh))`", prose(file))
    missing = {name for name in named if name.startswith(tops) and not (ROOT / name).exists()}
    assert missing - {"datasets/<name>.toml"} == set()


@pytest.mark.parametrize(("document", "line"), every("hpo"), ids=lambda value: value[:60])
def test_when_a_document_shows_a_command_then_the_real_parser_takes_it(
    document: str, line: str
) -> None:
    words = shlex.split(
        re.sub(r"\[[^\]]*\]", "", re.sub(r"<[^>]*>", "X", line.replace("...", "")))
    )[1:]
    if words in ([], ["--help"]):
        return
    parser = main._parser()
    known = parser._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert words[0] in known, f"{document}: hpo has no command {words[0]}"
    options = {option for action in known[words[0]]._actions for option in action.option_strings}
    used = {word.split("=")[0] for word in words[1:] if word.startswith("--")}
    assert used <= options, f"{document}: {line}"
    required = {
        action.option_strings[0]
        for action in known[words[0]]._actions
        if action.required and action.option_strings
    }
    if len(words) > 1 and required <= used:
        parser.parse_args(words)


@pytest.mark.parametrize(("document", "line"), every("make"), ids=lambda value: value[:60])
def test_when_a_document_shows_a_make_target_then_the_makefile_has_it(
    document: str, line: str
) -> None:
    targets = set(
        re.findall(
            r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    )
    named = [word for word in shlex.split(line)[1:] if "=" not in word and not word.startswith("-")]
    assert set(named) <= targets, document


@pytest.mark.parametrize(("document", "line"), every("papermill"), ids=lambda value: value[:60])
def test_when_a_document_shows_papermill_then_notebook_and_parameters_exist(
    document: str, line: str
) -> None:
    words = shlex.split(line)
    if len(words) < 3:
        return
    cells = nbformat.read(ROOT / words[1], as_version=4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = set(re.findall(r"^(\w+):", cell.source, flags=re.MULTILINE))
    assert {words[i + 1] for i, word in enumerate(words) if word == "-p"} <= names, document


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_when_a_document_shows_python_then_it_compiles_and_its_imports_work(file: Path) -> None:
    for language, block in FENCE.findall(prose(file)):
        if language == "python":
            compile(block, str(file), "exec")
            imports = "\n".join(
                line for line in block.splitlines() if re.match(r"(from|import) ", line)
            )
            exec(imports, {})


def test_when_the_experiments_are_listed_then_they_are_those_of_hpo_status() -> None:
    text = prose(ROOT / "docs" / "running.md").replace("\\*", "*")
    rows = re.findall(
        r"^\| (EXP-\d\d) \| (\w+) \| (\w+) \| (\*+) \| `hpo run --model (\w+) --dataset (\w+)",
        text,
        re.M,
    )
    expected = [
        (e.name, e.model, e.dataset, "*" * e.priority, e.model, e.dataset) for e in EXPERIMENTS
    ]
    assert rows == expected


def glossary() -> list[tuple[str, str, str]]:
    """Term, meaning and last cell of each row of the glossary."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", prose(ROOT / "docs" / "glossary.md"), re.M
    )
    return [row for row in rows if row[0] not in ("term", "---")]


@pytest.mark.parametrize(("term", "meaning", "where"), glossary(), ids=lambda value: value[:30])
def test_when_the_glossary_says_where_a_term_is_computed_then_that_file_defines_it(
    term, meaning, where
):
    assert meaning.endswith("."), term
    file, names = where.split(": ")
    tree = ast.parse((ROOT / file.strip("`")).read_text(encoding="utf-8"))
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assigned = (node for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign)))
    defined |= {
        name.id for node in assigned for name in ast.walk(node) if isinstance(name, ast.Name)
    }
    assert set(re.findall(r"`(\w+)`", names)) <= defined, where


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("methodology.md", [*RECIPE_SPACE, *OBJECTIVES, *POLICIES]),
        (
            "architecture.md",
            [file.stem for file in (ROOT / "hpo_lib").iterdir() if file.stem[0] not in "._"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_when_something_gets_a_name_then_the_tables_that_list_its_kind_have_it(
    document: str, names: list[str]
) -> None:
    rows = re.findall(r"^\| (.*?) \|", prose(ROOT / "docs" / document), re.M)
    listed = {name.rstrip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    assert set(names) - listed == set()
