"""What a valid dataset becomes; what a broken one says is in test_broken_inputs.py."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from hpo_lib import paths
from hpo_lib.data.dataset import fingerprint_frame, load_dataset
from hpo_lib.data.raw_files import prepare_features
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError
from tests.conftest import refusal
from tests.data.conftest import small_frame


def test_when_the_dataset_is_valid_then_the_frame_holds_the_columns_of_its_roles(small):
    dataset = small.load()
    past = ("temp", "water_lag_1h")
    future = ("hour", "day_of_week", "is_weekend")
    assert (dataset.past, dataset.future) == (past, future)
    assert list(dataset.frame) == ["water_consumption", *past, *future]
    assert_frame_equal(
        dataset.frame, small_frame().astype("float64"), check_exact=True, check_index_type=False
    )
    assert (dataset.source, dataset.path, dataset.n_filled) == ("csv", str(small.csv), 0)
    assert dataset.sha256 == hashlib.sha256(small.csv.read_bytes()).hexdigest()


def test_when_an_optional_column_is_absent_and_another_is_unknown_then_the_roles_shrink(small):
    pd.read_csv(small.csv).drop(columns="temp").assign(note="n/a").to_csv(small.csv, index=False)
    dataset = small.load()
    assert list(dataset.frame) == ["water_consumption", "water_lag_1h", *dataset.future]
    assert dataset.past == ("water_lag_1h",)


@pytest.mark.parametrize(
    "old, new",
    [
        ('"day_of_week", ', ""),
        ('country = "DK"', 'country = "DK"\nstart = "2018-04-02 00:00"'),
    ],
)
def test_when_another_part_of_the_file_is_used_then_its_fingerprint_is_another(small, old, new):
    whole = small.load()
    small.edit_toml(old, new)
    assert small.load().sha256 not in (whole.sha256, fingerprint_frame(whole.frame))


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(b"+00:00", b""),
        lambda text: re.sub(rb"(\d) (\d\d:00:00)\+00:00", rb"\1T\2Z", text),
        lambda text: text.replace(b":00+00:00", b"+0000"),
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n") + b"\r\n\r\n",
        lambda text: text.replace(b",", b" , "),
        lambda text: text.replace(b",0\n", b",False\n").replace(
            b",1\n", b",True\n"
        ),  # is_weekend is the last column
    ],
    ids=["no_offset", "t_and_z", "no_seconds", "windows", "blanks", "true_and_false"],
)
def test_when_the_same_data_is_written_in_another_form_then_it_loads_alike(small, rewrite):
    expected = small.load().frame
    text = small.csv.read_bytes()
    small.csv.write_bytes(rewrite(text))
    assert small.csv.read_bytes() != text
    assert_frame_equal(small.load().frame, expected)


def test_when_start_is_set_then_earlier_values_are_unused_but_lines_count_from_the_top(small):
    small.edit_toml("\n[splits]", 'start = "2018-04-03 00:00"\n\n[splits]')
    small.set_cell(2, "water_consumption", "-1", 49)
    small.drop(3, 12)
    assert small.load().frame.index[0] == pd.Timestamp("2018-04-03 00:00Z")
    small.set_cell(45, "water_consumption", "-2")
    with pytest.raises(InputError, match=r"line 45, column 'water_consumption' is -2"):
        small.load()


def test_when_the_target_repeats_for_47_hours_then_it_is_no_filler(small):
    small.set_cell(100, "water_consumption", "1.5", 146)
    small.load()
    small.set_cell(147, "water_consumption", "1.500000000001")
    with pytest.raises(InputError, match=r"is 1.5 for 48 rows in a row from line 100 on"):
        small.load()


def test_when_cells_are_empty_then_they_are_filled_linearly_and_each_hour_counts_once(small):
    complete = small.load().frame
    small.set_cell(
        35, "water_consumption", "", 37
    )  # hours 33, 34, 35 of the data: within one day, so a straight line
    small.set_cell(36, "temp", "nan", 38)  # 34 and 35 again, and 36
    dataset = small.load()
    assert dataset.n_filled == 4
    assert dataset.frame["water_consumption"].to_numpy() == pytest.approx(
        complete["water_consumption"].to_numpy()
    )
    # temp is 5 + hour % 7: 10 at hour 33 and 7 at hour 37, a straight line between
    assert dataset.frame["temp"].iloc[33:38].tolist() == pytest.approx([10, 9.25, 8.5, 7.75, 7])


def test_when_a_whole_local_day_is_missing_then_its_calendar_is_known_but_no_holiday(small):
    complete = small.load().frame
    small.edit_toml("max_hours = 3", "max_hours = 30")
    small.drop(47, 73)
    calendar = ["hour", "day_of_week", "is_weekend"]
    assert_frame_equal(small.load().frame[calendar], complete[calendar])
    small.edit_toml("is_weekend", "is_holiday")
    small.replace("is_weekend", "is_holiday")
    with pytest.raises(
        InputError, match=r"'is_holiday' has no value on the whole local day of 2018-04-03"
    ):
        small.load()


@pytest.mark.parametrize("line", [3, 23, 24, 1000, 2160])  # 23 is a Sunday 23:00, local time
def test_when_a_single_hour_is_dropped_then_it_is_filled_and_counted(small, line):
    complete = small.load().frame
    small.drop(line)
    dataset = small.load()
    assert dataset.n_filled == 1
    row = dataset.frame.iloc[line - 2]
    hole = complete.iloc[[line - 3, line - 1]]
    assert row["water_consumption"] == pytest.approx(hole["water_consumption"].mean())
    calendar = ["hour", "day_of_week", "is_weekend"]  # never between two hours or half a weekend
    assert row[calendar].tolist() == complete[calendar].iloc[line - 2].tolist()
    assert_frame_equal(dataset.frame.drop(row.name), complete.drop(row.name), check_freq=False)


def test_when_the_csv_is_in_the_data_folder_then_it_is_taken_before_the_one_beside_the_toml(
    small, tmp_path, monkeypatch
):
    data_dir = tmp_path / "elsewhere"
    data_dir.mkdir()
    inside = data_dir / "small.csv"
    inside.write_text("\n".join(small.lines()) + "\n\n")
    dataset = load_dataset(load_spec(small.toml), data_dir)
    assert dataset.path == str(inside)
    assert dataset.sha256 == hashlib.sha256(inside.read_bytes()).hexdigest() != small.load().sha256
    small.csv.unlink()
    small.edit_toml('"small.csv"', f'"{inside}"')
    assert small.load().path == str(inside), "an absolute one is used as it is"
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path)
    assert small.load().path == "elsewhere/small.csv", "records do not name the machine"


def test_when_the_csv_is_absent_then_the_twin_is_used_from_start_on_and_says_so(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "DATA_DIR", tmp_path)
    spec = replace(load_spec("heat"), start=pd.Timestamp("2020-01-01 00:00Z"))
    dataset = load_dataset(spec)
    assert (dataset.source, dataset.path, dataset.n_filled) == (
        "simulated",
        "simulated twin of heat",
        0,
    )
    assert (dataset.past, dataset.future) == (spec.past_covariates, spec.future_covariates)
    assert list(dataset.frame) == [spec.target, *dataset.past, *dataset.future]
    assert dataset.frame.index[0] == spec.start
    assert dataset.sha256 == fingerprint_frame(dataset.frame)


def test_when_a_dataset_has_no_twin_then_an_absent_csv_is_an_error(tmp_path, monkeypatch):
    csv = "processing/nordbyen_processing/nordbyen_features_engineered.csv"
    make = f"`hpo prepare --dataset heat --raw RAW.csv --out {tmp_path}/{csv}`"
    monkeypatch.setattr(paths, "DATA_DIR", tmp_path)
    with refusal(
        f"datasets/heat.toml: the CSV of dataset 'heat' was not found (looked for {tmp_path}/{csv} "
        f"and datasets/{csv}); put it there, or make it with {make}"
    ):
        load_dataset(replace(load_spec("heat"), twin=None))


def test_when_the_folder_that_was_named_lacks_the_csv_then_nothing_else_is_used_in_its_place(
    small, tmp_path
):
    """Neither the file beside the TOML nor the twin."""
    folder = tmp_path / "named"
    small.edit_toml("\n[gaps]", '\n[twin]\nkind = "water"\nseed = 1\nmean_level = 1\n\n[gaps]')
    with refusal(
        f"{small.toml}: the CSV of dataset 'small' was not found (looked for {folder}/small.csv); "
        f"put it there, or make it with `hpo prepare --dataset {small.toml} --raw RAW.csv --out "
        f"{folder}/small.csv`, or ask for simulated data with --simulated"
    ):
        load_dataset(load_spec(small.toml), folder)


def test_when_simulated_data_is_asked_for_then_it_is_used_though_the_csv_is_there(tmp_path):
    spec = load_spec("heat")
    csv = tmp_path / spec.csv
    csv.parent.mkdir(parents=True)
    csv.write_text("not read\n", encoding="utf-8")
    assert load_dataset(spec, tmp_path, simulated=True).source == "simulated"
    with pytest.raises(InputError, match=r"table \[twin\] is missing"):
        load_dataset(replace(spec, twin=None), simulated=True)


def test_when_a_value_name_or_hour_changes_then_the_fingerprint_does_but_not_with_the_unit():
    frame = small_frame().astype("float64")
    same = frame.set_axis(frame.index.as_unit("s"))
    value = frame.copy()
    value.iloc[50, 3] = np.nextafter(value.iloc[50, 3], 1)
    column = frame.rename(columns={"temp": "temp2"})
    hour = frame.set_axis(frame.index + pd.Timedelta(hours=1))
    assert fingerprint_frame(same) == fingerprint_frame(frame)
    assert len({fingerprint_frame(each) for each in (frame, value, column, hour)}) == 4


# The dataset that ships


def test_when_the_shipped_csv_is_prepared_from_its_own_target_and_weather_then_it_is_the_same(
    tmp_path,
):
    """All that `hpo prepare` makes follows from these; the first day has no lags."""
    shipped = load_dataset("bike_dc", tmp_path / "another folder")
    assert (shipped.source, shipped.path) == ("csv", "datasets/bike_dc.csv.xz")
    assert f"# SHA-256 of the CSV, unpacked: {shipped.sha256}\n" in shipped.spec.path.read_text()
    assert [len(part) for part in shipped.daily_origins.values()] == [448, 121, 154]
    raw, weather, new, packed = (
        tmp_path / name for name in ("raw.csv", "weather.csv", "new.csv", "new.csv.xz")
    )
    shipped.target.rename("0").to_csv(raw, index_label="")
    hours = shipped.index.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").rename("dt_iso")
    shipped.frame[["temp", "humidity", "wind_speed"]].set_axis(hours).to_csv(weather)
    prepare_features(shipped.spec, raw, weather, None, new)
    made = load_dataset(replace(shipped.spec, csv=str(new)))
    assert_frame_equal(made.frame, shipped.frame.iloc[24:], check_exact=True)
    packed.write_bytes((paths.DATASETS_DIR / "bike_dc.csv.xz").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"new.csv.xz: cannot be unpacked \(.+\); restore it"):
        load_dataset(replace(shipped.spec, csv=str(packed)))
