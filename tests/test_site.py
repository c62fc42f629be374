"""The documentation site: every document and notebook has its page, and no link is broken."""

import base64
import json

import nbformat
import yaml
from nbformat import v4

from docs.site import build
from tests.conftest import text_of

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)


def test_when_a_link_leads_to_no_page_or_no_place_then_it_is_named(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "index.html").write_text(
        '<h2 id="here"></h2><a href="docs/page.html#there"></a><a '
        'href="docs/page.html#gone"></a><a href="#here"></a>'
        '<a href="docs/none.html"></a><img src="figure.png"><a href="docs/"></a><a '
        'href="https://example.org/none"></a>'
    )
    (tmp_path / "docs/page.html").write_text(
        '<a name="there"></a><a href="../index.html#here"></a>'
    )
    assert build.broken_links(tmp_path) == [
        "index.html: docs/",
        "index.html: docs/none.html",
        "index.html: docs/page.html#gone",
        "index.html: figure.png",
    ]


def executed_notebook(root, job_id="published"):
    outputs = [
        v4.new_output("stream", text="trial 0\n"),
        v4.new_output("stream", text="\ntrial 1\n"),
        v4.new_output("display_data", {"text/plain": "  0%|          | 0/8"}),
        v4.new_output(
            "display_data",
            {"application/vnd.plotly.v1+json": {}, "text/html": "<script>draw()</script>"},
        ),
        v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"}),
        v4.new_output(
            "display_data",
            {"text/html": '<table border="1" class="dataframe"><tr><td>1</td></tr></table>'},
        ),
        v4.new_output(
            "display_data", {"text/markdown": "## The choice\n[terms](../../docs/terms.md)"}
        ),
    ]
    cells = [
        v4.new_markdown_cell("# A study\n\n[words](../docs/terms.md#mae)"),
        v4.new_code_cell("show()", outputs=outputs),
    ]
    record = root / f"papermill_runs/NHITS_Q_heat/hpo_NHITS_Q_heat_{job_id}.ipynb"
    record.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells), record)


def test_when_an_executed_notebook_is_there_then_its_page_shows_pictures_tables_and_text(tmp_path):
    executed_notebook(tmp_path)
    executed_notebook(tmp_path, "of_mine")  # has no page
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/terms.md").write_text("# Terms")
    build.stage(tmp_path / "pages", tmp_path)
    folder = tmp_path / "pages/papermill_runs/NHITS_Q_heat"
    text = (folder / "hpo_NHITS_Q_heat_published.md").read_text()
    assert "the record `papermill_runs/NHITS_Q_heat/hpo_NHITS_Q_heat_published.ipynb`" in text
    assert "    trial 0\n    trial 1\n" in text
    assert not [unwanted for unwanted in ("script", "0%", "dataframe") if unwanted in text]
    assert "\n## The choice\n[terms](../../docs/terms.md)" in text
    assert (
        "\n[words](../../docs/terms.md#mae)" in text
    )  # written for the place of the notebook that was executed
    (picture,) = folder.glob("*_files/*.png")
    assert f"({picture.parent.name}/{picture.name})" in text
    assert picture.read_bytes() == base64.b64decode(PIXEL)
    menu = build.navigation([{"Results": [{"Records": None}]}, {"Notebooks": None}], [], tmp_path)
    page = "papermill_runs/NHITS_Q_heat/hpo_NHITS_Q_heat_published.md"
    assert menu == [{"Results": [{"Records": [{"NHITS_Q_heat": page}]}]}]


def test_when_a_record_has_a_page_then_it_begins_with_what_was_found(tmp_path):
    executed_notebook(tmp_path)
    folder = tmp_path / "papermill_runs/NHITS_Q_heat"
    found = {
        "n_trials": 30,
        "best_mae": 0.123456,
        "best_picp": 80.04,
        "selection": {"trial": 2, "reason": "it is better"},
        "provenance": {"data": {"unit": "kWh/h"}},
    }
    (folder / "best_params_NHITS_Q_heat_published.json").write_text(json.dumps(found))
    build.stage(tmp_path / "pages", tmp_path)
    page = tmp_path / "pages/papermill_runs/NHITS_Q_heat/hpo_NHITS_Q_heat_published.md"
    title, _, first = page.read_text().splitlines()[:3]
    assert title == "# NHITS_Q_heat"
    assert first == (
        "**Result**: trial 2 of 30 is chosen: it is better. On validation days its MAE is 0.1235 "
        "kWh/h, and 80.0 % of the hours are in its interval."
    )
    benchmark = tmp_path / "benchmark_results/heat_dev/laptop/table.csv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text(
        "model,params,calibration,days,mae\nA,best,none,9,0.2\nA,best,rolling,9,0.1\n"
        "B,own,none,9,0.15\n"
    )
    assert build.result(benchmark.parents[1] / "benchmark.ipynb") == (
        "**Result**: lowest MAE over 9 test days, in the target's unit: B 0.15; A, tuned 0.2.\n\n"
    )


def test_when_figures_are_published_then_the_front_page_shows_each_with_its_caption(tmp_path):
    assert build.gallery(tmp_path) == ""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/cost.json").write_text('{"caption": "Seconds per trial. Laptop."}')
    text = build.gallery(tmp_path)
    assert 'src="figures/cost.png"' in text
    assert "<figcaption>Seconds per trial.</figcaption>" in text


def test_when_a_term_is_searched_then_the_glossary_leads_and_the_library_comes_last(tmp_path):
    common = {"level": 2, "text": "<p>interval</p>", "tags": []}
    items = [
        ("api/scoring.html#hpo_lib.scoring.metrics.LOW module-attribute", "LOW module-attribute"),
        ("api/scoring.html#hpo_lib.scoring.metrics.interval_scores", "interval_scores"),
        ("model_cards/a.html#scores", "Scores"),
        ("docs/scores.html", "Scores"),
    ]
    index = {
        "config": {},
        "items": [
            common | {"location": location, "title": title, "path": ["There", "a"]}
            for location, title in items
        ],
    }
    (tmp_path / "search.json").write_text(json.dumps(index))
    row = "| interval, band | From low to high. | `hpo_lib/a.py`: `Band` |"
    build.glossary_first(tmp_path, f"| term | meaning | computed in |\n|---|---|---|\n{row}\n")
    found = json.loads((tmp_path / "search.json").read_text())["items"]
    assert [(entry["location"], entry["title"]) for entry in found] == [
        ("docs/glossary.html#term-interval-band", "interval"),
        ("docs/glossary.html#term-interval-band", "band"),
        ("docs/scores.html", "Scores"),
        ("model_cards/a.html#scores", "a: Scores"),
        ("api/scoring.html#hpo_lib.scoring.metrics.interval_scores", "metrics.interval_scores"),
    ]
    assert (found[0]["text"], found[-1]["text"]) == ("<p>interval: From low to high.</p>", "")


def test_when_a_document_links_to_a_notebook_or_a_file_then_both_come_with_it(tmp_path):
    for name in ("docs/a.md", "notebooks/explore.ipynb", "datasets/heat.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / "docs/a.md").write_text(
        "[n](../notebooks/explore.ipynb#how), [t](../datasets/heat.toml)"
    )
    (tmp_path / "datasets/heat.toml").write_text("name = 'heat'")
    nbformat.write(v4.new_notebook(), tmp_path / "notebooks/explore.ipynb")
    build.stage(tmp_path / "pages", tmp_path)
    assert (tmp_path / "pages/docs/a.md").read_text() == (
        "[n](../notebooks/explore.md#how), [t](../datasets/heat.toml)"
    )
    assert (tmp_path / "pages/datasets/heat.toml").read_text() == "name = 'heat'"


def test_when_a_document_is_added_then_the_menu_of_the_site_has_it(root):
    menu = yaml.safe_load(text_of("docs/site/mkdocs.yml"))["nav"]
    in_menu = [value for value in leaves(menu) if value]
    assert sorted(in_menu) == sorted(str(file) for file in build.find(build.DOCUMENTS[:-1], root))


def leaves(menu):
    if isinstance(menu, dict):
        menu = list(menu.values())
    return [leaf for entry in menu for leaf in leaves(entry)] if isinstance(menu, list) else [menu]  # type: ignore[list-item]


def test_when_the_library_has_pages_then_they_are_in_the_order_of_use(tmp_path):
    pages = [page.stem for page in build.stage_library(tmp_path)]
    assert pages[:4] == ["settings", "data", "study", "benchmark"]
    assert {"cli", "records"} < set(pages)
