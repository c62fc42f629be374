"""The commands of ``hpo``: thin calls into the library, each named like its command."""

import inspect
import json
import logging
import os
import re
import secrets
import shlex
import shutil
import sys
import webbrowser
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from hpo_lib import paths
from hpo_lib.errors import Damage, InputError
from hpo_lib.settings import Settings
from hpo_lib.stop_requests import LIFELINE


def _run(arguments: Namespace) -> int:
    from hpo_lib.launch.doctor import checked

    settings, run = checked(study_settings(arguments))
    words = arguments.words
    job_id = [] if arguments.job_id else ["--job-id", run.job_id]
    if arguments.detach:
        from hpo_lib.launch.status import detach

        rest = [word for word in words if word != "--detach"]
        say(detach(run, [*rest, *job_id], _extra(arguments)))
        return 0
    try:
        from hpo_lib.launch.notebook_run import run_notebook  # papermill is slow to load

        with beside_json(arguments):
            run_notebook(settings, run)
    except KeyboardInterrupt:
        # nbclient's own task ends with the same interrupt.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        again = shlex.join(["hpo", *words, *job_id])
        raise KeyboardInterrupt(f"finished trials are kept, and this goes on: {again}") from None
    if LIFELINE in os.environ:  # the process that started this worker shows the result
        return 0
    from hpo_lib.figures import study_page
    from hpo_lib.records.study import StoredStudy

    study = StoredStudy.read(run)
    # the record of a stopped worker may come first
    lines = []
    if study.result:
        why = f"why this one: {study.result['selection']['reason']}"
        lines = [study_page.short_scores(study), why]
    lines.append(f"record: {run.notebook}\nas a page: hpo report {run.study_name} --open")
    return show(arguments, lines, content=study.result)


def _doctor(arguments: Namespace) -> int:
    from hpo_lib.launch.doctor import check_machine

    findings = check_machine(arguments.data_dir, _runs_dir(arguments), arguments.dataset)
    show(arguments, findings, content=[*map(asdict, findings)])
    return int(any(finding.is_problem for finding in findings))


def _submit(arguments: Namespace) -> None:
    from hpo_lib.launch.slurm import read_site, submit_study

    site = read_site(Path(arguments.site or paths.SITE_FILE))
    how = {"continues": bool(arguments.job_id), "dry_run": arguments.dry_run}
    say(submit_study(study_settings(arguments), site, **how), end="")


def _job(arguments: Namespace) -> int:
    from hpo_lib.data.spec import load_spec
    from hpo_lib.launch.slurm_requeue import ThisJob, run_job

    per_gpu = arguments.workers_per_gpu
    job = ThisJob.of_environment(arguments.signal_seconds, arguments.max_requeues, per_gpu)
    settings = study_settings(arguments, worker=job.worker, job_id=arguments.job_id or job.study_id)
    run = settings.files(load_spec(settings.dataset).name)
    own = ["--worker", str(job.worker), "--workers", str(per_gpu), "--job-id", settings.job_id]
    return run_job(run, [*settings.as_words(), *own], job, settings.trials)


def _status(arguments: Namespace) -> int:
    from hpo_lib.launch import slurm, status

    has_slurm = shutil.which("sbatch") is not None
    studies = status.study_statuses(_runs_dir(arguments), slurm.jobs(), arguments.storage)
    rows = status.as_rows(studies, slurm=has_slurm)
    table = status.table_text(rows, slurm=has_slurm, extra=_extra(arguments))
    show(arguments, [table], content=rows)
    return int(any(study.state == "corrupt" for study in studies))


def _stop(arguments: Namespace) -> None:
    from hpo_lib.launch import slurm, status

    say(status.stop(arguments.study, slurm.jobs(), arguments.runs_dir, arguments.storage))


def _extra(arguments: Namespace) -> str:
    """What a command needs to find the same records."""
    return f" --runs-dir {shlex.quote(arguments.runs_dir)}" if arguments.runs_dir else ""


def _runs_dir(arguments: Namespace) -> Path:
    return Path(arguments.runs_dir or paths.RUNS_DIR)


def _datasets(arguments: Namespace) -> int:
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.data.spec import known_datasets, load_spec
    from hpo_lib.launch.doctor import dataset_facts, dataset_lines, dataset_text, wrapped

    if arguments.json:
        names = arguments.dataset or known_datasets()
        return show(arguments, (), (), [dataset_facts(name, arguments.data_dir) for name in names])
    if not arguments.dataset:
        return show(arguments, dataset_lines(arguments.data_dir))
    for name in arguments.dataset:
        from hpo_lib.figures.series import data_overview

        spec = load_spec(name)
        data = load_dataset(spec, arguments.data_dir)
        picture = Path(f"{name}.png") if name == spec.name else spec.path.with_suffix(".png")
        with paths.atomic(picture) as temporary:
            data_overview(data).savefig(temporary, dpi=120)
        say(wrapped(f"{spec.name:16}  ", dataset_text(data)) + f"\npicture: {picture}")
    return 0


def _prepare(arguments: Namespace) -> None:
    from hpo_lib.data.raw_files import prepare_features

    spec = _spec(arguments)
    out = paths.output(arguments.out, paths.DATA_DIR / spec.csv)
    say(call(prepare_features, arguments, spec=spec, raw=Path(arguments.raw), out=out))


def _spec(arguments: Namespace) -> Any:
    """The dataset's description, with the options that say how its meter's CSV is read."""
    from hpo_lib.data.spec import load_spec

    spec = load_spec(arguments.dataset)
    return replace(spec, raw=replace(spec.raw, **_raw_file(arguments)))


def _raw_file(arguments: Namespace) -> dict[str, Any]:
    """The options that say how a meter's CSV is read, as far as they were given."""
    from hpo_lib.data.spec import RawFile

    return {name: value for name, value in parameters_of(RawFile, arguments).items() if value}


def _new_dataset(arguments: Namespace) -> None:
    from hpo_lib.data.raw_files import write_new_dataset
    from hpo_lib.data.spec import RawFile

    raw = _raw_file(arguments)
    out = paths.output(arguments.out, Path(arguments.file.with_suffix(".toml").name))
    write_new_dataset(arguments.file, raw.pop("timezone"), RawFile(**raw), arguments.weather, out)
    words = ["hpo", "prepare", "--dataset", str(out), "--raw", str(arguments.file)]
    words += ["--weather", str(arguments.weather)] * bool(arguments.weather)
    say(f"wrote {out}: look at the lines that are marked as guessed, then\n  {shlex.join(words)}")


def _audit(arguments: Namespace) -> int:
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.figures.series import banner
    from hpo_lib.leaks.audit import audit, n_leaks, report_lines

    spec = _spec(arguments)
    dataset = call(load_dataset, arguments, dataset=spec)
    with beside_json(arguments):
        say(banner(dataset))
    findings = call(audit, arguments, dataset=dataset, say=partial(say, file=sys.stderr))
    content = {
        "dataset": spec.name,
        "source": dataset.source,
        "sha256": dataset.sha256,
        "unit": spec.unit,
        "leaks": n_leaks(findings),
        "findings": [*map(asdict, findings)],
    }
    show(arguments, report_lines(findings), content=content)
    return int(n_leaks(findings) > 0)


def _retrain(arguments: Namespace) -> None:
    from hpo_lib.daily.retrain import retrain

    if arguments.mixture:
        arguments.model = "MIXTURE"
    settings = study_settings(arguments)
    with beside_json(arguments):
        version = call(retrain, arguments, settings=settings)
    files = version.paths
    number = version.number
    folder = files.version(number)
    card = files.card(number)
    lines = [f"in use: {version}, {folder}", f"card: {card}"]
    show(arguments, lines, content={**version.facts, "folder": folder, "card": card})


def _forecast(arguments: Namespace) -> int:
    from hpo_lib.daily.day_ahead import forecast_day
    from hpo_lib.figures.series import banner

    day = call(forecast_day, arguments)
    files = day.write(arguments.out, why=arguments.why)
    content = {
        "model": day.version,
        "unit": day.dataset.spec.unit,
        "notes": day.notes,
        "files": files,
        "hours": day.table().to_dict("records"),
    }
    lines = [
        banner(day.dataset),
        f"{day.version}: {day.begin:%Y-%m-%d %H:%M} UTC and the 23 hours after it",
        *(f"wrote {file}" for file in files),
    ]
    return show(arguments, lines, day.notes, content)


def _watch(arguments: Namespace) -> int:
    from hpo_lib.daily.watch import watch

    found = call(watch, arguments)
    notes = [one for one in found if isinstance(one, str)]
    models = [{**vars(one), "due": one.due} for one in found if one not in notes]
    return show(arguments, found, content={"models": models, "notes": notes})


def _report(arguments: Namespace) -> None:
    from hpo_lib.figures.study_page import write_page
    from hpo_lib.records.study import named_study

    page = write_page(named_study(arguments.study, arguments.runs_dir)).resolve()
    say(f"wrote {page}")
    if arguments.open and not webbrowser.open(page.as_uri()):
        say("note: there is no browser on this machine")


def _dashboard(arguments: Namespace) -> None:
    from hpo_lib.records.study import named_study

    study = named_study(arguments.study, arguments.runs_dir, arguments.storage)
    if not study.has_storage:
        raise InputError(
            f"{study.run.study_name}: its storage is not among its files, and no database that was "
            "named holds it; give the file back, or the URL of the database with --storage"
        )
    try:
        from bottle import abort, request, response
        from optuna_dashboard import wsgi
    except ImportError:
        raise InputError(
            "optuna-dashboard is not installed, which serves the trials; run "
            f"`{sys.executable} -m pip install optuna-dashboard`"
        ) from None
    app = wsgi(study.storage or arguments.storage)
    token = secrets.token_urlsafe()
    host = f"localhost:{arguments.port}"

    @app.hook("before_request")  # type: ignore[untyped-decorator]
    def check() -> None:
        """Refuse what changes something, and whatever a web page of others sends."""
        own = token in (request.query.get("token"), request.get_cookie("token"))
        if request.method != "GET" or request.get_header("Host") != host or not own:
            abort(403, "it can only be read, by the address that hpo dashboard printed")
        response.set_cookie("token", token, httponly=True, samesite="strict", path="/")

    say(f"{study.run.study_name}: http://{host}/?token={token} until Ctrl-C", flush=True)
    try:
        app.run(host="localhost", port=arguments.port, quiet=True)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {arguments.port} cannot be used ({error}); give another --port"
        ) from None


def _verify(arguments: Namespace) -> int:
    from hpo_lib.benchmark.tables import verify_tables
    from hpo_lib.records.verify import verify

    runs_dir = _runs_dir(arguments)
    files = arguments.file or paths.best_params_files(runs_dir)
    if not arguments.file and (arguments.benchmark_dir or not arguments.runs_dir):
        out = Path(arguments.benchmark_dir or paths.BENCHMARK_DIR)
        files += [file for one in paths.benchmarks(out) for file in one.folder.glob("[a-z]*.csv")]
    if not files:
        raise InputError(
            f"{runs_dir}: holds no best_params JSON; name a folder with --runs-dir, or a file"
        )
    files, dataset, verifications = sorted(files), arguments.dataset, []
    for (folder, suffix), group in groupby(files, key=lambda file: (file.parent, file.suffix)):
        if suffix == ".csv":
            verifications += verify_tables(folder, {file.stem for file in group}, dataset)
        else:
            verifications += [verify(file, arguments.data_dir, dataset) for file in group]
    notes = [note for one in verifications for word, note in one.told if word == "note"]
    lines = [*verifications, *(f"note   {note}" for note in dict.fromkeys(notes))]
    show(arguments, lines, content=[*map(asdict, verifications)])
    return min({verification.exit_code for verification in verifications} - {0}, default=0)


def _analyze(arguments: Namespace) -> int:
    from hpo_lib.figures.build import analyse
    from hpo_lib.figures.latex import plain
    from hpo_lib.figures.tables import improvement_report, overview
    from hpo_lib.launch.doctor import wrapped

    analysis = call(analyse, arguments, model=" ".join(arguments.models))
    studies = analysis.table
    notes = [*analysis.notes, *analysis.evidence.notes]
    table = overview(studies)
    criteria = improvement_report(studies)
    rows = json.loads(studies.to_json(orient="records"))
    lines = [
        f"{wrapped('', table.caption)}\n\n{plain(table)}\n",
        "MAE 5 % or more below the defaults, PICP 75 to 85, for two models of a dataset:",
        *(wrapped("  ", line) for line in criteria),
        *(
            wrapped(f"{one.run.study_name}: ", one.settled_line)
            for one in analysis.evidence.studies
            if one.settled
        ),
    ]
    return show(arguments, lines, notes, {"studies": rows, "criteria": criteria, "notes": notes})


def _consolidate(arguments: Namespace) -> int:
    from hpo_lib.figures.tables import load_studies, studies_frame, write_studies

    studies, notes = load_studies(_runs_dir(arguments))
    out = Path(arguments.out or paths.DRAFTS_DIR).expanduser()
    written = write_studies(studies_frame(studies), out)
    return show(arguments, [f"wrote {written} ({len(studies)} studies)"], notes)


def _figures(arguments: Namespace) -> int:
    from hpo_lib.figures.build import make_all

    written, notes = call(make_all, arguments, datasets=arguments.dataset)
    folders = Counter(file.parent for file in sorted(written))
    return show(arguments, [f"{folder}: {n} files" for folder, n in folders.items()], notes)


def _benchmark(arguments: Namespace) -> None:
    from hpo_lib.benchmark.train import make_plan, run_benchmark
    from hpo_lib.figures.build import of_benchmark
    from hpo_lib.figures.latex import plain
    from hpo_lib.figures.series import banner
    from hpo_lib.figures.tables import scores_of_test_split
    from hpo_lib.scoring.calibration import checked_mode

    # A wrong mode stops here, before the trainings.
    mode = checked_mode(arguments.calibration)
    plan = call(make_plan, arguments, **parameters_of(Settings, arguments))
    try:
        with beside_json(arguments):
            say(banner(plan.dataset, is_test=plan.settings.budget_name == "test"))
            notes = run_benchmark(plan)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("finished trainings are kept, the same command goes on") from None
    evidence = of_benchmark(plan.paths, plan.dataset.spec, mode)
    (stored,), table = evidence.benchmarks, scores_of_test_split(evidence)
    ((_, rows),) = table.rows
    kinds = [*stored.shown["model"].map({row.model: row.kind for row in stored.rows})]
    first = kinds.index("baseline")
    networks = [rows[place][0] for place in range(first) if kinds[place] == "family"]
    files = stored.write_tables()
    lines = [
        f"{plan.paths.setting}\n{plain(table)}\nIn brackets 95 % bootstrap intervals; the last "
        f"two columns are after {mode} calibration.",
        f"Ahead of the best baseline, {rows[first][0]}, in MAE: {', '.join(networks) or 'none'}.",
        *(f"wrote {file}" for file in files),
    ]
    content = {
        "unit": plan.dataset.spec.unit,
        "notes": notes,
        "files": files,
        "rows": json.loads(stored.tables["table"].to_json(orient="records")),
    }
    show(arguments, lines, content=content)


def _explain(arguments: Namespace) -> None:
    from hpo_lib.benchmark.explain import explain, families_among
    from hpo_lib.benchmark.train import make_plan

    families = families_among(arguments.models)
    plan = call(make_plan, arguments, **parameters_of(Settings, arguments), models=families)
    show(arguments, call(explain, arguments, plan=plan).report())


def parameters_of(function: Callable[..., Any], arguments: Namespace) -> dict[str, Any]:
    """The arguments that a function has parameters for; a dataclass has its fields."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in vars(arguments).items() if name in names}


def study_settings(arguments: Namespace, **more: Any) -> Settings:
    """The settings that the options of study parameters were given."""
    return Settings.create(**{**parameters_of(Settings, arguments), **more})


def call(function: Callable[..., Any], arguments: Namespace, **more: Any) -> Any:
    """Call a function with the arguments that it has parameters for, and with ``more``."""
    return function(**{**parameters_of(function, arguments), **more})


def say(text: object, **how: Any) -> None:
    """Print a text without the control characters that a record of others may hold."""
    print(re.sub(r"[^\n\t -~\u00a0-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", str(text)), **how)


def beside_json(arguments: Namespace) -> AbstractContextManager[Any]:
    """Print progress to stderr where JSON alone is expected on stdout."""
    return redirect_stdout(sys.stderr if arguments.json else sys.stdout)


def show(
    arguments: Namespace, lines: Sequence[object], notes: Sequence[object] = (), content: Any = None
) -> int:
    """Print lines and then notes or, if JSON is asked for, the content; plain values, or as text.

    Returns the exit code: 1 if a line or a note is on a damaged record.
    """
    if arguments.json:
        say(json.dumps(content, indent=2, default=str))
    else:
        for line in [*lines, *(f"note: {note}" for note in notes)]:
            say(line)
    return int(any(isinstance(one, Damage) for one in (*lines, *notes)))
