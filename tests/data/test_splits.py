"""Hand-worked positions; the index starts on 2020-01-01 00:00, so position p is hour p of the year."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_lib.data.spec import Splits
from hpo_lib.data.splits import SplitPositions, daily_origins, split_origins, split_positions, training_origins


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def hours(days: int, more: int = 0) -> pd.DatetimeIndex:
    return pd.date_range("2020-01-01", periods=24 * days + more, freq="h", tz="UTC", name="timestamp")


TEN_THREE = Splits(train_end=utc("2020-01-10 23:00"), val_end=utc("2020-01-13 23:00"))


def test_when_splits_end_at_23_then_each_split_holds_its_end_hour():
    positions = split_positions(hours(15), TEN_THREE)
    assert positions == SplitPositions(slice(0, 240), slice(240, 312), slice(312, 360))


def test_when_the_test_split_has_an_end_then_later_hours_belong_to_no_split():
    splits = replace(TEN_THREE, test_end=utc("2020-01-14 11:00"))
    assert split_positions(hours(15), splits).test == slice(312, 324)


def test_when_validation_is_three_days_then_it_has_three_origins_at_23_reaching_back_into_training():
    index = hours(15)
    origins, _ = split_origins(index, TEN_THREE)
    assert origins.tolist() == [239, 263, 287]
    assert [f"{time:%d %H}" for time in index[origins]] == ["10 23", "11 23", "12 23"]


def test_when_val_end_is_an_hour_short_of_a_day_then_that_day_has_no_origin():
    origins, _ = split_origins(hours(15), replace(TEN_THREE, val_end=utc("2020-01-13 22:00")))
    assert origins.tolist() == [239, 263]


@pytest.mark.parametrize(
    ("index", "expected"),
    [(hours(13), []), (hours(15), [311, 335]), (hours(15, 23), [311, 335]), (hours(15, 24), [311, 335, 359])],
)
def test_when_the_data_goes_on_then_only_whole_days_after_validation_have_a_test_origin(index, expected):
    assert split_positions(index, TEN_THREE).test == slice(312, len(index))
    assert split_origins(index, TEN_THREE)[1].tolist() == expected


def test_when_history_is_short_then_the_first_origin_has_exactly_168_hours():
    index = hours(10)
    assert daily_origins(index, index[0], index[-1]).tolist() == [167, 191, 215]
    # From 167 h + 1 h on; the day after 216 is not whole.
    assert daily_origins(index, index[1], index[-1]).tolist() == [168, 192]


def test_when_last_hour_is_after_the_data_then_origins_stop_with_the_data():
    assert daily_origins(hours(9), utc("2020-01-08"), utc("2021-01-01")).tolist() == [167, 191]


def test_when_training_then_every_hour_with_whole_history_and_forecast_is_an_origin():
    origins = training_origins(hours(15), TEN_THREE)  # positions 0..239 are training, and 215 + 24 = 239
    assert origins.tolist() == list(range(167, 216))


def test_when_training_is_one_hour_short_of_a_window_then_it_has_no_origin():
    assert training_origins(hours(15), Splits(utc("2020-01-08 22:00"), utc("2020-01-12 23:00"))).tolist() == []
    assert training_origins(hours(15), Splits(utc("2020-01-08 23:00"), utc("2020-01-12 23:00"))).tolist() == [167]


@given(first=st.integers(0, 400), length=st.integers(0, 400), total=st.integers(1, 700))
def test_when_origins_are_drawn_for_any_range_then_their_forecasts_tile_it(first, length, total):
    index = hours(0, total)
    first_hour, last_hour = index[0] + pd.Timedelta(hours=first), index[0] + pd.Timedelta(hours=first + length - 1)
    expected = [o for o in range(first - 1, total, 24) if o >= 167 and o + 24 < min(first + length, total)]
    assert daily_origins(index, first_hour, last_hour).tolist() == expected
