"""A small valid dataset, its TOML beside its CSV, for tests to break."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec

TOML = """\
name = "small"
title = "Ninety days of water"
csv = "small.csv"
unit = "m3/h"
target = "water_consumption"
frequency = "h"
timezone = "Europe/Copenhagen"
country = "DK"
past_covariates = ["temp", "water_lag_1h"]
future_covariates = ["hour", "day_of_week", "is_weekend"]
optional_covariates = ["temp"]

[splits]
train_end = "2018-05-31 23:00"
val_end = "2018-06-15 23:00"

[gaps]
fill = "linear"
max_hours = 3
"""


def small_frame():
    """2018-04-01 00:00 to 2018-06-29 23:00 UTC (2160 hours, lines 2 to 2161), calendar in Danish
    local time.
    """
    index = pd.date_range("2018-04-01 00:00Z", periods=90 * 24, freq="h", name="timestamp")
    local = index.tz_convert("Europe/Copenhagen")
    hours = np.arange(len(index), dtype=float)
    return pd.DataFrame(
        {
            "water_consumption": 10 + hours % 24 + hours / 1000,
            "temp": 5 + hours % 7,
            "water_lag_1h": 10 + (hours - 1) % 24 + (hours - 1) / 1000,
            "hour": local.hour,
            "day_of_week": local.day_of_week,
            "is_weekend": (local.day_of_week >= 5).astype(int),
        },
        index=index,
    )


@dataclass
class SmallDataset:
    """The files of the small dataset; line numbers are those of the CSV, its header is line 1."""

    folder: Path

    @property
    def toml(self):
        return self.folder / "small.toml"

    @property
    def csv(self):
        return self.folder / "small.csv"

    def load(self):
        """Loaded by the path of the TOML, the CSV being beside it."""
        return load_dataset(load_spec(self.toml))

    def edit_toml(self, old, new):
        text = self.toml.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is in the TOML {text.count(old)} times"
        self.toml.write_text(text.replace(old, new), encoding="utf-8")

    def lines(self):
        return self.csv.read_text(encoding="utf-8").splitlines()

    def write(self, lines):
        self.csv.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def set_cell(self, line, column, text, last_line=None):
        """The cell of one line, or of all lines up to ``last_line``."""
        lines = self.lines()
        position = lines[0].split(",").index(column)
        for number in range(line, (last_line or line) + 1):
            cells = lines[number - 1].split(",")
            cells[position] = text
            lines[number - 1] = ",".join(cells)
        self.write(lines)

    def drop(self, line, last_line=None):
        lines = self.lines()
        del lines[line - 1 : last_line or line]
        self.write(lines)

    def replace(self, old, new, count=-1):
        self.csv.write_text(
            self.csv.read_text(encoding="utf-8").replace(old, new, count), encoding="utf-8"
        )


@pytest.fixture
def small(tmp_path):
    """A valid dataset in a folder of its own."""
    dataset = SmallDataset(tmp_path)
    dataset.toml.write_text(TOML, encoding="utf-8")
    small_frame().to_csv(dataset.csv)
    return dataset
