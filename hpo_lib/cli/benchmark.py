"""The command ``hpo benchmark``."""

import argparse
import sys

from hpo_lib import paths
from hpo_lib.cli import options
from hpo_lib.settings import PRESETS, RECIPES


def add_to(add: options.Add) -> None:
    """Add the command to a parser."""
    benchmark = add(
        "benchmark", _benchmark, "Train with chosen parameters, score every day of the test split, beside opponents.",
        "hpo benchmark --dataset heat --models NHITS_Q TFT_Q --params both --seeds 3",
    )  # fmt: skip
    option = benchmark.add_argument
    option("--dataset", required=True, help="a name from `hpo datasets` or the path of a dataset TOML")
    option("--models", "--model", nargs="+", default=(), metavar="MODEL", help="families (default: all)")
    option("--params", default="both", help="best (of the studies), default, both side by side, or a best_params JSON")
    option("--seeds", type=int, default=3, help="trainings per row, whose quantiles are averaged (default: 3)")
    option("--refit", action="store_true", help="train once more on training and validation split together")
    option("--test", action="store_true", help="the smallest budget, to see that everything works")
    option("--preset", default="auto", help=f"training budget: {', '.join(PRESETS)} (default: auto)")
    option("--recipe", default="standard", help=f"how windows are made: {', '.join(RECIPES)} (default: standard)")
    option(
        "--calibration",
        default="rolling",
        help="none, split, rolling or levels, beside raw forecasts (default: rolling)",
    )
    option("--calibration-days", type=int, default=0, help="window of the rolling mode (default: 28)")
    option("--per-hour", action="store_true", help="calibrate each hour ahead by itself")
    option("--blend", choices=("equal", "weighted"), default="equal", help="weights: equal, or fitted on validation")
    option("--chronos2", default="", metavar="DIR", help="folder of a pretrained Chronos-2: one more opponent")
    option("--out", default="", help=f"where forecasts and tables go (default: {paths.BENCHMARK_DIR.name}/)")
    options.add_folders(benchmark)


def _benchmark(arguments: argparse.Namespace) -> int:
    from hpo_lib.benchmark.tables import make_tables, shown, write_tables
    from hpo_lib.benchmark.train import make_plan, run_benchmark
    from hpo_lib.scoring.calibration import ROLLING_DAYS, Calibration
    from hpo_lib.views.study_tables import banner

    # A mistyped mode is told now, not after the trainings.
    calibration = Calibration(arguments.calibration, arguments.calibration_days or ROLLING_DAYS, arguments.per_hour)
    names = (
        "dataset", "models", "params", "preset", "recipe", "test", "seeds", "refit", "data_dir", "runs_dir", "out",
        "chronos2",
    )  # fmt: skip
    plan = make_plan(**{name: getattr(arguments, name) for name in names})
    print(banner(plan.dataset))
    try:
        run_benchmark(plan)
    except KeyboardInterrupt:
        print("hpo: interrupted; finished trainings are kept, the same command goes on", file=sys.stderr)
        return 1
    tables = make_tables(plan.paths, plan.dataset, calibration, fit_blend_weights=arguments.blend == "weighted")
    days, unit = len(plan.dataset.test_origins), plan.dataset.spec.unit
    print(f"{days} test days, MAE and other losses in {unit}, 95 % bootstrap interval of MAE, {plan.paths.setting}")
    print(shown(tables["table"]).to_string(float_format="{:.5g}".format, na_rep="-"))
    for file in write_tables(plan.paths, tables):
        print(f"wrote {file}")
    return 0
