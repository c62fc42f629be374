"""The linear baseline: least absolute errors, out-of-fold residuals, the information set."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import HISTORY, HORIZON, training_origins
from hpo_lib.families import feature_table, linear_baseline
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions, least_absolute
from hpo_lib.families.models import Budget, get_family
from tests.contract.test_families import smallest


@pytest.fixture(scope="module")
def origins(tiny_dataset):
    """The daily ones of the training split."""
    return training_origins(tiny_dataset.positions.train)[::24]


@pytest.fixture(scope="module")
def part(tiny_dataset, origins):
    return LinearBaseline.fit(tiny_dataset, origins, LinearOptions(False))


def test_when_some_points_are_far_off_then_the_line_goes_through_the_others():
    """Nine of eleven points are on y = 2 x + 1; least squares would leave the line."""
    x = np.arange(-5.0, 6.0)
    y = 2 * x + 1
    y[2], y[8] = 100, 40
    weights, intercept = least_absolute(x[:, None], y, penalty=0.0)
    assert weights[0] == pytest.approx(2, abs=0.02)
    assert intercept == pytest.approx(1, abs=0.05)
    held_back, _ = least_absolute(x[:, None], y, penalty=1000.0)
    assert abs(held_back[0]) < 0.5


def test_when_there_is_nothing_but_a_constant_then_it_is_the_median(monkeypatch):
    monkeypatch.setattr(linear_baseline, "ROUNDS", 200)
    weights, intercept = least_absolute(np.zeros((5, 1)), np.array([0.0, 1.0, 2.0, 3.0, 1000.0]))
    assert weights[0] == 0
    assert intercept == pytest.approx(2, abs=0.2)  # the mean is 201


def medians(part, dataset, origins):
    return part.quantiles(dataset, dataset.windows(origins))[:, :, 1]


@pytest.mark.parametrize("trees", [0, 5])
def test_when_training_days_are_forecast_then_never_by_a_regression_that_has_seen_them(
    trees, origins, tiny_dataset
):
    """Changing a day changes no forecast of that day, while the regression on all days bends
    towards it.
    """
    day = int(origins[30])
    frame = tiny_dataset.frame.copy()
    frame.iloc[day + 1 : day + 1 + HORIZON, 0] *= 5
    changed = replace(tiny_dataset, frame=frame)
    before, after = (
        # Without validation, which chooses how many trees.
        LinearBaseline.fit(
            d.trained_through_validation(), origins, LinearOptions(False, trees=trees)
        )
        for d in (tiny_dataset, changed)
    )
    parts = (before, tiny_dataset), (after, changed)
    assert np.array_equal(*[part.out_of_fold[30] for part, _ in parts])
    bent = [medians(part, d, origins[30:31]) for part, d in parts]
    assert (bent[0] != bent[1]).all()


def test_when_demand_is_noise_then_out_of_fold_residuals_are_as_large_as_on_new_days(
    origins, tiny_dataset
):
    demand = np.random.default_rng(3).gamma(4, 2.5, len(tiny_dataset.frame))
    dataset = replace(tiny_dataset, frame=tiny_dataset.frame.assign(water_consumption=demand))
    part = LinearBaseline.fit(dataset, origins, LinearOptions(False))

    def error(expected, of):
        return float(np.abs(demand[of[:, None] + np.arange(1, HORIZON + 1)] - expected).mean())

    new = np.concatenate([dataset.validation_origins, dataset.test_origins])
    on_new_days = error(medians(part, dataset, new), new)
    assert error(part.out_of_fold, origins) > 0.9 * on_new_days
    assert error(medians(part, dataset, origins), origins) < 0.7 * on_new_days


def test_when_a_feature_runs_wild_then_it_counts_as_three_standard_deviations(part, tiny_dataset):
    frame = tiny_dataset.frame.copy()
    temp = frame.columns.get_loc("temp")
    frame.iloc[2178:2201, temp] = 1e3
    wild = part.quantiles(tiny_dataset, Windows(frame, np.array([2200])))
    frame.iloc[2178:2201, temp] = 1e6
    assert np.array_equal(part.quantiles(tiny_dataset, Windows(frame, np.array([2200]))), wild)


def test_when_training_is_too_short_for_seasons_then_the_time_of_year_is_no_feature(tiny_dataset):
    dataset = replace(
        tiny_dataset, frame=tiny_dataset.frame.assign(month=3.0), future=("hour_sin", "month")
    )
    windows = dataset.windows(np.array([500]))
    whole, short = (
        feature_table.make_feature_table(dataset, windows, seasons=seasons)
        for seasons in (True, False)
    )
    assert set(whole.names) - set(short.names) == {"year_sin", "year_cos", "month"}
    before, left = map(feature_table.linear_features, (whole, short))
    assert left.shape[2] == before.shape[2] - 4, "two harmonics, and the month is not linear"


@pytest.mark.parametrize("weeks", [1, 2])
def test_when_a_part_is_forecast_then_its_regression_shares_no_hour_with_it_of_all_weeks_shown(
    weeks, origins, tiny_dataset, monkeypatch
):
    options = LinearOptions(False, weeks=weeks)
    seen = []
    longer = LinearBaseline.fit(tiny_dataset, origins, options)
    table = options.table(tiny_dataset, tiny_dataset.windows(origins), longer.floor)
    rows = feature_table.FeatureTable.rows
    monkeypatch.setattr(
        feature_table.FeatureTable,
        "rows",
        lambda self, chosen: seen.append(chosen) or rows(self, chosen),
    )
    longer.relative_out_of_fold(table)
    assert np.array_equal(np.concatenate(seen[1::2]), np.arange(len(origins)))
    for apart, fold in zip(seen[::2], seen[1::2], strict=True):
        assert np.abs(origins[apart][:, None] - origins[fold]).min() > weeks * HISTORY + HORIZON


def test_when_the_same_windows_are_fitted_again_then_nothing_is_computed(
    origins, tiny_dataset, monkeypatch
):
    monkeypatch.setattr(linear_baseline, "_last_fits", deque(maxlen=4))
    first = LinearBaseline.fit(tiny_dataset, origins, LinearOptions(False))
    assert LinearBaseline.fit(tiny_dataset, origins, LinearOptions(False)) is first
    changed = replace(tiny_dataset, frame=tiny_dataset.frame.assign(water_consumption=1.0))
    for data, given, options in (
        (changed, origins, {}),
        (tiny_dataset, origins[1:], {}),
        (tiny_dataset, origins, {"penalty": 0.1}),
        (tiny_dataset, origins, {"weeks": 2}),
    ):
        assert LinearBaseline.fit(data, given, LinearOptions(False, **options)) is not first


def test_when_no_line_explains_a_day_then_trees_do(origins, tiny_dataset):
    """Demand is high where the temperature of the last hour and that of its day have one sign."""
    random = np.random.default_rng(5)
    frame = tiny_dataset.frame.copy()
    temp = np.zeros(len(frame))
    demand = np.full(len(frame), 10.0)
    every = np.concatenate([origins, tiny_dataset.validation_origins])
    for origin, (hour, day) in zip(every, random.choice([-1, 1], (len(every), 2)), strict=True):
        temp[origin - 23 : origin], temp[origin] = day, hour
        demand[origin + 1 : origin + 1 + HORIZON] += 3 * hour * day
    dataset = replace(tiny_dataset, frame=frame.assign(temp=temp, water_consumption=demand))
    validation = dataset.validation_origins
    hours = dataset.target.to_numpy()[validation[:, None] + np.arange(1, HORIZON + 1)]

    def error(trees):
        fitted = LinearBaseline.fit(dataset, origins, LinearOptions(False, trees=trees))
        return np.abs(medians(fitted, dataset, validation) - hours).mean()

    assert error(trees=300) < 0.5 * error(trees=0)


def test_when_a_network_learns_on_trees_then_its_share_of_none_is_theirs_and_a_refit_has_as_many(
    tiny_dataset, monkeypatch
):
    monkeypatch.setattr("hpo_lib.families.windows.MOST_TREES", most := 100)
    monkeypatch.setattr("hpo_lib.families.trees.EARLY_STOPPING_ROUNDS", 10)

    def fit(like=None):
        params = {**smallest(family), "linear_part": True, "linear_trees": True}
        return family.fit(params, tiny_dataset, Budget(4, 16, 1), seed=1, like=like)

    family = get_family("NHITS_Q")
    origins = tiny_dataset.training_origins(near_hours=1)
    fitted = fit()
    alone = LinearBaseline.fit(tiny_dataset, origins, LinearOptions(False, trees=most))
    fitted.shares = 0.0, 0.0
    validation = tiny_dataset.validation_origins
    assert np.array_equal(
        fitted.forecasts(tiny_dataset, validation).values,
        alone.quantiles(tiny_dataset, tiny_dataset.windows(validation)),
    )
    of_validation, of_refit = (one.scaling.linear for one in (fitted, fit(fitted)))
    assert 0 < of_validation.options.trees == of_refit.options.trees < most
    assert of_validation.trees != of_refit.trees
