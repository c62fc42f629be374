"""NHITS_Q: seconds until the validation pinball loss that the reference has after its 15 epochs.

The level comes from a real reference training of 15 epochs, `measure_level`, stored per dataset
fingerprint with the versions that gave it. Its pinball is that of directly predicted quantiles, as
ours: sampled ones are worse and would make the level easier. If no level is stored, the reference
trains as many epochs as fit into `LIVE_SECONDS`, and both its level and its time are for that many
epochs.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import RECIPES, Budget, get_family
from hpo_lib.records.provenance import code_provenance
from hpo_lib.records.read_write import write_json
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements import reference
from measurements.table import Measured

LEVELS = Path(__file__).parent / "results" / "reference_levels.json"
LIVE_SECONDS = 150.0
SHARE_BATCHES, SHARE_VAL_BATCHES, WARM_UP = 40, 20, 5

LEARNING_RATE = 3e-3
BUDGETS = tuple(Budget(steps=steps, batch_size=256, checks=steps // 5) for steps in (60, 120, 240))
"""One cycle each; the next one is tried, and its time added, only if the one before ended above the
level.
"""


def levels() -> dict[str, Any]:
    """Stored levels by dataset fingerprint."""
    return json.loads(LEVELS.read_text(encoding="utf-8")) if LEVELS.exists() else {}


def batches(dataset: Dataset) -> tuple[int, int]:
    """Training and validation batches of one epoch of the reference."""
    window = reference.HISTORY + reference.HORIZON
    hours = (dataset.positions.train, dataset.positions.val)
    train, val = (
        math.ceil(max(0, part.stop - part.start - window + 1) / reference.BATCH_SIZE)
        for part in hours
    )
    return train, val


def measure_level(dataset: Dataset, epochs: int = reference.EPOCHS) -> dict[str, Any]:
    """Train the reference and score every validation origin."""
    series = reference.ScaledSeries.of(dataset)
    params = get_family("NHITS_Q").defaults
    model = reference.darts_model(reference.REFERENCE_MODELS["NHITS_Q"], params, epochs=epochs)
    begun = time.perf_counter()
    reference.fit(model, series)
    seconds = time.perf_counter() - begun
    direct = reference.forecasts(model, series, dataset, dataset.validation_origins, samples=None)
    return {
        "pinball": metrics.pinball(direct),
        "mae": metrics.mae(direct),
        "picp": metrics.picp(direct),
        "epochs": epochs,
        "seconds": seconds,
        "params": dict(params),
        "dataset": dataset.spec.name,
        **code_provenance(),
    }


def store_level(dataset: Dataset) -> dict[str, Any]:
    """Measure the level after all epochs and keep it for this data."""
    level = measure_level(dataset)
    write_json(LEVELS, {**levels(), dataset.sha256: level})
    return level


def reference_share(dataset: Dataset, series: reference.ScaledSeries) -> tuple[float, float]:
    """Seconds per epoch of the reference's training and of its validation pass, from a few batches
    of each.
    """
    clock = reference.Clock()
    params = get_family("NHITS_Q").defaults
    model = reference.darts_model(
        reference.REFERENCE_MODELS["NHITS_Q"],
        params,
        epochs=1,
        callbacks=[clock],
        limit_train_batches=SHARE_BATCHES,
        limit_val_batches=SHARE_VAL_BATCHES,
        num_sanity_val_steps=0,
    )
    reference.fit(model, series)
    n_train, n_val = batches(dataset)
    train = clock.train[WARM_UP:]
    return n_train * sum(train) / len(train), n_val * sum(clock.val) / len(clock.val)


class _Reached(Exception):
    """The level is reached; the training may end."""


def seconds_to_level(dataset: Dataset, level: float, seed: int) -> tuple[float, dict[str, Any]]:
    """Seconds from the start of the training to the first check at or below ``level``, and how it
    was reached.

    It uses the plain recipe: windows are drawn and scaled as in the reference, and no gain in
    accuracy counts as speed.

    The time of a budget that ended above the level counts.

    Raises:
        RuntimeError: no budget reached the level.
    """
    family = get_family("NHITS_Q")
    params = {**family.defaults, "lr": LEARNING_RATE}
    reached: dict[str, Any] = {}

    def check(step: int, forecasts: QuantileForecasts) -> None:
        loss = metrics.pinball(forecasts)
        if loss <= level:
            reached.update(
                step=step, pinball=loss, picp=metrics.picp(forecasts), mae=metrics.mae(forecasts)
            )
            raise _Reached

    begun = time.perf_counter()
    for budget in BUDGETS:
        try:
            family.fit(params, dataset, budget, seed=seed, recipe=RECIPES["plain"], on_check=check)
        except _Reached:
            return time.perf_counter() - begun, {
                **reached,
                "steps": budget.steps,
                "batch_size": budget.batch_size,
            }
    raise RuntimeError(
        f"NHITS_Q did not reach pinball {level:.4g} within {BUDGETS[-1].steps} steps"
    )


def time_to_quality(dataset: Dataset, repeats: int, *, quick: bool = False) -> Measured:
    """Seconds to the level: 15 epochs of the reference, from interleaved shares of one, and ours
    from start to check.

    ``quick`` takes a level that any forecast reaches, to show that the measurement runs; it claims
    nothing.
    """
    series = reference.ScaledSeries.of(dataset)
    reference_share(dataset, series)  # warms up
    stored = {"pinball": math.inf} if quick else levels().get(dataset.sha256)
    epochs = reference.EPOCHS
    if stored is None:
        epochs = max(1, min(epochs, int(LIVE_SECONDS / sum(reference_share(dataset, series)))))
        stored = measure_level(dataset, epochs)
    theirs, ours, runs, shares = [], [], [], []
    for seed in range(1, repeats + 1):
        shares.append(reference_share(dataset, series))
        theirs.append(epochs * sum(shares[-1]))
        seconds, how = seconds_to_level(dataset, stored["pinball"], seed)
        ours.append(seconds)
        runs.append(how)
    return Measured(
        tuple(theirs),
        tuple(ours),
        unit="s",
        note=f"{epochs} epochs of the reference, pinball {stored['pinball']:.4g}",
        details={
            "level": None if quick else stored,
            "reference_epoch_seconds": [
                {"train": train, "validation": val} for train, val in shares
            ],
            "ours": runs,
            "learning_rate": LEARNING_RATE,
        },
    )
