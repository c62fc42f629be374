"""From raw files to the engineered CSV, and to the TOML of a new dataset.

A meter's file is read as it is, with its separators, local time and steps of minutes, as text with
the line numbers of the file, so that all later checks name them.
"""

import importlib.resources
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib import paths
from hpo_lib.data.csv_checks import (
    MISSING,
    OFFSET,
    TIMESTAMP,
    WEATHER_COLUMNS,
    YEARS,
    check_header,
    check_ranges,
    numbers,
    read_csv,
    refuse,
    runs_of_true,
    timestamps,
)
from hpo_lib.data.features import CALENDAR_COLUMNS, PRODUCTS, engineer, local_dates
from hpo_lib.data.gaps import fill_gaps, hourly_frame
from hpo_lib.data.spec import DatasetSpec, RawFile, known_datasets, load_spec
from hpo_lib.data.splits import HOUR, time_span
from hpo_lib.errors import InputError
from hpo_lib.paths import about, atomic

SEPARATORS = ",;\t"
PLAIN = ["", "0"]
"""Header of a plain raw CSV, whose times are UTC if they have no offset."""
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d")
_CLOCKS = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_FORMATS = ["ISO8601", *(f"{date} {clock}" for date in _DATES for clock in _CLOCKS)]


def columns_of(cells: pd.DataFrame, raw: RawFile) -> tuple[str, str]:
    """The time and the value column: those that are named, and what is left of two columns."""
    header = list(cells.columns)
    if header == PLAIN:
        return "", "0"
    named = [column for column in (raw.time_column, raw.value_column) if column]
    check_header(cells, named, "fix its name")
    others = [column for column in header if column not in named]
    if len(named) < 2 and len(header) != 2:
        raise InputError(
            f"has the columns {', '.join(map(repr, header))}, expected a time and a value; name "
            "them with --time-column and --value-column, or time_column and value_column under "
            "[raw]"
        )
    return raw.time_column or others[0], raw.value_column or others[-1]


def _utc_times(cells: pd.Series, zone: str) -> pd.Series:
    """Times in UTC, the oldest first; ``zone`` is that of times without an offset, if any is known.

    Of a local hour that exists twice, the first or only row is the first one.
    """
    has_offset = cells.str.slice(10).str.contains(OFFSET)
    plain = cells.str.replace(r"\s*UTC$", "", regex=True)  # as in "2015-01-01 00:00:00 +0000 UTC"
    formats = [
        form
        for form in _FORMATS
        if pd.notna(pd.to_datetime(plain.iloc[0], format=form, errors="coerce"))
    ]
    readings = [
        pd.to_datetime(plain, format=form, utc=True, errors="coerce")
        for form in formats or ["ISO8601"]
    ]
    # There is no 13th month, so the reading of most rows tells days and months apart.
    times = min(readings, key=lambda times: times.isna().sum())
    refuse(
        times.isna(),
        cells,
        ", expected a time such as '2018-04-01 00:00' or '01.04.2018 00:00'; fix it",
    )
    how = "no" if has_offset.iloc[0] else "an"
    refuse(
        has_offset != has_offset.iloc[0],
        cells,
        f", with {how} offset from UTC, unlike line {cells.index[0]}; write all alike",
    )
    if times.iloc[0] > times.iloc[-1]:
        times = times.iloc[::-1]
    if has_offset.iloc[0]:
        return times
    if not zone:
        raise InputError(
            f"timestamps have no time zone (line {cells.index[0]}: {cells.iloc[0]!r}); "
            "pass --timezone UTC, Europe/Rome or, for one offset all year, +01:00 (or timezone "
            "under [raw])"
        )
    local = times.dt.tz_localize(None)
    try:
        utc = local.dt.tz_localize(
            zone, ambiguous=~local.duplicated().to_numpy(), nonexistent="NaT"
        )
    except (KeyError, ValueError):
        raise InputError(
            f"timezone is {zone!r}, expected UTC, an IANA name such as Europe/Rome, or +01:00; "
            "fix it"
        ) from None
    advice = "if the file keeps one offset all year, give that as --timezone, such as +01:00"
    refuse(utc.isna().reindex(cells.index), cells, f", which the clock of {zone} skips; {advice}")
    return pd.Series(utc.dt.tz_convert("UTC"))


def _hourly(
    utc: pd.Series, values: pd.Series, step: pd.Timedelta, how: str
) -> tuple[pd.Series, pd.Series]:
    """Full hours from shorter steps. An hour that lacks a step or a value is left empty."""
    apart = f"rows are {step / pd.Timedelta(minutes=1):g} minutes apart, expected an hour"
    if step > HOUR or HOUR % step != pd.Timedelta(0):
        raise InputError(f"{apart}, or a part of one")
    if how not in ("mean", "sum"):
        raise InputError(
            f"{apart}; give --aggregate mean for a rate such as kW or m3/h, or --aggregate sum for "
            "amounts such as kWh or m3 (or aggregate under [raw])"
        )
    refuse(
        utc.duplicated(),
        utc.astype(str),
        ", which an earlier line already has, expected every time once; remove one",
    )
    table = pd.DataFrame(
        {"line": utc.index, "hour": utc.dt.floor("h"), "value": numbers(values.rename("value"))}
    )
    hours = table.groupby("hour").agg(
        line=("line", "first"), value=("value", how), steps=("value", "count")
    )
    hours = hours.reset_index().set_index("line")
    return hours["hour"], hours["value"].where(hours["steps"] == HOUR / step)


WEATHER_GAP_HOURS = 3
SCHOOL_HOLIDAY_COLUMNS = ("start_date", "end_date", "description")
_ZERO_WHERE_EMPTY = ("rain_1h", "snow_1h")  # the bulk export writes nothing if nothing fell
_TEMPERATURES = ("temp", "dew_point")
_KELVIN_ABOVE = 150.0
"""No place on earth has a median temperature above 150 degrees C or below 150 K."""
_ZERO_CELSIUS = 273.15  # K


def read_raw_series(
    path: Path, spec: DatasetSpec, end: pd.Timestamp | None = None
) -> tuple[pd.Series, int, pd.DatetimeIndex]:
    """The target of a raw CSV from ``spec.start`` on, and what was filled or is missing.

    Args:
        path: CSV of an unnamed UTC timestamp column and one value column named ``0``; or any that
            ``spec.raw`` makes readable, with decimal commas if other signs separate its columns.
        spec: the dataset, of which start, target name, gap rule and description are used.
        end: read up to the last value at or before this hour; None: up to the last one.

    Returns:
        Hourly float64 series without gaps, in the dataset's unit, index ``timestamp`` (UTC); the
        number of filled hours; and the hours that are missing, see `hourly_frame`.
    """
    with about(path):
        table, _, separator = read_csv(path, "raw CSV", separators=SEPARATORS)
        time, value = columns_of(table, spec.raw)
        zone = spec.raw.timezone or ("UTC" if [time, value] == PLAIN else "")
        utc = _utc_times(table[time], zone)
        values = table[value].loc[utc.index]
        # A sign before three digits is of thousands if all other values are whole numbers.
        whole = values.str.fullmatch(r"0|-?[1-9]\d{0,2}([.,]\d{3})?|").all()
        sign = "[.,]" if whole and values.str.isdecimal().any() else r",.*\.|\..*,"
        refuse(
            values.str.contains(sign),
            values,
            ", expected one decimal sign and no separator of thousands; write it without one",
        )
        if separator != ",":
            values = values.str.replace(",", ".", regex=False)
        steps = utc.diff()
        step = steps[steps > pd.Timedelta(0)].mode()
        if len(step) and step.iloc[0] != HOUR:
            utc, values = _hourly(utc, values, step.iloc[0], spec.raw.aggregate)
        cells = pd.DataFrame(
            {TIMESTAMP: utc.dt.strftime("%Y-%m-%d %H:%M:%S+00:00"), spec.target: values}
        )
        if end is not None:
            cells = cells.loc[timestamps(cells[TIMESTAMP]) <= end]
        texts = cells[spec.target]
        cells = cells.loc[: texts.mask(texts.isin(MISSING)).last_valid_index()]
        frame, n_filled, missing = hourly_frame(cells, spec)
    return frame[spec.target], n_filled, missing


def read_weather(
    path: Path,
    hours: pd.DatetimeIndex,
    wanted: Sequence[str] = WEATHER_COLUMNS,
    end: pd.Timestamp | None = None,
) -> tuple[pd.DataFrame, int]:
    """Weather of an OpenWeatherMap bulk CSV, and the number of hours in which anything was filled.

    The bulk export repeats an hour for each simultaneous weather condition: the first row counts.
    An empty rain or snow cell means 0. Temperatures are in degrees C; if the median of ``temp``
    (without it, of ``dew_point``) is above 150, the file is in Kelvin, and both are converted. Gaps
    of up to 3 h are interpolated linearly; in longer ones the last value holds, as it would for
    somebody who forecasts there.

    Args:
        path: CSV with ``dt_iso`` as in ``2015-01-01 00:00:00 +0000 UTC`` and the wanted columns;
            others are ignored.
        hours: hours (UTC) that the weather must cover.
        wanted: some of ``WEATHER_COLUMNS``.
        end: later hours are not used to fill a gap.

    Returns:
        Float64 [hours, ``wanted``], index ``timestamp`` (UTC); and the number.
    """
    with about(path):
        cells = _read_columns(path, "weather file", ("dt_iso", *wanted)).drop_duplicates("dt_iso")
        times = timestamps(cells["dt_iso"].str.replace(r" \+0000 UTC$", "+00:00", regex=True))
        values = cells[list(wanted)].apply(numbers).fillna(dict.fromkeys(_ZERO_WHERE_EMPTY, 0.0))
        degrees = values.filter(_TEMPERATURES)
        if (degrees.iloc[:, :1].median() > _KELVIN_ABOVE).any():
            values[degrees.columns] -= _ZERO_CELSIUS
        check_ranges(values)
        # The rows just outside may be what a gap inside is filled from.
        known = values.set_axis(times).reindex(times.union(hours)).asfreq("h").loc[:end]
        weather = known.apply(fill_gaps, limit=WEATHER_GAP_HOURS).loc[hours].rename_axis(TIMESTAMP)
        for column in weather.columns[weather.isna().any()]:
            starts, lengths = runs_of_true(weather[column].isna().to_numpy())
            first, last = hours[starts[0]], hours[starts[0] + lengths[0] - 1]
            raise InputError(
                f"column {column!r} has no value from {first:%Y-%m-%d %H:%M} to "
                f"{last:%Y-%m-%d %H:%M} UTC, expected one for every hour from "
                f"{hours[0]:%Y-%m-%d %H:%M} to {hours[-1]:%Y-%m-%d %H:%M}; add those hours or "
                "leave the weather file out"
            )
        return weather, int(known.loc[hours].isna().any(axis="columns").sum())


def read_school_holidays(path: Path) -> pd.DataFrame:
    """School holidays, one row per holiday.

    Returns:
        Columns ``start_date`` and ``end_date`` (naive local dates at midnight, both inclusive) and
        ``description``.
    """
    with about(path):
        cells = _read_columns(path, "school holiday file", SCHOOL_HOLIDAY_COLUMNS)
        table = cells.copy()
        for column in ("start_date", "end_date"):
            dates = pd.to_datetime(cells[column], format="%Y-%m-%d", errors="coerce")
            advice = ", expected a date such as '2019-12-21'; fix that cell"
            refuse(~dates.dt.year.isin(YEARS), cells[column], advice)
            table[column] = dates
        advice = ", expected the start_date of that line or later; fix one of the two dates"
        refuse(table["end_date"] < table["start_date"], cells["end_date"], advice)
        return table.reset_index(drop=True)


def _read_columns(path: Path, what: str, columns: Sequence[str]) -> pd.DataFrame:
    cells, *_ = read_csv(path, what)
    check_header(cells, columns, f"fix the header, which must hold {', '.join(columns)}")
    return cells[list(columns)]


def rebuilt_features(
    spec: DatasetSpec,
    raw: Path,
    weather: Path | None = None,
    school_holidays: Path | None = None,
    end: pd.Timestamp | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """The engineered table of raw data up to ``end``, and in words what was filled and left out.

    Columns are those that can be made, by hour (UTC), NaN where the target has none.
    """
    target, filled_hours, missing = read_raw_series(raw, spec, end)
    index = pd.DatetimeIndex(target.index)
    weather_table, weather_filled = None, 0
    if weather is not None:
        needed = {part for name in spec.covariates for part in PRODUCTS.get(name, (name,))}
        wanted = [name for name in WEATHER_COLUMNS if name in needed]
        weather_table, weather_filled = read_weather(weather, index, wanted, end)
    holidays = None if school_holidays is None else read_school_holidays(school_holidays)
    table = engineer(target, spec, weather_table, holidays)
    table.loc[table.index.isin(missing), spec.target] = np.nan
    table = table.loc[table[spec.target].first_valid_index() :]
    begins, empty = len(index) - len(table), int(table[spec.target].isna().sum())
    left_out = [name for name in spec.covariates if name not in table.columns]
    holiday_note = _holiday_note(index, spec, holidays)
    notes = {
        f"filled {filled_hours} missing hours by the gap rule of the dataset": filled_hours,
        f"left {empty} hours empty, in gaps of over {spec.gaps.max_hours} h: no forecast window "
        "touches them": empty,
        f"left out the first {begins} hours, which lack lags": begins,
        f"left out, for lack of a weather file: {', '.join(left_out)}": left_out,
        f"note: {weather}: {weather_filled} hours of weather were filled on a line, or with the "
        f"last value in gaps of over {WEATHER_GAP_HOURS} h.": weather_filled,
        f"note: {holiday_note}": holiday_note,
    }
    return table, [note for note, applies in notes.items() if applies]


def prepare_features(
    spec: DatasetSpec, raw: Path, weather: Path | None, school_holidays: Path | None, out: Path
) -> str:
    """Make the engineered CSV of a dataset from raw files, whole or not at all.

    Returns:
        A report in words: what was written, filled and left out, one line each.
    """
    if out.resolve() in [path.resolve() for path in (raw, weather, school_holidays) if path]:
        raise InputError(
            f"{out}: the output is also an input, which would be overwritten; give another --out"
        )
    table, notes = rebuilt_features(spec, raw, weather, school_holidays)
    with suppress(OSError, InputError, KeyError):  # no engineered CSV was there
        before = read_csv(out, "engineered CSV")[0][TIMESTAMP].iloc[[0, -1]]
        if before.min() < str(table.index[0]) or before.max() > str(table.index[-1]):
            notes.append(f"note: before it held {' to '.join(before)}")
    with atomic(out) as part:
        table.to_csv(part, index_label=TIMESTAMP, date_format="%Y-%m-%d %H:%M:%S+00:00")
    return "\n".join([f"wrote {out}: {len(table)} hours, {time_span(table.index)}", *notes])


def _holiday_note(hours: pd.DatetimeIndex, spec: DatasetSpec, table: pd.DataFrame | None) -> str:
    """Which days no list of school holidays covers, in words; empty without any."""
    if "is_school_holiday" not in spec.future_covariates:
        return ""
    local, listed = local_dates(hours, spec), "no day"
    if table is not None:
        first, last = table["start_date"].min(), table["end_date"].max()
        if first <= local[0] and last >= local[-1]:
            return ""
        listed = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"school holidays are listed for {listed}: is_school_holiday is 0 on all other days"


# The TOML of a new dataset, in which guesses are marked

_GUESSED = {
    "timezone": " # guessed: of times without an offset",
    "aggregate": " # guessed: sum, if rows are amounts of less than an hour",
}


def write_new_dataset(
    file: Path, timezone: str, raw: RawFile, weather: Path | None, out: Path
) -> Path:
    """Write the TOML of the series in ``file``.

    Args:
        file: CSV of a meter, see `hpo_lib.data.raw_files`.
        timezone: IANA name of the local time, which tells country and hemisphere, too.
        raw: how the file is read, as far as the user says.
        weather: the dataset's weather file, whose columns become covariates.
        out: the TOML to write.
    """
    if out.exists() or _word(out.stem) in known_datasets():
        raise InputError(f"{out}: is there, or has a registered name; name another file with --out")
    country, hemisphere = _place(timezone)
    with about(file):
        table, *_ = read_csv(file, "file of a meter", separators=SEPARATORS)
        time, value = columns_of(table, raw)
        quantity, _, unit = value.rstrip(" )]").replace("(", "[").partition("[")
        target = _word(file.stem if quantity in ("", "0") else quantity)
        low = pd.to_numeric(table[value].str.replace(",", "."), errors="coerce").min()
    there: list[str] = []
    if weather is not None:
        with about(weather):
            cells, *_ = read_csv(weather, "weather file")
            there = [name for name in WEATHER_COLUMNS if name in cells]
    guesses = raw if [time, value] == PLAIN else RawFile(time, value, timezone, "mean")
    stated = vars(guesses) | {key: said for key, said in vars(raw).items() if said}
    lags = [f"{target}_{what}" for what in ("lag_1h", "lag_24h", "rolling_24h")]
    text = f"""\
name = {_toml(_word(out.stem))}
title = {_toml(out.stem.replace("_", " "))} # guessed
csv = {_toml(f"{_word(out.stem)}_features.csv")} # hpo prepare writes it
unit = {_toml(unit.strip()) if unit.strip() else '"units" # guessed: the file does not say'}
target = {_toml(target)}
frequency = "h"
timezone = {_toml(timezone)}
country = {_toml(country)} # guessed from timezone; a region has holidays of its own: {country}-...
hemisphere = {_toml(hemisphere)} # of timezone
may_be_negative = {f"true # guessed: there is {low:g}" if low < 0 else "false"}
past_covariates = {_toml([*there, *lags])}
future_covariates = {_toml([name for name in CALENDAR_COLUMNS if name != "is_school_holiday"])}
optional_covariates = {_toml(there)}

[splits] # guessed: shares of the time that the data covers; the rest is test
train = 0.7
val = 0.2

[gaps] # guessed: up to so many hours without a value are filled
fill = "linear"
max_hours = 3
"""
    lines = [
        f"{key} = {_toml(said)}{'' if getattr(raw, key) else _GUESSED.get(key, '')}\n"
        for key, said in stated.items()
        if said
    ]
    if lines:
        text += "".join(["\n[raw] # how hpo prepare reads the file\n", *lines])
    paths.write_text(out, text)
    load_spec(str(out.absolute()))
    return out


def dataset_of_frame(frame: pd.DataFrame, timezone: str, out: Path) -> Path:
    """Make a dataset of one column of values by their times; returns its TOML, which is ``out``.

    The frame's index are hours, or equal parts of one, UTC or local with an offset. A unit may
    follow the column's name in brackets. A TOML that is there stays. ``timezone``: IANA name.
    """
    raw = out.with_suffix(".csv")
    paths.write_text(raw, frame.to_csv())
    if not out.exists():
        write_new_dataset(raw, timezone, RawFile(), None, out)
    spec = load_spec(str(out))
    prepare_features(spec, raw, None, None, out.parent / spec.csv)
    return out


def _place(timezone: str) -> tuple[str, str]:
    """Country and hemisphere of a time zone's place."""
    zones = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab")
    row = rf"^(..)\t([+-]).*\t{re.escape(timezone)}(\t|$)"
    if found := re.search(row, zones.read_text(encoding="utf-8"), re.MULTILINE):
        return found[1], "north" if found[2] == "+" else "south"
    raise InputError(
        f"timezone is {timezone!r}, expected that of a place, such as 'Europe/Rome'; give its "
        "IANA name"
    )


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "series"


def _toml(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
