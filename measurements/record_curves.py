"""Learning curves of random configurations of the wide space, all trained to the end.

    python -m measurements.record_curves TOML ... --data-dir DATA --trials NHITS_Q=20 TFT_Q=12
    TIMESNET_Q=6 python -m measurements.record_curves TOML ... --data-dir DATA --near NHITS_Q=20
    TFT_Q=12 TIMESNET_Q=6

Configuration 0 of a family is its untuned defaults; the others are drawn from the wide space, the
same ones for every dataset: evenly or, from number 101 on, ``--near`` the defaults, which each
dimension then keeps with a chance of 2/3. Drawn evenly, hardly any is as good as the defaults, and
a portfolio needs those that are. Each is one training with seed 42, which reads training and
validation alone. The table grows by one training at a time: after an interruption the same command
goes on. A training that fails is left out, and is tried again then. `measurements.early_stopping`
replays the table.
"""

import csv
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import Family, get_family
from hpo_lib.families.search_space import draw
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import METRICS
from hpo_lib.study.early_stopping import CURVE_METRICS
from measurements.arguments import DATA_DIR, DATASETS, PRESET, parsed

TABLE = Path(__file__).parent / "results" / "wide_curves.csv"
COLUMNS = ("dataset", "family", "trial", "params", "winkler_calibrated", "step", *CURVE_METRICS)
"""One row per check. ``winkler_calibrated`` is of the weights that were kept, the same in all rows
of a trial.
"""

SEED = 42
NEAR = 100
"""Configurations after this number are drawn near the defaults."""

Curve = Sequence[Mapping[str, float]]


def configuration(family: Family, number: int) -> dict[str, Any]:
    """The untuned defaults, or a random draw of the wide space that depends on family and number
    alone.

    Without trees under the network: the curves that ship were recorded before there were any.
    """
    space, defaults = family.searched("wide"), family.untuned("wide")
    del space["linear_trees"], defaults["linear_trees"]
    if number == 0:
        return defaults
    random = np.random.default_rng([number, sum(family.name.encode())])
    return draw(space, random, defaults if number > NEAR else None)


def recorded(table: Path) -> set[tuple[str, str, int]]:
    """The trials that a table holds."""
    if not table.exists():
        return set()
    keys = pd.read_csv(table)[["dataset", "family", "trial"]]
    return set(keys.itertuples(index=False, name=None))


def append(
    table: Path, key: tuple[str, str, int], params: Mapping[str, Any], final: float, checks: Curve
) -> None:
    """Add the rows of one trial."""
    start = (*key, json.dumps(params), f"{final:.6g}")
    rows = [
        (*start, int(check["step"]), *(f"{check[name]:.6g}" for name in CURVE_METRICS))
        for check in checks
    ]
    add_rows(table, COLUMNS, rows)


def add_rows(table: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Add rows to a CSV that grows by one training at a time; a new one gets its header first."""
    is_new = not table.exists()
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([*([columns] if is_new else []), *rows])


def record(
    datasets: Sequence[Dataset], trials: Mapping[str, Sequence[int]], preset: str, table: Path
) -> Iterator[tuple[tuple[str, str, int], str]]:
    """Train what the table lacks; yields (dataset, family, number) and what came of it."""
    known = recorded(table)
    for name, numbers in trials.items():
        family = get_family(name)
        for number in numbers:
            params = configuration(family, number)
            for dataset in datasets:
                key = (dataset.spec.name, name, number)
                if key not in known:
                    yield key, _train(family, params, dataset, preset, table, key)


def _train(
    family: Family,
    params: dict[str, Any],
    dataset: Dataset,
    preset: str,
    table: Path,
    key: tuple[str, str, int],
) -> str:
    checks: list[dict[str, float]] = []

    def on_check(step: int, forecasts: QuantileForecasts) -> None:
        checks.append(
            {"step": step, **{score: METRICS[score](forecasts) for score in CURVE_METRICS}}
        )

    begun = time.perf_counter()
    try:
        kept = family.fit(
            params, dataset, family.budgets[preset], seed=SEED, on_check=on_check
        ).validation
    except Exception as error:  # a configuration that diverges is no reason to end the others
        return f"failed: {type(error).__name__}: {error}"
    append(table, key, params, evaluate(kept, dataset.scales)["winkler_calibrated"], checks)
    return (
        f"MAE {METRICS['mae'](kept):.5g}, PICP {METRICS['picp'](kept):.1f} "
        f"({time.perf_counter() - begun:.0f} s)"
    )


def counts(words: Sequence[str]) -> dict[str, int]:
    """``["NHITS_Q=20", "TFT_Q=12"]`` as numbers by family."""
    return {name: int(number) for name, _, number in (word.partition("=") for word in words)}


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        DATASETS,
        DATA_DIR,
        PRESET,
        ("--trials FAMILY=N", (), "with the defaults"),
        ("--near FAMILY=N", (), "near the defaults"),
        ("--table", TABLE, "CSV that is continued"),
        given=given,
    )
    datasets = [load_dataset(load_spec(name), arguments.data_dir) for name in arguments.datasets]
    trials = {name: list(range(count)) for name, count in counts(arguments.trials).items()}
    for name, count in counts(arguments.near).items():
        trials[name] = [*trials.get(name, []), *range(NEAR + 1, NEAR + 1 + count)]
    for key, what in record(datasets, trials, arguments.preset, arguments.table):
        print(*key, what, flush=True)


if __name__ == "__main__":
    main()
