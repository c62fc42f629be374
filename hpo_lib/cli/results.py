"""The commands that use stored studies: a page, a dashboard, tables, figures, the benchmark."""

import argparse
import json
import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import options
from hpo_lib.errors import HpoError, InputError


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
    verifications = [verify(file, arguments.data_dir, arguments.dataset) for file in files]
    if arguments.json:
        options.print_json([asdict(verification) for verification in verifications])
    else:
        options.print_all(verifications)
    return min({verification.exit_code for verification in verifications} - {0}, default=0)


def _analyze(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.build import analyse
    from hpo_lib.figures.studies_table import SHOWN, SUMMARIES, improvement_report, summary
    from hpo_lib.launch.doctor import wrapped

    analysis = options.call(analyse, arguments)
    studies, evidence = analysis.studies, analysis.evidence
    tables = {"studies": studies.table}
    tables |= {f"by_{by}": summary(studies, by).reset_index() for by in SUMMARIES}
    if arguments.json:
        notes = [*studies.notes, *evidence.notes]
        content: dict[str, object] = {
            name: json.loads(table.to_json(orient="records")) for name, table in tables.items()
        }
        content |= {"criteria": improvement_report(studies), "boundaries": analysis.boundaries()}
        options.print_json({**content, "notes": notes})
        return options.damaged(notes)
    damaged = options.print_all(studies.notes, "note: ")
    table, by_model, by_dataset = tables.values()
    usual = [
        name
        for name, value in (("status", "complete"), ("source", "csv"))
        if (table[name] == value).all()
    ]
    # too many for 100 columns
    wide = ["studies", "data", "until", "failed %", "stopped %", "hours", "s per trial"]
    short = {
        "mae_default": "default",
        "improvement": "gain %",
        "median improvement": "gain %",
        "picp": "picp %",
    }
    of_studies = "Studies (complete trials; mae of default and of choice, in the unit)"
    for title, part in {
        of_studies: table[SHOWN].drop(columns=usual),
        "By model (median gain)": by_model.drop(columns=["studies", "hours"]),
        "By dataset": by_dataset.drop(columns=wide),
    }.items():
        part = part.rename(columns=short)
        print(f"{title}:\n{part.to_string(index=False, na_rep='-', float_format='{:.3g}'.format)}")
    print(
        "Validation scores: MAE 5 % or more below the defaults, PICP 75 to 85, for two models of "
        "a dataset:"
    )
    options.print_all([wrapped("  ", line) for line in improvement_report(studies)])
    print(
        "Chosen values at an end of their search space, of the newest study of each model and "
        "dataset:"
    )
    options.print_all(analysis.boundaries(), "  ")
    return options.print_all(evidence.notes, "  note: ") or damaged


def _consolidate(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.studies_table import load_studies, write_studies

    studies = load_studies(Path(arguments.runs_dir or paths.RUNS_DIR))
    damaged = options.print_all(studies.notes, "note: ")
    for file in write_studies(studies, Path(arguments.out or paths.DRAFTS_DIR).expanduser()):
        print(f"wrote {file} ({len(studies.table)} studies)")
    return damaged


def _figures(arguments: argparse.Namespace) -> int:
    from hpo_lib.figures.build import make_all

    written, notes = options.call(make_all, arguments, datasets=arguments.dataset)
    damaged = options.print_all(notes, "note: ")
    for folder in sorted({file.parent for file in written}, key=str):
        print(f"{folder}: {sum(file.parent == folder for file in written)} files")
    return damaged


def _benchmark(arguments: argparse.Namespace) -> int:
    from hpo_lib.benchmark.tables import load_benchmark, main_columns
    from hpo_lib.benchmark.train import make_plan, run_benchmark
    from hpo_lib.figures.data import banner
    from hpo_lib.scoring.calibration import ROLLING_DAYS, Calibration

    # A wrong mode stops here, before the trainings.
    calibration = Calibration(
        arguments.calibration, arguments.calibration_days or ROLLING_DAYS, arguments.per_hour
    )
    plan = options.call(make_plan, arguments, **options.parameters(arguments))
    print(banner(plan.dataset, is_test=plan.is_test))
    try:
        run_benchmark(plan)
    except KeyboardInterrupt:
        raise HpoError(
            "interrupted; finished trainings are kept, the same command continues"
        ) from None
    weighted = arguments.blend == "weighted"
    stored = load_benchmark(plan.paths, plan.dataset, calibration, fit_blend_weights=weighted)
    days, unit = len(plan.dataset.test_origins), plan.dataset.spec.unit
    print(
        f"{days} test days, MAE and other losses in {unit}, 95 % bootstrap interval of MAE, "
        f"{plan.paths.setting}"
    )
    print(main_columns(stored.tables["table"]).to_string(float_format="{:.5g}".format, na_rep="-"))
    options.print_all(stored.write_tables(), "wrote ")
    return 0
