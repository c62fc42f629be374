"""The ``hpo`` command: thin calls into the library.

Its exit codes are `EXIT_CODES`.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

from hpo_lib import __version__
from hpo_lib.cli import commands
from hpo_lib.errors import MAKE_ROOM, HpoError, InputError, choices, nearest
from hpo_lib.settings import PARAMETERS, option_of, train_with_one_thread

EXIT_CODES = "0 fine, 1 failed, 2 wrong usage or input, 130 interrupted"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    train_with_one_thread()
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    known = parser.get_default("commands")
    name, value, *_ = [*words, "-", "-"]
    if name not in known and not name.startswith("-"):
        parser.error(f"command is {name!r}; {choices(name, known)}")
    # A dataset follows its command without an option.
    if not value.startswith("-") and known.get(name, parser).get_default("takes_dataset"):
        words.insert(1, "--dataset")
    arguments, unknown = parser.parse_known_args(words)
    for word in unknown:
        arguments.parser.error(_unknown(word, arguments.parser))
    arguments.words = words
    try:
        code = arguments.command(arguments)
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        # or the interpreter's last flush would fail too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except HpoError as error:
        commands.say(f"hpo: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    # of a file, a folder or a network that nothing before has put into a sentence of its own
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"hpo: {where}{error.strerror or error}; {MAKE_ROOM}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print("hpo: interrupted" + f"; {stop}" * bool(stop.args), file=sys.stderr)
        return 130


def _unknown(word: str, parser: argparse.ArgumentParser) -> str:
    """The sentence on a word of the command line that belongs nowhere."""
    if not word.startswith("-"):
        return f"{word!r} belongs to no option; put a value that holds blanks in quotes"
    option = word.partition("=")[0]
    hint = nearest(option, parser._option_string_actions)
    return f"option {option} is unknown; {hint}All options: {parser.prog} --help"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hpo",
        usage="hpo COMMAND [--help] ...",
        epilog=f"exit codes: {EXIT_CODES}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hpo {__version__}")
    subparsers = parser.add_subparsers(prog="hpo", metavar="COMMAND", help=argparse.SUPPRESS)
    shown = ["Hyperparameter studies of probabilistic demand forecasts."]
    # Help, example and options of each command, whose function in `commands` has its name.
    entries = tomllib.loads(Path(__file__).with_name("commands.toml").read_text("utf-8"))
    named = {parameter.name: _option(parameter) for parameter in PARAMETERS}
    of_study = tuple(named)
    named |= entries.pop("group")
    parser.set_defaults(
        command=lambda _: parser.print_help(),
        parser=parser,
        commands=subparsers.choices,
        json=False,
    )
    for name, entry in entries.items():
        if goal := entry.get("for"):
            shown += [f"\n{goal}"] * (f"\n{goal}" not in shown)
            shown.append(f"  {name:13} {entry['help']}")
        sub = subparsers.add_parser(
            name,
            description=entry["help"],
            epilog=f"example: {entry['example']}\nexit codes: {EXIT_CODES}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        options = entry["options"]
        if "all" in options:
            options[:1] = [name for name in of_study if name not in entry.get("without", ())]
        add_options(sub, [named.get(str(option), option) for option in options])
        sub.set_defaults(
            command=vars(commands)[f"_{name.replace('-', '_')}"],
            parser=sub,
            takes_dataset="--dataset" in sub._option_string_actions
            and not sub._get_positional_actions(),
        )
    parser.description = "\n".join(shown)
    return parser


Option = Sequence[Any]
"""Words, default and help of an option; or a sequence of such options that exclude each other.

Words are its spellings and what the help calls its value (``--out FILE``; ``mean|sum``: the only
values), or the name of an argument without option (``file...``: any number of them). With
``--dataset dataset...`` values may be given with and without their option. The default
``required`` means that it must be given, True or False a switch, a list or tuple any number of
values, ``path`` or a type a value of it or None, and ``$NAME`` what the environment says.
"""


def _option(parameter: Field[Any]) -> Option:
    text = parameter.metadata["description"]
    default = parameter.default
    if default is MISSING:
        default = "required"
    elif default and default is not True:
        text += f" (default: {default})"
    return option_of(parameter.name), default, text


def add_options(parser: Any, options: Iterable[Option]) -> None:
    """Add options to a parser, or to a group of one."""
    for option in options:
        if isinstance(option[0], str):
            _add(parser, *option)
        else:
            add_options(parser.add_mutually_exclusive_group(), option)


def _add(parser: Any, words: str, default: Any, text: str) -> None:
    spelt = [word for word in words.split() if word.startswith("-")]
    name = words.split()[-1].removesuffix("...")
    if f"--{name}" in spelt:
        parser.add_argument(name, nargs="*", default=argparse.SUPPRESS, help=f"as {spelt[0]}")
        name = spelt[0]
    how: dict[str, Any] = {"help": text}
    if "|" in name:
        how["choices"] = name.split("|")
    elif spelt and name not in spelt:
        how["metavar"] = name
    match default:
        case False:
            how["action"] = "store_true"
        case True:
            how |= {"action": argparse.BooleanOptionalAction, "default": True}
        case "required":
            how["required"] = True
        case list() | tuple():
            how |= {"nargs": "+", "default": default, "action": "store" if default else "extend"}
        case "path":
            how["type"] = Path
        case type():
            how["type"] = default
        case str() if default.startswith("$"):
            how["default"] = os.environ.get(default[1:], "")
        case _ if spelt:
            how |= {"type": type(default), "default": default}
    if name + "..." == words:
        how["nargs"] = "*"
    parser.add_argument(*(spelt or [name]), **how)
