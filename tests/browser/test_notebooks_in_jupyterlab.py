"""Notebooks in a real JupyterLab: open, Run All, look. Screenshots stay in
``tests/browser/screenshots``.
"""

import re
from pathlib import Path

import nbformat
import pytest

from hpo_lib import paths
from hpo_lib.cli.main import main
from hpo_lib.figures.build import PICTURES
from hpo_lib.figures.explorer import FRONT, Explorer, find_studies
from hpo_lib.launch.status import study_status
from hpo_lib.paths import RunPaths
from hpo_lib.records.result import load_result
from tests.browser.conftest import PATIENCE
from tests.conftest import SIMULATED_RECORDS, SIMULATED_RUNS, short_twin
from tests.study.processes import python

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

SCREENSHOTS = Path(__file__).parent / "screenshots"
DONE = """() => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
    const ran = prompts.length > 0 && prompts.every(p => /^\\[\\d+\\]:$/.test(p.textContent));
    return failed !== null || ran;
}"""


SEEN = """count => {
    const found = [...document.querySelectorAll('.jp-OutputArea img')];
    return found.length >= count && found.every(i => i.naturalWidth * i.clientHeight > 10000);
}"""


def run_all(page, address):
    """Open a notebook, *Run All Cells*, and wait until every cell has run without an error."""
    page.goto(address)
    page.locator(".jp-NotebookPanel .jp-CodeCell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").or_(
        page.get_by_title("Kernel status: Idle")
    ).first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(DONE)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts() == []


def keep(page, name):
    """A screenshot of the whole notebook, for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    height = page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    page.set_viewport_size({"width": 1400, "height": int(height) + 150})
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    page.wait_for_timeout(500)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.set_viewport_size({"width": 1400, "height": 1000})


def see(page, count):
    """Wait until so many pictures have come and are decoded; there must be no more."""
    page.wait_for_function(SEEN, arg=count)
    assert page.locator(".jp-OutputArea img").count() == count


@pytest.mark.parametrize(
    "notebook, count",
    [("hpo_template.ipynb", 5), ("nhits_q.ipynb", 4), ("tft_q.ipynb", 4), ("timesnet_q.ipynb", 4)],
)
def test_when_a_study_is_run_in_jupyterlab_then_no_cell_fails_and_its_figures_are_seen(
    notebook, count, lab, page, tmp_path
):
    of_family = notebook != "hpo_template.ipynb"
    trials = 1 if of_family else 3
    run_all(page, lab.copy(notebook, test=True, trials=trials, runs_dir=str(tmp_path / "runs")))
    see(page, count)
    keep(page, notebook)
    shown = page.locator(".jp-Notebook").inner_text()
    assert "SIMULATED DATA" not in shown  # real data is there
    assert ("The network is not shown: " in shown) == of_family
    assert ("Trained once more" in shown) == ("(the same network)" in shown) == of_family
    (record,) = (tmp_path / "runs").rglob("best_params_*.json")
    assert load_result(record)["n_completed"] == trials


RECORDS = {"runs_dir": str(SIMULATED_RUNS), "out": "out"}
FOLDERS = {"benchmark_dir": str(SIMULATED_RECORDS / paths.BENCHMARK_DIR.name), **RECORDS}


TRAINING = {"test": True, "models": "NHITS_Q", "params": "default", "seeds": 1, "out": "out"}


@pytest.mark.parametrize(
    "notebook, count, parameters",
    [
        ("data_preparation.ipynb", 1, {}),
        ("analysis.ipynb", 6, RECORDS),
        ("thesis_figures.ipynb", len(PICTURES), FOLDERS),
        ("leak_audit.ipynb", 0, {}),
        ("benchmark.ipynb", 5, TRAINING),
        ("from_python.ipynb", 1, {"test": True, "trials": 1, "out": "out"}),
    ],
)
def test_when_a_notebook_is_run_in_jupyterlab_then_no_cell_fails_and_its_figures_are_seen(
    notebook, count, parameters, lab, page
):
    run_all(page, lab.copy(notebook, **parameters))
    see(page, count)
    keep(page, notebook)


def test_when_the_forecast_is_run_in_jupyterlab_then_the_day_ahead_is_seen(lab, page, tmp_path):
    models_dir = str(tmp_path / "models")
    params = str(RunPaths(SIMULATED_RUNS, "NHITS_Q", "heat", "published").best_params)
    words = ["--dataset", "bike_dc", "--params", params, "--models-dir", models_dir, "--test"]
    assert main(["retrain", "--model", "NHITS_Q", *words]) == 0
    run_all(page, lab.copy("forecast.ipynb", models_dir=models_dir))
    see(page, 1)
    keep(page, "forecast.ipynb")
    shown = page.locator(".jp-Notebook").inner_text()
    assert "2013-01-01T05:00:00+00:00" in shown
    assert "NHITS_Q v001 (TEST BUDGET): 0 days since its training" in shown


@pytest.mark.parametrize("load", range(3))
def test_when_another_study_or_trial_is_chosen_then_the_whole_picture_is_drawn(load, lab, page):
    """Three of five fresh pages once showed nothing, or a part of the figure, after the first
    change.
    """
    run_all(page, lab.copy("explore.ipynb", runs_dir=str(paths.RUNS_DIR)))
    studies = find_studies()[0]
    page.get_by_text(f", trial {studies[0].chosen.number}").first.wait_for()
    page.wait_for_function(DRAWN)
    page.wait_for_function(f"() => ({PAINTED})() > 100000")
    page.wait_for_timeout(1000)
    whole = page.evaluate(PAINTED)
    clicked, other = next(
        (study, trial)
        for study in studies
        for trial in study.viewable
        if trial.mae > 1.02 * study.chosen.mae
    )
    for study in [*studies[4:7], clicked]:
        page.locator(".widget-dropdown select").first.select_option(study.label)
        title = f"{study.run.model} on {study.run.dataset}, trial"
        page.get_by_text(f"{title} {study.chosen.number}").first.wait_for()
        page.wait_for_function(f"whole => ({PAINTED})() > 0.5 * whole", arg=whole)
    # Controls, facts, front and forecasts are on one screen of 1440 x 900.
    assert page.locator(".jp-OutputArea .widget-vbox").first.bounding_box()["height"] < 790
    if load > 0:
        return

    # A click on a trial shows its forecasts.
    explorer = Explorer([study])  # the same picture, which knows its places
    canvas = page.locator(".jupyter-matplotlib-canvas-div canvas").first
    keep(page, "explore")
    canvas.scroll_into_view_if_needed()
    before = page.evaluate(PIXELS)

    place = other.mae * study.readable.factor, other.picp_penalty
    x, y = explorer.figure.axes[FRONT].transData.transform(place)
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + explorer.figure.bbox.height - y)
    page.get_by_text(f"{title} {other.number}").first.wait_for()
    page.wait_for_function(f"before => ({PIXELS})() !== before", arg=before)
    keep(page, "explore_after_click")


def test_when_a_page_is_closed_while_a_study_runs_then_the_next_one_shows_its_end(
    lab, page, browser, root, tmp_path
):
    run = RunPaths(tmp_path, "NHITS_Q", "heat", "winter")
    words = "run --model NHITS_Q --simulated --test --trials 50 --policy calibrated --job-id winter"
    folders = "--dataset", str(short_twin(tmp_path)), "--runs-dir", str(tmp_path)
    begun = python(root, "-m", "hpo_lib", *words.split(), *folders, "--detach")
    assert begun.returncode == 0, begun.stderr
    source = re.search("after `(.*)`", begun.stdout)[1]
    cell = nbformat.v4.new_code_cell(f"{source}\nattach('winter', {str(tmp_path)!r})")
    notebook = nbformat.read(lab.notebooks / "explore.ipynb", as_version=4)
    notebook.cells = [cell]
    nbformat.write(notebook, lab.folder / "live.ipynb")
    address = f"{lab.url}/lab/workspaces/live/tree/live.ipynb"
    run_all(page, address)
    page.get_by_text("NHITS_Q_heat_winter: running").wait_for()
    page.get_by_text("trial 0: complete").wait_for()  # without any the study would have failed
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1000)
    other = browser.new_page(viewport=page.viewport_size)
    page.close()
    assert main(["stop", "winter", "--runs-dir", str(tmp_path)]) == 0
    while study_status(run, []).state == "running":
        other.wait_for_timeout(200)
    other.set_default_timeout(PATIENCE)
    other.goto(address)
    other.get_by_text(re.compile(r"NHITS_Q_heat_winter: interrupted, \d+ of 50")).wait_for()
    other.wait_for_function(SEEN, arg=1)
    keep(other, "live")
    other.close()


PIXELS = """() => document.querySelector('.jupyter-matplotlib-canvas-div canvas').toDataURL()"""
PAINTED = """() => {
    const canvas = document.querySelector('.jupyter-matplotlib-canvas-div canvas');
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let painted = 0;
    for (let i = 0; i < data.length; i += 4)
        painted += data[i] < 250 || data[i + 1] < 250 || data[i + 2] < 250;
    return painted;
}"""
DRAWN = """() => {
    const canvas = document.querySelector('.jupyter-matplotlib-canvas-div canvas');
    if (canvas === null || canvas.width < 900) return false;
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return data.some((value, i) => i % 4 === 0 && value > 0 && value < 255);
}"""
