"""What is fitted on the training split before a model is trained: scales, the recent level, the linear baseline.

Its version is that of `hpo_lib.families.windows`.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.contract import Recipe
from hpo_lib.families.linear_baseline import LinearBaseline, covers_seasons
from hpo_lib.families.weather_inputs import weather_inputs
from hpo_lib.scoring.calibration import smallest_level

LEVEL_FLOOR = 0.05
"""Smallest level that a window is divided by, as a share of the target's mean size over the training split. All of it
for a target that is ever negative there, see `smallest_level`."""


@dataclass(frozen=True)
class Level:
    """Normalisation of a window by its recent level, fitted on the training split.

    With y the target and l the mean of its last ``hours`` values up to the origin, a model sees and forecasts
    ``(y - l) / (max(l, floor) * spread)``: the relative deviation from the level, with about unit variance.

    Attributes:
        hours: how many hours up to the origin make the level.
        floor: the smallest level that is divided by, in the target's unit.
        spread: standard deviation of the relative deviation over the horizons of all training origins.
        log_mean: mean of log(max(l, floor) / unit) over the training origins.
        log_std: its standard deviation.
        unit: mean of the level over the training origins. The level is divided by it before its logarithm is taken, so
            that the numbers do not depend on the target's unit, not even in their last bits.
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
        origins = np.arange(HISTORY - 1, len(target) - HORIZON)
        level = sliding_window_view(target, hours).mean(axis=1)[origins - hours + 1]
        horizon = target[origins[:, None] + np.arange(1, HORIZON + 1)]
        known = ~np.isnan(level) & ~np.isnan(horizon).any(axis=1)
        level, horizon = level[known], horizon[known]
        divisor = np.maximum(level, floor)
        spread = float(np.sqrt((((horizon - level[:, None]) / divisor[:, None]) ** 2).mean()))
        unit = float(divisor.mean())
        log = np.log(divisor / unit)
        return cls(hours, floor, spread or 1.0, float(log.mean()), float(log.std()) or 1.0, unit)


@dataclass(frozen=True)
class Scaling:
    """Standardisation by column, fitted on the training split only. A constant column keeps its unit.

    Attributes:
        mean, std: by column.
        level: if given, windows of the target are also normalised by their recent level.
        seasons: models see month and season, see `covers_seasons`.
        linear: if given, models forecast its residuals.
        weather: mean and standard deviation [2, K] of `weather_inputs` over the training windows.
    """

    mean: pd.Series
    std: pd.Series
    level: Level | None = None
    seasons: bool = True
    linear: LinearBaseline | None = None
    weather: np.ndarray = field(default_factory=lambda: np.empty((2, 0)))

    @classmethod
    def fit(cls, dataset: Dataset, recipe: Recipe, *, seasons: bool | None = None) -> "Scaling":
        """From the training split; ``seasons``, if given, replaces the check of what the split covers."""
        train = dataset.training_frame
        std = train.std(ddof=0)
        seasons = covers_seasons(dataset, recipe.season_years) if seasons is None else seasons
        origins = learnt_origins(dataset, recipe)
        ahead = weather_inputs(dataset, dataset.windows(origins), thermal=recipe.thermal)
        ahead_std = ahead.std(axis=(0, 1))
        return cls(
            mean=train.mean(),
            std=std.where(std > 0, 1.0),
            level=Level.fit(dataset.training_target, recipe.level_hours) if recipe.level_hours else None,
            seasons=seasons,
            linear=LinearBaseline.fit(
                dataset,
                origins,
                seasons=seasons,
                penalty=recipe.linear_penalty,
                weeks=recipe.linear_weeks,
                thermal=recipe.thermal,
            )
            if recipe.linear_part
            else None,
            weather=np.stack([ahead.mean(axis=(0, 1)), np.where(ahead_std > 0, ahead_std, 1.0)]),
        )

    def transform(self, frame: pd.DataFrame, columns: tuple[str, ...]) -> torch.Tensor:
        """[T, len(columns)] float32."""
        names = list(columns)
        values = (frame[names].to_numpy() - self.mean[names].to_numpy()) / self.std[names].to_numpy()
        return torch.from_numpy(values.astype(np.float32))


MOST_ORIGINS = 15_000
"""Of more, as with windows of all hours, evenly spaced ones are taken: the regressions on 22,000 windows took a minute
with their folds, more than most trainings, and windows an hour apart say nearly the same."""

STRIDES = (1, 5, 7, 11, 13, 17, 19, 23)
"""Spacings of these origins. They share no factor with 24, so that every hour of day is among them."""


def learnt_origins(dataset: Dataset, recipe: Recipe) -> np.ndarray:
    """Training origins within the recipe's ``near_hours`` of the daily forecasts' hour, in chronological order.

    With a linear baseline about `MOST_ORIGINS` of them at most.
    """
    origins = dataset.training_origins(near_hours=recipe.near_hours)
    if not recipe.linear_part:
        return origins
    return origins[:: next((s for s in STRIDES if len(origins) <= s * MOST_ORIGINS), STRIDES[-1])]
