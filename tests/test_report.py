"""A study as one HTML page, and how a study is named on the command line."""

import html.parser
import shutil
import sys
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from hpo_lib.figures import study_page
from hpo_lib.figures.series import forecast_weeks
from hpo_lib.figures.study_page import sections, write_page
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import read_json, write_json
from hpo_lib.records.study import StoredStudy, named_study
from tests.conftest import hpo, made_forecasts, refusal


@pytest.fixture
def run(stored_studies, tmp_path):
    """A study of real data without its storage, in a folder that a test may change."""
    shutil.copytree(stored_studies, tmp_path, dirs_exist_ok=True)
    return RunPaths(tmp_path, "TFT_Q", "water_centrum", "second")


def change(run, provenance=None, **values):
    """Change values of a record, and of its provenance."""
    record = read_json(run.best_params, "a record")
    record["provenance"] |= provenance or {}
    write_json(run.best_params, record | values)


def page(run):
    return write_page(StoredStudy.read(run)).read_text(encoding="utf-8")


class Page(html.parser.HTMLParser):
    """The tags of a page that load something, its texts, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.loads = []
        self.texts = []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        loading = "href" if tag == "link" else "src"
        self.loads += [value for name, value in attributes if name == loading]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(" ".join(data.split()))


def test_when_a_page_is_written_then_it_loads_nothing_and_holds_the_result(run):
    assert hpo("report second --runs-dir", run.runs_dir).out == f"wrote {run.report}\n"
    text = run.report.read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.open == []
    assert len(parsed.loads) == 3  # weeks, hours, front; nothing was proven
    drawn = [
        b64decode(one.removeprefix("data:image/svg+xml;base64,"), validate=True)
        for one in parsed.loads
    ]
    assert b"MAE 0.220 m" in drawn[0]  # with all its digits
    study = StoredStudy.read(run)
    for words in (
        study.label,
        "2026-01-16, complete: 4 complete, 1 failed in 0.017 minutes of training.",
        "MAE in m³/h",
        "naive 24h",
        "TFT_Q untuned defaults (trial 0)",
        "TFT_Q chosen (trial 4)",
        "best_params_TFT_Q_water_centrum_second.json",
        "data.source",
    ):
        assert words in parsed.texts, words
    assert parsed.texts.count(f"{study.chosen.mae:.3f}") == 2  # in the scores and in the front
    assert not [words for words in parsed.texts if "SIMULATED" in words or "TEST" in words]
    assert page(run) == text


def test_when_a_study_is_simulated_or_a_test_then_the_page_and_every_figure_say_so(run):
    change(run, {"preset": "test", "data": {"unit": "m3/h", "source": "simulated"}})
    mark = "SIMULATED DATA, TEST BUDGET"
    assert f"<b>{mark}.</b>" in page(run)
    shown = [one for _, _, contents in sections(StoredStudy.read(run)) for one in contents]
    figures = [one for one in shown if isinstance(one, Figure)]
    assert [figure.get_supxlabel() for figure in figures] == [mark] * 3


def test_when_hyperparameters_are_alike_then_a_sentence_names_them_and_the_table_does_not(
    run, monkeypatch
):
    def front():
        shown = {title: rest for title, *rest in sections(StoredStudy.read(run))}
        assert "What mattered" not in shown, "without one that trials differ in"
        text, (_, table) = shown["Pareto front"]
        return text.rpartition(" In all of them: ")[2], "lr" in table.index

    assert front() == ("nothing alike.", True)
    whole = study_page.front_table
    monkeypatch.setattr(study_page, "front_table", lambda study: whole(study).assign(lr=0.005))
    assert front() == ("lr 0.005.", False)


def test_when_a_record_lacks_its_provenance_then_the_page_is_written(run):
    write_json(run.best_params, {**read_json(run.best_params, "a record"), "provenance": {}})
    assert "Stopped early: " in page(run)


@pytest.mark.parametrize(
    "hours, words", [(0.053, "3.2 minutes"), (2.0, "2 hours"), (30.49, "30 hours")]
)
def test_when_a_study_took_less_than_two_hours_then_the_page_gives_minutes(hours, words, run):
    change(run, training_time_hours=hours)
    assert f" in {words} of training." in page(run)


def test_when_a_record_holds_markup_then_the_page_shows_it_as_text(run):
    change(run, {"data": {"unit": "<script>alert(1)</script>", "source": "csv"}})
    text = page(run)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def weeks(errors):
    """Titles of the weeks that are drawn of one day per error, by which the median misses."""
    actual = 10 + np.arange(24.0) * np.ones((len(errors), 1))
    forecasts = made_forecasts(actual, 0.5, actual + errors[:, None], "2019-01-01 23:00")
    figure = forecast_weeks(forecasts, unit="m3/h")
    for axes in figure.axes:
        assert len(axes.lines[1].get_xdata()) == 24 * min(len(errors), 7)
    return [axes.get_title() for axes in figure.axes]


def test_when_weeks_are_drawn_then_they_are_the_easiest_the_middle_and_the_hardest():
    titles = weeks(np.repeat([0.3, 0.1, 0.2, 0.9, 0.4], 7))  # in order of time
    assert [title.split()[0] for title in titles] == ["middle", "easiest", "hardest"]
    assert titles[2].endswith("from Wednesday 2019-01-23: MAE 0.900 m3/h")


@pytest.mark.parametrize("days, count", [(3, 1), (7, 1), (14, 2), (20, 2)])
def test_when_there_are_few_days_then_there_are_as_many_whole_weeks_as_they_hold_or_one(
    days, count
):
    assert len(weeks(np.linspace(0, 1, days))) == count


# Naming a study


def test_when_a_study_is_named_by_id_name_file_or_folder_then_it_is_found(run):
    newer = replace(run, job_id="spring")
    content = run.best_params.read_text(encoding="utf-8")
    newer.best_params.write_text(content.replace("second", "spring"), encoding="utf-8")
    name = run.study_name
    for given in ("second", name, f"best_params_{name}.json", str(run.best_params)):
        assert named_study(given, str(run.runs_dir)).run == run, given
    for given in (str(newer.folder), "TFT_Q_water_centrum"):
        assert named_study(given, str(run.runs_dir)).run == newer, given


def test_when_no_study_or_several_are_named_so_then_the_sentence_lists_them(run):
    other = RunPaths(run.runs_dir, "NHITS_Q", "tiny", "second")
    other.folder.mkdir()
    other.sqlite.touch()
    with refusal(
        "study 'second' is one of several; give one of NHITS_Q_tiny_second, "
        "TFT_Q_water_centrum_second"
    ):
        named_study("second", str(run.runs_dir))
    with pytest.raises(
        ValueError, match=r"holds no study 'TFT_Q_water_cent'.*; did you mean TFT_Q_water_centrum"
    ):
        named_study("TFT_Q_water_cent", str(run.runs_dir))
    assert named_study(run.study_name, str(run.runs_dir)).run == run


def refused(command, run):
    return hpo(f"{command} second --runs-dir", run.runs_dir, code=2).err


def test_when_a_study_has_nothing_to_show_then_one_sentence_says_why(run):
    change(run, schema_version=1)
    assert "it is older than stored forecasts" in refused("report", run)
    run.best_params.unlink()
    run.sqlite.touch()
    assert "makes no page, since no trial is complete yet; " in refused("report", run)
    assert not run.report.exists()


# The dashboard; that it serves a study is in test_dashboard.py


def test_when_the_dashboard_lacks_its_package_or_the_study_its_storage_then_the_fix_is_named(
    run, monkeypatch
):
    assert "its storage is not among its files" in refused("dashboard", run)
    monkeypatch.setattr(StoredStudy, "has_storage", True)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert refused("dashboard", run).endswith(" -m pip install optuna-dashboard`\n")
    assert run.folder.exists()
