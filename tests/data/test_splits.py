"""Hand-worked positions; the index starts on 2020-01-01 00:00, so position p is hour p of the year."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_lib.data.spec import Splits
from hpo_lib.data.splits import daily_origins, split_positions, test_origins, training_origins, validation_origins


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def hours(days: int, more: int = 0) -> pd.DatetimeIndex:
    return pd.date_range("2020-01-01", periods=24 * days + more, freq="h", tz="UTC", name="timestamp")


TEN_THREE = Splits(train_end=utc("2020-01-10 23:00"), val_end=utc("2020-01-13 23:00"))


def test_when_splits_end_at_23_then_each_split_holds_its_end_hour():
    positions = split_positions(hours(15), TEN_THREE)
    assert positions.train == slice(0, 240)
    assert positions.val == slice(240, 312)
    assert positions.test == slice(312, 360)


def test_when_the_test_split_has_an_end_then_later_hours_belong_to_no_split():
    splits = Splits(TEN_THREE.train_end, TEN_THREE.val_end, utc("2020-01-14 11:00"))
    assert split_positions(hours(15), splits).test == slice(312, 324)


def test_when_data_ends_with_validation_then_the_test_split_is_empty():
    index = hours(13)
    assert split_positions(index, TEN_THREE).test == slice(312, 312)
    assert test_origins(index, TEN_THREE).tolist() == []


def test_when_validation_is_three_days_then_it_has_three_origins_at_23_reaching_back_into_training():
    index = hours(15)
    origins = validation_origins(index, TEN_THREE)
    assert origins.tolist() == [239, 263, 287]
    assert [f"{time:%d %H}" for time in index[origins]] == ["10 23", "11 23", "12 23"]


def test_when_the_test_split_follows_then_its_first_origin_is_the_last_validation_hour():
    assert test_origins(hours(15), TEN_THREE).tolist() == [311, 335]


@pytest.mark.parametrize(("more", "expected"), [(0, [311, 335]), (23, [311, 335]), (24, [311, 335, 359])])
def test_when_less_than_a_day_remains_then_it_gives_no_origin(more, expected):
    assert test_origins(hours(15, more), TEN_THREE).tolist() == expected


def test_when_val_end_is_an_hour_short_of_a_day_then_that_day_has_no_origin():
    splits = Splits(TEN_THREE.train_end, utc("2020-01-13 22:00"))
    assert validation_origins(hours(15), splits).tolist() == [239, 263]


def test_when_history_is_short_then_the_first_origin_has_exactly_168_hours():
    index = hours(10)
    assert daily_origins(index, index[0], index[-1]).tolist() == [167, 191, 215]
    assert daily_origins(index, index[1], index[-1]).tolist() == [
        168,
        192,
    ]  # 167 h + 1 h; the day after 216 is not whole


def test_when_last_hour_is_after_the_data_then_origins_stop_with_the_data():
    index = hours(9)
    assert daily_origins(index, utc("2020-01-08"), utc("2021-01-01")).tolist() == [167, 191]


def test_when_training_then_every_hour_with_whole_history_and_forecast_is_an_origin():
    origins = training_origins(hours(15), TEN_THREE)  # positions 0..239 are training
    assert origins[0] == 167
    assert origins[-1] == 215  # 215 + 24 = 239
    assert np.all(np.diff(origins) == 1)


def test_when_training_is_one_hour_short_of_a_window_then_it_has_no_origin():
    assert training_origins(hours(15), Splits(utc("2020-01-08 22:00"), utc("2020-01-12 23:00"))).tolist() == []
    assert training_origins(hours(15), Splits(utc("2020-01-08 23:00"), utc("2020-01-12 23:00"))).tolist() == [167]


@given(first=st.integers(0, 400), length=st.integers(0, 400), total=st.integers(1, 700))
def test_when_origins_are_drawn_for_any_range_then_their_forecasts_tile_it(first, length, total):
    index = hours(0, total)
    first_hour, last_hour = index[0] + pd.Timedelta(hours=first), index[0] + pd.Timedelta(hours=first + length - 1)
    expected = [o for o in range(first - 1, total, 24) if o >= 167 and o + 24 < min(first + length, total)]
    assert daily_origins(index, first_hour, last_hour).tolist() == expected
