"""What every trained model promises, family or baseline."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from hpo_lib.baselines.contract import Baseline, baselines
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.models import STANDARD, get_family, model_names, registered
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS
from tests.contract.conftest import INFORMATION_SET, KNOWN, ORIGIN, disturbed, forecast
from tests.contract.test_families import BUDGET, UNSHRUNK, smallest, train, with_small_networks


@pytest.fixture(scope="module", params=[*model_names("family"), *model_names("baseline")])
def name(request):
    return str(request.param)


@pytest.fixture(scope="module")
def trained(name, tiny_dataset, quickly_fitted):
    return quickly_fitted(name) if name in baselines() else fit(name, tiny_dataset)


def fit(name, dataset, seed=1):
    """A short training of a small model."""
    model = registered()[name]
    if isinstance(model, Baseline):
        return model.fit(dataset, seed=seed, quick=True)
    return train(with_small_networks(get_family(name)), dataset, seed=seed)[0]


def refit(name, trained, dataset, steps=2):
    model = registered()[name]
    like = copy.copy(trained)
    if isinstance(model, Baseline):
        return model.fit(dataset, seed=1, quick=True, like=like)
    family = with_small_networks(model)
    like.best_step = steps
    refitted = family.fit(smallest(family), dataset, BUDGET, like=like, seed=1, recipe=UNSHRUNK)
    assert refitted.best_step == steps
    return refitted


def changed(dataset, rows):
    """The dataset with other numbers in some rows."""
    return replace(dataset, frame=disturbed(dataset.frame, KNOWN, rows))


def test_when_a_model_predicts_then_shapes_levels_origins_and_actuals_are_those_asked_for(
    trained, tiny_dataset
):
    """And a training brings such forecasts of every validation origin."""
    target = tiny_dataset.target.to_numpy()
    days = tiny_dataset.validation_origins
    assert days.tolist() == list(range(1679, 2039, 24))
    for origins in ([ORIGIN, 700], days):
        forecasts = trained.forecasts(tiny_dataset, np.array(origins))
        assert forecasts.values.shape == (len(origins), HORIZON, 3)
        assert forecasts.values.dtype == np.float64
        assert np.isfinite(forecasts.values).all()
        assert (np.diff(forecasts.values, axis=2) >= 0).all()
        assert forecasts.levels == QUANTILE_LEVELS == (0.1, 0.5, 0.9)
        assert list(forecasts.origins) == list(tiny_dataset.index[origins])
        assert np.array_equal(forecasts.actual, [target[o + 1 : o + 25] for o in origins])
    for name, values in vars(forecasts).items():
        assert np.array_equal(getattr(trained.validation, name), values)


@pytest.mark.parametrize("columns, rows, moves", INFORMATION_SET)
def test_when_it_forecasts_then_only_history_and_calendar_of_its_day_count(
    columns, rows, moves, trained, tiny_dataset
):
    other = forecast(trained, disturbed(tiny_dataset.frame, columns, rows), ORIGIN)
    assert (other != forecast(trained, tiny_dataset.frame, ORIGIN)).any() == moves


def test_when_seed_and_known_days_are_the_same_then_so_is_the_model_and_another_seed_may_count(
    name, trained, tiny_dataset
):
    import torch

    torch.rand(3)  # numbers drawn before must not matter
    np.random.rand(3)
    seeded = registered()[name].seeded
    again = fit(name, changed(tiny_dataset, tiny_dataset.positions.test), seed=1 if seeded else 2)
    assert np.array_equal(again.validation.values, trained.validation.values)
    assert again.best_step == trained.best_step
    if seeded:
        other = fit(name, tiny_dataset, seed=2)
        assert (other.validation.values != trained.validation.values).any()


def test_when_a_model_is_refitted_then_it_learns_from_validation_and_nothing_from_test(
    name, trained, tiny_dataset
):
    end = tiny_dataset.positions.val.stop
    forecasts = []
    for rows in (slice(0, 0), slice(end, None), slice(end - 48, end)):
        refitted = refit(name, trained, changed(tiny_dataset, rows))
        forecasts.append(forecast(refitted, tiny_dataset.frame, ORIGIN))
    assert np.array_equal(forecasts[0], forecasts[1])
    assert not np.array_equal(forecasts[0], forecasts[2])
    assert not np.array_equal(forecasts[0], forecast(trained, tiny_dataset.frame, ORIGIN))
    if name in model_names("family"):  # for as many steps as validation chose
        longer = refit(name, trained, tiny_dataset, steps=3)
        assert not np.array_equal(forecasts[0], forecast(longer, tiny_dataset.frame, ORIGIN))


def test_when_other_windows_are_asked_for_too_then_a_forecast_stays_the_same_to_the_last_bit(
    trained, tiny_dataset
):
    origins = np.arange(1500, 1796, 4)  # more than one pass of a network, the last one not full
    everything = forecast(trained, tiny_dataset.frame, *origins)
    for chosen in (np.random.default_rng(1).permutation(74), [3, 69, 40], [0], [69]):
        found = forecast(trained, tiny_dataset.frame, *origins[chosen])
        assert np.array_equal(found, everything[chosen])


def test_when_a_model_is_stored_and_read_back_then_it_forecasts_the_same_and_carries_no_data(
    name, trained, tiny_dataset, tmp_path
):
    from hpo_lib.families.stored_model import load, save

    model = registered()[name]
    file = tmp_path / "model.pt"
    sizes = []
    is_family = name in model_names("family")
    model = with_small_networks(model) if is_family else model
    alone = copy.copy(trained)  # the linear baseline, without anything of a network
    alone.recipe = STANDARD
    alone.shares = (0.0, 0.0)
    for forecaster in (trained, alone)[: 1 + is_family]:
        save(forecaster, file)
        read = load(file, model, smallest(model) if is_family else {}, tiny_dataset, "v001")
        again, before = (
            f.forecasts(tiny_dataset, tiny_dataset.test_origins) for f in (read, forecaster)
        )
        assert np.array_equal(again.values, before.values)
        assert (read.best_step, read.shares) == (forecaster.best_step, forecaster.shares)
        raw = tiny_dataset.frame["temp"].to_numpy()[:200].tobytes()
        for data in (raw, raw.decode("latin1").encode()):  # as a tensor, and as an array
            assert data not in file.read_bytes()
        sizes.append(file.stat().st_size)
    assert sorted(sizes, reverse=True) == sizes, "weights of which nothing is kept are not stored"
    assert is_family or sizes[0] < 400_000


def test_when_the_unit_is_a_thousandth_then_forecasts_are_a_thousand_times_as_large(
    name, trained, tiny_dataset
):
    """1024 is a power of two: the scaled numbers of networks are the same to the last bit."""
    columns = ["water_consumption", "water_lag_24h"]
    frame = tiny_dataset.frame.copy()
    frame[columns] *= 1024
    other = fit(name, replace(tiny_dataset, frame=frame)).validation.values / 1024
    if name in model_names("family"):
        np.testing.assert_allclose(other, trained.validation.values, rtol=1e-5)
    scaled = replace(trained.validation, values=other)
    assert metrics.mae(scaled) == pytest.approx(metrics.mae(trained.validation), rel=0.1)
