"""The command ``hpo figures``."""

import argparse

from hpo_lib import paths
from hpo_lib.cli import options


def add_to(add: options.Add) -> None:
    """Add the command to a parser."""
    figures = add(
        "figures", _figures, "Draw every thesis figure, table and model card from the records; nothing is trained.",
        "hpo figures --runs-dir papermill_runs --out thesis",
    )  # fmt: skip
    figures.add_argument(
        "--benchmark-dir", default="", help=f"folder of the benchmarks (default: {paths.BENCHMARK_DIR.name}/)"
    )
    figures.add_argument(
        "--dataset", nargs="+", default=(), metavar="TOML", help="datasets that the registry does not know by name"
    )
    figures.add_argument(
        "--out", default="", help="folder for figures/, thesis_tables/ and model_cards/ (default: the project's)"
    )
    options.add_folders(figures)


def _figures(arguments: argparse.Namespace) -> int:
    from hpo_lib.thesis.make import make_all

    written, notes = make_all(
        runs_dir=arguments.runs_dir, benchmark_dir=arguments.benchmark_dir, data_dir=arguments.data_dir,
        datasets=arguments.dataset, out=arguments.out, say=print,
    )  # fmt: skip
    for note in notes:
        print(f"note: {note}")
    for folder in sorted({file.parent for file in written}, key=str):
        print(f"{folder}: {sum(file.parent == folder for file in written)} files")
    return 0
