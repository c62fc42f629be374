"""The command line of a measurement."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from hpo_lib.cli.main import Option, add_options
from hpo_lib.families.models import family_names

DATASETS = ("datasets...", str, "names or TOML files")
DATA_DIR = ("--data-dir", Path, "folder of the CSVs (default: data/ of the project)")
FAMILIES = (f"--models {'|'.join(family_names())}", family_names(), "families (default: all)")
PRESET = ("--preset", "laptop", "budget of a training (default: laptop)")
STUDIES = (
    ("--trials N", ("30",), "of every study, or FAMILY=N ... (others have 30)"),
    ("--seeds", 2, "final trainings whose quantiles are averaged (default: 2)"),
)


def parsed(
    description: str | None, *options: Option, given: Sequence[str] | None = None
) -> argparse.Namespace:
    """Arguments of the process, or ``given`` ones; for ``options`` see `hpo_lib.cli.main`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, options)
    return parser.parse_args(given)
