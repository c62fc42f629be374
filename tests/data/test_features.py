from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib import paths
from hpo_lib.data.csv_checks import WEATHER_COLUMNS
from hpo_lib.data.features import CALENDAR_COLUMNS, calendar_columns, engineer
from hpo_lib.data.raw_files import (
    prepare_features,
    read_raw_series,
    read_school_holidays,
    read_weather,
)
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError
from tests.conftest import refusal

REAL = paths.PROJECT_ROOT.parent / "shared/data/raw"
HEAT = replace(load_spec("heat"), start=None)
SCHOOL = "start_date,end_date,description"
LAGS = ("heat_lag_1h", "heat_lag_24h", "heat_rolling_24h")


def hours(start, n, step="h"):
    return pd.date_range(start, periods=n, freq=step, tz="UTC", name="timestamp")


def series(n, start="2019-01-01"):
    return pd.Series(1.0 + np.arange(n) ** 2 % 17, index=hours(start, n), name="heat_consumption")


def weather_table(index):
    steps = np.arange(len(index), dtype=float)
    return pd.DataFrame(
        {column: steps * (i + 1) - 5 for i, column in enumerate(WEATHER_COLUMNS)}, index=index
    )


# Calendar


@pytest.mark.parametrize(
    "index, expected",
    [
        # 2019-03-31: at 01:00 UTC clocks in Denmark go from 02:00 to 03:00.
        (hours("2019-03-30 23:00", 4), {"hour": [0, 1, 3, 4], "day_of_week": [6, 6, 6, 6]}),
        (hours("2019-10-26 23:00", 4), {"hour": [1, 2, 2, 3]}),  # 02:00 comes twice
        # Friday 2018-08-31 22:00 UTC is Saturday 2018-09-01 00:00 in Denmark: weekend, September,
        # autumn.
        (
            hours("2018-08-31 22:00", 1),
            {"hour": [0], "day_of_week": [5], "month": [9], "is_weekend": [1], "season": [3]},
        ),
        (
            hours("2019-01-07 05:00", 1),
            {"hour": [6], "hour_sin": [1.0], "hour_cos": [pytest.approx(0, abs=1e-15)]},
        ),
        (
            hours("2019-01-07 12:00", 7, "D"),  # Monday to Sunday
            {"day_of_week": [0, 1, 2, 3, 4, 5, 6], "is_weekend": [0, 0, 0, 0, 0, 1, 1]},
        ),
        (
            hours("2019-01-15", 12, "MS"),
            {
                "month": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1],
                "season": [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0],
            },
        ),
        (
            hours("2019-12-24 22:00", 2),
            {"is_public_holiday": [0, 1]},
        ),  # a holiday begins at local midnight
        (hours("2019-01-01", 0), {column: [] for column in CALENDAR_COLUMNS}),
    ],
    ids=["spring", "autumn", "local_day", "circle", "week", "year", "holiday", "no_hours"],
)
def test_when_calendar_columns_are_made_then_they_follow_local_time(index, expected):
    calendar = calendar_columns(index, HEAT, None)
    assert tuple(calendar) == CALENDAR_COLUMNS
    assert {column: calendar[column].tolist() for column in expected} == expected
    south = calendar_columns(index, replace(HEAT, hemisphere="south"), None)
    assert south.equals(calendar.assign(season=(calendar["season"] + 2) % 4))


@pytest.mark.parametrize(
    "when, country, timezone, hour, is_holiday",
    [
        ("2019-06-10 12:00", "DK", "Europe/Copenhagen", 14, 1),
        ("2024-04-26 12:00", "DK", "Europe/Copenhagen", 14, 0),  # no Great Prayer Day any more
        ("2019-12-24 12:00", "DK", "Europe/Copenhagen", 13, 0),
        ("2030-12-25 12:00", "DK", "Europe/Copenhagen", 13, 1),
        ("2019-07-05 03:00", "US", "America/New_York", 23, 1),  # 4 July
        ("2019-11-05 00:00", "AU", "Australia/Melbourne", 11, 0),
        ("2019-11-05 00:00", "AU-VIC", "Australia/Melbourne", 11, 1),  # Cup Day in Victoria alone
    ],
)
def test_when_country_and_zone_are_given_then_hours_and_public_holidays_are_theirs(
    when, country, timezone, hour, is_holiday
):
    spec = replace(HEAT, country=country, timezone=timezone)
    row = calendar_columns(hours(when, 1), spec, None).iloc[0]
    assert (row["hour"], row["is_public_holiday"]) == (hour, is_holiday)


@pytest.mark.parametrize(
    "country, advice",
    [
        ("XX", "a code that it knows, such as 'DK'"),
        ("AU-XY", "one of ACT, NSW, NT, QLD, SA, TAS, VIC, WA, NSW Western after 'AU-'"),
    ],
)
def test_when_the_country_is_unknown_then_the_error_names_the_toml(country, advice):
    with refusal(
        f"{HEAT.path}: country is {country!r}, which the holidays library does not know, expected "
        f"{advice}; fix country"
    ):
        calendar_columns(hours("2019-01-01", 1), replace(HEAT, country=country), None)


# Lags, weather and the whole table


def test_when_lags_are_made_then_they_are_the_values_by_hand():
    table = engineer(
        pd.Series(np.arange(100.0, 130.0), index=hours("2019-01-01", 30)), HEAT, None, None
    )
    assert table.index.equals(hours("2019-01-02", 6))
    # The rolling mean is that of 100 ... 123, without 124.
    assert table.iloc[0][["heat_consumption", *LAGS]].tolist() == [124, 123, 100, (100 + 123) / 2]
    assert table.iloc[-1]["heat_rolling_24h"] == (105 + 128) / 2
    assert len(engineer(series(25), HEAT, None, None)) == 1  # one hour longer than the longest lag
    named = replace(HEAT, past_covariates=("x_lag_3h", "x_rolling_2h"))
    target = pd.Series([1.0, 2.0, 4.0, 8.0, 16.0], index=hours("2019-01-01", 5))
    table = engineer(target, named, None, None)
    assert table[["x_lag_3h", "x_rolling_2h"]].to_numpy().tolist() == [[1, 3], [2, 6]]


def test_when_weather_is_given_then_its_columns_and_products_follow_the_order_of_the_spec():
    target = series(
        48, "2019-01-04"
    )  # a Friday: the rows kept begin on Saturday 2019-01-05 00:00 UTC
    table = engineer(target, HEAT, weather_table(target.index), None)
    assert list(table.columns) == [HEAT.target, *HEAT.past_covariates, *HEAT.future_covariates]
    row = table.loc["2019-01-05 06:00+00:00"]
    temp = 30.0 - 5
    wind = 30.0 * 5 - 5
    products = ["temp", "temp_squared", "temp_wind_interaction", "temp_weekend_interaction"]
    assert row[products].tolist() == [temp, temp**2, temp * wind, temp]
    weekdays = engineer(series(48), HEAT, weather_table(series(48).index), None)
    assert (weekdays["temp_weekend_interaction"] == 0).all()


@pytest.mark.parametrize(
    "target, spec, sentence",
    [
        (
            series(48),
            replace(HEAT, optional_covariates=()),
            f"{HEAT.path}: covariate 'temp' is neither a lag, a rolling mean, a calendar column "
            "nor made without weather; give weather that has it, fix its name or list it under "
            "optional_covariates",
        ),
        (
            series(24),
            HEAT,
            "heat_consumption: the series has 24 hours, expected more than 24 (the longest lag "
            f"in {HEAT.path}); give a longer series",
        ),
    ],
    ids=["covariate", "too_short"],
)
def test_when_a_table_cannot_be_engineered_then_the_error_says_why(target, spec, sentence):
    with refusal(sentence):
        engineer(target, spec, None, None)


@pytest.mark.parametrize("cut", [30, 47, 90])
def test_when_hours_after_a_cut_change_then_rows_up_to_it_stay(cut):
    rng = np.random.default_rng(cut)
    index = hours("2019-03-29", 100)
    target = pd.Series(rng.gamma(2, 1, 100), index=index, name=HEAT.target)
    weather = weather_table(index)
    other_target = target.copy()
    other_weather = weather.copy()
    other_target.iloc[cut + 1 :] = rng.gamma(2, 1e6, 99 - cut)
    other_weather.iloc[cut + 1 :] = rng.normal(0, 1e6, (99 - cut, 8))
    before = engineer(target, HEAT, weather, None).loc[: index[cut]]
    after = engineer(other_target, HEAT, other_weather, None).loc[: index[cut]]
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    shortened = engineer(target.iloc[: cut + 1], HEAT, weather.iloc[: cut + 1], None)
    pd.testing.assert_frame_equal(before, shortened, check_exact=True, check_freq=False)


# Raw series; it is checked by the same functions as an engineered CSV, whose sentences are in
# test_broken_inputs.py


def raw_lines(n=60, start="2019-01-01"):
    return [",0", *(f"{stamp},{value}" for stamp, value in series(n, start).items())]


def write(folder, lines):
    path = folder / "raw.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(folder, lines, spec=HEAT):
    return read_raw_series(write(folder, lines), spec)[0]


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        (
            "raw.csv",
            "\ufeff\ufeff\n",
            "this raw CSV is empty, expected a header and rows; give a filled CSV file",
        ),
        (
            "absent.csv",
            "",
            "cannot be read (No such file or directory); fix the file or its permissions",
        ),
        ("", "", "cannot be read (Is a directory); fix the file or its permissions"),
    ],
)
def test_when_a_raw_file_is_wrong_then_the_error_names_what_and_where(
    tmp_path, name, text, sentence
):
    (tmp_path / "raw.csv").write_text(text, encoding="utf-8")
    with refusal(f"{tmp_path / name}: {sentence}"):
        read_raw_series(tmp_path / name, HEAT)


# Weather


def weather_lines(index, zero=0):
    """An OpenWeatherMap bulk file, whose temperatures rise by 1 an hour from ``zero``."""
    return [
        "dt,dt_iso,city_name,temp,visibility,dew_point,pressure,humidity,wind_speed,rain_1h,snow_1h,clouds_all",
        *(
            f"0,{stamp:%Y-%m-%d %H:%M:%S} +0000 UTC,Town,{i + zero:.2f},,{zero - 2:.2f},"
            "1013,80,4.5,,,75"
            for i, stamp in enumerate(index)
        ),
    ]


@pytest.mark.parametrize("zero", [0, 273.15], ids=["degrees C", "Kelvin"])
def test_when_weather_is_read_then_empty_rain_is_zero_and_the_first_of_two_rows_counts(
    zero, tmp_path
):
    index = hours("2019-01-01", 5)
    lines = weather_lines(index, zero)
    lines.insert(3, lines[2].replace(f"Town,{1 + zero:.2f}", "Town,99"))
    weather, _ = read_weather(write(tmp_path, lines), index)
    assert list(weather.columns) == list(WEATHER_COLUMNS)
    assert (weather.index == index).all()
    assert weather["temp"].tolist() == pytest.approx([0, 1, 2, 3, 4])
    others = weather[["dew_point", "rain_1h", "pressure", "humidity"]].to_numpy()
    assert others == pytest.approx(np.tile([-2.0, 0, 1013, 80], (5, 1)))


@pytest.mark.parametrize(
    "missing, needed, temp, n_filled",
    [
        (slice(4, 7), hours("2019-01-01", 40), range(40), 3),
        # Filled from the row before the first hour that is needed.
        (slice(4, 7), hours("2019-01-01 04:00", 20), range(4, 24), 2),
        # A long gap outside does not matter.
        (slice(4, 15), hours("2019-01-01 20:00", 10), range(20, 30), 0),
        (slice(4, 8), hours("2019-01-01", 10), [0, 1, 2, 2, 2, 2, 2, 7, 8, 9], 4),
    ],
)
def test_when_hours_of_weather_are_missing_then_they_are_on_a_line_or_the_last_value_holds(
    tmp_path, missing, needed, temp, n_filled
):
    lines = weather_lines(hours("2019-01-01", 40))
    del lines[missing]
    weather, filled = read_weather(write(tmp_path, lines), needed)
    assert weather["temp"].tolist() == pytest.approx(list(temp))
    assert filled == n_filled


def in_line(line, column, cell):
    """Puts a cell into one line of a file, or into all lines after the header (line 0)."""

    def change(lines):
        table = [row.split(",") for row in lines]
        for cells in table[line - 1 : line] if line else table[1:]:
            cells[table[0].index(column)] = cell
        return [",".join(cells) for cells in table]

    return change


SPAN = "expected one for every hour from 2019-01-01 00:00 to 2019-01-01 09:00; add those hours or "
SPAN += "leave the weather file out"
WRONG_WEATHER = [
    *(
        (
            in_line(5, column, cell),
            f"line 5, column {column!r} is {cell}, expected {limits}, or an empty cell where the "
            "value is missing",
        )
        for column, cell, limits in (
            ("temp", "-9999", "-100 to 100 degrees C"),
            ("humidity", "900", "0 to 110 %"),
            ("rain_1h", "-1", "0 to 500 mm"),
            ("pressure", "101325", "500 to 1100 hPa"),
            ("wind_speed", "9999", "0 to 150 m/s"),
        )
    ),
    *(
        (
            change,
            f"column 'temp' has no value from 2019-01-01 {first} to 2019-01-01 {last} UTC, {SPAN}",
        )
        for change, first, last in (
            (lambda lines: [lines[0], *lines[2:]], "00:00", "00:00"),
            (lambda lines: lines[:9], "08:00", "09:00"),
            (in_line(0, "temp", ""), "00:00", "09:00"),
        )
    ),
    (
        in_line(1, "humidity", "wet"),
        "column 'humidity' is missing, the header has 'dt', 'dt_iso', 'city_name', 'temp', "
        "'visibility', 'dew_point', 'pressure', 'wet', 'wind_speed', 'rain_1h', 'snow_1h', "
        "'clouds_all'; fix the header, which must hold dt_iso, temp, dew_point, humidity, "
        "clouds_all, wind_speed, rain_1h, snow_1h, pressure",
    ),
    (
        in_line(1, "humidity", "temp"),
        "column 'temp' appears 2 times in the header, expected once; remove or rename the others",
    ),
]


@pytest.mark.parametrize("change, sentence", WRONG_WEATHER)
def test_when_weather_is_wrong_then_the_error_names_the_cell_or_what_is_missing(
    tmp_path, change, sentence
):
    hours_of_weather = hours("2019-01-01", 10)
    path = write(tmp_path, change(weather_lines(hours_of_weather)))
    with refusal(f"{path}: {sentence}"):
        read_weather(path, hours_of_weather)


THREE = replace(
    HEAT,
    past_covariates=("rain_1h", "temp_wind_interaction", "heat_lag_1h"),
    optional_covariates=(),
)


def test_when_the_dataset_lists_some_weather_then_the_file_may_lack_the_rest(tmp_path):
    index = hours("2019-01-01", 6)
    lines = [
        f"{stamp:%Y-%m-%d %H:%M:%S} +0000 UTC,{280.15 + i},2,0.5" for i, stamp in enumerate(index)
    ]
    weather = write(tmp_path, ["dt_iso,temp,wind_speed,rain_1h", *lines])
    raw = tmp_path / "series.csv"
    raw.write_text("\n".join(raw_lines(6)) + "\n", encoding="utf-8")
    prepare_features(THREE, raw, weather, None, tmp_path / "features.csv")
    table = pd.read_csv(tmp_path / "features.csv")
    assert table["rain_1h"].tolist() == [0.5] * 5
    assert table["temp_wind_interaction"].tolist() == pytest.approx(
        [16, 18, 20, 22, 24]
    )  # Kelvin was converted


# School holidays


WINTER = "2019-02-16,2019-02-24,Winter"
A_DATE = "expected a date such as '2019-12-21'; fix that cell"


@pytest.mark.parametrize(
    "lines, sentence",
    [
        (
            ["start_date,description", "2019-06-29,Summer"],
            "column 'end_date' is missing, the header has 'start_date', 'description'; fix the "
            "header, which must hold start_date, end_date, description",
        ),
        (
            [SCHOOL, WINTER, "2019-06-29,11.8.2019,Summer"],
            f"line 3, column 'end_date' is '11.8.2019', {A_DATE}",
        ),
        (
            [SCHOOL, "0000-02-01,2019-03-01,Winter"],
            f"line 2, column 'start_date' is '0000-02-01', {A_DATE}",
        ),
        (
            [SCHOOL, "2019-02-01,9999-03-01,Winter"],
            f"line 2, column 'end_date' is '9999-03-01', {A_DATE}",
        ),
        (
            [SCHOOL, "2019-02-30,2019-03-01,Winter"],
            f"line 2, column 'start_date' is '2019-02-30', {A_DATE}",
        ),
        (
            [SCHOOL, WINTER, "2019-08-11,2019-06-29,Summer"],
            "line 3, column 'end_date' is '2019-06-29', expected the start_date of that line or "
            "later; fix one of the two dates",
        ),
        ([SCHOOL], "this school holiday file has a header but no rows; give a filled CSV file"),
    ],
)
def test_when_school_holidays_are_wrong_then_the_error_names_the_line(tmp_path, lines, sentence):
    path = write(tmp_path, lines)
    with refusal(f"{path}: {sentence}"):
        read_school_holidays(path)


# prepare


def test_when_prepare_runs_then_the_csv_holds_every_bit_of_the_engineered_table(tmp_path):
    values = np.random.default_rng(0).gamma(2, 1, 72).tolist()
    lines = [",0", *(f"{s},{v!r}" for s, v in zip(hours("2019-01-01", 72), values, strict=True))]
    lines[29] = "2019-01-02 04:00:00+00:00,"
    out = tmp_path / "deep/features.csv"
    report = prepare_features(HEAT, write(tmp_path, lines), None, None, out)
    text = out.read_text(encoding="utf-8").splitlines()
    assert text[0] == ",".join(["timestamp", "heat_consumption", *LAGS, *CALENDAR_COLUMNS])
    assert text[1].startswith("2019-01-02 00:00:00+00:00,")
    assert report.splitlines() == [
        f"wrote {out}: 48 hours, 2019-01-02 00:00 to 2019-01-03 23:00 UTC",
        "filled 1 missing hours by the gap rule of the dataset",
        "left out the first 24 hours, which lack lags",
        f"left out, for lack of a weather file: {', '.join(HEAT.optional_covariates)}",
        "note: school holidays are listed for no day: is_school_holiday is 0 on all other days",
    ]
    back = pd.read_csv(out, index_col="timestamp", parse_dates=True)
    values[28] = (values[27] + values[29]) / 2
    target = pd.Series(values, hours("2019-01-01", 72))
    assert (back.to_numpy() == engineer(target, HEAT, None, None).to_numpy()).all()
    assert [file.name for file in out.parent.iterdir()] == ["features.csv"]


def test_when_school_holidays_end_early_or_weather_has_gaps_then_the_report_says_so(tmp_path):
    raw = write(tmp_path, raw_lines(72)).rename(tmp_path / "series.csv")
    holidays = write(tmp_path, [SCHOOL, "2018-12-21,2019-01-02,Christmas"])
    report = prepare_features(HEAT, raw, None, holidays, tmp_path / "features.csv")
    assert report.splitlines()[-1] == (
        "note: school holidays are listed for 2018-12-21 to 2019-01-02: is_school_holiday is 0 on "
        "all other days"
    )
    assert pd.read_csv(tmp_path / "features.csv")["is_school_holiday"].sum() == 23
    complete = write(tmp_path, [SCHOOL, "2019-01-01,2019-01-02,C", "2019-01-04,2019-01-04,W"])
    complete = complete.rename(tmp_path / "complete.csv")
    assert "note: " not in prepare_features(HEAT, raw, None, complete, tmp_path / "features.csv")
    # The last hour is the first one of the local 4 January.
    assert pd.read_csv(tmp_path / "features.csv")["is_school_holiday"].sum() == 24
    lines = weather_lines(hours("2019-01-01", 72))
    weather = write(tmp_path, [*lines[:10], *lines[12:]])
    report = prepare_features(HEAT, raw, weather, complete, tmp_path / "features.csv")
    assert report.splitlines()[2:] == [
        f"note: {weather}: 2 hours of weather were filled on a line, or with the last value in "
        "gaps of over 3 h."
    ]


def test_when_the_output_is_an_input_or_an_input_is_wrong_then_nothing_is_overwritten(tmp_path):
    raw = write(tmp_path, raw_lines())
    before = raw.read_text()
    link = tmp_path / "link.csv"
    link.symlink_to(raw)
    for out in (raw, link):
        with refusal(
            f"{out}: the output is also an input, which would be overwritten; give another --out"
        ):
            prepare_features(HEAT, raw, None, None, out)
    assert raw.read_text() == before
    out = tmp_path / "features.csv"
    out.write_text("earlier")
    write(tmp_path, [*raw_lines(), "2019-01-03 12:00:00+00:00,much"])
    with pytest.raises(
        InputError, match=r"raw\.csv: line 62, column 'heat_consumption' is 'much', expected a fi"
    ):
        prepare_features(HEAT, raw, None, None, out)
    assert out.read_text() == "earlier"


# The real files, where they are


def real(town):
    path = REAL / f"{town}_CombinedDataframe_SummedAveraged_withoutOutliers.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the repository (../shared/data/raw)")
    return path


@pytest.mark.parametrize(
    "dataset, town",
    [
        ("heat", "nordbyen"),
        pytest.param("water_centrum", "centrum", marks=pytest.mark.slow),
        pytest.param("water_tommerby", "tommerby", marks=pytest.mark.slow),
    ],
)
def test_when_a_real_file_is_prepared_then_every_hour_from_start_on_is_there(
    tmp_path, dataset, town
):
    spec = load_spec(dataset)
    assert spec.start is not None
    report = prepare_features(
        spec, real(town), None, REAL / "school_holidays.csv", tmp_path / "features.csv"
    )
    assert not [word for word in ("filled", "note") if word in report.replace(str(tmp_path), "")]
    table = pd.read_csv(tmp_path / "features.csv", index_col="timestamp", parse_dates=True)
    assert table.index[0] == spec.start + pd.Timedelta(days=1)
    assert (np.diff(table.index) == pd.Timedelta(hours=1)).all()
    assert not table.isna().any().any()
    assert 0.05 < table["is_school_holiday"].mean() < 0.35


@pytest.mark.parametrize(
    "start, sentence",
    [
        (None, r'from line 2 on.*set start = "2015-05-31 23:00"'),  # May 2015
        (
            "2015-06-01",
            r'is 1.06273 for 331 rows in a row from line 747 on.*set start = "2015-06-14 19:00"',
        ),
    ],
)
def test_when_the_real_heat_file_is_read_from_its_filler_on_then_the_error_leads_past_it(
    start, sentence
):
    spec = replace(HEAT, start=None if start is None else pd.Timestamp(start, tz="UTC"))
    with pytest.raises(InputError, match=sentence):
        read_raw_series(real("nordbyen"), spec)
