"""The dataset registry: one TOML file per dataset, no code.

``datasets/<name>.toml`` is known by its name; any other TOML is given by its path. The file says everything that
the rest of the library wants to know of a dataset, so that nothing is ever guessed from a file name.
"""

import re
import tomllib
from dataclasses import dataclass, fields
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd

from hpo_lib import paths
from hpo_lib.errors import InputError, choices

TWIN_KINDS = ("heat", "water")
FILL_RULES = ("none", "linear")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?(Z|[+-]\d\d:\d\d)?")  # pandas alone reads "now", too


@dataclass(frozen=True)
class Splits:
    """Last hour (UTC, inclusive) of training, validation and test; ``test_end`` None means all that follows."""

    train_end: pd.Timestamp
    val_end: pd.Timestamp
    test_end: pd.Timestamp | None = None


@dataclass(frozen=True)
class GapRule:
    """How missing hours are mended: gaps of up to ``max_hours`` are filled by ``fill``, longer ones are an error."""

    fill: str = "none"
    max_hours: int = 0


@dataclass(frozen=True)
class TwinSpec:
    """Which simulated twin stands in for a missing CSV: its kind, its seed, and the mean of its target."""

    kind: str
    seed: int
    mean_level: float


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset as its TOML describes it. Covariates listed as optional are used where the CSV has them."""

    name: str
    title: str
    csv: str
    unit: str
    target: str
    frequency: str
    timezone: str
    country: str
    past_covariates: tuple[str, ...]
    future_covariates: tuple[str, ...]
    optional_covariates: tuple[str, ...]
    start: pd.Timestamp | None
    splits: Splits
    gaps: GapRule
    twin: TwinSpec | None
    path: Path

    @property
    def tz(self) -> ZoneInfo:
        """Local time zone, in which the calendar columns are computed."""
        return ZoneInfo(self.timezone)


def known_datasets() -> dict[str, Path]:
    """Name -> TOML of every shipped or added dataset, in alphabetical order."""
    return {file.stem: file for file in sorted(paths.DATASETS_DIR.glob("*.toml"))}


def load_spec(dataset: str | Path) -> DatasetSpec:
    """The spec of a dataset given by its registry name or by the path of a TOML file.

    Raises:
        InputError: unknown name, unreadable TOML, or a key that is missing, unknown or of the wrong type or value.
    """
    text = str(dataset)
    if text.endswith(".toml") or "/" in text:
        file = Path(text)
        if not file.is_absolute() and not file.is_file():
            file = paths.PROJECT_ROOT / file  # notebooks run from notebooks/ in JupyterLab
        if not file.is_file():
            raise InputError(
                f"dataset file {text} does not exist; give the path of a dataset TOML or a name from `hpo datasets`"
            )
        return _parse(file)
    known = known_datasets()
    if text not in known:
        raise InputError(
            f"dataset is {text!r}, which is not in the registry; {choices(text, known)}; "
            "or give the path of a dataset TOML"
        )
    spec = _parse(known[text])
    if spec.name != text:
        raise InputError(
            f"{known[text]}: name is {spec.name!r}, expected {text!r} (the file's own name); rename one of them"
        )
    return spec


def _parse(file: Path) -> DatasetSpec:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not valid TOML, {error}; mend that line") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: not a UTF-8 text file ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    read = _Table(file, table)
    spec = DatasetSpec(
        name=read.file_safe("name"),
        title=read.text("title"),
        csv=read.text("csv"),
        unit=read.text("unit"),
        target=read.text("target"),
        frequency=read.one_of("frequency", ("h",)),
        timezone=read.text("timezone"),
        country=read.text("country"),
        past_covariates=read.columns("past_covariates"),
        future_covariates=read.columns("future_covariates"),
        optional_covariates=read.columns("optional_covariates", default=()),
        start=read.time("start", required=False),
        splits=_parse_splits(read.table("splits")),
        gaps=_parse_gaps(read.table("gaps", required=False)),
        twin=_parse_twin(read.table("twin", required=False)),
        path=file,
    )
    read.reject_unknown({field.name for field in fields(DatasetSpec)} - {"path"})
    _check(spec)
    return spec


def _parse_splits(read: "_Table") -> Splits:
    train_end, val_end = read.time("train_end"), read.time("val_end")
    test_end = read.time("test_end", required=False)
    read.reject_unknown({"train_end", "val_end", "test_end"})
    assert train_end is not None
    assert val_end is not None
    ordered = [("train_end", train_end), ("val_end", val_end)] + (
        [("test_end", test_end)] if test_end is not None else []
    )
    for (early_name, early), (late_name, late) in pairwise(ordered):
        if late <= early:
            raise InputError(
                f"{read.file}: splits.{late_name} is {late:%Y-%m-%d %H:%M}, expected a time after splits.{early_name} "
                f"({early:%Y-%m-%d %H:%M}); mend the split dates"
            )
    return Splits(train_end, val_end, test_end)


def _parse_gaps(read: "_Table") -> GapRule:
    if not read.values:
        return GapRule()
    rule = GapRule(fill=read.one_of("fill", FILL_RULES), max_hours=read.whole("max_hours"))
    read.reject_unknown({"fill", "max_hours"})
    return rule


def _parse_twin(read: "_Table") -> TwinSpec | None:
    if not read.values:
        return None
    twin = TwinSpec(
        kind=read.one_of("kind", TWIN_KINDS),
        seed=read.whole("seed"),
        mean_level=read.positive("mean_level"),
    )
    read.reject_unknown({"kind", "seed", "mean_level"})
    return twin


def _check(spec: DatasetSpec) -> None:
    if spec.timezone not in available_timezones():
        raise InputError(
            f"{spec.path}: timezone is {spec.timezone!r}, expected an IANA name such as 'Europe/Copenhagen'"
        )
    if len(spec.country) != 2 or not spec.country.isupper():
        raise InputError(f"{spec.path}: country is {spec.country!r}, expected a two-letter ISO code such as 'DK'")
    roles = [spec.target, *spec.past_covariates, *spec.future_covariates]
    twice = sorted({column for column in roles if roles.count(column) > 1})
    if twice:
        raise InputError(
            f"{spec.path}: column {twice[0]!r} has two roles, expected one of target, past or future covariate"
        )
    if "timestamp" in roles:
        raise InputError(f"{spec.path}: column 'timestamp' has a role, expected none, it is the time axis; remove it")
    stray = sorted(set(spec.optional_covariates) - set(roles[1:]))
    if stray:
        raise InputError(
            f"{spec.path}: optional_covariates lists {stray[0]!r}, which is neither a past nor a future covariate"
        )


class _Table:
    """Typed, named access to one TOML table, so that every mistake is reported with file, key and expectation."""

    def __init__(self, file: Path, values: dict[str, Any], prefix: str = "") -> None:
        self.file, self.values, self.prefix = file, values, prefix

    def _get(self, key: str) -> Any:
        if key not in self.values:
            raise InputError(f"{self.file}: key {self.prefix}{key!s} is missing; add it (see datasets/README.md)")
        return self.values[key]

    def _wrong(self, key: str, expected: str) -> InputError:
        return InputError(f"{self.file}: {self.prefix}{key} is {self.values[key]!r}, expected {expected}")

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(key, "a non-empty text in quotes")
        return value

    def file_safe(self, key: str) -> str:
        value = self.text(key)
        try:
            return paths.checked_name(key, value)
        except InputError as error:
            raise InputError(f"{self.file}: {error}") from None

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._get(key)
        if value not in allowed:
            raise self._wrong(key, f"one of {', '.join(map(repr, allowed))}")
        return str(value)

    def whole(self, key: str) -> int:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(key, "a whole number of at least 0")
        return value

    def positive(self, key: str) -> float:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self._wrong(key, "a finite number above 0")
        return float(value)

    def columns(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and key not in self.values:
            return default
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(key, "a list of column names in quotes")
        return tuple(value)

    def time(self, key: str, required: bool = True) -> pd.Timestamp | None:
        if not required and key not in self.values:
            return None
        value = self._get(key)
        if not isinstance(value, date) and not (isinstance(value, str) and _TIME.fullmatch(value)):
            raise self._wrong(key, "a UTC time such as '2018-12-31 23:00'")
        try:
            stamp = pd.Timestamp(value)
        except ValueError:
            raise self._wrong(key, "a UTC time such as '2018-12-31 23:00'") from None
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        if stamp != stamp.floor("h"):
            raise self._wrong(key, "a full hour")
        return stamp

    def table(self, key: str, required: bool = True) -> "_Table":
        value = self.values.get(key, {}) if not required else self._get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, f"a table [{key}]")
        return _Table(self.file, value, prefix=f"{key}.")

    def reject_unknown(self, allowed: set[str]) -> None:
        for key in self.values:
            if key not in allowed:
                raise InputError(f"{self.file}: unknown key {self.prefix}{key}; {choices(key, sorted(allowed))}")
