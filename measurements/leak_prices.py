"""What common leaks promise: each beside its clean twin, on the same days.

    python -m measurements.leak_prices --data-dir DATA TOML ...

The model is a ridge regression from 168 hours of history and the calendar of the 24 hours ahead,
whose penalty is chosen on validation. Shuffled validation needs a model that remembers, so there it
is the mean of the nearest windows. docs/leaks.md has the tables.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from hpo_lib.data.csv_checks import WEATHER_COLUMNS
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.data.splits import HISTORY, HORIZON, Positions
from hpo_lib.figures.style import with_interval
from hpo_lib.leaks.columns import windows
from hpo_lib.scoring.uncertainty import drawn_days
from measurements.arguments import DATA_DIR, DATASETS, parsed

PENALTIES = 10.0 ** np.arange(-1, 4)
NEAR_HOURS = 1
"""Training windows start within so many hours of the hour of the daily forecasts."""
NEIGHBOURS = 3
CONFIGURATIONS = 50
FEW_DAYS = 10

Inputs = Callable[[Positions], np.ndarray]
Parts = Callable[[np.ndarray], list[np.ndarray]]
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Price:
    """What a leak promises.

    Attributes:
        leak, clean: the leak, and what its clean twin does.
        honest: [N] mean absolute error of each scored day, in the target's unit, of the clean twin.
        promised: [M] the same with the leak; of the same days, if M is N.
        blocks: [B] for a promise from other days: the error that each of B blocks of days would
            have promised.
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
        drawn, honest, promised = drawn_days(len(self.honest)), self.honest, self.promised
        honest_draws = honest[drawn].mean(axis=1)
        draws = promised[drawn].mean(axis=1) if self.blocks is None else self.blocks
        less = 100 * (1 - draws / (honest_draws if self.blocks is None else honest.mean()))
        row: dict[str, object] = {"leak": self.leak, "clean twin": self.clean, "days": len(honest)}
        for name, value, values in (
            ("honest", honest.mean(), honest_draws),
            ("promised", promised.mean(), draws),
            ("less_error", 100 * (1 - promised.mean() / honest.mean()), less),
        ):
            low, high = np.quantile(values, [0.025, 0.975])
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


class _Desk:
    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.y = dataset, dataset.target.to_numpy()
        self.validation, test = dataset.validation_origins, dataset.test_origins
        self.scored = test if len(test) else self.validation
        self.every = dataset.complete(np.arange(HISTORY - 1, len(self.y) - HORIZON))

    def prices(self) -> Iterator[Price]:
        inputs = self.inputs
        plain = self.errors(inputs())
        for name, parts_of in (
            ("seasonal decomposition", seasonal_parts),
            ("wavelets", wavelet_parts),
        ):
            clean = self.errors(inputs(parts_of=parts_of))
            leak = self.errors(inputs(parts_of(self.y)))
            yield Price(f"{name} of the whole series", f"{name} of the 168 hours", clean, leak)
        frame = self.dataset.frame
        past = [name for name in self.dataset.past if name in WEATHER_COLUMNS]
        if weather := [frame[name].to_numpy() for name in past]:
            clean, leak = (
                self.errors(inputs(weather, first=1 - HORIZON, last=last)) for last in (0, HORIZON)
            )
            yield Price(
                "observed weather of the day ahead", "weather up to the origin", clean, leak
            )
        scaled = self.errors(inputs(), whole=True)
        yield Price("scaler fitted on the whole series", "scaler fitted on training", plain, scaled)
        yield self.shuffled()
        yield self.few_days(plain)
        yield self.chosen_on_test()

    def inputs(
        self,
        series: list[np.ndarray] | None = None,
        first: int = 1 - HISTORY,
        last: int = 0,
        *,
        parts_of: Parts | None = None,
        hours: int = HISTORY,
    ) -> Inputs:
        """History of ``hours``, the calendar of the 24 hours ahead, and ``series`` from ``first``
        to ``last`` or the parts of the history.
        """
        calendar = [self.dataset.frame[name].to_numpy() for name in self.dataset.future]

        def of(origins: Positions) -> np.ndarray:
            columns = [windows(self.y, origins, 1 - hours, 0)]
            columns += [windows(values, origins, 1, HORIZON) for values in calendar]
            columns += [windows(values, origins, first, last) for values in series or ()]
            columns += parts_of(columns[0]) if parts_of else []
            return np.concatenate(columns, axis=1)

        return of

    def ahead(self, origins: Positions) -> np.ndarray:
        return windows(self.y, origins, 1, HORIZON)

    def daily(self, forecast: np.ndarray, origins: Positions) -> np.ndarray:
        """[N] mean absolute error of forecasts [N, H]."""
        return np.asarray(np.abs(forecast - self.ahead(origins)).mean(axis=1))

    def errors(
        self, inputs: Inputs, scored: Positions | None = None, *, whole: bool = False
    ) -> np.ndarray:
        """[N] mean absolute error of each scored day, with the penalty that is best on validation;
        ``whole``: scaled by all windows.
        """
        train = self.dataset.training_origins(near_hours=NEAR_HOURS)
        x, y, validation = inputs(train), self.ahead(train), inputs(self.validation)
        scaled_by = (inputs(self.every), self.ahead(self.every)) if whole else None
        fits = [ridge(x, y, penalty, scaled_by) for penalty in PENALTIES]
        best = min(fits, key=lambda fit: self.daily(fit(validation), self.validation).mean())
        scored = self.scored if scored is None else scored
        return self.daily(best(inputs(scored)), scored)

    def nearest(self, train: Positions) -> np.ndarray:
        """[N] errors of the mean of what followed the training windows that are nearest to those of
        the scored days.
        """
        known, asked = (windows(self.y, o, 1 - HISTORY, 0) for o in (train, self.scored))
        # less the asked window's own square
        distance = np.square(known).sum(axis=1) - 2 * asked @ known.T
        neighbours = np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        return self.daily(self.ahead(train)[neighbours].mean(axis=1), self.scored)

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
        errors = self.errors(self.inputs(), self.validation)
        length = min(FEW_DAYS, len(errors))
        blocks = np.lib.stride_tricks.sliding_window_view(errors, length).mean(axis=1)
        return Price(
            f"{length} validation days", "all scored days", honest, errors[:length], blocks
        )

    def chosen_on_test(self) -> Price:
        """Configurations differ in history, training windows and penalty; a random half of the
        windows is the seed.
        """
        random, configurations = np.random.default_rng(0), []
        for _ in range(CONFIGURATIONS):
            inputs = self.inputs(hours=int(random.choice([24, 48, 96, HISTORY])))
            train = self.dataset.training_origins(near_hours=int(random.choice([0, 1, 3])))
            train = train[random.random(len(train)) < 0.5]
            fit = ridge(inputs(train), self.ahead(train), 10 ** random.uniform(-1, 3))
            configurations.append(
                [self.daily(fit(inputs(o)), o) for o in (self.validation, self.scored)]
            )
        by_validation = min(configurations, key=lambda errors: errors[0].mean())
        by_test = min(configurations, key=lambda errors: errors[1].mean())
        leak = f"best of {CONFIGURATIONS} configurations on test"
        return Price(leak, "best on validation", by_validation[1], by_test[1])


def ridge(
    x: np.ndarray,
    y: np.ndarray,
    penalty: float,
    scaled_by: tuple[np.ndarray, np.ndarray] | None = None,
) -> Predict:
    """What predicts [N, K] outputs of inputs [N, F], fitted to ``x`` and ``y``.

    ``scaled_by`` are inputs and outputs whose means and spreads scale the others; None: ``x`` and
    ``y``.
    """
    inputs, outputs = scaled_by or (x, y)
    scaler, mean = StandardScaler().fit(inputs), outputs.mean(axis=0)
    fit = Ridge(penalty, fit_intercept=False).fit(scaler.transform(x), y - mean)
    return lambda new: np.asarray(fit.predict(scaler.transform(new)) + mean)


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
    reach, length = len(kernel) // 2, values.shape[-1]
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(reach, reach)], mode="edge")
    return np.asarray(sum(w * padded[..., i : i + length] for i, w in enumerate(kernel) if w))


def price_table(prices: pd.DataFrame) -> pd.DataFrame:
    """The rows of a price list with numbers and intervals as text."""

    def text(name: str, form: Callable[..., str] = with_interval) -> list[str]:
        return [form(*row) for row in prices[[name, f"{name}_low", f"{name}_high"]].to_numpy()]

    less = text("less_error", "{:z.1f} [{:z.1f}, {:z.1f}]".format)  # z: no minus before 0.0
    numbers = {"honest": text("honest"), "promised": text("promised"), "% less error": less}
    return prices[["leak", "clean twin"]].assign(**numbers)


def main() -> None:
    """Print a table per dataset."""
    arguments = parsed(__doc__, DATASETS, DATA_DIR)
    for name in arguments.datasets:
        dataset = load_dataset(load_spec(name), arguments.data_dir)
        spec, prices = dataset.spec, price_list(dataset)
        print(f"{spec.name} ({dataset.source}), {prices['days'][0]} days, MAE in {spec.unit}")
        print(price_table(prices).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
