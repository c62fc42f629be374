"""How the cost of a trial grows with the number of windows and of covariates, and a plot of it.

Always on the simulated twin of water_centrum, which is long enough: 1, 3 and 10 times 4800 training
hours with 15 validation days, and 1, 2 and 3 times the 12 covariates that the real series has
without weather.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import Budget
from hpo_lib.scoring.evaluation import evaluate
from measurements.steps import (
    darts_family,
    spread_batch,
    step_seconds,
    training_windows,
    untrained_module,
)
from measurements.table import Measured

TRAINING_HOURS, VALIDATION_DAYS, ORIGINS = 4800, 15, 64
PAST = ("water_lag_1h", "water_lag_24h", "water_rolling_24h")
SIZES: dict[str, tuple[int, ...]] = {"windows": (1, 3, 10), "covariates": (1, 2, 3)}
BUDGETS = {
    "NHITS_Q": Budget(steps=20, batch_size=64, checks=2),
    "TFT_Q": Budget(steps=6, batch_size=16, checks=2),
    "TIMESNET_Q": Budget(steps=4, batch_size=8, checks=2),
}
PARTS = {
    "preparation": "data preparation",
    "step": "one training step",
    "evaluation": "evaluation",
    "trial": "trial",
}


def twin() -> Dataset:
    """The whole simulated twin of water_centrum."""
    return load_dataset(load_spec("water_centrum"), simulated=True)


def resized(
    whole: Dataset, *, windows: int = 1, covariates: int = 1, hours: int = TRAINING_HOURS
) -> Dataset:
    """The last ``windows`` x ``hours`` training hours, ``windows`` times the validation days,
    repeated covariates.
    """
    positions = whole.positions
    days = VALIDATION_DAYS * windows
    frame = whole.frame.iloc[
        positions.train.stop - windows * hours : positions.val.start + 24 * days
    ]
    past, future = list(PAST), list(whole.future)
    copies = {
        f"{column}_{i}": frame[column] for i in range(1, covariates) for column in (*past, *future)
    }
    past += [f"{column}_{i}" for i in range(1, covariates) for column in PAST]
    future += [f"{column}_{i}" for i in range(1, covariates) for column in whole.future]
    frame = pd.concat(
        [frame[[whole.spec.target, *PAST, *whole.future]], pd.DataFrame(copies)], axis=1
    )
    frame = frame[[whole.spec.target, *past, *future]]
    splits = replace(whole.spec.splits, val_end=frame.index[-1])
    spec = replace(
        whole.spec, splits=splits, past_covariates=tuple(past), future_covariates=tuple(future)
    )
    return replace(whole, spec=spec, frame=frame, past=tuple(past), future=tuple(future))


def costs(name: str, dataset: Dataset, windows: int, budget: Budget) -> dict[str, float]:
    """Seconds of each part of a trial, the evaluation over ``windows`` x ORIGINS hourly origins."""
    family = darts_family(name)
    preparation, prepared = _timed(lambda: training_windows(family, dataset))
    step = step_seconds(
        untrained_module(family, family.defaults, prepared),
        spread_batch(prepared, budget.batch_size),
    )
    step()  # warms up
    steps = [step() for _ in range(3)]
    trial, forecaster = _timed(lambda: family.fit(family.defaults, dataset, budget, seed=1))
    last = dataset.positions.train.stop - 25
    origins = np.arange(last - windows * ORIGINS, last)
    evaluation, _ = _timed(lambda: evaluate(forecaster.forecasts(dataset, origins), dataset))
    return {
        "preparation": preparation,
        "step": statistics.median(steps),
        "evaluation": evaluation,
        "trial": trial,
    }


def growth(
    repeats: int, sizes: dict[str, tuple[int, ...]] | None = None, **smaller: Any
) -> dict[str, Any]:
    """Seconds by axis, family, part and size, each a list of ``repeats`` values; repeats run
    through all sizes.
    """
    sizes = sizes or SIZES
    whole = twin()
    budgets: dict[str, Budget] = smaller.get("budgets", BUDGETS)
    found: dict[str, Any] = {
        axis: {
            name: {part: {str(size): [] for size in sizes[axis]} for part in PARTS}
            for name in budgets
        }
        for axis in sizes
    }
    for repeat in range(repeats):
        for name, budget in budgets.items():
            for axis in sizes:
                for size in sizes[axis]:
                    dataset = resized(whole, **{axis: size})
                    seconds = costs(name, dataset, size if axis == "windows" else 1, budget)
                    if repeat == 0:  # the first run of a family also imports and compiles
                        seconds = costs(name, dataset, size if axis == "windows" else 1, budget)
                    for part, value in seconds.items():
                        found[axis][name][part][str(size)].append(value)
    return found


def grown(found: dict[str, Any], axis: str) -> Measured:
    """Growth of a trial's cost from the smallest to the largest size, for the family where it grows
    most.
    """
    families = found[axis]
    factors = {
        name: {part: _factors(by_size) for part, by_size in parts.items()}
        for name, parts in families.items()
    }
    worst = max(factors, key=lambda name: statistics.median(factors[name]["trial"]))
    medians = {
        name: {part: round(statistics.median(values), 2) for part, values in parts.items()}
        for name, parts in factors.items()
    }
    note = "; ".join(
        f"{name} trial {parts['trial']}, step {parts['step']}, evaluation {parts['evaluation']}"
        for name, parts in medians.items()
    )
    return Measured(
        (), tuple(factors[worst]["trial"]), unit="x cost", note=note, details={"factors": medians}
    )


def _factors(by_size: dict[str, list[float]]) -> list[float]:
    smallest, greatest = min(by_size, key=int), max(by_size, key=int)
    return [
        large / small for small, large in zip(by_size[smallest], by_size[greatest], strict=True)
    ]


def plot(found: dict[str, Any], stem: Path) -> None:
    """Cost relative to the smallest size against size, beside the straight line of linear growth;
    PNG and PDF.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(found), len(PARTS), figsize=(12, 3 * len(found)), squeeze=False, sharey="row"
    )
    for row, (axis, families) in zip(axes, found.items(), strict=True):
        for panel, part in zip(row, PARTS, strict=True):
            greatest = 1
            for name in families:
                by_size = families[name][part]
                sizes = [int(size) for size in by_size]
                seconds = [statistics.median(values) for values in by_size.values()]
                panel.plot(sizes, [value / seconds[0] for value in seconds], marker="o", label=name)
                greatest = max(greatest, *sizes)
            panel.plot([1, greatest], [1, greatest], color="grey", linestyle="--", label="linear")
            panel.set(xlabel=f"times as many {axis}", title=PARTS[part])
        row[0].set_ylabel("times the cost")
    axes[0][0].legend(frameon=False)
    figure.suptitle("Cost of a trial against its size (simulated data)")
    figure.tight_layout()
    for suffix in (".png", ".pdf"):
        figure.savefig(
            stem.with_suffix(suffix),
            dpi=150,
            metadata={"CreationDate": None} if suffix == ".pdf" else None,
        )
    plt.close(figure)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result
