"""The plain data behind the thesis figures, against numbers computed by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.benchmark.tables import Benchmark
from hpo_lib.figures import benchmarks, series, studies
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.scoring.uncertainty import holm
from tests.thesis.conftest import made_up_study, row, trial


def marked(frame, column):
    return frame.loc[frame[column], "trial"].tolist()


# Studies


def test_when_the_history_is_drawn_then_the_best_never_rises_and_hypervolume_is_a_share(
    evidence,
):
    frame = studies.history(evidence)
    assert frame["order"].tolist() == [1, 2, 3, 4]
    assert frame["value"].tolist() == [4, 5, 2, 3]
    assert frame["best"].tolist() == [4, 4, 2, 2]
    # The box is 2..5 by 2..6, area 12. (4, 4) covers 1 x 2; (5, 2) and (2, 6) are on its edges; (3,
    # 3) covers 2 x 3, which holds (4, 4).
    assert frame["hypervolume"].tolist() == pytest.approx([2 / 12, 2 / 12, 2 / 12, 6 / 12])


@pytest.mark.parametrize(
    ("excesses", "shares"),
    [
        ([], []),
        ([(1, 2), (1, 2)], [1, 1]),  # all alike: nothing is left to gain
        ([(4, 0), (3, 0), (2, 0)], [0, 0.5, 1]),  # coverage within its tolerance does not count
        # The box is 2..4 by 0..4, and (3, 0) covers half of it.
        ([(2, 4), (4, 0), (3, 0)], [0, 0, 0.5]),
        # Of 64: (2, 2, 2) dominates 8; (1, 3, 1) 3 x 1 x 3 = 9, of which 2 x 1 x 2 = 4 are shared;
        # (3, 1, 3) 1 x 3 x 1 = 3, of which 1 x 2 x 1 = 2 are shared with the first.
        (
            [(4, 4, 4), (0, 4, 4), (4, 0, 4), (4, 4, 0), (2, 2, 2), (1, 3, 1), (3, 1, 3)],
            [0, 0, 0, 0, 8 / 64, 13 / 64, 14 / 64],
        ),
    ],
)
def test_when_trials_dominate_more_of_the_box_then_the_hypervolume_is_that_share(excesses, shares):
    assert studies.hypervolumes(np.array(excesses)) == pytest.approx(shares)


@pytest.mark.parametrize(
    "names", ["winkler,mae", "mae,winkler,picp_penalty", "picp_penalty,pinball"]
)
def test_when_a_study_has_other_objectives_then_its_figures_and_data_follow_them(names, evidence):
    (study,), chosen = evidence.studies, names.split(",")
    other = made_up_study(
        "NHITS_Q",
        [
            dataclasses.replace(t, values=dict.fromkeys(chosen, 1.0 + t.number))
            for t in study.trials
        ],
        objectives=[{"name": name, "tolerance": 0} for name in chosen],
    )
    for compared in ((other,), (study, other)):
        own = dataclasses.replace(evidence, studies=compared)
        fronts = studies.fronts(own)
        assert fronts[fronts["model"] == "NHITS_Q"][chosen].dropna().to_numpy().tolist() == [
            [n] * len(chosen) for n in (1, 2, 4, 5)
        ]
        assert marked(fronts[fronts["model"] == "NHITS_Q"], "front") == [0]
        labels = [OBJECTIVES[name].label for name in chosen]
        axes = studies.draw_fronts(fronts).axes[0]  # N-HiTS comes first
        if len(compared) > 1:
            assert axes.get_xlabel().startswith(labels[0])
        assert labels[1] in axes.get_ylabel()
        assert ("is not drawn" in axes.get_ylabel()) == (len(chosen) == 3)
        assert len(axes.patches) == sum("penalty" in name for name in chosen[:2])
        history = studies.draw_history(studies.history(own))
        assert labels[0] in history.axes[0].get_ylabel()
        explored = studies.draw_explored(studies.explored(own), "NHITS_Q")
        assert explored.get_supylabel().startswith(labels[0])


def test_when_trials_are_drawn_over_their_parameters_then_changes_are_relative_to_the_defaults(
    evidence,
):
    frame = studies.explored(evidence)
    assert frame[["parameter", "value"]].to_numpy().tolist() == [
        ["lr", 0.01 * (n + 1)] for n in (0, 1, 3, 4)
    ]
    assert frame["change"].tolist() == [0, 25, -50, -25]
    assert frame["chosen"].tolist() == [False, False, False, True]


def test_when_panels_share_an_axis_then_no_front_is_cut_off(evidence):
    low = made_up_study("NHITS_Q", [trial(0, 4, 1), trial(1, 3, 2)], best_trial_number=0)
    high = made_up_study("TFT_Q", [trial(0, 4, 30), trial(1, 3, 40)], best_trial_number=0)
    fronts = studies.fronts(dataclasses.replace(evidence, studies=(low, high)))
    first, second = studies.draw_fronts(fronts).axes
    assert second.get_ylim()[1] > 40
    assert first.get_ylim()[0] == 0


def test_when_values_are_small_cubic_metres_then_litres_are_drawn(evidence):
    study = made_up_study("TFT_Q", [trial(0, 0.004, 4), trial(1, 0.003, 6)], best_trial_number=1)
    small = dataclasses.replace(evidence, studies=(study,))
    fronts = studies.fronts(small)
    assert set(fronts["unit"]) == {"L/h"}
    assert fronts["mae"].tolist() == pytest.approx([4, 3])
    assert fronts["picp_penalty"].tolist() == [4, 6]  # percentage points stay
    assert studies.history(small)["best"].tolist() == pytest.approx([4, 3])


def test_when_cost_is_drawn_then_all_finished_trials_count_in_minutes_on_their_hardware(
    evidence,
):
    frame = studies.cost(evidence)
    assert frame["seconds"].tolist() == [10, 20, 3, 30, 40]
    assert frame["state"].tolist() == ["complete", "complete", "stopped", "complete", "complete"]
    assert set(frame["hours"]) == {0.5}
    trials, whole = studies.draw_cost(frame).axes
    assert whole.get_ylabel() == "minutes of training per study"
    assert whole.patches[0].get_height() == 30
    assert trials.get_title("left") == "on cpu"


# Benchmarks


def test_when_rows_are_picked_then_tuned_ones_and_no_mixture_and_validation_chooses_the_best_family(
    benchmark,
):
    rows = {row.model: row.params for row in benchmark.row_per_model}
    assert rows == {"NAIVE_24H": "own", "LINEAR_Q": "own", "NHITS_Q": "best", "TFT_Q": "best"}
    chosen = min(benchmark.families, key=benchmarks.validation_loss)
    assert (chosen.model, chosen.params) == ("TFT_Q", "best")  # on the test split N-HiTS is better


def test_when_a_week_is_drawn_then_it_is_the_middle_whole_one_and_hours_follow_their_origins(
    benchmark, evidence, monkeypatch
):
    # The test split is 2019-05-25 to 2019-06-08; of June only Monday 3rd has a week, and it is cut
    # off on Saturday.
    test = benchmark.row_per_model[0].test
    assert series.middle_week(test, "summer") is None
    monkeypatch.setattr(series, "season_of", lambda months, _: np.full(len(months), 2))
    assert series.middle_week(test, "summer") == 2
    assert str(test.origins[2]) == "2019-05-26 23:00:00+00:00"
    origins = pd.date_range("2019-06-01 23:00", periods=22, tz="UTC")  # Monday 3rd is the third day
    three = QuantileForecasts(np.zeros((22, 24, 3)), np.zeros((22, 24)), origins)
    assert series.middle_week(three, "summer") == 1 + 7
    frame = benchmarks.weeks(evidence)
    hours = pd.date_range("2019-05-27 02:00", periods=7 * 24, freq="h")  # local time
    assert frame["hour"].tolist() == hours.tolist()
    assert (frame["actual"] - frame["median"]).to_numpy() == pytest.approx(0.5)
    assert (frame["upper"] - frame["lower"]).to_numpy() == pytest.approx(2.0)
    # Rolling calibration narrows an interval that covers everything down to the error, which is all
    # on one side.
    above = frame["upper_calibrated"] - frame["median"]
    assert above.to_numpy()[-24:] == pytest.approx(0.5, abs=0.1)
    monkeypatch.setattr(series, "season_of", lambda months, _: np.full(len(months), 3))
    assert set(benchmarks.weeks(evidence)["season"]) == {"autumn"}  # one that is there
    # Demand is never negative, another target can be.
    below = frame.assign(lower=-5.0)
    assert benchmarks.draw_weeks(below).axes[0].get_ylim()[0] == 0
    assert benchmarks.draw_weeks(below.assign(actual=-1.0)).axes[0].get_ylim()[0] < -5


def test_when_scores_per_hour_are_drawn_then_naive_forecasts_are_left_out(
    evidence,
):
    frame = benchmarks.by_hour(evidence)
    assert set(frame["model"]) == {"LINEAR_Q", "NHITS_Q", "TFT_Q"}
    own = frame[frame["model"] == "NHITS_Q"]
    assert own["ahead"].tolist() == list(range(1, 25))
    assert own["change"].to_numpy() == pytest.approx(-100 * (2 - 0.25) / 2)
    assert own["picp"].to_numpy() == pytest.approx(100.0)


def test_when_errors_are_drawn_then_their_sign_is_actual_less_median(evidence, monkeypatch):
    monkeypatch.setattr(benchmarks, "DRIFT_DAYS", 10)
    drift = benchmarks.drift(evidence).query("model == 'TFT_Q'")
    assert len(drift) == 15 - 9
    assert drift["error"].to_numpy() == pytest.approx(0.5)
    assert drift["day"].iloc[-1] == pd.Timestamp("2019-06-08")


def test_when_untuned_and_tuned_are_drawn_then_each_has_its_score_within_its_interval(
    evidence,
):
    frame = benchmarks.baseline_vs_optimised(evidence).set_index(["model", "params"])
    assert frame.loc[("NHITS_Q", "default"), "mae"] == pytest.approx(0.75)
    assert frame.loc[("NHITS_Q", "best"), "mae"] == pytest.approx(0.25)
    assert frame["mae"].is_monotonic_increasing
    figure = benchmarks.draw_baseline_vs_optimised(frame.reset_index())
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [
        "N-HiTS, tuned",
        "Mixture",
        "TFT, tuned",
        "N-HiTS, untuned",
        "Linear quantile",
        "Naive 24 h",
    ]
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "3.00 \u2192"
    ]  # beyond the other models
    assert (frame["mae_low"] <= frame["mae"] + 1e-12).all()
    assert (frame["mae"] <= frame["mae_high"] + 1e-12).all()


def test_when_two_models_are_compared_then_below_zero_means_that_the_row_is_better(
    evidence,
):
    frame = benchmarks.significance(evidence).set_index(["row", "column"])
    assert len(frame) == 3 * 2  # no naive forecast
    # An error e within half a width of 1 costs 0.1 (1 + e) + 0.5 e + 0.1 (1 - e) = 0.2 + 0.5 e.
    ratio = (0.2 + 0.5 * 0.25) / (0.2 + 0.5 * 0.5)
    assert frame.loc[("NHITS_Q", "TFT_Q"), "difference"] == pytest.approx(100 * (ratio - 1))
    assert frame.loc[("TFT_Q", "NHITS_Q"), "difference"] == pytest.approx(100 * (1 / ratio - 1))
    assert frame.loc[("NHITS_Q", "TFT_Q"), "p_holm"] == frame.loc[("TFT_Q", "NHITS_Q"), "p_holm"]


def test_when_p_values_are_corrected_then_the_steps_are_those_of_holm():
    # Sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1, never falling: 0.04, 0.06, 0.06, 0.2.
    assert holm(np.array([0.03, 0.01, 0.2, 0.02])) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


def test_when_intervals_are_too_narrow_then_figures_and_tables_show_what_calibration_makes_of_them(
    tiny_dataset, evidence
):
    rows = [row(tiny_dataset, "NHITS_Q", "best", 1.0, 1.0, half_width=0.5)]
    narrow = Benchmark(
        BenchmarkPaths(Path("out"), "tiny", "laptop-standard"),
        tiny_dataset.spec,
        tiny_dataset.scales,
        rows,
    )
    assert narrow.shown["picp"].max() == 0
    assert narrow.shown["picp_calibrated"].mean() > 50
    assert (
        benchmarks.coverage(dataclasses.replace(evidence, benchmarks=(narrow,)))["picp"].mean() > 50
    )
    reliability = benchmarks.reliability(dataclasses.replace(evidence, benchmarks=(narrow,)))
    assert reliability["observed"].tolist() == [0, 0, 0]
    assert reliability["observed_calibrated"].tolist()[:2] == [0, 0]
    assert reliability["observed_calibrated"].tolist()[2] > 0.5
    raw = dataclasses.replace(narrow, correction="none")
    assert raw.shown["picp_calibrated"].tolist() == [0]


def test_when_coverage_is_drawn_then_of_families_raw_hollow_and_calibrated_filled(
    evidence,
):
    frame = benchmarks.coverage(evidence)
    assert set(frame["model"]) == {"NHITS_Q", "TFT_Q"}
    assert frame["picp"].to_numpy() == pytest.approx(100.0)
    reliability = benchmarks.reliability(evidence)
    assert set(reliability["model"]) == {"NHITS_Q", "TFT_Q", "LINEAR_Q"}  # and the best baseline
    axes = benchmarks.draw_reliability(reliability).axes[0]
    own = reliability[reliability["model"] == "NHITS_Q"]
    filled = {
        str(line.get_markerfacecolor()): line.get_ydata()
        for line in axes.lines
        if line.get_marker() == "o"
    }
    assert list(filled["white"]) == pytest.approx(list(100 * (own["observed"] - own["level"])))
    assert list(filled["#0072B2"]) == pytest.approx(
        list(100 * (own["observed_calibrated"] - own["level"]))
    )
    alone = dataclasses.replace(evidence, benchmarks=())
    assert all(data(alone).empty for data, *_ in benchmarks.PICTURES.values())
