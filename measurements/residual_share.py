"""What the shares of the residual are worth, on validation days that neither they nor the check
were chosen on.

    python -m measurements.residual_share --data-dir DATA datasets/development/*.toml

Days are in blocks of two weeks, every second of which chooses the check and the shares; the others
are scored, and the other way round. MAE and pinball loss are relative to the linear baseline alone.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families import training
from hpo_lib.families.linear_baseline import LinearBaseline, covers_seasons
from hpo_lib.families.models import RECIPES, Family, get_family
from hpo_lib.families.windows import learnt_origins
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import daily_losses

BLOCK = 14
RECIPE = RECIPES["unshrunk"]
RULES: dict[str, float | None] = {
    "all of the network": None,
    "best share": 0.0,
    "half a standard error": 0.5,
    "one": 1.0,
}

Choice = Callable[[np.ndarray, np.ndarray, np.ndarray], training.Shares]


def checks(dataset: Dataset, family: Family, seed: int) -> list[QuantileForecasts]:
    """Validation forecasts of each check of a training."""
    found: list[QuantileForecasts] = []
    family.fit(
        family.defaults,
        dataset,
        family.budgets["laptop"],
        seed=seed,
        recipe=RECIPE,
        on_check=lambda _, forecasts: found.append(forecasts),
    )
    return found


def cross_fitted(
    linear: np.ndarray, found: list[QuantileForecasts], standard_errors: float | None
) -> QuantileForecasts:
    """Forecasts of each half of the blocks with the check and the shares that the other half chose."""
    first, values = found[0], np.empty_like(found[0].values)
    half = np.arange(len(first.origins)) // BLOCK % 2
    for scored in (0, 1):
        days = half != scored
        options = [] if standard_errors is None else [(linear[days], linear)]
        for check in found:
            shares = (1.0, 1.0)
            if standard_errors is not None:
                shares = training.fitted_shares(
                    check.values[days],
                    linear[days],
                    first.actual[days],
                    standard_errors=standard_errors,
                )
            mixed = training.mixed(check.values, linear, shares)
            options.append((mixed[days], mixed))
        best = min(options, key=lambda option: pinball(first, option[0], days))
        values[half == scored] = best[1][half == scored]
    return QuantileForecasts(np.maximum.accumulate(values, axis=2), first.actual, first.origins)


def pinball(f: QuantileForecasts, values: np.ndarray, days: np.ndarray) -> float:
    chosen = QuantileForecasts(
        np.maximum.accumulate(values, axis=2), f.actual[days], f.origins[days]
    )
    return float(daily_losses(chosen)["pinball"].mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["NHITS_Q", "TFT_Q"])
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    print("| dataset | family | " + " | ".join(RULES) + " |\n|" + "---|" * (len(RULES) + 2))
    for name in arguments.datasets:
        dataset = load_dataset(load_spec(name), arguments.data_dir)
        seasons = covers_seasons(dataset, RECIPE.season_years)
        baseline = LinearBaseline.fit(dataset, learnt_origins(dataset, RECIPE), seasons=seasons)
        linear = baseline.quantiles(dataset, dataset.windows(dataset.validation_origins))
        for model in arguments.models:
            cells: dict[str, list[tuple[float, float]]] = {rule: [] for rule in RULES}
            for seed in range(42, 42 + arguments.seeds):
                found = checks(dataset, get_family(model), seed)
                alone = daily_losses(QuantileForecasts(linear, found[0].actual, found[0].origins))
                for rule, errors in RULES.items():
                    own = daily_losses(cross_fitted(linear, found, errors))
                    cells[rule].append(
                        (
                            own["mae"].mean() / alone["mae"].mean(),
                            own["pinball"].mean() / alone["pinball"].mean(),
                        )
                    )
            means = (np.mean(values, axis=0) for values in cells.values())
            print(
                f"| {dataset.spec.name} | {model} | "
                + " | ".join(f"{a:.3f}, {b:.3f}" for a, b in means)
                + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
