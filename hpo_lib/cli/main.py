"""The ``hpo`` command: thin calls into the library. Exit codes: 0 fine, 1 failed, 2 wrong usage or
input.
"""

import argparse
import json
import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from hpo_lib import __version__, paths
from hpo_lib.cli import audit, daily, options, results
from hpo_lib.errors import ROOM, HpoError, InputError, choices


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        arguments.parser.error(_unknown(unknown[0], arguments.parser))
    command: options.Command = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # or the interpreter's last flush would fail too
        return 1
    except HpoError as error:
        print(f"hpo: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    # of a file, a folder or a network that nothing before has put into a sentence of its own
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"hpo: {where}{error.strerror or error}; {ROOM}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hpo: interrupted", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Names the nearest command where argparse lists all of them alone."""

    def error(self, message: str) -> NoReturn:
        found = re.fullmatch(
            r"argument COMMAND: invalid choice: '(.*)' \(choose from (.*)\)", message
        )
        if found is not None:
            message = (
                f"command is {found[1]!r}; "
                f"{choices(found[1], found[2].replace(chr(39), '').split(', '))}"
            )
        super().error(message)


def _unknown(word: str, parser: argparse.ArgumentParser) -> str:
    """The sentence on a word of the command line that belongs nowhere."""
    if not word.startswith("-"):
        return f"{word!r} belongs to no option; put a value that holds blanks in quotes"
    option = word.partition("=")[0]
    hint = choices(option, parser._option_string_actions).partition("Allowed")[0]
    return f"option {option} is unknown; {hint}All options: {parser.prog} --help"


class _Help(argparse.HelpFormatter):
    """Room for the longest command beside its help: argparse forgets that commands are indented."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 17


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hpo",
        description="Hyperparameter studies of probabilistic demand forecasts.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"hpo {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: options.Command, text: str, example: str, *parameters: str
    ) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"example: {example}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command, parser=sub)
        options.add_parameters(sub, parameters)
        return sub

    add(
        "run",
        _run,
        "Run or continue one study through papermill; the executed notebook is the record.",
        "hpo run --model NHITS_Q --dataset heat --trials 50 --job-id winter",
        *options.ALL,
    )
    command = add(
        "datasets",
        _datasets,
        "List the datasets and whether their data is there, or draw those given.",
        "hpo datasets my.toml",
        "data_dir",
    )
    command.add_argument(
        "dataset", nargs="*", help="name or TOML (default: all of the registry, without a picture)"
    )
    options.add_json(command.add_argument)
    command = add(
        "prepare",
        _prepare,
        "Make the engineered CSV of a dataset from its raw series.",
        "hpo prepare --dataset heat --raw raw.csv --school-holidays holidays.csv --out "
        "features.csv",
        "dataset",
    )
    command.add_argument("--raw", required=True, help="CSV of the meter, see docs/own_data.md")
    options.add_raw_file(command)
    command.add_argument("--weather", type=Path, help="hourly OpenWeatherMap bulk CSV")
    command.add_argument(
        "--weather-forecast",
        type=Path,
        help="archive of forecasts: CSV with issued, valid (or lead_hours) and weather",
    )
    command.add_argument(
        "--school-holidays", type=Path, help="CSV with start_date,end_date,description"
    )
    command.add_argument("--out", help="where to write (default: the dataset's place below data/)")
    command = add(
        "new-dataset",
        _new_dataset,
        "Write the TOML of a dataset from the CSV of its meter; guesses are marked.",
        "hpo new-dataset my.csv --timezone Europe/Rome",
    )
    command.add_argument("file", type=Path, help="CSV of the meter, see docs/own_data.md")
    command.add_argument(
        "--weather", type=Path, help="hourly OpenWeatherMap bulk CSV, whose columns are used"
    )
    command.add_argument(
        "--out", type=Path, help="TOML to write (default: named like the CSV, in this folder)"
    )
    options.add_raw_file(command, timezone="IANA name of the place's local time")
    command = add(
        "doctor",
        _doctor,
        "Check this machine: what is there, what would fail, how to fix it.",
        "hpo doctor",
        *options.FOLDERS,
    )
    command.add_argument(
        "dataset", nargs="*", help="name or TOML of a dataset (default: all of the registry)"
    )
    command.add_argument(
        "--clean",
        action="store_true",
        help="list what killed processes left, and remove it if told",
    )
    command.add_argument(
        "--yes", action="store_true", help="with --clean: remove it without asking"
    )
    command = add(
        "submit",
        _submit,
        "Submit one study as a Slurm job, after checking everything that it needs.",
        "hpo submit --model NHITS_Q --dataset heat --trials 50 --workers 4",
        *(name for name in options.ALL if name not in ("time_budget_hours", "worker")),
    )
    command.add_argument(
        "--site", default="", help=f"the site's file (default: {paths.SITE_FILE.name} in slurm/)"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="print the job's script and submit nothing"
    )
    command = add(
        "job",
        _job,
        "What a Slurm job runs: the study, and back into the queue while trials are missing.",
        "hpo job --model NHITS_Q --dataset heat --trials 50",
        *(name for name in options.ALL if name not in ("time_budget_hours", "workers", "worker")),
    )
    command.add_argument(
        "--signal-seconds",
        type=int,
        default=600,
        help="warning time before the limit (default: 600)",
    )
    command.add_argument(
        "--max-requeues", type=int, default=20, help="attempts without progress (default: 20)"
    )
    command = add(
        "status",
        _status,
        "What ran, what is running, and what would submit or run the missing.",
        "hpo status",
        "runs_dir",
    )
    options.add_json(command.add_argument)
    options.add_database(command.add_argument)
    results.add_to(add)
    audit.add_to(add)
    daily.add_to(add)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures import study_tables
    from hpo_lib.launch.notebook_run import run_notebook
    from hpo_lib.records.study import StoredStudy

    settings = options.settings(arguments)
    try:
        run = run_notebook(settings)
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(
            logging.CRITICAL
        )  # nbclient's own task ends with the same interrupt
        again = (
            f"`hpo run --model {settings.model} --dataset {settings.dataset} --job-id "
            f"{settings.job_id}`"
        )
        print(
            f"hpo: interrupted; finished trials are kept, {again} with the same options continues",
            file=sys.stderr,
        )
        return 1
    study = StoredStudy.read(run)
    if study.result:  # the record of a stopped worker may come first
        print(study_tables.short_scores(study))
    print(f"record: {run.notebook}\nas a page: hpo report {run.study_name} --open")
    return 0


def _datasets(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.data.spec import known_datasets, load_spec
    from hpo_lib.launch.doctor import dataset_facts, dataset_lines, dataset_text, wrapped

    if arguments.json:
        facts = [
            dataset_facts(name, arguments.data_dir)
            for name in arguments.dataset or known_datasets()
        ]
        print(json.dumps(facts, indent=2))
        return 0
    if arguments.dataset:
        from hpo_lib.figures.data import data_overview
    else:
        print("\n".join(dataset_lines(arguments.data_dir)))
    for name in arguments.dataset:
        spec = load_spec(name)
        data = load_dataset(spec, arguments.data_dir)
        picture = Path(f"{name}.png") if name == spec.name else spec.path.with_suffix(".png")
        with paths.atomic(picture) as temporary:
            data_overview(data).savefig(temporary, dpi=120)
        print(wrapped(f"{spec.name:16}  ", dataset_text(data)) + f"\npicture: {picture}")
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.day_ahead_weather import prepare_archive
    from hpo_lib.data.features import prepare_features
    from hpo_lib.data.spec import load_spec

    spec = load_spec(arguments.dataset)
    spec = replace(spec, raw=replace(spec.raw, **options.raw_file(arguments)))
    out = Path(arguments.out or paths.DATA_DIR / spec.csv)
    print(
        prepare_features(
            spec, Path(arguments.raw), arguments.weather, arguments.school_holidays, out
        )
    )
    if arguments.weather_forecast is not None:
        print(prepare_archive(spec, arguments.weather_forecast, out))
    return 0


def _new_dataset(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.new_dataset import write_new_dataset
    from hpo_lib.data.spec import RawFile

    raw = options.raw_file(arguments)
    out = arguments.out or Path(arguments.file.with_suffix(".toml").name)
    write_new_dataset(arguments.file, raw.pop("timezone"), RawFile(**raw), arguments.weather, out)
    weather = f" --weather {shlex.quote(str(arguments.weather))}" if arguments.weather else ""
    print(f"wrote {out}: look at the lines that are marked as guessed, then")
    print(
        f"  hpo prepare --dataset {shlex.quote(str(out))} --raw "
        f"{shlex.quote(str(arguments.file))}{weather}"
    )
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.doctor import check_machine

    if arguments.clean:
        return _clean(arguments)
    findings = check_machine(arguments.data_dir, _runs_dir(arguments), arguments.dataset)
    print("\n".join(map(str, findings)))
    return 1 if any(finding.is_problem for finding in findings) else 0


def _clean(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.doctor import clean, leftovers

    found = leftovers(_runs_dir(arguments))
    print("\n".join([*map(str, found), f"{len(found)} left by killed processes"]))
    asked = bool(found) and not arguments.yes and sys.stdin.isatty()
    if found and (arguments.yes or (asked and input("Remove them? [y/N] ").strip().lower() == "y")):
        clean(found)
        print("removed")
    elif found and not asked:
        print("nothing is removed; give --yes to remove them")
    return 0


def _submit(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.slurm import read_site, submit_study

    site, settings = read_site(Path(arguments.site or paths.SITE_FILE)), options.settings(arguments)
    print(
        submit_study(settings, site, continues=bool(arguments.job_id), dry_run=arguments.dry_run),
        end="",
    )
    return 0


def _job(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.spec import load_spec
    from hpo_lib.launch.slurm_requeue import ThisJob, run_job

    job = ThisJob.of_environment(arguments.signal_seconds, arguments.max_requeues)
    settings = options.settings(
        arguments, worker=job.worker, job_id=arguments.job_id or job.study_id
    )
    dataset = load_spec(settings.dataset).name
    run = paths.RunPaths(settings.runs_dir, settings.model, dataset, settings.job_id, job.worker)
    command = [*settings.as_words(), "--worker", str(job.worker), "--job-id", settings.job_id]
    return run_job(run, command, job, settings.trials)


def _status(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch import slurm, status

    table, others = status.experiment_table(_runs_dir(arguments), slurm.jobs(), arguments.storage)
    extra = f" --runs-dir {shlex.quote(arguments.runs_dir)}" if arguments.runs_dir else ""
    has_slurm = shutil.which("sbatch") is not None
    rows = status.as_rows(table, others, slurm=has_slurm)
    print(
        json.dumps(rows, indent=2)
        if arguments.json
        else status.table_text(rows, slurm=has_slurm, extra=extra)
    )
    found = [*(row.status for row in table if row.status), *others]
    return 1 if any(study.state == "corrupt" for study in found) else 0


def _runs_dir(arguments: argparse.Namespace) -> Path:
    return Path(arguments.runs_dir or paths.RUNS_DIR)
