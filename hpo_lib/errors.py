"""The errors that a user is meant to read, and checks by pydantic that end in one sentence."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, WrapValidator


class HpoError(Exception):
    """Something that the user can fix: one sentence says what, where and how to fix it."""

    def _render_traceback_(self) -> list[str]:
        """Jupyter shows the sentence instead of a traceback: it says all that a user needs."""
        return [f"{type(self).__name__}: {self}"]


class InputError(HpoError, ValueError):
    """A wrong file, column, row, name or parameter. The command line ends with exit code 2."""


class StudyError(HpoError, RuntimeError):
    """A study that cannot go on or has no usable result. The command line ends with exit code 1."""


class WriteError(HpoError):
    """A file of ours cannot be written. The command line ends with exit code 1."""


NO_ANSWER = "the database of this study does not answer"
"""How the sentence on a database that is down begins; a Slurm job is requeued then."""

MAKE_ROOM = "make room or access, and run again"
"""What helps where something cannot be written."""


def unwritable(path: object, error: BaseException) -> WriteError:
    """The error of a file or folder that cannot be written."""
    why = getattr(error, "strerror", "") or in_one_line(error)
    return WriteError(f"{path}: cannot be written ({why}); {MAKE_ROOM}")


UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
)
"""What libraries raise at damaged values, beside their own errors."""


class Damage(str):
    """A sentence on a record that cannot be read; reports end with exit code 1 then."""


def choices(found: object, allowed: Iterable[object]) -> str:
    """The end of an error sentence about a name: the nearest allowed name, then all of them.

    Examples:
        >>> choices("TFT", ["NHITS_Q", "TFT_Q"])
        'did you mean TFT_Q? allowed: NHITS_Q, TFT_Q'
    """
    names = [str(name) for name in allowed]
    return f"{nearest(found, names)}allowed: {', '.join(names)}"


def nearest(found: object, names: Iterable[str]) -> str:
    """The question whether the name that is nearest was meant, or nothing if none is near."""
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(str(found).casefold(), folded, n=1, cutoff=0.55)
    return f"did you mean {folded[near[0]]}? " if near else ""


def in_one_line(error: BaseException) -> str:
    """What a library says, as a part of a sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."


# Checks by pydantic, and the one sentence that says what is wrong with a value


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
