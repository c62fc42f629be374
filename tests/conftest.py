"""What several test folders share: a dataset small enough to train on in a second, and the repository's root."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.load import Dataset, fingerprint_frame
from hpo_lib.data.registry import DatasetSpec, GapRule, Splits

DAYS = 100


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    """100 smooth days from 2019-03-01: 70 to train (rows 0 to 1679), 15 to validate (1680 to 2039), 15 to test.

    Nobody may change its frame; take a copy.
    """
    index = pd.date_range("2019-03-01", periods=DAYS * 24, freq="h", tz="UTC", name="timestamp")
    hours = np.arange(len(index))
    noise = np.random.default_rng(7).standard_normal(len(index))
    weekend = (index.day_of_week >= 5).astype(float)
    temp = 8 + 5 * np.sin(2 * np.pi * hours / 24 - 2) + 4 * np.sin(hours / 300)
    target = 10 + 3 * np.sin(2 * np.pi * hours / 24) - 1.5 * weekend - 0.1 * temp + 0.1 * noise
    frame = pd.DataFrame(
        {
            "water_consumption": target,
            "temp": temp,
            "water_lag_24h": np.concatenate([target[:24], target[:-24]]),
            "hour_sin": np.sin(2 * np.pi * hours / 24),
            "hour_cos": np.cos(2 * np.pi * hours / 24),
            "is_weekend": weekend,
        },
        index=index,
    )
    spec = DatasetSpec(
        name="tiny",
        title="A hundred days of water",
        csv="tiny.csv",
        unit="m3/h",
        target="water_consumption",
        frequency="h",
        timezone="Europe/Copenhagen",
        country="DK",
        past_covariates=("temp", "water_lag_24h"),
        future_covariates=("hour_sin", "hour_cos", "is_weekend"),
        optional_covariates=(),
        start=None,
        splits=Splits(pd.Timestamp("2019-05-09 23:00", tz="UTC"), pd.Timestamp("2019-05-24 23:00", tz="UTC")),
        gaps=GapRule(),
        twin=None,
        path=Path("tiny.toml"),
    )
    return Dataset(
        spec=spec,
        frame=frame,
        past=spec.past_covariates,
        future=spec.future_covariates,
        source="csv",
        path="tiny.csv",
        sha256=fingerprint_frame(frame),
        n_filled=0,
    )
