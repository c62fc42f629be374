"""Checks by pydantic, and the one sentence that says what is wrong with a value."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, WrapValidator

from hpo_lib.errors import InputError, choices


def expected(what: str) -> WrapValidator:
    """Say what was expected in our own words, whatever check of the type failed."""

    def check(value: Any, check_type: Callable[[Any], Any]) -> Any:
        try:
            return check_type(value)
        except ValueError:
            raise ValueError(what) from None

    return WrapValidator(check)


Whole = Annotated[int, Field(strict=True, ge=0), expected("a whole number of at least 0")]


def sentence(
    error: ValidationError,
    *,
    missing: str = "",
    known: Mapping[str, Iterable[str]] | None = None,
    called: Mapping[str, str] | None = None,
) -> str:
    """What is wrong: ``splits.train is 70, expected a share between 0 and 1, such as 0.7``.

    A misspelt key is unknown and leaves another one missing: the unknown one is named.

    Args:
        error: what pydantic found.
        missing: follows the name of a missing key.
        known: table -> its keys, where others are not allowed; the outermost table is ``""``.
        called: key -> what the user knows it by, if that is not the key itself.
    """
    problem = min(error.errors(include_url=False), key=lambda each: each["type"] == "missing")
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    key = "".join(parts).lstrip(".")
    table, _, name = key.rpartition(".")
    if problem["type"] == "missing":
        return f"key {key!r} is missing{missing}"
    if known and name not in known.get(table, [name]):
        return f"unknown key {key}; {choices(name, sorted(known[table]))}"
    value = repr(problem["input"])
    value = value if len(value) < 100 else f"{value[:100]} ..."
    subject = f"{(called or {}).get(key, key)} is {value}"
    match problem["type"]:
        case "value_error":
            reason = problem["ctx"]["error"]
            return (
                str(reason) if isinstance(reason, InputError) else f"{subject}, expected {reason}"
            )
        case "literal_error":
            allowed = re.findall(r"'(.+?)'", problem["ctx"]["expected"])
            return f"{subject}; {choices(problem['input'], allowed)}"
        case "dataclass_type":
            return f"{subject}, expected a table [{key}]"
        case _:
            return f"{subject}, expected {problem['msg'].removeprefix('Input should be ')}"
