"""The rule of the mixture: what other rates and poolings would have given, by replay.

python -m measurements.mixture benchmark_results/*/laptop*     # of stored benchmarks alone

Per benchmark and rule: the change of pinball loss and MAE over the validation days, in percent,
against the member that turned out best there. Members are those of `MIXTURE`.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib.benchmark.tables import load_rows
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.mixture import mixture
from measurements.arguments import parsed

RATES = (0.5, 1.0, 2.0)
GROUPS = {"all hours": 1, "six hours": 4, "each hour": 24}
"""Over which hours ahead losses are pooled -> number of groups of hours."""


def replayed(
    members: Sequence[QuantileForecasts], rate: float, groups: int, *, per_level: bool
) -> QuantileForecasts:
    """The mixture whose weights are of groups of hours and levels."""
    first, mixed = members[0], np.empty_like(members[0].values)
    days, hours, levels = map(np.arange, mixed.shape)
    parts = product(np.split(hours, groups), np.split(levels, len(levels) if per_level else 1))
    for some_hours, some_levels in parts:
        part = np.ix_(days, some_hours, some_levels)
        names = tuple(np.take(first.levels, some_levels))
        cut = [
            replace(one, values=one.values[part], actual=one.actual[:, some_hours], levels=names)
            for one in members
        ]
        mixed[part] = mixture(cut, rate)[0].values
    return replace(first, values=np.maximum.accumulate(mixed, axis=2))


def table(folder: Path) -> dict[tuple[str, str], float]:
    """Of each rule and loss, the change against the member with the lowest loss."""
    *rows, mixed = load_rows(BenchmarkPaths(folder.parents[1], folder.parent.name, folder.name))
    members = [row.validation for row in rows if (row.model, row.params) in mixed.weights]
    rules = {}
    for rate, pooled, per_level in product(RATES, GROUPS, (False, True)):
        rule = f"rate {rate:g}, {pooled}, {'per level' if per_level else 'common'}"
        rules[rule] = replayed(members, rate, GROUPS[pooled], per_level=per_level)
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
