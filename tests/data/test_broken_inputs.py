"""Every broken input ends in one exact sentence, never in the traceback of a library."""

from collections.abc import Callable

import pytest

from hpo_lib.errors import InputError

CSV_CASES: dict[str, tuple[Callable, str]] = {
    "empty_file": (
        lambda d: d.csv.write_bytes(b""),
        "{path}/small.csv: the file is empty, expected a header and hourly rows; make it with `hpo prepare`",
    ),
    "blank_file": (
        lambda d: d.csv.write_bytes(b"\n \n\n"),
        "{path}/small.csv: the file is empty, expected a header and hourly rows; make it with `hpo prepare`",
    ),
    "header_only": (
        lambda d: d.write(d.lines()[:1]),
        "{path}/small.csv: there is a header but no row, expected hourly rows; make it with `hpo prepare`",
    ),
    "blank_first_line": (
        lambda d: d.write(["", *d.lines()]),
        "{path}/small.csv: line 1 is blank, expected the header; remove blank lines at the start",
    ),
    "binary_file": (
        lambda d: d.csv.write_bytes(b"PK\x03\x04\n\xe5\x00"),
        "{path}/small.csv: not a UTF-8 text file (byte 0xe5 in line 2); save it as CSV in UTF-8",
    ),
    "latin_1_file": (
        lambda d: d.csv.write_bytes(d.csv.read_bytes().replace(b"temp", b"v\xe6rme")),
        "{path}/small.csv: not a UTF-8 text file (byte 0xe6 in line 1); save it as CSV in UTF-8",
    ),
    "nul_bytes": (
        lambda d: d.csv.write_bytes(d.csv.read_bytes() + bytes(512)),
        "{path}/small.csv: not a text file (NUL byte in line 2162); save it as CSV in UTF-8",
    ),
    "semicolons": (
        lambda d: d.replace(",", ";"),
        "{path}/small.csv: columns are separated by ';', expected ','; save it with commas and decimal points",
    ),
    "tabs": (
        lambda d: d.replace(",", "\t"),
        "{path}/small.csv: columns are separated by tabs, expected ','; save it with commas and decimal points",
    ),
    "raw_csv": (
        lambda d: d.write([",0", "2018-04-01 00:00:00+00:00,1.5"]),
        "{path}/small.csv: this is a raw CSV (columns '' and '0'), expected engineered features; run `hpo "
        "prepare` on it",
    ),
    "no_timestamp_column": (
        lambda d: d.replace("timestamp", "Timestamp"),
        "{path}/small.csv: missing column 'timestamp' (nearest there: 'Timestamp'); rename or add what is "
        "missing, or mend the columns in the dataset's TOML",
    ),
    "two_columns_missing": (
        lambda d: d.write(["timestamp,temp,hours,day_of_week,is_weekend,target"]),
        "{path}/small.csv: missing column 'water_consumption', column 'water_lag_1h', column 'hour' (nearest "
        "there: 'hours'); rename or add what is missing, or mend the columns in the dataset's TOML",
    ),
    "column_twice": (
        lambda d: d.replace("temp", "hour", 1),
        "{path}/small.csv: column 'hour' appears 2 times in the header, expected once; remove or rename the others",
    ),
    "too_many_fields": (
        lambda d: d.set_cell(7, "temp", "1,23"),
        "{path}/small.csv: line 7 has 8 fields, expected 7 as in the header; write decimal points instead of "
        "decimal commas, and quote text that holds a comma",
    ),
    "too_many_fields_throughout": (
        lambda d: d.set_cell(2, "temp", "1,23", 2161),
        "{path}/small.csv: line 2 has more fields than the header (7); write decimal points instead of decimal "
        "commas, and quote text that holds a comma",
    ),
    "unclosed_quote": (
        lambda d: d.set_cell(7, "temp", '"5'),
        "{path}/small.csv: line 7 opens a quote that is never closed; close or remove it",
    ),
    "timestamp_not_a_time": (
        lambda d: d.set_cell(9, "timestamp", "01/04/2018 07:00"),
        "{path}/small.csv: line 9, column 'timestamp' is '01/04/2018 07:00', expected a UTC time such as "
        "'2018-04-01 00:00:00+00:00'; mend that cell",
    ),
    "timestamp_empty": (
        lambda d: d.set_cell(9, "timestamp", ""),
        "{path}/small.csv: line 9, column 'timestamp' is '', expected a UTC time such as '2018-04-01 "
        "00:00:00+00:00'; mend that cell",
    ),
    "blank_line_inside": (
        lambda d: d.write([*d.lines()[:9], "", *d.lines()[9:]]),
        "{path}/small.csv: line 10, column 'timestamp' is '', expected a UTC time such as '2018-04-01 "
        "00:00:00+00:00'; mend that cell",
    ),
    "timestamps_naive_and_aware": (
        lambda d: d.set_cell(9, "timestamp", "2018-04-01 07:00:00"),
        "{path}/small.csv: line 9, column 'timestamp' is '2018-04-01 07:00:00' (offset none), while line 2 has "
        "offset UTC, expected UTC throughout; convert all timestamps to UTC",
    ),
    "timestamps_change_offset": (
        lambda d: d.replace("+00:00", "+02:00", 3),
        "{path}/small.csv: line 5, column 'timestamp' is '2018-04-01 03:00:00+00:00' (offset UTC), while line 2 "
        "has offset +02:00, expected UTC throughout; convert all timestamps to UTC",
    ),
    "timestamps_in_summer_time": (
        lambda d: d.replace("+00:00", "+02:00"),
        "{path}/small.csv: line 2, column 'timestamp' is '2018-04-01 00:00:00+02:00' (offset +02:00), expected "
        "UTC; convert all timestamps to UTC",
    ),
    "timestamp_off_the_hour": (
        lambda d: d.set_cell(9, "timestamp", "2018-04-01 07:30:00+00:00"),
        "{path}/small.csv: line 9, column 'timestamp' is '2018-04-01 07:30:00+00:00', expected a full hour; bring"
        " the data to hourly steps before `hpo prepare`",
    ),
    "timestamp_twice": (
        lambda d: d.set_cell(9, "timestamp", "2018-04-01 06:00:00+00:00"),
        "{path}/small.csv: line 9, column 'timestamp' is '2018-04-01 06:00:00+00:00', which line 8 already has, "
        "expected every hour once; remove one of the rows, or convert local time to UTC if the hour is repeated "
        "by the end of summer time",
    ),
    "timestamps_unsorted": (
        lambda d: d.write([*d.lines()[:4], d.lines()[5], d.lines()[4], *d.lines()[6:]]),
        "{path}/small.csv: line 6, column 'timestamp' is '2018-04-01 03:00:00+00:00', which is before line 5; "
        "sort the rows by timestamp",
    ),
    "gap_too_long": (
        lambda d: d.drop(50, 53),
        "{path}/small.csv: gap of 4 hours after line 49, from 2018-04-03 00:00 UTC on, and the gap rule fills at "
        "most 3; add these rows or raise gaps.max_hours in the dataset's TOML",
    ),
    "decimal_comma": (
        lambda d: d.set_cell(12, "water_consumption", '"1.234,5"'),
        "{path}/small.csv: line 12, column 'water_consumption' is '1.234,5', expected a finite number with a "
        "decimal point, or an empty cell where the value is missing; mend that cell",
    ),
    "cell_not_a_number": (
        lambda d: d.set_cell(12, "temp", "n/a"),
        "{path}/small.csv: line 12, column 'temp' is 'n/a', expected a finite number with a decimal point, or an "
        "empty cell where the value is missing; mend that cell",
    ),
    "cell_infinite": (
        lambda d: d.set_cell(12, "water_lag_1h", "inf"),
        "{path}/small.csv: line 12, column 'water_lag_1h' is 'inf', expected a finite number with a decimal "
        "point, or an empty cell where the value is missing; mend that cell",
    ),
    "target_empty_too_long": (
        lambda d: d.set_cell(100, "water_consumption", "", 103),
        "{path}/small.csv: column 'water_consumption' is empty for 4 hours from line 100 on (2018-04-05 02:00 "
        "UTC), and the gap rule fills at most 3; fill these cells or raise gaps.max_hours in the dataset's TOML",
    ),
    "covariate_empty_too_long": (
        lambda d: d.set_cell(100, "temp", "NaN", 120),
        "{path}/small.csv: column 'temp' is empty for 21 hours from line 100 on (2018-04-05 02:00 UTC), and the "
        "gap rule fills at most 3; fill these cells or raise gaps.max_hours in the dataset's TOML",
    ),
    "covariate_empty_at_the_start": (
        lambda d: d.set_cell(2, "water_lag_1h", "", 25),
        "{path}/small.csv: column 'water_lag_1h' is empty for the first 24 hours, with no earlier value to fill "
        'from; set start = "2018-04-02 00:00" in the dataset\'s TOML or fill these cells',
    ),
    "target_empty_at_the_end": (
        lambda d: d.set_cell(2161, "water_consumption", ""),
        "{path}/small.csv: column 'water_consumption' is empty for the last 1 hour, from line 2161 on, with no "
        "later value to fill from; remove these rows or fill these cells",
    ),
    "covariate_empty_throughout": (
        lambda d: d.set_cell(2, "temp", "", 2161),
        "{path}/small.csv: column 'temp' is empty throughout, expected numbers; fill it, or remove it if it is "
        "optional",
    ),
    "target_negative": (
        lambda d: d.set_cell(40, "water_consumption", "-0.5"),
        "{path}/small.csv: line 40, column 'water_consumption' is -0.5, expected a demand of at least 0; mend "
        "that cell or leave it empty",
    ),
    "target_stuck_at_the_start": (
        lambda d: d.set_cell(2, "water_consumption", "1.5", 49),
        "{path}/small.csv: column 'water_consumption' is 1.5 for 48 rows in a row from line 2 on, expected a "
        'demand that varies; set start = "2018-04-03 00:00" in the dataset\'s TOML to use the hours after them, or'
        " mend these cells",
    ),
    "target_stuck_at_the_end": (
        lambda d: d.set_cell(2101, "water_consumption", "1.5", 2161),
        "{path}/small.csv: column 'water_consumption' is 1.5 for 61 rows in a row from line 2101 on to the end of"
        " the file, expected a demand that varies; remove these rows",
    ),
    "target_stuck_throughout": (
        lambda d: d.set_cell(2, "water_consumption", "0", 2161),
        "{path}/small.csv: column 'water_consumption' is 0 in every row, expected a demand that varies; check "
        "where the column came from",
    ),
    "hour_24": (
        lambda d: d.set_cell(33, "hour", "24"),
        "{path}/small.csv: line 33, column 'hour' is 24, expected a whole number from 0 to 23; mend that cell",
    ),
    "hour_not_whole": (
        lambda d: d.set_cell(33, "hour", "7.5"),
        "{path}/small.csv: line 33, column 'hour' is 7.5, expected a whole number from 0 to 23; mend that cell",
    ),
    "day_of_week_from_1_to_7": (
        lambda d: d.set_cell(33, "day_of_week", "7"),
        "{path}/small.csv: line 33, column 'day_of_week' is 7, expected a whole number from 0 to 6; mend that cell",
    ),
    "is_weekend_2": (
        lambda d: d.set_cell(33, "is_weekend", "2"),
        "{path}/small.csv: line 33, column 'is_weekend' is 2, expected 0 or 1; mend that cell",
    ),
}

TOML_CASES: dict[str, tuple[Callable, str]] = {
    "csv_absent": (
        lambda d: d.csv.unlink(),
        "{path}/small.toml: the CSV of dataset 'small' was not found (looked for {path}/no_such_folder/small.csv "
        "and {path}/small.csv); put it there, or make it with `hpo prepare --dataset {path}/small.toml --raw "
        "RAW.csv --out {path}/no_such_folder/small.csv`",
    ),
    "absolute_csv_absent": (
        lambda d: d.edit_toml('"small.csv"', f'"{d.folder}/gone.csv"'),
        "{path}/small.toml: the CSV of dataset 'small' was not found (looked for {path}/gone.csv); put it there, "
        "or make it with `hpo prepare --dataset {path}/small.toml --raw RAW.csv --out {path}/gone.csv`",
    ),
    "start_after_the_data": (
        lambda d: d.edit_toml("\n[splits]", 'start = "2020-01-01"\n\n[splits]'),
        "{path}/small.csv: holds no hour from start on, which is 2020-01-01 00:00, and covers 2018-04-01 00:00 to"
        " 2018-06-29 23:00 UTC; mend start in {path}/small.toml",
    ),
    "val_end_after_the_data": (
        lambda d: d.edit_toml("2018-06-15 23:00", "2018-12-31 23:00"),
        "{path}/small.csv: splits.val_end is 2018-12-31 23:00, but the data covers 2018-04-01 00:00 to 2018-06-29"
        ' 23:00 UTC; set for example train_end = "2018-06-02 23:00" and val_end = "2018-06-16 23:00" without '
        "test_end under [splits] in {path}/small.toml",
    ),
    "test_end_after_the_data": (
        lambda d: d.edit_toml("\n[gaps]", 'test_end = "2018-07-31 23:00"\n\n[gaps]'),
        "{path}/small.csv: splits.test_end is 2018-07-31 23:00, but the data covers 2018-04-01 00:00 to "
        '2018-06-29 23:00 UTC; remove test_end or set test_end = "2018-06-29 23:00" under [splits] in '
        "{path}/small.toml",
    ),
    "training_too_short": (
        lambda d: d.edit_toml("2018-05-31 23:00", "2018-05-08 22:00"),
        "{path}/small.csv: the training split up to 2018-05-08 22:00 holds 911 hours, expected at least 912, and "
        'the data covers 2018-04-01 00:00 to 2018-06-29 23:00 UTC; set for example train_end = "2018-06-02 23:00"'
        ' and val_end = "2018-06-16 23:00" without test_end under [splits] in {path}/small.toml',
    ),
    "validation_too_short": (
        lambda d: d.edit_toml("2018-06-15 23:00", "2018-06-01 22:00"),
        "{path}/small.csv: the validation split from 2018-06-01 00:00 to 2018-06-01 22:00 holds no whole forecast"
        " of 24 hours, and the data covers 2018-04-01 00:00 to 2018-06-29 23:00 UTC; set for example train_end = "
        '"2018-06-02 23:00" and val_end = "2018-06-16 23:00" without test_end under [splits] in {path}/small.toml',
    ),
    "data_too_short": (
        lambda d: d.drop(1000, 2161),
        "{path}/small.csv: splits.val_end is 2018-06-15 23:00, but the data covers 2018-04-01 00:00 to 2018-05-12"
        " 13:00 UTC; get at least 60 days of data and set train_end and val_end within them under [splits] in "
        "{path}/small.toml",
    ),
    "not_toml": (
        lambda d: d.edit_toml("[splits]", "[splits"),
        "{path}/small.toml: not valid TOML, Expected ']' at the end of a table declaration (at line 13, column "
        "8); fix that line",
    ),
    "not_utf_8": (
        lambda d: d.toml.write_bytes(b'title = "v\xe6rme"'),
        "{path}/small.toml: not a UTF-8 text file (invalid continuation byte at byte 10); save it as UTF-8",
    ),
    "key_missing": (
        lambda d: d.edit_toml('unit = "m3/h"\n', ""),
        "{path}/small.toml: key unit is missing; add it (see datasets/README.md)",
    ),
    "key_unknown": (
        lambda d: d.edit_toml("optional_covariates", "optional_covariate"),
        "{path}/small.toml: unknown key optional_covariate; did you mean optional_covariates? Allowed: country, "
        "csv, frequency, future_covariates, gaps, name, optional_covariates, past_covariates, splits, start, "
        "target, timezone, title, twin, unit",
    ),
    "key_unknown_in_a_table": (
        lambda d: d.edit_toml("max_hours", "hours = 2\nmax_hours"),
        "{path}/small.toml: unknown key gaps.hours; did you mean max_hours? Allowed: fill, max_hours",
    ),
    "text_wrong": (
        lambda d: d.edit_toml('title = "Ninety days of water"', "title = 90"),
        "{path}/small.toml: title is 90, expected a non-empty text in quotes",
    ),
    "columns_wrong": (
        lambda d: d.edit_toml('["temp", "water_lag_1h"]', '"temp"'),
        "{path}/small.toml: past_covariates is 'temp', expected a list of column names in quotes",
    ),
    "frequency_wrong": (
        lambda d: d.edit_toml('frequency = "h"', 'frequency = "15min"'),
        "{path}/small.toml: frequency is '15min', expected 'h'",
    ),
    "timezone_wrong": (
        lambda d: d.edit_toml("Europe/Copenhagen", "Europe/Kobenhavn"),
        "{path}/small.toml: timezone is 'Europe/Kobenhavn', expected an IANA name such as 'Europe/Copenhagen'",
    ),
    "country_wrong": (
        lambda d: d.edit_toml('"DK"', '"Denmark"'),
        "{path}/small.toml: country is 'Denmark', expected a two-letter ISO code such as 'DK'",
    ),
    "name_wrong": (
        lambda d: d.edit_toml('name = "small"', 'name = "a/b"'),
        "{path}/small.toml: name is 'a/b', expected 1 to 100 letters, digits, '_', '.' or '-', starting with a "
        "letter or digit (it becomes part of file names); choose another name",
    ),
    "column_with_two_roles": (
        lambda d: d.edit_toml('["hour",', '["hour", "temp",'),
        "{path}/small.toml: column 'temp' has two roles, expected one of target, past or future covariate",
    ),
    "timestamp_with_a_role": (
        lambda d: d.edit_toml('["hour",', '["hour", "timestamp",'),
        "{path}/small.toml: column 'timestamp' has a role, expected none, it is the time axis; remove it",
    ),
    "optional_covariate_without_a_role": (
        lambda d: d.edit_toml('= ["temp"]', '= ["snow"]'),
        "{path}/small.toml: optional_covariates lists 'snow', which is neither a past nor a future covariate",
    ),
    "split_time_wrong": (
        lambda d: d.edit_toml("2018-05-31 23:00", "31.05.2018"),
        "{path}/small.toml: splits.train_end is '31.05.2018', expected a full hour in UTC such as '2018-12-31 23:00'",
    ),
    "split_time_impossible": (
        lambda d: d.edit_toml("2018-05-31 23:00", "2018-06-31 23:00"),
        "{path}/small.toml: splits.train_end is '2018-06-31 23:00', expected a full hour in UTC such as '2018-12-31 23:00'",
    ),
    "split_time_a_number": (
        lambda d: d.edit_toml('"2018-05-31 23:00"', "2018"),
        "{path}/small.toml: splits.train_end is 2018, expected a full hour in UTC such as '2018-12-31 23:00'",
    ),
    "split_time_off_the_hour": (
        lambda d: d.edit_toml("2018-05-31 23:00", "2018-05-31 23:59"),
        "{path}/small.toml: splits.train_end is '2018-05-31 23:59', expected a full hour in UTC such as '2018-12-31 23:00'",
    ),
    "splits_in_the_wrong_order": (
        lambda d: d.edit_toml("2018-06-15 23:00", "2018-05-15 23:00"),
        "{path}/small.toml: splits.val_end is 2018-05-15 23:00, expected a time after splits.train_end "
        "(2018-05-31 23:00); correct the split dates",
    ),
    "splits_not_a_table": (
        lambda d: d.edit_toml("[splits]", "splits = 1\n[more]"),
        "{path}/small.toml: splits is 1, expected a table [splits]",
    ),
    "gap_fill_wrong": (
        lambda d: d.edit_toml('"linear"', '"spline"'),
        "{path}/small.toml: gaps.fill is 'spline', expected 'none' or 'linear'",
    ),
    "gap_hours_not_whole": (
        lambda d: d.edit_toml("max_hours = 3", "max_hours = nan"),
        "{path}/small.toml: gaps.max_hours is nan, expected a whole number of at least 0",
    ),
    "twin_level_wrong": (
        lambda d: d.edit_toml("\n[gaps]", '\n[twin]\nkind = "heat"\nseed = 1\nmean_level = 0\n\n[gaps]'),
        "{path}/small.toml: twin.mean_level is 0, expected a finite number above 0",
    ),
}


@pytest.mark.parametrize("case", [*CSV_CASES, *TOML_CASES])
def test_when_an_input_is_broken_then_the_user_reads_one_exact_sentence(small, case):
    damage, sentence = (CSV_CASES | TOML_CASES)[case]
    damage(small)
    with pytest.raises(InputError) as caught:
        small.load()
    assert str(caught.value).replace(str(small.folder), "{path}") == sentence
    assert "\n" not in sentence
