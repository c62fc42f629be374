"""How the cost of a trial grows with the number of windows and of covariates, and a plot of it.

Always on the simulated twin of water_centrum, which is long enough: 1, 3 and 10 times 4800 training
hours with 15 validation days, and 1, 2 and 3 times the 12 covariates that the real series has
without weather.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import Budget, get_family
from hpo_lib.families.training import untrained_module
from hpo_lib.scoring.evaluation import evaluate
from measurements.steps import spread_batch, step_seconds, training_windows
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
    names, suffixes = [*PAST, *whole.future], ["", *(f"_{i}" for i in range(1, covariates))]
    past, future = (
        [name + suffix for suffix in suffixes for name in some] for some in (PAST, whole.future)
    )
    repeated = [frame[names].add_suffix(suffix) for suffix in suffixes]
    frame = pd.concat([frame[[whole.spec.target]], *repeated], axis=1)
    splits = replace(whole.spec.splits, val_end=frame.index[-1])
    spec = replace(
        whole.spec, splits=splits, past_covariates=tuple(past), future_covariates=tuple(future)
    )
    return replace(whole, spec=spec, frame=frame, past=tuple(past), future=tuple(future))


def costs(name: str, dataset: Dataset, windows: int, budget: Budget) -> dict[str, float]:
    """Seconds of each part of a trial, the evaluation over ``windows`` x ORIGINS hourly origins."""
    family = get_family(name)
    preparation, prepared = _timed(lambda: training_windows(family, dataset))
    step = step_seconds(
        untrained_module(family, family.defaults, prepared[0]),
        spread_batch(prepared, budget.batch_size),
    )
    step()  # warms up
    steps = [step() for _ in range(3)]
    trial, forecaster = _timed(lambda: family.fit(family.defaults, dataset, budget, seed=1))
    last = dataset.positions.train.stop - 25
    origins = np.arange(last - windows * ORIGINS, last)
    evaluation, _ = _timed(lambda: evaluate(forecaster.forecasts(dataset, origins), dataset.scales))
    return {
        "preparation": preparation,
        "step": statistics.median(steps),
        "evaluation": evaluation,
        "trial": trial,
    }


def growth(
    repeats: int,
    sizes: Mapping[str, Sequence[int]] = SIZES,
    budgets: Mapping[str, Budget] = BUDGETS,
) -> pd.DataFrame:
    """``seconds`` by ``axis``, ``family``, ``size``, ``repeat`` and ``part``; each repeat runs
    through all sizes.
    """
    whole, rows = twin(), []
    for repeat in range(-1, repeats):  # the first one also imports and compiles
        for family, budget in budgets.items():
            for axis, size in ((name, size) for name in sizes for size in sizes[name]):
                dataset = resized(whole, **{axis: size})
                seconds = costs(family, dataset, size if axis == "windows" else 1, budget)
                rows += [(axis, family, size, repeat, *part) for part in seconds.items()]
    table = pd.DataFrame(rows, columns=["axis", "family", "size", "repeat", "part", "seconds"])
    return table[table["repeat"] >= 0]


def grown(table: pd.DataFrame, axis: str) -> Measured:
    """Growth of a trial's cost from the smallest to the largest size, for the family where it grows
    most.
    """
    rows = table[table["axis"] == axis]
    seconds = rows.pivot_table("seconds", ["family", "part", "repeat"], "size")
    factors = seconds[seconds.columns.max()] / seconds[seconds.columns.min()]
    medians = factors.groupby(["family", "part"]).median().unstack()
    note = "; ".join(
        f"{family} trial {row['trial']:.2f}, step {row['step']:.2f}, "
        f"evaluation {row['evaluation']:.2f}"
        for family, row in medians.iterrows()
    )
    details = {"factors": medians.to_dict("index"), "seconds": rows.to_dict("records")}
    trial = factors.loc[medians["trial"].idxmax(), "trial"]
    return Measured((), tuple(trial), unit="x cost", note=note, details=details)


def plot(table: pd.DataFrame, stem: Path) -> None:
    """Cost relative to the smallest size against size, beside the straight line of linear growth;
    PNG and PDF.
    """
    curve = ["axis", "family", "part"]
    medians = table.groupby([*curve, "size"], as_index=False)["seconds"].median()
    medians["cost"] = medians["seconds"] / medians.groupby(curve)["seconds"].transform("first")
    grid = sns.relplot(
        medians.replace({"part": PARTS}),
        x="size",
        y="cost",
        row="axis",
        col="part",
        hue="family",
        col_order=PARTS.values(),
        kind="line",
        marker="o",
        height=3,
        facet_kws={"sharex": "row", "sharey": "row"},
    )
    for axes in grid.axes.flat:
        axes.axline((1, 1), slope=1, color="grey", linestyle="--")
    grid.set_titles("{col_name}, by {row_name}")
    grid.set_axis_labels("times as many", "times the cost")
    grid.figure.suptitle("Cost of a trial against its size (simulated data)", y=1.02)
    grid.savefig(stem.with_suffix(".png"), dpi=150)
    grid.savefig(stem.with_suffix(".pdf"), metadata={"CreationDate": None})


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result
