"""The TOML of a new dataset, from the file of a meter; what is guessed is marked as such."""

import importlib.resources
import json
import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from hpo_lib import paths
from hpo_lib.data.csv_checks import WEATHER_COLUMNS, read_csv
from hpo_lib.data.features import CALENDAR_COLUMNS
from hpo_lib.data.raw_files import PLAIN, SEPARATORS, columns_of
from hpo_lib.data.spec import RawFile, load_spec
from hpo_lib.errors import InputError
from hpo_lib.paths import about

_GUESSED = {
    "time_column": "",
    "value_column": "",
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
    if out.exists():
        raise InputError(f"{out}: is there already; remove it, or name another file with --out")
    country, hemisphere = _place(timezone)
    with about(file):
        table = read_csv(file, "file of a meter", separators=SEPARATORS)
        time, value = columns_of(table.cells, raw)
        quantity, _, unit = value.rstrip(" )]").replace("(", "[").partition("[")
        target = _word(file.stem if quantity in ("", "0") else quantity)
        numbers = pd.to_numeric(table.cells[value].str.replace(",", "."), errors="coerce")
        negative = bool((numbers < 0).any())
    header: list[str] = []
    if weather is not None:
        with about(weather):
            header = list(read_csv(weather, "weather file").cells.columns)
    there = [name for name in WEATHER_COLUMNS if name in header]
    is_plain = [time, value] == PLAIN
    stated = asdict(raw if is_plain else RawFile(time, value, timezone, "mean"))
    stated |= {key: said for key, said in asdict(raw).items() if said}
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
may_be_negative = {"true # guessed: some values are below 0" if negative else "false"}
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
        f"{key} = {_toml(said)}{'' if getattr(raw, key) else _GUESSED[key]}\n"
        for key, said in stated.items()
        if said
    ]
    if lines:
        text += "".join(["\n[raw] # how hpo prepare reads the file\n", *lines])
    paths.write_text(out, text)
    load_spec(str(out.absolute()))
    return out


def _place(timezone: str) -> tuple[str, str]:
    """Country and hemisphere of a time zone's place."""
    table = (
        importlib.resources.files("tzdata")
        .joinpath("zoneinfo", "zone.tab")
        .read_text(encoding="utf-8")
    )
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    for country, place, zone, *_ in rows:
        if zone == timezone:
            return country, "south" if place.startswith("-") else "north"
    raise InputError(
        f"timezone is {timezone!r}, expected that of a place, such as 'Europe/Rome'; give its "
        "IANA name"
    )


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "series"


def _toml(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
