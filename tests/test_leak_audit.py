"""The leak audit finds each planted leak, and none in what `hpo prepare` and the models of the
package do.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter1d

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.raw_files import prepare_features, rebuilt_features
from hpo_lib.data.spec import load_spec
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.models import Forecaster
from hpo_lib.leaks import columns
from hpo_lib.leaks.audit import audit_model, audit_training, model_names
from hpo_lib.leaks.columns import audit_columns
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements import leak_prices
from measurements.leak_prices import price_list, price_table, seasonal_parts, wavelet_parts
from tests.conftest import hpo

DAYS = 300
TOML = """\
name = "bikes"
title = "Rented bikes"
csv = "features.csv"
unit = "users/h"
target = "users"
frequency = "h"
timezone = "America/New_York"
country = "US"
past_covariates = [
    "temp", "humidity", "wind_speed", "users_lag_1h", "users_lag_24h", "users_rolling_24h", "made"
]
future_covariates = [
    "hour", "hour_sin", "hour_cos", "day_of_week", "month", "is_weekend", "season", "known"
]
optional_covariates = ["temp", "humidity", "wind_speed", "made", "known"]

[splits]
train_end = "2011-07-30 04:00"
val_end = "2011-09-18 04:00"

[gaps]
fill = "linear"
max_hours = 3
"""


@dataclass
class Bikes:
    """The files of a dataset in the bikes' format, of invented demand that follows hour, weekday
    and temperature.
    """

    folder: Path

    @property
    def spec(self):
        return load_spec(self.folder / "bikes.toml")

    @property
    def frame(self):
        return pd.read_csv(self.folder / "features.csv", index_col=0, parse_dates=True)

    @property
    def dataset(self):
        return load_dataset(self.spec, self.folder)

    @property
    def raw(self):
        return self.folder / "raw.csv", self.folder / "weather.csv"

    def rebuilt(self, end):
        return rebuilt_features(self.spec, *self.raw, end=end)[0]

    def with_columns(self, *, weather=False, **columns):
        """The dataset of the prepared file with these columns, of which new ones are past
        covariates, and with or without its weather.
        """
        spec = self.spec
        known = (spec.target, *spec.past_covariates, *spec.future_covariates)
        past = (*spec.past_covariates, *(name for name in columns if name not in known))
        frame = self.frame.drop(columns=[] if weather else ["temp", "humidity", "wind_speed"])
        frame.assign(**columns).to_csv(self.folder / "planted.csv")
        spec = replace(spec, csv="planted.csv", past_covariates=past)
        return load_dataset(spec, self.folder)


@pytest.fixture(scope="module")
def bikes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bikes")
    index = pd.date_range("2011-01-01 05:00Z", periods=DAYS * 24, freq="h")
    random = np.random.default_rng(1)
    hours = np.arange(len(index))
    temp = 12 - 9 * np.cos(hours / 24 / 365 * 2 * np.pi) + 4 * np.sin(hours / 24 * 2 * np.pi - 2)
    temp += 3 * smooth(random.standard_normal(len(index)), 12) / 0.15
    noise = pd.Series(random.standard_normal(len(index)))
    fast, slow = (noise.ewm(halflife=memory, adjust=False).mean().to_numpy() for memory in (1, 48))
    users = 500 + 80 * np.sin(hours / 24 * 2 * np.pi) - 30 * (index.day_of_week >= 5)
    users = users + temp + 15 * fast + 150 * slow
    weather = pd.DataFrame({"dt_iso": index.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"), "temp": temp})
    weather["humidity"] = 60 - temp + 8 * random.standard_normal(len(index))
    weather["wind_speed"] = np.abs(5 * random.standard_normal(len(index)))
    raw = pd.DataFrame({"0": users}, index=index)
    raw.drop(index[[1000, 1001, 5000]]).to_csv(folder / "raw.csv")
    weather.to_csv(folder / "weather.csv", index=False)
    (folder / "bikes.toml").write_text(TOML, encoding="utf-8")
    made = Bikes(folder)
    prepare_features(made.spec, *made.raw, None, folder / "features.csv")
    return made


@pytest.fixture(autouse=True)
def two_shifted_copies_and_fewer_origins(monkeypatch):
    """Copies of each column, to know chance by; most of an audit's time goes into them."""
    monkeypatch.setattr(columns, "SHIFTS", 2)
    monkeypatch.setattr(columns, "MOST_ORIGINS", 2500)


def smooth(values, hours):
    """Two-sided."""
    return np.asarray(gaussian_filter1d(values, hours))


def assert_leaks(dataset, words, rebuilt=()):
    """Column -> a part of what is said of it: these leak, and no others."""
    findings = audit_columns(dataset, rebuilt)
    found = {one.subject.split("'")[1]: one.sentence for one in findings if one.kind == "leak"}
    assert set(found) == set(words)
    for column, part in words.items():
        assert part in found[column], column
    return {one.subject.split("'")[1]: one for one in findings}


# Feature files


def test_when_prepare_made_the_file_then_no_column_leaks(bikes, tmp_path):
    prepare_features(bikes.spec, bikes.raw[0], None, None, tmp_path / "features.csv")
    for folder, has_weather in ((bikes.folder, True), (tmp_path, False)):
        found = assert_leaks(load_dataset(bikes.spec, folder), {})
        assert ("temp" in found) == has_weather
        assert "as `hpo prepare` makes it" in found["users_rolling_24h"].sentence


def test_when_raw_data_is_given_then_every_column_of_prepare_is_rebuilt_from_it(bikes):
    dataset = bikes.dataset
    rebuilt = [bikes.rebuilt(dataset.index[at]) for at in (5100, -1)]
    ends = "2011-08-02 17:00, 2011-10-28 04:00"
    assert {(finding.kind, finding.sentence) for finding in audit_columns(dataset, rebuilt)} == {
        ("fine", f"as `hpo prepare` makes it of raw data that ends at {ends}")
    }


def centred(y):
    return y.rolling(25, center=True, min_periods=1).mean()


LATER = "compute it from hours up to its own"


@pytest.mark.parametrize(
    "made",
    [
        {
            "a_centred_mean_of_a_day": centred,
            "a_two_sided_filter": lambda y: smooth(y, 6),
            "the_trend_of_a_decomposition": lambda y: seasonal_parts(y.to_numpy())[0],
            "the_smooth_part_of_wavelets": lambda y: wavelet_parts(y.to_numpy())[-1],
            "the_demand_an_hour_later": lambda y: y.shift(-1).ffill(),
        },
        {"users_lag_24h": lambda y: y.shift(-24).ffill(), "users_rolling_24h": centred},
    ],
    ids=["columns of their own", "under names of prepare"],
)
def test_when_columns_are_made_of_later_demand_then_each_is_found(bikes, made):
    users = bikes.frame["users"]
    planted = bikes.with_columns(**{name: make(users) for name, make in made.items()})
    found = assert_leaks(planted, dict.fromkeys(made, LATER))
    for name in made:
        assert "of users" in found[name].sentence
        prepared = "in 100 % of the hours not as `hpo prepare` makes it of target"
        assert found[name].sentence.startswith(prepared) == name.startswith("users")


def test_when_columns_are_made_of_earlier_demand_then_they_are_fine_or_under_a_name_noted(bikes):
    y = bikes.frame["users"]
    own_hour = y.rolling(24, min_periods=1).mean()
    found = assert_leaks(
        bikes.with_columns(
            users_rolling_24h=own_hour,
            a_mean_up_to_its_hour=own_hour,
            a_lag_of_two_weeks=y.shift(336).bfill(),
            an_exponential_mean=y.ewm(halflife=24).mean(),
            a_random_walk=np.random.default_rng(0).standard_normal(len(y)).cumsum(),
            the_demand_in_other_units=7 - y / 1000,
            known=(bikes.frame["day_of_week"] == 4).astype(float),
        ),
        {},
    )
    assert found["users_rolling_24h"].kind == "note"
    assert "explains at most 0 %" in found["users_rolling_24h"].sentence


def test_when_columns_hold_other_weather_or_what_is_only_known_later_then_what_is_said(bikes):
    users = bikes.frame["users"]
    temp = bikes.frame["temp"]
    columns = {"made": smooth(temp, 6), "later": temp.shift(-24).ffill()}
    assert_leaks(bikes.with_columns(weather=True, **columns), dict.fromkeys(columns, "of temp"))
    demand = users.rolling(24, min_periods=1).mean()
    assert_leaks(bikes.with_columns(known=demand), {"known": "its values of the day ahead explain"})


def test_when_the_target_was_smoothed_or_weather_shifted_then_raw_data_shows_it(bikes):
    users, temp, humidity = (bikes.frame[name] for name in ("users", "temp", "humidity"))
    weather = {"temp": temp.shift(-24).ffill(), "made": humidity.shift(-6).ffill()}
    weather["humidity"] = np.random.default_rng(2).normal(60, 8, len(temp))
    planted = bikes.with_columns(weather=True, users=smooth(users, 2), **weather)
    found = {one.subject: one for one in audit_columns(planted)}
    assert found["column 'users'"].sentence.endswith("compares it with the raw series")
    rebuilt = audit_columns(planted, [bikes.rebuilt(planted.index[-1])])
    leaks = {one.subject: one.sentence for one in rebuilt if one.kind == "leak"}
    assert "made of users before and after its hour" in leaks["column 'users'"]
    assert "column 'temp'" in leaks
    assert "of humidity" in leaks["column 'made'"], "that of raw data, not of the file"


def test_when_observed_weather_has_the_role_of_a_calendar_then_it_is_found(bikes):
    spec = bikes.spec
    roles = {
        "past_covariates": tuple(name for name in spec.past_covariates if name != "temp"),
        "future_covariates": (*spec.future_covariates, "temp"),
    }
    dataset = load_dataset(replace(spec, **roles), bikes.folder)
    assert_leaks(dataset, {"temp": "weather in future_covariates"})


@pytest.mark.parametrize(
    "how, words",
    [
        (lambda values: (values - values.mean()) / values.std(), "mean and standard deviation"),
        (
            lambda values: (values - values.min()) / (values.max() - values.min()),
            "minimum and maximum",
        ),
    ],
)
def test_when_a_scaler_saw_the_test_days_then_it_is_found_and_one_of_training_is_fine(
    bikes, how, words
):
    values = bikes.frame["wind_speed"].copy()
    values.iloc[-100] = 2 * values.max()  # in the test split
    values += np.linspace(0, 3, len(values))
    assert_leaks(
        bikes.with_columns(made=how(values)), {"made": f"scaled with {words} of the whole series"}
    )
    train = values.loc[: bikes.spec.splits.train_end]
    scale = how(pd.concat([train, train]))
    slope = (scale.iloc[1] - scale.iloc[0]) / (train.iloc[1] - train.iloc[0])
    assert_leaks(bikes.with_columns(made=slope * (values - train.iloc[0]) + scale.iloc[0]), {})


# Models


class Repeats(Forecaster):
    """Yesterday again, times what the toy adds."""

    def __init__(self, dataset, factor=1.0, reads="users", ahead=-HORIZON):
        self.column = reads
        self.factor = factor
        self.ahead = ahead
        self.best_step = 0
        self.validation = self.predict(dataset.windows(dataset.validation_origins))

    def predict(self, context):
        hours = context.positions[:, None] + np.arange(1, HORIZON + 1) + self.ahead
        median = self.factor * context.frame[self.column].to_numpy()[hours]
        return QuantileForecasts.of_model(np.repeat(median[:, :, None], 3, axis=2), context.origins)


TOYS = {
    "honest": (Repeats, ""),
    "scaled by the training split": (
        lambda d: Repeats(d, float(d.training_frame["users"].mean())),
        "",
    ),
    "reads an hour ahead": (lambda d: Repeats(d, ahead=1 - HORIZON), "'users' changes after"),
    "reads the weather ahead": (
        lambda d: Repeats(d, reads="temp", ahead=0),
        "'temp' changes after",
    ),
    "scaled by the whole series": (
        lambda d: Repeats(d, float(d.frame["users"].mean())),
        "only the test split changes",
    ),
}


@pytest.mark.parametrize("train, words", TOYS.values(), ids=TOYS)
def test_when_a_model_is_audited_then_its_leak_is_found_and_nothing_else(bikes, train, words):
    (found,) = audit_training(bikes.dataset, "TOY", train)
    assert found.kind == ("leak" if words else "fine")
    assert words in found.sentence
    if not words:
        assert found.sentence.endswith("it reads users")
    if "changes after" in words:
        assert found.sentence.startswith("5 of 5 forecasts move")


@pytest.mark.slow
@pytest.mark.parametrize("model", model_names())
def test_when_a_model_of_the_package_is_audited_then_it_reads_history_and_calendar_and_no_more(
    model, tiny_dataset
):
    (found,) = audit_model(tiny_dataset, model)
    assert found.kind == "fine"
    reads = found.sentence.split("it reads ")[1].split(", ")
    assert {"water_consumption", "temp", "is_weekend"} <= set(reads)


# What leaks promise, which is measured outside of the package


def test_when_leaks_are_priced_then_each_promise_is_beside_its_honest_twin_with_intervals(bikes):
    prices = price_list(bikes.dataset).set_index("leak")
    assert len(prices) == 7
    for name in ("honest", "promised", "less_error"):
        assert (prices[f"{name}_low"] <= prices[f"{name}_high"]).all()
    assert (prices["honest"].between(prices["honest_low"], prices["honest_high"])).all()
    less_error = 100 * (1 - prices["promised"] / prices["honest"])
    assert prices["less_error"].to_numpy() == pytest.approx(less_error)
    assert set(prices["days"]) == {len(pd.date_range("2011-09-18", "2011-10-27"))}
    ten_days = prices.loc["10 validation days"]
    honest_width = ten_days["honest_high"] - ten_days["honest_low"]
    assert ten_days["promised_high"] - ten_days["promised_low"] > honest_width
    plain = prices.loc["scaler fitted on the whole series", "honest"]
    for name in ("seasonal decomposition", "wavelets"):
        row = prices.loc[f"{name} of the whole series"]
        assert row["honest"] == pytest.approx(plain, rel=0.1)
        assert row["less_error_low"] > 25
    assert prices.loc["observed weather of the day ahead", "less_error"] > 0
    assert prices.loc["best of 50 configurations on test", "less_error"] >= 0


def test_when_a_series_wanders_then_shuffled_windows_promise_far_too_much_and_no_weather_no_price(
    tiny_dataset,
):
    wandering = np.random.default_rng(0).standard_normal(len(tiny_dataset.frame)).cumsum()
    frame = tiny_dataset.frame.assign(water_consumption=wandering)
    rows = price_list(replace(tiny_dataset, frame=frame, past=("water_lag_24h",))).set_index("leak")
    assert rows.loc["shuffled validation", "less_error_low"] > 20
    assert "observed weather of the day ahead" not in rows.index


def test_when_a_series_is_decomposed_then_its_parts_add_up_and_windows_need_nothing_else():
    values = np.random.default_rng(0).standard_normal((3, 168)).cumsum(axis=1)
    for decompose in (seasonal_parts, wavelet_parts):
        parts = decompose(values)
        assert sum(parts) == pytest.approx(values)
        assert np.stack(decompose(values[1])) == pytest.approx(np.stack(parts)[:, 1])
    trend, season, _ = seasonal_parts(np.arange(240.0))
    assert trend[12:-12] == pytest.approx(np.arange(12.0, 228))
    assert season[:24] == pytest.approx(season[24:48])


def test_when_the_command_runs_then_a_table_says_how_much_less_or_more_is_promised(
    tiny_dataset, monkeypatch, capsys
):
    facts = {"leak": ["a", "b", "c"], "clean twin": "x", "days": 15, "honest": 0.1, "promised": 0.1}
    for name in ("honest", "promised", "less_error"):
        facts |= {f"{name}_low": 0.09, f"{name}_high": 52.36}
    prices = pd.DataFrame({**facts, "less_error": [49.0, -44.7, -2e-5]})
    table = price_table(prices)
    assert table["honest"][0] == "0.100 [0.0900, 52.4]"
    texts = table["% less error"].tolist()
    assert texts == ["49.0 [0.1, 52.4]", "-44.7 [0.1, 52.4]", "0.0 [0.1, 52.4]"]
    monkeypatch.setattr(leak_prices, "load_spec", lambda name: name)
    monkeypatch.setattr(leak_prices, "load_dataset", lambda spec, data_dir: tiny_dataset)
    monkeypatch.setattr(leak_prices, "price_list", lambda dataset: prices)
    monkeypatch.setattr(sys, "argv", ["leak_prices", "tiny.toml"])
    leak_prices.main()
    assert capsys.readouterr().out.startswith("tiny (csv), 15 days, MAE in m3/h\n")


# The command


def audit(bikes, *words, code=0):
    folders = f"--dataset {bikes.folder}/bikes.toml --data-dir {bikes.folder}"
    return hpo(f"audit {folders}", *words, code=code)


def test_when_nothing_leaks_then_the_command_says_so_and_ends_with_0(bikes):
    raw, weather = bikes.raw
    models = "--models", "RESIDUAL_LINEAR"
    lines = audit(bikes, *models, "--raw", raw, "--weather", weather).out.splitlines()
    assert lines[0].startswith("Data: ")
    assert lines[-1] == "leaks found: 0, in 14 columns and 1 models"
    assert any(line.startswith("fine: RESIDUAL_LINEAR: ") for line in lines)


def test_when_a_column_leaks_then_the_command_names_it_and_ends_with_1(bikes, tmp_path):
    bikes.frame.assign(made=smooth(bikes.frame["users"], 6)).to_csv(tmp_path / "features.csv")
    said = audit(bikes, "--data-dir", tmp_path, "--models", "none", "--json", code=1)
    report = json.loads(said.out)
    assert (report["dataset"], report["source"], report["leaks"]) == ("bikes", "csv", 1)
    (leak,) = (one for one in report["findings"] if one["kind"] == "leak")
    assert leak["subject"] == "column 'made'"


@pytest.mark.parametrize(
    "words, says",
    [
        (["--models", "LINEAR"], "model is 'LINEAR'; did you mean LINEAR_Q?"),
        (["--weather", "weather.csv"], "weather and school holidays are compared with raw data"),
        (["--raw", "absent.csv"], "absent.csv: cannot be read (No such file"),
    ],
)
def test_when_the_command_is_used_wrongly_then_it_says_so_and_ends_with_2(bikes, words, says):
    assert says in audit(bikes, *words, code=2).err
