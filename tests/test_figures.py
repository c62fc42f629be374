"""What figures and tables hold, as plain data: positions, labels and marks, never pixels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.day_ahead_weather import DayAheadWeather, source_with
from hpo_lib.data.spec import DayAheadWeatherSpec
from hpo_lib.families.models import registered
from hpo_lib.figures import series as pictures
from hpo_lib.figures import study_page
from hpo_lib.figures.series import banner, data_overview, data_summary
from hpo_lib.figures.study_page import front_figure
from hpo_lib.figures.style import MISSING, number
from hpo_lib.records.provenance import data_provenance
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import ReadableUnit
from tests.thesis.conftest import TRIALS, made_up_study


@pytest.fixture
def study():
    """Its front is 3 and 4, the choice, since up to 5 points of PICP are equally good."""
    return made_up_study(
        objectives=[{"name": "mae"}, {"name": "picp_penalty", "tolerance": 5}],
        baselines={"naive_24h": {"mae": 0.5, "picp": 60.0, "winkler": 2.0}},
        selection={"alternatives": {"lowest_mae": 3, "calibrated": 4, "knee": 4}},
        provenance={
            "seed": 42,
            "data": {
                "source": "csv",
                "unit": "m3/h",
                "test_end": None,
                "columns": ["temp", "hour"],
            },
        },
        storage_path="sqlite:///study.db",
    )


def forecasts():
    lowest = 100.0 * np.arange(6)[:, None] + np.arange(1.0, 25)
    origins = pd.date_range("2019-01-01 23:00Z", periods=6)
    return QuantileForecasts(lowest[:, :, None] + np.array([0.0, 1.0, 3.0]), lowest + 2, origins)


# The Pareto front


def test_when_the_front_is_drawn_then_line_trials_defaults_and_choice_are_where_they_belong(study):
    (axes,) = front_figure(study).axes
    drawn = {str(line.get_label()): line.get_xydata().tolist() for line in axes.lines}
    assert drawn.pop("stopped early, last check") == [pytest.approx([np.nan] * 2, nan_ok=True)]
    assert drawn == {
        "complete trial": [[4, 4], [5, 2], [2, 6], [3, 3]],
        "bound without tolerance": [[2, 6], [3, 3], [4, 3], [5, 2]],
        "bound of the front": [[2, 6], [3, 5], [4, 5], [5, 5]],
        "Pareto front": [[2, 6], [3, 3]],
        "untuned defaults": [[4, 4]],
        "chosen": [[3, 3]],
    }
    line = axes.lines[3]
    assert (line.get_drawstyle(), line.get_color()) == ("steps-post", registered()["TFT_Q"].colour)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("MAE in m³/h", "|PICP \u2212 80| in pp")
    assert axes.get_ylim()[0] == 0
    (band,) = axes.patches  # where coverage is equally good
    assert (band.get_y(), band.get_height()) == (0, 5)


def test_when_trials_are_stopped_far_behind_or_failed_then_the_front_shows_them_anyway():
    check = {"step": 9, "picp": 70.0, "pinball": 1.0, "winkler": 1.0}
    ended = [
        TrialRecord(0, "complete", {}, 4.0, 1.0),
        TrialRecord(1, "stopped", {}, curve=[{**check, "mae": 9.0}, {**check, "mae": 4.5}]),
        *(TrialRecord(2 + i, "complete", {}, 4.0 + i, 1.0) for i in range(4)),
        TrialRecord(6, "stopped", {}, curve=[{**check, "mae": 400.0}]),
        TrialRecord(7, "failed", {}),
    ]
    (axes,) = front_figure(made_up_study("TFT_Q", ended, best_trial_number=0)).axes
    stopped = axes.lines[0]
    assert stopped.get_markerfacecolor() == "none"
    near, far = stopped.get_xydata()
    assert near[0] == 4.5, "at its last check"
    assert 7 < far[0] < 10, "at the edge"
    assert [text.get_text() for text in axes.texts if text.get_text()] == ["1 failed"]


# Forecasts


def test_when_forecasts_are_drawn_then_each_row_shows_its_own_hours():
    tables = {f"{n}": pictures.hours_of_days(forecasts(), n, 1).reset_index() for n in (1, 4)}
    figure = pictures.forecast_rows(tables, unit="kWh/h", xlabel="hour")
    hours = np.arange(24)
    for axes, n in zip(figure.axes, (1, 4), strict=True):
        assert (axes.get_title(), axes.get_ylabel()) == (f"{n}", "kWh/h")
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        assert (lines["median"] == np.column_stack([hours, 100 * n + hours + 2])).all()
        assert (lines["actual"] == np.column_stack([hours, 100 * n + hours + 3])).all()
        corners = axes.collections[0].get_paths()[0].vertices
        band = {(hour, 100 * n + hour + offset) for hour in hours for offset in (1, 4)}
        assert {tuple(point) for point in corners} == band


def test_when_scores_per_hour_ahead_are_drawn_then_coverage_is_beside_its_target():
    left, right = pictures.by_hour_figure(forecasts(), unit="kWh/h").axes
    assert left.get_ylabel() == "MAE in kWh/h"
    assert left.lines[0].get_xydata().tolist() == [[hour, 1] for hour in range(1, 25)]
    assert right.lines[0].get_xydata().tolist() == [[hour, 100] for hour in range(1, 25)]
    assert list(right.lines[1].get_ydata()) == [80, 80]
    assert right.get_ylim() == (0, 100)


# Data


def test_when_data_is_drawn_then_each_split_shows_its_days_and_no_others(tiny_dataset):
    left, right = data_overview(tiny_dataset).axes
    assert left.get_ylabel() == "water consumption, daily\nmean (m³/h)"
    labels = ["train (1680 h)", "validation (360 h)", "test (360 h)"]
    assert [line.get_label() for line in left.lines] == labels
    assert [len(line.get_xdata()) for line in left.lines] == [70, 15, 15]
    daily = tiny_dataset.target.to_numpy().reshape(-1, 24).mean(axis=1)
    assert np.concatenate([line.get_ydata() for line in left.lines]) == pytest.approx(daily)
    assert [line.get_label() for line in right.lines] == ["workdays", "weekends"]
    without_test = replace(tiny_dataset, frame=tiny_dataset.frame.iloc[:2040])
    assert [line.get_label() for line in data_overview(without_test).axes[0].lines] == labels[:2]


def test_when_hourly_means_are_drawn_then_hours_and_weekends_are_local(tiny_dataset):
    # Denmark is an hour or two ahead of UTC: 22:00 UTC belongs to the next day there.
    local = tiny_dataset.index.tz_convert("Europe/Copenhagen")
    target = np.where(local.day_of_week >= 5, 100.0, 0.0) + local.hour
    frame = tiny_dataset.frame.assign(water_consumption=target)
    workdays, weekends = data_overview(replace(tiny_dataset, frame=frame)).axes[1].lines
    assert list(workdays.get_xdata()) == list(workdays.get_ydata()) == list(range(24))
    assert [y - 100 for y in weekends.get_ydata()] == list(range(24))


def test_when_the_data_is_four_and_a_half_years_long_then_its_dates_fit_without_a_warning(
    tiny_dataset, recwarn
):
    index = pd.date_range("2015-06-16 00:00Z", periods=39_840, freq="h", name="timestamp")
    frame = tiny_dataset.frame.iloc[np.arange(len(index)) % len(tiny_dataset.frame)].set_axis(index)
    data_overview(replace(tiny_dataset, frame=frame)).canvas.draw()
    assert not [warning for warning in recwarn if "Locator" in str(warning.message)]


def test_when_data_is_shown_then_the_banner_says_where_it_comes_from(tiny_dataset):
    source = f"Data: tiny.csv, sha256 {tiny_dataset.sha256[:12]}"
    simulated = (
        "*** SIMULATED DATA *** This run uses the simulated twin of tiny instead of tiny.csv. No "
        "number below says anything about real demand. To use real data, put the CSV into data/ "
        "or set data_dir to its folder."
    )
    for changes, text in (
        ({}, source),
        ({"source": "simulated", "path": "simulated twin of tiny"}, simulated),
        ({"n_filled": 7}, f"{source}; 7 missing hours were filled"),
    ):
        assert banner(replace(tiny_dataset, **changes)) == text


@pytest.mark.parametrize(
    "kind, mark", [("observed", "OBSERVED WEATHER OF THE DAY AHEAD"), ("forecast", "")]
)
def test_when_models_see_weather_that_nobody_has_then_banner_figure_and_record_say_so(
    kind, mark, tiny_dataset
):
    spec = replace(tiny_dataset.spec, day_ahead_weather=DayAheadWeatherSpec(kind, ("temp",)))
    values = np.zeros((2400, 24, 1))
    weather = DayAheadWeather(kind, ("temp",), tiny_dataset.index, values, None, 1.0)
    dataset = replace(tiny_dataset, spec=spec, weather=weather, source=source_with("csv", kind))
    assert banner(dataset).startswith(f"*** {mark} ***" if mark else "Data: tiny.csv")
    assert banner(dataset).endswith(f"; weather of the day ahead: {kind}")
    assert data_overview(dataset).get_supxlabel() == mark
    assert data_provenance(dataset)["day_ahead_weather"]["kind"] == kind


def test_when_data_is_summarised_then_hours_and_origins_of_each_split_are_counted(tiny_dataset):
    table = data_summary(tiny_dataset)
    assert table["from"].tolist() == ["2019-03-01 00:00", "2019-05-10 00:00", "2019-05-25 00:00"]
    assert table["to"].tolist() == ["2019-05-09 23:00", "2019-05-24 23:00", "2019-06-08 23:00"]
    assert table["hours"].tolist() == [1680, 360, 360]
    # training lacks a week of history before its first day
    assert table["daily origins"].tolist() == [63, 15, 15]
    assert table.loc["test", "greatest"] == number(tiny_dataset.target.iloc[2040:].max())


# Texts and tables of the study notebook


def test_when_scores_are_shown_then_baselines_and_choice_are_beside_the_defaults_unless_they_failed(
    study,
):
    table = study_page.score_table(study)
    names = ["naive 24h", "TFT_Q untuned defaults (trial 0)", "TFT_Q chosen (trial 4)"]
    assert list(table.index) == names
    assert table["mae"].tolist() == [0.5, 4, 3]
    assert table["picp"].tolist() == [60, 76, 77]
    shown = study_page.labelled(table, ReadableUnit("L/h", 1000.0))["MAE in L/h"]
    assert shown.tolist() == ["500", "4000", "3000"]
    begin = "Scores of the validation days, on which the choice was made:\n"
    assert study_page.short_scores(study).startswith(begin)
    vars(study)["trials"] = (TrialRecord(0, "failed", {}, cause="no memory"), *TRIALS[1:])
    assert list(study_page.score_table(study).index) == names[::2]


def test_when_a_study_is_tabled_then_front_files_and_provenance_are_listed(study):
    table = study_page.front_table(study)
    assert list(table.index) == [3, 4]
    assert table["chosen by"].tolist() == ["lowest_mae", "calibrated, knee"]
    assert table["picp"].tolist() == [74, 77]
    assert table["lr"].tolist() == [0.04, 0.05]
    saved = study_page.files_table(study)["saved"]
    assert saved["study storage"] == "sqlite:///study.db"
    assert saved["chosen parameters"] == str(study.run.best_params)
    assert len(set(saved)) == len(saved)
    assert study_page.provenance_table(study)["value"].to_dict() == {
        "seed": "42",
        "data.source": "csv",
        "data.unit": "m3/h",
        "data.test_end": MISSING,
        "data.columns": "temp, hour",
    }
