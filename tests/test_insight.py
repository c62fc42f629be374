"""Insights that exist for one family only: sums and weights of tiny trained networks, figures of
given numbers.
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo_lib.families.models import RECIPES, STANDARD, Budget, get_family
from hpo_lib.figures import families
from hpo_lib.scoring.forecasts import QuantileForecasts
from tests.contract.test_families import UNSHRUNK, with_small_networks

PLAIN = RECIPES["plain"]

BUDGET = Budget(steps=4, batch_size=8, checks=1)
SMALL = {
    "NHITS_Q": {"num_stacks": 3, "num_blocks": 2, "layer_widths": 32, "lr": 1e-2},
    "TFT_Q": {"hidden_size": 4, "num_attention_heads": 2, "lr": 1e-2},
    "TIMESNET_Q": {"hidden_size": 8, "conv_hidden_size": 4, "top_k": 2, "lr": 1e-2},
}


@pytest.fixture(scope="module")
def insight():
    """Imported late, since darts takes seconds."""
    from hpo_lib.families import insight

    return insight


def trained(name, dataset, recipe=STANDARD):
    family = with_small_networks(get_family(name))
    params = {**family.defaults, **SMALL[name]}
    return family.fit(params, dataset, BUDGET, seed=3, recipe=recipe)


@pytest.mark.parametrize(
    "recipe", [STANDARD, UNSHRUNK, PLAIN], ids=["standard", "unshrunk", "plain"]
)
def test_when_a_forecast_of_n_hits_is_taken_apart_then_base_and_stacks_sum_to_it(
    recipe, insight, tiny_dataset
):
    forecaster, origins = trained("NHITS_Q", tiny_dataset, recipe), tiny_dataset.validation_origins
    found = insight.stack_forecasts(forecaster, tiny_dataset.context(origins))
    assert found.stacks.shape == (len(origins), 3, 24, 3)
    total = found.base[:, :, None] + found.stacks.sum(axis=1)
    np.testing.assert_allclose(np.sort(total, axis=2), found.forecasts.values, atol=1e-5)
    if recipe is not STANDARD:  # which keeps a share
        whole = forecaster.forecasts(tiny_dataset, origins).values
        assert np.array_equal(np.maximum(found.forecasts.values, 0), whole)
    actual = forecaster.forecasts(tiny_dataset, origins).with_actual(tiny_dataset.target).actual
    assert np.array_equal(found.forecasts.actual, actual)
    assert np.isfinite(actual).all()
    assert (np.abs(found.stacks).max(axis=(0, 2, 3)) > 0).all(), "every stack says something"
    assert found.hours == (4, 2, 1)
    assert found.base_name == ("mean of training" if recipe is PLAIN else "linear baseline")
    if recipe is not PLAIN:
        expected = forecaster.scaling.linear.predict(tiny_dataset, tiny_dataset.windows(origins))
    else:
        expected = np.full(
            (len(origins), 24), tiny_dataset.target.to_numpy()[tiny_dataset.positions.train].mean()
        )
    np.testing.assert_allclose(found.base, expected, rtol=1e-5)


def test_when_a_tft_forecasts_then_weights_and_attention_sum_to_one_and_have_the_right_names(
    insight, tiny_dataset
):
    forecaster, origins = trained("TFT_Q", tiny_dataset), tiny_dataset.validation_origins
    found = insight.fusion_weights(forecaster, tiny_dataset.context(origins))
    same_hours = "target_24h_before", "target_168h_before", "target_mean_of_week", "linear_forecast"
    assert found.future_names == ("hour_sin", "hour_cos", "is_weekend", *same_hours)
    assert found.history_names == (
        "water_consumption",
        "temp",
        "level of the last 24 h",
        "hour_sin",
        "hour_cos",
        "is_weekend",
        *(f"target as {name}" for name in same_hours),
    )
    assert found.history.shape == (15, 168, 10)
    assert found.future.shape == (15, 24, 7)
    assert found.attention.shape == (15, 24, 192)
    for weights in (found.history, found.future, found.attention):
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    step, key = np.indices((24, 24))
    assert (found.attention[:, :, 168:][:, key >= step] == 0).all(), (
        "no hour looks at itself or later ones"
    )


def test_when_one_variable_is_all_that_a_tft_selects_then_its_name_gets_the_weight(
    insight, tiny_dataset
):
    import torch

    forecaster = trained("TFT_Q", tiny_dataset)
    module: Any = forecaster.module
    norm = module.encoder_vsn.flattened_grn.gate_norm.add_norm.norm
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.copy_(torch.tensor([0.0, 30] + [0] * 8))
    found = insight.fusion_weights(
        forecaster, tiny_dataset.context(tiny_dataset.validation_origins)
    )
    assert found.history.mean(axis=(0, 1))[found.history_names.index("temp")] == pytest.approx(1)


@pytest.mark.parametrize("period", [16, 24, 48])
def test_when_training_shows_a_wave_of_one_period_then_timesnet_is_found_to_fold_by_it(
    period, insight, tiny_dataset
):
    import torch

    from hpo_lib.families.timesnet_layers import StablePeriodBlock

    forecaster = trained("TIMESNET_Q", tiny_dataset)
    wave = torch.sin(2 * torch.pi * torch.arange(192.0) / period)[None, :, None].repeat(2, 1, 8)
    for block in forecaster.module.modules():
        if isinstance(block, StablePeriodBlock):
            block.mean_amplitude.zero_()
            block.train()
            block(wave)
    found = insight.periods(forecaster, tiny_dataset.context(tiny_dataset.validation_origins))
    assert found.length == 192
    assert found.hours.shape == (2, 2)
    assert (found.hours[:, 0] == period).all()
    assert (found.amplitude.argmax(axis=1) + 1 == 192 // period).all()
    assert found.weights.shape == (15, 2, 2)
    np.testing.assert_allclose(found.weights.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("function", ["stack_forecasts", "periods"])
def test_when_the_network_is_of_another_family_then_it_is_named(function, insight, tiny_dataset):
    forecaster = trained("TFT_Q", tiny_dataset)
    with pytest.raises(
        TypeError, match="the forecaster holds a _TFTModule, expected a forecaster of"
    ):
        getattr(insight, function)(
            forecaster, tiny_dataset.context(tiny_dataset.validation_origins)
        )


# Figures of given numbers


def forecasts(n=3):
    values = np.arange(24.0)[None, :, None] + np.array([0.0, 1.0, 2.0]) + np.zeros((n, 1, 1))
    return QuantileForecasts(
        values, values[:, :, 1] + 0.5, pd.date_range("2024-01-01 23:00", periods=n, tz="UTC")
    )


def test_when_stacks_are_drawn_then_each_bar_is_what_the_stack_adds_to_the_median(insight):
    stacks = np.random.default_rng(1).standard_normal((3, 2, 24, 3))
    base = np.arange(72.0).reshape(3, 24)
    found = insight.StackForecasts(forecasts(), base, "linear baseline", stacks, (84, 1))
    figure = families.draw_stacks(found, [0, 2], unit="kWh/h")
    panels = np.array(figure.axes).reshape(3, 2)
    for column, n in enumerate((0, 2)):
        line = {line.get_label(): line.get_ydata() for line in panels[0, column].lines}[
            "base: linear baseline"
        ]
        assert np.array_equal(line, base[n])
        for stack in range(2):
            heights = [bar.get_height() for bar in panels[stack + 1, column].patches]
            assert heights == stacks[n, stack, :, 1].tolist()
    sizes = families.draw_stack_sizes(found, unit="kWh/h").axes[0].lines
    np.testing.assert_allclose(sizes[1].get_ydata(), np.abs(stacks[:, 1, :, 1]).mean(axis=0))


def test_when_variables_are_drawn_then_the_heaviest_come_first_and_small_ones_are_summed(
    insight,
):
    share = np.arange(1.0, 21) / np.arange(1, 21).sum()
    found = insight.FusionWeights(
        tuple(f"v{i}" for i in range(20)),
        np.tile(share, (4, 168, 1)),
        ("a", "b"),
        np.full((4, 24, 2), 0.5),
        np.full((4, 24, 192), 1 / 192),
    )
    left, right = families.draw_variables(found).axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[:2] == ["v19", "v18"]
    assert names[-1] == "8 others together"
    widths = [bar.get_width() for bar in left.patches]
    assert sum(widths) == pytest.approx(100)
    assert widths[0] == pytest.approx(100 * share[-1])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([50, 50])


def test_when_attention_is_drawn_then_hours_are_where_they_belong(insight):
    weights = np.zeros((2, 24, 192))
    weights[:, :, 168 - 24] = 1  # the hour 23 before the origin, which is hour 0
    found = insight.FusionWeights((), np.zeros((2, 168, 0)), (), np.zeros((2, 24, 0)), weights)
    upper, lower, _ = families.draw_attention(found).axes
    top = [
        tuple(point) for point in upper.collections[0].get_paths()[0].vertices if point[1] == 100
    ]
    assert {x for x, _ in top} == {-23.5, -22.5}
    (image,) = lower.images
    assert (image.get_array()[:, 144] == 100).all()
    assert image.get_extent() == [-167.5, 24.5, 0.5, 24.5]


def test_when_a_window_is_folded_then_rows_are_periods_and_the_rest_of_the_last_is_empty():
    image = families.folded(np.arange(10.0), 4)
    assert image[:2].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert image[2, :2].tolist() == [8, 9]
    assert np.isnan(image[2, 2:]).all()


def test_when_periods_are_drawn_then_each_appears_once_and_with_its_weight(insight):
    amplitude = np.ones((1, 96))
    amplitude[0, [7, 35, 36]] = [9, 5, 4]
    weights = np.tile([0.6, 0.3, 0.1], (3, 1, 1))
    found = insight.Periods(np.array([[24, 5, 5]]), amplitude, weights, 192)
    left, right = families.draw_periods(found).axes
    assert left.get_title() == "block 1: folds by 5, 24 h"
    nothing = replace(found, amplitude=np.zeros((1, 96)))  # as after no step of training
    assert "untrained" in families.draw_periods(nothing).axes[0].get_title()
    assert [bar.get_height() for bar in right.patches] == pytest.approx([60, 30, 10])
    figure = families.draw_folded_window(found, np.arange(168.0), forecasts(), 1, unit="kWh/h")
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == ["period 24 h", "period 5 h"]
    assert shown[0].images[0].get_array().shape == (8, 24)


@pytest.mark.parametrize("source", ["simulated", "csv"])
def test_when_data_is_simulated_then_the_figure_is_marked_and_else_it_is_not(
    source, insight, tiny_dataset, monkeypatch
):
    found = insight.Periods(np.array([[24]]), np.ones((1, 96)), np.ones((3, 1, 1)), 192)
    monkeypatch.setattr(insight, "periods", lambda *_: found)
    figures = families.periods(
        SimpleNamespace(validation=forecasts(15)), replace(tiny_dataset, source=source)
    )
    mark = "SIMULATED DATA" if source == "simulated" else ""
    assert [figure.get_supxlabel() for figure in figures] == [mark, mark]
