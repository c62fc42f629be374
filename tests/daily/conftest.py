"""A utility whose CSV grows day by day, with the commands of every day."""

from dataclasses import replace

import pandas as pd
import pytest

from hpo_lib.daily.versions import FITTED, REFITTED, Version, store
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.features import engineer
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import STANDARD, get_family
from hpo_lib.paths import ModelPaths
from hpo_lib.records.read_write import write_json
from hpo_lib.records.trainings import checksum, family_key
from tests.conftest import hpo

TOML = """
name = "utility"
title = "A hundred days of water"
csv = "utility.csv"
unit = "m3/h"
target = "water_consumption"
frequency = "h"
timezone = "Europe/Copenhagen"
country = "DK"
past_covariates = ["water_lag_24h"]
future_covariates = ["hour_sin", "hour_cos", "is_weekend", "is_public_holiday", "is_school_holiday"]
[splits]
train_end = "2019-05-09 23:00"
val_end = "2019-05-24 23:00"
[gaps]
fill = "linear"
max_hours = 3
"""
UNSHRUNK = replace(STANDARD, residual_share=False)
"""All of the network counts, however little it has learnt."""

SMALL = {
    "num_stacks": 2,
    "num_blocks": 1,
    "num_layers": 2,
    "layer_widths": 256,
    "lr": 1e-3,
    "dropout": 0.1,
    "weight_decay": 1e-6,
}


class Utility:
    """Its files in a folder: the CSV of a hundred days up to 2019-06-08 23:00 UTC, its TOML, its
    models.
    """

    def __init__(self, folder, target):
        self.folder = folder
        self.toml = folder / "utility.toml"
        self.csv = folder / "utility.csv"
        self.toml.write_text(TOML, encoding="utf-8")
        self.whole = engineer(target, load_spec(self.toml), None, None)
        self.models = ModelPaths(folder / "models", "NHITS_Q", "utility")
        self.write(self.whole)

    def write(self, table):
        table.to_csv(self.csv)

    def dataset(self):
        return load_dataset(load_spec(self.toml), self.folder)

    def run(self, command, *words, code=0):
        folders = "--data-dir", self.folder, "--models-dir", self.models.models_dir
        return hpo(command, *words, "--dataset", self.toml, *folders, code=code)

    def forecast(self, *words):
        """The table that `hpo forecast` writes."""
        file = self.folder / "out.csv"
        self.run("forecast", "--out", file, *words)
        return pd.read_csv(file)

    def train(self):
        """N-HiTS as `hpo benchmark --refit` trains it: with the choice of weights, and refitted."""
        family = get_family("NHITS_Q")
        dataset = self.dataset()
        where = SMALL, dataset, family.budgets["test"]
        fitted = family.fit(*where, seed=42, recipe=UNSHRUNK)
        return fitted, family.fit(*where, like=fitted, seed=42, recipe=UNSHRUNK)

    def put_in_use(self, fitted, refitted):
        """As `hpo retrain` stores them, of models that were trained on the dataset's own splits."""
        family = get_family("NHITS_Q")
        dataset = self.dataset()
        facts = {
            "params": SMALL,
            "preset": "test",
            "key": family_key(family, SMALL, family.budgets["test"], UNSHRUNK, dataset),
            "trained_until": str(dataset.spec.splits.val_end),
            "relative_mae": 0.5,
            "provenance": {"data": {"source": "csv"}},
        }
        store(Version(self.models, 1, facts), {FITTED: fitted, REFITTED: refitted})
        write_json(self.models.current, {"version": 1, "before": None})


@pytest.fixture
def utility(tmp_path, tiny_dataset):
    return Utility(tmp_path, tiny_dataset.target)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny_dataset):
    return Utility(tmp_path_factory.mktemp("trained"), tiny_dataset.target).train()


@pytest.fixture
def in_use(utility, trained):
    """The utility with that model in use."""
    utility.put_in_use(*trained)
    return utility


def with_facts(version, *, val_end="", **facts):
    """A version with other facts, among them the end of the days that chose its weights."""
    key = version.facts["key"]
    if val_end:
        facts["key"] = {**key, "data": {**key["data"], "val_end": val_end}}
    facts = {**version.facts, **facts}
    files = {which: version.paths.trained(version.number, which) for which in (FITTED, REFITTED)}
    facts["sha256"] = {which: checksum(file, facts) for which, file in files.items()}
    return replace(version, facts=facts)


def quantiles(table):
    return table[["q10", "q50", "q90"]].to_numpy()
