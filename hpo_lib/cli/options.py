"""Options of the commands as data, and the table that documents the parameters of a study.

The options of study parameters follow from their statements in `hpo_lib.settings`.
"""

import argparse
import inspect
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import EllipsisType
from typing import Any

from hpo_lib.errors import Damage
from hpo_lib.settings import PARAMETERS, Parameter, Settings

Option = Parameter | Sequence[Any]
"""A study parameter; or words, default and help of another option; or a sequence of such options
that exclude each other.

Words are its spellings and what the help calls its value (``--out FILE``; ``mean|sum``: the only
values), or the name of an argument without option (``dataset...``: any number of them). The default
``...`` means that it must be given, False a switch, a list or tuple any number of values, a type a
value of it or None, and ``$NAME`` what the environment says.
"""

DEFAULTS = {"required": ..., "path": Path}
"""What a default in ``commands.toml`` means that TOML has no value for."""


def command_options(entry: dict[str, Any], group: dict[str, Option]) -> list[Option]:
    """The options of a command as ``commands.toml`` states them; ``group``: those with a name."""
    named = {parameter.name: parameter for parameter in PARAMETERS} | group
    options: list[Option] = []
    for option in entry["options"]:
        if option == "all":
            without = entry.get("without", ())
            options += [parameter for parameter in PARAMETERS if parameter.name not in without]
        else:
            options.append(named[option] if isinstance(option, str) else option)
    return options


def add_options(parser: Any, options: Iterable[Option]) -> None:
    """Add options to a parser, or to a group of one."""
    for option in options:
        if isinstance(option, Parameter):
            _add_parameter(parser, option)
        elif isinstance(option[0], str):
            _add(parser, *option)
        else:
            add_options(parser.add_mutually_exclusive_group(), option)


def _add(parser: Any, words: str, default: Any, text: str) -> None:
    spelt = [word for word in words.split() if word.startswith("-")]
    name = words.split()[-1].removesuffix("...")
    default = DEFAULTS.get(default, default) if isinstance(default, str) else default
    how: dict[str, Any] = {"help": text}
    if "|" in name:
        how["choices"] = name.split("|")
    elif spelt and name not in spelt:
        how["metavar"] = name
    match default:
        case False:
            how["action"] = "store_true"
        case EllipsisType():
            how["required"] = True
        case list() | tuple():
            how |= {"nargs": "+", "default": default}
        case type():
            how["type"] = default
        case str() if default.startswith("$"):
            how["default"] = os.environ.get(default[1:], "")
        case _ if spelt:
            how |= {"type": type(default), "default": default}
    if words.endswith("..."):
        how["nargs"] = "*"
    parser.add_argument(*(spelt or [name]), **how)


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


def parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of the study parameters among the arguments."""
    names = {parameter.name for parameter in PARAMETERS}
    return {name: value for name, value in vars(arguments).items() if name in names}


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


def print_all(lines: Iterable[object], before: str = "") -> int:
    """Print lines or notes; returns the exit code: 1 if one is on a damaged record."""
    lines = list(lines)
    for line in lines:
        print(f"{before}{line}")
    return damaged(lines)


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
