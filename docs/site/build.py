"""Build the documentation site, a page for each document, notebook and room of this repository.

Every page keeps its place in the repository, so a relative link works in both. Broken links are
errors.
"""

import argparse
import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import papermill
import yaml
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("*.md", "docs/*.md", "data/*.md", "datasets/*.md", "model_cards/*.md")
NOTEBOOKS = ("notebooks/*.ipynb",)
RECORDS = ("papermill_runs/*/*published.ipynb", "benchmark_results/*_dev/*.ipynb")
"""Those that git sees: what somebody made beside them is not published."""
SHOWN_BY = {"hpo_template": RECORDS[0], "benchmark": RECORDS[1]} | {
    name: RECORDS[0].replace("*", f"{name.upper()}_*", 1)
    for name in ("nhits_q", "tft_q", "timesnet_q")
}
"""Which records show a notebook with its pictures."""
EXECUTED = "analysis", "data_preparation", "from_python"
"""Notebooks that show pictures without records of the reader's; they take seconds."""
API = (
    "settings data study benchmark daily figures families baselines scoring records leaks launch "
    "paths errors stop_requests cli"
)
"""Rooms of the library as a user meets them."""
LINK = re.compile(r"(\]\(|(?:src|href)=\")([^)\s\"#]+)")
FRAME = re.compile(
    r"<style scoped>.*?</style>\s*|(?<=<table) border=\"1\" class=\"dataframe\"", re.DOTALL
)
"""What pandas adds to its tables, which are to look like all others."""
LIVE = ("application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json")
PRIORITY = ["image/png", "image/svg+xml", "text/html", "text/markdown", "text/plain"]
TERM = re.compile(r"^\| ([^|]+) \| ([^|]+\.) \| `", re.MULTILINE)
"""A row of the glossary: the term and its meaning."""


def find(patterns: tuple[str, ...], root: Path) -> list[Path]:
    """Return the files that match, relative to the root."""
    return sorted({file.relative_to(root) for pattern in patterns for file in root.glob(pattern)})


def stage(pages: Path, root: Path = ROOT) -> None:
    """Write the pages of documents and notebooks as Markdown, with every file that they link to."""
    for file in find(DOCUMENTS, root):
        text = (root / file).read_text(encoding="utf-8")
        if file == Path("README.md"):
            text += gallery(root)
        elif file.stem == "glossary":
            text = TERM.sub(lambda row: row[0].replace(row[1], _marked(row[1]), 1), text)
        _write(pages / file, text, root / file, pages, root)
    exporter = MarkdownExporter(
        exclude_output_prompt=True, exclude_input_prompt=True, display_data_priority=PRIORITY
    )
    for file in find(NOTEBOOKS + RECORDS, root):
        notebook = tidy(nbformat.read(executed(root / file, pages.parent), as_version=4))
        # Of a record those that were given are shown, of a notebook the defaults.
        hidden = "injected-parameters" if file in find(NOTEBOOKS, root) else "parameters"
        notebook.cells = [
            cell for cell in notebook.cells if hidden not in cell.metadata.get("tags", [])
        ]
        text, resources = exporter.from_notebook_node(
            notebook, {"output_files_dir": f"{file.stem}_files"}
        )
        for name, content in resources["outputs"].items():
            picture = pages / file.parent / name
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(content)
        if file not in find(NOTEBOOKS, root):
            head = f"# {_title(file)}\n\n{result(root / file)}This is the record `{file}`, as it "
            text = re.sub(r"\A# .*\n", f"{head}was executed.\n".replace("\\", r"\\"), text)
        elif records := find((SHOWN_BY[file.stem],) if file.stem in SHOWN_BY else (), root):
            as_record = f"Executed, with its pictures: [{_title(records[0])}](../{records[0]})."
            text = re.sub(r"\A(# .*\n)", rf"\1\n{as_record}\n", text)
        text = text.replace(f"{pages.parent}/", "")
        _write(pages / file.with_suffix(".md"), FRAME.sub("", text), root / file, pages, root)


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop outputs that need a kernel or a script, and progress bars; join printed pieces."""
    for cell in notebook.cells:
        outputs: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "<script" in data.get("text/html", ""):
                del data["text/html"]
            if not set(data) & set(PRIORITY[:-1]) and (
                set(data) & set(LIVE) or re.search(r"\d%\|", data.get("text/plain", ""))
            ):
                continue
            if outputs and output.output_type == "stream" == outputs[-1].output_type:
                outputs[-1].text = outputs[-1].text.rstrip("\n") + "\n" + output.text.lstrip("\n")
            else:
                outputs.append(output)
        if cell.cell_type == "code":
            cell.outputs = outputs
    return notebook


def executed(notebook: Path, work: Path) -> Path:
    """A notebook of `EXECUTED` as it was executed just now, below ``work``; others as they are."""
    if notebook.stem not in EXECUTED or notebook.parent.name != "notebooks":
        return notebook
    copy, given = work / "executed.ipynb", {"out": str(work / "out"), "test": True}
    known = papermill.inspect_notebook(str(notebook))
    parameters = {name: value for name, value in given.items() if name in known}
    papermill.execute_notebook(str(notebook), str(copy), parameters, progress_bar=False)
    return copy


def gallery(root: Path) -> str:
    """All published figures with the first sentence of their captions, as a part of a page."""
    figures = []
    for file in sorted((root / "figures").glob("*.json")):
        caption = json.loads(file.read_text(encoding="utf-8"))["caption"]
        picture = f"figures/{file.stem}.png"
        figures.append(
            f'<figure><a href="{picture}"><img alt="{file.stem}" src="{picture}">'
            f"</a><figcaption>{re.split(r'[.:;,] | [(]', caption)[0]}.</figcaption></figure>"
        )
    grid = '<div class="gallery">' + "\n".join(figures) + "</div>"
    how = "Every figure of the published records; [what each shows](docs/reproducing.md)."
    return f"\n## Gallery\n\n{how}\n\n{grid}\n" if figures else ""


def result(record: Path) -> str:
    """What a record found, in a paragraph; empty where what it lies beside does not say."""
    for file in record.parent.glob("best_params_*.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        return (
            f"**Result**: trial {found['selection']['trial']} of {found['n_trials']} is chosen: "
            f"{found['selection']['reason']}. On validation days its MAE is "
            f"{found['best_mae']:.4g} {found['provenance']['data']['unit']}, and "
            f"{found['best_picp']:.1f} % of the hours are in its interval.\n\n"
        )
    for file in record.parent.glob("*/table.csv"):
        with file.open(encoding="utf-8") as table:
            rows = [row for row in csv.DictReader(table) if row["calibration"] == "none"]
        first = sorted(rows, key=lambda row: float(row["mae"]))[:3]
        names = {"own": "", "best": ", tuned", "default": ", defaults"}
        ranked = "; ".join(
            f"{row['model']}{names[row['params']]} {float(row['mae']):.4g}" for row in first
        )
        days = first[0]["days"]
        return f"**Result**: lowest MAE over {days} test days, in the target's unit: {ranked}.\n\n"
    return ""


def place(term: str) -> str:
    """The name of a glossary's term in links."""
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def _marked(term: str) -> str:
    return f'<span id="{place(term)}">{term}</span>'


def glossary_first(site: Path, glossary: str) -> None:
    """Let the site's search find terms of the glossary before pages, and those before the library.

    The search knows no weights: a short title that fits leads, of equal ones the first. So each
    term becomes an entry; one of a notebook or record has its page in the title, one of the library
    its module, and no text.
    """
    file = site / "search.json"
    index = json.loads(file.read_text(encoding="utf-8"))
    terms, pages, executed, library = [], [], [], []
    for entry in index["items"]:
        title, room = entry["title"], entry["location"].partition("/")[0]
        if room in ("papermill_runs", "benchmark_results", "model_cards", "notebooks"):
            whole = title if entry["level"] == 1 else f"{entry['path'][-1]}: {title}"
            executed.append(entry | {"title": whole, "path": entry["path"][:1]})
        elif room != "api":
            pages.append(entry)
        elif "module-attribute" not in title:
            name = entry["location"].partition("#hpo_lib.")[2].partition(".")[2] or title
            library.append(entry | {"title": name, "text": "", "path": ["API"]})
    for names, meaning in TERM.findall(glossary):
        where = {"location": f"docs/glossary.html#{place(names)}", "level": 2, "tags": []}
        path = ["Understand it", "Glossary"]
        terms += [
            where | {"title": name, "text": f"<p>{name}: {meaning}</p>", "path": path}
            for name in names.split(", ")
        ]
    index["items"] = terms + pages + executed + library
    file.write_text(json.dumps(index), encoding="utf-8")


def _write(page: Path, text: str, source: Path, pages: Path, root: Path) -> None:
    """Write a page whose links to notebooks lead to their pages, and copy other linked files.

    A record is a copy of a notebook elsewhere, so its links may be those of `notebooks/`.
    """

    def lead(match: re.Match[str]) -> str:
        from_here = [
            (folder / match[2]).resolve() for folder in (source.parent, root / "notebooks")
        ]
        target = next(
            (file for file in from_here if file.is_file() and file.is_relative_to(root)), None
        )
        if target is None:
            return match[0]
        if target.suffix not in (".md", ".ipynb"):
            copy = pages / target.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, copy)
        return match[1] + os.path.relpath(target, source.parent).replace(".ipynb", ".md")

    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(LINK.sub(lead, text), encoding="utf-8")


def stage_library(pages: Path, root: Path = ROOT) -> list[Path]:
    """Write a page for each room of the library: its modules with their docstrings."""
    rooms: dict[str, list[str]] = {}
    for file in find(("hpo_lib/*.py", "hpo_lib/**/*.py"), root):
        if not file.stem.startswith("_"):
            rooms.setdefault(file.with_suffix("").parts[1], []).append(
                ".".join(file.with_suffix("").parts)
            )
    written = []
    (pages / "api").mkdir(parents=True)
    for room, modules in sorted(rooms.items(), key=lambda item: API.split().index(item[0])):
        written.append(Path("api") / f"{room}.md")
        package = root / "hpo_lib" / room / "__init__.py"
        intro = (
            (ast.get_docstring(ast.parse(package.read_text())) or "").split("\n")[0]
            if package.exists()
            else ""
        )
        blocks = [f"# hpo_lib.{room}", intro, *(f"::: {module}" for module in modules)]
        (pages / written[-1]).write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return written


def navigation(
    menu: list[dict[str, object]], library: list[Path], root: Path = ROOT
) -> list[dict[str, object]]:
    """Return the menu of mkdocs.yml with the pages of notebooks and library at their places."""
    pages: dict[str, list[dict[str, str]]] = {
        "Records": [{_title(file): str(file.with_suffix(".md"))} for file in find(RECORDS, root)],
        "Notebooks": [
            {_title(file): str(file.with_suffix(".md"))} for file in find(NOTEBOOKS, root)
        ],
        "API": [{f"hpo_lib.{file.stem}": str(file)} for file in library],
        "Model cards": [{file.stem: str(file)} for file in find(("model_cards/*.md",), root)],
    }
    filled = []
    for entry in menu:
        ((title, content),) = entry.items()
        if isinstance(content, list):
            content = navigation(content, library, root)
        elif content is None:
            content = pages[title]
        if content:
            filled.append({title: content})
    return filled


def _title(file: Path) -> str:
    """What the menu calls a notebook: its name, and its record's folder unless that is in it."""
    name = re.sub(r"^hpo_|_template$|_published$", "", file.stem)
    return (
        name
        if name.startswith(file.parent.name) or file.parent == Path("notebooks")
        else f"{name} {file.parent.name}"
    )


class Page(HTMLParser):
    """The places of a built page that links can name, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places = {"__top"}
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag names and where it leads."""
        for name, value in attrs:
            if value and (name == "id" or (name == "name" and tag == "a")):
                self.places.add(value)
            elif value and name in ("href", "src") and ("rel", "canonical") not in attrs:
                self.targets.add(value)


def broken_links(site: Path) -> list[str]:
    """Return every link within the site whose file or place is not there, as ``page: link``."""
    pages = {
        file.resolve(): Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")
    }
    broken = []
    for file, page in sorted(pages.items()):
        for target in (
            sorted(page.targets) if file.name != "404.html" else ()
        ):  # that one is for a server
            link = urlsplit(target)
            if link.scheme or link.netloc:
                continue
            found = (file.parent / unquote(link.path)).resolve() if link.path else file
            place = unquote(link.fragment)
            if not found.is_file() or (
                place and found in pages and place not in pages[found].places
            ):
                broken.append(f"{file.relative_to(site.resolve())}: {target}")
    return broken


def build(out: Path, root: Path = ROOT) -> None:
    """Build the site into a folder, which is replaced.

    Raises:
        SystemExit: A link is broken, or Zensical warns of something else.
    """
    here = Path(__file__).parent
    config = yaml.safe_load((here / "mkdocs.yml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="hpo-site-") as folder:
        work = Path(folder)
        pages = work / "pages"
        stage(pages, root)
        config |= {"docs_dir": "pages", "site_dir": "html"}
        config["nav"] = navigation(config["nav"], stage_library(pages, root), root)
        config["plugins"][-1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(root)]
        shutil.copyfile(here / "extra.css", pages / "extra.css")
        (work / "mkdocs.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", "mkdocs.yml"]
        environment = os.environ | {"NO_COLOR": "1"}
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr.split("Traceback")[0])
        glossary_first(work / "html", (root / "docs" / "glossary.md").read_text(encoding="utf-8"))
        if broken := broken_links(work / "html"):
            raise SystemExit("Broken links:\n" + "\n".join(broken))
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(work / "html", out)
    print(
        f"The site: {out / 'index.html'}; its search needs a server: python -m http.server -d {out}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "site", help="folder of the site, which is replaced"
    )
    build(parser.parse_args().out.resolve())
