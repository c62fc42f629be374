"""The models in use against what came since: errors and coverage, and whether to retrain."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hpo_lib.daily.versions import (
    DAY,
    MIXTURE,
    MixtureVersion,
    Version,
    each_in_use,
    relative_mae,
)
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.errors import InputError
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import ROLLING_DAYS, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts

COVERAGE = (70.0, 90.0)
"""Percent of the hours that the calibrated interval should cover; outside a retraining is due."""

WORSE = 1.25
"""A retraining is due if the MAE has grown by more than this factor since the held-out days of the
training, both as a share of that of the better naive forecast: demand itself changes with the
season."""

SEASON_DAYS, TRUSTED = 91, 0.01
"""A member whose weight stays below this share for so many days has not been trusted."""


@dataclass(frozen=True)
class Watched:
    """A version in use over the last 28 days: MAE in ``unit``, calibrated coverage in percent.

    ``relative`` is the MAE as a share of that of the better naive forecast, ``relative_before`` the
    same over the held-out days of the training; ``days_since`` its end.
    """

    version: Version
    unit: str
    days_since: int
    mae: float
    coverage: float
    relative: float
    relative_before: float

    @property
    def due(self) -> list[str]:
        """Reasons for a retraining."""
        low, high = COVERAGE
        reasons = []
        if not low <= self.coverage <= high:
            reasons.append(f"coverage is outside {low:.0f} to {high:.0f} %")
        if (grown := self.relative / self.relative_before) > WORSE:
            reasons.append(f"MAE beside naive forecasts is {grown:.2f} times that of then")
        return reasons

    def __str__(self) -> str:
        reasons = " and ".join(self.due)
        due = f"a retraining is due: {reasons}" if reasons else "no retraining is due"
        return (
            f"{self.version}: {self.days_since} days since its training; last {ROLLING_DAYS} days: "
            f"{metrics.mae_in_words(self.mae, self.unit)}, "
            f"{self.relative:.2f} of the naive forecast's "
            f"(held-out days: {self.relative_before:.2f}), coverage {self.coverage:.1f} %; {due}"
        )


def watch(
    dataset: str,
    *,
    models: Sequence[str] = (),
    data_dir: str = "",
    simulated: bool = False,
    models_dir: str = "",
) -> list[Watched | str]:
    """Every model in use of a dataset, or those of ``models``, over the last 28 days of the data.

    Sentences on the members of a mixture, and on models that cannot be read or do not fit, come
    after the scores.
    """
    data = load_dataset(dataset, data_dir, simulated=simulated)
    notes = list[str]()
    scored, damaged = each_in_use(
        models_dir, data.spec.name, models, lambda version: _watched(version, data, notes)
    )
    return [*scored, *notes, *damaged]


def _watched(version: Version, dataset: Dataset, notes: list[str]) -> Watched:
    days_since = (dataset.index[-1] - version.trained_until) // DAY
    end = int(dataset.index.searchsorted(version.trained_until + days_since * DAY))
    # The first half of the days calibrates.
    days = version.unseen(dataset, end, 2 * ROLLING_DAYS)
    is_recent = dataset.index[days] >= dataset.index[end] - ROLLING_DAYS * DAY
    if not is_recent.any():
        raise InputError(
            f"{dataset.path}: none of the last {ROLLING_DAYS} days has a whole week before it; "
            "add hours"
        )
    if isinstance(version, MixtureVersion):
        members, weights = version.mixed(dataset, int(days[-1]), notes)
        forecasts = members[MIXTURE].rows(slice(-len(days), None))
        notes += _members(members, weights, dataset.index[days[is_recent]])
    else:
        forecasts = version.forecasts(dataset, days)
    recent = calibrate(forecasts, None, dataset.scales).rows(is_recent)
    return Watched(
        version,
        dataset.spec.unit,
        days_since,
        metrics.mae(recent),
        metrics.picp(recent),
        relative_mae(recent, dataset),
        version.facts["relative_mae"],
    )


def _members(
    forecasts: Mapping[str, QuantileForecasts], weights: pd.DataFrame, days: pd.DatetimeIndex
) -> Iterator[str]:
    """What the members say for themselves of these days, and who has not been trusted."""
    losses = ", ".join(
        f"{name} {metrics.pinball(one.rows(one.origins.isin(days))):.5g}"
        for name, one in forecasts.items()
    )
    yield f"Raw pinball loss of these days: {losses}."
    if len(weights) >= SEASON_DAYS:
        for name, largest in weights.iloc[-SEASON_DAYS:].max().items():
            if largest < TRUSTED:
                yield (
                    f"{name} has not been trusted for a season: its weight was never above "
                    f"{largest:.1%} in {SEASON_DAYS} days."
                )
