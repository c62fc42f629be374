"""The plain data behind the thesis figures, against numbers computed by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.figures import benchmarks, series, studies, style
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.scoring.uncertainty import drawn_days, holm
from tests.thesis.conftest import TRIALS, made_up_benchmark, made_up_study, of_days, table, trial

# Studies


def test_when_trials_are_drawn_then_all_finished_count_and_the_best_never_rises(evidence):
    # The box is 2..5 by 2..6, area 12. (4, 4) covers 1 x 2; (5, 2) and (2, 6) are on its edges; (3,
    # 3) covers 2 x 3, which holds (4, 4).
    frame = studies.history(evidence)
    assert (
        table(frame, "trial state value best hypervolume seconds front chosen")
        == """\
0 complete 4 4 0.1667 10 False False
1 complete 5 4 0.1667 20 True False
2 stopped nan 4 0.1667 3 False False
3 complete 2 2 0.1667 30 True False
4 complete 3 2 0.5 40 True True"""
    )
    stopped, complete, best = studies.draw_history(frame).axes[0].lines
    assert best.get_xydata()[-2:].tolist() == [[4, 2], [5, 2]]  # the last step is seen
    assert (stopped.get_markerfacecolor(), len(stopped.get_xdata())) == ("none", 1)
    assert complete.get_xydata().tolist() == [[0, 4], [1, 5], [3, 2], [4, 3]]
    checked = replace(TRIALS[2], curve=[{"mae": 1.0, "picp": 80.0}])
    other = made_up_study(trials=[*TRIALS[:2], checked, *TRIALS[3:]])
    frame = studies.history(replace(evidence, studies=(other,)))
    assert frame[["value", "best"]].to_numpy()[2].tolist() == [1, 4]  # not that of a whole training


@pytest.mark.parametrize(
    "excesses, shares",
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
    trials = [replace(one, values=dict.fromkeys(chosen, 1.0 + one.number)) for one in study.trials]
    objectives = [{"name": name, "tolerance": 0} for name in chosen]
    other = made_up_study("NHITS_Q", trials, objectives=objectives)
    for compared in ((other,), (study, other)):
        own = replace(evidence, studies=compared)
        fronts = studies.fronts(own)
        mine = fronts[fronts["model"] == "NHITS_Q"]
        assert mine[chosen].dropna().to_numpy().tolist() == [
            [n] * len(chosen) for n in (1, 2, 4, 5)
        ]
        assert mine.loc[mine["front"], "trial"].tolist() == [0]
        labels = [OBJECTIVES[name].label for name in chosen]
        axes = studies.draw_fronts(fronts).axes[0]  # N-HiTS comes first
        if len(compared) > 1:
            assert axes.get_xlabel().startswith(labels[0])
        assert labels[1] in axes.get_ylabel()
        assert ("is not drawn" in axes.get_ylabel()) == (len(chosen) == 3)
        assert len(axes.patches) == sum("penalty" in name for name in chosen[:2])
        assert labels[0] in studies.draw_history(studies.history(own)).axes[0].get_ylabel()
        explored = studies.draw_explored(studies.explored(own), "NHITS_Q")
        assert explored.get_supylabel().startswith(labels[0])


def test_when_trials_are_drawn_over_their_parameters_then_changes_are_relative_to_the_defaults(
    evidence,
):
    assert (
        table(studies.explored(evidence), "parameter value change chosen")
        == """\
lr 0.01 0 False
lr 0.02 25 False
lr 0.04 -50 False
lr 0.05 -25 True"""
    )


def test_when_panels_share_an_axis_then_no_front_is_cut_off(evidence):
    low = made_up_study("NHITS_Q", [trial(0, 4, 1), trial(1, 3, 2)], best_trial_number=0)
    high = made_up_study("TFT_Q", [trial(0, 4, 30), trial(1, 3, 40)], best_trial_number=0)
    first, second = studies.draw_fronts(studies.fronts(replace(evidence, studies=(low, high)))).axes
    assert second.get_ylim()[1] > 40
    assert first.get_ylim()[0] == 0


def test_when_values_are_small_cubic_metres_then_litres_are_drawn(evidence):
    study = made_up_study("TFT_Q", [trial(0, 0.004, 4), trial(1, 0.003, 6)], best_trial_number=1)
    small = replace(evidence, studies=(study,))
    # percentage points stay
    assert (
        table(studies.history(small), "unit mae picp_penalty best")
        == """\
L/h 4 4 4
L/h 3 6 3"""
    )


def test_when_cost_is_drawn_then_complete_trials_stopped_ones_and_the_proof_are_apart(evidence):
    trials, whole = studies.draw_cost(studies.cost(evidence)).axes
    complete, _, stopped, _ = trials.lines
    assert complete.get_ydata().tolist() == [10, 20, 30, 40]
    assert stopped.get_ydata().tolist() == [3]
    assert complete.get_xdata()[0] > 0 > stopped.get_xdata()[0]
    # Of 180 seconds 100 were those of complete trials and 3 of a stopped one.
    assert [bar.get_height() for bar in whole.patches] == pytest.approx([100 / 60, 3 / 60, 77 / 60])
    assert whole.get_ylabel() == "minutes of training per study"
    assert trials.get_title("left") == "on cpu"
    single = studies.cost(evidence).assign(device="cpu, 1 thread")
    assert studies.draw_cost(single).axes[0].get_title("left") == "on cpu, 1 thread"


def test_when_a_year_is_drawn_then_each_month_has_its_year():
    figure, [[axes]] = style.panels(1, 1, height=2)
    axes.plot(pd.date_range("2019-01-01", "2020-01-01"), range(366))
    style.date_axis(axes, 2, 4)
    figure.draw_without_rendering()
    texts = [label.get_text() for label in axes.get_xticklabels()]
    assert texts == ["Jan\n2019", "Jul\n2019", "Jan\n2020"]
    assert axes.xaxis.get_offset_text().get_text() == ""


# Benchmarks


def test_when_rows_are_picked_then_tuned_ones_and_no_mixture_and_validation_chooses_the_best_family(
    benchmark,
):
    rows = " ".join(row.label for row in benchmark.row_per_model)
    assert rows == "RESIDUAL_LINEAR own LINEAR_Q own NAIVE_24H own NHITS_Q best TFT_Q best"
    (chosen,) = benchmarks.best(benchmark.families)
    assert chosen.label == "TFT_Q best"  # on the test split N-HiTS is better


def test_when_a_week_is_drawn_then_it_is_the_middle_whole_one_and_hours_follow_their_origins(
    benchmark, evidence, monkeypatch
):
    # The test split is 2019-05-25 to 2019-06-08; of June only Monday 3rd has a week, and it is cut
    # off on Saturday.
    test = benchmark.row_per_model[0].test
    assert series.middle_weeks(test) == {}
    monkeypatch.setattr(series, "season_of", lambda months, _: np.full(len(months), 2))
    assert series.middle_weeks(test) == {"summer": 2}
    assert str(test.origins[2]) == "2019-05-26 23:00:00+00:00"
    # Monday 3rd is the second day.
    assert series.middle_weeks(of_days(np.zeros(22), "2019-06-01 23:00")) == {"summer": 1 + 7}
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


def test_when_errors_are_drawn_then_naive_ones_are_left_out_and_their_sign_is_actual_less_median(
    evidence, monkeypatch
):
    assert (
        table(benchmarks.by_hour(evidence).query("ahead in (1, 24)"), "model ahead change picp")
        == """\
NHITS_Q 1 -87.5 100
NHITS_Q 24 -87.5 100
TFT_Q 1 -75 100
TFT_Q 24 -75 100
LINEAR_Q 1 0 0
LINEAR_Q 24 0 0"""
    )
    monkeypatch.setattr(benchmarks, "DRIFT_DAYS", 10)
    drift = benchmarks.drift(evidence)
    assert len(drift) == 15 - 9
    assert table(drift[-1:], "model day error") == "TFT_Q 2019-06-08 00:00:00 0.5"


def test_when_rows_are_compared_with_the_best_baseline_then_intervals_are_of_paired_differences(
    evidence,
):
    frame = benchmarks.baseline_vs_optimised(evidence)
    # All days are alike, so that a difference has no spread.
    assert (
        table(frame, "model params baseline mae change change_low change_high picp")
        == """\
NHITS_Q best LINEAR_Q 0.25 -87.5 -87.5 -87.5 100
MIXTURE own LINEAR_Q 0.4 -80 -80 -80 100
TFT_Q best LINEAR_Q 0.5 -75 -75 -75 100
NHITS_Q default LINEAR_Q 0.75 -62.5 -62.5 -62.5 100
RESIDUAL_LINEAR own LINEAR_Q 1.5 -25 -25 -25 0
LINEAR_Q own LINEAR_Q 2 0 0 0 0"""
    )
    left, right = benchmarks.draw_baseline_vs_optimised(frame).axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[:4] == ["N-HiTS, tuned", "Mixture", "TFT, tuned", "N-HiTS, untuned"]
    assert left.get_xlabel() == "MAE less that of Linear quantile in %"
    assert right.get_xlim()[0] == 0


def test_when_days_differ_alike_in_both_forecasts_then_the_paired_interval_is_narrow():
    """Both miss by 1 or 2, theirs by 0.1 more on every day."""
    days = np.where(np.arange(40) % 3, 1.0, 2.0)
    ours, theirs, naive, none = map(of_days, (days, days + 0.1, 0 * days + 4, 0 * days))
    *ends, certain = benchmarks.change(ours, theirs, "mae", naive).values()
    assert (ends, certain) == (pytest.approx([-100 * 0.1 / 4] * 3), True)
    change, low, high, _ = benchmarks.change(ours, none, "mae", naive).values()
    assert change == pytest.approx(100 * days.mean() / 4)
    losses = days[drawn_days(40)].mean(axis=1)
    assert (low, high) == pytest.approx(25 * np.quantile(losses, [0.025, 0.975]))


def test_when_skill_is_split_then_steps_add_up_from_the_naive_forecast_to_the_calibrated_mixture(
    evidence, tiny_dataset
):
    """An error e within half a width of 1 costs 2 in the interval score, else 2 + 10 (e - 1)."""
    frame = benchmarks.skill_split(evidence)
    assert (
        table(frame[frame["score"] == "mae"], "label share change change_low change_high")
        == """\
Naive 24 h 100 0 0 0
Linear baseline 50 -50 -50 -50
TFT 16.67 -33.33 -33.33 -33.33
Mixture 13.33 -3.333 -3.333 -3.333
Calibration 13.33 0 0 0"""
    )
    winkler = frame[frame["score"] == "winkler"]
    shares = 100 * np.array([22, 7, 2, 2]) / 22
    assert winkler["share"].to_numpy()[:4] == pytest.approx(shares)
    assert winkler["share"].iloc[4] < shares[3]  # a narrower interval that covers as much
    assert winkler["change"].to_numpy() == pytest.approx(np.diff(winkler["share"], prepend=100))
    left, right = benchmarks.draw_skill_split(frame).axes
    assert left.texts[0].get_text() == "\u221250.0 [\u221250.0, \u221250.0]"
    assert [text.get_fontweight() for text in left.texts] == ["bold"] * 3 + ["normal"]
    assert right.get_xlabel() == "interval score in % of Naive 24 h"
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in left.patches]
    assert np.ravel(ends) == pytest.approx(
        [100, 50, 50, 16.667, 16.667, 13.333, 13.333, 13.333], 1e-4
    )
    alone = made_up_benchmark(tiny_dataset, "NAIVE_24H own 3 3 1\nTFT_Q best 1 1 1")
    steps = benchmarks.skill_split(replace(evidence, benchmarks=(alone,)))["label"]
    assert list(steps.unique()) == ["Naive 24 h", "TFT", "Calibration"]


def test_when_two_models_are_compared_then_below_zero_means_that_the_row_is_better(evidence):
    frame = benchmarks.significance(evidence).set_index(["row", "column"])
    assert len(frame) == 4 * 3  # no naive forecast
    # An error e within half a width of 1 costs 0.1 (1 + e) + 0.5 e + 0.1 (1 - e) = 0.2 + 0.5 e.
    ratio = (0.2 + 0.5 * 0.25) / (0.2 + 0.5 * 0.5)
    there = frame.loc[("NHITS_Q", "TFT_Q")]
    back = frame.loc[("TFT_Q", "NHITS_Q")]
    assert there["difference"] == pytest.approx(100 * (ratio - 1))
    assert back["difference"] == pytest.approx(100 * (1 / ratio - 1))
    assert there["p_holm"] == back["p_holm"]
    texts = benchmarks.draw_significance(frame.reset_index()).axes[0].texts
    assert [(text.get_text(), text.get_fontweight()) for text in texts[:2]] == [
        ("\u221228", "bold"),
        ("\u221278", "bold"),
    ]


def test_when_p_values_are_corrected_then_the_steps_are_those_of_holm():
    # Sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1, never falling: 0.04, 0.06, 0.06, 0.2.
    corrected = holm(pd.Series([0.03, 0.01, 0.2, 0.02])).sort_index()
    assert corrected.tolist() == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm(pd.Series([0.9, 0.8])).tolist() == pytest.approx([1.0, 1.0])


def test_when_intervals_are_too_narrow_then_figures_and_tables_show_what_calibration_makes_of_them(
    tiny_dataset, evidence
):
    narrow = made_up_benchmark(tiny_dataset, "NHITS_Q best 1 1 0.5")
    own = replace(evidence, benchmarks=(narrow,))
    assert narrow.shown["picp"].max() == 0
    assert narrow.shown["picp_calibrated"].mean() > 50
    assert benchmarks.coverage(own)["picp"].mean() > 50
    reliability = benchmarks.reliability(own)
    assert reliability["observed"].tolist() == [0, 0, 0]
    assert reliability["observed_calibrated"].tolist()[:2] == [0, 0]
    assert reliability["observed_calibrated"].tolist()[2] > 0.5
    assert replace(narrow, correction="none").shown["picp_calibrated"].tolist() == [0]


def test_when_coverage_is_drawn_then_of_families_raw_hollow_and_calibrated_filled(evidence):
    frame = benchmarks.coverage(evidence)
    assert set(frame["model"]) == {"NHITS_Q", "TFT_Q"}
    assert frame["picp"].to_numpy() == pytest.approx(100.0)
    reliability = benchmarks.reliability(evidence)
    assert set(reliability["model"]) == {"NHITS_Q", "TFT_Q", "LINEAR_Q"}  # and the best baseline
    axes = benchmarks.draw_reliability(reliability).axes[0]
    own = reliability[reliability["model"] == "NHITS_Q"]
    drawn = {str(one.get_mfc()): one.get_ydata() for one in axes.lines if one.get_marker() == "o"}
    for colour, column in (("white", "observed"), ("#0072B2", "observed_calibrated")):
        assert list(drawn[colour]) == pytest.approx(list(100 * (own[column] - own["level"])))
    alone = replace(evidence, benchmarks=())
    assert all(data(alone).empty for data, _ in benchmarks.PICTURES.values())
