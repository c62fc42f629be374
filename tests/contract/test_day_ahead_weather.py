"""No weather that was issued or observed after the origin moves a forecast; what was issued before
does.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.day_ahead_weather import day_ahead_weather
from hpo_lib.data.spec import DayAheadWeatherSpec
from hpo_lib.errors import InputError
from hpo_lib.families.feature_table import make_feature_table, weather_inputs
from hpo_lib.families.models import Budget, family_names, get_family
from tests.contract.conftest import ORIGIN
from tests.contract.test_families import UNSHRUNK, smallest, with_small_networks

SPEC = DayAheadWeatherSpec("forecast", ("temp",))
ISSUED = 2194
"""Position of the last hour before ORIGIN at which a forecast was issued; the next one is 12 hours
later.
"""


def archive(dataset):
    """Forecasts every 12 hours, 48 hours ahead, off by a little."""
    random = np.random.default_rng(2)
    temp = dataset.frame["temp"].to_numpy()
    rows = [
        (
            dataset.index[at],
            dataset.index[at + lead],
            temp[at + lead] + 0.3 * random.standard_normal(),
        )
        for at in range(ISSUED % 12, len(temp), 12)
        for lead in range(1, 49)
        if at + lead < len(temp)
    ]
    return pd.DataFrame(rows, columns=["issued", "valid", "temp"])


def seeing(dataset, table):
    weather = day_ahead_weather(
        SPEC, dataset.frame, table, dataset.training_frame, dataset.spec.target
    )
    return replace(dataset, weather=weather, sha256="with weather")


@pytest.fixture(scope="module")
def forecasts(tiny_dataset):
    return archive(tiny_dataset)


@pytest.fixture(scope="module")
def dataset(tiny_dataset, forecasts):
    return seeing(tiny_dataset, forecasts)


@pytest.fixture(scope="module", params=[*family_names(), *baselines()])
def model(request, dataset):
    if baseline := baselines().get(request.param):
        return baseline.fit(dataset, seed=1, quick=True)
    family = with_small_networks(get_family(request.param))
    return family.fit(smallest(family), dataset, Budget(8, 8, 2), seed=5, recipe=UNSHRUNK)


def said(model, dataset):
    return model.forecasts(dataset, np.array([ORIGIN])).values


@pytest.mark.parametrize(
    "first, last, moves",
    [(ISSUED, ISSUED, True), (0, ISSUED - 1, False), (ORIGIN + 1, None, False)],
    ids=["the last one", "an older one", "a later one"],
)
def test_when_a_forecast_changes_then_only_the_last_one_issued_by_the_origin_moves_the_models(
    first, last, moves, model, dataset, tiny_dataset, forecasts
):
    issued = forecasts["issued"].isin(tiny_dataset.index[first : last and last + 1])
    changed = issued & (forecasts["valid"] > tiny_dataset.index[ORIGIN])
    assert changed.any()
    other = seeing(tiny_dataset, forecasts.assign(temp=forecasts["temp"] + 30.0 * changed))
    assert (said(model, other) != said(model, dataset)).any() == moves


def test_when_the_weather_after_the_origin_changes_then_no_forecast_moves(
    model, dataset, tiny_dataset
):
    frame = tiny_dataset.frame.copy()
    frame.iloc[ORIGIN + 1 :, frame.columns.get_loc("temp")] = 99.0
    assert np.array_equal(said(model, replace(dataset, frame=frame)), said(model, dataset))


@pytest.mark.parametrize("name", family_names())
def test_when_a_model_with_weather_is_stored_then_it_is_read_back_for_the_same_kind_alone(
    name, dataset, tiny_dataset, tmp_path
):
    from hpo_lib.families.stored_model import load, save

    family = with_small_networks(get_family(name))
    file = tmp_path / "model.pt"
    trained = family.fit(smallest(family), dataset, Budget(4, 8, 1), seed=5, recipe=UNSHRUNK)
    save(trained, file)
    other = replace(dataset, weather=replace(dataset.weather, threshold=99.0, usual_demand=99.0))
    again = load(file, family, smallest(family), other, "v001")
    assert np.array_equal(said(again, dataset), said(trained, dataset))
    with pytest.raises(
        InputError,
        match=r"v001: its weather of the day ahead is \('forecast', 'temp'\), here it is None",
    ):
        load(file, family, smallest(family), tiny_dataset, "v001")


# The inputs


def test_when_it_is_colder_than_the_threshold_then_degrees_count_and_above_it_they_are_zero(
    dataset,
):
    weather = replace(
        dataset.weather, values=np.full_like(dataset.weather.values, 7.0), threshold=10.0
    )
    frame = dataset.frame.assign(temp=12.0, water_consumption=5.0)
    seen = replace(dataset, frame=frame, weather=replace(weather, usual_demand=20.0))
    context = seen.context(np.array([ORIGIN]))
    inputs = weather_inputs(seen, context, thermal=True)
    found = {name: column[0] for name, column in inputs.items()}
    assert found["temp_ahead"].tolist() == [7.0] * 24
    assert found["temp_since_yesterday"].tolist() == [-5.0] * 24
    assert found["degrees_ahead"].tolist() == [3.0] * 24
    assert found["degrees_change_ahead"].tolist() == [3.0 * 20 / 5] * 24
    mean = 7 + 5 * np.exp(-np.arange(1, 25) / 24)
    assert found["temp_mean_24h_ahead"] == pytest.approx(mean)
    assert found["degrees_mean_24h_ahead"] == pytest.approx(np.maximum(10 - mean, 0))
    plain = weather_inputs(seen, context, thermal=False)
    assert list(plain) == ["temp_ahead", "temp_since_yesterday"]


def test_when_no_weather_is_shown_then_there_is_no_input_of_it(tiny_dataset, dataset):
    windows = tiny_dataset.windows(np.array([ORIGIN]))
    assert weather_inputs(tiny_dataset, windows, thermal=True) == {}
    seen = dataset.windows(np.array([ORIGIN]))
    shown = make_feature_table(dataset, seen)
    plain = make_feature_table(tiny_dataset, windows)
    assert shown.names[: len(plain.names)] == plain.names
    assert shown.names[len(plain.names) :] == tuple(weather_inputs(dataset, seen, thermal=True))
