"""Validation windows evaluated per second: one prediction call per window, and ours with all
scores.
"""

import time
from collections.abc import Callable

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import Budget, get_family
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements import reference
from measurements.table import Measured


def evaluation_rate(name: str, dataset: Dataset, repeats: int, windows: int) -> Measured:
    """Windows per second: the reference on ``windows`` of them, ours on all validation origins.

    Both models are trained only for a moment, because the cost does not depend on the forecast.
    """
    one_by_one = _reference(name, dataset)
    family, origins = get_family(name), dataset.validation_origins
    forecaster = family.fit(
        family.defaults, dataset, Budget(steps=1, batch_size=8, checks=1), seed=1
    )

    def rate(forecasts: Callable[[np.ndarray], QuantileForecasts], some: np.ndarray) -> float:
        begun = time.perf_counter()
        evaluate(forecasts(some), dataset)
        return len(some) / (time.perf_counter() - begun)

    one_by_one(origins[:1])  # warms up
    pairs = [
        (
            rate(one_by_one, origins[:windows]),
            rate(lambda some: forecaster.forecasts(dataset, some), origins),
        )
        for _ in range(repeats)
    ]
    how = (
        "quantiles by nf.predict"
        if name == "TIMESNET_Q"
        else f"{reference.SAMPLES} sampled paths, float64"
    )
    return Measured(
        tuple(pair[0] for pair in pairs),
        tuple(pair[1] for pair in pairs),
        unit="windows/s",
        higher_is_better=True,
        note=f"reference: one call per window, {how}",
        details={
            "windows": [min(windows, len(origins)), len(origins)],
            "params": dict(family.defaults),
        },
    )


def _reference(name: str, dataset: Dataset) -> Callable[[np.ndarray], QuantileForecasts]:
    params = get_family(name).defaults
    if name == "TIMESNET_Q":
        from measurements import reference_timesnet  # neuralforecast, which only this family needs

        trained = reference_timesnet.timesnet(dataset, params, steps=1, windows=2)
        return lambda origins: reference_timesnet.timesnet_forecasts(trained, dataset, origins)
    series = reference.ScaledSeries.of(dataset)
    model = reference.darts_model(
        reference.REFERENCE_MODELS[name],
        params,
        epochs=1,
        limit_train_batches=1,
        limit_val_batches=0,
    )
    reference.fit(model, series)
    return lambda origins: reference.forecasts(model, series, dataset, origins)
