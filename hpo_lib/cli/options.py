"""Options of study parameters, made from their statements in `hpo_lib.settings`, and the table that
documents them.
"""

import argparse
import os
from collections.abc import Callable, Collection
from typing import Any

from hpo_lib.settings import FOLDERS as FOLDERS
from hpo_lib.settings import PARAMETERS, Settings

Command = Callable[[argparse.Namespace], int]
Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its name, its function, its line of help, an example, names of parameters that
become options.
"""

ALL = tuple(parameter.name for parameter in PARAMETERS)


def add_parameters(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Add the options of the parameters with these names."""
    for parameter in PARAMETERS:
        if parameter.name not in names:
            continue
        text, option = parameter.explanation, _option(parameter.name)
        if parameter.kind is bool:
            action = argparse.BooleanOptionalAction if parameter.default else "store_true"
            parser.add_argument(option, action=action, default=parameter.default, help=text)
        elif parameter.default is None:
            parser.add_argument(option, required=True, help=text)
        else:
            text += f" (default: {parameter.default})" if parameter.default else ""
            parser.add_argument(option, type=parameter.kind, default=parameter.default, help=text)


def add_database(option: Callable[..., object]) -> None:
    """Add the option that names a database, since no other is connected to."""
    option(
        "--storage",
        default=os.environ.get("HPO_STORAGE", ""),
        help="URL of the database of running studies; no other is connected to (default: "
        "$HPO_STORAGE)",
    )


def add_json(option: Callable[..., object]) -> None:
    """Add the option that asks for JSON."""
    option("--json", action="store_true", help="print JSON")


_RAW_FILE = {
    "time_column": "column of the times (default: the only one)",
    "value_column": "column of the values (default: the target's name, or the only one with "
    "numbers)",
    "timezone": "of times without offset: UTC, Europe/Rome, or +01:00 if the clock never changes",
    "aggregate": "mean or sum: how steps of minutes become hours",
}


def add_raw_file(parser: argparse.ArgumentParser, **required: str) -> None:
    """Add the options that say how a meter's CSV is read, ``required`` ones with another help text.

    They go before [raw] in the dataset's TOML.
    """
    for name, text in _RAW_FILE.items():
        allowed = ("mean", "sum") if name == "aggregate" else None
        parser.add_argument(
            _option(name), choices=allowed, required=name in required, help=required.get(name, text)
        )


def raw_file(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those of these options that were given."""
    return {name: value for name in _RAW_FILE if (value := getattr(arguments, name)) is not None}


def settings(arguments: argparse.Namespace, **more: Any) -> Settings:
    """The settings that the options of `add_parameters` were given.

    Raises:
        InputError: a value is wrong.
    """
    return Settings.create(
        **{**{name: value for name, value in vars(arguments).items() if name in ALL}, **more}
    )


def parameters_table() -> str:
    """``docs/parameters.md``'s table of all parameters, in Markdown."""
    lines = ["| parameter | type | default | `hpo run` | meaning |", "|---|---|---|---|---|"]
    for parameter in PARAMETERS:
        default = "required" if parameter.default is None else f"`{parameter.default!r}`"
        option = (
            f"--no-{_option(parameter.name)[2:]}"
            if parameter.default is True
            else _option(parameter.name)
        )
        lines.append(
            f"| `{parameter.name}` | {parameter.kind.__name__} | {default} | `{option}` | "
            f"{parameter.explanation} |"
        )
    return "\n".join(lines) + "\n"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
