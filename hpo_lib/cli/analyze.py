"""The commands ``hpo analyze`` and ``hpo consolidate``."""

import argparse
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import options


def add_to(add: options.Add) -> None:
    """Add the commands to a parser."""
    analyze = add(
        "analyze", _analyze, "What the studies found and cost, and whether it is better than the untuned defaults.",
        "hpo analyze --dataset heat",
    )  # fmt: skip
    analyze.add_argument("--model", help="studies of this model only")
    analyze.add_argument("--dataset", help="studies of this dataset only, by its name or the path of its TOML")
    options.add_runs_dir(analyze)
    consolidate = add(
        "consolidate", _consolidate, "Write all studies into one table, as parquet and CSV.",
        "hpo consolidate --out thesis_tables",
    )  # fmt: skip
    consolidate.add_argument("--out", default="", help=f"folder (default: {paths.TABLES_DIR.name}/ of the project)")
    options.add_runs_dir(consolidate)


def _analyze(arguments: argparse.Namespace) -> int:
    from hpo_lib.thesis.analysis import analyse
    from hpo_lib.thesis.studies_table import SHOWN, SUMMARIES, improvement_report, summary

    found = analyse(arguments.runs_dir, arguments.model or "", arguments.dataset or "")
    for note in found.studies.notes:
        print(f"note: {note}")
    tables = [found.studies.table[SHOWN], *(summary(found.studies, by).reset_index() for by in SUMMARIES)]
    for title, table in zip(("Studies", "By model", "By dataset"), tables, strict=True):
        print(f"{title}:")
        print(table.to_string(index=False, na_rep="-", float_format="{:.5g}".format))
    print("Validation scores. At least 5 % lower MAE than the defaults and PICP 75 to 85 for two models of a dataset:")
    for line in improvement_report(found.studies):
        print(f"  {line}")
    print("Chosen values at an end of their search space, of the newest study of each model and dataset:")
    for line in [*found.boundaries(), *(f"note: {note}" for note in found.evidence.notes)]:
        print(f"  {line}")
    return 0


def _consolidate(arguments: argparse.Namespace) -> int:
    from hpo_lib.thesis.studies_table import load_studies, write_studies

    studies = load_studies(Path(arguments.runs_dir or paths.RUNS_DIR))
    for note in studies.notes:
        print(f"note: {note}")
    for file in write_studies(studies, Path(arguments.out or paths.TABLES_DIR).expanduser()):
        print(f"wrote {file} ({len(studies.table)} studies)")
    return 0
