"""What every trained model promises, family or baseline."""

import copy
import dataclasses

import numpy as np
import pytest

from hpo_lib.baselines.contract import Baseline
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.models import get_family, model_names, registered
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS
from tests.contract.conftest import INFORMATION_SET, KNOWN, ORIGIN, disturbed, holding_the_future
from tests.contract.test_families import BUDGET, UNSHRUNK, smallest, train, with_small_networks


@pytest.fixture(scope="module", params=[*model_names("family"), *model_names("baseline")])
def name(request):
    return str(request.param)


@pytest.fixture(scope="module")
def trained(name, tiny_dataset):
    return fit(name, tiny_dataset)


def fit(name, dataset, seed=1):
    """A short training of a small model."""
    model = registered()[name]
    if isinstance(model, Baseline):
        return model.fit(dataset, seed=seed, quick=True)
    return train(with_small_networks(get_family(name)), dataset, seed=seed).forecaster


def refit(name, trained, dataset):
    model = registered()[name]
    if isinstance(model, Baseline):
        return model.fit(dataset, seed=1, quick=True, like=trained)
    family, like = with_small_networks(get_family(name)), copy.copy(trained)
    like.best_step = 2
    refitted = family.fit(smallest(family), dataset, BUDGET, like=like, seed=1, recipe=UNSHRUNK)
    assert refitted.best_step == 2
    return refitted


def forecast(forecaster, frame, *origins):
    """[N, H, Q] of the given origins."""
    return forecaster.predict(holding_the_future(frame, *origins)).values


def changed(dataset, rows):
    """The dataset with other numbers in some rows."""
    return dataclasses.replace(dataset, frame=disturbed(dataset.frame, KNOWN, rows))


def test_when_a_model_predicts_then_shapes_levels_origins_and_actuals_are_those_asked_for(
    trained, tiny_dataset
):
    forecasts = trained.forecasts(tiny_dataset, np.array([ORIGIN, 700]))
    assert forecasts.values.shape == (2, HORIZON, 3)
    assert forecasts.values.dtype == np.float64
    assert np.isfinite(forecasts.values).all()
    assert (np.diff(forecasts.values, axis=2) >= 0).all()
    assert forecasts.levels == QUANTILE_LEVELS == (0.1, 0.5, 0.9)
    assert list(forecasts.origins) == [tiny_dataset.index[ORIGIN], tiny_dataset.index[700]]
    target = tiny_dataset.target.to_numpy()
    assert np.array_equal(forecasts.actual, [target[ORIGIN + 1 : ORIGIN + 25], target[701:725]])


def test_when_a_model_is_trained_then_it_brings_its_forecasts_of_every_validation_origin(
    trained, tiny_dataset
):
    validation = trained.validation
    assert validation.values.shape == (15, HORIZON, 3)
    assert list(validation.origins) == list(tiny_dataset.index[1679:2039:24])
    assert np.array_equal(validation.actual.ravel(), tiny_dataset.target.to_numpy()[1680:2040])
    again = trained.forecasts(tiny_dataset, tiny_dataset.validation_origins)
    assert np.array_equal(again.values, validation.values)


@pytest.mark.parametrize(("columns", "rows", "moves"), INFORMATION_SET)
def test_when_it_forecasts_then_only_history_and_calendar_of_its_day_count(
    columns, rows, moves, trained, tiny_dataset
):
    other = forecast(trained, disturbed(tiny_dataset.frame, columns, rows), ORIGIN)
    assert (other != forecast(trained, tiny_dataset.frame, ORIGIN)).any() == moves


def test_when_other_origins_are_asked_for_then_a_forecast_stays_the_same_to_the_last_bit(
    trained, tiny_dataset
):
    many = forecast(trained, tiny_dataset.frame, 900, ORIGIN, 1500, 333)
    assert np.array_equal(many[1], forecast(trained, tiny_dataset.frame, ORIGIN)[0])


def test_when_seed_and_known_days_are_the_same_then_so_is_the_model_and_another_seed_may_count(
    name, trained, tiny_dataset
):
    import torch

    torch.rand(3)  # numbers drawn before must not matter
    np.random.rand(3)
    test_days = changed(tiny_dataset, tiny_dataset.positions.test)
    again, other = fit(name, test_days), fit(name, tiny_dataset, seed=2)
    assert np.array_equal(again.validation.values, trained.validation.values)
    assert again.best_step == trained.best_step
    differs = (other.validation.values != trained.validation.values).any()
    assert differs == registered()[name].seeded


def test_when_a_model_is_refitted_then_it_learns_from_validation_and_nothing_from_test(
    name, trained, tiny_dataset
):
    end, forecasts = tiny_dataset.positions.val.stop, []
    for rows in (slice(0, 0), slice(end, None), slice(end - 48, end)):
        refitted = refit(name, trained, changed(tiny_dataset, rows))
        forecasts.append(forecast(refitted, tiny_dataset.frame, ORIGIN))
    assert np.array_equal(forecasts[0], forecasts[1])
    assert not np.array_equal(forecasts[0], forecasts[2])
    assert not np.array_equal(forecasts[0], forecast(trained, tiny_dataset.frame, ORIGIN))


def test_when_the_unit_is_a_thousandth_then_forecasts_are_a_thousand_times_as_large(
    name, trained, tiny_dataset
):
    """1024 is a power of two: the scaled numbers of networks are the same to the last bit."""
    columns = ["water_consumption", "water_lag_24h"]
    frame = tiny_dataset.frame.copy()
    frame[columns] *= 1024
    other = fit(name, dataclasses.replace(tiny_dataset, frame=frame)).validation.values / 1024
    if name in model_names("family"):
        np.testing.assert_allclose(other, trained.validation.values, rtol=1e-5)
    scaled = dataclasses.replace(trained.validation, values=other)
    assert metrics.mae(scaled) == pytest.approx(metrics.mae(trained.validation), rel=0.1)
