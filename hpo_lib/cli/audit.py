"""The command ``audit``: which columns and models know the future."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from hpo_lib.cli import options


def add_to(add: options.Add) -> None:
    """Add the command to a parser."""
    command = add(
        "audit",
        _audit,
        "Find columns and models that know the future.",
        "hpo audit --dataset heat --models LINEAR_Q",
        "dataset",
        "recipe",
        "data_dir",
        "simulated",
    )
    option = command.add_argument
    option(
        "--models",
        "--model",
        nargs="+",
        default=(),
        metavar="MODEL",
        help="families, baselines, none (default: all)",
    )
    option("--raw", type=Path, help="CSV of the meter: columns are rebuilt from it and compared")
    options.add_raw_file(command)
    option("--weather", type=Path, help="with --raw: hourly OpenWeatherMap bulk CSV")
    option(
        "--school-holidays", type=Path, help="with --raw: CSV with start_date,end_date,description"
    )
    options.add_json(option)


def _audit(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.data.spec import load_spec
    from hpo_lib.figures.study_tables import banner
    from hpo_lib.leaks.audit import audit, in_words, n_leaks

    spec = load_spec(arguments.dataset)
    spec = replace(spec, raw=replace(spec.raw, **options.raw_file(arguments)))
    dataset = load_dataset(spec, arguments.data_dir, simulated=arguments.simulated)
    print(banner(dataset), file=sys.stderr if arguments.json else sys.stdout)
    names = ("models", "recipe", "raw", "weather", "school_holidays")
    given = {name: getattr(arguments, name) for name in names}
    findings = audit(dataset, **given, say=lambda line: print(line, file=sys.stderr))
    if arguments.json:
        content = {
            "dataset": spec.name,
            "source": dataset.source,
            "sha256": dataset.sha256,
            "unit": spec.unit,
            "leaks": n_leaks(findings),
            "findings": [asdict(finding) for finding in findings],
        }
        print(json.dumps(content, indent=2))
    else:
        print("\n".join(in_words(findings)))
    return 1 if n_leaks(findings) else 0
