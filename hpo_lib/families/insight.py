"""Insights into one family each: stacks of N-HiTS, weights of the TFT, periods of TimesNet.

Hooks read a trained network while it forecasts. Nothing here changes a forecast. Each function
takes the arguments of `Forecaster.predict`, and raises a TypeError if the forecaster is of another
family.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hpo_lib.data.context import Context
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.models import Forecaster
from hpo_lib.families.training import DartsForecaster
from hpo_lib.families.weather_inputs import weather_inputs
from hpo_lib.families.windows import LINEAR, SAME_HOURS, future_columns, past_columns
from hpo_lib.scoring.forecasts import QuantileForecasts


@dataclass(frozen=True)
class StackForecasts:
    """A forecast of N-HiTS as the sum of what its S stacks add, in the target's unit.

    Attributes:
        forecasts: of the whole network, of which the forecaster may keep a share, with actuals.
        base: [N, H] where every forecast starts: the linear baseline's forecast; without one the
            level that the window was normalised by, or the mean of training.
        base_name: which of these it is.
        stacks: [N, S, H, Q] what each stack adds. ``base[:, :, None] + stacks.sum(axis=1)``, sorted
            along Q, is the forecast.
        hours: hours per forecast value of each stack; hours between are interpolated.
    """

    forecasts: QuantileForecasts
    base: np.ndarray
    base_name: str
    stacks: np.ndarray
    hours: tuple[int, ...]


@dataclass(frozen=True)
class FusionWeights:
    """Variable selection and attention of a TFT, with V history and F future-known variables.

    Attributes:
        history_names: names of the V variables.
        history: [N, L, V] their weights in each hour of history; they sum to 1 along V.
        future_names: names of the F variables.
        future: [N, H, F] their weights in each hour ahead; they sum to 1 along F.
        attention: [N, H, L + H] weight in each hour ahead of each hour of history and of the
            earlier hours ahead, mean over the heads; sums to 1 along the last axis.
    """

    history_names: tuple[str, ...]
    history: np.ndarray
    future_names: tuple[str, ...]
    future: np.ndarray
    attention: np.ndarray


@dataclass(frozen=True)
class Periods:
    """The periods by which B blocks of a TimesNet fold windows of T = L + H hours to K images.

    Attributes:
        hours: [B, K] periods in hours, the strongest in training first.
        amplitude: [B, T // 2] mean amplitude in training of 1, 2, ... cycles per window.
        weights: [N, B, K] weights of the K images in each window; they sum to 1 along K.
        length: T.
    """

    hours: np.ndarray
    amplitude: np.ndarray
    weights: np.ndarray
    length: int


def stack_forecasts(forecaster: Forecaster, context: Context) -> StackForecasts:
    """Forecasts of a trained ``NHITS_Q``, stack by stack."""
    trained = _darts(forecaster, "stacks", "NHITS_Q")
    module: Any = trained.module
    n_inputs, n_levels = module.input_dim, module.nr_params

    def added(inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        flat = output[1]  # hours, inputs and levels in one row, as darts orders them
        return flat.reshape(len(flat), -1, n_inputs, n_levels)[:, :, 0, :]

    forecasts, parts = _watch(trained, context, list(module.stacks), added)
    source = trained.source(context)
    chosen = torch.from_numpy(context.positions)
    base = source.in_unit(torch.zeros(len(chosen), HORIZON, 1), chosen)
    level = (
        "mean of training"
        if trained.scaling.level is None
        else f"mean of the last {trained.scaling.level.hours} h"
    )
    stacks = [(source.in_unit(torch.from_numpy(part), chosen) - base).numpy() for part in parts]
    return StackForecasts(
        forecasts=forecasts.with_actual(trained.dataset.target),
        base=base[:, :, 0].numpy(),
        base_name="linear baseline" if trained.scaling.linear is not None else level,
        stacks=np.stack(stacks, axis=1),
        hours=tuple(
            max(1, stack.blocks[0].n_freq_downsample // n_inputs) for stack in module.stacks
        ),
    )


def fusion_weights(forecaster: Forecaster, context: Context) -> FusionWeights:
    """Variable selection and attention of a trained ``TFT_Q``."""
    trained = _darts(forecaster, "encoder_vsn", "TFT_Q")
    module: Any = trained.module
    dataset = trained.dataset
    level = [f"level of the last {trained.scaling.level.hours} h"] if trained.scaling.level else []
    past = [dataset.spec.target, *past_columns(dataset, trained.recipe), *level]
    layers = [module.encoder_vsn, module.decoder_vsn, module.multihead_attn]
    # weights [B, hours, 1, variables] of the selections, [B, hours ahead, heads, hours] of the
    # attention
    _, (history, future, attention) = _watch(
        trained, context, layers, lambda _, output: output[1].mean(dim=2)
    )
    calendar = future_columns(dataset, trained.scaling, trained.recipe)
    added = (
        *(SAME_HOURS if trained.recipe.same_hours else ()),
        *((LINEAR,) if trained.recipe.linear_part else ()),
    )
    repeated = [
        f"target as {name}" for name in added
    ]  # they hold the target itself along the history
    weather = weather_inputs(dataset, context, thermal=trained.recipe.thermal)
    hidden = [f"{name} (unknown)" for name in weather]  # 0 along the history
    return FusionWeights(
        (*past, *calendar, *repeated, *hidden),
        history,
        (*calendar, *added, *weather),
        future,
        attention,
    )


def periods(forecaster: Forecaster, context: Context) -> Periods:
    """The dominant periods of a trained ``TIMESNET_Q``."""
    trained = _darts(forecaster, "nf", "TIMESNET_Q")
    module: Any = trained.module
    blocks = list(module.nf.model)
    length = blocks[0].input_size + blocks[0].h
    amplitude = torch.stack([block.mean_amplitude[1:] for block in blocks]).cpu()
    cycles = amplitude.topk(blocks[0].k).indices + 1
    _, spectra = _watch(
        trained,
        context,
        blocks,
        lambda inputs, _: torch.fft.rfft(inputs[0].float(), dim=1).abs().mean(-1),
    )
    weights = [
        torch.from_numpy(spectrum)[:, chosen].softmax(dim=1)
        for spectrum, chosen in zip(spectra, cycles, strict=True)
    ]
    return Periods(
        hours=(length // cycles).numpy(),
        amplitude=amplitude.numpy(),
        weights=torch.stack(weights, dim=1).numpy(),
        length=length,
    )


def _watch(
    forecaster: DartsForecaster,
    context: Context,
    layers: Sequence[nn.Module],
    read: Callable[[tuple[Any, ...], Any], torch.Tensor],
) -> tuple[QuantileForecasts, list[np.ndarray]]:
    """The network's forecasts, and ``read`` of each layer's inputs and output, a row per origin."""
    seen: dict[nn.Module, list[np.ndarray]] = {layer: [] for layer in layers}

    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen[layer].append(read(inputs, output).float().cpu().numpy())

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(layer.register_forward_hook(hook).remove)
        values = forecaster.network(forecaster.source(context), context.positions)
    forecasts = QuantileForecasts.of_model(values, context.origins)
    return forecasts, [np.concatenate(seen[layer])[: len(values)] for layer in layers]


def _darts(forecaster: Forecaster, part: str, family: str) -> DartsForecaster:
    """The forecaster, if its network has the part that the caller reads."""
    network = getattr(forecaster, "module", forecaster)
    if not isinstance(forecaster, DartsForecaster) or not hasattr(network, part):
        raise TypeError(
            f"the forecaster holds a {type(network).__name__}, expected a forecaster of {family}"
        )
    return forecaster
