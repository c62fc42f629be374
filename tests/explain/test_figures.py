"""Figures and the table of explanations follow from the stored arrays alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from hpo_lib.explain.shapley import shapley_values

from hpo_lib.explain.explanation import Explanation, losses, stored_explanations
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
        "days": [f"2020-01-{day:02d} 23:00 UTC" for day in range(1, 15)],
        "donors": [7, 8, *[8] * 12],
    }
    return Explanation(facts, values, 0.02 + 0.01 * draws.random((14, 24)))


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
    seeds = {row: [one.facts["seed"] for one in some] for row, some in explanations.items()}
    assert list(seeds.items()) == [
        (("TFT_Q", "best"), [42, 43]),
        (("RESIDUAL_LINEAR", "own"), [42]),
        (("RESIDUAL_LINEAR", "refitted"), [0]),
    ]


def test_when_losses_are_drawn_then_the_mean_is_that_of_all_seeds_and_each_has_its_own_row(
    explanations,
):
    data = figures.taken_off(explanations)
    rows = data.query("model == 'TFT_Q' and group == 'calendar'").set_index("seed")
    assert list(rows.index) == ["42", "43", "mean"]
    worth = shapley_values(losses(explanations["TFT_Q", "best"][:1]))
    assert rows.loc["42", "mae"] == pytest.approx(-worth[2])
    assert rows.loc["mean", "mae"] == pytest.approx(rows.loc[["42", "43"], "mae"].mean())
    assert (rows["mae_low"] <= rows["mae"]).all()
    assert (rows["mae"] <= rows["mae_high"]).all()


def test_when_a_day_is_drawn_then_its_steps_lead_from_the_linear_baseline_to_the_forecast():
    daily = np.random.default_rng(1).random(8)
    added = figures.steps(daily, PLAYERS, 0.4)
    assert list(added.index) == ["average day", "model", *PLAYERS]
    assert added.iloc[0] == 0.4
    assert added.sum() == pytest.approx(daily[-1])


@pytest.mark.parametrize("name", figures.PICTURES)
def test_when_a_figure_is_drawn_then_it_says_days_donors_and_unit(name, paths):
    axes = figures.figure(name, paths).axes
    texts = " ".join(f"{a.get_title()} {a.get_xlabel()} {a.get_ylabel()}" for a in axes)
    assert "L/h" in texts
    assert name == "explanation_hours" or "Tiny: 14 days, 7 to 8 donors" in texts


def test_when_groups_are_deleted_then_curves_lead_from_the_loss_with_all_to_that_with_none(
    paths, explanations
):
    (axes,) = figures.figure("explanation_deletion", paths).axes
    lines = axes.get_lines()[-2:]
    loss = 1000 * losses(explanations["RESIDUAL_LINEAR", "refitted"])
    for line in lines:
        assert line.get_ydata()[[0, -1]].tolist() == pytest.approx([loss[-1], loss[0]])


def test_when_the_table_is_made_then_it_has_a_row_per_model_with_intervals(paths, explanations):
    evidence = SimpleNamespace(explanations=[SimpleNamespace(paths=paths)])
    table = explanation_table(evidence)
    ((title, columns),) = table.sections
    assert title == "Tiny: 14 days, 7 to 8 donors (L/h)"
    names, *groups = (list(cells) for _, cells in columns)
    assert names == ["TFT", "Linear baseline", "Linear baseline, refitted"]
    assert [name for name, _ in columns] == ["Model", *PLAYERS]
    assert all("[" in cell for cells in groups for cell in cells)
    value = -1000 * shapley_values(losses(explanations["TFT_Q", "best"]))[0]
    assert float(groups[0][0].split(" [")[0].replace("\u2212", "-")) == pytest.approx(
        value, abs=0.01
    )
