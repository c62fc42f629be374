import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_lib.scoring.forecasts import NonFiniteForecast, QuantileForecasts
from tests.conftest import refusal

LEVELS = (0.1, 0.5, 0.9)


def forecasts(n=2, h=3, levels=LEVELS):
    """Step h of origin n: 100 n + 10 h for the lowest level, one more for each further one; the
    actual is half more.
    """
    lowest = 100.0 * np.arange(n)[:, None] + 10.0 * np.arange(1, h + 1)
    origins = pd.date_range("2019-01-01 23:00Z", periods=n, name="timestamp")
    return QuantileForecasts(
        lowest[:, :, None] + np.arange(len(levels)), lowest + 0.5, origins, levels
    )


def assert_equal(a, b):
    assert (a.values == b.values).all()
    assert (a.actual == b.actual).all()
    assert (a.origins == b.origins).all()
    assert a.levels == b.levels


# What the object promises


def test_when_levels_are_asked_for_then_lower_median_and_upper_are_the_right_columns():
    f = forecasts()
    assert f.lower.tolist() == [[10, 20, 30], [110, 120, 130]]
    assert f.median.tolist() == [[11, 21, 31], [111, 121, 131]]
    assert f.upper.tolist() == [[12, 22, 32], [112, 122, 132]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_when_a_model_returns_nan_or_infinity_then_that_is_an_error_that_counts_the_forecasts(bad):
    f = forecasts(n=3)
    values = f.values.copy()
    values[0, 1, 2] = values[0, 2, 2] = values[2, 0, 0] = bad
    with pytest.raises(NonFiniteForecast, match=r"^2 of 3 forecasts hold NaN or infinity$"):
        QuantileForecasts(values, f.actual, f.origins)


def test_when_quantiles_cross_then_they_are_rejected_and_equal_ones_are_not():
    f = forecasts()
    values = f.values.copy()
    values[1, 1] = [5, 5, 5]
    QuantileForecasts(values, f.actual, f.origins)
    values[1, 1] = [5, 5, 5 - 1e-9]
    with pytest.raises(ValueError, match=r"^quantiles cross"):
        QuantileForecasts(values, f.actual, f.origins)


@pytest.mark.parametrize("part", ["actual", "origins", "levels"])
def test_when_shapes_do_not_belong_together_then_the_error_shows_them(part):
    f = forecasts()
    given_parts = {"values": f.values, "actual": f.actual, "origins": f.origins, "levels": f.levels}
    given_parts[part] = given_parts[part][:-1]
    with pytest.raises(ValueError, match=r"^values \(2, 3, 3\), actual .* do not belong together$"):
        QuantileForecasts(**given_parts)


# As a table and back


def test_when_forecasts_become_a_table_then_each_row_is_one_hour_of_one_origin():
    table = forecasts().to_frame()
    assert list(table) == ["origin", "step", "actual", "q10", "q50", "q90"]
    assert table["step"].tolist() == [1, 2, 3, 1, 2, 3]
    assert table.iloc[4].tolist() == [
        pd.Timestamp("2019-01-02 23:00Z"),
        2,
        120.5,
        120,
        121,
        122,
    ]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.lists(st.integers(1, 999), min_size=1, max_size=5, unique=True).map(
        lambda per_mille: sorted(per_mille)
    ),
    st.randoms(use_true_random=False),
)
def test_when_a_table_is_read_back_in_any_row_order_then_nothing_is_lost(n, h, per_mille, random):
    f = forecasts(n, h, tuple(whole / 1000 for whole in per_mille))
    table = f.to_frame()
    order = list(range(len(table)))
    random.shuffle(order)
    assert_equal(QuantileForecasts.from_frame(table.iloc[order].assign(quality="good", note=1)), f)


COLUMN = "runs/t.parquet: column {!r} is missing, expected origin, step, actual, q10 ..."
ROWS = (
    "runs/t.parquet: rows do not form complete forecasts, expected for every origin the steps 1, 2 "
    "and so on, each once and as many as for the others; write them again"
)
BROKEN = {
    "no origin": (lambda t: t.drop(columns="origin"), COLUMN.format("origin")),
    "no step": (lambda t: t.drop(columns="step"), COLUMN.format("step")),
    "no actual": (lambda t: t.drop(columns="actual"), COLUMN.format("actual")),
    "no quantile": (lambda t: t.drop(columns=["q10", "q50", "q90"]), COLUMN.format("q10")),
    "no row": (lambda t: t.iloc[:0], ROWS),
    "last row lost": (lambda t: t.iloc[:-1], ROWS),
    "all rows twice": (lambda t: pd.concat([t, t]), ROWS),
    "steps from 0": (lambda t: t.assign(step=t["step"] - 1), ROWS),
    "one origin cut in three": (
        lambda t: t.assign(origin=pd.date_range("2019-01-01 00:00Z", periods=len(t), freq="h")),
        ROWS,
    ),
    "an origin unknown": (
        lambda t: t.assign(origin=t["origin"].mask(t["origin"] == t["origin"][0])),
        ROWS,
    ),
    "a word for a number": (
        lambda t: t.assign(q50="much"),
        "runs/t.parquet: column 'q50' holds something that is not a number; write it again",
    ),
    "a word for an actual": (
        lambda t: t.assign(actual=["much", *[1.0] * (len(t) - 1)]),
        "runs/t.parquet: column 'actual' holds something that is not a number; write it again",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_when_a_table_is_broken_then_one_sentence_says_what_is_wrong(case):
    damage, sentence = BROKEN[case]
    with refusal(sentence):
        QuantileForecasts.from_frame(damage(forecasts().to_frame()), "runs/t.parquet")
