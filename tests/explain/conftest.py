"""A series of two years made of known parts, on disk: what is worth much in it is known."""

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec

TOML = """
name = "parts"
title = "Known parts"
csv = "parts.csv"
unit = "kW"
target = "load"
frequency = "h"
timezone = "UTC"
country = "DK"
may_be_negative = true
past_covariates = [{past}]
future_covariates = ["hour", "hour_sin", "hour_cos", "day_of_week", "is_weekend"{holidays}]

[splits]
train_end = "2019-06-30 23:00"
val_end = "2019-08-31 23:00"

[gaps]
fill = "linear"
max_hours = 3
"""


def made_of_parts(seed=0, days=640):
    """Daily cycle, a large weekend effect, a level that drifts, a little noise."""
    index = pd.date_range("2018-01-01 00:00Z", periods=24 * days, freq="h", name="timestamp")
    draws = np.random.default_rng(seed)
    weekend = (index.day_of_week >= 5).astype(int)
    level = 12 * np.sin(2 * np.pi * np.arange(len(index)) / (24 * 90))
    cycle = 4 * np.sin(2 * np.pi * index.hour / 24)
    load = 40 + level + cycle - 9 * weekend + 0.3 * draws.standard_normal(len(index))
    columns = {
        "load": load,
        "a": draws.standard_normal(len(index)),
        "load_lag_24h": np.concatenate([load[:24], load[:-24]]),
        "hour": index.hour,
        "hour_sin": np.sin(2 * np.pi * index.hour / 24),
        "hour_cos": np.cos(2 * np.pi * index.hour / 24),
        "day_of_week": index.day_of_week,
        "is_weekend": weekend,
        "is_public_holiday": (index.day_of_year % 37 == 0).astype(int),
    }
    return pd.DataFrame(columns, index=index)


def written(folder, frame, past='"load_lag_24h"', holidays=""):
    """A TOML beside its CSV; its path."""
    frame.to_csv(folder / "parts.csv", date_format="%Y-%m-%d %H:%M:%S+00:00")
    toml = folder / "parts.toml"
    toml.write_text(TOML.format(past=past, holidays=holidays), encoding="utf-8")
    return toml


@pytest.fixture(scope="session")
def toml(tmp_path_factory):
    """Without holidays and weather, with a gap of days and with negative values."""
    frame = made_of_parts()
    frame["load"] -= 42
    frame.iloc[5000:5060, 0] = np.nan
    frame = frame.drop(columns=["a", "is_public_holiday"])
    return written(tmp_path_factory.mktemp("parts"), frame)


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """With holidays and a past covariate that says nothing, positive."""
    folder = tmp_path_factory.mktemp("whole")
    toml = written(
        folder, made_of_parts(), past='"a", "load_lag_24h"', holidays=', "is_public_holiday"'
    )
    return load_dataset(load_spec(toml))
