"""The ``hpo`` command: thin calls into the library.

Exit codes: 0 fine, 1 failed, 2 wrong usage or input.
"""

import argparse
import logging
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hpo_lib import __version__, paths
from hpo_lib.cli import options, others, results
from hpo_lib.errors import MAKE_ROOM, HpoError, InputError, choices
from hpo_lib.settings import train_with_one_thread
from hpo_lib.stop_requests import LIFELINE

COMMANDS = Path(__file__).with_name("commands.toml")
"""Help, example and options of each command, whose function here has its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    train_with_one_thread()
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        arguments.parser.error(_unknown(unknown[0], arguments.parser))
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        # or the interpreter's last flush would fail too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except HpoError as error:
        print(f"hpo: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    # of a file, a folder or a network that nothing before has put into a sentence of its own
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"hpo: {where}{error.strerror or error}; {MAKE_ROOM}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hpo: interrupted", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Names the nearest command where argparse lists all of them alone."""

    def error(self, message: str) -> NoReturn:
        wrong = re.fullmatch(r".*COMMAND: invalid choice: '(.*)' \(choose from (.*)\)", message)
        if wrong is not None:
            allowed = wrong[2].replace("'", "").split(", ")
            message = f"command is {wrong[1]!r}; {choices(wrong[1], allowed)}"
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
    commands = tomllib.loads(COMMANDS.read_text(encoding="utf-8"))
    group = commands.pop("group")
    functions = {**vars(results), **vars(others), **globals()}
    for name, entry in commands.items():
        sub = subparsers.add_parser(
            name,
            help=entry["help"],
            description=entry["help"],
            epilog=f"example: {entry['example']}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=functions[f"_{name.replace('-', '_')}"], parser=sub)
        options.add_options(sub, options.command_options(entry, group))
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures import study_page
    from hpo_lib.launch.notebook_run import run_notebook
    from hpo_lib.records.study import StoredStudy

    settings = options.settings(arguments)
    try:
        run = run_notebook(settings)
    except KeyboardInterrupt:
        # nbclient's own task ends with the same interrupt.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise HpoError(
            f"interrupted; finished trials are kept, `hpo run --model {settings.model} --dataset "
            f"{settings.dataset} --job-id {settings.job_id}` with the same options continues"
        ) from None
    if LIFELINE in os.environ:  # the process that started this worker shows the result
        return 0
    study = StoredStudy.read(run)
    if study.result:  # the record of a stopped worker may come first
        print(study_page.short_scores(study))
    print(f"record: {run.notebook}\nas a page: hpo report {run.study_name} --open")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.doctor import check_machine

    findings = check_machine(arguments.data_dir, _runs_dir(arguments), arguments.dataset)
    options.print_all(findings)
    return int(any(finding.is_problem for finding in findings))


def _submit(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.slurm import read_site, submit_study

    site, settings = read_site(Path(arguments.site or paths.SITE_FILE)), options.settings(arguments)
    continues = bool(arguments.job_id)
    print(submit_study(settings, site, continues=continues, dry_run=arguments.dry_run), end="")
    return 0


def _job(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.spec import load_spec
    from hpo_lib.launch.slurm_requeue import ThisJob, run_job

    job = ThisJob.of_environment(arguments.signal_seconds, arguments.max_requeues)
    settings = options.settings(
        arguments, worker=job.worker, job_id=arguments.job_id or job.study_id
    )
    run = settings.files(load_spec(settings.dataset).name)
    command = [*settings.as_words(), "--worker", str(job.worker), "--job-id", settings.job_id]
    return run_job(run, command, job, settings.trials)


def _status(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch import slurm, status

    jobs, has_slurm = slurm.jobs(), shutil.which("sbatch") is not None
    studies = status.study_statuses(_runs_dir(arguments), jobs, arguments.storage)
    rows = status.as_rows(studies, jobs, slurm=has_slurm)
    if arguments.json:
        options.print_json(rows)
    else:
        extra = f" --runs-dir {shlex.quote(arguments.runs_dir)}" if arguments.runs_dir else ""
        print(status.table_text(rows, slurm=has_slurm, extra=extra))
    return int(any(study.state == "corrupt" for study in studies))


def _runs_dir(arguments: argparse.Namespace) -> Path:
    return Path(arguments.runs_dir or paths.RUNS_DIR)
