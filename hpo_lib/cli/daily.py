"""The commands of every day: ``retrain``, ``forecast``, ``watch``."""

import argparse
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import options
from hpo_lib.errors import Damage


def add_to(add: options.Add) -> None:
    """Add the commands to a parser."""
    models = f"folder of the trained models (default: {paths.MODELS_DIR.name}/ of the project)"
    option = add(
        "retrain",
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
    ).add_argument
    option(
        "--params",
        default="",
        help="best_params JSON (default: those of the model in use, else the newest study)",
    )
    option(
        "--replace",
        action="store_true",
        help="put it in use even if it is worse than the model in use",
    )
    option("--models-dir", "--out", default="", help=models)

    option = add(
        "forecast",
        _forecast,
        "Forecast the day ahead with the model in use, as CSV and figure.",
        "hpo forecast --dataset heat",
        "dataset",
        "data_dir",
        "simulated",
    ).add_argument
    option(
        "--model",
        default="",
        help="family (default: the one in use with the lowest pinball loss of 28 days)",
    )
    option(
        "--at",
        default="",
        help="first hour, UTC, such as 2020-05-07T00:00 (default: the one after the data)",
    )
    option(
        "--school-holidays",
        default="",
        help="CSV with start_date,end_date,description, for the day ahead",
    )
    option("--models-dir", default="", help=models)
    option(
        "--out",
        default="",
        metavar="FILE",
        help="CSV to write, the figure beside it (default: beside the model)",
    )

    option = add(
        "watch",
        _watch,
        "Score the models in use on the last 28 days, and say whether a retraining is due.",
        "hpo watch --dataset heat",
        "dataset",
        "data_dir",
        "simulated",
    ).add_argument
    option("--model", default="", help="family (default: every one in use)")
    option("--models-dir", default="", help=models)


def _retrain(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.retrain import retrain

    models_dir = Path(arguments.models_dir or paths.MODELS_DIR).expanduser()
    version = retrain(
        options.settings(arguments), models_dir, params=arguments.params, replace=arguments.replace
    )
    print(f"in use: {version.paths.version(version.number)}")
    print(f"card: {version.paths.card(version.number)}")
    return 0


def _forecast(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.day_ahead import forecast_day
    from hpo_lib.figures.data import banner

    names = "dataset", "model", "at", "school_holidays", "data_dir", "simulated", "models_dir"
    day = forecast_day(**{name: getattr(arguments, name) for name in names})
    print(banner(day.dataset))
    for note in day.notes:
        print(f"note: {note}")
    print(f"{day.version}: {day.begin:%Y-%m-%d %H:%M} UTC and the 23 hours after it")
    for file in day.write(arguments.out):
        print(f"wrote {file}")
    return 1 if any(isinstance(note, Damage) for note in day.notes) else 0


def _watch(arguments: argparse.Namespace) -> int:
    from hpo_lib.daily.watch import watch

    names = "dataset", "model", "data_dir", "simulated", "models_dir"
    found = watch(**{name: getattr(arguments, name) for name in names})
    print("\n".join(map(str, found)))
    return 1 if any(isinstance(one, Damage) for one in found) else 0
