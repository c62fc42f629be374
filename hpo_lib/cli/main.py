"""The ``hpo`` command: thin calls into the library. Exit codes: 0 fine, 1 failed, 2 wrong usage or input."""

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import analyze, benchmark, figures, options, retrain, slurm
from hpo_lib.errors import HpoError, InputError

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = _parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except InputError as error:
        print(f"hpo: {error}", file=sys.stderr)
        return 2
    except HpoError as error:
        print(f"hpo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hpo: interrupted", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.notebook_run import run_notebook

    settings = options.settings(
        arguments,
        time_budget_hours=arguments.time_budget_hours,
        workers=arguments.workers,
        worker=arguments.worker,
    )
    try:
        record = run_notebook(settings)
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # nbclient's own task ends with the same interrupt
        again = f"hpo run --model {settings.model} --dataset {settings.dataset} --job-id {settings.job_id}"
        print(f"hpo: interrupted; finished trials are kept, `{again}` with the same options goes on", file=sys.stderr)
        return 1
    print(f"record: {record}")
    return 0


def _datasets(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.doctor import dataset_lines

    for line in dataset_lines(Path(arguments.data_dir or paths.DATA_DIR)):
        print(line)
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.features import prepare
    from hpo_lib.data.spec import load_spec

    def optional(value: str | None) -> Path | None:
        return None if value is None else Path(value)

    spec = load_spec(arguments.dataset)
    out = Path(arguments.out) if arguments.out else paths.DATA_DIR / spec.csv
    report = prepare(spec, Path(arguments.raw), optional(arguments.weather), optional(arguments.school_holidays), out)
    print(report.describe())
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.doctor import examine

    findings = examine(Path(arguments.data_dir or paths.DATA_DIR), Path(arguments.runs_dir or paths.RUNS_DIR))
    for finding in findings:
        print(finding)
    return 1 if any(finding.is_problem for finding in findings) else 0


def _status(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch import slurm_queue, status

    runs_dir = Path(arguments.runs_dir or paths.RUNS_DIR)
    table, others = status.rows(runs_dir, slurm_queue.jobs())
    print(status.render(table, others, extra=f" --runs-dir {shlex.quote(str(runs_dir))}" if arguments.runs_dir else ""))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from hpo_lib.records.verify import verify

    runs_dir = Path(arguments.runs_dir or paths.RUNS_DIR)
    files = [Path(file) for file in arguments.file] or paths.result_files(runs_dir)
    if not files:
        raise InputError(f"{runs_dir}: holds no best_params JSON; name a folder with --runs-dir, or a file")
    found = [verify(file, Path(arguments.data_dir or paths.DATA_DIR), arguments.dataset) for file in files]
    for verification in found:
        print(verification)
    return 1 if any(verification.problems for verification in found) else 0


class _Help(argparse.HelpFormatter):
    """Room for the longest command beside its help: argparse forgets that commands are indented."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 17


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hpo", description="Hyperparameter studies of probabilistic demand forecasts.", allow_abbrev=False,
        formatter_class=_Help,
    )  # fmt: skip
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str, example: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(
            name, help=text, description=text, epilog=f"example: {example}", allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.set_defaults(command=command)
        return sub

    run = add(
        "run", _run, "Run or continue one study through papermill; the executed notebook is the record.",
        "hpo run --model NHITS_Q --dataset heat --trials 50 --job-id winter",
    )  # fmt: skip
    options.add_study(run)
    run.add_argument(
        "--job-id", default="", help="names the files; the same id continues a study (default: Slurm job id or time)"
    )
    run.add_argument(
        "--time-budget-hours", type=float, default=0.0, help="start no trial that would probably end later"
    )
    run.add_argument("--workers", type=int, default=1, help="processes that share the trials, on this machine")
    run.add_argument(
        "--worker", type=int, default=1,
        help="number of this one among several started under one job id, on one machine or many (default: 1)",
    )  # fmt: skip

    options.add_data_dir(
        add("datasets", _datasets, "List the datasets and whether their data is there.", "hpo datasets")
    )

    prepare = add(
        "prepare", _prepare, "Make the engineered CSV of a dataset from its raw series.",
        "hpo prepare --dataset heat --raw raw.csv --school-holidays holidays.csv --out features.csv",
    )  # fmt: skip
    prepare.add_argument("--dataset", required=True, help="a name from `hpo datasets` or the path of a dataset TOML")
    prepare.add_argument("--raw", required=True, help="raw CSV: unnamed UTC timestamp column and one column named 0")
    prepare.add_argument("--weather", help="hourly OpenWeatherMap bulk CSV")
    prepare.add_argument("--school-holidays", help="CSV with start_date,end_date,description")
    prepare.add_argument("--out", help="where to write (default: the dataset's place below data/)")

    options.add_folders(add("doctor", _doctor, "What is there, what would fail, and how to mend it.", "hpo doctor"))
    slurm.add_to(add)

    status = add("status", _status, "What ran, what is running, and what would submit the missing.", "hpo status")
    options.add_runs_dir(status)

    verify = add(
        "verify", _verify, "Recompute the figures of best_params JSONs from the stored predictions.",
        "hpo verify --data-dir data",
    )  # fmt: skip
    verify.add_argument("file", nargs="*", help="best_params JSON (default: all below the folder of the records)")
    verify.add_argument("--dataset", default="", help="dataset TOML, where the registry does not know the dataset")
    options.add_folders(verify)
    benchmark.add_to(add)
    analyze.add_to(add)
    figures.add_to(add)
    retrain.add_to(add)
    return parser
