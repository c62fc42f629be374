"""Insights that exist for one family only: sums and weights of tiny trained networks, figures of
given numbers.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from hpo_lib.families.models import RECIPES, STANDARD, Budget, get_family
from hpo_lib.figures import explanations
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
    return family.fit({**family.defaults, **SMALL[name]}, dataset, BUDGET, seed=3, recipe=recipe)


@pytest.mark.parametrize(
    "recipe", [STANDARD, UNSHRUNK, PLAIN], ids=["standard", "unshrunk", "plain"]
)
def test_when_a_forecast_of_n_hits_is_taken_apart_then_base_and_stacks_sum_to_it(
    recipe, insight, tiny_dataset
):
    forecaster = trained("NHITS_Q", tiny_dataset, recipe)
    origins = tiny_dataset.validation_origins
    parts = insight.stack_forecasts(forecaster)
    assert parts.stacks.shape == (15, 3, 24, 3)
    total = parts.base[:, :, None] + parts.stacks.sum(axis=1)
    whole = forecaster.forecasts(tiny_dataset, origins)
    assert list(parts.origins) == list(whole.origins)
    if recipe is not STANDARD:  # which keeps a share
        assert_allclose(np.maximum(np.sort(total, axis=2), 0), whole.values, atol=1e-5)
    assert (np.abs(parts.stacks).max(axis=(0, 2, 3)) > 0).all(), "every stack says something"
    assert parts.hours == (4, 2, 1)
    if recipe is UNSHRUNK:
        assert_redrawn(insight, forecaster, tiny_dataset.context(origins), whole.values)
    if recipe is PLAIN:
        assert parts.base_name == "mean of training"
        expected = np.full((15, 24), tiny_dataset.target[:1680].mean())
    else:
        assert parts.base_name == "linear baseline"
        windows = tiny_dataset.windows(origins)
        expected = forecaster.scaling.linear.quantiles(tiny_dataset, windows)[:, :, 1]
    assert_allclose(parts.base, expected, rtol=1e-5)


def assert_redrawn(insight, forecaster, context, before):
    """With other weights the network forecasts otherwise, and its linear part alike."""
    other = insight.with_redrawn_weights(forecaster)
    assert np.abs(other.predict(context).values - before).max() > 0.01
    assert np.array_equal(forecaster.predict(context).values, before)
    assert other.scaling is forecaster.scaling
    forecaster.shares = (0.0, 0.0)
    assert insight.with_redrawn_weights(forecaster) is None
    forecaster.shares = None


def test_when_a_tft_forecasts_then_weights_and_attention_sum_to_one_and_have_the_right_names(
    insight, tiny_dataset
):
    """And all weight is that of the one variable that it is made to select."""
    import torch

    forecaster = trained("TFT_Q", tiny_dataset)
    weights = insight.fusion_weights(forecaster)
    calendar = "hour_sin", "hour_cos", "is_weekend"
    same_hours = "target_24h_before", "target_168h_before", "target_mean_of_week", "linear_forecast"
    assert list(weights.future) == [*calendar, *same_hours]
    past = "water_consumption", "temp", "level of the last 24 h"
    of_history = [*past, *calendar, *(f"target as {name}" for name in same_hours)]
    assert list(weights.history) == of_history
    for shares, shape in (
        (weights.history.to_numpy(), (15, 10)),
        (weights.future.to_numpy(), (15, 7)),
        (weights.attention, (15, 24, 192)),
    ):
        assert shares.shape == shape
        assert (shares >= 0).all()
        assert_allclose(shares.sum(axis=-1), 1, rtol=1e-5)
    step, key = np.indices((24, 24))
    itself_or_later = weights.attention[:, :, 168:][:, key >= step]
    assert (itself_or_later == 0).all(), "no hour looks at itself or later ones"

    norm = forecaster.module.encoder_vsn.flattened_grn.gate_norm.add_norm.norm
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.copy_(torch.tensor([0.0, 30] + [0] * 8))
    assert insight.fusion_weights(forecaster).history["temp"].to_numpy() == pytest.approx(1)


def test_when_training_shows_a_wave_of_one_period_then_timesnet_is_found_to_fold_by_it(
    insight, tiny_dataset
):
    import torch

    from hpo_lib.families.timesnet_layers import StablePeriodBlock

    forecaster = trained("TIMESNET_Q", tiny_dataset)
    for period in (16, 24, 48):
        wave = torch.sin(2 * torch.pi * torch.arange(192.0) / period)[None, :, None].repeat(2, 1, 8)
        for block in forecaster.module.modules():
            if isinstance(block, StablePeriodBlock):
                block.mean_amplitude.zero_()
                block.train()
                block(wave)
        weights = insight.periods(forecaster)
        assert len(weights) == 15
        assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
        assert f"{period} h" in weights
        assert len(weights.columns) <= 3, "two of each block, one of which both have"


# Figures of given numbers


def test_when_stacks_are_drawn_then_steps_lead_from_the_base_to_the_daily_mean(
    insight, tiny_dataset
):
    stacks = np.random.default_rng(1).standard_normal((4, 2, 24, 3))
    base = np.arange(96.0).reshape(4, 24)
    origins = pd.date_range("2024-01-01 23:00Z", periods=4)
    parts = insight.StackForecasts(origins, base, "linear baseline", stacks, (84, 1))
    axes = explanations.draw_stacks(parts, tiny_dataset).axes
    assert [one.get_title()[:12] for one in axes] == [
        "after Monday",
        "after Tuesda",
        "after Wednes",
    ]
    first, second = axes[1].patches
    assert first.get_x() == pytest.approx(base[1].mean())
    assert first.get_width() == pytest.approx(stacks[1, 0, :, 1].mean())
    assert second.get_x() == pytest.approx(first.get_x() + first.get_width())
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names == list(parts.sizes) == ["a value every 84 h", "a value every 1 h"]
    assert parts.sizes.to_numpy()[2, 1] == pytest.approx(np.abs(stacks[2, 1, :, 1]).mean())


@pytest.mark.parametrize(
    "is_test, shares, said",
    [
        (True, (0.3, 0.1), "The network is not shown: at the test budget"),
        (False, (0.0, 0.0), "The network is not shown: nothing of it is kept"),
        (False, (0.0, 0.1), "shown of 7"),
        (False, None, "shown of 7"),
    ],
)
def test_when_a_network_says_nothing_then_a_sentence_is_there_instead_of_its_figure(
    is_test, shares, said
):
    study = SimpleNamespace(is_test=is_test, chosen=SimpleNamespace(shares=shares))
    found = explanations.of_network(study, "shown of {}".format, 7)
    assert getattr(found, "data", found).startswith(said)


def test_when_claims_are_drawn_then_the_heaviest_come_first_and_simulated_data_are_marked(
    tiny_dataset,
):
    share = np.arange(1.0, 21) / np.arange(1, 21).sum()
    tables = {
        "variables": pd.DataFrame([share] * 4, columns=[f"v{i}" for i in range(20)]),
        "others": pd.DataFrame(0.5, range(4), ["a", "b"]),
    }
    data = replace(tiny_dataset, source="simulated")
    figure = explanations.draw_claims("TFT_Q", data, "weight", tables)
    left, right = figure.axes
    assert figure.get_supxlabel() == "SIMULATED DATA"
    assert (left.get_title(), left.get_xlabel()) == ("20 variables", "weight")
    assert [label.get_text() for label in left.get_yticklabels()][:2] == ["v19", "v18"]
    assert [bar.get_width() for bar in left.patches] == pytest.approx(share[:-13:-1])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.5, 0.5])
    assert right.lines[-1].get_xdata()[0] == pytest.approx(0.5)


def test_when_attention_is_drawn_then_hours_are_where_they_belong(tiny_dataset):
    attention = np.zeros((2, 24, 192))
    attention[:, :, 168 - 24] = 1  # the hour 23 before the origin, which is hour 0
    (axes,) = explanations.draw_attention(SimpleNamespace(attention=attention), tiny_dataset).axes
    (step,) = axes.patches
    values, edges, _ = step.get_data()
    assert edges[np.flatnonzero(values)] == -23.5
    assert values.max() == 100


def test_when_weights_of_a_tft_are_summed_then_each_input_counts_for_its_group(insight):
    history = {"load": 0.28, "level of the last 24 h": 0.05, "is_weekend": 0.3, "hour": 0.07}
    history |= {"is_public_holiday": 0.2, "target as target_24h_before": 0.1}
    future = {"is_weekend": 0.6, "target_168h_before": 0.3, "linear_forecast": 0.1}
    frames = [pd.DataFrame([weights]) for weights in (history, future)]
    groups = dict.fromkeys(("level", "last day", "weeks before"), ())
    groups |= {"calendar": ["day_of_week", "is_weekend"], "holidays": ["is_public_holiday"]}
    summed = insight.FusionWeights(*frames, np.empty(0)).of_groups(groups, "load")
    assert summed.iloc[0].to_dict() == pytest.approx(
        {
            "level": 0.05,
            "last day": 0.28 / 7 + 0.1,
            "weeks before": 0.28 * 6 / 7 + 0.3,
            "calendar": 0.9,
            "holidays": 0.2,
        }
    )
