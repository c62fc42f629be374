"""The rule of the mixture: what other rates and poolings would have given, by replay.

python -m measurements.mixture benchmark_results/*/laptop*     # of stored benchmarks alone

Per benchmark and rule: the change of pinball loss and MAE over the validation days, in percent,
against the member that turned out best there. Members are those of `MIXTURE`, whose own rule is the
library's; the others are made here.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from hpo_lib.benchmark.tables import load_rows
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from measurements.arguments import parsed

RATES = (0.5, 1.0, 2.0)
GROUPS = {"all hours": 1, "six hours": 4, "each hour": 24}
"""Over which hours ahead losses are pooled -> number of groups of hours."""


def replayed(
    members: Sequence[QuantileForecasts], rate: float, groups: int, *, per_level: bool
) -> np.ndarray:
    """[N, H, Q] of Bernstein online aggregation whose weights are of groups of hours and levels."""
    values = np.stack([member.values for member in members])
    (m, n, hours, q), levels = values.shape, np.array(members[0].levels)
    mixed, shape = np.empty((n, hours, q)), (m, groups, q if per_level else 1)
    regret, squares, largest = np.zeros((3, *shape))
    weights = np.full(shape, 1 / m)
    for day, actual in enumerate(members[0].actual):
        by_hour = np.repeat(weights, hours // groups, axis=1)
        mixed[day] = (by_hour * values[:, day]).sum(axis=0)
        slope = np.where(np.isnan(actual)[:, None], 0, (actual[:, None] < mixed[day]) - levels)
        gain = (mixed[day] - values[:, day]) * slope
        gain = gain.reshape(m, groups, hours // groups, q).mean(axis=2)
        gain = gain if per_level else gain.mean(axis=2, keepdims=True)
        largest, squares = np.maximum(largest, np.abs(gain)), squares + gain**2
        eta = rate * np.minimum(
            1 / np.maximum(2 * largest, 1e-300), np.sqrt(np.log(m) / np.maximum(squares, 1e-300))
        )
        regret = regret + gain * (1 - eta * gain) / 2 + largest * (eta * gain > 0.5)
        weights = softmax(np.log(eta) + eta * regret, axis=0)
    return np.maximum.accumulate(mixed, axis=2)


def table(folder: Path) -> dict[tuple[str, str], float]:
    """Of each rule and loss, the change against the member with the lowest loss."""
    *rows, mixture = load_rows(BenchmarkPaths(folder.parents[1], folder.parent.name, folder.name))
    members = [row.validation for row in rows if (row.model, row.params) in mixture.weights]
    rules = {"the library's": mixture.validation}
    for rate, pooled, per_level in product(RATES, GROUPS, (False, True)):
        mixed = replayed(members, rate, GROUPS[pooled], per_level=per_level)
        rule = f"rate {rate:g}, {pooled}, {'per level' if per_level else 'common'}"
        rules[rule] = replace(members[0], values=mixed)
    return {
        (rule, name): 100 * (loss(mixed) / min(map(loss, members)) - 1)
        for rule, mixed in rules.items()
        for name, loss in (("pinball", metrics.pinball), ("mae", metrics.mae))
    }


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(__doc__, ("folder...", "path", "folders of benchmarks"), given=given)
    changes = pd.DataFrame({folder.parent.name: table(folder) for folder in arguments.folder})
    wide = changes.unstack()
    order = wide.xs("pinball", axis=1, level=1).mean(axis=1).sort_values().index
    print(wide.loc[order].round(2).to_string())


if __name__ == "__main__":
    main()
