"""Simulated twins: the columns and seasons of the datasets, and the same numbers everywhere."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.csv_checks import check_ranges
from hpo_lib.data.spec import TwinSpec, load_spec
from hpo_lib.data.twins import simulate
from tests.conftest import refusal

PINNED = {
    "heat": [3.183981135, 0.138612569, 3.789833682],
    "water_centrum": [0.007998347, 0.00979359, 0.011173748],
    "water_tommerby": [0.011572311, 0.011482945, 0.014737166],
}


@pytest.fixture(scope="module")
def twins():
    return {name: simulate(load_spec(name)) for name in PINNED}


@pytest.fixture(params=PINNED)
def named(request, twins):
    return load_spec(request.param), twins[request.param]


def test_when_a_twin_is_simulated_then_columns_hours_and_level_are_those_of_the_users_csv(named):
    spec, table = named
    assert list(table.columns) == [spec.target, *spec.past_covariates, *spec.future_covariates]
    hours = pd.date_range("2018-04-01 00:00Z", "2024-12-31 23:00Z", freq="h", name="timestamp")
    pd.testing.assert_index_equal(table.index, hours)
    assert (table.dtypes == np.float64).all()
    assert np.isfinite(table.to_numpy()).all()
    assert table[spec.target].min() > 0
    assert table[spec.target].mean() == pytest.approx(spec.twin.mean_level, rel=1e-3)
    # A change here changes every simulated result and its fingerprint: make it on purpose.
    assert table.iloc[[0, 30000, -1], 0].tolist() == pytest.approx(PINNED[spec.name], abs=2e-9)
    for lag in (24, 168):  # a sizeable error remains
        error = (table[spec.target] - table[spec.target].shift(lag)).abs().mean()
        assert 0.05 < error / spec.twin.mean_level < 0.4


def test_when_seed_or_level_differ_then_weather_and_demand_do_or_demand_alone_scales(twins):
    spec = load_spec("heat")
    heat = twins["heat"]
    other = simulate(replace(spec, twin=TwinSpec("heat", 99, 1.9)))
    assert np.corrcoef(other["temp"].diff()[1:], heat["temp"].diff()[1:])[0, 1] < 0.9
    assert (other[spec.target] != heat[spec.target]).mean() > 0.99
    assert (other["hour"] == heat["hour"]).all()
    double = simulate(replace(spec, twin=TwinSpec("heat", 11, 3.8)))
    np.testing.assert_allclose(double[spec.target], 2 * heat[spec.target], rtol=0, atol=1e-8)
    assert (double["temp"] == heat["temp"]).all()


def test_when_the_weather_is_looked_at_then_it_has_seasons_days_and_snow_instead_of_rain(named):
    _, table = named
    month = table["temp"].groupby(table.index.month).mean()
    assert [month[1], month[7]] == pytest.approx([1, 17], abs=1.5)
    assert table["temp"].groupby(table.index.hour).mean().idxmax() in (12, 13, 14, 15)
    assert (table[["rain_1h", "snow_1h"]] > 0).any().all()
    assert table.loc[table["snow_1h"] > 0, "temp"].max() < 1
    assert not ((table["rain_1h"] > 0) & (table["snow_1h"] > 0)).any()
    check_ranges(table)


def test_when_seasons_and_hours_are_compared_then_demand_follows_them_in_local_time(named):
    spec, table = named
    y = table[spec.target]
    by_season = table[spec.target].groupby(table["season"]).mean()
    ratio = by_season[0] / by_season[2]
    assert ratio > 4 if spec.name == "heat" else 0.5 < ratio < 1
    off = table[["is_weekend", "is_public_holiday", "is_school_holiday"]].any(axis="columns")
    for months in ([1, 2, 12], [5, 6, 9]):  # winter time, summer time
        profile = y[~off & table.index.month.isin(months)].groupby(table["hour"]).mean()
        assert profile.loc[4:10].idxmax() == 7
        assert profile.idxmin() in (0, 1, 2, 3)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"twin": None}, "table [twin] is missing, expected kind, seed and mean_level; add it"),
        (
            {"past_covariates": ("visibility",), "optional_covariates": ("visibility",)},
            "a simulated twin cannot have column 'visibility'; remove it, or remove the table "
            "[twin]",
        ),
        (
            {"past_covariates": ("heat_lag_8785h",)},
            "a simulated twin cannot have a lag of more than a year; remove it, or remove the "
            "table [twin]",
        ),
    ],
)
def test_when_a_dataset_can_have_no_twin_then_the_error_says_why(changes, sentence):
    spec = load_spec("heat")
    with refusal(f"{spec.path}: {sentence}"):
        simulate(replace(spec, **changes))
