"""A stored explanation: the forecasts of every coalition, and what follows from them alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from hpo_lib.errors import UNREADABLE, InputError
from hpo_lib.explain.shapley import shapley_values
from hpo_lib.families.linear_baseline import MEDIAN
from hpo_lib.families.models import registered
from hpo_lib.paths import BenchmarkPaths, atomic
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

LINEAR = "RESIDUAL_LINEAR"
"""The linear baseline."""
NONE, ALL = "none", "all"
MEAN = "mean"
"""In the place of a seed: the mean over all seeds."""
COLUMNS = ["model", "params", "seed", "what", "group", "value", "low", "high"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """The forecasts of a model with every coalition of groups of information.

    Attributes:
        facts: model, params, seed, names of the g ``players``, the N ``days`` (UTC hours of their
            origins), and how all of it was made.
        values: [2^g, N, H, Q], rows as in `hpo_lib.explain.shapley`, in the target's unit.
        actual: [N, H].
    """

    facts: Mapping[str, Any]
    values: np.ndarray
    actual: np.ndarray

    def times(self, factor: float) -> "Explanation":
        """In another unit."""
        return Explanation(self.facts, self.values * factor, self.actual * factor)

    def store(self, file: Path) -> None:
        """Write it, in float32 as forecasts are stored."""
        facts, values = json.dumps(self.facts), self.values.astype(np.float32)
        with atomic(file) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, facts=facts, values=values, actual=self.actual)

    @classmethod
    def load(cls, file: Path) -> "Explanation":
        """A stored one.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            with np.load(file, allow_pickle=False) as stored:
                facts, actual = json.loads(str(stored["facts"])), stored["actual"]
                shape = 2 ** len(facts["players"]), *actual.shape, len(QUANTILE_LEVELS)
                return cls(facts, stored["values"].astype(np.float64).reshape(shape), actual)
        except (EOFError, BadZipFile, *UNREADABLE) as error:
            raise InputError(
                f"{file}: holds no explanation ({error}); remove it and run `hpo explain` again"
            ) from None


Explanations = Mapping[tuple[str, str], Sequence[Explanation]]
"""Model and params -> its seeds."""


def stored_explanations(paths: BenchmarkPaths) -> Explanations:
    """All of a folder, by model as in the registry; the refitted one is last."""
    models, rows = list(registered()), dict[tuple[str, str], list[Explanation]]()
    for one in map(Explanation.load, paths.explanation_files()):
        rows.setdefault((one.facts["model"], one.facts["params"]), []).append(one)
    order = sorted(rows, key=lambda row: (row[1] == REFITTED, models.index(row[0]), row))
    return {row: rows[row] for row in order}


def game(seeds: Sequence[Explanation], what: str) -> np.ndarray:
    """[2^g, N, H] one of `WHAT` by coalition, in the mean over seeds."""
    return np.asarray(np.mean([WHAT[what](one.values, one.actual) for one in seeds], axis=0))


def losses(seeds: Sequence[Explanation]) -> np.ndarray:
    """[2^g] the MAE by coalition, in the mean over seeds."""
    return np.asarray(game(seeds, "mae").mean(axis=(1, 2)))


def shapley_table(explanations: Explanations) -> pd.DataFrame:
    """A row per model, params, seed (and `MEAN`), ``what`` and ``group``, with bootstrap intervals.

    The values of the groups sum to that of `ALL` less that of `NONE`.
    """
    rows = []
    for row, seeds in explanations.items():
        groups, drawn = [*seeds[0].facts["players"], NONE, ALL], drawn_days(len(seeds[0].actual))
        parts = {str(one.facts["seed"]): [one] for one in seeds} | {MEAN: seeds}
        for (seed, part), what in product(parts.items(), WHAT):
            daily = game(part, what).mean(axis=2)
            values = [*shapley_values(daily), daily[0], daily[-1]]
            for group, value in zip(groups, values, strict=True):
                interval = bootstrap_interval(value, drawn)
                rows.append((*row, seed, what, group, *astuple(interval)))
    return pd.DataFrame(rows, columns=COLUMNS)
