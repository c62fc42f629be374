"""The weather of the day ahead: what is known when, how honest it is, and what it is called."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.day_ahead_weather import (
    day_ahead_weather,
    heating_threshold,
    read_archive,
    warnings_of,
)
from hpo_lib.data.spec import DayAheadWeatherSpec, load_spec
from hpo_lib.errors import InputError

ARCHIVE = """issued,valid,temp,cloud
2019-03-01 06:00,2019-03-01 07:00,1.0,9
2019-03-01 06:00,2019-03-01 08:00,2.0,9
2019-03-01 06:00,2019-03-01 09:00,3.0,9
2019-03-01 07:30+00:00,2019-03-01 09:00,3.5,9
2019-03-01 07:30+00:00,2019-03-01 10:00,4.5,9
"""


def archive(folder, text=ARCHIVE):
    file = folder / "archive.csv"
    file.write_text(text, encoding="utf-8")
    return read_archive(file, ("temp",))


def made(spec, dataset, table=None):
    """The weather of the day ahead, [T, H, 1], and of an hour that is not in the data."""
    weather = day_ahead_weather(
        spec, dataset.frame, table, dataset.training_frame, dataset.spec.target
    )
    found = weather.at(dataset.index.append(dataset.index[-1:].shift(1)))
    assert np.isnan(found[-1]).all()
    return found[:-1]


def test_when_an_hour_was_forecast_twice_then_the_newest_forecast_issued_by_the_origin_counts(
    tiny_dataset, tmp_path
):
    spec = DayAheadWeatherSpec("forecast", ("temp",))
    table = archive(tmp_path)
    found = made(spec, tiny_dataset, table)[:, :, 0]
    # Rows are origins from 2019-03-01 00:00, columns 1 to 24 hours ahead.
    assert np.isnan(found[5]).all()  # nothing was issued yet
    assert found[6, :3].tolist() == [1.0, 2.0, 3.0]
    assert found[7, :2].tolist() == [2.0, 3.0]  # 07:30 is later than this origin
    assert found[8, :2].tolist() == [3.5, 4.5]
    assert np.isnan(found[6, 3:]).all()
    header, *rows = ARCHIVE.splitlines()
    turned = archive(tmp_path, "\n".join([header, *rows[::-1]]))
    np.testing.assert_array_equal(made(spec, tiny_dataset, turned)[:, :, 0], found)
    holed = archive(tmp_path, ARCHIVE.replace("09:00,3.5", "09:00,"))
    assert made(spec, tiny_dataset, holed)[8, :2, 0].tolist() == [3.0, 4.5]


VALID = "line {}, column 'valid' is '{}', "


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        (
            "temp",
            "tmp",
            "column 'temp' is missing, the header has 'issued', 'valid', 'tmp', 'cloud'",
        ),
        ("07:00,1.0", "07:00,one", "line 2, column 'temp' is 'one', expected a finite number"),
        ("07:00,1.0", f"07:00,{400 * '5'}", "line 2, column 'temp' is '555"),
        ("2019-03-01 06:00", "now", "line 2, column 'issued' is 'now', expected a UTC time"),
        *(
            (f"2019-03-01 0{7 + line - 2}:00", cell, f"{VALID.format(line, cell)}{reason}")
            for line, cell, reason in (
                (2, "tomorrow", "expected a UTC time"),
                (2, "9999-12-31 07:00", "expected a UTC time"),
                (2, "2019-03-01 06:00", "expected an hour after"),
                (2, "2019-03-01 07:20", "expected a full hour"),
                (3, "2019-03-01 07:00", "which this forecast"),
            )
        ),
        *(
            ("3.5", cell, "line 5, column 'temp' is .*, expected -100 to 100 degrees C")
            for cell in ("-9999", "278.15")
        ),
    ],
)
def test_when_an_archive_is_wrong_then_the_error_names_the_cell(old, new, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        archive(tmp_path, ARCHIVE.replace(old, new, 1))


def test_when_weather_is_observed_then_it_came_so_and_degraded_has_errors_of_stated_size_and_memory(
    tiny_dataset,
):
    spec = DayAheadWeatherSpec(
        "degraded", ("temp",), errors={"temp": (0.7, 1.6)}, autocorrelation=0.8, seed=3
    )
    temp = tiny_dataset.frame["temp"].to_numpy()
    ahead = np.arange(len(temp) - 24)[:, None] + np.arange(1, 25)
    observed = made(DayAheadWeatherSpec("observed", ("temp",)), tiny_dataset)[:, :, 0]
    assert np.array_equal(observed[:-24], temp[ahead])
    assert np.isnan(observed[-5]).tolist() == [False] * 4 + [True] * 20
    errors = made(spec, tiny_dataset)[:-24, :, 0] - temp[ahead]
    assert errors.mean() == pytest.approx(0, abs=0.05)
    spread = errors.std(axis=0)
    assert spread[[0, -1]] == pytest.approx([0.7, 1.6], rel=0.05)
    assert (np.diff(spread) > -0.05).all()
    scaled = errors / np.linspace(0.7, 1.6, 24)
    assert (scaled[:, 5] * scaled[:, 6]).mean() == pytest.approx(0.8, abs=0.05)
    assert np.corrcoef(errors[:-1, 0], errors[1:, 0])[0, 1] == pytest.approx(0, abs=0.06)


def test_when_a_series_begins_later_or_has_another_seed_then_errors_are_the_same_or_others(
    tiny_dataset,
):
    spec = DayAheadWeatherSpec("degraded", ("temp",), errors={"temp": (1.0, 2.0)})
    late = replace(tiny_dataset, frame=tiny_dataset.frame.iloc[500:])
    assert np.array_equal(made(spec, late)[:50], made(spec, tiny_dataset)[500:550])
    assert (made(replace(spec, seed=1), tiny_dataset)[:50] != made(spec, tiny_dataset)[:50]).all()


def test_when_demand_rises_below_a_temperature_then_the_threshold_is_found():
    hours = pd.date_range("2018-01-01 00:00Z", periods=400 * 24, freq="h")
    temp = pd.Series(12 + 10 * np.sin(2 * np.pi * np.arange(len(hours)) / 8760), index=hours)
    assert heating_threshold(3 + 0.5 * (14.5 - temp).clip(lower=0), temp) == 14.5


# In a dataset


def with_weather(name, **weather):
    start = pd.Timestamp("2022-09-01 00:00Z")
    spec = replace(load_spec(name), start=start, day_ahead_weather=DayAheadWeatherSpec(**weather))
    return load_dataset(spec, simulated=True)


@pytest.fixture(scope="module")
def twins():
    errors = {"temp": (0.7, 1.6), "wind_speed": (0.6, 1.2)}
    kinds = ("none", "observed", "degraded")
    return {
        kind: with_weather("heat", kind=kind, columns=tuple(errors), errors=errors)
        for kind in kinds
    }


def test_when_models_see_other_weather_then_source_and_fingerprint_are_others_and_without_they_stay(
    twins,
):
    plain = load_dataset(replace(load_spec("heat"), start=twins["none"].spec.start), simulated=True)
    assert (twins["none"].sha256, twins["none"].source, twins["none"].weather) == (
        plain.sha256,
        "simulated",
        None,
    )
    assert len({dataset.sha256 for dataset in twins.values()}) == 3
    assert {kind: dataset.source for kind, dataset in twins.items()} == {
        "none": "simulated",
        "observed": "simulated, observed weather",
        "degraded": "simulated, degraded weather",
    }
    assert {kind: warnings_of(dataset.source)[1:] for kind, dataset in twins.items()} == {
        "none": [],
        "observed": ["OBSERVED WEATHER OF THE DAY AHEAD"],
        "degraded": ["OBSERVED WEATHER WITH ADDED ERRORS"],
    }
    assert warnings_of("simulated") == ["SIMULATED DATA"]
    assert warnings_of("csv, degraded weather") == ["OBSERVED WEATHER WITH ADDED ERRORS"]
    assert warnings_of("csv") == []


def test_when_a_twin_is_asked_for_forecasts_then_the_sentence_names_what_it_can_have():
    with pytest.raises(InputError, match=r"a simulated twin has no weather forecasts.*degraded"):
        with_weather("heat", kind="forecast", columns=("temp",), csv="w.csv")


def test_when_the_weather_of_an_origin_is_not_known_then_it_is_no_origin(twins):
    dataset = twins["observed"]
    hole = dataset.weather.values.copy()
    position = int(dataset.validation_origins[3])
    hole[position, 7, 0] = np.nan
    holed = replace(dataset, weather=replace(dataset.weather, values=hole))
    assert list(holed.validation_origins) == [
        p for p in dataset.validation_origins if p != position
    ]
    assert holed.origins_left_out()["validation"] == 1


def test_when_a_csv_has_an_archive_then_it_lies_beside_it_and_is_part_of_the_fingerprint(
    tiny_dataset, tmp_path
):
    spec = replace(
        tiny_dataset.spec, day_ahead_weather=DayAheadWeatherSpec("forecast", ("temp",), "w.csv")
    )
    tiny_dataset.frame.to_csv(tmp_path / "tiny.csv")
    with pytest.raises(InputError, match=r"w\.csv: cannot be read \(No such file or directory\)"):
        load_dataset(spec, tmp_path)
    issued = pd.date_range("2019-03-01 00:00Z", periods=100)
    rows = [(i, i + pd.Timedelta(hours=h), 5.0 + h) for i in issued for h in range(1, 49)]
    pd.DataFrame(rows, columns=["issued", "valid", "temp"]).to_csv(tmp_path / "w.csv", index=False)
    dataset = load_dataset(spec, tmp_path)
    assert (dataset.source, dataset.kind_of_weather) == ("csv", "forecast")
    later = tiny_dataset.frame.copy()
    later.loc[later.index[1680:], ["water_consumption", "temp"]] *= 0.2
    later.to_csv(tmp_path / "tiny.csv")
    other = load_dataset(spec, tmp_path).weather
    fitted = dataset.weather.threshold, dataset.weather.usual_demand
    assert fitted == (other.threshold, other.usual_demand), "days after training do not count"
    assert np.isnan(other.at(pd.DatetimeIndex(["2000-01-01T00Z"]))).all(), "no weather of that day"
    tiny_dataset.frame.to_csv(tmp_path / "tiny.csv")
    assert dataset.context(dataset.validation_origins[:1]).weather[0, :, 0].tolist() == list(
        range(29, 53)
    )
    rows[0] = (*rows[0][:2], 6.5)
    pd.DataFrame(rows, columns=["issued", "valid", "temp"]).to_csv(tmp_path / "w.csv", index=False)
    assert load_dataset(spec, tmp_path).sha256 != dataset.sha256
