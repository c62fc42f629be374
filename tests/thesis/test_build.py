"""Everything from records: which records count, equal bytes twice, nothing clipped, sidecars that
are true.
"""

import dataclasses
import itertools
import logging
import shutil
import warnings
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest

from hpo_lib import paths
from hpo_lib.errors import InputError
from hpo_lib.figures import style, tables
from hpo_lib.figures.build import PICTURES, analyse, build, drawn
from hpo_lib.figures.card import card
from hpo_lib.figures.evidence import find_evidence, warning_for
from hpo_lib.figures.latex import escaped
from hpo_lib.figures.style import warning_text
from hpo_lib.figures.tables import TABLES
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.read_write import read_json, write_json
from hpo_lib.records.result import load_result
from tests.conftest import hpo
from tests.thesis.conftest import HEAT


def sidecar(out, figure):
    return read_json(out.sidecar(out.figure(figure)[0]), "a sidecar")


# Which records count


@pytest.fixture
def runs(tmp_path):
    """A copy of the studies, which a test may change."""
    return Path(shutil.copytree(HEAT[0], tmp_path / "runs"))


LATER = {"optimization_date": "2090-01-01"}
NEWER = "best_params_NHITS_Q_heat_published.json is newer"


@pytest.mark.parametrize(
    "changes, ids, note",
    [
        (LATER, "other published published", "heat_other.json is newer"),
        ({**LATER, "status": "running"}, "published published published", NEWER),
        ({**LATER, "sha256": "ab"}, "other", "data or splits are not those of best_params_NHITS_Q"),
        ({**LATER, "train_end": "2001-01-01 00Z"}, "other", "data or splits are not those"),
        ({**LATER, "val_end": "2001-01-01 00Z"}, "other", "data or splits are not those"),
        ({"optimization_date": "2001", "preset": "laptop"}, "other", "or of a larger budget"),
    ],
)
def test_when_a_model_has_a_second_study_then_the_newest_complete_one_of_the_data_counts(
    changes, ids, note, runs
):
    file = runs / "NHITS_Q_heat/best_params_NHITS_Q_heat_other.json"
    result = load_result(file.with_name("best_params_NHITS_Q_heat_published.json"))
    for part in (result, result["provenance"], result["provenance"]["data"]):
        part |= {name: value for name, value in changes.items() if name in part}
    write_json(file, {**result, "job_id": "other"})
    found = find_evidence(runs, runs / "none")
    assert " ".join(study.run.job_id for study in found.studies) == ids
    assert note in " ".join(found.notes)


def test_when_provenance_lacks_what_a_card_needs_then_the_study_is_passed_over(runs):
    for file, part in zip(
        sorted(runs.rglob("best_params_*.json")), ("seed", "data", ""), strict=True
    ):
        result = load_result(file)
        result["provenance"].pop("seed" if part == "seed" else None, None)
        if part == "data":
            del result["provenance"]["data"]["hours_filled"]
        write_json(file, result)
    found = find_evidence(runs, runs / "none")
    assert [study.model for study in found.studies] == ["TIMESNET_Q"]
    assert [note.partition("json: ")[2] for note in found.notes] == [
        "provenance.seed is missing; restore it from a copy.",
        "provenance.data.hours_filled is missing; restore it from a copy.",
    ]


def test_when_a_storage_is_not_there_then_the_front_of_the_json_is_drawn(runs):
    for file in runs.rglob("study_*"):
        file.unlink()
    found = find_evidence(runs, runs / "none")
    for study in found.studies:
        assert [t.number for t in study.front] == [
            t["trial"] for t in study.result["all_pareto_trials"]
        ]
        assert not study.has_storage
    assert PICTURES["optimisation_history"].data(found).empty


def test_when_a_benchmark_is_of_other_data_then_it_is_passed_over_with_the_reason(tmp_path):
    benchmarks = Path(shutil.copytree(HEAT[1], tmp_path / "benchmarks"))
    record = next(benchmarks.rglob("*-seed42.json"))
    content = read_json(record, "a record")
    content["key"]["data"]["sha256"] = "0" * 64
    write_json(record, content)
    found = find_evidence(HEAT[0], benchmarks)
    assert found.benchmarks == ()
    assert any("was made on other data" in note for note in found.notes)


def test_when_own_records_lie_beside_the_published_ones_then_each_are_shown_alone(
    tmp_path, monkeypatch
):
    """An own study of the published series, newer and of other data, and an own benchmark."""
    runs = tmp_path / "runs"
    out = tmp_path / "benchmarks"
    for name in ("NHITS_Q_heat_dev", "TFT_Q_heat_dev"):
        shutil.copytree(paths.RUNS_DIR / name, runs / name)
    shutil.copytree(HEAT[1], out)
    (out / "heat_dev").symlink_to(paths.BENCHMARK_DIR / "heat_dev")
    (file,) = runs.glob("NHITS_Q_heat_dev/best_params_*")
    result = {**load_result(file), **LATER, "job_id": "mine"}
    result["provenance"]["data"] |= {"sha256": "ab", "source": "simulated"}
    write_json(file.with_stem(f"{file.stem}.mine"), result)
    monkeypatch.setattr(paths, "RUNS_DIR", runs)
    monkeypatch.setattr(paths, "BENCHMARK_DIR", out)
    found = find_evidence()
    own = find_evidence(runs)
    assert find_evidence(datasets=["heat_dev"]).studies == own.studies
    assert [study.run.job_id for study in found.studies] == ["published", "published"]
    assert [benchmark.dataset for benchmark in found.benchmarks] == ["heat_dev"]
    assert (warning_for(found.studies), len(found.pages())) == ("", 1)
    assert [note[:10] for note in found.notes] == ["Left out 1", "Left out 1"]
    assert analyse().evidence.studies == found.studies
    assert [study.run.job_id for study in own.studies] == ["mine"]
    assert [benchmark.dataset for benchmark in own.benchmarks] == ["heat"]


def test_when_there_is_no_record_then_the_sentence_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="holds no readable best_params JSON"):
        find_evidence(tmp_path, tmp_path)
    hpo(f"figures --runs-dir {tmp_path} --benchmark-dir {tmp_path}", code=2)


def test_when_records_are_drawn_then_tracked_ones_are_replaced_only_if_that_is_asked_for(
    tmp_path, monkeypatch, few_pictures
):
    monkeypatch.setattr(paths, "DRAFTS_DIR", tmp_path / "drafts")
    published = ThesisPaths.below(tmp_path / "published")
    monkeypatch.setattr(ThesisPaths.__init__, "__defaults__", tuple(vars(published).values()))
    card_file = published.card("TFT_Q", "heat")
    card_file.parent.mkdir(parents=True)
    card_file.write_text("published before", encoding="utf-8")
    words = f"figures --runs-dir {HEAT[0]} --benchmark-dir {tmp_path / 'none'}"
    hpo(words)
    assert (tmp_path / "drafts/model_cards" / card_file.name).is_file()
    assert card_file.read_text(encoding="utf-8") == "published before"
    hpo(words, "--publish")
    assert card_file.read_text(encoding="utf-8") != "published before"


# Marks and cards


@pytest.mark.parametrize(
    "source, test, text",
    [
        ("simulated", True, "SIMULATED DATA, TEST BUDGET"),
        ("simulated", False, "SIMULATED DATA"),
        ("csv", False, ""),
        ("csv, observed weather", False, "OBSERVED WEATHER OF THE DAY AHEAD"),
        ("csv, degraded weather", True, "OBSERVED WEATHER WITH ADDED ERRORS, TEST BUDGET"),
        ("csv, forecast weather", False, ""),
    ],
)
def test_when_data_is_simulated_or_the_budget_a_test_then_the_picture_says_so(source, test, text):
    figure, _ = style.panels(1, 1, height=1)
    style.marked(figure, warning_text([source], is_test=test), above=True)
    assert figure.get_suptitle() == text


def test_when_a_figure_is_written_then_its_sidecar_has_the_caption_of_its_latex_snippet(
    heat, tmp_path, few_pictures
):
    out = ThesisPaths.below(tmp_path)
    build(dataclasses.replace(heat, benchmarks=()), out)
    caption = sidecar(out, "pareto_fronts")["caption"]
    assert caption.endswith(" Validation split. Test budget.")
    snippet = out.figure("pareto_fronts")[2].read_text(encoding="utf-8")
    assert rf"\caption{{\textbf{{Simulated data, test budget.}} {escaped(caption)}}}" in snippet
    assert r"\includegraphics{figures/pareto_fronts}" in snippet
    tested = tables.caption("skill_split", heat.benchmarks)
    assert " Test split. Test budget, seeds: 1, trained" in tested


def test_when_a_card_is_written_then_its_scores_are_those_of_the_stored_forecasts_it_has(heat):
    (study,) = (study for study in heat.studies if study.model == "NHITS_Q")
    text = card(heat, study)
    frame = pd.read_parquet(study.run.trial_predictions(study.chosen.number))
    mae = (frame["actual"] - frame["q50"]).abs().mean()
    picp = 100 * frame["actual"].between(frame["q10"], frame["q90"]).mean()
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith("| validation, this configuration | 152 |")
    ]
    assert f"| {mae:.3f} [" in line
    assert f"| {picp:.1f} [" in line
    assert "**SIMULATED DATA, TEST BUDGET.**" in text
    assert study.data["sha256"] in text
    assert "| test, rolling calibration | 275 |" in text
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    parts = "Configuration, Data, Scores, Calibration, Intended use, Limits, Provenance"
    assert ", ".join(headings) == parts
    other = type(study)(study.run, {**study.result, "best_params": {"lr": 1.0}}, study.file)
    untested = card(heat, other)
    assert "| test" not in untested
    assert "nothing is known of the test split" in untested


# Files


@pytest.fixture
def few_pictures(monkeypatch):
    """Two figures, where all are more than a test looks at."""
    few = {name: PICTURES[name] for name in ("pareto_fronts", "cost")}
    monkeypatch.setattr("hpo_lib.figures.build.PICTURES", few)


@pytest.mark.slow
def test_when_figures_are_drawn_then_they_have_text_width_and_nothing_is_cut_off(heat):
    """The complaints of matplotlib are errors."""
    complaints = []
    handler = logging.Handler()
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("matplotlib").addHandler(handler)
    with warnings.catch_warnings(), style.thesis_style():
        warnings.simplefilter("error")
        for name, picture in PICTURES.items():
            figure = picture.draw(picture.data(heat))
            style.marked(figure, warning_for(heat.studies), above=True)
            figure.set_dpi(50)
            figure.draw_without_rendering()
            width, height = figure.get_size_inches()
            assert width == pytest.approx(150 / 25.4), name
            assert height <= 247 / 25.4, f"{name} is higher than a page"
            drawn = figure.get_tightbbox()  # in inches, of everything that is drawn
            assert min(drawn.x0, drawn.y0) >= -0.01, name
            assert drawn.x1 <= width + 0.01, name
            assert drawn.y1 <= height + 0.01, name
    logging.getLogger("matplotlib").removeHandler(handler)
    assert complaints == []


def test_when_there_are_more_than_three_datasets_then_pages_have_no_text_over_another(
    heat, tmp_path, few_pictures
):
    plain = ("heat", "water_centrum", "water_tommerby")
    names = [name + dev for name in plain for dev in ("", "_dev")]
    result = heat.studies[0].result
    for name in names:
        write_json(
            paths.RunPaths(tmp_path, "NHITS_Q", name, "mine").best_params,
            {**result, "dataset": name},
        )
    found = find_evidence(tmp_path, tmp_path / "none")
    assert [page.datasets for page in found.pages()] == [names[:3], names[3:]]
    for page in found.pages():
        figure = drawn("pareto_fronts", page)
        assert [axes.get_title() for axes in figure.axes] == [
            page.title(name) for name in page.datasets
        ]
        boxes = [axes.get_tightbbox() for axes in figure.axes]  # of panels with their texts
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    out = ThesisPaths.below(tmp_path / "out")
    build(found, out)
    for name, part in (("pareto_fronts", names[:3]), ("pareto_fronts_2", names[3:])):
        datasets = {file.split("_Q_")[1].split("/")[0] for file in sidecar(out, name)["records"]}
        assert sorted(datasets) == part
    assert r"\includegraphics{figures/pareto_fronts_2}" in out.figure("pareto_fronts_2")[
        2
    ].read_text(encoding="utf-8")


@pytest.mark.slow
def test_when_the_notebook_runs_headless_then_it_shows_what_it_wrote_and_every_byte_is_as_before(
    heat, tmp_path
):
    before, after, executed = (tmp_path / name for name in ("before", "after", "executed.ipynb"))
    first, _ = build(heat, ThesisPaths.below(before))
    folders = dict(zip(("runs_dir", "benchmark_dir"), map(str, HEAT), strict=True))
    papermill.execute_notebook(
        str(paths.NOTEBOOKS_DIR / "thesis_figures.ipynb"),
        str(executed),
        parameters={**folders, "out": str(after)},
        progress_bar=False,
        cwd=str(paths.PROJECT_ROOT),
    )
    assert len(first) == 3 * len(PICTURES) + 2 * len(TABLES) + 3
    for file in (*first, *map(ThesisPaths.sidecar, first)):
        assert file.read_bytes() == (after / file.relative_to(before)).read_bytes()
    outputs = [
        out["data"]
        for cell in nbformat.read(executed, as_version=4).cells
        for out in cell.get("outputs", [])
        if "data" in out
    ]
    assert sum("image/png" in data for data in outputs) == len(PICTURES)
    assert sum("text/html" in data for data in outputs) == len(TABLES)
    assert sum("# Model card" in data.get("text/markdown", "") for data in outputs) == 3
