"""What a dataset is: one TOML file, no code.

A name stands for ``datasets/<name>.toml``; any other TOML is given by its path. The file states
everything that the rest of the library needs to know about a dataset, so nothing is ever guessed
from a file name.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd
from pydantic import AfterValidator, Field, InstanceOf, PlainValidator, TypeAdapter, ValidationError

from hpo_lib import paths
from hpo_lib.data.csv_checks import LARGEST, TIME, YEARS
from hpo_lib.errors import InputError, Whole, choices, expected, nearest, sentence


def _hour(value: Any) -> pd.Timestamp:
    if not isinstance(value, date) and not (isinstance(value, str) and re.fullmatch(TIME, value)):
        raise ValueError
    stamp = pd.to_datetime(value, format="ISO8601", utc=True)
    if stamp != stamp.floor("h") or stamp.year not in YEARS:
        raise ValueError
    return stamp


def _plain(value: str) -> str:
    """A text for figures, LaTeX and paths: matplotlib reads what is between two $ as a formula."""
    if re.search(r"[\0-\x1f\x7f]|\$.*\$", value):
        raise ValueError
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones() - {"localtime"}:  # which differs between machines
        raise ValueError
    return value


String = Annotated[str, Field(strict=True, min_length=1), AfterValidator(_plain)]
Text = Annotated[
    String, Field(pattern=r"\S"), expected("a non-empty text in one line, with at most one $")
]
Name = Annotated[Text, AfterValidator(lambda value: paths.checked_name("name", value))]
TimeZone = Annotated[
    String, AfterValidator(_time_zone), expected("an IANA name such as 'Europe/Copenhagen'")
]
Country = Annotated[
    String,
    Field(pattern=r"^[A-Z]{2}(-.+)?$"),
    expected("a two-letter ISO code such as 'DK', or one with a subdivision such as 'AU-VIC'"),
]
Flag = Annotated[bool, Field(strict=True), expected("true or false")]
Columns = Annotated[tuple[String, ...], expected("a list of column names in quotes")]
Hour = Annotated[
    pd.Timestamp, PlainValidator(_hour), expected("a full hour in UTC such as '2018-12-31 23:00'")
]
Share = Annotated[
    float, Field(strict=True, gt=0, lt=1), expected("a share between 0 and 1, such as 0.7")
]
LocalHour = Annotated[int, Field(strict=True, ge=0, le=23), expected("a local hour from 0 to 23")]
Positive = Annotated[
    float, Field(strict=True, gt=0, le=LARGEST), expected(f"a number above 0, at most {LARGEST:g}")
]
Memory = Annotated[float, Field(strict=True, ge=0, lt=1), expected("a number from 0 to below 1")]
Deviations = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]],
    expected("two numbers of at least 0, such as [0.7, 1.6]"),
]


@dataclass(frozen=True)
class Splits:
    """Last hour (UTC, inclusive) of training, validation and test.

    Without ``test_end`` the test split is the rest. A TOML may give shares of the data's span
    instead; ``load_dataset`` makes dates of them, which are NaT until then. ``origin_hour`` is the
    local hour of the daily forecast origins.
    """

    train_end: Hour = pd.NaT  # type: ignore[assignment]
    val_end: Hour = pd.NaT  # type: ignore[assignment]
    test_end: Hour | None = None
    train: Share | None = None
    val: Share | None = None
    origin_hour: LocalHour | None = None


@dataclass(frozen=True)
class GapRule:
    """Gaps of up to ``max_hours`` are filled by ``fill``; longer ones of the target stay."""

    fill: Literal["none", "linear"]
    max_hours: Whole


@dataclass(frozen=True)
class DayAheadWeatherSpec:
    """What models see of the weather of the day ahead, see `hpo_lib.data.day_ahead_weather`.

    ``columns`` are past covariates; ``csv`` is the archive of forecasts of the kind ``forecast``;
    ``errors`` are the standard deviations 1 h and 24 h ahead by column of the kind ``degraded``.
    """

    kind: Literal["none", "forecast", "observed", "degraded"] = "none"
    columns: Columns = ()
    csv: Text | None = None
    errors: Mapping[str, Deviations] = field(default_factory=dict)
    autocorrelation: Memory = 0.9
    seed: Whole = 0


@dataclass(frozen=True)
class TwinSpec:
    """The simulated twin that replaces an absent CSV: kind, seed and mean of its target."""

    kind: Literal["heat", "water"]
    seed: Whole
    mean_level: Positive


@dataclass(frozen=True)
class RawFile:
    """How `hpo prepare` reads a raw file.

    As it is, it reads an unnamed UTC timestamp column and a column named ``0``. Columns by name
    (empty: the only one that can be meant), the time zone of times without an offset, and how steps
    of minutes become hours.
    """

    time_column: Text = ""
    value_column: Text = ""
    timezone: Text = ""
    aggregate: Literal["", "mean", "sum"] = ""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """One dataset as its TOML describes it. Optional covariates are used if the CSV has them."""

    name: Name
    title: Text
    csv: Text
    unit: Text
    target: Text
    frequency: Literal["h"]
    timezone: TimeZone
    country: Country
    past_covariates: Columns
    future_covariates: Columns
    optional_covariates: Columns = ()
    start: Hour | None = None
    hemisphere: Literal["north", "south"] = "north"
    may_be_negative: Flag = False
    splits: Splits
    gaps: GapRule = GapRule("none", 0)
    twin: TwinSpec | None = None
    raw: RawFile = RawFile()
    day_ahead_weather: DayAheadWeatherSpec = DayAheadWeatherSpec()
    path: InstanceOf[Path]

    @property
    def covariates(self) -> tuple[str, ...]:
        """The past ones, then the future-known ones."""
        return (*self.past_covariates, *self.future_covariates)

    @property
    def target_words(self) -> str:
        """The target's name for people: ``heat consumption``."""
        return self.target.replace("_", " ")

    @property
    def tz(self) -> ZoneInfo:
        """Local time zone, in which the calendar columns are computed."""
        return ZoneInfo(self.timezone)


_TABLES = {
    "": DatasetSpec,
    "splits": Splits,
    "gaps": GapRule,
    "twin": TwinSpec,
    "raw": RawFile,
    "day_ahead_weather": DayAheadWeatherSpec,
}
for _table in _TABLES.values():
    _table.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
_KEYS = {name: {key.name for key in fields(table)} - {"path"} for name, table in _TABLES.items()}
_SPEC = TypeAdapter(DatasetSpec)


def known_datasets() -> dict[str, Path]:
    """Name -> TOML of every dataset in ``datasets/``, in alphabetical order."""
    return {file.stem: file for file in sorted(paths.DATASETS_DIR.glob("*.toml"))}


def development_datasets() -> dict[str, Path]:
    """Name -> TOML of the same series with the earlier splits of the published records."""
    return {
        f"{file.stem}_dev": file for file in sorted(paths.DATASETS_DIR.glob("development/*.toml"))
    }


def load_spec(dataset: str | Path) -> DatasetSpec:
    """The spec of a dataset, given by its name or by the path of a TOML file."""
    text = str(dataset)
    if text.endswith(".toml") or "/" in text:
        file = Path(text)
        if not file.is_absolute() and not os.path.isfile(file):
            file = paths.PROJECT_ROOT / file  # notebooks run from notebooks/ in JupyterLab
        if not os.path.isfile(file):  # False for what no path can be
            raise InputError(
                f"dataset file {text} does not exist; "
                f"{nearest(file.name, [other.name for other in file.parent.glob('*.toml')])}"
                "give the path of a dataset TOML or a name from `hpo datasets`"
            )
        return _parse(file)
    known = known_datasets()
    every = known | development_datasets()
    if text not in every:
        raise InputError(
            f"dataset is {text!r}, which is not in the registry; {choices(text, known)}; "
            "or give the path of a dataset TOML"
        )
    spec = _parse(every[text])
    if spec.name != text:
        raise InputError(
            f"{every[text]}: name is {spec.name!r}, expected {text!r} (the file's own name); "
            "rename one of them"
        )
    return spec


def _parse(file: Path) -> DatasetSpec:
    with paths.about(file):
        text = paths.read_text(file, "TOML")
        try:
            spec = _SPEC.validate_python({"path": file} | tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"not valid TOML, {error}; fix that line") from None
        except ValidationError as error:
            raise InputError(
                sentence(error, missing="; add it (see datasets/README.md)", known=_KEYS)
            ) from None
        except (ValueError, RecursionError) as error:  # thousands of digits or brackets
            raise InputError(
                f"not readable as TOML ({str(error).partition(';')[0]}); remove that value"
            ) from None
        if contradiction := _contradiction(spec):
            raise InputError(contradiction)
    return spec


def _contradiction(spec: DatasetSpec) -> str | None:
    """What two keys together say wrong, if anything."""
    splits = spec.splits
    dates_or_shares = "train_end", "val_end", "train", "val"
    stated = [name for name in dates_or_shares if pd.notna(getattr(splits, name))]
    if stated not in (["train_end", "val_end"], ["train", "val"]):
        return (
            f"splits states {' and '.join(stated) or 'nothing'}, expected train_end and val_end, "
            "or shares such as train = 0.7 and val = 0.2"
        )
    if (shares := (splits.train or 0) + (splits.val or 0)) > 1 + 1e-9:
        return f"splits.train and splits.val are {shares:g} together, expected at most 1"
    ends = [(name, getattr(splits, name)) for name in ("train_end", "val_end", "test_end")]
    for (early_name, early), (late_name, late) in pairwise(ends):
        if late is not None and late <= early:
            return (
                f"splits.{late_name} is {late:%Y-%m-%d %H:%M}, expected a time after "
                f"splits.{early_name} ({early:%Y-%m-%d %H:%M}); fix the split dates"
            )
    roles = [spec.target, *spec.covariates]
    if twice := sorted(column for column in roles if roles.count(column) > 1):
        return (
            f"column {twice[0]!r} has two roles, expected one of target, past or future covariate"
        )
    if "timestamp" in roles:
        return "column 'timestamp' has a role, expected none, it is the time axis; remove it"
    weather = spec.day_ahead_weather
    if weather.kind != "none" and not weather.columns:
        return (
            f"day_ahead_weather.kind is {weather.kind!r} without columns; list columns, such "
            'as "temp"'
        )
    without_errors = [name for name in weather.columns if name not in weather.errors]
    if weather.kind == "degraded" and without_errors:
        return (
            f"day_ahead_weather.errors lacks {without_errors[0]!r}; add its errors 1 h and 24 h "
            "ahead, such as [0.7, 1.6]"
        )
    if weather.kind == "forecast" and weather.csv is None:
        return (
            "day_ahead_weather.csv is missing; name the archive of forecasts beside the CSV (see "
            "docs/day_ahead_weather.md)"
        )
    if stray := sorted(set(spec.optional_covariates) - set(spec.covariates)):
        return (
            f"optional_covariates lists {stray[0]!r}, which is neither a past nor a future "
            "covariate"
        )
    return None
