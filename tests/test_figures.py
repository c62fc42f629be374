"""What figures and tables hold, compared as plain data: positions, labels and marks, never pixels."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import DayAheadWeather, source_with
from hpo_lib.data.spec import DayAheadWeatherSpec
from hpo_lib.families.models import registered
from hpo_lib.figures import forecasts as forecast_figures
from hpo_lib.figures import studies, study_tables, style
from hpo_lib.figures.data import banner, data_overview, data_summary
from hpo_lib.figures.style import MISSING, number
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import data_provenance
from hpo_lib.records.result import study_result
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.objectives import FORMER_PAIR, OBJECTIVES, Objective

MARK = "SIMULATED DATA"
PAIR = (OBJECTIVES["mae"], OBJECTIVES["picp_penalty"])


def trial(number: int, mae: float, picp: float) -> TrialRecord:
    scores = {"mae": mae, "picp": picp, **dict.fromkeys(("rmse", "mape", "wape", "mase"), 1.0)}
    scores |= {"mean_width": 2.0, "winkler": 3.0, "pinball": 4.0}
    return TrialRecord(number, "complete", {"lr": number / 100}, mae, abs(picp - 80), scores)


TRIALS = [
    trial(0, 0.5, 60),
    TrialRecord(1, "failed", {"lr": 0.01}, cause="RuntimeError: no memory"),
    trial(2, 0.1, 50),
    trial(3, 0.2, 76),
    trial(4, 0.3, 82),
]


def forecasts() -> QuantileForecasts:
    lowest = 100.0 * np.arange(6)[:, None] + np.arange(1.0, 25)
    origins = pd.date_range("2019-01-01 23:00", periods=6, freq="D", tz="UTC")
    return QuantileForecasts(lowest[:, :, None] + np.array([0.0, 1.0, 3.0]), lowest + 2, origins)


def front_figure(
    source: str = "csv",
    model: str = "TFT_Q",
    objectives: Sequence[Objective] = PAIR,
    trials: Any = TRIALS,
) -> Figure:
    provenance = {"data": {"unit": "kWh/h", "source": source}}
    stated = [{"name": o.name, "tolerance": o.tolerance} for o in objectives]
    result = {"best_trial_number": 3, "provenance": provenance, "objectives": stated}
    study = StoredStudy(RunPaths(Path(), model, "heat", "4711"), result, Path())
    vars(study)["trials"] = trials  # what it would read from its storage
    return studies.front_figure(study)


def days_figure(source: str = "csv") -> Figure:
    return forecast_figures.forecast_days(
        forecasts(), [1, 4], unit="kWh/h", source=source, title="TFT on heat"
    )


@pytest.mark.parametrize("name", ["data", "days"])
def test_when_a_figure_is_drawn_then_its_unit_and_mark_are_on_it_and_it_is_closed_but_can_be_saved(
    name, tiny_dataset
):
    def data_figure(source: str) -> Figure:
        return data_overview(dataclasses.replace(tiny_dataset, source=source))

    draw = data_figure if name == "data" else days_figure
    simulated, real = draw("simulated"), draw("csv")
    assert [text.get_text() for text in simulated.texts].count(MARK) == 1
    assert MARK not in [text.get_text() for text in real.texts]
    labels = [axis.get_label_text() for axes in real.axes for axis in (axes.xaxis, axes.yaxis)]
    unit = "water consumption, daily\nmean (m3/h)" if name == "data" else "kWh/h"
    assert any(label.endswith(unit) for label in labels)
    assert plt.get_fignums() == []
    file = io.BytesIO()
    simulated.savefig(file, format="pdf")
    assert file.getvalue().startswith(b"%PDF")


# The Pareto front


def test_when_the_front_is_drawn_then_its_line_complete_trials_defaults_and_choice_are_where_they_belong() -> (
    None
):
    (axes,) = front_figure().axes
    assert {line.get_label(): line.get_xydata().tolist() for line in axes.lines} == {
        "trial": [[0.5, 20], [0.1, 30], [0.2, 4], [0.3, 2]],
        "Pareto front": [[0.1, 30], [0.2, 4]],  # 4 and 2 points are equally good
        "untuned defaults": [[0.5, 20]],
        "chosen": [[0.2, 4]],
    }
    front = axes.lines[1]
    assert (front.get_drawstyle(), front.get_color()) == ("steps-post", style.model_colour("TFT_Q"))
    assert (axes.get_xlabel(), axes.get_ylim()[0]) == ("MAE in kWh/h", 0)
    assert (axes.get_ylabel(), axes.texts[0].get_text()) == ("|PICP \u2212 80| in pp", "")
    (band,) = axes.patches  # where coverage is equally good
    assert (band.get_y(), band.get_height()) == (0, 5)


def test_when_a_study_has_other_objectives_then_the_front_has_their_axes_and_names_what_it_leaves_out() -> (
    None
):
    three = [OBJECTIVES[name] for name in ("winkler", "mae", "pinball")]
    values = {0: (3.0, 0.5, 2.0), 2: (1.0, 0.4, 3.0), 3: (2.0, 0.3, 1.0), 4: (4.0, 0.6, 4.0)}
    trials = [
        dataclasses.replace(
            t, values=dict(zip(("winkler", "mae", "pinball"), values[t.number], strict=True))
        )
        for t in TRIALS
        if t.number in values
    ]
    (axes,) = front_figure(objectives=three, trials=trials).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Winkler score in kWh/h", "MAE in kWh/h")
    assert axes.texts[0].get_text() == "(pinball loss is not drawn)"
    assert axes.lines[1].get_xydata().tolist() == [[1, 0.4], [2, 0.3]]
    assert axes.lines[1].get_linestyle() == "None"
    assert len(axes.patches) == 0
    (axes,) = front_figure(objectives=(PAIR[1], PAIR[0])).axes
    (band,) = axes.patches
    assert (band.get_x(), band.get_width()) == (0, 5)


def test_when_models_are_drawn_then_no_two_share_a_colour_and_a_new_one_has_another() -> None:
    colours = {style.model_colour(model) for model in registered()}
    assert len(colours) == len(registered())
    assert front_figure(model="NEW_Q").axes[0].lines[1].get_color() not in colours


# Forecasts


def test_when_days_are_drawn_then_each_row_shows_its_own_origin() -> None:
    figure = days_figure()
    assert [axes.get_title() for axes in figure.axes] == [
        "origin Wednesday 2019-01-02 23:00 UTC",
        "origin Saturday 2019-01-05 23:00 UTC",
    ]
    ahead = np.arange(1, 25)
    for axes, n in zip(figure.axes, (1, 4), strict=True):
        drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
        assert (drawn["median"] == np.column_stack([ahead, 100 * n + ahead + 1])).all()
        assert (drawn["actual"] == np.column_stack([ahead, 100 * n + ahead + 2])).all()
        corners = axes.collections[0].get_paths()[0].vertices
        band = {(hour, 100 * n + hour + offset) for hour in ahead for offset in (0, 3)}
        assert {tuple(point) for point in corners} == band


def test_when_scores_per_hour_ahead_are_drawn_then_coverage_is_on_its_full_scale_beside_its_target() -> (
    None
):
    left, right = forecast_figures.by_hour_figure(forecasts(), unit="kWh/h").axes
    assert left.get_ylabel() == "MAE in kWh/h"
    assert left.lines[0].get_xydata().tolist() == [[hour, 1] for hour in range(1, 25)]
    assert right.lines[0].get_xydata().tolist() == [[hour, 100] for hour in range(1, 25)]
    assert list(right.lines[1].get_ydata()) == [80, 80]
    assert right.get_ylim() == (0, 100)


@given(st.integers(1, 500), st.integers(1, 12))
def test_when_origins_are_spread_then_they_are_distinct_in_range_and_evenly_apart(
    n: int, count: int
) -> None:
    chosen = forecast_figures.spread_origins(n, count)
    assert len(chosen) == min(n, count)
    assert 0 <= min(chosen) <= max(chosen) < n
    steps = np.diff(chosen)
    assert (steps > 0).all()
    assert steps.size == 0 or steps.max() - steps.min() <= 1


# Data


def test_when_data_is_drawn_then_each_split_shows_its_days_and_no_others(
    tiny_dataset: Dataset,
) -> None:
    left, right = data_overview(tiny_dataset).axes
    labels = ["train (1680 h)", "validation (360 h)", "test (360 h)"]
    assert [line.get_label() for line in left.lines] == labels
    assert [len(line.get_xdata()) for line in left.lines] == [70, 15, 15]
    daily = tiny_dataset.target.to_numpy().reshape(-1, 24).mean(axis=1)
    assert np.concatenate([line.get_ydata() for line in left.lines]) == pytest.approx(daily)
    assert [line.get_label() for line in right.lines] == ["workdays", "weekends"]
    without_test = dataclasses.replace(tiny_dataset, frame=tiny_dataset.frame.iloc[:2040])
    assert [line.get_label() for line in data_overview(without_test).axes[0].lines] == labels[:2]


def test_when_hourly_means_are_drawn_then_hours_and_weekends_are_local(
    tiny_dataset: Dataset,
) -> None:
    # Denmark is an hour or two ahead of UTC: what happens at 22:00 UTC belongs to the next day
    # there.
    local = tiny_dataset.index.tz_convert("Europe/Copenhagen")
    target = np.where(local.day_of_week >= 5, 100.0, 0.0) + local.hour
    dataset = dataclasses.replace(
        tiny_dataset, frame=tiny_dataset.frame.assign(water_consumption=target)
    )
    workdays, weekends = data_overview(dataset).axes[1].lines
    assert list(workdays.get_xdata()) == list(workdays.get_ydata()) == list(range(24))
    assert [y - 100 for y in weekends.get_ydata()] == list(range(24))


def test_when_the_data_is_four_and_a_half_years_long_then_its_dates_fit_without_a_warning(
    tiny_dataset, recwarn
):
    index = pd.date_range("2015-06-16", periods=39_840, freq="h", tz="UTC", name="timestamp")
    frame = tiny_dataset.frame.iloc[np.arange(len(index)) % len(tiny_dataset.frame)].set_axis(index)
    data_overview(dataclasses.replace(tiny_dataset, frame=frame)).canvas.draw()
    assert [str(warning.message) for warning in recwarn if "Locator" in str(warning.message)] == []


# Texts and tables of the study notebook


@pytest.fixture
def run(tmp_path: Path) -> StoredStudy:
    paths = RunPaths(tmp_path, "TFT_Q", "tiny", "4711")
    result = study_result(
        paths,
        storage_path="sqlite:///study.db",
        status="complete",
        trials_asked=5,
        policy="calibrated",
        objectives=FORMER_PAIR,
        trials=TRIALS,
        optimization_date="2026-01-16",
        baselines={"naive_24h": dict(TRIALS[0].scores)},
        provenance={"seed": 42, "data": {"source": "csv"}},
    )
    study = StoredStudy(paths, result, paths.best_params)
    vars(study)["trials"] = TRIALS  # what it would read from its storage
    return study


def test_when_data_is_simulated_then_the_banner_says_so_first_and_else_it_names_the_file(
    tiny_dataset,
) -> None:
    twin = dataclasses.replace(tiny_dataset, source="simulated", path="simulated twin of tiny")
    assert banner(twin) == (
        "*** SIMULATED DATA *** This run uses the simulated twin of tiny instead of tiny.csv. No "
        "number below says "
        "anything about real demand. To use real data, put the CSV into data/ or set data_dir to "
        "its folder."
    )
    assert banner(tiny_dataset) == f"Data: tiny.csv, sha256 {tiny_dataset.sha256[:12]}"
    filled = dataclasses.replace(tiny_dataset, n_filled=7)
    assert banner(filled).endswith("; 7 missing hours were filled")


def test_when_models_see_weather_that_nobody_has_then_banner_figure_and_record_say_so(
    tiny_dataset,
) -> None:
    for kind, mark in (("observed", "OBSERVED WEATHER OF THE DAY AHEAD"), ("forecast", "")):
        spec = dataclasses.replace(
            tiny_dataset.spec, day_ahead_weather=DayAheadWeatherSpec(kind, ("temp",))
        )
        weather = DayAheadWeather(
            kind, ("temp",), tiny_dataset.index, np.zeros((2400, 24, 1)), None, 1.0
        )
        seen = dataclasses.replace(
            tiny_dataset, spec=spec, weather=weather, source=source_with("csv", kind)
        )
        assert banner(seen).startswith(f"*** {mark} ***" if mark else "Data: tiny.csv")
        assert banner(seen).endswith(f"; weather of the day ahead: {kind}")
        figure = style.finished(plt.figure(), seen.source)
        assert figure.get_supxlabel() == mark
        assert data_provenance(seen)["day_ahead_weather"]["kind"] == kind


def test_when_other_splits_than_planned_were_taken_then_banner_and_provenance_say_which(
    tiny_dataset,
) -> None:
    other = dataclasses.replace(tiny_dataset, split_note="Taken instead are 70 %.")
    assert banner(other).endswith("\n*** NOT THE PLANNED SPLITS *** Taken instead are 70 %.")
    assert data_provenance(other)["split_note"] == "Taken instead are 70 %."
    assert "split_note" not in data_provenance(tiny_dataset)


def test_when_data_is_summarised_then_hours_and_origins_of_each_split_are_counted(
    tiny_dataset: Dataset,
) -> None:
    table = data_summary(tiny_dataset)
    assert table["from"].tolist() == ["2019-03-01 00:00", "2019-05-10 00:00", "2019-05-25 00:00"]
    assert table["to"].tolist() == ["2019-05-09 23:00", "2019-05-24 23:00", "2019-06-08 23:00"]
    assert table["hours"].tolist() == [1680, 360, 360]
    assert table["daily origins"].tolist() == [
        63,
        15,
        15,
    ]  # training lacks a week of history before its first day
    assert table.loc["test", "greatest"] == number(tiny_dataset.target.iloc[2040:].max())


def test_when_scores_are_shown_then_baselines_and_choice_are_beside_the_defaults_unless_these_failed(
    run,
) -> None:
    table = study_tables.score_table(run)
    assert list(table.index) == [
        "naive 24h",
        "TFT_Q untuned defaults (trial 0)",
        "TFT_Q chosen (trial 3)",
    ]
    assert table["mae"].tolist() == [0.5, 0.5, 0.2]
    shown = study_tables.labelled(table, "m3/h")
    assert shown["MAE in m³/h"].tolist() == ["0.500", "0.500", "0.200"]
    assert table["picp"].tolist() == [60, 60, 76]
    assert study_tables.short_scores(run).startswith(
        "Scores of the validation days, on which the choice was made:\n"
    )
    vars(run)["trials"] = [TrialRecord(0, "failed", {}, cause="x"), *TRIALS[1:]]
    assert list(study_tables.score_table(run).index) == ["naive 24h", "TFT_Q chosen (trial 3)"]


def test_when_a_study_is_tabled_then_its_front_with_policies_its_files_and_its_provenance_are_listed(
    run,
) -> None:
    table = study_tables.front_table(run)
    assert list(table.index) == [2, 3, 4]
    assert table["chosen by"].tolist() == ["lowest_mae", "calibrated, knee", ""]
    assert table["picp"].tolist() == [50, 76, 82]
    assert table["lr"].tolist() == [0.02, 0.03, 0.04]
    saved = study_tables.files_table(run)["saved"]
    assert saved["study storage"] == "sqlite:///study.db"
    assert saved["chosen parameters"] == str(run.run.best_params)
    assert len(set(saved)) == len(saved)
    assert study_tables.provenance_table(run)["value"].to_dict() == {
        "seed": "42",
        "data.source": "csv",
    }
    run.provenance["data"] |= {"test_end": None, "columns": ["temp", "hour"]}
    shown = study_tables.provenance_table(run)["value"]
    assert (shown["data.test_end"], shown["data.columns"]) == (MISSING, "temp, hour")
