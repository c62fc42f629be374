"""Options of the commands as data, and the table that documents the parameters of a study.

The options of study parameters follow from their statements in `hpo_lib.settings`.
"""

import argparse
import inspect
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from hpo_lib.errors import Damage
from hpo_lib.settings import FOLDERS as FOLDERS
from hpo_lib.settings import PARAMETERS, Parameter, Settings

Command = Callable[[argparse.Namespace], int]
Option = str | tuple[str, Any, str] | list[Any]
"""The name of a study parameter; or words, default and help of another option; or a list of such
options that exclude each other.

Words are its spellings and what the help calls its value (``--out FILE``; ``mean|sum``: the only
values), or the name of an argument without option (``dataset...``: any number of them). The default
``...`` means that it must be given, False a switch, a tuple any number of values, a type a value of
it or None, and ``$NAME`` what the environment says.
"""

Add = Callable[..., None]
"""Adds a command: its function, its line of help, an example, which begins with its name, and its
options.
"""

ALL = tuple(parameter.name for parameter in PARAMETERS)

DATABASE = (
    "--storage",
    "$HPO_STORAGE",
    "URL of the database of running studies; no other is connected to (default: $HPO_STORAGE)",
)
JSON = ("--json", False, "print JSON")
RAW_FILE = (
    ("--time-column", "", "column of the times (default: the only one)"),
    (
        "--value-column",
        "",
        "column of the values (default: the target's name, or the only one with numbers)",
    ),
    (
        "--timezone",
        "",
        "of times without offset: UTC, Europe/Rome, or +01:00 if the clock never changes",
    ),
    ("--aggregate mean|sum", "", "mean or sum: how steps of minutes become hours"),
)
"""How a meter's CSV is read. They go before [raw] in the dataset's TOML."""


def add_options(parser: Any, options: Iterable[Option]) -> None:
    """Add options to a parser, or to a group of one."""
    for option in options:
        if isinstance(option, list):
            add_options(parser.add_mutually_exclusive_group(), option)
        elif isinstance(option, tuple):
            _add(parser, *option)
        else:
            _add_parameter(parser, PARAMETERS[ALL.index(option)])


def _add(parser: Any, words: str, default: Any, text: str) -> None:
    spelt = [word for word in words.split() if word.startswith("-")]
    name = words.split()[-1].removesuffix("...")
    how: dict[str, Any] = {"help": text}
    if not spelt:
        many = {"nargs": "*"} if words.endswith("...") else {}
        parser.add_argument(name, type=default, **many, **how)
        return
    if "|" in name:
        how["choices"] = name.split("|")
    elif name not in spelt:
        how["metavar"] = name
    if default is False:
        how["action"] = "store_true"
    elif default is ...:
        how["required"] = True
    elif isinstance(default, tuple):
        how |= {"nargs": "+", "default": default}
    elif isinstance(default, type):
        how["type"] = default
    elif isinstance(default, str) and default.startswith("$"):
        how["default"] = os.environ.get(default[1:], "")
    else:
        how |= {"type": type(default), "default": default}
    parser.add_argument(*spelt, **how)


def _add_parameter(parser: Any, parameter: Parameter) -> None:
    text, option, default = parameter.explanation, _option(parameter.name), parameter.default
    if parameter.kind is bool:
        action = argparse.BooleanOptionalAction if default else "store_true"
        parser.add_argument(option, action=action, default=default, help=text)
    elif default is None:
        parser.add_argument(option, required=True, help=text)
    else:
        text += f" (default: {default})" if default else ""
        parser.add_argument(option, type=parameter.kind, default=default, help=text)


def raw_file(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `RAW_FILE` that were given."""
    names = (words.split()[0][2:].replace("-", "_") for words, *_ in RAW_FILE)
    return {name: value for name in names if (value := getattr(arguments, name))}


def parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of the study parameters among the arguments."""
    return {name: value for name, value in vars(arguments).items() if name in ALL}


def settings(arguments: argparse.Namespace, **more: Any) -> Settings:
    """The settings that the options of study parameters were given."""
    return Settings.create(**{**parameters(arguments), **more})


def call(function: Callable[..., Any], arguments: argparse.Namespace, **more: Any) -> Any:
    """Call a function with the arguments that it has parameters for, and with ``more``."""
    names = inspect.signature(function).parameters
    named = {name: value for name, value in vars(arguments).items() if name in names}
    return function(**{**named, **more})


def print_json(content: object) -> None:
    """Print plain values, and what else is among them as text."""
    print(json.dumps(content, indent=2, default=str))


def damaged(notes: Iterable[object]) -> int:
    """The exit code of a command that tells these notes: 1 if one is on a damaged record."""
    return int(any(isinstance(note, Damage) for note in notes))


def parameters_table() -> str:
    """``docs/parameters.md``'s table of all parameters, in Markdown."""
    lines = ["| parameter | type | default | `hpo run` | meaning |", "|---|---|---|---|---|"]
    for parameter in PARAMETERS:
        default = "required" if parameter.default is None else f"`{parameter.default!r}`"
        option = _option(parameter.name)
        option = f"--no-{option[2:]}" if parameter.default is True else option
        lines.append(
            f"| `{parameter.name}` | {parameter.kind.__name__} | {default} | `{option}` | "
            f"{parameter.explanation} |"
        )
    return "\n".join(lines) + "\n"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
