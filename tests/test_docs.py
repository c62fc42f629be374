"""Documents keep their promises: links lead somewhere, commands parse, targets and code exist."""

import re
import shlex
from itertools import pairwise

import nbformat
import pytest

from hpo_lib.cli import main
from hpo_lib.families.search_space import RECIPE_SPACE
from hpo_lib.settings import OBJECTIVES, POLICIES
from tests.conftest import ROOT, text_of

DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "data/*.md", "datasets/*.md")
    for file in ROOT.glob(pattern)
    if file.name != "CHANGELOG.md"
)
PROSE = [*DOCUMENTS, *sorted((ROOT / "notebooks").glob("*.ipynb"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?:!?\[[^\]]*\]\(|<img src=\")([^)\s\"]+)")


def prose(file):
    """The text of a document, or of a notebook's markdown cells."""
    if file.suffix == ".ipynb":
        cells = nbformat.read(file, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return file.read_text(encoding="utf-8")


def anchors(file):
    """Places in a document that links can name, as GitHub makes them from its headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", prose(file)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(file, program):
    """Command lines of a program in code blocks and inline code, comments and continued lines
    resolved.
    """
    text = prose(file).replace("\\\n", " ")
    indented = re.findall(r"^    +(\S.*)$", text, re.MULTILINE)
    fenced = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", text)
    lines = [line.split("#")[0].strip() for line in [*indented, *fenced, *inline]]
    return sorted({line for line in lines if re.match(rf"{program}(\s|$)", line)})


def each_line_of(program):
    pairs = [(file.name, line) for file in PROSE for line in commands(file, program)]
    return pytest.mark.parametrize("document, line", pairs, ids=lambda value: value[:60])


def each(files):
    return pytest.mark.parametrize("file", files, ids=lambda file: str(file.relative_to(ROOT)))


@each(PROSE)
def test_when_a_document_links_to_a_file_or_a_heading_then_it_is_there(file):
    broken = []
    for target in LINK.findall(prose(file)):
        path, _, anchor = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        is_there = linked.exists() and (not anchor or anchor in anchors(linked))
        if not is_there and not re.match(r"[a-z]+:", target):
            broken.append(target)
    assert broken == []


@each(PROSE)
def test_when_a_document_names_a_file_or_folder_in_backticks_then_it_is_there(file):
    tops = ".github|docs|hpo_lib|notebooks|tests|slurm|datasets|measurements"
    path = rf"`((?:{tops})/(?:[\w-]+/)*(?:[\w.-]+\.(?:py|md|ipynb|toml|env|sh|yml))?)`"
    missing = {name for name in re.findall(path, prose(file)) if not (ROOT / name).exists()}
    assert missing <= {"tests/browser/screenshots/"}, "but for what tests make"


@each_line_of("hpo")
def test_when_a_document_shows_a_command_then_the_real_parser_takes_it(document, line):
    plain = re.sub(r"\[[^\]]*\]", "", re.sub(r"<[^>]*>", "X", line.replace("...", "")))
    name, *words = shlex.split(plain)[1:] or ["--help"]
    if name == "--help":
        return
    commands = main._parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert name in commands, f"{document}: hpo has no command {name}"
    actions = [action for action in commands[name]._actions if action.option_strings]
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    assert used <= set(commands[name]._option_string_actions), f"{document}: {line}"
    if words and {action.option_strings[0] for action in actions if action.required} <= used:
        commands[name].parse_args(words)


@each_line_of("make")
def test_when_a_document_shows_a_make_target_then_the_makefile_has_it(document, line):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = [word for word in shlex.split(line)[1:] if "=" not in word and not word.startswith("-")]
    assert set(named) <= targets, document


@each_line_of("papermill")
def test_when_a_document_shows_papermill_then_notebook_and_parameters_exist(document, line):
    if len(words := shlex.split(line)) < 3:
        return
    cells = nbformat.read(ROOT / words[1], as_version=4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = set(re.findall(r"^(\w+):", cell.source, re.MULTILINE))
    assert {name for option, name in pairwise(words) if option == "-p"} <= names, document


@each(DOCUMENTS)
def test_when_a_document_shows_python_then_it_compiles_and_its_imports_work(file):
    for language, block in FENCE.findall(prose(file)):
        if language == "python":
            compile(block, str(file), "exec")
            exec("\n".join(re.findall(r"^(?:from|import) .*", block, re.MULTILINE)), {})


def test_when_all_commands_are_listed_then_each_row_is_what_its_parser_says():
    rows = []
    for name, parser in main._parser()._subparsers._group_actions[0].choices.items():
        alone = {action.dest for action in parser._get_positional_actions()} or {"dataset"}
        cells = [name]
        for word in ("dataset", "model", "out", "json"):
            option = parser._option_string_actions.get(f"--{word}")
            several = " ..." if option and option.nargs == "+" else ""
            cells.append(f"`--{word}`{several}{' or alone' * (word in alone)}" if option else "")
        example, codes = parser.epilog.splitlines()
        example = example.removeprefix("example: ")
        main._parser().parse_args(shlex.split(example)[1:])
        assert codes == f"exit codes: {main.EXIT_CODES}"
        rows.append(f"| {' | '.join(cells)} | `{example}` |")
    text = prose(ROOT / "docs/running.md")
    listed = re.findall(r"^\| [a-z-]+ \| .* \| `hpo .*$", text, re.M)
    assert listed == [row for row in rows if not row.startswith("| job ")]
    assert f"Exit codes: {main.EXIT_CODES}." in text


def glossary():
    """Term, meaning and last cell of each row of the glossary."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", prose(ROOT / "docs/glossary.md"), re.M
    )
    return [row for row in rows if row[0] not in ("term", "---")]


@pytest.mark.parametrize("term, meaning, where", glossary(), ids=lambda value: value[:30])
def test_when_the_glossary_says_where_a_term_is_computed_then_that_file_defines_it(
    term, meaning, where
):
    assert meaning.endswith("."), term
    file, names = where.split(": ")
    source = (ROOT / file.strip("`")).read_text(encoding="utf-8")
    defined = set(re.findall(r"^ *(?:def|class) (\w+)", source, re.M))
    # constants, also several in one statement
    for names_assigned in re.findall(r"^([\w, ]+)(?:: .*?)? = ", source, re.M):
        defined.update(names_assigned.split(", "))
    assert set(re.findall(r"`(\w+)`", names)) <= defined, where


@pytest.mark.parametrize(
    "document, names",
    [
        ("search.md", [*RECIPE_SPACE, *OBJECTIVES, *POLICIES]),
        (
            "architecture.md",
            [file.stem for file in (ROOT / "hpo_lib").iterdir() if file.stem[0] not in "._"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_when_something_gets_a_name_then_the_tables_that_list_its_kind_have_it(document, names):
    rows = re.findall(r"^\| (.*?) \|", prose(ROOT / "docs" / document), re.M)
    listed = {name.rstrip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    assert not (set(names) - listed)
