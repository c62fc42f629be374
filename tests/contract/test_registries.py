"""What every metric and objective promises, and what the registry of families promises.

Families themselves are under contract in test_families.py. Nothing here imports darts or torch.
"""

import inspect
import math
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from hpo_lib.families import models
from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import Budget, described, family_names, get_family, registered
from hpo_lib.families.search_space import RECIPE_SPACE, Choice, FloatRange, IntRange
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import METRICS
from hpo_lib.scoring.objectives import OBJECTIVES
from tests.conftest import refusal
from tests.study.processes import python

ORIGINS = pd.date_range("2019-01-01 23:00Z", periods=30)


def random_forecasts(seed):
    rng = np.random.default_rng(seed)
    centre = rng.lognormal(size=(30, 24))
    values = centre[:, :, None] * np.sort(rng.uniform(0.3, 2.5, size=(30, 24, 3)), axis=2)
    return QuantileForecasts(values, centre, ORIGINS)


# Metrics and objectives


@pytest.mark.parametrize("name, metric", METRICS.items())
def test_when_a_metric_is_added_then_it_keeps_what_all_of_them_promise(name, metric):
    assert inspect.getdoc(metric.function), "it is documented"
    assert getattr(metrics, name) in (metric.function, metric)
    for column in (name, f"val_{name}", f"{name}_low", f"seed_{name}_sd"):
        assert metrics.in_target_unit(column) == (metric.unit == "target")
    f = random_forecasts(1)
    order = np.random.default_rng(2).permutation(30)
    before = (f.values.copy(), f.actual.copy())
    score = metric(f)
    assert type(score) is float
    assert (f.values == before[0]).all(), "nothing changes"
    assert (f.actual == before[1]).all()
    shuffled = QuantileForecasts(f.values[order], f.actual[order], f.origins[order])
    assert metric(shuffled) == pytest.approx(score)
    if metric.of_hours:
        days = metric.mean(f, "hours")
        hours_ahead = metric.mean(f, "days")
        assert (len(days), len(hours_ahead)) == (30, 24)
        assert days.mean() == pytest.approx(score)
        assert hours_ahead.mean() == pytest.approx(score)
    scores = [metric(random_forecasts(seed)) for seed in range(20)]
    assert np.isfinite(scores).all()
    perfect = metric(QuantileForecasts(np.stack([f.actual] * 3, axis=2), f.actual, f.origins))
    if metric.best == "nominal":
        assert perfect == 100 > max(scores)
    else:
        assert perfect == 0 < min(scores)


@pytest.mark.parametrize("name, objective", OBJECTIVES.items())
def test_when_an_objective_is_added_then_it_is_finite_and_has_a_label(name, objective):
    assert objective.name == name
    assert objective.label.strip()
    # `evaluate` needs the dataset for the last two.
    scores = metrics.score(random_forecasts(0), 0.7)
    scores |= {"winkler_calibrated": 1.5, "picp_calibrated": 79.0}
    assert math.isfinite(objective.value(scores))


# Families


class Fake(DartsFamily):
    name = "FAKE_Q"
    title = "Fake"
    search_space: ClassVar = {
        "depth": IntRange(1, 4),
        "width": Choice((256, 512)),
        "lr": FloatRange(1e-5, 1e-2, True),
    }
    defaults: ClassVar = {"depth": 2, "width": 256, "lr": 1e-3}
    budgets: ClassVar = {"test": Budget(1, 1, 1)}

    def darts_model(self, *_):
        raise NotImplementedError


@pytest.mark.parametrize("name", family_names())
def test_when_a_family_has_a_file_then_the_file_declares_that_name_and_registers_it(name):
    assert type(get_family(name)).__module__ == f"hpo_lib.families.{name.lower()}"


def test_when_models_are_only_described_then_none_of_their_libraries_is_imported(root):
    heavy = {"torch", "darts", "neuralforecast", "lightgbm", "sklearn"}
    models = "from hpo_lib.families.models import registered; registered()"
    script = f"import sys; {models}; print({heavy} & set(sys.modules))"
    assert python(root, "-c", script).stdout == "set()\n"


def test_when_models_are_listed_then_in_the_order_of_legends_and_no_two_look_alike():
    assert " ".join(registered()) == (
        "NHITS_Q TFT_Q TIMESNET_Q LIGHTGBM_Q LIGHTGBM_LINEAR_Q LINEAR_Q RESIDUAL_LINEAR CHRONOS2 "
        "NAIVE_24H NAIVE_168H MIXTURE REFITTED_LINEAR"
    )
    for look in ("title", "colour", "marker"):
        assert len({getattr(model, look) for model in registered().values()}) == len(registered())


def test_when_a_record_names_an_unknown_model_then_it_is_drawn_under_its_own_name():
    model = described("NEW_Q")
    assert (model.name, model.title, model.kind) == ("NEW_Q", "NEW_Q", "")
    assert model.colour not in {known.colour for known in registered().values()}


@pytest.mark.parametrize(
    "name, hint",
    {
        "tft_q": "did you mean TFT_Q? ",
        "TFT": "did you mean TFT_Q? ",
        "NHITS": "did you mean NHITS_Q? ",
        "TIMES_NET_Q": "did you mean TIMESNET_Q? ",
        "LSTM": "",
        "../base": "",
    }.items(),
)
def test_when_a_family_is_unknown_then_the_sentence_names_the_nearest_and_all(name, hint):
    with refusal(
        f"model is {name!r}, which is not a model family; {hint}allowed: "
        f"{', '.join(family_names())}"
    ):
        get_family(name)


def test_when_two_models_have_one_name_then_the_second_is_refused(monkeypatch):
    monkeypatch.setattr(models, "_MODELS", {})
    models.register(Fake())
    with pytest.raises(ValueError, match=r"^two models are named FAKE_Q$"):
        models.register(Fake())


GOOD = dict(Fake.defaults)
LINEAR = {"linear_part": True, "linear_penalty": 0.01, "linear_weeks": 2}
ALLOWED = f"depth, width, lr, {', '.join(RECIPE_SPACE)}"
WRONG_PARAMS = [
    (
        {**GOOD, "dept": 2},
        f"FAKE_Q has no hyperparameter 'dept'; did you mean depth? allowed: {ALLOWED}",
    ),
    (
        {**GOOD, "level": 2},
        f"FAKE_Q has no hyperparameter 'level'; did you mean level_hours? allowed: {ALLOWED}",
    ),
    ({**GOOD, "level_hours": 25}, "level_hours is 25, expected one of 0, 24, 168"),
    ({**GOOD, "calendar": 1}, "calendar is 1, expected one of True, False"),
    (
        {**GOOD, **LINEAR, "linear_weeks": 5},
        "linear_weeks is 5, expected a whole number from 1 to 4",
    ),
    *(
        (
            {**GOOD, **LINEAR, **off},
            "linear_penalty goes only with linear_part True and linear_trees False; "
            "remove it or fix those",
        )
        for off in ({"linear_part": False}, {"linear_part": None}, {"linear_trees": True})
    ),
    (
        {**GOOD, "linear_weeks": 2},
        "linear_weeks goes only with linear_part True and linear_trees False; "
        "remove it or fix those",
    ),
    (
        {"depth": 2, "width": 256},
        "hyperparameter 'lr' of FAKE_Q is missing; add it (a number from 1e-05 to 0.01)",
    ),
    *(
        ({**GOOD, "depth": bad}, f"depth is {bad!r}, expected a whole number from 1 to 4")
        for bad in (0, 5, 2.0, 2.5, True, "2", None)
    ),
    *(
        ({**GOOD, "width": bad}, f"width is {bad!r}, expected one of 256, 512")
        for bad in (300, True, "256", None)
    ),
    *(
        ({**GOOD, "lr": bad}, f"lr is {bad!r}, expected a number from 1e-05 to 0.01")
        for bad in (0.01001, 0.99e-5, "fast", math.nan, True, None)
    ),
]


@pytest.mark.parametrize("params, sentence", WRONG_PARAMS, ids=lambda value: str(value)[:40])
def test_when_hyperparameters_are_wrong_then_the_sentence_says_which_and_what_is_allowed(
    params, sentence
):
    with refusal(f"best.json: {sentence}"):
        Fake().check_params(params, "best.json")


@pytest.mark.parametrize(
    "params",
    [
        *({"depth": d, "width": 512, "lr": lr} for d in (1, 4) for lr in (1e-5, 1e-2)),
        {**GOOD, **LINEAR},
        {**GOOD, "linear_part": False},
        {**GOOD, "steps_factor": 0.5},
        {**GOOD, "level_hours": 0, "near_hours": 12, "season_years": 0},
    ],
)
def test_when_hyperparameters_are_on_the_bounds_or_fields_of_the_recipe_then_they_are_accepted(
    params,
):
    Fake().check_params(params)
