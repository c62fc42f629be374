"""Figures and the table of explanations follow from the stored arrays alone."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from hpo_lib.benchmark.explanations import Explanation, Explanations, shapley_values
from hpo_lib.figures import explanations as figures
from hpo_lib.figures import style
from hpo_lib.figures.build import PICTURES
from hpo_lib.figures.tables import CAPTIONS, explanation_table
from hpo_lib.paths import BenchmarkPaths

PLAYERS = ["level", "last day", "calendar"]


def made(seed):
    draws = np.random.default_rng(seed)
    values = np.sort(0.02 + 0.01 * draws.random((8, 14, 24, 3)), axis=3)
    days = [f"2020-01-{day:02d} 23:00 UTC" for day in range(1, 15)]
    facts = {"title": "Tiny:\n14 days, 7 to 8 donors", "players": PLAYERS, "days": days}
    return Explanation(facts, values, 0.02 + 0.01 * draws.random((14, 24)))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    paths = BenchmarkPaths(tmp_path_factory.mktemp("out"), "tiny", "laptop-standard")
    for training in (
        ("REFITTED_LINEAR", "own", 0),
        ("RESIDUAL_LINEAR", "own", 42),
        ("TFT_Q", "best", 43),
        ("TFT_Q", "best", 42),
    ):
        made(training[2]).store(paths.explanation(*training))
    return SimpleNamespace(explanations=[SimpleNamespace(paths=paths, unit=("L/h", 1000.0))])


@pytest.fixture(scope="module")
def explained(evidence):
    (one,) = figures.explained(evidence)
    return one


def drawn(name, evidence):
    picture = PICTURES[name]
    with style.thesis_style():
        return picture.draw(picture.data(evidence))


def test_when_losses_are_drawn_then_the_mean_is_that_of_all_seeds_and_each_has_its_own_row(
    explained,
):
    data = figures.losses(explained)
    rows = data.query("model == 'TFT_Q' and group == 'calendar'").set_index("seed")
    assert sorted(rows.index) == ["42", "43", "mean"]
    worth = shapley_values(Explanations({("TFT_Q", "best", "42"): made(42)}).losses().popitem()[1])
    assert rows.loc["42", "value"] == pytest.approx(1000 * worth[2], rel=1e-3)
    assert rows.loc["mean", "value"] == pytest.approx(rows.loc[["42", "43"], "value"].mean())
    assert (rows["low"] <= rows["value"]).all()
    assert (rows["value"] <= rows["high"]).all()


def test_when_a_day_is_drawn_then_its_steps_lead_from_the_linear_baseline_to_the_forecast(
    evidence, explained
):
    (axes,) = drawn("explanation_day", evidence).axes
    bars = axes.patches
    assert [label.get_text() for label in axes.get_yticklabels()] == ["model", *PLAYERS]
    medians = explained.games("median")
    daily = medians[explained.best].mean(axis=2)
    day = np.abs(daily[-1] - daily[0]).argmax()
    average = medians["RESIDUAL_LINEAR", "own", "mean"][0, day].mean()
    assert bars[0].get_x() == pytest.approx(average)
    assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(daily[-1, day])
    for before, after in pairwise(bars):
        assert before.get_x() + before.get_width() == pytest.approx(after.get_x())


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("expla")])
def test_when_a_figure_is_drawn_then_it_says_days_donors_and_unit(name, evidence):
    axes = drawn(name, evidence).axes
    texts = " ".join(f"{a.get_title()} {a.get_xlabel()} {a.get_ylabel()}" for a in axes)
    assert "L/h" in texts
    days = "after 2020-01-09 23:00 UTC" if name == "explanation_day" else "14 days"
    assert f"Tiny:\n{days}, 7 to 8 donors" in texts
    assert "donor days of training" in CAPTIONS[name]


def test_when_groups_are_deleted_then_curves_lead_from_the_loss_with_all_to_that_with_none(
    evidence, explained
):
    (axes,) = drawn("explanation_deletion", evidence).axes
    loss = explained.losses()["TFT_Q", "best", "mean"]
    for line in axes.get_lines()[-2:]:
        assert line.get_ydata()[[0, -1]].tolist() == pytest.approx([loss[-1], loss[0]])


def test_when_the_table_is_made_then_it_has_a_row_per_model_with_intervals(evidence, explained):
    ((title, columns),) = explanation_table(evidence).sections
    assert title == "Tiny:\n14 days, 7 to 8 donors (L/h)"
    names, *groups = (list(cells) for _, cells in columns)
    assert names == ["TFT", "Linear baseline", "Linear baseline, refitted"]
    assert [name for name, _ in columns] == ["Model", *PLAYERS]
    assert all("(" in cell for cells in groups for cell in cells)
    value = shapley_values(explained.losses()["TFT_Q", "best", "mean"])[0]
    assert float(groups[0][0].split(" (")[0].replace("\u2212", "-")) == pytest.approx(
        value, abs=0.01
    )
