"""What the table of the search's worth claims: changes with their bounds, and what is compared with
what.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.benchmark.train import Plan
from hpo_lib.records.trainings import Training, training_key
from hpo_lib.settings import Settings
from measurements import search_purpose, search_value
from measurements.search_value import changes, markdown, percent_change, rows_of, series_rows
from tests.conftest import made_forecasts

TWIN = Path(__file__).resolve().parents[2] / "measurements/centrum_twin.toml"


@pytest.fixture
def plan(tiny_dataset, tmp_path):
    """A series with stored trainings, errors of which are a multiple of the same noise: see
    `MULTIPLES`.
    """
    plan = Plan(
        dataset=tiny_dataset,
        settings=Settings.create("NHITS_Q", "tiny", preset="test", runs_dir=tmp_path / "studies"),
        models=("NHITS_Q",),
        params="both",
        seeds=1,
        refit=True,
        out=tmp_path / "benchmark",
    )
    for model, params, validation, test in MULTIPLES:
        store(plan, model, params, validation, test)
    return plan


MULTIPLES = [
    ("NHITS_Q", "default", 0.95, 0.95),
    ("NHITS_Q", "best", 0.9, 0.92),
    ("LINEAR_Q", "own", 1.0, 0.5),  # strong on test only: validation decides
    ("RESIDUAL_LINEAR", "own", 0.9, 1.0),
]
"""Model and parameters with the errors in validation and test."""


def store(plan, model, params, validation, test):
    dataset, forecasts = plan.dataset, []
    random = np.random.default_rng(3)
    for origins, multiple in (
        (dataset.validation_origins, validation),
        (dataset.test_origins, test),
    ):
        actual = np.stack([dataset.target.to_numpy()[o + 1 : o + 25] for o in origins])
        median = actual + multiple * random.standard_normal(actual.shape)
        start = dataset.index[origins[0]].tz_localize(None)
        forecasts.append(made_forecasts(actual, 1.3 * multiple, median, start))
    record = {"model": model, "params": params, "seed": 42, "seconds": 1.0}
    record["key"] = training_key(dataset, refit=True)
    Training(record, *forecasts).store(plan.paths)


def test_when_losses_differ_by_chance_then_the_interval_holds_zero_and_shrinks_with_more_days():
    losses = np.random.default_rng(0).uniform(1, 3, 50)
    assert percent_change(0.9 * losses, losses) == pytest.approx((-10, -10, -10)), "day by day"
    random = np.random.default_rng(0)
    mean, low, high = percent_change(random.uniform(1, 3, 100), random.uniform(1, 3, 100))
    assert low < 0 < high
    assert low < mean < high
    _, narrow, wide = percent_change(random.uniform(1, 3, 1000), random.uniform(1, 3, 1000))
    assert wide - narrow < 0.6 * (high - low)


def test_when_the_strongest_baseline_is_named_then_validation_names_it_and_test_gives_the_numbers(
    plan,
):
    of_series = rows_of(plan)
    pair = of_series["NHITS_Q", "best"], of_series["NHITS_Q", "default"]
    tuned = changes("tuned", *pair, plan.dataset)
    assert tuned["tuned_mae"] == pytest.approx(100 * (0.92 / 0.95 - 1), abs=0.1)
    assert tuned["tuned_winkler"] == pytest.approx(100 * (0.92 / 0.95 - 1), abs=1)
    assert tuned["tuned_mae_low"] <= tuned["tuned_mae"] <= tuned["tuned_mae_high"]
    rows = pd.DataFrame(series_rows(plan)).set_index("row")
    assert rows.index[rows["chosen"]].tolist() == ["RESIDUAL_LINEAR own"]
    assert rows.index[rows["best_in_hindsight"]].tolist() == ["LINEAR_Q own"]
    assert rows.loc["NHITS_Q best", "row_mae"] == pytest.approx(-8, abs=0.1)
    assert rows.loc["RESIDUAL_LINEAR own", "row_mae"] == 0
    lines = [*markdown(pd.DataFrame(), rows.reset_index())]
    assert sum("| MIXTURE own | " in line for line in lines) == 1
    assert any("| RESIDUAL_LINEAR own (c) | " in line for line in lines)
    assert any("| NHITS_Q best | " in line and "| -8.0 [" in line for line in lines)
    for file in plan.paths.runs.glob("NHITS_Q-*"):
        file.unlink()
    left = [row["row"] for row in series_rows(plan)]
    assert left == ["LINEAR_Q own", "RESIDUAL_LINEAR own", "MIXTURE own"]


def test_when_trials_are_given_by_family_or_for_all_then_each_model_gets_its_number():
    trials_of = search_value.trials_of
    assert [
        trials_of(model, ["NHITS_Q=20", "TFT_Q=8"]) for model in ("NHITS_Q", "TFT_Q", "TIMESNET_Q")
    ] == [20, 8, 30]
    assert trials_of("TFT_Q", ["12"]) == 12
    assert [trials_of(model, ["12", "TFT_Q=8"]) for model in ("NHITS_Q", "TFT_Q")] == [12, 8]


@pytest.mark.slow
def test_when_the_command_runs_again_then_nothing_is_trained_and_the_table_is_the_same(
    tmp_path, capsys
):
    sizes = "--models NHITS_Q --trials 2 --seeds 1 --preset test"
    words = f"--datasets {TWIN} {sizes} --out {tmp_path}".split()
    search_value.main(words)
    table = (tmp_path / "search_value.md").read_text(encoding="utf-8")
    (row,) = pd.read_csv(tmp_path / "search_value_families.csv").to_dict("records")
    assert (row["family"], row["trials"]) == ("NHITS_Q", 2)
    assert row["trainings"] > 1
    capsys.readouterr()
    search_value.main(words)
    assert "validation MAE" not in capsys.readouterr().out
    search_value.main([*words, "--table-only"])
    assert (tmp_path / "search_value.md").read_text(encoding="utf-8") == table


def test_when_a_search_starts_from_plain_defaults_then_the_first_trial_near_todays_is_named(
    tmp_path, monkeypatch, capsys
):
    """Percent of today's defaults: of MAE 10, and of the interval score 100."""

    def scores(arguments, name, trials, *, recipe, space):
        mae = [10] if recipe == "standard" else {"plan": [20, 15, 30], "wide": [20, 10.3, 9]}[space]
        return [{"mae": np.full(5, one), "winkler": np.full(5, 100.0)} for one in mae]

    monkeypatch.setattr(search_purpose, "scores", scores)
    search_purpose.main(["bikes.toml", "--out", str(tmp_path)])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows == [
        "| bikes | plan | +50.0 | +25.0 | over 3 |",
        "| bikes | wide | +50.0 | -5.0 | 3 |",
    ]
    assert (tmp_path / "search_purpose.png").exists()
