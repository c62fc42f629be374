"""Every broken input ends in one exact sentence, never in the traceback of a library.

Sentences are given without the path of the file that they begin with.
"""

import pytest

from hpo_lib.errors import InputError

EMPTY = "this engineered CSV is empty, expected a header and rows; make it with `hpo prepare`"
A_UTC_TIME = ", expected a UTC time such as '2018-04-01 00:00:00+00:00'; fix that cell"
ALL_UTC = ", expected UTC in all rows, with an offset in all or none; convert the timestamps"
A_NUMBER = (
    ", expected a finite number with a decimal point, or an empty cell where the value is "
    "missing; fix that cell"
)
LARGEST = ", expected a number of at most 1e+12; fix that cell"
FIELDS = (
    "leave nothing between the commas of a missing value, write decimal points, and quote text "
    "that holds a comma"
)
AS_CSV = "save it as CSV in UTF-8"
COLUMNS = "run `hpo prepare` on a raw CSV, or fix the columns here or in the dataset's TOML"
REQUIRED = "'timestamp', 'water_consumption', 'water_lag_1h', 'hour', 'day_of_week', 'is_weekend'"
FILL = (
    "UTC on (near line {}), and only gaps between values are filled, by a rule under [gaps] in the "
    "dataset's TOML; fill these cells, remove their rows, or begin after them (start in the TOML)"
)
MOVE = "fill some of the gaps, or move the dates under [splits] in {path}/small.toml"
STUCK = "expected a series that varies; leave these cells empty"
NEGATIVE = (
    ", expected at least 0; fix that cell, leave it empty, or set may_be_negative = true in the "
    "dataset's TOML if it is right"
)
COVERS = "do not fit the data, which covers 2018-04-01 00:00 to {} UTC"
DATES = (
    "a training split needs 912 hours, the others whole days; move the dates, or set train = 0.7 "
    "and val = 0.2 instead, for which 60 days are enough, under [splits] in {path}/small.toml"
)
END = "2018-06-29 23:00"
A_TEXT = "a non-empty text in one line, with at most one $"
A_TIME = "expected a full hour in UTC such as '2018-12-31 23:00'"

# One wrong cell: line, column, cell, what follows "line L, column C is CELL"
CELLS = [
    (9, "timestamp", "01/04/2018 07:00", A_UTC_TIME),
    (9, "timestamp", "2018-04-01 07:00:00", ALL_UTC),
    (
        9,
        "timestamp",
        "2018-04-01 07:30:00+00:00",
        ", expected a full hour; `hpo prepare --aggregate` makes hours of shorter steps",
    ),
    (
        9,
        "timestamp",
        "2018-04-01 06:00:00+00:00",
        ", which line 8 already has, expected every hour once; remove one of the rows, or give "
        "`hpo prepare` the --timezone if summer time ends there",
    ),
    (12, "water_consumption", '"1.234,5"', A_NUMBER),
    (12, "temp", "n/a", A_NUMBER),
    (12, "water_lag_1h", "inf", A_NUMBER),
    (12, "water_consumption", "1e300", LARGEST),
    (12, "water_lag_1h", "-9e12", LARGEST),
    (
        12,
        "water_consumption",
        "2.5e+07",
        ", expected at most 1e+06 times the median of 22.5915; fix that cell or leave it empty",
    ),
    (
        12,
        "temp",
        "-9999",
        ", expected -100 to 100 degrees C, or an empty cell where the value is missing",
    ),
    (9, "timestamp", "now", A_UTC_TIME),
    (9, "timestamp", "0000-04-01 07:00:00+00:00", A_UTC_TIME),
    (2161, "timestamp", "9999-06-29 23:00:00+00:00", A_UTC_TIME),  # 70 million hours
    (40, "water_consumption", "-0.5", NEGATIVE),
    (33, "hour", "24", ", expected a whole number from 0 to 23; fix that cell"),
    (33, "hour", "7.5", ", expected a whole number from 0 to 23; fix that cell"),
    (33, "day_of_week", "7", ", expected a whole number from 0 to 6; fix that cell"),
    (33, "is_weekend", "2", ", expected 0 or 1; fix that cell"),
]

# Equal cells from one line to another: line, last line, column, cell, sentence
RANGES = [
    (
        2,
        25,
        "water_lag_1h",
        "",
        "column 'water_lag_1h' has no value for 24 h from 2018-04-01 00:00 " + FILL.format(2),
    ),
    (
        2161,
        2161,
        "water_consumption",
        "",
        "column 'water_consumption' has no value for 1 h from 2018-06-29 23:00 "
        + FILL.format(2161),
    ),
    (
        2,
        2161,
        "temp",
        "",
        "column 'temp' has no value for 2160 h from 2018-04-01 00:00 " + FILL.format(2),
    ),
    (
        482,
        1201,
        "water_consumption",
        "",  # hours 480 to 1199: daily origins up to 455 and from 1367 on are left
        "720 hours are in gaps longer than the gap rule fills, and only 17 of 54 daily forecasts "
        "of the training split "
        f"touch none of them with their 168 hours of history, expected at least 30; {MOVE}",
    ),
    (
        1466,
        1700,
        "water_consumption",
        "",  # hours 1464 to 1698
        "235 hours are in gaps longer than the gap rule fills, and only 0 of 15 daily forecasts "
        "of the validation split "
        f"touch none of them with their 168 hours of history, expected at least 1; {MOVE}",
    ),
    (
        2,
        49,
        "water_consumption",
        "1.5",
        f"column 'water_consumption' is 1.5 for 48 rows in a row from line 2 on, {STUCK} or "
        'set start = "2018-04-03 00:00" in its TOML',
    ),
    (
        2101,
        2161,
        "water_consumption",
        "1.5",
        f"column 'water_consumption' is 1.5 for 61 rows in a row from line 2101 on, {STUCK}",
    ),
    (
        2,
        2161,
        "water_consumption",
        "0",
        f"column 'water_consumption' is 0 for 2160 rows in a row from line 2 on, {STUCK}",
    ),
    (2, 2161, "temp", "1,23", f"line 2 has 8 fields, expected 7 as in the header; {FIELDS}"),
    (7, 7, "temp", "1,23", f"line 7 has 8 fields, expected 7 as in the header; {FIELDS}"),
    (
        7,
        7,
        "temp",
        '"5',
        "line 7 has a cell that goes on in the next line; close its quote, or write it in one line",
    ),
]

FILES = {
    "blank_file": (lambda d: d.csv.write_bytes(b"\n \n\n"), EMPTY),
    "header_only": (
        lambda d: d.write(d.lines()[:1]),
        "this engineered CSV has a header but no rows; make it with `hpo prepare`",
    ),
    "blank_first_line": (
        lambda d: d.write(["", *d.lines()]),
        "line 2 has 7 fields, expected 0 as in the header; " + FIELDS,
    ),
    "binary_file": (
        lambda d: d.csv.write_bytes(b"PK\x03\x04\n\xe5\x00"),
        "is a ZIP archive or an Excel file; unpack it, or save it as CSV",
    ),
    "latin_1_file": (
        lambda d: d.csv.write_bytes(d.csv.read_bytes().replace(b"temp", b"v\xe6rme")),
        f"not a UTF-8 text file (byte 0xe6 in line 1); {AS_CSV}",
    ),
    "nul_bytes": (
        lambda d: d.csv.write_bytes(d.csv.read_bytes() + bytes(512)),
        f"not a text file (NUL byte in line 2162); {AS_CSV}",
    ),
    "semicolons": (
        lambda d: d.replace(",", ";"),
        f"column {REQUIRED} is missing, the header has 'timestamp;water_consumption;temp;"
        f"water_lag_1h;hour;day_of_week;is_weekend'; {COLUMNS}",
    ),
    "two_columns_missing": (
        lambda d: d.write(
            ["timestamp,temp,hours,day_of_week,is_weekend,target", "2018-04-01 00:00:00,1,2,3,4,5"]
        ),
        "column 'water_consumption', 'water_lag_1h', 'hour' is missing, the header has "
        f"'timestamp', 'temp', 'hours', 'day_of_week', 'is_weekend', 'target'; {COLUMNS}",
    ),
    "column_twice": (
        lambda d: d.replace("temp", "hour", 1),
        "column 'hour' appears 2 times in the header, expected once; remove or rename the others",
    ),
    "row_of_too_few_fields": (
        lambda d: d.write([*d.lines()[:8], d.lines()[8].rsplit(",", 1)[0], *d.lines()[9:]]),
        f"line 9 has 6 fields, expected 7 as in the header; {FIELDS}",
    ),
    "blank_line_inside": (
        lambda d: d.write([*d.lines()[:9], "", *d.lines()[9:]]),
        f"line 10, column 'timestamp' is ''{A_UTC_TIME}",
    ),
    "timestamps_change_offset": (
        lambda d: d.replace("+00:00", "+02:00", 3),
        f"line 2, column 'timestamp' is '2018-04-01 00:00:00+02:00'{ALL_UTC}",
    ),
    "timestamps_unsorted": (
        lambda d: d.write([*d.lines()[:4], d.lines()[5], d.lines()[4], *d.lines()[6:]]),
        "line 6, column 'timestamp' is '2018-04-01 03:00:00+00:00', which is before the line "
        "above; sort the rows by timestamp",
    ),
    "rows_missing_without_a_rule": (
        lambda d: (d.edit_toml('"linear"', '"none"'), d.drop(50, 53)),
        "column 'water_consumption' has no value for 4 h from 2018-04-03 00:00 " + FILL.format(49),
    ),
    "cells_empty_without_a_rule": (
        lambda d: (
            d.edit_toml('fill = "linear"\nmax_hours = 3', 'fill = "none"\nmax_hours = 9'),
            d.set_cell(100, "temp", "NaN", 101),
        ),
        "column 'temp' has no value for 2 h from 2018-04-05 02:00 " + FILL.format(100),
    ),
    "start_after_the_data": (
        lambda d: d.edit_toml("\n[splits]", 'start = "2020-01-01"\n\n[splits]'),
        "covers 2018-04-01 00:00 to 2018-06-29 23:00 UTC, expected hours from start (2020-01-01 "
        "00:00) on; fix start in {path}/small.toml or give a file that goes on longer",
    ),
    "val_end_after_the_data": (
        lambda d: d.edit_toml("2018-06-15 23:00", "2018-12-31 23:00"),
        "training to 2018-05-31 23:00, validation to 2018-12-31 23:00 "
        f"{COVERS.format(END)}; {DATES}",
    ),
    "test_end_after_the_data": (
        lambda d: d.edit_toml("\n[gaps]", 'test_end = "2018-07-31 23:00"\n\n[gaps]'),
        "training to 2018-05-31 23:00, validation to 2018-06-15 23:00, test to 2018-07-31 23:00 "
        f"{COVERS.format(END)}; {DATES}",
    ),
    "training_too_short": (
        lambda d: d.edit_toml("2018-05-31 23:00", "2018-05-08 22:00"),
        "training to 2018-05-08 22:00, validation to 2018-06-15 23:00 "
        f"{COVERS.format(END)}; {DATES}",
    ),
    "validation_too_short": (
        lambda d: d.edit_toml("2018-06-15 23:00", "2018-06-01 22:00"),
        "training to 2018-05-31 23:00, validation to 2018-06-01 22:00 "
        f"{COVERS.format(END)}; {DATES}",
    ),
}

A_COUNTRY = (
    "expected a two-letter ISO code such as 'DK', or one with a subdivision such as 'AU-VIC'"
)
KEYS = (
    "allowed: country, csv, day_ahead_weather, frequency, future_covariates, gaps, hemisphere, "
    "may_be_negative, name, "
    "optional_covariates, past_covariates, raw, splits, start, target, timezone, title, twin, unit"
)
TWIN = '\n[twin]\nkind = "heat"\nseed = 1\nmean_level = {}\n\n[gaps]'

DATES_OR_SHARES = "expected train_end and val_end, or shares such as train = 0.7 and val = 0.2"
DAYS = 'train_end = "2018-05-31 23:00"\nval_end = "2018-06-15 23:00"\n'

WEATHER = "\n[day_ahead_weather]\n{}\n\n[gaps]"

# A wrong TOML: text in it, its replacement, sentence
TOMLS = [
    *(
        (DAYS, splits, sentence)
        for splits, sentence in (
            ("", f"splits states nothing, {DATES_OR_SHARES}"),
            ("train = 0.7\n", f"splits states train, {DATES_OR_SHARES}"),
            ("val_end = 2018-06-15\n", f"splits states val_end, {DATES_OR_SHARES}"),
            (
                f"{DAYS}train = 0.7\nval = 0.2\n",
                f"splits states train_end and val_end and train and val, {DATES_OR_SHARES}",
            ),
            (
                "train = 0.9\nval = 0.2\n",
                "splits.train and splits.val are 1.1 together, expected at most 1",
            ),
            (
                "train = 70\nval = 0.2\n",
                "splits.train is 70, expected a share between 0 and 1, such as 0.7",
            ),
            (
                "train = 0.7\nval = 0.2\norigin_hour = 24\n",
                "splits.origin_hour is 24, expected a local hour from 0 to 23",
            ),
        )
    ),
    *(
        ("\n[gaps]", WEATHER.format(lines), sentence)
        for lines, sentence in (
            (
                'kind = "observed"',
                "day_ahead_weather.kind is 'observed' without columns; list columns, such as "
                '"temp"',
            ),
            (
                'kind = "degraded"\ncolumns = ["temp"]',
                "day_ahead_weather.errors lacks 'temp'; add its errors 1 h and 24 h ahead, such "
                "as [0.7, 1.6]",
            ),
            (
                'kind = "degraded"\ncolumns = ["temp"]\nerrors = { temp = [1] }',
                "day_ahead_weather.errors.temp is [1], expected two numbers of at least 0, such "
                "as [0.7, 1.6]",
            ),
            (
                'kind = "perfect"',
                "day_ahead_weather.kind is 'perfect'; allowed: none, forecast, observed, degraded",
            ),
            (
                'kinds = "none"',
                "unknown key day_ahead_weather.kinds; did you mean kind? allowed: "
                "autocorrelation, columns, csv, errors, kind, seed",
            ),
        )
    ),
    (
        "[splits]",
        "[splits",
        "not valid TOML, Expected ']' at the end of a table declaration (at line 13, column 8); "
        "fix that line",
    ),
    ('unit = "m3/h"\n', "", "key 'unit' is missing; add it (see datasets/README.md)"),
    ("max_hours = 3", "", "key 'gaps.max_hours' is missing; add it (see datasets/README.md)"),
    (
        'fill = "linear"\nmax_hours = 3\n',
        "",
        "key 'gaps.fill' is missing; add it (see datasets/README.md)",
    ),
    (
        "optional_covariates",
        "optional_covariate",
        f"unknown key optional_covariate; did you mean optional_covariates? {KEYS}",
    ),
    ("unit", "path", f"unknown key path; {KEYS}"),
    (
        "max_hours",
        "hours = 2\nmax_hours",
        "unknown key gaps.hours; did you mean max_hours? allowed: fill, max_hours",
    ),
    ('title = "Ninety days of water"', "title = 90", f"title is 90, expected {A_TEXT}"),
    (
        '["temp", "water_lag_1h"]',
        '"temp"',
        "past_covariates is 'temp', expected a list of column names in quotes",
    ),
    (
        '"water_lag_1h"',
        "1",
        "past_covariates is ['temp', 1], expected a list of column names in quotes",
    ),
    ('frequency = "h"', 'frequency = "15min"', "frequency is '15min'; allowed: h"),
    (
        "Europe/Copenhagen",
        "Europe/Kobenhavn",
        "timezone is 'Europe/Kobenhavn', expected an IANA name such as 'Europe/Copenhagen'",
    ),
    ('"DK"', '"Denmark"', f"country is 'Denmark', {A_COUNTRY}"),
    (
        'country = "DK"',
        'country = "DK"\nhemisphere = "southern"',
        "hemisphere is 'southern'; did you mean south? allowed: north, south",
    ),
    (
        'country = "DK"',
        'country = "DK"\nmay_be_negative = "no"',
        "may_be_negative is 'no', expected true or false",
    ),
    ("Ninety days of water", "Ninety\\ndays", f"title is 'Ninety\\ndays', expected {A_TEXT}"),
    ("Ninety days of water", r"$\\frac{$", f"title is '$\\\\frac{{$', expected {A_TEXT}"),
    (
        '["temp", "water_lag_1h"]',
        '["temp", "$a$"]',
        "past_covariates is ['temp', '$a$'], expected a list of column names in quotes",
    ),
    ('"small.csv"', '"small\\u0000.csv"', f"csv is 'small\\x00.csv', expected {A_TEXT}"),
    (
        "Europe/Copenhagen",
        "localtime",
        "timezone is 'localtime', expected an IANA name such as 'Europe/Copenhagen'",
    ),
    (
        'name = "small"',
        'name = "a/b"',
        "name is 'a/b', expected 1 to 100 letters, digits, '_', '.' or '-', starting with a letter "
        "or digit (it becomes part of file names); choose another name",
    ),
    (
        '["hour",',
        '["hour", "temp",',
        "column 'temp' has two roles, expected one of target, past or future covariate",
    ),
    (
        '["hour",',
        '["hour", "timestamp",',
        "column 'timestamp' has a role, expected none, it is the time axis; remove it",
    ),
    (
        '= ["temp"]',
        '= ["snow"]',
        "optional_covariates lists 'snow', which is neither a past nor a future covariate",
    ),
    ("2018-05-31 23:00", "2018-06-31 23:00", f"splits.train_end is '2018-06-31 23:00', {A_TIME}"),
    ("2018-05-31 23:00", "2018-05-31 23:59", f"splits.train_end is '2018-05-31 23:59', {A_TIME}"),
    ("2018-05-31 23:00", "0000-05-31 23:00", f"splits.train_end is '0000-05-31 23:00', {A_TIME}"),
    ("2018-05-31 23:00", "9999-05-31 23:00", f"splits.train_end is '9999-05-31 23:00', {A_TIME}"),
    (
        "max_hours = 3",
        "max_hours = " + 5000 * "9",
        "not readable as TOML (Exceeds the limit (4300 digits) for integer string conversion: "
        "value has 5000 digits); remove that value",
    ),
    (
        '["temp"]',
        5000 * "[" + 5000 * "]",
        "not readable as TOML (maximum recursion depth exceeded); remove that value",
    ),
    ('"2018-05-31 23:00"', "2018", f"splits.train_end is 2018, {A_TIME}"),
    (
        "2018-06-15 23:00",
        "2018-05-15 23:00",
        "splits.val_end is 2018-05-15 23:00, expected a time after splits.train_end (2018-05-31 "
        "23:00); fix the split dates",
    ),
    ("[splits]", "splits = 1\n[more]", "splits is 1, expected a table [splits]"),
    ('"linear"', '"spline"', "gaps.fill is 'spline'; did you mean linear? allowed: none, linear"),
    (
        "max_hours = 3",
        "max_hours = nan",
        "gaps.max_hours is nan, expected a whole number of at least 0",
    ),
    ("\n[gaps]", TWIN.format(0), "twin.mean_level is 0, expected a number above 0, at most 1e+12"),
    (
        "\n[gaps]",
        TWIN.format("inf"),
        "twin.mean_level is inf, expected a number above 0, at most 1e+12",
    ),
]


def assert_sentence(small, file, sentence):
    with pytest.raises(InputError) as caught:
        small.load()
    assert str(caught.value).replace(str(small.folder), "{path}") == f"{{path}}/{file}: {sentence}"
    assert "\n" not in sentence


@pytest.mark.parametrize("line, column, cell, rest", CELLS)
def test_when_a_cell_is_wrong_then_its_line_and_column_are_named(small, line, column, cell, rest):
    small.set_cell(line, column, cell)
    found = (
        cell if column != "timestamp" and rest not in (A_NUMBER, LARGEST) else repr(cell.strip('"'))
    )
    assert_sentence(small, "small.csv", f"line {line}, column {column!r} is {found}{rest}")


@pytest.mark.parametrize("line, last_line, column, cell, sentence", RANGES)
def test_when_equal_cells_are_wrong_then_the_first_line_is_named(
    small, line, last_line, column, cell, sentence
):
    small.set_cell(line, column, cell, last_line)
    assert_sentence(small, "small.csv", sentence)


@pytest.mark.parametrize("case", FILES)
def test_when_a_csv_is_broken_then_the_user_reads_one_exact_sentence(small, case):
    damage, sentence = FILES[case]
    damage(small)
    assert_sentence(small, "small.csv", sentence)


@pytest.mark.parametrize("old, new, sentence", TOMLS)
def test_when_a_toml_is_wrong_then_its_key_is_named_with_what_was_expected(
    small, old, new, sentence
):
    small.edit_toml(old, new)
    assert_sentence(small, "small.toml", sentence)


def test_when_the_csv_is_absent_then_the_places_and_the_command_that_makes_it_are_named(small):
    small.csv.unlink()
    absent = "the CSV of dataset 'small' was not found (looked for "
    make = (
        "put it there, or make it with `hpo prepare --dataset {path}/small.toml --raw RAW.csv --out"
    )
    place = "data/small.csv"
    assert_sentence(
        small, "small.toml", f"{absent}{place} and {{path}}/small.csv); {make} {place}`"
    )
    small.edit_toml('"small.csv"', f'"{small.folder}/gone.csv"')
    assert_sentence(small, "small.toml", f"{absent}{{path}}/gone.csv); {make} {{path}}/gone.csv`")
