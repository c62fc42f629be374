"""Groups of information taken from other days: what changes, what stays, and from which days."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from hpo_lib.benchmark.explain import SEASON_DAYS, draw_donors, players
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.day_ahead_weather import DayAheadWeather
from hpo_lib.data.information_set import LENGTH
from hpo_lib.data.spec import load_spec
from hpo_lib.data.splits import HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.feature_table import level_floor

DAYS = np.array([13000, 13048])
OTHERS = np.array([4000, 4984])


@pytest.fixture(scope="module")
def contexts(parts):
    return parts.context(DAYS), parts.context(OTHERS)


def blocks(context, name):
    return context.frame[name].to_numpy().reshape(-1, LENGTH)


def mixed(parts, contexts, *names):
    own, other = contexts
    groups = {name: players(parts)[name] for name in names}
    return own.with_groups_of(other, other, groups, level_floor(parts))


def level(y):
    return y[:, -2 * HORIZON : -HORIZON].mean(axis=1)


def test_when_a_dataset_is_read_then_it_has_the_groups_that_it_has_columns_for(parts, toml):
    history = ["level", "last day", "weeks before"]
    assert list(players(parts)) == [*history, "calendar", "holidays", "weather so far"]
    assert players(parts)["calendar"] == ["day_of_week", "is_weekend"]
    assert players(parts)["weather so far"] == ["a"]
    assert list(players(load_dataset(load_spec(toml)))) == [*history, "calendar"]


def test_when_no_group_is_swapped_then_the_context_is_as_it_was(parts, contexts):
    pd.testing.assert_frame_equal(mixed(parts, contexts).frame, contexts[0].frame, rtol=1e-12)


def test_when_all_groups_are_swapped_then_only_the_hour_of_the_day_is_the_own_one(parts, contexts):
    own, other = contexts
    found = mixed(parts, contexts, *players(parts))
    assert (found.frame.index == other.frame.index).all()
    for name in own.frame:
        expected = own if name.startswith("hour") else other
        # Lags of the hours before the block are of the week that is repeated there.
        hours = slice(HORIZON, None)
        left = blocks(found, name)[:, hours]
        right = blocks(expected, name)[:, hours]
        assert_allclose(left, right, rtol=1e-9, atol=1e-9)


def test_when_the_level_is_swapped_then_its_size_is_the_donors_and_its_shape_the_own(
    parts, contexts
):
    own, other = (blocks(context, "load")[:, :-HORIZON] for context in contexts)
    found = blocks(mixed(parts, contexts, "level"), "load")
    assert level(found) == pytest.approx(level(blocks(contexts[1], "load")), rel=1e-12)
    means = [y[:, -HORIZON:].mean(axis=1, keepdims=True) for y in (found[:, :-HORIZON], own)]
    assert_allclose(found[:, :-HORIZON] / means[0], own / means[1], rtol=1e-9)
    assert not np.allclose(own, other)


def test_when_a_shape_is_swapped_then_the_level_and_the_other_hours_stay(parts, contexts):
    own, other = (blocks(context, "load")[:, :-HORIZON] for context in contexts)
    day = blocks(mixed(parts, contexts, "last day"), "load")[:, :-HORIZON]
    assert_allclose(day[:, :-HORIZON], own[:, :-HORIZON], rtol=1e-12)
    relative = [y[:, -HORIZON:] / y[:, -HORIZON:].mean(axis=1, keepdims=True) for y in (day, other)]
    assert_allclose(*relative, rtol=1e-9)
    assert day[:, -HORIZON:].mean(axis=1) == pytest.approx(own[:, -HORIZON:].mean(axis=1))
    weeks = blocks(mixed(parts, contexts, "weeks before"), "load")[:, :-HORIZON]
    assert_allclose(weeks[:, -HORIZON:], own[:, -HORIZON:], rtol=1e-12)
    assert not np.isclose(weeks[:, :-HORIZON], own[:, :-HORIZON]).all()


def test_when_the_history_changes_then_columns_that_follow_from_it_are_made_again(parts, contexts):
    for groups in (("level",), ("last day",), ("weeks before", "calendar")):
        found = mixed(parts, contexts, *groups)
        lag = blocks(found, "load_lag_24h")
        y = blocks(found, "load")
        assert_allclose(lag[:, slice(HORIZON, -HORIZON)], y[:, : -2 * HORIZON], rtol=1e-9)
    # Of no group by itself: another group leaves it alone.
    other = mixed(parts, contexts, "weather so far", "calendar")
    assert_allclose(blocks(other, "load_lag_24h"), blocks(contexts[0], "load_lag_24h"), rtol=1e-12)


def test_when_products_are_in_the_data_then_they_follow_from_what_was_swapped(tiny_dataset):
    frame = tiny_dataset.frame.assign(
        temp_weekend_interaction=lambda f: f["temp"] * f["is_weekend"]
    )
    past = (*tiny_dataset.past, "temp_weekend_interaction")
    dataset = replace(tiny_dataset, frame=frame, past=past)
    own = dataset.context(np.array([1000]))
    other = dataset.context(np.array([1072]))
    found = own.with_groups_of(other, other, {"calendar": ["is_weekend"]}, 1.0).frame
    known = slice(None, -HORIZON)
    expected = own.frame["temp"].to_numpy() * other.frame["is_weekend"].to_numpy()
    assert_allclose(found["temp_weekend_interaction"][known], expected[known])
    assert not np.allclose(expected[known], own.frame["temp_weekend_interaction"][known])


def test_when_what_comes_after_an_origin_changes_then_no_context_does(parts, contexts):
    changed = parts.frame.copy()
    hidden = ["load", *parts.past]
    for origin in (*DAYS, *OTHERS):
        changed.iloc[origin + 1 : origin + 25, changed.columns.get_indexer(hidden)] = 1e6
    # A day that another one reads as its history is not changed: the origins are weeks apart.
    other = replace(parts, frame=changed)
    again = tuple(other.context(origins) for origins in ([DAYS[0]], [OTHERS[0]]))
    before = tuple(parts.context(origins) for origins in ([DAYS[0]], [OTHERS[0]]))
    for names in ((), ("level",), tuple(players(parts))):
        left, right = (mixed(parts, some, *names).frame for some in (again, before))
        pd.testing.assert_frame_equal(left, right)
        assert np.isnan(left[hidden].to_numpy()[-HORIZON:]).all()


def test_when_donors_are_drawn_then_they_are_of_training_the_season_the_hour_and_the_kind(parts):
    donors = draw_donors(parts, parts.test_origins)
    index = parts.index
    off = parts.frame[["is_weekend", "is_public_holiday"]].max(axis=1)
    off = off.to_numpy()
    for (day, *_), history, others in donors:
        for some in (history, others):
            assert (index[some] <= parts.spec.splits.train_end).all()
            apart = np.abs(
                (index[some] + pd.Timedelta(hours=1)).day_of_year
                - (index[day] + pd.Timedelta(hours=1)).day_of_year
            )
            assert (np.minimum(apart, 366 - apart) <= SEASON_DAYS).all()
            assert (index[some].hour == index[day].hour).all()
        assert (off[history + 12] == off[day + 12]).all()
        assert (off[history - 12] == off[day - 12]).all()
    assert len({*off[donors[:, 2] + 12].ravel()}) == 2
    counts = [len({*history}) for history in donors[:, 1]]
    assert min(counts) < 8 == max(counts), "where few are alike, some count twice"


def test_when_fewer_days_are_explained_then_each_has_the_same_donors(parts):
    days = parts.test_origins
    whole = draw_donors(parts, days)
    part = draw_donors(parts, days[5:8])
    assert np.array_equal(whole[5:8], part)


def test_when_training_has_no_such_season_then_the_days_are_left_out_or_refused(tiny_dataset):
    donors = draw_donors(tiny_dataset, tiny_dataset.test_origins)
    last = tiny_dataset.index[donors[-1, 0, 0]].day_of_year + 1
    assert last <= tiny_dataset.index[1679].day_of_year + SEASON_DAYS
    assert len(donors) < len(tiny_dataset.test_origins)
    with pytest.raises(InputError, match="no day of training is within 21 days of the year"):
        draw_donors(tiny_dataset, tiny_dataset.test_origins[-1:])


def test_when_models_see_weather_of_the_day_ahead_then_it_is_a_group_of_its_own(tiny_dataset):
    values = np.random.default_rng(5).random((len(tiny_dataset.frame), HORIZON, 1))
    weather = DayAheadWeather("observed", ("temp",), tiny_dataset.index, values, 15.0, 10.0)
    dataset = replace(tiny_dataset, weather=weather)
    assert list(players(dataset))[-2:] == ["weather so far", "weather ahead"]
    own, other = (dataset.context(np.array([origin])) for origin in (1000, 1072))
    ahead = own.with_groups_of(other, other, {"weather ahead": ()}, 1.0)
    assert np.array_equal(ahead.weather, other.weather)
    pd.testing.assert_frame_equal(ahead.frame, own.frame, rtol=1e-12)
    so_far = own.with_groups_of(other, other, {"weather so far": ["temp"]}, 1.0)
    assert np.array_equal(so_far.weather, own.weather)
    known = slice(None, -HORIZON)
    assert so_far.frame["temp"].to_numpy()[known].tolist() == other.frame["temp"][known].tolist()
