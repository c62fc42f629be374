"""What is kept of a network's residual."""

from dataclasses import replace

import numpy as np
import pytest

from hpo_lib.families import training
from hpo_lib.families.models import STANDARD, Budget, family_names, get_family
from hpo_lib.families.training import fitted_shares, mixed
from hpo_lib.scoring import metrics
from tests.contract.test_families import UNSHRUNK, smallest, with_small_networks

BUDGET = Budget(steps=2, batch_size=8, checks=1)
LINEAR = np.array([[[8.0, 10.0, 14.0]]])
NETWORK = np.array([[[10.0, 14.0, 15.0]]])


@pytest.mark.parametrize(
    "shares, expected",
    [
        ((0.0, 0.0), [8, 10, 14]),
        ((1.0, 1.0), [10, 14, 15]),
        ((0.5, 0.0), [10, 12, 16]),  # the linear baseline's distances, -2 and +4
        ((0.0, 1.0), [6, 10, 11]),  # the network's, -4 and +1
        ((0.25, 0.5), [8, 11, 13.5]),
    ],
)
def test_when_shares_are_kept_then_median_and_distances_lie_between_both(shares, expected):
    assert mixed(NETWORK, LINEAR, shares).tolist() == [[expected]]


def quantiles(median, low, high):
    return np.stack([median - low, median, median + high], axis=2)


def test_when_the_network_is_right_then_it_is_kept_and_when_it_is_noise_then_it_is_not():
    draw = np.random.default_rng(0)
    actual = 100 + draw.normal(size=(140, 24))
    linear = quantiles(actual + draw.normal(size=actual.shape), 1.28, 1.28)
    good = quantiles(actual + 0.1 * draw.normal(size=actual.shape), 0.13, 0.13)
    bad = linear.copy()
    bad += 3 * draw.normal(size=actual.shape)[:, :, None]
    assert fitted_shares(good, linear, actual)[0] >= 0.95
    assert fitted_shares(bad, linear, actual)[0] <= 0.05


def test_when_a_gain_is_within_the_noise_of_the_days_then_less_is_kept_than_fits_best(monkeypatch):
    """The network says little about the actuals, so the best share is not clearly better than
    smaller ones.
    """
    draw = np.random.default_rng(1)
    actual = 100 + draw.normal(size=(28, 24))
    linear = quantiles(np.full(actual.shape, 100.0), 1.28, 1.28)
    network = quantiles(100 + 0.3 * (actual - 100) + draw.normal(size=actual.shape), 1.28, 1.28)
    kept = fitted_shares(network, linear, actual)
    monkeypatch.setattr(training, "CLEARLY", 0.0)
    assert 0 < kept[0] < fitted_shares(network, linear, actual)[0] < 1
    monkeypatch.setattr(training, "CLEARLY", 1000.0)
    assert fitted_shares(network, linear, actual) == (0.0, 0.0)


@pytest.mark.parametrize("name", family_names())
def test_when_a_network_is_trained_then_the_best_of_all_checks_and_the_linear_baseline_is_kept(
    name, tiny_dataset, monkeypatch
):
    """Whatever shares are fitted; with the shares of its own check."""
    family = with_small_networks(get_family(name))
    checks = []
    wanted = iter([(0.0, 0.0), (0.05, 0.05), (1.0, 1.0)])
    monkeypatch.setattr("hpo_lib.families.training.fitted_shares", lambda *_: next(wanted))
    budget = Budget(steps=3, batch_size=8, checks=3)
    fitted = family.fit(
        smallest(family), tiny_dataset, budget, seed=1, on_check=lambda _, f: checks.append(f)
    )
    alone = fitted.scaling.linear.quantiles(
        tiny_dataset, tiny_dataset.windows(tiny_dataset.validation_origins)
    )
    baseline = replace(fitted.validation, values=alone)
    assert np.array_equal(checks[0].values, alone), "nothing kept is the linear baseline"
    options = {0: baseline, 2: checks[1], 3: checks[2]}
    best = min(options, key=lambda step: metrics.pinball(options[step]))
    assert fitted.best_step == best
    assert fitted.shares == {0: (0.0, 0.0), 2: (0.05, 0.05), 3: (1.0, 1.0)}[best]
    assert np.array_equal(fitted.validation.values, options[best].values)
    again = fitted.forecasts(tiny_dataset, tiny_dataset.validation_origins)
    assert np.array_equal(again.values, fitted.validation.values)
    fitted.best_step = 0
    fitted.shares = (0.0, 0.0)
    refitted = family.fit(smallest(family), tiny_dataset, budget, like=fitted, seed=1)
    assert not hasattr(refitted, "module"), "where nothing is kept a refit trains no network"
    windows = tiny_dataset.windows(tiny_dataset.test_origins)
    linear = refitted.scaling.linear.quantiles(tiny_dataset, windows)
    assert np.array_equal(refitted.predict(windows).values, linear)


def test_when_params_name_fields_of_the_recipe_then_they_replace_them(tiny_dataset):
    family = get_family("NHITS_Q")
    named = {"level_hours": 168, "linear_part": False, "steps_factor": 2.0}
    fitted = family.fit({**smallest(family), **named}, tiny_dataset, BUDGET, seed=1)
    assert (fitted.best_step, fitted.shares) == (4, None)
    recipe = replace(STANDARD, **named)
    assert fitted.recipe == recipe
    same = family.fit(smallest(family), tiny_dataset, BUDGET, seed=1, recipe=recipe)
    assert np.array_equal(same.validation.values, fitted.validation.values)


def test_when_the_target_was_never_negative_then_no_forecast_is(tiny_dataset):
    frame = tiny_dataset.frame.copy()
    frame["water_consumption"] = (
        frame["water_consumption"] - frame["water_consumption"].mean()
    ).clip(lower=0)
    dataset = replace(tiny_dataset, frame=frame)
    family = get_family("NHITS_Q")
    for recipe in (STANDARD, UNSHRUNK):
        fitted = family.fit(smallest(family), dataset, BUDGET, seed=1, recipe=recipe)
        assert fitted.validation.values.min() == 0
    below = replace(dataset, frame=frame.assign(water_consumption=frame["water_consumption"] - 5))
    assert family.fit(smallest(family), below, BUDGET, seed=1).validation.values.min() < -5
