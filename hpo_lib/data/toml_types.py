"""Types of the values in a dataset's TOML: what is accepted, and what the error says was expected."""

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any
from zoneinfo import available_timezones

import pandas as pd
from pydantic import AfterValidator, Field, PlainValidator, WrapValidator

from hpo_lib import paths
from hpo_lib.data.csv_checks import LARGEST, YEARS

_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?(Z|[+-]\d\d:\d\d)?")  # pandas alone reads "now", too


def _expected(what: str) -> WrapValidator:
    """Say what was expected in our own words, whatever check of the type failed."""

    def check(value: Any, check_type: Callable[[Any], Any]) -> Any:
        try:
            return check_type(value)
        except ValueError:
            raise ValueError(what) from None

    return WrapValidator(check)


def _hour(value: Any) -> pd.Timestamp:
    if not isinstance(value, date) and not (isinstance(value, str) and _TIME.fullmatch(value)):
        raise ValueError
    stamp = pd.Timestamp(value)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    if stamp != stamp.floor("h") or stamp.year not in YEARS:
        raise ValueError
    return stamp


def _plain(value: str) -> str:
    """A text that figures, LaTeX and paths can take: matplotlib reads what is between two $ as a formula."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or value.count("$") > 1:
        raise ValueError
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones() - {"localtime"}:  # which differs between machines
        raise ValueError
    return value


String = Annotated[str, Field(strict=True, min_length=1), AfterValidator(_plain)]
Text = Annotated[String, Field(pattern=r"\S"), _expected("a non-empty text in one line, with at most one $")]
Name = Annotated[Text, AfterValidator(lambda value: paths.checked_name("name", value))]
TimeZone = Annotated[String, AfterValidator(_time_zone), _expected("an IANA name such as 'Europe/Copenhagen'")]
Country = Annotated[
    String,
    Field(pattern=r"^[A-Z]{2}(-.+)?$"),
    _expected("a two-letter ISO code such as 'DK', or one with a subdivision such as 'AU-VIC'"),
]
Flag = Annotated[bool, Field(strict=True), _expected("true or false")]
Columns = Annotated[tuple[String, ...], _expected("a list of column names in quotes")]
Hour = Annotated[pd.Timestamp, PlainValidator(_hour), _expected("a full hour in UTC such as '2018-12-31 23:00'")]
Whole = Annotated[int, Field(strict=True, ge=0), _expected("a whole number of at least 0")]
Share = Annotated[float, Field(strict=True, gt=0, lt=1), _expected("a share between 0 and 1, such as 0.7")]
LocalHour = Annotated[int, Field(strict=True, ge=0, le=23), _expected("a local hour from 0 to 23")]
Positive = Annotated[float, Field(strict=True, gt=0, le=LARGEST), _expected(f"a number above 0, at most {LARGEST:g}")]
Memory = Annotated[float, Field(strict=True, ge=0, lt=1), _expected("a number from 0 to below 1")]
Deviations = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]],
    _expected("two numbers of at least 0, such as [0.7, 1.6]"),
]
