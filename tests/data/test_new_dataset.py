"""From the file of a meter to a dataset that loads, with nothing written by hand."""

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.raw_files import dataset_of_frame
from hpo_lib.data.spec import RawFile, load_spec
from tests.conftest import hpo

HOURS = pd.date_range("2020-02-01 00:00Z", periods=100 * 24, freq="h")
VALUES = 10 + np.arange(len(HOURS)) % 24 / 4


def prepared(file, *options, zone="Europe/Rome", prepare=()):
    """What the commands of docs/own_data.md make of a file."""
    toml = file.with_suffix(".toml")
    data = file.parent / "data"
    said = hpo("new-dataset", file, "--timezone", zone, "--out", toml, *options)
    spec = load_spec(toml)
    hpo("prepare --dataset", toml, "--raw", file, "--out", data / spec.csv, *prepare)
    return load_dataset(spec, data), said.out


def write(file, header, times, values, separator=","):
    rows = [f"{time}{separator}{value}" for time, value in zip(times, values, strict=True)]
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def test_when_the_file_is_a_plain_raw_csv_then_its_dataset_has_its_name_and_no_table_raw(tmp_path):
    file = write(tmp_path / "My meter 7.csv", ",0", HOURS, VALUES)
    dataset, report = prepared(file)
    spec = dataset.spec
    assert spec.name == spec.target == "my_meter_7"
    assert (spec.unit, spec.raw) == ("units", RawFile())
    assert (spec.timezone, spec.country, spec.hemisphere) == ("Europe/Rome", "IT", "north")
    assert dataset.past == ("my_meter_7_lag_1h", "my_meter_7_lag_24h", "my_meter_7_rolling_24h")
    assert dataset.target.to_numpy() == pytest.approx(VALUES[24:])
    assert len(dataset.validation_origins) > 15
    assert f"hpo prepare --dataset '{file.with_suffix('.toml')}' --raw '{file}'" in report
    toml = file.with_suffix(".toml").read_text(encoding="utf-8")
    assert [line.split(" ")[0] for line in toml.splitlines() if "# guessed" in line] == [
        "title",
        "unit",
        "country",
        "[splits]",
        "[gaps]",
    ]


def test_when_a_table_of_pandas_is_given_then_its_dataset_is_that_of_a_file_and_edits_stay(
    tmp_path,
):
    frame = pd.DataFrame({"flow [l/s]": VALUES}, HOURS)
    toml = dataset_of_frame(frame, "Europe/Rome", tmp_path / "my_flow.toml")
    dataset = load_dataset(load_spec(toml))
    spec = dataset.spec
    assert (spec.name, spec.target, spec.unit, spec.country) == ("my_flow", "flow", "l/s", "IT")
    assert dataset.target.to_numpy() == pytest.approx(VALUES[24:])
    assert len(dataset.validation_origins) > 15
    toml.write_text(toml.read_text("utf-8").replace('"l/s"', '"m3/h"'), encoding="utf-8")
    dataset_of_frame(2 * frame, "Europe/Rome", toml)
    again = load_dataset(load_spec(toml))
    assert again.spec.unit == "m3/h"
    assert again.target.to_numpy() == pytest.approx(2 * VALUES[24:])


@pytest.mark.parametrize("kept, prepare", [("Europe/Rome", ()), ("UTC", ("--timezone", "UTC"))])
def test_when_times_have_no_offset_then_they_are_local_unless_another_zone_is_given(
    kept, prepare, tmp_path
):
    times = HOURS.tz_convert(kept).strftime("%d.%m.%Y %H:%M")
    values = [f"{value:.2f}".replace(".", ",") for value in VALUES]
    file = write(tmp_path / "export.csv", "Zeit;Last [kW]", times, np.array(values), ";")
    dataset, _ = prepared(file, prepare=prepare)
    assert dataset.spec.raw == RawFile("Zeit", "Last [kW]", "Europe/Rome", "mean")
    assert (dataset.spec.target, dataset.spec.unit) == ("last", "kW")
    assert dataset.target.to_numpy() == pytest.approx(VALUES[24:])


def test_when_rows_are_quarters_of_an_hour_and_some_are_negative_then_that_is_written(tmp_path):
    quarters = pd.date_range(HOURS[0], periods=4 * len(HOURS), freq="15min")
    file = write(tmp_path / "net.csv", "time,net load (MW)", quarters, np.repeat(VALUES - 12, 4))
    weather = tmp_path / "weather.csv"
    weather.write_text(
        "dt_iso,wind_speed,temp,sun\n2020-02-01 00:00:00 +0000 UTC,1,2,3\n", encoding="utf-8"
    )
    dataset, _ = prepared(file, "--weather", weather, zone="Australia/Melbourne")
    spec = dataset.spec
    assert spec.optional_covariates == spec.past_covariates[:2] == ("temp", "wind_speed")
    assert (spec.target, spec.unit) == ("net_load", "MW")
    assert (spec.may_be_negative, spec.raw.aggregate) == (True, "mean")
    assert (spec.country, spec.hemisphere) == ("AU", "south")
    assert dataset.target.to_numpy() == pytest.approx(VALUES[24:] - 12)
    assert dataset.lowest is None


def test_when_a_toml_is_there_or_the_zone_is_of_no_place_then_nothing_is_written(tmp_path):
    file = write(tmp_path / "meter.csv", ",0", HOURS, VALUES)
    toml = tmp_path / "meter.toml"
    words = "new-dataset", file, "--out", toml, "--timezone"
    sentence = "timezone is 'Rome', expected that of a place, such as 'Europe/Rome'"
    assert sentence in hpo(*words, "Rome", code=2).err
    assert not toml.exists()
    toml.write_text("mine", encoding="utf-8")
    hpo(*words, "Europe/Rome", code=2)
    assert toml.read_text(encoding="utf-8") == "mine"
    registered = tmp_path / "heat.toml"
    hpo("new-dataset", file, "--out", registered, "--timezone", "Europe/Rome", code=2)
    assert not registered.exists()
