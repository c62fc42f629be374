"""Insights into one family each: stacks of N-HiTS, weights of the TFT, periods of TimesNet.

Hooks read a trained network while it forecasts the validation origins. Nothing here changes a
forecast.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from hpo_lib.data.information_set import AHEAD, LAST_DAY, LEVEL, WEEKS, Context
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.feature_table import weather_inputs
from hpo_lib.families.linear_baseline import MEDIAN
from hpo_lib.families.models import Forecaster
from hpo_lib.families.training import DartsForecaster
from hpo_lib.families.windows import LINEAR, SAME_HOURS, future_columns, past_columns


@dataclass(frozen=True)
class StackForecasts:
    """A forecast of N-HiTS as the sum of what its S stacks add, in the target's unit.

    Attributes:
        origins: [N] of validation.
        base: [N, H] where every forecast starts: the linear baseline's forecast; without one the
            level that the window was normalised by, or the mean of training.
        base_name: which of these it is.
        stacks: [N, S, H, Q] what each stack adds. ``base[:, :, None] + stacks.sum(axis=1)``, sorted
            along Q, is the network's forecast, of which the forecaster may keep a share.
        hours: hours per forecast value of each stack; hours between are interpolated.
    """

    origins: pd.DatetimeIndex
    base: np.ndarray
    base_name: str
    stacks: np.ndarray
    hours: tuple[int, ...]

    @property
    def sizes(self) -> pd.DataFrame:
        """[N, S] how much each stack moves the median in the mean over the hours ahead."""
        return pd.DataFrame(
            np.abs(self.stacks[..., MEDIAN]).mean(axis=2),
            columns=[f"a value every {hours} h" for hours in self.hours],
        )


@dataclass(frozen=True)
class FusionWeights:
    """Variable selection and attention of a TFT.

    Attributes:
        history: a row per origin, a column per variable: its mean weight over the hours of
            history; rows sum to 1.
        future: the same of the variables known in advance, over the hours ahead.
        attention: [N, H, L + H] weight in each hour ahead of each hour of history and of the
            earlier hours ahead, mean over the heads; sums to 1 along the last axis.
    """

    history: pd.DataFrame
    future: pd.DataFrame
    attention: np.ndarray

    def of_groups(self, groups: Mapping[str, Sequence[str]], target: str) -> pd.DataFrame:
        """[N, g] the weights summed to ``groups``, which name columns, or inputs made of others.

        The target is of two of these, by its hours.
        """
        inputs = pd.concat([self.history, self.future], axis=1)
        summed = {
            group: inputs.filter(regex=_MADE_OF.get(group, f"^({'|'.join(columns)})$")).sum(axis=1)
            for group, columns in groups.items()
        }
        last_day = self.history[target] * HORIZON / HISTORY
        summed[LAST_DAY] += last_day
        summed[WEEKS] += self.history[target] - last_day
        return pd.DataFrame(summed)


_MADE_OF = {
    LEVEL: "^level of ",
    LAST_DAY: "target_24h_before$",
    WEEKS: "target_(168h_before|mean_of_week)$",
    AHEAD: "_(ahead|since_yesterday)$",
}
"""Inputs of the TFT by their group, where it has no columns."""


def stack_forecasts(trained: DartsForecaster) -> StackForecasts:
    """Forecasts of a trained ``NHITS_Q``, stack by stack."""
    module: Any = trained.module
    inputs = module.input_dim
    levels = module.nr_params
    context, parts = _watch(
        trained,
        module.stacks,
        # hours, inputs and levels in one row, as darts orders them
        lambda _, output: output[1].reshape(len(output[1]), -1, inputs, levels)[:, :, 0, :],
    )
    source = trained.source(context)
    origins = torch.from_numpy(context.positions)
    base = source.in_unit(torch.zeros(len(origins), HORIZON, 1), origins)
    base_name = "linear baseline"
    if trained.scaling.linear is None:
        level = trained.scaling.level
        base_name = f"mean of {f'the last {level.hours} h' if level else 'training'}"
    stacks = [(source.in_unit(torch.from_numpy(part), origins) - base).numpy() for part in parts]
    return StackForecasts(
        context.origins,
        base[:, :, 0].numpy(),
        base_name,
        np.stack(stacks, axis=1),
        tuple(max(1, one.blocks[0].n_freq_downsample // inputs) for one in module.stacks),
    )


def fusion_weights(trained: DartsForecaster) -> FusionWeights:
    """Variable selection and attention of a trained ``TFT_Q``."""
    module: Any = trained.module
    dataset = trained.dataset
    scaling = trained.scaling
    recipe = trained.recipe
    # weights [B, hours, 1, variables] of the selections, [B, hours ahead, heads, hours] of the
    # attention
    context, (history, future, attention) = _watch(
        trained,
        [module.encoder_vsn, module.decoder_vsn, module.multihead_attn],
        lambda _, output: output[1].mean(dim=2),
    )
    level = [f"level of the last {scaling.level.hours} h"] if scaling.level else []
    calendar = future_columns(dataset, scaling, recipe)
    added = [*SAME_HOURS * recipe.same_hours, *[LINEAR] * recipe.linear_part]
    weather = weather_inputs(dataset, context, thermal=recipe.thermal)
    of_history = [dataset.spec.target, *past_columns(dataset, recipe), *level, *calendar]
    of_history += [f"target as {name}" for name in added]  # they hold it along the history
    of_history += [f"{name} (unknown)" for name in weather]  # 0 along the history
    return FusionWeights(
        pd.DataFrame(history.mean(axis=1), columns=of_history),
        pd.DataFrame(future.mean(axis=1), columns=[*calendar, *added, *weather]),
        attention,
    )


def periods(trained: DartsForecaster) -> pd.DataFrame:
    """[N, periods] of a trained ``TIMESNET_Q`` the weight of each period, the mean over its blocks.

    Each of B blocks folds windows of T = L + H hours by the K periods that were strongest in
    training to as many images, whose weights in a window sum to 1.
    """
    module: Any = trained.module
    blocks = module.nf.model
    length = blocks[0].input_size + blocks[0].h
    n_images = blocks[0].k
    amplitude = torch.stack([block.mean_amplitude[1:] for block in blocks]).cpu()
    cycles = amplitude.topk(n_images).indices + 1
    _, spectra = _watch(
        trained,
        blocks,
        lambda inputs, _: torch.fft.rfft(inputs[0].float(), dim=1).abs().mean(-1),
    )
    weights = [
        torch.from_numpy(spectrum)[:, chosen].softmax(dim=1)
        for spectrum, chosen in zip(spectra, cycles, strict=True)
    ]
    names = [f"{hours} h" for hours in (length // cycles).flatten().tolist()]
    by_image = pd.DataFrame(torch.cat(weights, dim=1).numpy().T / len(blocks), names)
    return by_image.groupby(level=0).sum().T


def with_redrawn_weights(forecaster: Forecaster) -> Forecaster | None:
    """The forecaster with the weights of each layer in a random order: it has learnt nothing.

    The linear baseline and the kept shares stay. None without a network of which a share is kept.
    """
    if not isinstance(forecaster, DartsForecaster) or forecaster.keeps_nothing:
        return None
    other = copy.copy(forecaster)
    draws = torch.Generator().manual_seed(0)
    other.module = copy.deepcopy(forecaster.module)
    for weight in other.module.parameters():
        order = torch.randperm(weight.numel(), generator=draws)
        weight.data = weight.flatten()[order].view_as(weight).detach()
    return other


def _watch(
    forecaster: DartsForecaster,
    layers: Iterable[nn.Module],
    read: Callable[[tuple[Any, ...], Any], torch.Tensor],
) -> tuple[Context, list[np.ndarray]]:
    """The validation origins, and ``read`` of each layer's inputs and output, a row per origin."""
    context = forecaster.dataset.context(forecaster.dataset.validation_origins)
    seen: dict[nn.Module, list[np.ndarray]] = {layer: [] for layer in layers}

    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen[layer].append(read(inputs, output).float().cpu().numpy())

    with ExitStack() as stack:
        for layer in seen:
            stack.callback(layer.register_forward_hook(hook).remove)
        forecaster.network(forecaster.source(context), context.positions)
    return context, [np.concatenate(parts)[: len(context.positions)] for parts in seen.values()]
