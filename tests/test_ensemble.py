"""The ensemble of a study's trials in a benchmark: chosen from stored forecasts, trained, stored,
and in the table.
"""

import json
from dataclasses import asdict

import numpy as np
import pytest

from hpo_lib.benchmark.tables import load_rows
from hpo_lib.benchmark.train import run_benchmark
from hpo_lib.families.models import RECIPES, get_family
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import data_provenance
from hpo_lib.records.read_write import write_json, write_predictions
from hpo_lib.records.trainings import load_trainings
from hpo_lib.scoring.blend import blend
from hpo_lib.scoring.evaluation import seasonal_naive
from hpo_lib.scoring.forecasts import QuantileForecasts
from tests.conftest import essentials, quick_plan

FAMILY = get_family("NHITS_Q")
SMALL = {"num_stacks": 2, "layer_widths": 256}
PARAMS = {
    number: {**FAMILY.defaults, **SMALL, "lr": lr}
    for number, lr in ((0, 1e-3), (3, 2e-3), (7, 5e-3))
}
RNG = np.random.default_rng(11)


def store_study(dataset, runs_dir, *, without=()):
    """A complete study that chose trial 3: trials 3 and 7 err independently, trial 0 far more."""
    run = RunPaths(runs_dir, FAMILY.name, dataset.spec.name, "job")
    actual = seasonal_naive(dataset, dataset.validation_origins, 24)
    trials = []
    for number, params in PARAMS.items():
        error = (2.0 if number == 0 else 0.5) * RNG.normal(size=actual.actual.shape)
        values = (actual.actual + error)[:, :, None] + np.array([-0.5, 0, 0.5])
        if number not in without:
            forecasts = QuantileForecasts(values, actual.actual, actual.origins)
            write_predictions(run.trial_predictions(number), forecasts)
        scores = {"mae": 1.0, "picp": 81.0, "picp_penalty": 1.0}
        trials.append({"trial": number, "state": "complete", "params": params, **scores})
    recipe = asdict(RECIPES["standard"])
    provenance = {"data": data_provenance(dataset), "preset": "test", "recipe": recipe}
    study = {
        **essentials(PARAMS[3]),
        "model": run.model,
        "dataset": run.dataset,
        "job_id": "job",
        "optimization_date": "2026-01-16",
        "best_trial_number": 3,
        "all_pareto_trials": trials,
        "provenance": json.loads(json.dumps(provenance, default=str)),
    }
    write_json(run.best_params, study)
    return run.best_params


def plan(dataset, folder, **other):
    asked = {"models": ("NHITS_Q",), "params": "ensemble", "seeds": 1, **other}
    return quick_plan(dataset, folder, **asked)


def rows_of_nhits(plan):
    rows = load_rows(plan.paths, plan.dataset)
    return {row.params: row for row in rows if row.model == "NHITS_Q"}


@pytest.mark.parametrize("refit", [False, True])
def test_when_the_ensemble_pays_then_its_members_are_trained_and_averaged(
    refit, tiny_dataset, tmp_path
):
    file, said = store_study(tiny_dataset, tmp_path / "runs"), []
    asked = plan(tiny_dataset, tmp_path, refit=refit)
    (note,) = run_benchmark(asked, say=said.append)
    assert note.startswith(f"{file}: trials ")
    (stored,) = load_trainings(asked.paths, tiny_dataset)["NHITS_Q", "ensemble"]
    weights, members = zip(*stored.record["key"]["members"], strict=True)
    assert sorted(params["lr"] for params in members) == [2e-3, 5e-3]
    assert sum(weights) == pytest.approx(1)
    if not refit:
        budget = FAMILY.budgets["test"]
        fitted = [FAMILY.fit(params, tiny_dataset, budget, seed=42) for params in members]
        tests = [one.forecasts(tiny_dataset, tiny_dataset.test_origins) for one in fitted]
        assert stored.test.values == pytest.approx(blend(tests, weights).values, rel=1e-6)
        validation = blend([one.validation for one in fitted], weights)
        assert stored.validation.values == pytest.approx(validation.values, rel=1e-6)
    row = rows_of_nhits(asked)["ensemble"]
    assert "% pinball loss against trial 3 on held-out days; 2 trainings a seed, " in row.note
    assert row.note.startswith("refitted") == refit
    said.clear()
    run_benchmark(asked, say=said.append)
    assert all(line.endswith(": stored") for line in said if not line.startswith("note"))


def test_when_an_ensemble_does_not_pay_then_it_is_the_training_of_the_chosen_trial(
    tiny_dataset, tmp_path
):
    store_study(tiny_dataset, tmp_path / "runs", without=(7,))
    said = []
    run_benchmark(plan(tiny_dataset, tmp_path, params="best"), say=said.append)
    asked = plan(tiny_dataset, tmp_path)
    (note,) = run_benchmark(asked, say=said.append)
    assert "trial 3 alone: an ensemble of 2 trials does not pay (" in note
    assert said[-1].endswith("NHITS_Q ensemble seed 42: the same training as best")
    rows = rows_of_nhits(asked)
    assert "trial 3 alone" in rows["ensemble"].note
    assert rows["best"].note == ""
    assert (rows["ensemble"].test.values == rows["best"].test.values).all()


@pytest.mark.parametrize(
    ("without", "label", "sentence"),
    [
        ((3,), "ensemble", "no ensemble: the forecasts of the study's chosen trial are not stored"),
        (None, "default", "No usable study of NHITS_Q on tiny was found"),
    ],
)
def test_when_there_is_nothing_to_select_from_then_it_is_said(
    without, label, sentence, tiny_dataset, tmp_path
):
    if without is not None:
        store_study(tiny_dataset, tmp_path / "runs", without=without)
    asked = plan(tiny_dataset, tmp_path)
    (note,) = run_benchmark(asked, say=lambda _: None)
    assert sentence in note
    (stored,) = load_trainings(asked.paths, tiny_dataset)["NHITS_Q", label]
    assert stored.record["key"]["params"]["lr"] == (1e-3 if without is None else 2e-3)
