"""The accuracy tables: studies of every family, then final trainings scored on the test split, beside the baselines.

    python -m measurements.truth_table --data-dir DATA                                    # all three datasets
    python -m measurements.truth_table --data-dir DATA datasets/development/heat.toml     # one of them
    python -m measurements.truth_table --data-dir DATA --tables-only                      # what is stored, no training

Everything goes through `hpo run` and `hpo benchmark`, so finished work is not repeated. The table is in Markdown, one
row per dataset, model, parameters and calibration; docs/accuracy.md holds and explains it.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd

from hpo_lib.benchmark.tables import make_tables
from hpo_lib.benchmark.train import make_plan
from hpo_lib.scoring.calibration import Calibration

TRIALS = {
    "datasets/development/heat.toml": {"NHITS_Q": 20, "TFT_Q": 8, "TIMESNET_Q": 3},
    "datasets/development/water_centrum.toml": {"NHITS_Q": 20, "TFT_Q": 6, "TIMESNET_Q": 3},
    "datasets/development/water_tommerby.toml": {"NHITS_Q": 20, "TFT_Q": 12, "TIMESNET_Q": 9},
}
"""Trials of the studies: about two hours on two cores. No early stopping, which would leave too few complete trials
(docs/performance.md)."""

STUDY_SEEDS = {"NHITS_Q": 7, "TFT_Q": 42, "TIMESNET_Q": 42}
"""Of the sampler and of every trial's training; final trainings count up from 42."""

SEEDS = {"NHITS_Q": 3, "TFT_Q": 2, "TIMESNET_Q": 1}
"""Trainings whose quantiles are averaged; the baselines get as many as the first family."""

DATASETS = list(TRIALS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=DATASETS, help="TOML files")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--runs-dir", default="papermill_runs")
    parser.add_argument("--out", default="benchmark_results")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--job-id", default="truth")
    parser.add_argument("--tables-only", action="store_true", help="train nothing, show what is stored")
    arguments = parser.parse_args()
    for dataset in {*arguments.datasets} - {*TRIALS}:
        parser.error(f"dataset {dataset!r} has no number of trials, expected some of {', '.join(TRIALS)}")
    folders = ["--data-dir", arguments.data_dir, "--runs-dir", arguments.runs_dir, "--preset", arguments.preset]
    for dataset in arguments.datasets if not arguments.tables_only else ():
        for model, trials in TRIALS[dataset].items():
            one = ["--model", model, "--dataset", dataset, *folders]
            study = ["--trials", str(trials), "--seed", str(STUDY_SEEDS[model]), "--no-early-stopping"]
            hpo("run", *one, *study, "--job-id", arguments.job_id)
            seeds = ["--seeds", str(SEEDS[model]), "--out", arguments.out]
            hpo("benchmark", *one, *seeds, "--params", "both", "--refit")
            # The recipe of the original HPO plan, to measure what the options are worth.
            hpo("benchmark", *one, *seeds, "--params", "default", "--recipe", "plain", "--seeds", "1")
    for dataset in arguments.datasets:
        print("\n".join(markdown(dataset, arguments)), flush=True)


def hpo(*command: str) -> None:
    """Run one command of the library, on one thread; its failure ends the script."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "hpo_lib", *command], check=True, env=environment)


def markdown(dataset: str, arguments: argparse.Namespace) -> Iterator[str]:
    """The tables of one dataset: gains by options and by search, then all scores."""
    common = {"data_dir": arguments.data_dir, "preset": arguments.preset, "out": arguments.out}
    plans = {
        "standard": make_plan(dataset, refit=True, **common),
        "plain": make_plan(dataset, recipe="plain", **common),
    }
    made = {
        recipe: make_tables(plan.paths, plan.dataset, Calibration(), fit_blend_weights=True)
        for recipe, plan in plans.items()
        if plan.paths.folder.is_dir()
    }
    table = pd.concat(tables["table"].assign(recipe=recipe) for recipe, tables in made.items())
    spec = plans["standard"].dataset.spec
    yield f"\n{spec.name}, {spec.unit}, {table['days'].iloc[0]} forecast origins of the test split"
    yield from gains(table, made["standard"]["comparisons"])
    yield from scores(table[(table["recipe"] == "standard") | table["model"].isin([*SEEDS])])


def gains(table: pd.DataFrame, comparisons: pd.DataFrame) -> Iterator[str]:
    """MAE of each family from the plain defaults to the tuned parameters, and its distance from LightGBM."""
    raw = table[table["calibration"] == "none"].set_index(["model", "recipe", "params"])["mae"]
    by_mae = comparisons[comparisons["loss"] == "mae"]
    baselines = ("LIGHTGBM_Q", "LIGHTGBM_LINEAR_Q")
    yield (
        "\n| family | plain defaults | defaults | tuned | by options | by search | tuned to LightGBM (p) "
        "| to linear + LightGBM (p) |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for model in [*SEEDS, "BLEND", "BLEND_ALL"]:
        plain, default, best = (
            raw.get((model, *key), float("nan"))
            for key in (("plain", "default"), ("standard", "default"), ("standard", "best"))
        )
        cells = [model, *(f"{mae:.4g}" for mae in (plain, default, best))]
        cells += [f"{100 * (new / old - 1):+.1f} %" for new, old in ((default, plain), (best, default))]
        for baseline in baselines:
            pair = by_mae[by_mae[["first", "second"]].isin([f"{model} best", f"{baseline} own"]).all(axis=1)]
            change = 100 * (best / raw[baseline, "standard", "own"] - 1)
            cells.append(f"{change:+.1f} % ({pair['p_value'].iloc[0]:.3f})" if len(pair) else "")
        yield f"| {' | '.join(cells)} |".replace("+nan %", "").replace("nan", "")


def scores(table: pd.DataFrame) -> Iterator[str]:
    """The scores of the mean of the seeds, with 95 % bootstrap intervals (blocks of 7 days)."""
    scored = "MAE [95 %] | PICP [95 %] | Winkler [95 %] | pinball | validation MAE, PICP"
    yield f"\n| model (seeds) | parameters | calibration | {scored} |"
    yield "|---|---|---|---|---|---|---|---|"
    for _, row in table.iterrows():
        parameters = f"{row.params}, plain recipe" if row.recipe == "plain" else row.params
        seeds = "" if np.isnan(row.seeds) else f" ({row.seeds:.0f})"
        intervals = [
            f"{row[name]:{form}} [{row[f'{name}_low']:{form}}, {row[f'{name}_high']:{form}}]"
            for name, form in (("mae", ".4g"), ("picp", ".1f"), ("winkler", ".4g"))
        ]
        validation = f"{row.val_mae:.4g}, {row.val_picp:.1f}"
        cells = [f"{row.model}{seeds}", parameters, row.calibration, *intervals, f"{row.pinball:.4g}", validation]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
