"""A user's own file, in the forms in which utilities export theirs. Expected are always the same
hours in UTC.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.raw_files import read_raw_series
from hpo_lib.data.spec import RawFile, load_spec
from tests.conftest import refusal

# Both changes of the clock in Rome: from 2020-03-28 to 2020-04-02 and from 2020-10-23 to
# 2020-10-27.
SPRING = pd.date_range("2020-03-28 00:00Z", periods=5 * 24, freq="h")
AUTUMN = pd.date_range("2020-10-23 00:00Z", periods=5 * 24, freq="h")


@pytest.fixture
def spec():
    return replace(load_spec("heat"), start=None, twin=None)


def value(number):
    return f"{number:.3f}"


def comma(number):
    return value(number).replace(".", ",")


def write(path, hours, header, row, form, zone):
    """A file of rising values, one per hour, with local times of a zone; and what should be read
    from it.
    """
    numbers = 10 + np.arange(len(hours)) / 8
    local = hours if zone is None else hours.tz_convert(zone)
    rows = [row(time.strftime(form), number) for time, number in zip(local, numbers, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return pd.Series(numbers, index=hours)


def plain(time, number):
    return f"{time},{value(number)}"


FORMS = {
    "semicolons_and_decimal_commas": (
        "Zeit;Last",
        lambda t, y: f"{t};{comma(y)}",
        "%d.%m.%Y %H:%M",
        "Europe/Rome",
        RawFile(timezone="Europe/Rome"),
    ),
    "tabs": (
        "time\tload",
        lambda t, y: f"{t}\t{value(y)}",
        "%Y-%m-%d %H:%M",
        None,
        RawFile(timezone="UTC"),
    ),
    "american_dates": (
        "Date,MW",
        plain,
        "%m/%d/%Y %I:%M %p",
        "America/New_York",
        RawFile(timezone="America/New_York"),
    ),
    "days_first": ("d,y", plain, "%d/%m/%Y %H:%M", "+01:00", RawFile(timezone="+01:00")),
    "offsets_of_summer_and_winter": (
        "time,load",
        plain,
        "%Y-%m-%dT%H:%M:%S%z",
        "Europe/Rome",
        RawFile(),
    ),
    "other_columns_beside": (
        "id,when,load,temp,note",
        lambda t, y: f"7,{t},{value(y)},{-y},ok",
        "%Y-%m-%d %H:%M:%S+00:00",
        None,
        RawFile(time_column="when", value_column="load"),
    ),
    "no_name_and_local_time": (
        ",0",
        plain,
        "%Y-%m-%d %H:%M",
        "Europe/Rome",
        RawFile(timezone="Europe/Rome"),
    ),
    "plain_with_an_offset": (",0", plain, "%Y-%m-%d %H:%M:%S%z", "+01:00", RawFile()),
    "two_times": (
        "from,to,load",
        lambda t, y: f"{t},{t},{value(y)}",
        "%Y-%m-%dT%H:%MZ",
        None,
        RawFile(time_column="from", value_column="load"),
    ),
}


@pytest.mark.parametrize("hours", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_when_a_file_has_its_own_form_then_the_hours_in_utc_are_read(
    name, newest_first, hours, spec, tmp_path
):
    header, row, form, zone, raw = FORMS[name]
    file = tmp_path / "own.csv"
    expected = write(file, hours, header, row, form, zone)
    if newest_first:
        lines = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join([lines[0], *lines[:0:-1]]), encoding="utf-8")
    series, filled, missing = read_raw_series(file, replace(spec, raw=raw))
    pd.testing.assert_series_equal(
        series, expected, check_names=False, check_freq=False, check_index_type=False
    )
    assert (filled, len(missing)) == (0, 0)
    earlier, _, _ = read_raw_series(file, replace(spec, raw=raw), end=hours[60])
    pd.testing.assert_series_equal(earlier, series[:61], check_freq=False)


def test_when_the_hour_that_exists_twice_is_there_once_then_it_is_the_first_and_the_second_is_a_gap(
    spec, tmp_path
):
    file = tmp_path / "own.csv"
    expected = write(file, AUTUMN, "time,load", plain, "%Y-%m-%d %H:%M", "Europe/Rome")
    lines = file.read_text(encoding="utf-8").splitlines()
    lines.remove(next(line for line in reversed(lines) if line.startswith("2020-10-25 02:00")))
    file.write_text("\n".join(lines), encoding="utf-8")
    series, filled, _ = read_raw_series(file, replace(spec, raw=RawFile(timezone="Europe/Rome")))
    assert filled == 1  # 2020-10-25 01:00 UTC, on the line between its neighbours
    assert series.to_numpy() == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize("how, factor", [("mean", 1), ("sum", 4)])
@pytest.mark.parametrize("zone", ["Europe/Rome", "Asia/Kolkata"])
def test_when_rows_are_a_quarter_of_an_hour_apart_then_hours_are_their_means_or_sums(
    how, factor, zone, spec, tmp_path
):
    quarters = pd.date_range(AUTUMN[0], periods=4 * len(AUTUMN), freq="15min")
    file = tmp_path / "own.csv"
    write(file, quarters, "time;load", lambda t, y: f"{t};{comma(y)}", "%d.%m.%Y %H:%M", zone)
    series, _, _ = read_raw_series(file, replace(spec, raw=RawFile(timezone=zone, aggregate=how)))
    first = 10 + 1.5 / 8  # the mean of 10, 10 1/8, 10 2/8 and 10 3/8
    assert series.index.equals(AUTUMN.rename("timestamp"))
    assert series.to_numpy() == pytest.approx(factor * (first + np.arange(len(AUTUMN)) / 2))


def test_when_an_hour_lacks_a_step_or_a_value_then_it_is_empty(spec, tmp_path):
    halves = pd.date_range(AUTUMN[0], periods=2 * len(AUTUMN), freq="30min")
    file = tmp_path / "own.csv"
    write(file, halves, "time,load", plain, "%Y-%m-%d %H:%MZ", None)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[41] = lines[41].split(",")[0] + ","  # a value of the hour 20
    del lines[61]  # a step of the hour 30
    file.write_text("\n".join(lines), encoding="utf-8")
    _, filled, _ = read_raw_series(file, replace(spec, raw=RawFile(aggregate="mean")))
    assert filled == 2


TWO_HOURS = "time,load\n2020-01-01 00:00,1\n2020-01-01 01:00,2"
WRONG = {
    "no_zone": (
        TWO_HOURS,
        RawFile(),
        "timestamps have no time zone (line 2: '2020-01-01 00:00'); pass --timezone UTC, "
        "Europe/Rome or, for one offset all year, +01:00 (or timezone under [raw])",
    ),
    "unknown_zone": (
        TWO_HOURS,
        RawFile(timezone="Rome"),
        "timezone is 'Rome', expected UTC, an IANA name such as Europe/Rome, or +01:00; fix it",
    ),
    "skipped_hour": (
        "time,load\n2020-03-29 01:00,1\n2020-03-29 02:00,2",
        RawFile(timezone="Europe/Rome"),
        "line 3, column 'time' is '2020-03-29 02:00', which the clock of Europe/Rome skips; if the "
        "file keeps one offset all year, give that as --timezone, such as +01:00",
    ),
    "mixed_offsets": (
        "time,load\n2020-01-01 00:00Z,1\n2020-01-01 01:00,2",
        RawFile(),
        "line 3, column 'time' is '2020-01-01 01:00', with no offset from UTC, unlike line 2; "
        "write all alike",
    ),
    "unreadable_time": (
        "time,load\n2020-01-01 00:00,1\nyesterday,2",
        RawFile(timezone="UTC"),
        "line 3, column 'time' is 'yesterday', expected a time such as '2018-04-01 00:00' or "
        "'01.04.2018 00:00'; fix it",
    ),
    "two_values": (
        "time,a,b\n2020-01-01 00:00,1,2\n2020-01-01 01:00,2,2",
        RawFile(),
        "has the columns 'time', 'a', 'b', expected a time and a value; name them with "
        "--time-column and --value-column, or time_column and value_column under [raw]",
    ),
    "misnamed_column": (
        TWO_HOURS,
        RawFile(value_column="laod"),
        "column 'laod' is missing, the header has 'time', 'load'; fix its name",
    ),
    "quarters": (
        "time,load\n2020-01-01 00:00Z,1\n2020-01-01 00:15Z,1\n2020-01-01 00:30Z,1",
        RawFile(),
        "rows are 15 minutes apart, expected an hour; give --aggregate mean for a rate such as kW "
        "or m3/h, or --aggregate sum for amounts such as kWh or m3 (or aggregate under [raw])",
    ),
    "quarter_twice": (
        "time,load\n"
        "2020-01-01 00:00Z,1\n2020-01-01 00:15Z,1\n2020-01-01 00:15Z,1\n2020-01-01 00:30Z,1",
        RawFile(aggregate="sum"),
        "line 4, column 'time' is '2020-01-01 00:15:00+00:00', which an earlier line already has, "
        "expected every time once; remove one",
    ),
    "negative_quarters": (
        "time,load\n"
        "2020-01-01 00:00Z,1\n2020-01-01 00:15Z,1\n2020-01-01 00:30Z,1\n2020-01-01 00:45Z,1\n"
        "2020-01-01 01:00Z,-1\n2020-01-01 01:15Z,-1\n2020-01-01 01:30Z,-1\n2020-01-01 01:45Z,-1",
        RawFile(aggregate="mean"),
        "line 6, column 'heat_consumption' is -1, expected at least 0; fix that cell, leave it "
        "empty, or set may_be_negative = true in the dataset's TOML if it is right",
    ),
    "days": (
        "time,load\n2020-01-01,1\n2020-01-02,1\n2020-01-03,1",
        RawFile(timezone="UTC"),
        "rows are 1440 minutes apart, expected an hour, or a part of one",
    ),
    "thousands": (
        "time;load\n2020-01-01 00:00;1.234,5\n2020-01-01 01:00;2",
        RawFile(timezone="UTC"),
        "line 2, column 'load' is '1.234,5', expected one decimal sign and no separator of "
        "thousands; write it without one",
    ),
    "whole_thousands": (
        "time;load\n2020-01-01 00:00;979\n2020-01-01 01:00;1.163\n2020-01-01 02:00;816",
        RawFile(timezone="UTC"),
        "line 3, column 'load' is '1.163', expected one decimal sign and no separator of "
        "thousands; write it without one",
    ),
    "twice": (
        "time,load\n2020-01-01 00:00Z,1\n2020-01-01 00:00Z,2\n2020-01-01 01:00Z,2",
        RawFile(),
        "line 3, column 'timestamp' is '2020-01-01 00:00:00+00:00', which line 2 already has, "
        "expected every hour once; remove one of the rows, or give `hpo prepare` the --timezone if "
        "summer time ends there",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_when_a_file_cannot_be_read_for_sure_then_the_error_says_what_to_give(name, spec, tmp_path):
    text, raw, sentence = WRONG[name]
    file = tmp_path / "own.csv"
    file.write_text(f"{text}\n", encoding="utf-8")
    with refusal(f"{file}: {sentence}"):
        read_raw_series(file, replace(spec, raw=raw))
