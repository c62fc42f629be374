"""Options that several commands share."""

import argparse
from collections.abc import Callable
from typing import Any

from hpo_lib.settings import POLICIES, PRESETS, RECIPES, Settings

Add = Callable[[str, Callable[[argparse.Namespace], int], str, str], argparse.ArgumentParser]
"""Adds a command: its name, what it does, its line of help, an example."""


def add_study(parser: argparse.ArgumentParser) -> None:
    """What a study is: model, dataset, and all that may be left at its default."""
    parser.add_argument("--model", required=True, help="NHITS_Q, TFT_Q or TIMESNET_Q")
    parser.add_argument("--dataset", required=True, help="a name from `hpo datasets` or the path of a dataset TOML")
    parser.add_argument("--trials", type=int, default=0, help="finished trials in the end (default: 50, with --test 3)")
    parser.add_argument("--seed", type=int, default=42, help="of the sampler and of every training (default: 42)")
    parser.add_argument(
        "--test", action="store_true", help="few trials at the smallest budget, to see that everything works"
    )
    parser.add_argument("--preset", default="auto", help=f"training budget: {', '.join(PRESETS)} (default: auto)")
    parser.add_argument(
        "--recipe", default="standard", help=f"how windows are made: {', '.join(RECIPES)} (default: standard)"
    )
    parser.add_argument(
        "--no-early-stopping", dest="early_stopping", action="store_false",
        help="train every trial to the end of its budget",
    )  # fmt: skip
    parser.add_argument(
        "--storage", default="auto",
        help="sqlite (one worker), journal, a database URL; auto, the default: as begun, else journal for several",
    )  # fmt: skip
    parser.add_argument(
        "--policy", default="calibrated", help=f"choice from the front: {', '.join(POLICIES)} (default: calibrated)"
    )
    add_folders(parser)


def settings(arguments: argparse.Namespace, **more: Any) -> Settings:
    """The settings that `add_study` and ``--job-id`` were given.

    Raises:
        InputError: a value is wrong.
    """
    names = (
        "model", "dataset", "trials", "seed", "test", "preset", "recipe", "storage", "policy", "data_dir", "runs_dir",
        "early_stopping", "job_id",
    )  # fmt: skip
    return Settings.create(**{name: getattr(arguments, name) for name in names}, **more)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Where the CSVs are."""
    parser.add_argument("--data-dir", default="", help="folder of the CSVs (default: data/ of the project)")


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Where the CSVs and the records are."""
    add_data_dir(parser)
    add_runs_dir(parser)


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    """Where the records are."""
    parser.add_argument(
        "--runs-dir", default="", help="folder of the records (default: papermill_runs/ of the project)"
    )
