"""What the benchmark's table claims: ratios, spread, bars, and rows that failed."""

import json

import pandas as pd
import pytest

from hpo_lib.records.trial import TrialRecord
from measurements import run
from measurements.early_stopping import hypervolume
from measurements.gpu import time_to_hypervolume, trace
from measurements.growth import PARTS, grown
from measurements.table import Bar, Measured, row
from measurements.throughput import overhead


@pytest.mark.parametrize("higher_is_better", [False, True], ids=["durations", "rates"])
def test_when_runs_are_compared_then_the_ratio_is_the_median_of_the_pairs(higher_is_better):
    """Pairs 10/1, 20/4, 60/10: medians of each side would give 20/4 = 5."""
    sides = [(10.0, 20.0, 60.0), (1.0, 4.0, 10.0)]
    sides = sides[::-1] if higher_is_better else sides
    for bar, met in ((6, True), (6.5, False)):
        found = row("work", Measured(*sides, "s", higher_is_better=higher_is_better), Bar(bar))
        assert (found["ratio"], found["spread"], found["met"]) == (6.0, [5.0, 10.0], met)
        assert [found["reference"], found["ours"]] == [sorted(side)[1] for side in sides]
    with pytest.raises(ValueError, match="zip"):
        row("work", Measured((1.0, 2.0), (1.0,), "s"), Bar(1))


def test_when_a_cost_has_a_bar_then_it_must_stay_below_and_its_condition_must_hold():
    bar = Bar(0.4, at_least=False)
    assert str(bar) == "<= 0.4"
    for steps, condition, met in (
        ((0.3, 0.5, 0.4), True, True),
        ((0.41,), True, False),
        ((0.3,), False, False),
    ):
        assert row("work", Measured((), steps, "of steps", condition=condition), bar)["met"] is met


def test_when_a_row_raises_then_it_is_shown_and_stored_as_failed_and_the_others_go_on(
    tmp_path, monkeypatch, capsys
):
    def broken(context):
        raise RuntimeError("no such luck")

    names = [r.name for r in run.ROWS]
    assert len(names) == len(set(names))
    fine = run.Row("fine", "fine work", Bar(2), lambda context: Measured((6.0,), (2.0,), "s"))
    monkeypatch.setattr(run, "ROWS", (run.Row("broken", "broken work", Bar(2), broken), fine))
    out = tmp_path / "results/latest.json"
    assert run.main(["--out", str(out)]) == 1
    shown = capsys.readouterr().out
    assert "broken work" in shown
    assert "failed: RuntimeError: no such luck (bar >= 2)" in shown
    content = json.loads(out.read_bytes())
    failed, measured = content["rows"]
    assert (failed["error"], failed["met"]) == ("RuntimeError: no such luck", False)
    assert (measured["name"], measured["ratio"]) == ("fine", 3.0)
    assert content["machine"]["threads"] == 1
    assert content["data"]["source"] == "simulated"
    assert run.main(["--out", str(out), "--only", "fine"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [r.name for r in run.ROWS if r.name != "growth_covariates"])
def test_when_the_benchmark_runs_at_tiny_sizes_then_no_row_fails_and_networks_are_evaluated(
    name, tmp_path
):
    """Both rows of growth are measured at once."""
    names = ("growth_windows", "growth_covariates") if name == "growth_windows" else (name,)
    out = tmp_path / "latest.json"
    words = ["--quick", "--repeats", "1", "--out", str(out), "--only", *names]
    assert run.main(words) == 0, out.read_text(encoding="utf-8")
    for found in json.loads(out.read_bytes())["rows"]:
        assert found["ratio"] > 0
        assert "evaluation" not in name or found["details"]["network_passes"] > 0


def test_when_costs_grow_then_the_family_that_grows_most_counts_for_all():
    trials = {
        "A": {1: [1.0, 2.0, 1.0], 3: [9.0] * 3, 10: [4.0, 6.0, 5.0]},
        "B": {1: [1.0, 1.0, 1.0], 3: [9.0] * 3, 10: [2.0, 2.0, 3.0]},
    }
    rows = [
        ("windows", family, size, repeat, part, seconds[repeat] if part == "trial" else 1.0)
        for family, by_size in trials.items()
        for size, seconds in by_size.items()
        for repeat in range(3)
        for part in PARTS
    ]
    table = pd.DataFrame(rows, columns=["axis", "family", "size", "repeat", "part", "seconds"])
    measured = grown(table, "windows")
    assert measured.ours == (4.0, 3.0, 5.0)
    assert measured.note.startswith("A trial 4.00, step 1.00, evaluation 1.00; B trial 2.00")


def test_when_points_dominate_then_the_hypervolume_is_the_area_of_their_union():
    assert hypervolume([]) == 0.0
    assert hypervolume([(0.5, 0.5)]) == 0.25
    # 0.5 x 0.5 and 0.2 x 0.9 overlap in 0.2 x 0.5; (0.6, 0.6) is dominated, (1.2, 0) is outside.
    assert hypervolume([(0.8, 0.1), (0.5, 0.5), (0.6, 0.6), (1.2, 0.0)]) == pytest.approx(
        0.25 + 0.18 - 0.1
    )


def test_when_a_study_is_traced_then_failures_cost_time_and_give_no_hypervolume():
    trials = [
        TrialRecord(0, "complete", {}, mae=1.0, picp_penalty=10.0, seconds=5.0),
        TrialRecord(1, "failed", {}, seconds=2.0),
        TrialRecord(2, "complete", {}, mae=0.5, picp_penalty=0.0, seconds=4.0),
    ]
    found = trace(trials, naive_mae=2.0)
    assert [point["hypervolume"] for point in found] == [0.25, 0.25, 0.75]
    assert [point["seconds"] for point in found] == [5.0, 7.0, 11.0]
    assert time_to_hypervolume(found) == 11.0
    assert time_to_hypervolume(found, share=0.3) == 5.0


def test_when_the_overhead_is_measured_then_a_study_takes_the_stand_in_for_a_forecaster(
    tiny_dataset,
):
    found = overhead(tiny_dataset, 3)
    assert len(found.ours) == 2
    assert "journal: first 20 trials" in found.note
