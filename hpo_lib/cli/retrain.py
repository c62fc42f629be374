"""The command ``hpo retrain``."""

import argparse
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import options
from hpo_lib.settings import PRESETS, RECIPES, Settings


def add_to(add: options.Add) -> None:
    """Add the command to a parser."""
    retrain = add(
        "retrain", _retrain, "Train chosen parameters anew on newer data; a better model is not replaced unasked.",
        "hpo retrain --model NHITS_Q --dataset heat",
    )  # fmt: skip
    option = retrain.add_argument
    option("--model", required=True, help="NHITS_Q, TFT_Q or TIMESNET_Q")
    option("--dataset", required=True, help="a name from `hpo datasets` or the path of a dataset TOML")
    option("--params", default="", help="best_params JSON (default: those of the model in use, else the newest study)")
    option("--replace", action="store_true", help="put it in use even if it is worse than the model in use")
    option("--seed", type=int, default=42, help="of the training (default: 42)")
    option("--test", action="store_true", help="the smallest budget, to see that everything works")
    option("--preset", default="auto", help=f"training budget: {', '.join(PRESETS)} (default: auto)")
    option("--recipe", default="standard", help=f"how windows are made: {', '.join(RECIPES)} (default: standard)")
    option("--out", default="", help=f"folder of the trained models (default: {paths.MODELS_DIR.name}/)")
    options.add_folders(retrain)


def _retrain(arguments: argparse.Namespace) -> int:
    from hpo_lib.benchmark.retrain import retrain

    names = ("model", "dataset", "preset", "recipe", "seed", "test", "data_dir", "runs_dir")
    settings = Settings.create(**{name: getattr(arguments, name) for name in names})
    models_dir = Path(arguments.out).expanduser() if arguments.out else paths.MODELS_DIR
    found = retrain(settings, models_dir, params=arguments.params, replace=arguments.replace)
    print(f"in use: {found.paths.version(found.version)}")
    print(f"card: {found.paths.card(found.version)}")
    return 0
