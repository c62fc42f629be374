"""Which hour sits where in a window, by hand on a frame of counted hours."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpo_lib.data.splits import training_origins
from hpo_lib.families.models import RECIPES

ORIGINS = [167, 500]
PLAIN = RECIPES["plain"]
LEVELLED = replace(PLAIN, level_hours=24)


@pytest.fixture(scope="module")
def windows():
    """Imported late: torch and darts take seconds, which every worker would pay at collection."""
    from hpo_lib.families import windows

    return windows


@pytest.fixture
def counted(tiny_dataset):
    """Row t holds t, 10_000 + t, 20_000 + t ... in its columns (target, 2 past, 3 future)."""
    frame = tiny_dataset.frame.copy()
    frame[:] = np.arange(len(frame))[:, None] + 10_000.0 * np.arange(frame.shape[1])
    return replace(tiny_dataset, frame=frame)


def made(dataset, recipe=PLAIN, *, level=None, scaling=None, as_past=True, origins=ORIGINS):
    """The source of windows in the data's own numbers, unless there is a level or a scaling."""
    from hpo_lib.families import windows
    from hpo_lib.families.training import DartsForecaster

    columns = dataset.frame.columns
    scaling = scaling or windows.Scaling(
        dict.fromkeys(columns, 0.0),
        dict.fromkeys(columns, 1.0),
        level,
        True,
        None,
        np.empty((2, 0)),
    )
    forecaster = DartsForecaster(dataset, scaling, recipe, as_past)
    return forecaster.source(dataset.windows(np.array(origins)))


def gathered(source, *origins, with_target=True):
    import torch

    return source.gather(torch.tensor(origins or ORIGINS), with_target=with_target)


def test_when_windows_are_gathered_then_the_past_ends_at_the_origin_and_the_calendar_goes_on(
    counted,
):
    batch = gathered(made(counted, as_past=False))
    assert batch.past_target[0, :, 0].tolist() == list(range(168))
    assert batch.past_target[1, [0, -1], 0].tolist() == [333, 500]
    assert batch.future_target[0, :, 0].tolist() == list(range(168, 192))
    assert batch.future_target[1, [0, -1], 0].tolist() == [501, 524]
    for columns, name, first, last in (
        ((10_000, 20_000), "past_covariates", 333, 500),
        ((30_000, 40_000, 50_000), "historic_future_covariates", 333, 500),
        ((30_000, 40_000, 50_000), "future_covariates", 501, 524),
    ):
        part = getattr(batch, name)
        assert part.shape == (2, 24 if first == 501 else 168, len(columns))
        ends = [[column + hour for column in columns] for hour in (first, last)]
        assert part[1, [0, -1]].tolist() == ends


def test_when_a_model_has_no_future_input_then_its_last_day_has_the_calendar_of_the_next(counted):
    batch = gathered(made(counted, as_past=True))
    assert batch.historic_future_covariates is None
    assert batch.future_covariates is None
    assert batch.past_covariates.shape == (2, 168, 5)
    # Past covariates keep their places, the calendar comes 24 hours early.
    assert batch.past_covariates[1, 0].tolist() == [10_333, 20_333, 30_357, 40_357, 50_357]
    assert batch.past_covariates[1, -24].tolist() == [10_477, 20_477, 30_501, 40_501, 50_501]
    assert batch.past_covariates[1, -1].tolist() == [10_500, 20_500, 30_524, 40_524, 50_524]


def test_when_windows_reach_beyond_the_frame_or_are_others_than_asked_for_then_it_is_an_error(
    counted,
):
    import torch

    origin = len(counted.frame) - 24
    beyond = made(counted, as_past=False, origins=[origin])
    other = replace(made(counted, origins=[500]), expected=torch.ones((1, 24)))
    for source, asked in ((beyond, origin), (other, 501)):
        with pytest.raises(IndexError):
            gathered(source, asked, with_target=source is other)


def test_when_scaling_is_fitted_then_training_rows_have_mean_0_and_deviation_1_but_for_constants(
    windows, tiny_dataset
):
    frame = tiny_dataset.frame.assign(is_weekend=1.0)
    frame.iloc[2000:, -1] = 3.0
    scaling = windows.Scaling.fit(replace(tiny_dataset, frame=frame), PLAIN)
    scaled = scaling.transform(frame, tuple(frame.columns))
    assert str(scaled.dtype) == "torch.float32"
    training = scaled[:1680, :-1]
    constant = scaled[:, -1]
    assert_allclose(training.mean(dim=0), 0, atol=1e-5)
    assert_allclose(training.std(dim=0, correction=0), 1, atol=1e-5)
    assert constant[[0, 1999, 2000]].tolist() == [0, 0, 2], "it keeps its unit"


def test_when_training_windows_are_fetched_then_in_the_order_asked_for_and_one_alone_is_the_same(
    windows, counted
):
    origins = training_origins(counted.positions.train)
    training = windows.TrainingWindows(made(counted, origins=origins), origins)
    assert len(training) == len(origins) == 1680 - 168 - 24 + 1
    batch = training.__getitems__([1488, 0])
    assert batch.future_target[:, -1, 0].tolist() == [
        1679,
        191,
    ]  # the last hour of training, and the first window's
    alone = training[1488]
    assert np.array_equal(alone.past_covariates, batch.past_covariates[0])
    assert np.array_equal(alone.future_target, batch.future_target[0])
    assert alone.future_covariates is None


# Normalisation by the recent level, the linear baseline, and which origins are learnt from


def test_when_windows_are_normalised_then_the_target_is_relative_to_the_mean_of_the_last_day(
    windows, counted
):
    level = windows.Level(hours=24, floor=1.0, spread=0.5, log_mean=np.log(100.0), log_std=2.0)
    batch = gathered(made(counted, level=level))
    mean = 488.5  # of the hours 477 to 500
    assert batch.past_target[1, -1, 0].item() == pytest.approx((500 - mean) / (mean * 0.5))
    assert batch.past_target[1, 0, 0].item() == pytest.approx((333 - mean) / (mean * 0.5))
    assert batch.future_target[1, -1, 0].item() == pytest.approx((524 - mean) / (mean * 0.5))
    assert batch.past_covariates.shape == (2, 168, 2 + 1 + 3)
    log = batch.past_covariates[1, :, 2]
    assert log.unique().tolist() == pytest.approx([np.log(mean / 100) / 2])
    assert batch.past_covariates[1, -1, [0, 1, 3]].tolist() == [10_500, 20_500, 30_524]
    target = gathered(made(counted, level=replace(level, floor=1000.0))).past_target
    assert target[1, -1, 0].item() == pytest.approx((500 - mean) / 500)  # the floor is divided by


def test_when_the_level_is_fitted_then_five_percent_of_the_mean_size_are_its_floor(windows):
    assert windows.Level.fit(200.0 * (np.arange(1680) % 2), 24).floor == pytest.approx(5)
    signed = windows.Level.fit(200 * (-1.0) ** np.arange(1680), 24)  # the mean of a day is 0
    assert (signed.floor, signed.spread, signed.unit) == pytest.approx((200, 1, 200))


def test_when_the_level_is_fitted_then_training_targets_have_unit_size_and_can_be_taken_back(
    windows, tiny_dataset
):
    import torch

    scaling = windows.Scaling.fit(tiny_dataset, LEVELLED)
    origins = training_origins(tiny_dataset.positions.train)
    source = made(tiny_dataset, scaling=scaling, origins=origins)
    batch = gathered(source, *origins)
    assert batch.future_target.square().mean().sqrt().item() == pytest.approx(1, rel=1e-4)
    back = source.in_unit(batch.future_target, torch.from_numpy(origins))
    expected = tiny_dataset.target.to_numpy()[origins[:, None] + np.arange(1, 25)]
    assert_allclose(back[:, :, 0], expected, rtol=1e-5)
    log = batch.past_covariates[:, 0, 2]
    assert (log.mean().item(), log.std(correction=0).item()) == (
        pytest.approx(0, abs=1e-3),
        pytest.approx(1, rel=1e-3),
    )


def test_when_models_learn_near_the_daily_origins_then_other_hours_are_left_out(tiny_dataset):
    from hpo_lib.families.windows import learnt_origins

    every = training_origins(tiny_dataset.positions.train)
    assert np.array_equal(learnt_origins(tiny_dataset, PLAIN), every)
    near = learnt_origins(tiny_dataset, replace(PLAIN, near_hours=1))
    # Rows 0, 24, ... are midnight, daily forecasts start from 23:00; the first history ends at row
    # 167, 23:00.
    assert near[:6].tolist() == [167, 168, 190, 191, 192, 214]
    assert set(near % 24) == {22, 23, 0}
    assert (
        len(near) == 63 * 3 - 2
    )  # the last day's window would end beyond the split for 0:00, the first has no 22:00


def test_when_there_is_a_linear_baseline_then_targets_are_residuals_and_it_is_an_input(
    windows, counted
):
    import torch

    level = windows.Level(hours=24, floor=1.0, spread=0.5, log_mean=0.0, log_std=1.0)
    mean, origins = 488.5, torch.tensor([500])  # of the hours 477 to 500
    expected = np.arange(501.0, 525.0)[None] - 10
    source = replace(
        made(counted, level=level, origins=[500]), expected=torch.from_numpy(expected).float()
    )
    batch = source.gather(origins, with_target=True)
    assert_allclose(batch.future_target[0, :, 0], 10 / (mean * 0.5), rtol=1e-5)
    shown = batch.past_covariates[0, :, -1]
    assert shown[:144].abs().max() == 0
    assert_allclose(shown[144:], (expected[0] - mean) / (mean * 0.5), rtol=1e-4)
    back = source.in_unit(batch.future_target, origins)
    assert_allclose(back[0, :, 0], np.arange(501, 525), rtol=1e-6)

    decoder = replace(source, calendar_as_past=False).gather(origins, with_target=False)
    assert_allclose(decoder.future_covariates[0, :, -1], shown[144:])
    assert torch.equal(decoder.historic_future_covariates[:, :, -1:], decoder.past_target)


def test_when_history_is_not_repeated_then_lags_and_the_earlier_calendar_are_left_out(counted):
    source = made(counted, replace(PLAIN, repeated_history=False))
    batch = gathered(source, with_target=False)
    assert batch.past_covariates.shape == (
        2,
        168,
        1 + 3,
    )  # temp, and no water_lag_24h; then the calendar
    assert batch.past_covariates[1, [0, 143, 144, 167], 0].tolist() == [
        10_333,
        10_476,
        10_477,
        10_500,
    ]
    calendar = batch.past_covariates[1, :, 1:]
    assert calendar[:144].abs().max() == 0
    assert calendar[144:, :2].tolist() == [
        [30_000 + hour, 40_000 + hour] for hour in range(501, 525)
    ]
    assert calendar[:167, 2].abs().max() == 0
    assert (
        calendar[167, 2] == 50_512.5
    )  # is_weekend is said once, as the mean of the hours 501 to 524
    assert source.future[477:501].abs().min() > 0  # gathering has left the source as it was


def test_when_a_model_has_a_future_input_then_each_hour_gets_the_same_hours_of_the_last_week(
    counted,
):
    source = made(counted, replace(PLAIN, same_hours=True), as_past=False)
    batch = gathered(source, with_target=False)
    assert batch.future_covariates.shape == (2, 24, len(counted.future) + 3)
    day, week, mean = batch.future_covariates[1, :, -3:].T.tolist()
    assert day == list(range(477, 501))  # the hours 501 to 524 less 24
    assert week == list(range(333, 357))  # less 168
    assert mean == list(range(405, 429))  # halfway
    assert batch.historic_future_covariates[1, :, -3:].tolist() == [
        [hour] * 3 for hour in range(333, 501)
    ]


@pytest.mark.parametrize("years, seasons", [(0, True), (0.1, True), (1, False)])
def test_when_training_covers_too_few_years_then_models_do_not_see_the_season(
    windows, tiny_dataset, years, seasons
):
    frame = tiny_dataset.frame.assign(month=7, season=2)
    dataset = replace(
        tiny_dataset, frame=frame, future=("hour_sin", "month", "season", "is_weekend")
    )
    scaling = windows.Scaling.fit(dataset, replace(PLAIN, season_years=years))
    expected = (
        ("hour_sin", "month", "season", "is_weekend") if seasons else ("hour_sin", "is_weekend")
    )
    assert windows.future_columns(dataset, scaling, PLAIN) == expected
    assert windows.future_columns(dataset, scaling, replace(PLAIN, calendar=False)) == ("hour_sin",)
    assert made(dataset, scaling=scaling, as_past=False).future.shape[1] == len(expected)


def test_when_there_are_many_origins_then_fewer_of_every_hour_of_day_are_learnt_from(
    tiny_dataset, monkeypatch
):
    from hpo_lib.families import windows

    recipe = replace(PLAIN, linear_part=True)
    everything = windows.learnt_origins(tiny_dataset, PLAIN)
    assert np.array_equal(windows.learnt_origins(tiny_dataset, recipe), everything)
    monkeypatch.setattr(windows, "MOST_ORIGINS", len(everything) // 6)
    assert np.array_equal(windows.learnt_origins(tiny_dataset, PLAIN), everything)
    fewer = windows.learnt_origins(tiny_dataset, recipe)
    assert np.array_equal(fewer, everything[::7])
    assert set(fewer % 24) == set(range(24))
