"""A study as one HTML page, and how a study is named on the command line."""

import html.parser
import json
import re
import sys
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from hpo_lib.cli.main import main
from hpo_lib.figures import forecasts as forecast_figures
from hpo_lib.figures.study_page import sections, write_page
from hpo_lib.paths import RunPaths
from hpo_lib.records.files import write_json, write_predictions
from hpo_lib.records.result import study_result
from hpo_lib.records.study import StoredStudy, named_study
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.objectives import FORMER_PAIR
from tests.conftest import refusal


def forecasts(errors: np.ndarray) -> QuantileForecasts:
    """One day per error, by which the median misses everywhere; the interval reaches half a unit."""
    actual = 10 + np.arange(24.0) * np.ones((len(errors), 1))
    median = actual + errors[:, None]
    origins = pd.date_range("2019-01-01 23:00", periods=len(errors), freq="D", tz="UTC")
    return QuantileForecasts(median[:, :, None] + np.array([-0.5, 0.0, 0.5]), actual, origins)


def store(
    folder: Path,
    job_id: str = "winter",
    *,
    source: str = "csv",
    preset: str = "laptop",
    unit: str = "m3/h",
):
    """A study of two trials, of which the second is better and chosen."""
    run = RunPaths(folder, "TFT_Q", "tiny", job_id)
    trials = []
    for number, error in enumerate((0.4, 0.2)):
        found = forecasts(np.full(15, error))
        write_predictions(run.trial_predictions(number), found)
        scores = {name: metric(found) for name, metric in metrics.METRICS.items()} | {"mase": 1.0}
        trials.append(
            TrialRecord(number, "complete", {"lr": 0.01 * (number + 1)}, error, 20.0, scores)
        )
    provenance = {
        "seed": 42,
        "preset": preset,
        "early_stopping": "off",
        "data": {"source": source, "unit": unit},
    }
    result = study_result(
        run,
        storage_path="sqlite:///study.db",
        status="complete",
        trials_asked=2,
        policy="lowest_mae",
        objectives=FORMER_PAIR,
        trials=trials,
        optimization_date="2026-01-16T10:00:00+00:00",
        baselines={"naive_24h": dict(trials[0].scores)},
        provenance=provenance,
    )
    write_json(run.best_params, result)
    return run


class Page(html.parser.HTMLParser):
    """The tags of a page that load something, its texts, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.loads += [
            value
            for name, value in attributes
            if name == "src" or (tag == "link" and name == "href")
        ]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.texts.append(" ".join(data.split()))


def test_when_a_page_is_written_then_it_lies_beside_the_record_loads_nothing_and_holds_the_result(
    tmp_path, capsys
):
    run = store(tmp_path)
    assert main(["report", "winter", "--runs-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"wrote {run.report}\n"
    page = Page(run.report.read_text(encoding="utf-8"))
    assert page.open == []
    assert len(page.loads) == 3  # weeks, hours, front; nothing was proven
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.loads)
    for text in (
        "TFT_Q on tiny, winter: MAE 0.2 m3/h, PICP 100.0 %",
        "MAE in m³/h",
        "naive 24h",
        "TFT_Q chosen (trial 1)",
        "best_params_TFT_Q_tiny_winter.json",
        "data.source",
    ):
        assert text in page.texts, text
    assert page.texts.count("0.200") == 2  # in the scores and in the front
    assert not [text for text in page.texts if "SIMULATED" in text or "TEST" in text]
    before = run.report.read_bytes()
    assert write_page(StoredStudy.read(run)).read_bytes() == before


def test_when_a_study_is_simulated_or_a_test_then_the_page_and_every_figure_say_so(
    tmp_path,
) -> None:
    study = StoredStudy.read(store(tmp_path, source="simulated", preset="test"))
    assert "<b>SIMULATED DATA, TEST BUDGET.</b>" in write_page(study).read_text(encoding="utf-8")
    figures = [
        one
        for section in sections(study)
        for one in section[2]
        if isinstance(one, matplotlib.figure.Figure)
    ]
    assert [figure.get_supxlabel() for figure in figures] == ["SIMULATED DATA, TEST BUDGET"] * 3


@pytest.mark.parametrize(
    ("hours", "words"), [(0.053, "3.2 minutes"), (2.0, "2 hours"), (30.49, "30 hours")]
)
def test_when_a_study_took_less_than_two_hours_then_the_page_gives_minutes(
    hours, words, tmp_path
) -> None:
    run = store(tmp_path)
    write_json(
        run.best_params,
        json.loads(run.best_params.read_text(encoding="utf-8")) | {"training_time_hours": hours},
    )
    text = write_page(StoredStudy.read(run)).read_text(encoding="utf-8")
    assert f"complete: 2 complete in {words} of training." in text


def test_when_a_record_holds_markup_then_the_page_shows_it_as_text(tmp_path) -> None:
    text = write_page(
        StoredStudy.read(store(tmp_path, unit="<script>alert(1)</script>"))
    ).read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_when_weeks_are_drawn_then_they_are_the_easiest_the_middle_and_the_hardest_in_order_of_time() -> (
    None
):
    errors = np.repeat([0.3, 0.1, 0.2, 0.9, 0.4], 7)
    figure = forecast_figures.forecast_weeks(forecasts(errors), unit="m3/h")
    assert [axes.get_title().partition(" from")[0] for axes in figure.axes] == [
        "middle week,",
        "easiest week,",
        "hardest week,",
    ]
    assert figure.axes[2].get_title().endswith("from Wednesday 2019-01-23: MAE 0.900 m3/h")
    actual = {line.get_label(): line for line in figure.axes[2].lines}["actual"]
    assert len(actual.get_xdata()) == 7 * 24


@pytest.mark.parametrize(("count", "weeks"), [(3, 1), (7, 1), (14, 2), (20, 2)])
def test_when_there_are_few_days_then_there_are_as_many_whole_weeks_as_they_hold_or_one_that_is_not(
    count, weeks
):
    figure = forecast_figures.forecast_weeks(forecasts(np.linspace(0, 1, count)), unit="m3/h")
    assert len(figure.axes) == weeks


# Naming a study


def test_when_a_study_is_named_by_id_name_file_or_folder_then_it_is_found(tmp_path) -> None:
    run, newer = store(tmp_path), store(tmp_path, "spring")
    for name in (
        "winter",
        "TFT_Q_tiny_winter",
        "best_params_TFT_Q_tiny_winter.json",
        str(run.best_params),
    ):
        assert named_study(name, str(tmp_path)).run == run, name
    for name in (str(newer.folder), "TFT_Q_tiny"):
        assert named_study(name, str(tmp_path)).run == newer, name


def test_when_no_study_or_several_are_named_so_then_the_sentence_lists_them(tmp_path) -> None:
    run = store(tmp_path)
    other = RunPaths(tmp_path, "NHITS_Q", "tiny", "winter")
    other.folder.mkdir()
    other.sqlite.touch()
    with refusal(
        "study 'winter' is one of several; give one of NHITS_Q_tiny_winter, TFT_Q_tiny_winter"
    ):
        named_study("winter", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"holds no study 'TFT_Q_tiny_wint'.*; did you mean TFT_Q_tiny_winter"
    ):
        named_study("TFT_Q_tiny_wint", str(tmp_path))
    assert named_study("TFT_Q_tiny_winter", str(tmp_path)).run == run


def test_when_a_study_has_nothing_to_show_then_one_sentence_says_why(tmp_path, capsys) -> None:
    run = store(tmp_path)
    content = json.loads(run.best_params.read_text(encoding="utf-8"))
    run.best_params.write_text(json.dumps({**content, "schema_version": 1}), encoding="utf-8")
    assert main(["report", "winter", "--runs-dir", str(tmp_path)]) == 2
    assert "it is older than stored forecasts" in capsys.readouterr().err
    run.best_params.unlink()
    run.sqlite.touch()
    assert main(["report", "winter", "--runs-dir", str(tmp_path)]) == 2
    assert re.search(
        r"makes no page, since no trial is complete yet; .*\n$", capsys.readouterr().err
    )
    assert not run.report.exists()


# The dashboard; that it serves a study is in test_dashboard.py


def test_when_the_dashboard_lacks_its_package_or_the_study_its_storage_then_the_fix_is_named(
    tmp_path, monkeypatch, capsys
) -> None:
    run = store(tmp_path)
    assert main(["dashboard", "winter", "--runs-dir", str(tmp_path)]) == 2
    assert "its storage is not among its files" in capsys.readouterr().err
    monkeypatch.setattr(StoredStudy, "has_storage", True)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert main(["dashboard", "winter", "--runs-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(" -m pip install optuna-dashboard`\n")
    assert run.folder.exists()
