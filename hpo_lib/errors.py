"""The errors that a user is meant to read."""

import difflib
from collections.abc import Iterable


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
        'did you mean TFT_Q? Allowed: NHITS_Q, TFT_Q'
    """
    names = [str(name) for name in allowed]
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(str(found).casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]}? " if near else ""
    return f"{hint}Allowed: {', '.join(names)}"


def in_one_line(error: BaseException) -> str:
    """What a library says, as a part of a sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."
