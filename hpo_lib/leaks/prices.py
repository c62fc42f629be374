"""What common leaks promise: each beside its clean twin, with the same plain model, on the same
days.

The model is a ridge regression from 168 hours of history and the calendar of the 24 hours ahead,
whose penalty is chosen on validation. Shuffled validation needs a model that remembers, so there it
is the mean of the nearest windows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.raw_files import WEATHER_COLUMNS
from hpo_lib.data.splits import HISTORY, HORIZON, Positions
from hpo_lib.leaks.ridge import Ridge, windows
from hpo_lib.scoring.uncertainty import drawn_days

PENALTIES = 10.0 ** np.arange(-1, 4)
NEAR_HOURS = 1
"""Training windows start within so many hours of the hour of the daily forecasts."""
NEIGHBOURS = 3
CONFIGURATIONS = 50
FEW_DAYS = 10

_Arrays = list[np.ndarray]
_Inputs = Callable[[Positions], np.ndarray]


@dataclass(frozen=True)
class Price:
    """What a leak promises.

    Attributes: leak, clean: the leak, and what its clean twin does. honest: [N] mean absolute error
        of each scored day, in the target's unit, of the clean twin. promised: [M] the same with the
        leak; of the same days, if M is N. blocks: [B] for a promise from other days: the error that
        each of B blocks of days would have promised.
    """

    leak: str
    clean: str
    honest: np.ndarray
    promised: np.ndarray
    blocks: np.ndarray | None = None

    def row(self) -> dict[str, object]:
        """Both errors and the promise, in percent less error, each with the bounds of a 95 %
        interval of day blocks.
        """
        drawn = drawn_days(len(self.honest))
        honest = self.honest[drawn].mean(axis=1)
        promised = self.promised[drawn].mean(axis=1) if self.blocks is None else self.blocks
        less = 100 * (1 - promised / (honest if self.blocks is None else self.honest.mean()))
        row: dict[str, object] = {
            "leak": self.leak,
            "clean twin": self.clean,
            "days": len(self.honest),
        }
        means = self.honest.mean(), self.promised.mean()
        values = {
            "honest": means[0],
            "promised": means[1],
            "less_error": 100 * (1 - means[1] / means[0]),
        }
        for (name, value), draws in zip(values.items(), (honest, promised, less), strict=True):
            low, high = np.quantile(draws, [0.025, 0.975])
            row |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
        return row


def price_list(dataset: Dataset) -> pd.DataFrame:
    """One row per leak: ``honest``, ``promised`` (MAE) and ``less_error`` (percent), each with
    ``_low`` and ``_high``.

    Scored on the test split, or on validation if the data ends before a test. Nothing is chosen
    there but by the leak that does so. The leak of the observed weather is left out where the past
    covariates hold no weather.
    """
    return pd.DataFrame([price.row() for price in _Desk(dataset).prices()])


@dataclass(frozen=True)
class _Desk:
    dataset: Dataset

    def prices(self) -> Iterator[Price]:
        plain = self.errors(self.inputs())
        for name, decompose in (
            ("seasonal decomposition", seasonal_parts),
            ("wavelets", wavelet_parts),
        ):
            yield Price(
                f"{name} of the whole series",
                f"{name} of the 168 hours",
                self.errors(self.inputs(partial(self.parts_of_history, decompose))),
                self.errors(self.inputs(partial(self.history_of_parts, decompose(self.y)))),
            )
        if self.weather:
            yield Price(
                "observed weather of the day ahead",
                "weather up to the origin",
                self.errors(self.inputs(partial(self.weather_up_to, 0))),
                self.errors(self.inputs(partial(self.weather_up_to, HORIZON))),
            )
        yield Price(
            "scaler fitted on the whole series",
            "scaler fitted on training",
            plain,
            self.errors(whole=True),
        )
        yield self.shuffled()
        yield self.few_days(plain)
        yield self.chosen_on_test()

    @cached_property
    def y(self) -> np.ndarray:
        return self.dataset.target.to_numpy()

    @cached_property
    def weather(self) -> list[np.ndarray]:
        frame = self.dataset.frame
        return [frame[name].to_numpy() for name in self.dataset.past if name in WEATHER_COLUMNS]

    def parts_of_history(
        self, decompose: Callable[[np.ndarray], list[np.ndarray]], origins: Positions
    ) -> _Arrays:
        return decompose(windows(self.y, origins, 1 - HISTORY, 0))

    def history_of_parts(self, parts: _Arrays, origins: Positions) -> _Arrays:
        return [windows(part, origins, 1 - HISTORY, 0) for part in parts]

    def weather_up_to(self, hour: int, origins: Positions) -> _Arrays:
        return [windows(values, origins, 1 - HORIZON, hour) for values in self.weather]

    @cached_property
    def scored(self) -> Positions:
        test = self.dataset.test_origins
        return test if len(test) else self.dataset.validation_origins

    @cached_property
    def every(self) -> Positions:
        """Every hour of the data with a complete window."""
        hours = np.arange(HISTORY - 1, len(self.y) - HORIZON)
        return self.dataset.complete(hours)

    def inputs(
        self, more: Callable[[Positions], _Arrays] | None = None, hours: int = HISTORY
    ) -> _Inputs:
        """History, the calendar of the 24 hours ahead, and ``more``."""
        calendar = [self.dataset.frame[name].to_numpy() for name in self.dataset.future]

        def of(origins: Positions) -> np.ndarray:
            parts = [
                windows(self.y, origins, 1 - hours, 0),
                *(windows(c, origins, 1, HORIZON) for c in calendar),
            ]
            return np.concatenate([*parts, *(more(origins) if more else [])], axis=1)

        return of

    def ahead(self, origins: Positions) -> np.ndarray:
        return windows(self.y, origins, 1, HORIZON)

    def daily(self, forecast: np.ndarray, origins: Positions) -> np.ndarray:
        """[N] mean absolute error of forecasts [N, H]."""
        return np.asarray(np.abs(forecast - self.ahead(origins)).mean(axis=1))

    def fit(self, inputs: _Inputs, train: Positions, *, whole: bool = False) -> Ridge:
        """A ridge regression with the penalty that is best on validation; ``whole``: scaled by all
        windows.
        """
        x, y, validation = inputs(train), self.ahead(train), self.dataset.validation_origins
        held_out, scaled_by = (
            inputs(validation),
            (inputs(self.every), self.ahead(self.every)) if whole else None,
        )
        fits = [Ridge.fit(x, y, penalty, scaled_by=scaled_by) for penalty in PENALTIES]
        return min(
            fits, key=lambda fit: float(self.daily(fit.predict(held_out), validation).mean())
        )

    def errors(self, inputs: _Inputs | None = None, *, whole: bool = False) -> np.ndarray:
        """[N] mean absolute error of each scored day."""
        inputs = inputs or self.inputs()
        fit = self.fit(inputs, self.dataset.training_origins(near_hours=NEAR_HOURS), whole=whole)
        return self.daily(fit.predict(inputs(self.scored)), self.scored)

    def nearest(self, train: Positions) -> np.ndarray:
        """[N] errors of the mean of what followed the training windows that are nearest to those of
        the scored days.
        """
        known, asked = (windows(self.y, o, 1 - HISTORY, 0) for o in (train, self.scored))
        distance = (
            np.square(known).sum(axis=1) - 2 * asked @ known.T
        )  # less the asked window's own square
        found = np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        return self.daily(self.ahead(train)[found].mean(axis=1), self.scored)

    def shuffled(self) -> Price:
        others = np.setdiff1d(self.every, self.scored)
        drawn = np.random.default_rng(0).permutation(others)[: round(0.8 * len(others))]
        return Price(
            "shuffled validation",
            f"split in time; both the mean of the {NEIGHBOURS} nearest windows",
            self.nearest(self.dataset.training_origins()),
            self.nearest(np.sort(drawn)),
        )

    def few_days(self, honest: np.ndarray) -> Price:
        inputs, validation = self.inputs(), self.dataset.validation_origins
        fit = self.fit(inputs, self.dataset.training_origins(near_hours=NEAR_HOURS))
        errors = self.daily(fit.predict(inputs(validation)), validation)
        length = min(FEW_DAYS, len(errors))
        blocks = np.lib.stride_tricks.sliding_window_view(errors, length).mean(axis=1)
        return Price(
            f"{length} validation days", "all scored days", honest, errors[:length], blocks
        )

    def chosen_on_test(self) -> Price:
        """Configurations differ in history, training windows and penalty; a random half of the
        windows is the seed.
        """
        random, validation = np.random.default_rng(0), self.dataset.validation_origins
        found = []
        for _ in range(CONFIGURATIONS):
            inputs = self.inputs(hours=int(random.choice([24, 48, 96, HISTORY])))
            train = self.dataset.training_origins(near_hours=int(random.choice([0, 1, 3])))
            train = train[random.random(len(train)) < 0.5]
            fit = Ridge.fit(inputs(train), self.ahead(train), 10 ** random.uniform(-1, 3))
            found.append(
                [
                    self.daily(fit.predict(inputs(origins)), origins)
                    for origins in (validation, self.scored)
                ]
            )
        by_validation, by_test = (min(found, key=partial(_mean_of, at)) for at in (0, 1))
        return Price(
            f"best of {CONFIGURATIONS} configurations on test",
            "best on validation",
            by_validation[1],
            by_test[1],
        )


def _mean_of(at: int, errors: list[np.ndarray]) -> float:
    return float(errors[at].mean())


def seasonal_parts(values: np.ndarray) -> list[np.ndarray]:
    """The classical decomposition of a series [..., T]: centred mean of a day, mean by hour of day,
    and the rest.
    """
    trend = _filtered(values, np.array([0.5, *np.ones(HORIZON - 1), 0.5]) / HORIZON)
    hour = np.arange(values.shape[-1]) % HORIZON
    by_hour = np.stack(
        [(values - trend)[..., hour == h].mean(axis=-1) for h in range(HORIZON)], axis=-1
    )
    return [trend, by_hour[..., hour], values - trend - by_hour[..., hour]]


def wavelet_parts(values: np.ndarray, levels: int = 5) -> list[np.ndarray]:
    """Details and smooth of an undecimated wavelet transform with the cubic B-spline (Starck and
    Murtagh, 1994).
    """
    parts = []
    for level in range(levels):
        kernel = np.zeros(4 * 2**level + 1)
        kernel[:: 2**level] = np.array([1, 4, 6, 4, 1]) / 16
        smooth = _filtered(values, kernel)
        parts.append(values - smooth)
        values = smooth
    return [*parts, values]


def _filtered(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A centred filter along the last axis, whose ends are repeated."""
    reach = len(kernel) // 2
    padded = np.concatenate(
        [values[..., :1].repeat(reach, -1), values, values[..., -1:].repeat(reach, -1)], axis=-1
    )
    length = values.shape[-1]
    return np.asarray(sum(w * padded[..., i : i + length] for i, w in enumerate(kernel) if w))
