"""Figures and the table of explanations follow from the stored arrays alone."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.explain.explanation import Explanation, stored_explanations
from hpo_lib.figures import explanations as figures
from hpo_lib.figures.tables import explanation_table
from hpo_lib.paths import BenchmarkPaths

PLAYERS = ["level", "last day", "calendar"]


def made(model, params, seed):
    draws = np.random.default_rng(seed)
    values = np.sort(0.02 + 0.01 * draws.random((8, 14, 24, 3)), axis=3)
    facts = {
        "model": model,
        "params": params,
        "seed": seed,
        "players": PLAYERS,
        "dataset": "tiny",
        "title": "Tiny",
        "unit": "m3/h",
        "source": "csv",
        "donors": [7, 8, *[8] * 12],
    }
    origins = pd.date_range("2020-01-01 23:00", periods=14, freq="D", tz="UTC")
    return Explanation(facts, origins, values, 0.02 + 0.01 * draws.random((14, 24)))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    paths = BenchmarkPaths(tmp_path_factory.mktemp("out"), "tiny", "laptop-standard")
    for training in (
        ("RESIDUAL_LINEAR", "refitted", 0),
        ("RESIDUAL_LINEAR", "own", 42),
        ("TFT_Q", "best", 43),
        ("TFT_Q", "best", 42),
    ):
        made(*training).store(paths.explanation(*training))
    return paths


@pytest.fixture(scope="module")
def explanations(paths):
    return stored_explanations(paths)


def test_when_explanations_are_read_then_families_are_first_and_the_refitted_baseline_last(
    explanations,
):
    assert [one.training for one in explanations] == [
        ("TFT_Q", "best", 42),
        ("TFT_Q", "best", 43),
        ("RESIDUAL_LINEAR", "own", 42),
        ("RESIDUAL_LINEAR", "refitted", 0),
    ]


def test_when_losses_are_drawn_then_the_mean_is_that_of_all_seeds_and_each_has_its_own_row(
    explanations,
):
    data = figures.losses(explanations)
    rows = data.query("model == 'TFT_Q' and group == 'calendar'").set_index("seed")["mae"]
    assert list(rows.index) == ["mean", "42", "43"]
    assert rows["42"] == pytest.approx(-explanations[0].worth[2])
    assert rows["mean"] == pytest.approx(rows[["42", "43"]].mean())


def test_when_a_day_is_drawn_then_its_steps_lead_from_the_linear_baseline_to_the_forecast(
    explanations,
):
    table = figures.waterfall(explanations)
    best = figures._best(explanations)
    medians = np.mean([one.daily("median") for one in best], axis=0)
    day = np.abs(medians[-1] - medians[0]).argmax()
    assert table["median"].sum() == pytest.approx(medians[-1, day])
    linear = explanations[2].daily("median")[0, day]
    assert table["median"].iloc[0] == pytest.approx(linear)


def test_when_groups_are_deleted_then_curves_lead_from_the_loss_with_all_to_that_with_none(
    explanations,
):
    curve = figures.deletions(explanations).query("params == 'refitted'")
    loss = explanations[3].loss
    for name in ("mae", "mae_of_orders"):
        assert curve[name].iloc[[0, -1]].tolist() == pytest.approx([loss[-1], loss[0]])


@pytest.mark.parametrize("name", figures.PICTURES)
def test_when_a_figure_is_drawn_then_it_says_days_donors_and_unit(name, explanations):
    axes = figures.figure(name, explanations).axes
    texts = " ".join(f"{a.get_title()} {a.get_xlabel()} {a.get_ylabel()}" for a in axes)
    assert "L/h" in texts
    assert name == "hours" or "Tiny: 14 days, 7 to 8 donors" in texts


def test_when_the_table_is_made_then_it_has_a_row_per_model_with_intervals(paths, explanations):
    evidence = SimpleNamespace(explanations=[SimpleNamespace(paths=paths)])
    table = explanation_table(evidence)
    ((title, columns),) = table.sections
    assert title == "Tiny: 14 days, 7 to 8 donors (L/h)"
    names, *groups = (list(cells) for _, cells in columns)
    assert names == ["TFT", "Linear baseline", "Linear baseline, refitted"]
    assert [name for name, _ in columns] == ["Model", *PLAYERS]
    assert all("[" in cell for cells in groups for cell in cells)
    value = 1000 * -np.mean([one.worth[0] for one in explanations[:2]])
    assert float(groups[0][0].split(" [")[0].replace("\u2212", "-")) == pytest.approx(
        value, abs=0.01
    )
