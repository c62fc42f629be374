"""The commands ``hpo analyze`` and ``hpo consolidate``."""

import argparse
from pathlib import Path

from hpo_lib import options, paths

SHOWN = [
    "dataset", "model", "job_id", "status", "source", "preset", "trials", "failed", "stopped", "hours", "mae_default",
    "mae", "improvement", "picp",
]  # fmt: skip


def add_to(add: options.Add) -> None:
    """Add the commands to a parser."""
    analyze = add(
        "analyze", _analyze, "What the studies found, and whether it is better than the untuned defaults.",
        "hpo analyze --dataset heat",
    )  # fmt: skip
    analyze.add_argument("--model", help="studies of this model only")
    analyze.add_argument("--dataset", help="studies of this dataset only")
    options.add_runs_dir(analyze)
    consolidate = add(
        "consolidate", _consolidate, "Write all studies into one table, as parquet and CSV.",
        "hpo consolidate --out thesis_tables",
    )  # fmt: skip
    consolidate.add_argument("--out", default="", help=f"folder (default: {paths.TABLES_DIR.name}/ of the project)")
    options.add_runs_dir(consolidate)


def _analyze(arguments: argparse.Namespace) -> int:
    from hpo_lib.analysis import improvement_report, load_studies

    studies = load_studies(Path(arguments.runs_dir or paths.RUNS_DIR)).only(arguments.model, arguments.dataset)
    for note in studies.notes:
        print(f"note: {note}")
    print(studies.table[SHOWN].to_string(index=False, na_rep="-", float_format="{:.5g}".format))
    print("Validation scores. At least 5 % lower MAE than the defaults and PICP 75 to 85 for two models of a dataset:")
    for line in improvement_report(studies):
        print(f"  {line}")
    return 0


def _consolidate(arguments: argparse.Namespace) -> int:
    from hpo_lib.analysis import load_studies, write_studies

    studies = load_studies(Path(arguments.runs_dir or paths.RUNS_DIR))
    for note in studies.notes:
        print(f"note: {note}")
    for file in write_studies(studies, Path(arguments.out or paths.TABLES_DIR).expanduser()):
        print(f"wrote {file} ({len(studies.table)} studies)")
    return 0
