"""What a model gets to forecast from: nothing that was not known at the origin."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.information_set import LENGTH
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.scoring.forecasts import QuantileForecasts


@pytest.fixture(scope="module")
def origins(tiny_dataset):
    return np.array([2200, 900, 924])


@pytest.fixture(scope="module")
def context(tiny_dataset, origins):
    return tiny_dataset.context(origins)


def test_when_a_context_is_made_then_it_holds_no_target_and_no_past_covariate_after_an_origin(
    context, tiny_dataset
):
    blocks = context.frame.to_numpy().reshape(3, LENGTH, -1)
    hidden = [
        context.frame.columns.get_loc(name)
        for name in (tiny_dataset.spec.target, *tiny_dataset.past)
    ]
    shown = [context.frame.columns.get_loc(name) for name in tiny_dataset.future]
    assert np.isnan(blocks[:, -HORIZON:, hidden]).all()
    assert not np.isnan(blocks[:, :-HORIZON]).any()
    assert not np.isnan(blocks[:, :, shown]).any()


def test_when_a_context_is_made_then_each_block_is_the_weeks_up_to_its_origin_and_the_day_after(
    context, origins, tiny_dataset
):
    assert list(context.origins) == list(tiny_dataset.index[origins])
    for block, origin in zip(np.split(np.arange(3 * LENGTH), 3), origins, strict=True):
        hours = slice(origin + HORIZON - LENGTH + 1, origin + HORIZON + 1)
        found = context.frame.iloc[block]
        whole = tiny_dataset.frame.iloc[hours]
        assert list(found.index) == list(whole.index)
        pd.testing.assert_frame_equal(
            found.iloc[:-HORIZON], whole.iloc[:-HORIZON], check_freq=False, check_names=False
        )
        future = list(tiny_dataset.future)
        pd.testing.assert_frame_equal(
            found[future], whole[future], check_freq=False, check_names=False
        )


def test_when_fewer_weeks_are_there_then_the_first_one_is_repeated_at_the_same_hour_of_the_week(
    tiny_dataset,
):
    target = tiny_dataset.context(np.array([200])).frame["water_consumption"].to_numpy()
    known = tiny_dataset.target.to_numpy()[:201]
    assert np.array_equal(target[-HORIZON - 201 : -HORIZON], known)
    assert np.array_equal(target[-HORIZON - 201 - HISTORY : -HORIZON - 201], known[:HISTORY])


def test_when_the_data_changes_later_then_a_context_stays_as_it_was(tiny_dataset):
    frame = tiny_dataset.frame.copy()
    before = dataclasses.replace(tiny_dataset, frame=frame).context(np.array([900]))
    frame.iloc[:] = 0.0
    assert before.frame["water_consumption"].iloc[:-HORIZON].all()


def test_when_forecasts_meet_the_actuals_then_hours_that_nobody_knows_stay_open(tiny_dataset):
    origins = tiny_dataset.index[[900, len(tiny_dataset.frame) - 5]]
    found = QuantileForecasts.of_model(np.zeros((2, HORIZON, 3)), origins).with_actual(
        tiny_dataset.target
    )
    target = tiny_dataset.target.to_numpy()
    assert np.array_equal(found.actual[0], target[901:925])
    assert np.array_equal(found.actual[1, :4], target[-4:])
    assert np.isnan(found.actual[1, 4:]).all()
