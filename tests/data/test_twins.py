from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.spec import DatasetSpec, TwinSpec, load_spec
from hpo_lib.data.twins import dew_point, school_holidays, simulate
from tests.conftest import refusal

DATASETS = ("heat", "water_centrum", "water_tommerby")
PINNED = {
    "heat": [1.707660054, 0.143494467, 1.794134288],
    "water_centrum": [0.006693459, 0.006566328, 0.009755413],
    "water_tommerby": [0.008506196, 0.008766034, 0.012653241],
}


@pytest.fixture(scope="module")
def twins() -> dict[str, pd.DataFrame]:
    return {name: simulate(load_spec(name)) for name in DATASETS}


@pytest.fixture(params=DATASETS)
def named(request, twins) -> tuple[DatasetSpec, pd.DataFrame]:
    return load_spec(request.param), twins[request.param]


@pytest.fixture(params=DATASETS[1:])
def water(request, twins) -> tuple[DatasetSpec, pd.DataFrame]:
    return load_spec(request.param), twins[request.param]


def by_local_hour(spec: DatasetSpec, table: pd.DataFrame, days: np.ndarray) -> pd.Series:
    """Mean demand over the 24 local hours, hours taken from the index, not from the columns."""
    local = pd.DatetimeIndex(table.index).tz_convert(spec.tz)
    return table.loc[days, spec.target].groupby(local[days].hour).mean()


def workdays(table: pd.DataFrame) -> np.ndarray:
    off = table[["is_weekend", "is_public_holiday", "is_school_holiday"]].any(axis="columns")
    return ~off.to_numpy()


# What holds for every twin


def test_when_a_twin_is_simulated_twice_then_both_are_exactly_equal(twins):
    pd.testing.assert_frame_equal(simulate(load_spec("heat")), twins["heat"], check_exact=True)


def test_when_a_twin_is_simulated_then_columns_and_hours_are_those_of_the_users_csv(named):
    spec, table = named
    assert list(table.columns) == [spec.target, *spec.past_covariates, *spec.future_covariates]
    expected = pd.date_range(
        "2018-04-01 00:00", "2024-12-31 23:00", freq="h", tz="UTC", name="timestamp"
    )
    assert (table.index == expected).all()
    assert (table.index.name, len(table)) == ("timestamp", 59208)
    assert (table.dtypes == np.float64).all()
    assert np.isfinite(table.to_numpy()).all()


def test_when_a_twin_is_simulated_then_demand_is_positive_and_of_the_asked_level(named):
    spec, table = named
    assert spec.twin is not None
    assert table[spec.target].min() > 0
    assert table[spec.target].mean() == pytest.approx(spec.twin.mean_level, rel=1e-3)


def test_when_a_twin_is_simulated_then_its_lags_are_lags_of_its_target(named):
    spec, table = named
    prefix = spec.target.split("_")[0]
    y = table[spec.target]
    assert (table[f"{prefix}_lag_1h"].iloc[1:] == y.shift(1).iloc[1:]).all()
    assert (table[f"{prefix}_lag_24h"].iloc[24:] == y.shift(24).iloc[24:]).all()
    assert table[f"{prefix}_rolling_24h"].iloc[500] == pytest.approx(
        y.iloc[476:500].mean(), rel=1e-6
    )


def test_when_another_seed_is_given_then_weather_and_demand_differ(twins):
    spec = load_spec("heat")
    other = simulate(replace(spec, twin=TwinSpec("heat", 99, 1.9)))
    assert (
        np.corrcoef(other["temp"].diff().iloc[1:], twins["heat"]["temp"].diff().iloc[1:])[0, 1]
        < 0.9
    )
    assert (other[spec.target] != twins["heat"][spec.target]).mean() > 0.99
    assert (other["hour"] == twins["heat"]["hour"]).all()


def test_when_the_two_waters_are_compared_then_they_are_not_one_series_rescaled(twins):
    a, b = (twins[name]["water_consumption"] for name in DATASETS[1:])
    assert 0.5 < np.corrcoef(a, b)[0, 1] < 0.98
    assert (a / a.mean() - b / b.mean()).abs().mean() > 0.05


def test_when_the_level_is_changed_then_demand_scales_and_weather_stays(twins):
    other = simulate(replace(load_spec("heat"), twin=TwinSpec("heat", 11, 3.8)))
    np.testing.assert_allclose(
        other["heat_consumption"], 2 * twins["heat"]["heat_consumption"], rtol=0, atol=1e-8
    )
    assert (other["temp"] == twins["heat"]["temp"]).all()


def test_when_yesterday_or_last_week_is_the_forecast_then_a_sizeable_error_remains(named):
    spec, table = named
    y = table[spec.target]
    for hours in (24, 168):
        error = (y - y.shift(hours)).abs().mean() / y.mean()
        assert 0.05 < error < 0.4


def test_when_values_of_the_committed_twins_are_looked_up_then_they_have_not_moved(twins):
    # A change here changes every simulated result and its fingerprint: make it on purpose.
    for name, values in PINNED.items():
        assert twins[name].iloc[[0, 30000, -1], 0].tolist() == pytest.approx(values, abs=2e-9)


# Weather


def test_when_the_climate_is_looked_at_then_it_is_danish(named):
    _, table = named
    month = table["temp"].groupby(table.index.month).mean()
    assert table["temp"].mean() == pytest.approx(9, abs=0.6)
    assert month[1] == pytest.approx(1, abs=1.5)
    assert month[7] == pytest.approx(17, abs=1)
    bounds = {
        "temp": (-20, 36),
        "humidity": (25, 100),
        "clouds_all": (0, 100),
        "wind_speed": (0, 32),
    }
    for column, (low, high) in {**bounds, "pressure": (950, 1060)}.items():
        assert table[column].between(low, high).all(), column
    a_year = (table["rain_1h"] + table["snow_1h"]).sum() / len(table) * 8766
    assert 500 < a_year < 1000  # mm


def test_when_it_is_summer_then_afternoons_are_warm_and_nights_cool(named):
    _, table = named
    july = table[table.index.month == 7]
    hour = july["temp"].groupby(july.index.hour).mean()
    assert hour.idxmax() in (12, 13, 14, 15)
    assert hour.max() - hour.min() > 4


def test_when_it_snows_then_it_is_cold_and_it_does_not_rain(named):
    _, table = named
    assert table.loc[table["snow_1h"] > 0, "temp"].max() < 1
    assert not ((table["rain_1h"] > 0) & (table["snow_1h"] > 0)).any()
    assert (table["snow_1h"] > 0).any()
    assert (table["rain_1h"] > 0).mean() < 0.15
    assert table.loc[table["rain_1h"] > 0, "clouds_all"].mean() > table["clouds_all"].mean() + 10


def test_when_air_is_saturated_then_the_dew_point_is_the_temperature_and_else_that_of_the_tables():
    assert dew_point(np.array([20.0, -3.0]), np.array([100.0, 100.0])) == pytest.approx([20, -3])
    assert dew_point(np.array([20.0]), np.array([50.0])) == pytest.approx([9.26], abs=0.01)


def test_when_a_twin_is_simulated_then_its_dew_point_fits_temperature_and_humidity(named):
    _, table = named
    expected = dew_point(table["temp"].to_numpy(), table["humidity"].to_numpy())
    np.testing.assert_allclose(table["dew_point"], expected, rtol=0, atol=0.0051)
    assert (table["dew_point"] <= table["temp"] + 0.005).all()


# Heat


def test_when_it_is_winter_then_heat_follows_temperature_and_in_high_summer_hardly(twins):
    table = twins["heat"]
    winter, summer = table[table["season"] == 0], table[table.index.month.isin([7, 8])]

    def correlation(part: pd.DataFrame) -> float:
        days = part[["temp", "heat_consumption"]].resample("D").mean().dropna()
        return float(days.corr().iloc[0, 1])

    def per_degree(part: pd.DataFrame) -> float:
        return float(np.polyfit(part["temp"], part["heat_consumption"], 1)[0])

    assert correlation(winter) < -0.85
    assert correlation(summer) > -0.5
    assert per_degree(winter) < -0.1
    assert abs(per_degree(summer)) < 0.15 * abs(per_degree(winter))


def test_when_winter_and_summer_are_compared_then_heat_is_higher_and_less_certain_in_winter(twins):
    table = twins["heat"]
    y = table["heat_consumption"]
    season = table["season"]
    assert y[season == 0].mean() > 4 * y[season == 2].mean()
    assert hourly_noise(table, 0) > 1.8 * hourly_noise(table, 2)


def hourly_noise(table: pd.DataFrame, season: int) -> float:
    """Spread of heat around its neighbours in time, less what weather, hour and day explain of
    that.
    """
    part = table[(table["season"] == season) & table["hour"].between(10, 16)]
    bends = table[["heat_consumption", "temp", "wind_speed"]].diff().diff().loc[part.index]
    bends -= bends.groupby([part["hour"], part["is_weekend"]]).transform("mean")
    x = bends[["temp", "wind_speed"]].to_numpy()
    y = bends["heat_consumption"].to_numpy()
    return float((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).std())


def test_when_the_day_before_was_cold_then_heat_is_higher_at_the_same_temperature(twins):
    table = twins["heat"][twins["heat"]["season"] == 0]
    before = table["temp"].rolling(24).mean().shift(1)
    x = np.column_stack([table["temp"], before, np.ones(len(table))])[25:]
    slope = np.linalg.lstsq(x, table["heat_consumption"].to_numpy()[25:], rcond=None)[0]
    assert slope[1] < 2 * slope[0] < 0  # the day before counts for more than the hour itself


def test_when_it_is_a_workday_then_heat_peaks_in_the_morning_and_dips_at_night(twins):
    spec = load_spec("heat")
    profile = by_local_hour(spec, twins["heat"], workdays(twins["heat"]))
    assert profile.idxmax() in (6, 7, 8)
    assert profile.loc[17:21].max() > profile.loc[13]
    assert profile.idxmin() in (0, 1, 2, 3)


# Water


@pytest.mark.parametrize("months", [[1, 2, 12], [5, 6, 9]], ids=["winter time", "summer time"])
def test_when_it_is_a_workday_then_water_peaks_at_7_and_19_local_time(water, months):
    spec, table = water
    profile = by_local_hour(spec, table, workdays(table) & table.index.month.isin(months))
    peaks = profile[(profile > profile.shift(1)) & (profile > profile.shift(-1))]
    assert peaks.nlargest(2).index.tolist()[0] == 7
    assert peaks.loc[12:].idxmax() in (18, 19, 20)
    assert profile.idxmin() in (1, 2, 3)


def test_when_summer_time_comes_then_the_morning_peak_is_an_hour_earlier_in_utc(water):
    _, table = water
    work = workdays(table)

    def peak(months: list[int]) -> int:
        days = work & table.index.month.isin(months)
        return int(
            table.loc[days, "water_consumption"]
            .groupby(table.index[days].hour)
            .mean()
            .loc[:12]
            .idxmax()
        )

    assert peak([1, 2, 12]) == 6
    assert peak([5, 6, 9]) == 5


@pytest.mark.parametrize("day_off", ["is_weekend", "is_public_holiday"])
def test_when_it_is_a_day_off_then_the_morning_peak_is_later_and_flatter(water, day_off):
    spec, table = water
    work = by_local_hour(spec, table, workdays(table)).loc[:13]
    off = by_local_hour(spec, table, (table[day_off] == 1).to_numpy()).loc[:13]
    assert off.idxmax() >= work.idxmax() + 2
    assert (off > 0.8 * off.max()).sum() > (work > 0.8 * work.max()).sum()


def test_when_an_evening_is_warm_and_dry_then_gardens_are_watered(water):
    _, table = water
    summer = table["season"] == 2
    evening = summer & (table["hour"] == 20)
    temp, rain = table["temp"].rolling(24).mean(), table["rain_1h"].rolling(48).sum()
    hot_dry = table.loc[evening & (temp > 19) & (rain < 0.5), "water_consumption"].mean()
    cool = table.loc[evening & (temp < 15), "water_consumption"].mean()
    wet = table.loc[evening & (temp > 19) & (rain > 5), "water_consumption"].mean()
    assert hot_dry > 1.1 * cool
    assert hot_dry > 1.05 * wet


def test_when_demand_is_high_then_its_noise_is_larger_and_at_its_lowest_leakage_still_flows(water):
    _, table = water
    work = table.loc[workdays(table)]
    spread = work["water_consumption"].groupby(work["hour"]).std()
    assert spread[7] > 3 * spread[2]
    assert table["water_consumption"].min() > 0.1 * table["water_consumption"].mean()


# School holidays


def test_when_school_holidays_are_made_then_2019_is_right_and_summer_begins_on_the_last_saturday_of_june():
    table = school_holidays(2019, 2019)
    assert [(f"{row.start_date:%m-%d}", f"{row.end_date:%m-%d}") for row in table.itertuples()] == [
        ("02-16", "02-24"),  # around week 8
        ("04-13", "04-22"),  # Easter Sunday was 21 April
        ("06-29", "08-11"),  # from the last Saturday of June
        ("10-12", "10-20"),  # around week 42
        ("12-21", "01-02"),
    ]
    # 30 June 2018 is a Saturday.
    assert f"{school_holidays(2018, 2018)['start_date'].iloc[2]:%Y-%m-%d}" == "2018-06-30"


def test_when_a_twin_is_simulated_then_its_school_holidays_are_those_of_the_rule(twins):
    flag = twins["heat"]["is_school_holiday"]
    assert flag.loc["2024-12-31 22:00+00:00"] == 1
    assert flag.loc["2019-08-11 21:00+00:00"] == 1  # 23:00 local on the last day
    assert flag.loc["2019-08-11 22:00+00:00"] == 0


# What no twin can be


def test_when_a_dataset_has_no_twin_then_the_error_says_how_to_add_one():
    spec = replace(load_spec("heat"), twin=None)
    with refusal(
        f"{spec.path}: table [twin] is missing, expected kind, seed and mean_level; add it"
    ):
        simulate(spec)


def test_when_a_dataset_has_a_column_that_is_not_simulated_then_the_error_names_it():
    spec = load_spec("heat")
    past, optional = (
        (*columns, "visibility") for columns in (spec.past_covariates, spec.optional_covariates)
    )
    with refusal(
        f"{spec.path}: a simulated twin cannot have column 'visibility'; remove it, or remove "
        "the table [twin]"
    ):
        simulate(replace(spec, past_covariates=past, optional_covariates=optional))
