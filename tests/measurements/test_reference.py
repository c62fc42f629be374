"""The reference is a yardstick: if its evaluation or its cost were wrong, every ratio would be
wrong.
"""

import math

import numpy as np
import pandas as pd
import pytest

from hpo_lib.scoring.forecasts import QUANTILE_LEVELS


@pytest.fixture(scope="module")
def reference():
    """Imported late: it takes seconds."""
    from measurements import reference

    return reference


class Handmade:
    """A forecast made by hand: a fan of paths around the last known value, in the scaled series'
    unit.
    """

    def __init__(self):
        self.seen = []

    def predict(self, n, *, series, num_samples, **options):
        from darts import TimeSeries

        self.seen.append({"series": series, **options})
        last = series.values()[-1, 0]
        levels = np.array(QUANTILE_LEVELS) if num_samples == 1 else np.linspace(0, 1, num_samples)
        paths = last + np.arange(1, n + 1)[:, None] / 100 + 0.2 * (levels - 0.5)[None, :]
        times = pd.date_range(series.end_time() + pd.Timedelta(hours=1), periods=n, freq="h")
        values = paths[:, None, :] if num_samples > 1 else paths
        return TimeSeries.from_times_and_values(times, values)


@pytest.mark.parametrize("samples", [None, 101])
def test_when_the_reference_is_evaluated_then_its_scores_are_those_computed_by_hand(
    samples, reference, tiny_dataset
):
    origins = tiny_dataset.validation_origins
    series = reference.ScaledSeries.of(tiny_dataset)
    model = Handmade()
    found = reference.forecasts(model, series, tiny_dataset, origins, samples=samples)

    target = tiny_dataset.target.to_numpy()
    train = target[tiny_dataset.positions.train]
    low, span = train.min(), np.ptp(train)
    last = (target[origins] - low) / span
    scaled = (
        last[:, None, None]
        + np.arange(1, 25)[None, :, None] / 100
        + 0.2 * (np.array([0.1, 0.5, 0.9]) - 0.5)
    )
    expected = scaled * span + low
    actual = np.stack([target[origin + 1 : origin + 25] for origin in origins])
    np.testing.assert_allclose(found.values, expected, rtol=1e-9)
    np.testing.assert_array_equal(found.actual, actual)
    # The first origin is the last training hour: its history is in the training split, nothing
    # after it is seen.
    assert len(model.seen[0]["series"]) == tiny_dataset.positions.train.stop
    for given, origin in zip(model.seen, origins, strict=True):
        assert len(given["series"]) == len(given["past_covariates"]) == origin + 1


def test_when_the_reference_trains_then_in_float64_for_whole_epochs_of_its_own_batches(
    reference, tiny_dataset
):
    import torch

    from measurements.time_to_quality import batches

    params = {
        "num_stacks": 2,
        "num_blocks": 1,
        "num_layers": 2,
        "layer_widths": 8,
        "dropout": 0.1,
        "lr": 1e-3,
    }
    clock = reference.Clock()
    model = reference.darts_model(
        reference.REFERENCE_MODELS["NHITS_Q"],
        params,
        epochs=2,
        callbacks=[clock],
        num_sanity_val_steps=0,
    )
    reference.fit(model, reference.ScaledSeries.of(tiny_dataset))
    assert next(model.model.parameters()).dtype == torch.float64
    train, val = batches(tiny_dataset)
    assert train == math.ceil((70 * 24 - 191) / 32)
    assert len(clock.train) == 2 * (
        train - 1
    )  # the first of an epoch has no batch before it to count from
    assert len(clock.val) == 2 * (val - 1)


def test_when_a_level_is_to_be_reached_then_the_time_ends_at_the_first_check_below_it(
    tiny_dataset, monkeypatch
):
    from hpo_lib.families.models import Budget
    from measurements import time_to_quality

    monkeypatch.setattr(time_to_quality, "BUDGETS", (Budget(steps=2, batch_size=8, checks=2),))
    _, how = time_to_quality.seconds_to_level(tiny_dataset, math.inf, seed=1)
    assert how["step"] == 1
    with pytest.raises(RuntimeError, match="did not reach"):
        time_to_quality.seconds_to_level(tiny_dataset, 0.0, seed=1)


def test_when_the_twin_is_resized_then_windows_and_covariates_are_as_many_as_said():
    from measurements import growth

    whole = growth.twin()
    small, long, wide = (
        growth.resized(whole, **size) for size in ({}, {"windows": 3}, {"covariates": 3})
    )
    assert [d.positions.train.stop for d in (small, long, wide)] == [4800, 14400, 4800]
    assert [len(d.validation_origins) for d in (small, long, wide)] == [15, 45, 15]
    assert [len(d.past) + len(d.future) for d in (small, long, wide)] == [12, 12, 36]
    assert small.target.equals(wide.target)


@pytest.mark.slow
def test_when_the_gpu_script_runs_without_a_gpu_then_it_measures_a_study_anyway(tmp_path):
    import json

    from measurements import gpu

    out = tmp_path / "gpu.json"
    arguments = ["--preset", "test", "--trials", "2", "--models", "NHITS_Q", "--out", str(out)]
    assert gpu.main(arguments) == 0
    (found,) = json.loads(out.read_bytes())["rows"]
    assert found["trials_per_hour"] > 0
    assert found["failed"] == 0
    assert len(found["trace"]) == 2
    assert 0 < found["seconds_to_hypervolume"] <= found["seconds"]
