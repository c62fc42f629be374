"""Three questions about the baselines, answered on validation days alone.

    python -m measurements.baselines --data-dir DATA datasets/development/*.toml [--only seasons
    folds refit]

* ``seasons``: what it costs to see the time of year although training covers less than two years.
  Validation scores, and those with every split moved back by the validation split, which then is
  the test split, without and with a refit.
* ``folds``: residuals of the linear baseline for LIGHTGBM_LINEAR_Q: out-of-fold on both sides,
  forward in time (ten parts, each forecast by the days before it, the first 15 % left out), or of
  the fit itself.
* ``refit``: coverage and interval score after the rolling correction in the first 28 days after a
  refit, and later, on the splits moved back: the correction starts from forecasts of the model
  before the refit, of a model trained without the last 28 days, or from none; or there is no refit.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.baselines import contract, lightgbm
from hpo_lib.baselines.contract import get_baseline
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.feature_table import FeatureTable
from hpo_lib.families.linear_baseline import LinearBaseline
from hpo_lib.families.models import STANDARD
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import ROLLING_DAYS, Calibration, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements.ablation import earlier

MODELS = "LINEAR_Q", "LIGHTGBM_LINEAR_Q", "LIGHTGBM_Q"
SEED = 42
PARTS, LEFT_OUT = 10, 0.15
"""Forward in time: consecutive parts of training, and the share at its beginning that has too few
days before it.
"""


@contextmanager
def instead(module: Any, name: str, value: Any) -> Iterator[None]:
    """Replaces an attribute: the variants that lost are not part of the library."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def row(*cells: object) -> None:
    shown = (f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells)
    print(f"| {' | '.join(shown)} |", flush=True)


def scores(f: QuantileForecasts) -> tuple[float, float, float]:
    return metrics.mae(f), metrics.pinball(f), metrics.picp(f)


def seasons(dataset: Dataset) -> None:
    """MAE, pinball loss, PICP: of validation, then, moved back, of the same days without and with a
    refit.
    """
    back = earlier(dataset)
    for model in MODELS:
        for shown, years in (("by the rule", STANDARD.season_years), ("always shown", 0.0)):
            with instead(contract, "STANDARD", replace(STANDARD, season_years=years)):
                chosen, moved = (
                    get_baseline(model).fit(data, seed=SEED) for data in (dataset, back)
                )
                again = get_baseline(model).train(
                    back.trained_through_validation(), SEED, False, moved
                )
            test = [one.forecasts(back, back.test_origins) for one in (moved, again)]
            row(
                dataset.spec.name,
                model,
                shown,
                *scores(chosen.validation),
                *scores(test[0]),
                *scores(test[1]),
            )


def _forward(self: LinearBaseline, table: FeatureTable, origins: np.ndarray) -> np.ndarray:
    expected = np.full(table.target.shape, np.nan)
    for part in np.array_split(np.arange(len(origins)), PARTS):
        before = origins < origins[part[0]] - self.weeks * HISTORY - HORIZON
        if before.sum() >= LEFT_OUT * len(origins):
            fitted = LinearBaseline.of_table(
                table.rows(before), self.floor, seasons=self.seasons, penalty=self.penalty
            )
            expected[part] = fitted.relative(table.rows(part))
    return expected


def _of_the_fit(self: LinearBaseline, table: FeatureTable, origins: np.ndarray) -> np.ndarray:
    return self.relative(table)


def folds(dataset: Dataset) -> None:
    """Pinball loss and PICP of LIGHTGBM_LINEAR_Q on validation."""
    original = lightgbm._data

    def known(
        table: FeatureTable, shown: bool, expected: np.ndarray | None, like: Any = None
    ) -> Any:
        kept = (
            np.ones(len(table.level), dtype=bool) if expected is None else ~np.isnan(expected[:, 0])
        )
        return original(table.rows(kept), shown, None if expected is None else expected[kept], like)

    variants: dict[str, Callable[..., np.ndarray]] = {
        "two-sided": LinearBaseline.relative_out_of_fold,
        "forward": _forward,
        "of the fit": _of_the_fit,
    }
    for name, residuals in variants.items():
        with (
            instead(LinearBaseline, "relative_out_of_fold", residuals),
            instead(lightgbm, "_data", known),
        ):
            row(
                dataset.spec.name,
                name,
                *scores(get_baseline("LIGHTGBM_LINEAR_Q").fit(dataset, seed=SEED).validation),
            )


def part(f: QuantileForecasts, first: int, last: int | None) -> QuantileForecasts:
    return QuantileForecasts(
        f.values[first:last], f.actual[first:last], f.origins[first:last], f.levels
    )


def refit(dataset: Dataset) -> None:
    """PICP and Winkler score of the first 28 days of validation, then of the later ones."""
    back = earlier(dataset)
    for model in ("LINEAR_Q", "LIGHTGBM_LINEAR_Q"):
        baseline = get_baseline(model)
        before = baseline.fit(back, seed=SEED)
        after = baseline.train(back.trained_through_validation(), SEED, False, before)
        splits = replace(
            back.spec.splits, train_end=back.spec.splits.val_end - pd.Timedelta(days=ROLLING_DAYS)
        )
        without = baseline.train(
            replace(back, spec=replace(back.spec, splits=splits)), SEED, False, before
        )
        last = without.forecasts(back, back.validation_origins[-ROLLING_DAYS:])
        old, new = (one.forecasts(back, back.test_origins) for one in (before, after))
        for name, f, warm_up in (
            ("refit", new, before.validation),
            ("refit, last days left out", new, last),
            ("refit, none", new, None),
            ("no refit", old, before.validation),
        ):
            corrected = calibrate(f, warm_up, back.known_target, Calibration())
            halves = part(corrected, 0, ROLLING_DAYS), part(corrected, ROLLING_DAYS, None)
            row(
                back.spec.name,
                model,
                name,
                *(score(half) for half in halves for score in (metrics.picp, metrics.winkler)),
            )


QUESTIONS = {"seasons": seasons, "folds": folds, "refit": refit}


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", help="names or TOML files")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--only", nargs="+", choices=list(QUESTIONS), default=list(QUESTIONS))
    arguments = parser.parse_args(given)
    for question in arguments.only:
        print(f"{question}: {QUESTIONS[question].__doc__}")
        for name in arguments.datasets:
            QUESTIONS[question](load_dataset(load_spec(name), arguments.data_dir))


if __name__ == "__main__":
    main()
