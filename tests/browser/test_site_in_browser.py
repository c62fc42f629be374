"""The documentation site in a real browser, wide and on a phone. Screenshots stay in
``tests/browser/screenshots``.
"""

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from docs.site import build

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

SCREENSHOTS = Path(__file__).parent / "screenshots"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    build.build(folder, root)  # a broken link ends it
    return folder


@pytest.fixture(scope="module")
def site(built):
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=built)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_when_the_site_is_built_then_every_document_notebook_and_room_has_a_page(root, built):
    files = {str(file.relative_to(built)) for file in built.rglob("*.html")}
    pages = build.find(build.DOCUMENTS + build.NOTEBOOKS + build.RECORDS, root)
    named = {str(file.with_suffix(".html")).replace("README.html", "index.html") for file in pages}
    rooms = {
        f"api/{file.stem}.html"
        for file in (root / "hpo_lib").iterdir()
        if not file.stem.startswith((".", "_"))
    }
    assert files - {"404.html"} == named | rooms
    scores = (built / "api/scoring.html").read_text(encoding="utf-8")
    assert 'id="hpo_lib.scoring.metrics.interval_scores"' in scores
    assert "Gneiting" in scores


@pytest.mark.parametrize("width", [1400, 500])
def test_when_the_site_is_opened_then_its_front_page_fits_and_leads_on(width, site, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{site}/index.html")
    page.locator("article h1").wait_for()
    sizes = page.eval_on_selector_all(
        "article img:not(.gallery img)", "all => all.map(i => i.naturalWidth * i.clientHeight)"
    )
    assert min(sizes) > 10_000  # the browser has decoded them
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"site_{width}.png", full_page=True)
    page.locator("article a", has_text="quickstart").first.click()
    page.locator("article h1", has_text="first ten minutes").wait_for()
    assert not {
        url for url in asked if not url.startswith((site, "data:"))
    }  # nothing comes from elsewhere


@pytest.mark.parametrize("word", ["interval", "winkler", "refit", "network kept"])
def test_when_a_word_is_searched_then_the_glossary_is_found_first(word, site, page):
    page.goto(f"{site}/index.html")
    page.get_by_role("button", name="Search").first.click()
    box = page.get_by_role("textbox").or_(page.get_by_role("combobox")).first
    box.fill(word)
    page.get_by_text(re.compile(r"^\d+ results$")).wait_for()
    box.press("Enter")
    page.wait_for_url(re.compile(r"glossary\.html.*#term-"))
