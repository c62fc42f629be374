"""The commands on data sets (such as ``prepare``) and those of every day (such as ``forecast``)."""

import argparse
import shlex
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_lib import paths
from hpo_lib.cli import options

if TYPE_CHECKING:
    from hpo_lib.data.spec import DatasetSpec


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
        options.print_all(dataset_lines(arguments.data_dir))
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
    from hpo_lib.data.raw_files import prepare_features

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
    return replace(spec, raw=replace(spec.raw, **_raw_file(arguments)))


def _raw_file(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that say how a meter's CSV is read, as far as they were given."""
    from hpo_lib.data.spec import RawFile

    return {key.name: value for key in fields(RawFile) if (value := getattr(arguments, key.name))}


def _new_dataset(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.new_dataset import write_new_dataset
    from hpo_lib.data.spec import RawFile

    raw = _raw_file(arguments)
    out = arguments.out or Path(arguments.file.with_suffix(".toml").name)
    write_new_dataset(arguments.file, raw.pop("timezone"), RawFile(**raw), arguments.weather, out)
    weather = f" --weather {shlex.quote(str(arguments.weather))}" if arguments.weather else ""
    prepare = shlex.join(["hpo", "prepare", "--dataset", str(out), "--raw", str(arguments.file)])
    print(f"wrote {out}: look at the lines that are marked as guessed, then\n  {prepare}{weather}")
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
        options.print_all(report_lines(findings))
    return int(n_leaks(findings) > 0)


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
    damaged = options.print_all(day.notes, "note: ")
    print(f"{day.version}: {day.begin:%Y-%m-%d %H:%M} UTC and the 23 hours after it")
    options.print_all(day.write(arguments.out), "wrote ")
    return damaged


def _watch(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.watch import watch

    return options.print_all(options.call(watch, arguments))
