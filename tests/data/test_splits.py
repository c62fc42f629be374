"""Hand-worked positions; the index starts on 2020-01-01, so position p is hour p of the year."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_lib.data.spec import Splits, load_spec
from hpo_lib.data.splits import (
    SplitPositions,
    daily_origins,
    settled_splits,
    split_positions,
    training_origins,
)
from hpo_lib.errors import InputError
from tests.conftest import refusal


def utc(text):
    return pd.Timestamp(text, tz="UTC")


def hours(days, more=0):
    return pd.date_range(
        "2020-01-01", periods=24 * days + more, freq="h", tz="UTC", name="timestamp"
    )


TEN_THREE = Splits(train_end=utc("2020-01-10 23:00"), val_end=utc("2020-01-13 23:00"))


def test_when_splits_end_at_23_then_each_split_holds_its_end_hour():
    positions = split_positions(hours(15), TEN_THREE)
    assert positions == SplitPositions(slice(0, 240), slice(240, 312), slice(312, 360))
    splits = replace(TEN_THREE, test_end=utc("2020-01-14 11:00"))
    assert split_positions(hours(15), splits).test == slice(312, 324)


def test_when_validation_is_three_days_then_it_has_three_origins_at_23():
    index = hours(15)
    origins = daily_origins(split_positions(index, TEN_THREE).val)
    assert origins.tolist() == [239, 263, 287]
    assert [f"{time:%d %H}" for time in index[origins]] == ["10 23", "11 23", "12 23"]
    short = split_positions(index, replace(TEN_THREE, val_end=utc("2020-01-13 22:00")))
    assert daily_origins(short.val).tolist() == [239, 263]


@pytest.mark.parametrize(
    "index, expected",
    [
        (hours(13), []),
        (hours(15), [311, 335]),
        (hours(15, 23), [311, 335]),
        (hours(15, 24), [311, 335, 359]),
    ],
)
def test_when_the_data_goes_on_then_only_whole_days_after_validation_have_a_test_origin(
    index, expected
):
    test = split_positions(index, TEN_THREE).test
    assert test == slice(312, len(index))
    assert daily_origins(test).tolist() == expected


def test_when_training_then_every_hour_with_whole_history_and_forecast_is_an_origin():
    assert training_origins(slice(0, 240)).tolist() == list(range(167, 216))  # 215 + 24 = 239
    for stop, expected in ((191, []), (192, [167])):
        assert training_origins(slice(0, stop)).tolist() == expected


@given(first=st.integers(0, 400), length=st.integers(0, 400))
def test_when_origins_are_drawn_for_any_range_then_their_forecasts_tile_it(first, length):
    expected = [o for o in range(first - 1, first + length, 24) if 167 <= o < first + length - 24]
    assert daily_origins(slice(first, first + length)).tolist() == expected


# Which dates are taken


def settled(index, plan, timezone="UTC"):
    spec = replace(load_spec("heat"), splits=plan, timezone=timezone, path=Path("my.toml"))
    return settled_splits(index, np.zeros(len(index), dtype=bool), spec, "my.csv")


SHARES = Splits(train=0.7, val=0.2)


@pytest.mark.parametrize(
    "plan, timezone, train_end, val_end",
    [
        # 70 days end on 2020-03-10, 90 days on 2020-03-30
        (SHARES, "UTC", "2020-03-10 23:00", "2020-03-30 23:00"),
        (SHARES, "Europe/Rome", "2020-03-10 22:00", "2020-03-30 22:00"),  # UTC+1 until 2020-03-29
        (replace(SHARES, origin_hour=9), "Australia/Melbourne", "2020-03-10 22:00", None),
        (replace(SHARES, origin_hour=23), "America/New_York", "2020-03-10 03:00", None),
        (replace(SHARES, origin_hour=23), "Asia/Kolkata", "2020-03-10 18:00", None),  # 23:30
        (
            # Dates move back to the hour by less than a day; UTC-4 since 2020-03-08.
            Splits(utc("2020-03-10 20:00"), utc("2020-03-30 20:00"), origin_hour=9),
            "America/New_York",
            "2020-03-10 13:00",
            "2020-03-30 13:00",
        ),
        (
            # 02:00 does not exist on 2020-03-29.
            Splits(utc("2020-03-29 10:00"), utc("2020-04-04 10:00"), origin_hour=2),
            "Europe/Rome",
            "2020-03-28 01:00",
            None,
        ),
    ],
)
def test_when_dates_or_shares_are_planned_then_splits_end_at_one_hour_that_the_data_reaches(
    plan, timezone, train_end, val_end
):
    taken = settled(hours(100), plan, timezone)
    assert taken.train_end == utc(train_end)
    assert val_end is None or taken.val_end == utc(val_end)
    assert taken.test_end is None


@pytest.mark.parametrize("name", ["val_end", "test_end"])
def test_when_the_data_ends_at_the_very_hour_of_a_split_then_its_dates_are_taken(name):
    index = hours(100)
    ends = (
        {"val_end": index[-1]}
        if name == "val_end"
        else {"val_end": index[-25], "test_end": index[-1]}
    )
    plan = Splits(train_end=index[69 * 24 + 23], **ends)
    assert settled(index, plan) == plan
    with pytest.raises(InputError, match="do not fit the data"):
        settled(index[:-1], plan)


def test_when_the_data_is_too_short_for_its_shares_then_the_error_says_what_is_needed():
    with refusal(
        "my.csv: training to 2020-01-28 23:00, validation to 2020-02-05 23:00 do not fit the data, "
        "which covers 2020-01-01 00:00 to 2020-02-09 23:00 UTC; a training split needs 912 hours, "
        "the others whole days; move the dates, or set train = 0.7 and val = 0.2 instead, for "
        "which 60 days are enough, under [splits] in my.toml"
    ):
        settled(hours(40), SHARES)
