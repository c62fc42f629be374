"""The commands on data sets (such as ``prepare``) and those of every day (such as ``forecast``)."""

import argparse
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpo_lib import paths
from hpo_lib.cli import options

if TYPE_CHECKING:
    from hpo_lib.data.spec import DatasetSpec

WEATHER = "hourly OpenWeatherMap bulk CSV"
HOLIDAYS = "CSV with start_date,end_date,description"


def add_data_commands(add: options.Add) -> None:
    """Add the commands on data sets to a parser."""
    add(
        _datasets,
        "List the datasets and whether their data is there, or draw those given.",
        "hpo datasets my.toml",
        "data_dir",
        (
            "dataset...",
            str,
            "name or TOML (default: all of the registry, without a picture)",
        ),
        options.JSON,
    )
    add(
        _prepare,
        "Make the engineered CSV of a dataset from its raw series.",
        "hpo prepare --dataset heat --raw raw.csv --school-holidays holidays.csv --out "
        "features.csv",
        "dataset",
        ("--raw", ..., "CSV of the meter, see docs/own_data.md"),
        *options.RAW_FILE,
        ("--weather", Path, WEATHER),
        (
            "--weather-forecast",
            Path,
            "archive of forecasts: CSV with issued, valid (or lead_hours) and weather",
        ),
        ("--school-holidays", Path, HOLIDAYS),
        ("--out", "", "where to write (default: the dataset's place below data/)"),
    )
    time_column, value_column, _, aggregate = options.RAW_FILE
    add(
        _new_dataset,
        "Write the TOML of a dataset from the CSV of its meter; guesses are marked.",
        "hpo new-dataset my.csv --timezone Europe/Rome",
        ("file", Path, "CSV of the meter, see docs/own_data.md"),
        ("--weather", Path, f"{WEATHER}, whose columns are used"),
        ("--out", Path, "TOML to write (default: named like the CSV, in this folder)"),
        time_column,
        value_column,
        ("--timezone", ..., "IANA name of the place's local time"),
        aggregate,
    )
    add(
        _audit,
        "Find columns and models that know the future.",
        "hpo audit --dataset heat --models LINEAR_Q",
        "dataset",
        "recipe",
        "data_dir",
        "simulated",
        ("--models --model MODEL", (), "families, baselines, none (default: all)"),
        ("--raw", Path, "CSV of the meter: columns are rebuilt from it and compared"),
        *options.RAW_FILE,
        ("--weather", Path, f"with --raw: {WEATHER}"),
        ("--school-holidays", Path, f"with --raw: {HOLIDAYS}"),
        options.JSON,
    )


def add_daily_commands(add: options.Add) -> None:
    """Add the commands of every day to a parser."""
    models = f"folder of the trained models (default: {paths.MODELS_DIR.name}/ of the project)"
    add(
        _retrain,
        "Train chosen parameters again on newer data; a better model is only replaced on request.",
        "hpo retrain --model NHITS_Q --dataset heat",
        "model",
        "dataset",
        "seed",
        "test",
        "preset",
        "recipe",
        "simulated",
        *options.FOLDERS,
        (
            "--params",
            "",
            "best_params JSON (default: those of the model in use, else the newest study)",
        ),
        ("--replace", False, "put it in use even if it is worse than the model in use"),
        ("--models-dir --out", "", models),
    )
    add(
        _forecast,
        "Forecast the day ahead with the model in use, as CSV and figure.",
        "hpo forecast --dataset heat",
        "dataset",
        "data_dir",
        "simulated",
        (
            "--model",
            "",
            "family (default: the one in use with the lowest pinball loss of 28 days)",
        ),
        (
            "--at",
            "",
            "first hour, UTC, such as 2020-05-07T00:00 (default: the one after the data)",
        ),
        ("--school-holidays", "", f"{HOLIDAYS}, for the day ahead"),
        ("--models-dir", "", models),
        ("--out FILE", "", "CSV to write, the figure beside it (default: beside the model)"),
    )
    add(
        _watch,
        "Score the models in use on the last 28 days, and say whether a retraining is due.",
        "hpo watch --dataset heat",
        "dataset",
        "data_dir",
        "simulated",
        ("--model", "", "family (default: every one in use)"),
        ("--models-dir", "", models),
    )


def _datasets(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.data.spec import known_datasets, load_spec
    from hpo_lib.launch.doctor import dataset_facts, dataset_lines, dataset_text, wrapped

    if arguments.json:
        names = arguments.dataset or known_datasets()
        options.print_json([dataset_facts(name, arguments.data_dir) for name in names])
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

    spec = _spec(arguments)
    out = Path(arguments.out or paths.DATA_DIR / spec.csv)
    print(options.call(prepare_features, arguments, spec=spec, raw=Path(arguments.raw), out=out))
    if arguments.weather_forecast is not None:
        print(prepare_archive(spec, arguments.weather_forecast, out))
    return 0


def _spec(arguments: argparse.Namespace) -> "DatasetSpec":
    """The dataset's description, with the options that say how its meter's CSV is read."""
    from hpo_lib.data.spec import load_spec

    spec = load_spec(arguments.dataset)
    return replace(spec, raw=replace(spec.raw, **options.raw_file(arguments)))


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


def _audit(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.figures.data import banner
    from hpo_lib.leaks.audit import audit, n_leaks, report_lines

    spec = _spec(arguments)
    dataset = load_dataset(spec, arguments.data_dir, simulated=arguments.simulated)
    print(banner(dataset), file=sys.stderr if arguments.json else sys.stdout)
    findings = options.call(
        audit, arguments, dataset=dataset, say=lambda line: print(line, file=sys.stderr)
    )
    if arguments.json:
        content = {
            "dataset": spec.name,
            "source": dataset.source,
            "sha256": dataset.sha256,
            "unit": spec.unit,
            "leaks": n_leaks(findings),
            "findings": [asdict(finding) for finding in findings],
        }
        options.print_json(content)
    else:
        print("\n".join(report_lines(findings)))
    return 1 if n_leaks(findings) else 0


def _retrain(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.retrain import retrain

    models_dir = Path(arguments.models_dir or paths.MODELS_DIR).expanduser()
    settings = options.settings(arguments)
    version = options.call(retrain, arguments, settings=settings, models_dir=models_dir)
    print(f"in use: {version.paths.version(version.number)}")
    print(f"card: {version.paths.card(version.number)}")
    return 0


def _forecast(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.day_ahead import forecast_day
    from hpo_lib.figures.data import banner

    day = options.call(forecast_day, arguments)
    print(banner(day.dataset))
    for note in day.notes:
        print(f"note: {note}")
    print(f"{day.version}: {day.begin:%Y-%m-%d %H:%M} UTC and the 23 hours after it")
    for file in day.write(arguments.out):
        print(f"wrote {file}")
    return options.damaged(day.notes)


def _watch(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.watch import watch

    lines = options.call(watch, arguments)
    print("\n".join(map(str, lines)))
    return options.damaged(lines)
