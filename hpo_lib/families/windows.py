"""Windows for torch models: scaled once, kept as tensors, gathered by forecast origin.

The information set of a forecast is decided here, in one place, for every family: history comes
from ``origin - L + 1 .. origin``, and only future-known columns are ever read beyond the origin.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from darts.utils.data.torch_datasets.training_dataset import TorchTrainingDataset
from darts.utils.data.torch_datasets.utils import TorchTrainingBatch, TorchTrainingSample
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torch.nn import functional as F

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import SEASON_COLUMNS, follows_from_target
from hpo_lib.data.information_set import Windows
from hpo_lib.data.splits import HISTORY, HORIZON, Positions
from hpo_lib.families.feature_table import weather_inputs
from hpo_lib.families.linear_baseline import (
    MOST_TREES,
    LinearBaseline,
    LinearOptions,
    covers_seasons,
)
from hpo_lib.families.models import Recipe
from hpo_lib.scoring.calibration import smallest_level

LEVEL_FLOOR = 0.05
"""Smallest level that a window is divided by, as a share of the target's mean size over the
training split. All of it for a target that is ever negative there, see `smallest_level`."""


@dataclass(frozen=True)
class Level:
    """Normalisation of a window by its recent level, fitted on the training split.

    With y the target and l the mean of its last ``hours`` values up to the origin, a model sees and
    forecasts ``(y - l) / (max(l, floor) * spread)``: the relative deviation from the level, with
    about unit variance.

    Attributes:
        hours: how many hours up to the origin make the level.
        floor: the smallest level that is divided by, in the target's unit.
        spread: standard deviation of the relative deviation over the horizons of all training
            origins.
        log_mean: mean of log(max(l, floor) / unit) over the training origins.
        log_std: its standard deviation.
        unit: mean of the level over the training origins. The level is divided by it before its
            logarithm is taken, so that the numbers do not depend on the target's unit, not even in
            their last bits.
    """

    hours: int
    floor: float
    spread: float
    log_mean: float
    log_std: float
    unit: float = 1.0

    @classmethod
    def fit(cls, target: np.ndarray, hours: int) -> "Level":
        """From the target's training values [T], NaN where missing."""
        floor = smallest_level(target, LEVEL_FLOOR)
        windows = sliding_window_view(target, HISTORY + HORIZON)
        level = windows[:, HISTORY - hours : HISTORY].mean(axis=1)
        horizon = windows[:, HISTORY:]
        known = ~np.isnan(level) & ~np.isnan(horizon).any(axis=1)
        level, horizon = level[known], horizon[known]
        divisor = np.maximum(level, floor)
        spread = float(np.sqrt((((horizon - level[:, None]) / divisor[:, None]) ** 2).mean()))
        unit = float(divisor.mean())
        log = np.log(divisor / unit)
        return cls(hours, floor, spread or 1.0, float(log.mean()), float(log.std()) or 1.0, unit)


@dataclass(frozen=True)
class Scaling:
    """Standardisation by column, fitted on the training split; a constant one keeps its unit.

    Attributes:
        mean, std: by column.
        level: if given, windows of the target are also normalised by their recent level.
        seasons: models see month and season, see `covers_seasons`.
        linear: if given, models forecast its residuals.
        weather: mean and standard deviation [2, K] of `weather_inputs` over the training windows.
    """

    mean: Mapping[Any, float]
    std: Mapping[Any, float]
    level: Level | None
    seasons: bool
    linear: LinearBaseline | None
    weather: np.ndarray

    @classmethod
    def fit(cls, dataset: Dataset, recipe: Recipe, like: "Scaling | None" = None) -> "Scaling":
        """From the training split; of a refit ``like`` another, columns and trees are as there."""
        train = dataset.training_frame
        std = train.std(ddof=0)
        seasons = like.seasons if like else covers_seasons(dataset, recipe.season_years)
        origins = learnt_origins(dataset, recipe)
        ahead = weather_ahead(dataset, dataset.windows(origins), recipe)
        ahead_std = ahead.std(axis=(0, 1))
        level = None
        linear = None
        if recipe.level_hours:
            level = Level.fit(dataset.training_target, recipe.level_hours)
        if recipe.linear_part:
            options = LinearOptions(
                seasons, recipe.linear_penalty, recipe.linear_weeks, recipe.thermal
            )
            if recipe.linear_trees:
                fitted = like and like.linear  # of which validation chose how many are used
                options = fitted.options if fitted else replace(options, trees=MOST_TREES)
            linear = LinearBaseline.fit(dataset, origins, options)
        return cls(
            train.mean().to_dict(),
            std.where(std > 0, 1.0).to_dict(),
            level,
            seasons,
            linear,
            np.stack([ahead.mean(axis=(0, 1)), np.where(ahead_std > 0, ahead_std, 1.0)]),
        )

    def transform(self, frame: pd.DataFrame, columns: tuple[str, ...]) -> Tensor:
        """[T, len(columns)] float32."""
        names = list(columns)
        mean, std = (pd.Series(values)[names] for values in (self.mean, self.std))
        return torch.from_numpy(((frame[names] - mean) / std).to_numpy(np.float32, copy=True))


def weather_ahead(dataset: Dataset, windows: Windows, recipe: Recipe) -> np.ndarray:
    """The K columns of `weather_inputs` as one array [N, H, K]."""
    columns = weather_inputs(dataset, windows, thermal=recipe.thermal).values()
    nothing = np.empty((len(windows.positions), HORIZON, 0))
    return np.concatenate([nothing, *(column[:, :, None] for column in columns)], axis=2)


MOST_ORIGINS = 15_000
"""Of more, as with windows of all hours, evenly spaced ones are taken: the regressions on 22,000
windows took a minute with their folds, more than most trainings, and windows an hour apart say
nearly the same."""

STRIDES = (1, 5, 7, 11, 13, 17, 19, 23)
"""Spacings of these origins. They share no factor with 24, so that every hour of day is among them.
"""


def learnt_origins(dataset: Dataset, recipe: Recipe) -> Positions:
    """Training origins within the recipe's ``near_hours`` of the daily ones, in ascending order.

    With a linear baseline about `MOST_ORIGINS` of them at most.
    """
    origins = dataset.training_origins(near_hours=recipe.near_hours)
    if not recipe.linear_part:
        return origins
    return origins[:: next((s for s in STRIDES if len(origins) <= s * MOST_ORIGINS), STRIDES[-1])]


SAME_HOURS = ("target_24h_before", "target_168h_before", "target_mean_of_week")
"""Inputs that the recipe's ``same_hours`` adds to each hour that is forecast."""

LINEAR = "linear_forecast"
"""Input that the recipe's ``linear_part`` adds to them."""


@dataclass(frozen=True)
class WindowSource:
    """A scaled series from which windows are gathered.

    Attributes:
        target: [T, 1] float32.
        past: [T, P] float32, columns known up to the origin.
        future: [T, F] float32, columns known through the horizon.
        recipe: without its ``repeated_history`` and with ``calendar_as_past``, calendar columns are
            0 before the last 24 rows, and those of ``once_a_day`` before the last row, which holds
            their mean over the forecast day. With its ``same_hours`` and without
            ``calendar_as_past``, the columns of `SAME_HOURS` follow the future-known columns; along
            the history they hold the target itself.
        calendar_as_past: the model has no future input, so it gets the future-known columns along
            the history, 24 h early: the last 24 of the L rows are then the day being forecast.
        target_mean: what was subtracted from the target, in its unit.
        target_std: what it was divided by.
        once_a_day: places of the future-known columns that hold for a whole day.
        level: how windows are normalised by their recent level; None: they are not. With it the
            past covariates get one more column, the standardised logarithm of the level.
        ahead: [N, H, K] standardised `weather_inputs` of N origins, which a model sees beside the
            hours ahead or, with ``calendar_as_past``, along the last 24 hours.
        expected: [N, H] standardised, the linear baseline's forecasts after these origins; None:
            there is no linear baseline. A model forecasts the residual, and sees this forecast in
            the same place.
        row_of_origin: [T] the row of each of these origins in both; N for other origins.
        linear: [N, H, Q] quantiles of the linear baseline at these origins, in the target's unit;
            empty: there is none, or the source is for training.
    """

    target: Tensor
    past: Tensor
    future: Tensor
    recipe: Recipe
    calendar_as_past: bool
    once_a_day: tuple[int, ...]
    target_mean: float
    target_std: float
    level: Level | None
    ahead: Tensor
    expected: Tensor | None
    row_of_origin: Tensor
    linear: np.ndarray

    def to(self, device: torch.device) -> "WindowSource":
        tensors: dict[str, Any] = {
            name: part.to(device) for name, part in vars(self).items() if isinstance(part, Tensor)
        }
        return replace(self, **tensors)

    def gather(self, origins: Tensor, *, with_target: bool) -> TorchTrainingBatch:
        """The windows of the given origins ([N] positions) as darts names them.

        Without ``with_target`` the target after the origin is not read, as in a real forecast.
        """
        history = _hours(origins, 1 - HISTORY, 0)
        horizon = _hours(origins, 1, HORIZON)
        offset, gain = self.window_scale(origins)
        past = [self.past[history]]
        past_target = (self.target[history] - offset) * gain
        if self.level is not None:
            log = (self._level(offset) / self.level.unit).log()
            log = (log - self.level.log_mean) / self.level.log_std
            past.append(log.expand(-1, HISTORY, 1))
        weather = self.ahead[self.row_of_origin[origins]]
        linear = [] if self.expected is None else [(self._expected(origins) - offset) * gain]
        before = None
        ahead = None
        if self.calendar_as_past:
            along_last_day = F.pad(
                torch.cat([*linear, weather], dim=2), (0, 0, HISTORY - HORIZON, 0)
            )
            calendar = self.future[history + HORIZON]  # 24 h early
            if not self.recipe.repeated_history:
                calendar[:, :-HORIZON] = 0
                day = calendar[:, -HORIZON:, self.once_a_day].mean(dim=1)
                calendar[:, :, self.once_a_day] = 0
                calendar[:, -1, self.once_a_day] = day
            past += [calendar, along_last_day]
        else:
            same_hours = []
            if self.recipe.same_hours:
                days = past_target.view(-1, HISTORY // HORIZON, HORIZON)
                same_hours = [days[:, -1], days[:, 0], days.mean(dim=1)]
            repeated = [past_target] * len([*same_hours, *linear])
            unknown = weather.new_zeros(len(weather), HISTORY, weather.shape[2])
            before = torch.cat([self.future[history], *repeated, unknown], dim=2)
            shown = [*(hours[:, :, None] for hours in same_hours), *linear, weather]
            ahead = torch.cat([self.future[horizon], *shown], dim=2)
        future_target = None
        if with_target:
            future_target = (self.target[horizon] - offset) * gain - sum(linear)
        return TorchTrainingBatch(
            past_target=past_target,
            past_covariates=torch.cat(past, dim=2),
            historic_future_covariates=before,
            future_covariates=ahead,
            future_target=future_target,
        )

    def _expected(self, origins: Tensor) -> Tensor:
        """The linear baseline's standardised forecasts [N, H, 1]."""
        assert self.expected is not None
        return self.expected[self.row_of_origin[origins]][:, :, None]

    def window_scale(self, origins: Tensor) -> tuple[Tensor, Tensor]:
        """Offset and gain [N, 1, 1] of each window.

        A model's value is ``(standardised target - offset) * gain``.
        """
        if self.level is None:
            one = self.target.new_ones((len(origins), 1, 1))
            return torch.zeros_like(one), one
        offset = self.target[_hours(origins, 1 - self.level.hours, 0)].mean(dim=1, keepdim=True)
        return offset, self.target_std / (self._level(offset) * self.level.spread)

    def _level(self, offset: Tensor) -> Tensor:
        assert self.level is not None
        return (offset * self.target_std + self.target_mean).clamp(min=self.level.floor)

    def in_unit(self, values: Tensor, origins: Tensor) -> Tensor:
        """Model values [N, H, Q] in the target's own unit, float64."""
        offset, gain = (scale.double() for scale in self.window_scale(origins))
        level = offset if self.expected is None else self._expected(origins).double()
        return (values.double() / gain + level) * self.target_std + self.target_mean


def _hours(origins: Tensor, first: int, last: int) -> Tensor:
    """[N, K] positions of the hours ``first`` to ``last`` after each origin, which is hour 0."""
    return origins[:, None] + torch.arange(first, last + 1, device=origins.device)


def past_columns(dataset: Dataset, recipe: Recipe) -> tuple[str, ...]:
    """The past covariates that a model sees, in the order of `WindowSource.past`."""
    return tuple(
        name for name in dataset.past if recipe.repeated_history or not follows_from_target(name)
    )


def future_columns(dataset: Dataset, scaling: Scaling, recipe: Recipe) -> tuple[str, ...]:
    """The future-known columns that a model sees, in the order of `WindowSource.future`."""
    return tuple(
        name
        for name in dataset.future
        if (scaling.seasons or name not in SEASON_COLUMNS)
        and (recipe.calendar or name.startswith("hour"))
    )


class TrainingWindows(TorchTrainingDataset):
    """The training windows of a source as a darts dataset, which gathers a batch at once."""

    def __init__(self, source: WindowSource, origins: Positions) -> None:
        super().__init__()
        self.source = source
        self.origins = torch.from_numpy(origins)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: int) -> TorchTrainingSample:
        batch = self.__getitems__([index])
        return TorchTrainingSample(
            **{name: None if t is None else t[0].numpy() for name, t in asdict(batch).items()}
        )

    def __getitems__(self, indices: list[int]) -> TorchTrainingBatch:
        return self.source.gather(self.origins[torch.tensor(indices)], with_target=True)
