"""Contract of every registered dataset, and how a dataset is found; broken TOMLs are in
test_broken_inputs.py.
"""

from dataclasses import replace

import pandas as pd
import pytest

from hpo_lib import paths
from hpo_lib.data.spec import GapRule, Splits, known_datasets, load_spec
from tests.conftest import refusal

DEVELOPMENT = sorted((paths.DATASETS_DIR / "development").glob("*.toml"))


def test_when_the_registry_is_listed_then_it_holds_the_three_datasets_and_the_one_that_ships():
    assert list(known_datasets()) == ["bike_dc", "heat", "water_centrum", "water_tommerby"]
    for name in known_datasets():
        spec = load_spec(name)
        assert spec.name == name
        assert min(len(spec.past_covariates), len(spec.future_covariates)) > 0
        assert spec.tz.key == spec.timezone


@pytest.mark.parametrize("name", ["heat", "water_centrum", "water_tommerby"])
def test_when_the_three_datasets_are_read_then_splits_are_those_of_the_thesis_and_there_is_a_twin(
    name,
):
    spec = load_spec(name)
    train_end, val_end = (
        pd.Timestamp(hour, tz="UTC") for hour in ("2023-10-31 23:00", "2024-03-31 23:00")
    )
    assert spec.splits == Splits(train_end, val_end)
    assert spec.twin is not None
    assert spec.gaps == GapRule("linear", 3)


@pytest.mark.parametrize("file", DEVELOPMENT, ids=lambda file: file.stem)
def test_when_a_development_dataset_is_read_then_only_name_splits_and_twin_differ_from_the_dataset(
    file,
):
    spec = load_spec(file)
    base = load_spec(file.stem)
    assert spec.name == f"{base.name}_dev"
    assert spec.twin is None
    other = {"name": base.name, "splits": base.splits, "twin": base.twin, "path": base.path}
    assert replace(spec, **other) == base


def test_when_a_path_is_given_then_that_toml_is_read_whatever_its_file_name(small):
    small.edit_toml('[gaps]\nfill = "linear"\nmax_hours = 3\n', "")
    renamed = small.toml.rename(small.folder / "anything.toml")
    spec = load_spec(str(renamed))
    assert spec.gaps == GapRule("none", 0)
    assert (spec.name, spec.path) == ("small", renamed)
    assert spec.twin is None
    assert spec.start is None
    assert spec.past_covariates == ("temp", "water_lag_1h")


def test_when_a_relative_path_is_given_from_another_folder_then_it_is_found_below_the_project(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert load_spec("datasets/development/heat.toml").name == "heat_dev"


@pytest.mark.parametrize(
    "written",
    [
        '"2018-05-31 23:00"',
        '"2018-05-31T23:00Z"',
        '"2018-06-01 01:00+02:00"',
        "2018-05-31 23:00:00",
    ],
)
def test_when_a_time_is_written_in_any_iso_form_then_it_is_the_same_hour_in_utc(small, written):
    small.edit_toml('"2018-05-31 23:00"', written)
    assert load_spec(small.toml).splits.train_end == pd.Timestamp("2018-05-31 23:00Z")


DATES = 'train_end = "2018-05-31 23:00"\nval_end = "2018-06-15 23:00"\n'


def test_when_splits_are_shares_then_loading_fills_in_the_dates(small):
    small.edit_toml(DATES, "train = 0.7\nval = 0.2\norigin_hour = 23\n")
    assert pd.isna(load_spec(small.toml).splits.train_end)
    taken = small.load().spec.splits  # 90 days from 2018-04-01, UTC+2
    assert (taken.train_end, taken.val_end) == tuple(
        pd.Timestamp(hour, tz="UTC") for hour in ("2018-06-02 21:00", "2018-06-20 21:00")
    )


def test_when_a_dataset_is_unknown_then_the_nearest_one_is_named():
    known = ", ".join(known_datasets())
    with refusal(
        "dataset is 'water_centrun', which is not in the registry; did you mean water_centrum? "
        f"allowed: {known}; or give the path of a dataset TOML"
    ):
        load_spec("water_centrun")
    with refusal(
        "dataset file no/such.toml does not exist; give the path of a dataset TOML or a name "
        "from `hpo datasets`"
    ):
        load_spec("no/such.toml")
    with refusal(
        "dataset file datasets/heet.toml does not exist; did you mean heat.toml? give the path of "
        "a dataset TOML or a name from `hpo datasets`"
    ):
        load_spec("datasets/heet.toml")


def test_when_a_registered_toml_has_another_name_then_one_of_them_must_be_renamed(
    small, monkeypatch
):
    monkeypatch.setattr(paths, "DATASETS_DIR", small.folder)
    small.toml.rename(small.folder / "tiny.toml")
    file = small.folder / "tiny.toml"
    with refusal(
        f"{file}: name is 'small', expected 'tiny' (the file's own name); rename one of them"
    ):
        load_spec("tiny")
