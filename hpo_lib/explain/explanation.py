"""A stored explanation: the forecasts of every coalition, and what follows from them alone."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.errors import InputError, in_one_line
from hpo_lib.explain.players import MEDIAN
from hpo_lib.explain.shapley import shapley_values
from hpo_lib.families.models import registered
from hpo_lib.paths import BenchmarkPaths, atomic
from hpo_lib.records.verify import TOLERANCE, Verification
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS
from hpo_lib.scoring.metrics import quantile_losses
from hpo_lib.scoring.uncertainty import bootstrap_interval, drawn_days

WHAT: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "median": lambda values, actual: values[..., MEDIAN],
    "width": lambda values, actual: values[..., -1] - values[..., 0],
    "mae": lambda values, actual: np.abs(actual - values[..., MEDIAN]),
    "pinball": lambda values, actual: quantile_losses(values, actual, QUANTILE_LEVELS).mean(-1),
}
"""What is explained: hourly values [..., N, H] of forecasts [..., N, H, Q] and actuals [N, H]."""

REFITTED = "refitted"
"""``params`` of the linear baseline that is fitted again for each coalition: what information is
worth, beside what a model uses."""

NONE, ALL = "none", "all"
COLUMNS = ["model", "params", "seed", "what", "group", "value", "low", "high"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """The forecasts of a model with every coalition of groups of information.

    Attributes:
        facts: model, params, seed, names of the g ``players``, and how all of it was made.
        origins: [N] of the explained days.
        values: [2^g, N, H, Q], rows as in `hpo_lib.explain.shapley`, in the target's unit.
        actual: [N, H].
    """

    facts: Mapping[str, Any]
    origins: pd.DatetimeIndex
    values: np.ndarray
    actual: np.ndarray

    @property
    def training(self) -> tuple[str, str, int]:
        """Model, params and seed."""
        return self.facts["model"], self.facts["params"], self.facts["seed"]

    def hourly(self, what: str) -> np.ndarray:
        """[2^g, N, H] one of `WHAT` by coalition."""
        return WHAT[what](self.values, self.actual)

    def daily(self, what: str) -> np.ndarray:
        """[2^g, N] its means over the hours of each day."""
        return np.asarray(self.hourly(what).mean(axis=2))

    @cached_property
    def loss(self) -> np.ndarray:
        """[2^g] the MAE."""
        return np.asarray(self.daily("mae").mean(axis=1))

    @cached_property
    def worth(self) -> np.ndarray:
        """[g] what each group adds to the MAE."""
        return shapley_values(self.loss)

    def table(self) -> pd.DataFrame:
        """One row per ``what`` and ``group`` with a bootstrap interval over days.

        The values of the groups sum to that of `ALL` less that of `NONE`.
        """
        drawn, rows = drawn_days(len(self.origins)), []
        for what in WHAT:
            game = self.daily(what)
            of_group = dict(zip(self.facts["players"], shapley_values(game), strict=True))
            for group, daily in {**of_group, NONE: game[0], ALL: game[-1]}.items():
                value = bootstrap_interval(daily, drawn)
                rows.append((*self.training, what, group, value.value, value.low, value.high))
        return pd.DataFrame(rows, columns=COLUMNS)

    def store(self, file: Path) -> None:
        """Write it, in float32 as forecasts are stored."""
        with atomic(file) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                facts=json.dumps(self.facts),
                origins=self.origins.as_unit("ns").asi8,
                values=self.values.astype(np.float32),
                actual=self.actual,
            )

    @classmethod
    def load(cls, file: Path) -> "Explanation":
        """A stored one.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            with np.load(file, allow_pickle=False) as stored:
                facts, actual = json.loads(str(stored["facts"])), stored["actual"]
                origins = pd.to_datetime(stored["origins"], utc=True)
                values = stored["values"].astype(np.float64)
            shape = 2 ** len(facts["players"]), *actual.shape, len(QUANTILE_LEVELS)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError("its forecasts are not complete")
            return cls(facts, pd.DatetimeIndex(origins), values, actual)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{file}: holds no explanation ({error}); remove it and run `hpo explain` again"
            ) from None


def stored_explanations(paths: BenchmarkPaths) -> list[Explanation]:
    """All of a folder, by model (as in the registry), params and seed; the refitted one is last."""
    models = [*registered(), REFITTED]
    explanations = map(Explanation.load, paths.explanation_files())

    def place(one: Explanation) -> tuple[int, tuple[str, str, int]]:
        model, params, _ = one.training
        return models.index(REFITTED if params == REFITTED else model), one.training

    return sorted(explanations, key=place)


def by_row(explanations: Sequence[Explanation]) -> dict[tuple[str, str], list[Explanation]]:
    """The seeds of each model and params."""
    rows = groupby(explanations, key=lambda one: one.training[:2])
    return {row: list(seeds) for row, seeds in rows}


def mean_daily(seeds: Sequence[Explanation], what: str) -> np.ndarray:
    """[2^g, N] the mean over all seeds of a row."""
    return np.asarray(np.mean([one.daily(what) for one in seeds], axis=0))


def shapley_table(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """The tables of all of them."""
    return pd.concat([one.table() for one in explanations], ignore_index=True)


def verify_table(csv: Path) -> Verification:
    """Compute a ``shapley.csv`` again from the arrays beside it, and compare."""
    paths = BenchmarkPaths(csv.parents[3], csv.parents[2].name, csv.parents[1].name)
    try:
        again = shapley_table(stored_explanations(paths))
        least = TOLERANCE * float(again["value"].abs().max())
        pd.testing.assert_frame_equal(pd.read_csv(csv), again, rtol=TOLERANCE, atol=least)
    except AssertionError as error:
        drift = f"is not what the arrays beside it give ({in_one_line(error)})"
        return Verification(csv, 0, (("DRIFT", drift),))
    except (InputError, OSError, ValueError) as error:
        return Verification(csv, 0, (("BROKEN", str(error)),))
    return Verification(csv, 3 * len(again), ())
