"""The commands that use stored studies: a page, a dashboard, tables, figures, the benchmark."""

import argparse
import json
import sys
import webbrowser
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import options
from hpo_lib.errors import Damage, InputError


def add_to(add: options.Add) -> None:
    """Add the commands to a parser."""
    study = "job id, name, best_params JSON or folder of a study"
    option = add(
        "report",
        _report,
        "Write a study as one HTML page: forecasts, front, choice and proof, provenance.",
        "hpo report winter --open",
        "runs_dir",
    ).add_argument
    option("study", help=study)
    option("--open", action="store_true", help="show it in the browser")
    option = add(
        "dashboard",
        _dashboard,
        "Serve a study's trials with optuna-dashboard, also while it runs; Ctrl-C ends it.",
        "hpo dashboard winter",
        "runs_dir",
    ).add_argument
    option("study", help=study)
    option("--port", type=int, default=8080, help="of this machine (default: 8080)")
    options.add_database(option)

    command = add(
        "verify",
        _verify,
        "Recompute the figures of best_params JSONs from the stored predictions.",
        "hpo verify --data-dir data",
        *options.FOLDERS,
    )
    command.add_argument(
        "file",
        nargs="*",
        type=Path,
        help="best_params JSON (default: all in the folder of records)",
    )
    command.add_argument(
        "--dataset", default="", help="dataset TOML, if the registry does not know the dataset"
    )
    options.add_json(command.add_argument)
    option = add(
        "analyze",
        _analyze,
        "What the studies found and cost, and whether it is better than the untuned defaults.",
        "hpo analyze --dataset heat",
        "runs_dir",
    ).add_argument
    option("--model", default="", help="studies of this model only")
    option(
        "--dataset",
        default="",
        help="studies of this dataset only, by its name or the path of its TOML",
    )
    options.add_json(option)

    option = add(
        "consolidate",
        _consolidate,
        "Write all studies into one table, as parquet and CSV.",
        "hpo consolidate --out my_tables",
        "runs_dir",
    ).add_argument
    _add_out(option, "folder", paths.DRAFTS_DIR)

    command = add(
        "figures",
        _figures,
        "Draw every thesis figure, table and model card from the records; nothing is trained.",
        "hpo figures --runs-dir papermill_runs --out thesis",
        *options.FOLDERS,
    )
    option = command.add_argument
    option(
        "--benchmark-dir",
        default="",
        help=f"folder of the benchmarks (default: {paths.BENCHMARK_DIR.name}/)",
    )
    option(
        "--dataset",
        nargs="+",
        default=(),
        metavar="TOML",
        help="datasets that the registry does not know by name",
    )
    where = command.add_mutually_exclusive_group()
    _add_out(
        where.add_argument, "folder for figures/, thesis_tables/ and model_cards/", paths.DRAFTS_DIR
    )
    where.add_argument(
        "--publish",
        action="store_true",
        help="replace the tracked ones of the project, and name them",
    )

    option = add(
        "benchmark",
        _benchmark,
        "Train with chosen parameters, score every day of the test split, beside baselines.",
        "hpo benchmark --dataset heat --models NHITS_Q TFT_Q --params both --seeds 3",
        "dataset",
        "test",
        "preset",
        "recipe",
        "simulated",
        *options.FOLDERS,
    ).add_argument
    option(
        "--models",
        "--model",
        nargs="+",
        default=(),
        metavar="MODEL",
        help="families (default: all)",
    )
    option(
        "--params",
        default="both",
        help="best (of the studies), default, both side by side, ensemble (of each study's "
        "trials), or a "
        "best_params JSON",
    )
    option(
        "--seeds",
        type=int,
        default=3,
        help="trainings per row, whose quantiles are averaged (default: 3)",
    )
    option(
        "--refit", action="store_true", help="train again on training and validation split together"
    )
    option(
        "--calibration",
        default="rolling",
        help="none, split or rolling, beside raw forecasts (default: rolling)",
    )
    option(
        "--calibration-days", type=int, default=0, help="window of the rolling mode (default: 28)"
    )
    option("--per-hour", action="store_true", help="calibrate each hour ahead by itself")
    option(
        "--blend",
        choices=("equal", "weighted"),
        default="equal",
        help="weights: equal, or fitted on validation",
    )
    option(
        "--chronos2",
        default="",
        metavar="DIR",
        help="folder of a pretrained Chronos-2: one more baseline",
    )
    _add_out(option, "folder for forecasts and tables", paths.BENCHMARK_DIR)


def _add_out(option: Callable[..., object], text: str, default: Path) -> None:
    option("--out", default="", help=f"{text} (default: {default.name}/ of the project)")


def _print_all(lines: Iterable[object], before: str = "") -> int:
    """Print lines, or notes after a word; the exit code is 1 if one of them is on a damaged record."""
    damaged = 0
    for line in lines:
        print(f"{before}{line}")
        damaged |= isinstance(line, Damage)
    return damaged


def _report(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.study_page import write_page
    from hpo_lib.records.study import named_study

    page = write_page(named_study(arguments.study, arguments.runs_dir)).resolve()
    print(f"wrote {page}")
    if arguments.open and not webbrowser.open(page.as_uri()):
        print("note: there is no browser on this machine")
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    from hpo_lib.records.study import named_study

    study = named_study(arguments.study, arguments.runs_dir, arguments.storage)
    if not study.has_storage:
        raise InputError(
            f"{study.run.study_name}: its storage is not among its files, and no database that "
            "was named holds it; "
            "give the file back, or the URL of the database with --storage"
        )
    try:
        from optuna_dashboard import run_server
    except ImportError:
        command = f"{sys.executable} -m pip install optuna-dashboard"
        raise InputError(
            f"optuna-dashboard is not installed, which serves the trials; run `{command}`"
        ) from None
    print(f"{study.run.study_name}: http://localhost:{arguments.port}/ until Ctrl-C", flush=True)
    run_server(study.storage or arguments.storage, port=arguments.port)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from hpo_lib.records.verify import verify

    runs_dir = Path(arguments.runs_dir or paths.RUNS_DIR)
    files = arguments.file or paths.best_params_files(runs_dir)
    if not files:
        raise InputError(
            f"{runs_dir}: holds no best_params JSON; name a folder with --runs-dir, or a file"
        )
    found = [verify(file, arguments.data_dir, arguments.dataset) for file in files]
    print(
        json.dumps(list(map(asdict, found)), indent=2, default=str)
        if arguments.json
        else "\n".join(map(str, found))
    )
    codes = {verification.exit_code for verification in found}
    return min(codes - {0}, default=0)


def _analyze(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.analysis import analyse
    from hpo_lib.figures.studies_table import SHOWN, SUMMARIES, improvement_report, summary
    from hpo_lib.launch.doctor import wrapped

    found = analyse(arguments.runs_dir, arguments.model, arguments.dataset)
    studies, summaries = (
        found.studies.table,
        [summary(found.studies, by).reset_index() for by in SUMMARIES],
    )
    if arguments.json:
        tables = zip(
            ("studies", *(f"by_{by}" for by in SUMMARIES)), (studies, *summaries), strict=True
        )
        content = {name: json.loads(table.to_json(orient="records")) for name, table in tables}
        content |= {"criteria": improvement_report(found.studies), "boundaries": found.boundaries()}
        print(
            json.dumps(
                {**content, "notes": [*found.studies.notes, *found.evidence.notes]}, indent=2
            )
        )
        return int(
            any(isinstance(note, Damage) for note in (*found.studies.notes, *found.evidence.notes))
        )
    damaged = _print_all(found.studies.notes, "note: ")
    usual = [
        name
        for name, value in (("status", "complete"), ("source", "csv"))
        if (studies[name] == value).all()
    ]
    wide = [
        "studies",
        "data",
        "until",
        "failed %",
        "stopped %",
        "hours",
        "s per trial",
    ]  # too many for 100 columns
    short = {
        "mae_default": "default",
        "improvement": "gain %",
        "median improvement": "gain %",
        "picp": "picp %",
    }
    for title, table in {
        "Studies (complete trials; mae of default and of choice, in the unit)": studies[SHOWN].drop(
            columns=usual
        ),
        "By model (median gain)": summaries[0].drop(columns=["studies", "hours"]),
        "By dataset": summaries[1].drop(columns=wide),
    }.items():
        text = table.rename(columns=short).to_string(
            index=False, na_rep="-", float_format="{:.3g}".format
        )
        print(f"{title}:\n{text}")
    print(
        "Validation scores: MAE 5 % or more below the defaults, PICP 75 to 85, for two models of "
        "a dataset:"
    )
    _print_all(wrapped("  ", line) for line in improvement_report(found.studies))
    print(
        "Chosen values at an end of their search space, of the newest study of each model and "
        "dataset:"
    )
    _print_all(found.boundaries(), "  ")
    return _print_all(found.evidence.notes, "  note: ") or damaged


def _consolidate(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.studies_table import load_studies, write_studies

    studies = load_studies(Path(arguments.runs_dir or paths.RUNS_DIR))
    damaged = _print_all(studies.notes, "note: ")
    for file in write_studies(studies, Path(arguments.out or paths.DRAFTS_DIR).expanduser()):
        print(f"wrote {file} ({len(studies.table)} studies)")
    return damaged


def _figures(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.build import make_all

    written, notes = make_all(
        runs_dir=arguments.runs_dir,
        benchmark_dir=arguments.benchmark_dir,
        data_dir=arguments.data_dir,
        datasets=arguments.dataset,
        out=arguments.out,
        publish=arguments.publish,
    )
    damaged = _print_all(notes, "note: ")
    for folder in sorted({file.parent for file in written}, key=str):
        print(f"{folder}: {sum(file.parent == folder for file in written)} files")
    return damaged


def _benchmark(arguments: argparse.Namespace) -> int:
    from hpo_lib.benchmark.tables import main_columns, make_tables, write_tables
    from hpo_lib.benchmark.train import make_plan, run_benchmark
    from hpo_lib.figures.data import banner
    from hpo_lib.scoring.calibration import ROLLING_DAYS, Calibration

    # A wrong mode stops here, before the trainings.
    calibration = Calibration(
        arguments.calibration, arguments.calibration_days or ROLLING_DAYS, arguments.per_hour
    )
    names = (
        "dataset",
        "models",
        "params",
        "preset",
        "recipe",
        "test",
        "seeds",
        "refit",
        "data_dir",
        "simulated",
        "runs_dir",
        "out",
        "chronos2",
    )
    plan = make_plan(**{name: getattr(arguments, name) for name in names})
    print(banner(plan.dataset, is_test=plan.is_test))
    try:
        run_benchmark(plan)
    except KeyboardInterrupt:
        print(
            "hpo: interrupted; finished trainings are kept, the same command continues",
            file=sys.stderr,
        )
        return 1
    tables = make_tables(
        plan.paths, plan.dataset, calibration, fit_blend_weights=arguments.blend == "weighted"
    )
    days, unit = len(plan.dataset.test_origins), plan.dataset.spec.unit
    print(
        f"{days} test days, MAE and other losses in {unit}, 95 % bootstrap interval of MAE, "
        f"{plan.paths.setting}"
    )
    print(main_columns(tables["table"]).to_string(float_format="{:.5g}".format, na_rep="-"))
    _print_all(write_tables(plan.paths, tables), "wrote ")
    return 0
