"""What each option is worth: a family and LightGBM with one thing left out, or added, at a time.

Models forecast the validation split without having seen it: its days are scored here, an equally
long stretch before them stops the training, and training ends before that. Nothing of the test
split is read.

    python -m measurements.ablation --data-dir DATA --runs-dir papermill_runs --seeds 3
    datasets/development/heat.toml
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from hpo_lib.baselines.contract import get_baseline
from hpo_lib.benchmark.chosen_params import Lookup
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import STANDARD, Family, Forecaster, Params, Recipe, get_family
from hpo_lib.scoring import metrics
from hpo_lib.scoring.blend import blend
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements.arguments import DATA_DIR, DATASETS, PRESET, parsed

FIRST_SEED = 42

Forecasts = list[QuantileForecasts]
"""One per seed."""


def main() -> None:
    arguments = parsed(
        __doc__,
        DATASETS,
        DATA_DIR,
        PRESET,
        ("--model", "NHITS_Q", "family"),
        ("--seeds", 3, "trainings of each row"),
        ("--runs-dir", Path("papermill_runs"), "studies whose parameters to use"),
    )
    torch.set_num_threads(1)
    print(
        "| dataset | option | MAE | change | PICP | pinball | change "
        "|\n|---|---|---|---|---|---|---|"
    )
    for name in arguments.datasets:
        dataset = load_dataset(load_spec(name), arguments.data_dir)
        family = get_family(arguments.model)
        found = Lookup(family, dataset, arguments.preset, "standard").best(arguments.runs_dir)
        seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
        scored = earlier(dataset)
        lowest = None
        for label, forecasts in rows(scored, family, found.params, arguments.preset, seeds):
            mae, picp, pinball = (
                sum(map(score, forecasts)) / len(forecasts)
                for score in (metrics.mae, metrics.picp, metrics.pinball)
            )
            lowest = lowest or (mae, pinball)
            changes = [
                f"{100 * (now / then - 1):+.1f} %"
                for now, then in zip((mae, pinball), lowest, strict=True)
            ]
            cells = [f"{mae:.5g}", changes[0], f"{picp:.1f}", f"{pinball:.5g}", changes[1]]
            print(f"| {dataset.spec.name} | {label} | {' | '.join(cells)} |", flush=True)


def earlier(dataset: Dataset) -> Dataset:
    """The dataset with every split moved back by the length of the validation split, which becomes
    the test split.
    """
    splits = dataset.spec.splits
    length = splits.val_end - splits.train_end
    moved = replace(
        splits,
        train_end=splits.train_end - length,
        val_end=splits.train_end,
        test_end=splits.val_end,
    )
    return replace(dataset, spec=replace(dataset.spec, splits=moved))


def without_calendar(dataset: Dataset) -> Dataset:
    """The dataset without the calendar of the day ahead, except the hour."""
    return replace(
        dataset, future=tuple(name for name in dataset.future if name.startswith("hour"))
    )


def rows(
    dataset: Dataset, family: Family, params: Params, preset: str, seeds: Sequence[int]
) -> Iterator[tuple[str, Forecasts]]:
    """Yield (label, forecasts per seed); the other rows are compared with the first."""

    def trained(
        recipe: Recipe = STANDARD, data: Dataset = dataset
    ) -> tuple[Forecasts, list[Forecaster]]:
        fits = [
            family.fit(params, data, family.budgets[preset], seed=seed, recipe=recipe)
            for seed in seeds
        ]
        return [fit.forecasts(data, data.test_origins) for fit in fits], fits

    def trees(
        data: Dataset = dataset, *, refit: bool = False, model: str = "LIGHTGBM_Q"
    ) -> Forecasts:
        baseline = get_baseline(model)
        fits = [baseline.fit(data, seed=seed, refit=refit) for seed in seeds]
        return [fit.forecasts(data, data.test_origins) for fit in fits]

    standard, fitted = trained()
    name = family.name
    yield f"{name}: standard, mean of single seeds", standard
    yield f"{name}: not normalised by the level", trained(replace(STANDARD, level_hours=0))[0]
    alone = replace(STANDARD, linear_part=False)
    yield f"{name}: no linear baseline", trained(alone)[0]
    yield (
        f"{name}: no linear baseline, windows of all hours",
        trained(replace(alone, near_hours=12))[0],
    )
    yield (
        f"{name}: history and calendar repeated",
        trained(replace(STANDARD, repeated_history=True))[0],
    )
    yield f"{name}: season shown whatever the span", trained(replace(STANDARD, season_years=0))[0]
    if not getattr(family, "calendar_as_past", True):  # it has a future input
        yield f"{name}: without the same hours", trained(replace(STANDARD, same_hours=False))[0]
    yield f"{name}: no calendar of the day ahead", trained(data=without_calendar(dataset))[0]
    budget = family.budgets[preset]
    refits = [
        family.refit(params, dataset, budget, like=fit, seed=seed)
        for fit, seed in zip(fitted, seeds, strict=True)
    ]
    refitted = [fit.forecasts(dataset, dataset.test_origins) for fit in refits]
    yield f"{name}: refit", refitted
    yield f"{name}: mean of the seeds' quantiles", [blend(standard)]
    yield f"{name}: refit, mean of the seeds' quantiles", [blend(refitted)]
    strong = trees()
    yield "LIGHTGBM_Q: standard, mean of single seeds", strong
    yield "LIGHTGBM_Q: with the linear baseline", trees(model="LIGHTGBM_LINEAR_Q")
    yield "LIGHTGBM_Q: no calendar of the day ahead", trees(without_calendar(dataset))
    refitted_trees = trees(refit=True)
    yield "LIGHTGBM_Q: refit", refitted_trees
    yield "LIGHTGBM_Q: refit, mean of the seeds' quantiles", [blend(refitted_trees)]
    both = [blend(refitted), blend(refitted_trees)]
    yield f"mean of {name} and LIGHTGBM_Q, refit and seeds", [blend(both)]


if __name__ == "__main__":
    main()
