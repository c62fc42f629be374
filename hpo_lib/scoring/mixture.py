"""A mixture of forecasts whose weights move with the days: Bernstein online aggregation.

A member's weight grows with what it would have gained on the days before. Each member has a
learning rate of its own, which falls with the spread of these gains (BOA; Wintenberger, 2017,
section 4; for quantiles Berrisch and Ziel, 2023). Nothing is chosen or fitted: weights begin equal,
and in the long run the mixture is not worse than its best member.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import softmax

from hpo_lib.errors import InputError
from hpo_lib.scoring.forecasts import QuantileForecasts, check_comparable


def mixture(
    members: Sequence[QuantileForecasts], factor: float = 1.0
) -> tuple[QuantileForecasts, np.ndarray]:
    """The mixture of M members on all N days that any of them forecasts, and its weights [N, M].

    A day's weights follow from the days that had ended by its origin, and are the same for all
    hours and levels. A member without a forecast of a day has weight 0 there, and the others share
    what it leaves; such a day says nothing for or against it. The theoretical learning rates are
    multiplied by ``factor``; `measurements/mixture.py` compares some.

    Raises:
        InputError: members differ in levels, horizon or actuals.
    """
    values, days = _aligned(members)
    speaks = ~np.isnan(values[:, :, 0, 0]).T
    values = np.nan_to_num(values)
    weights, gains = np.zeros((2, *speaks.shape))
    regret = np.zeros(len(members))
    squares, largest = np.full((2, len(members)), np.finfo(float).tiny)
    rate = np.ones(len(members))
    ends = days.origins + pd.Timedelta(hours=days.actual.shape[1])
    learnt = 0
    for day, origin in enumerate(days.origins):
        while ends[learnt] <= origin:
            gain = gains[learnt]
            # A silent member's rate moves with those of the others.
            size = np.where(speaks[learnt], np.abs(gain), np.abs(gain[speaks[learnt]]).mean())
            largest, squares = np.maximum(largest, size), squares + np.square(size)
            rate = factor * np.minimum(
                1 / (2 * largest), np.sqrt(np.log(max(len(members), 2)) / squares)
            )
            step = rate * gain
            regret = regret + gain * (1 - step) / 2 + largest * (step > 0.5)
            learnt += 1
        weights[day] = softmax(np.where(speaks[day], np.log(rate) + rate * regret, -np.inf))
        mixed = np.tensordot(weights[day], values[:, day], axes=1)
        days.values[day] = np.maximum.accumulate(mixed, axis=1)
        # By the linearised loss: the mean over known hours and levels of the slope of the pinball
        # loss at the mixture times the distance from the member; above 0 where that is better.
        if (known := ~np.isnan(days.actual[day])).any():
            mixed = days.values[day]
            slope = (days.actual[day, :, None] < mixed) - days.levels
            gain = ((mixed - values[:, day]) * slope)[:, known].mean(axis=(1, 2))
            gains[day] = gain * speaks[day]
    return days, weights


def mean_of(members: Sequence[QuantileForecasts]) -> QuantileForecasts:
    """The mean of the members' quantiles [N, H, Q], level by level: of a model's seeds."""
    check_comparable(members)
    return replace(members[0], values=np.mean([member.values for member in members], axis=0))


def _aligned(members: Sequence[QuantileForecasts]) -> tuple[np.ndarray, QuantileForecasts]:
    """Values [M, N, H, Q] on the days of all, NaN where a member has none, and those days."""
    first = members[0]
    origins = first.origins
    for member in members[1:]:
        origins = origins.union(member.origins)
    shape = len(origins), *first.values.shape[1:]
    values = np.full((len(members), *shape), np.nan)
    actual = np.full(shape[:2], np.nan)
    for member, mine in zip(members, values, strict=True):
        rows = origins.get_indexer(member.origins)
        if member.levels != first.levels or member.actual.shape[1] != shape[1]:
            raise InputError(
                "forecasts of different levels or horizons cannot be mixed; make them again"
            )
        both = ~np.isnan(actual[rows]) & ~np.isnan(member.actual)
        if not np.allclose(actual[rows][both], member.actual[both]):
            raise InputError("forecasts of different data cannot be mixed; make them again")
        mine[rows] = member.values
        actual[rows] = np.where(np.isnan(member.actual), actual[rows], member.actual)
    return values, QuantileForecasts(np.zeros(shape), actual, origins, first.levels)
