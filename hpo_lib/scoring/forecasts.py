"""Quantile forecasts in the target's own unit: what every model returns.

Axis letters used throughout the project:
    N  forecast origins (windows)
    L  hours of history, 168
    H  hours ahead (steps of the horizon), 24
    Q  quantile levels, 3
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hpo_lib.errors import InputError

QUANTILE_LEVELS = (0.1, 0.5, 0.9)
NOMINAL_COVERAGE = 80.0
"""Share of actuals, in percent, that the interval between the outer levels should cover."""


@dataclass(frozen=True)
class QuantileForecasts:
    """Forecasts of N origins, H hours ahead, at Q levels, with the actual values.

    Attributes:
        values: [N, H, Q] float64, in the target's unit, non-decreasing along Q.
        actual: [N, H] float64, in the target's unit; NaN where it is not known yet.
        origins: [N] UTC, the last hour whose target was known; step h of a forecast is for ``origin
            + h`` hours.
        levels: Q ascending quantile levels.
    """

    values: np.ndarray
    actual: np.ndarray
    origins: pd.DatetimeIndex
    levels: tuple[float, ...] = QUANTILE_LEVELS

    def __post_init__(self) -> None:
        n, h, q = self.values.shape
        if self.actual.shape != (n, h) or len(self.origins) != n or len(self.levels) != q:
            raise ValueError(
                f"values {self.values.shape}, actual {self.actual.shape}, {len(self.origins)} "
                f"origins and {len(self.levels)} levels do not belong together"
            )
        if not np.isfinite(self.values).all():
            bad = (~np.isfinite(self.values)).any(axis=(1, 2)).sum()
            raise NonFiniteForecast(f"{bad} of {n} forecasts hold NaN or infinity")
        if (np.diff(self.values, axis=2) < 0).any():
            raise ValueError("quantiles cross: values must not decrease along the level axis")

    @classmethod
    def of_model(
        cls, values: np.ndarray, origins: pd.DatetimeIndex, lowest: float | None = None
    ) -> "QuantileForecasts":
        """What a model gave [N, H, Q], raised to ``lowest`` where it is below.

        Nobody knows the actuals yet. A model may cross its quantiles; they are sorted, which never
        raises the pinball loss.
        """
        values = values if lowest is None else np.maximum(values, lowest)
        return cls(np.sort(values, axis=2), np.full(values.shape[:2], np.nan), origins)

    def with_actual(self, target: pd.Series) -> "QuantileForecasts":
        """The forecasts beside what came; hours that the hourly ``target`` lacks stay NaN."""
        return replace(
            self, actual=target.reindex(self.hours).to_numpy(float).reshape(self.actual.shape)
        )

    @property
    def median(self) -> np.ndarray:
        return self.values[:, :, self.levels.index(0.5)]

    @property
    def lower(self) -> np.ndarray:
        return self.values[:, :, 0]

    @property
    def upper(self) -> np.ndarray:
        return self.values[:, :, -1]

    @property
    def days(self) -> pd.DatetimeIndex:
        """[N] UTC, the first hour of each forecast."""
        return self.origins + pd.Timedelta(hours=1)

    @property
    def hours(self) -> pd.DatetimeIndex:
        """[N * H] UTC, every hour that is forecast, forecast by forecast."""
        frame = self.to_frame()
        return pd.DatetimeIndex(frame["origin"] + pd.to_timedelta(frame["step"], unit="h"))

    def rows(self, chosen: np.ndarray | slice) -> "QuantileForecasts":
        """The forecasts of some origins."""
        return QuantileForecasts(
            self.values[chosen], self.actual[chosen], self.origins[chosen], self.levels
        )

    @classmethod
    def joined(cls, parts: Sequence["QuantileForecasts"]) -> "QuantileForecasts":
        """Forecasts one after the other, which have the same levels."""
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.actual for part in parts]),
            pd.DatetimeIndex([origin for part in parts for origin in part.origins]),
            parts[0].levels,
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per origin and step: origin, step (1..H), actual, q10, q50, q90."""
        n, h, q = self.values.shape
        frame = pd.DataFrame(self.values.reshape(n * h, q), columns=[*map(_column, self.levels)])
        frame.insert(0, "origin", self.origins.repeat(h))
        frame.insert(1, "step", np.tile(np.arange(1, h + 1), n))
        frame.insert(2, "actual", self.actual.ravel())
        return frame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, source: str = "predictions") -> "QuantileForecasts":
        """The inverse of `to_frame`."""
        names = [name for name in frame.columns if re.fullmatch(r"q[\d.]*\d", name)]
        missing = [name for name in ("origin", "step", "actual") if name not in frame.columns]
        if missing or not names:
            raise InputError(
                f"{source}: column {(missing or ['q10'])[0]!r} is missing, expected origin, "
                "step, actual, q10 ..."
            )
        ordered = frame.sort_values(["origin", "step"], kind="stable")
        of_origin = ordered.groupby("origin", dropna=False)["step"]
        sizes = of_origin.size()
        in_order = (of_origin.cumcount() + 1 == ordered["step"]).all()
        if sizes.nunique() != 1 or sizes.index.hasnans or not in_order:
            raise InputError(
                f"{source}: rows do not form complete forecasts, expected for every origin the "
                "steps 1, 2 and so on, each once and as many as for the others; write them again"
            )
        n = len(sizes)
        horizon = sizes.iloc[0]
        levels = tuple(sorted(round(float(name[1:]) / 100, 12) for name in names))

        def hours_of(column: str) -> np.ndarray:
            try:
                return ordered[column].to_numpy(float).reshape(n, horizon)
            except (TypeError, ValueError):
                raise InputError(
                    f"{source}: column {column!r} holds something that is not a number; write it "
                    "again"
                ) from None

        return cls(
            np.stack([hours_of(_column(level)) for level in levels], axis=2),
            hours_of("actual"),
            pd.DatetimeIndex(ordered["origin"].iloc[::horizon]),
            levels,
        )


def check_comparable(forecasts: Sequence[QuantileForecasts]) -> None:
    """Check that forecasts have the same levels, origins and actuals."""
    first = forecasts[0]
    for other in forecasts[1:]:
        if (
            other.levels != first.levels
            or not np.array_equal(other.origins, first.origins)
            or not np.allclose(other.actual, first.actual, equal_nan=True)
        ):
            raise InputError(
                "forecasts of different levels, days or data cannot be compared or blended; make "
                "them again for one dataset and split"
            )


class NonFiniteForecast(ArithmeticError):
    """A model returned NaN or infinity: its trial fails with this cause and never gets a score."""


def _column(level: float) -> str:
    return f"q{level * 100:g}"
