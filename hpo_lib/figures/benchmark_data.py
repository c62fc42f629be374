"""Plain data behind the figures of benchmarks, one tidy table each; `benchmark_plots` draws them.

Every table begins with ``dataset``, ``title`` and ``unit``, and is of the test split.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np
import pandas as pd

from hpo_lib.benchmark.tables import BenchmarkRow, comparison_table, reliability_table
from hpo_lib.families.models import described
from hpo_lib.figures.benchmark_record import Benchmark
from hpo_lib.figures.evidence import Evidence
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts

WEEK_MONTHS = {"winter": (12, 1, 2), "summer": (6, 7, 8)}
"""In the northern hemisphere."""
SIGNIFICANCE = 0.05
DRIFT_DAYS = 28

SCORES = ("mae", "picp", "winkler")

_P = ParamSpec("_P")


def _of_each_benchmark(
    tables_of: Callable[Concatenate[Benchmark, _P], Iterator[pd.DataFrame]],
) -> Callable[Concatenate[Evidence, _P], pd.DataFrame]:
    """One table of the rows of all benchmarks, which name their dataset first; empty without any
    row.
    """

    @wraps(tables_of)
    def table(evidence: Evidence, /, *args: _P.args, **options: _P.kwargs) -> pd.DataFrame:
        tables = []
        for benchmark in evidence.benchmarks:
            names = {
                "dataset": benchmark.name,
                "title": benchmark.dataset.spec.title,
                "unit": benchmark.unit,
            }
            for own in tables_of(benchmark, *args, **options):
                tables.append(
                    own.assign(**names)[[*names, *(name for name in own if name not in names)]]
                )
        filled = [own for own in tables if len(own)]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()

    return table


def best_family(benchmark: Benchmark) -> BenchmarkRow | None:
    """The family with the lowest validation pinball loss: the test split chooses nothing."""
    return min(benchmark.families, key=lambda row: metrics.pinball(row.validation), default=None)


def _compared(benchmark: Benchmark) -> list[BenchmarkRow]:
    """The families, and the trained baseline with the lowest validation pinball loss."""
    others = [
        row
        for row in benchmark.row_per_model
        if described(row.model).kind not in ("family", "naive")
    ]
    return [
        *benchmark.families,
        *sorted(others, key=lambda row: metrics.pinball(row.validation))[:1],
    ]


def middle_week(f: QuantileForecasts, months: tuple[int, ...]) -> slice | None:
    """The seven forecasts of the middle one of the whole weeks (Monday to Sunday, UTC) within these
    months, or None.
    """
    days = f.origins + pd.Timedelta(hours=1)
    inside = np.isin(days.month, months)
    starts = [
        i
        for i in map(int, np.flatnonzero(days.day_of_week == 0))
        if inside[i : i + 7].sum() == 7 and days[i + 6] - days[i] == pd.Timedelta(days=6)
    ]
    if not starts:
        return None
    start = starts[len(starts) // 2]
    return slice(start, start + 7)


@_of_each_benchmark
def weeks(benchmark: Benchmark) -> Iterator[pd.DataFrame]:
    """A winter and a summer week of the best family: ``target`` in words, ``season``, ``hour``,
    ``actual``, ``median``.

    Hours are UTC; ``lower`` and ``upper`` are raw, ``lower_calibrated`` and ``upper_calibrated``
    corrected.
    """
    row = best_family(benchmark)
    if row is None:
        return
    test, horizon, spec = row.test, row.test.actual.shape[1], benchmark.dataset.spec
    corrected = calibrate(
        test, row.validation, benchmark.dataset.known_target, benchmark.correction
    )
    columns = {
        "actual": test.actual,
        "median": test.median,
        "lower": test.lower,
        "upper": test.upper,
        "lower_calibrated": corrected.lower,
        "upper_calibrated": corrected.upper,
    }
    for season, months in WEEK_MONTHS.items():
        week = middle_week(
            test, months if spec.hemisphere == "north" else tuple(1 + (m + 5) % 12 for m in months)
        )
        if week is not None:
            ahead = pd.to_timedelta(np.tile(np.arange(1, horizon + 1), 7), unit="h")
            names = {"model": row.model, "target": spec.target_words, "season": season}
            hours = {"hour": test.origins[week].repeat(horizon) + ahead}
            values = {name: array[week].ravel() for name, array in columns.items()}
            yield benchmark.in_unit(pd.DataFrame({**names, **hours, **values}))


@_of_each_benchmark
def reliability(benchmark: Benchmark) -> Iterator[pd.DataFrame]:
    """``observed`` share of actuals at or below each ``level``, both 0 to 1,
    ``observed_calibrated`` the corrected one.

    Of the models of `by_hour`.
    """
    raw, corrected = (
        reliability_table(_compared(benchmark), benchmark.dataset, [c])
        for c in (Calibration("none"), benchmark.correction)
    )
    yield raw.assign(observed_calibrated=corrected["observed"])


@_of_each_benchmark
def by_hour(benchmark: Benchmark) -> Iterator[pd.DataFrame]:
    """``mae`` and ``picp`` (percent) of raw forecasts per hour ``ahead``, of the families and the
    best baseline.
    """
    for row in _compared(benchmark):
        scores = metrics.by_step(row.test)
        ahead = np.arange(1, len(scores["mae"]) + 1)
        yield benchmark.in_unit(pd.DataFrame({"model": row.model, "ahead": ahead, **scores}))


@_of_each_benchmark
def drift(benchmark: Benchmark) -> Iterator[pd.DataFrame]:
    """Mean error, actual less median, of the last 28 days up to each ``day``, in the target's unit."""
    for row in benchmark.families:
        mean = (
            pd.Series((row.test.actual - row.test.median).mean(axis=1)).rolling(DRIFT_DAYS).mean()
        )
        day = (row.test.origins + pd.Timedelta(hours=1)).tz_localize(None)
        yield benchmark.in_unit(
            pd.DataFrame({"model": row.model, "day": day, "error": mean.to_numpy()}).dropna()
        )


@_of_each_benchmark
def baseline_vs_optimised(benchmark: Benchmark) -> Iterator[pd.DataFrame]:
    """Raw test scores with 95 % bootstrap bounds of every row by ascending MAE, and the calibrated
    PICP.

    A row is a ``model`` untuned (``default``), tuned (``best``), or a baseline (``own``). Ensembles
    are in the table.
    """
    bounds = [column for name in SCORES for column in (name, f"{name}_low", f"{name}_high")]
    yield benchmark.shown.query("params != 'ensemble'")[
        ["model", "params", *bounds, "picp_calibrated"]
    ]


@_of_each_benchmark
def significance(benchmark: Benchmark, loss: str = "pinball") -> Iterator[pd.DataFrame]:
    """Every ordered pair of models: ``row``, ``column``, ``difference`` of the loss in percent,
    ``p_holm``.

    Below 0 the row is better. p-values are those of Diebold-Mariano tests, corrected for the number
    of pairs of the dataset after Holm (1979).
    """
    pairs = comparison_table(benchmark.row_per_model).query("loss == @loss")
    losses = {
        f"{row.model} {row.params}": metrics.METRICS[loss](row.test)
        for row in benchmark.row_per_model
    }
    rows = []
    for pair, p in zip(pairs.itertuples(), holm(pairs["p_value"].to_numpy()), strict=True):
        for row, column in (
            (str(pair.first), str(pair.second)),
            (str(pair.second), str(pair.first)),
        ):
            difference = 100 * (losses[row] / losses[column] - 1)
            cell = {
                "row": row.split()[0],
                "column": column.split()[0],
                "difference": difference,
                "p_holm": p,
            }
            rows.append(cell)
    yield pd.DataFrame(rows)


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number by the step-down rule of Holm (1979), in their order."""
    order = np.argsort(p_values, kind="stable")
    n = len(p_values)
    stepped = np.maximum.accumulate(np.minimum(1.0, p_values[order] * (n - np.arange(n))))
    corrected = np.empty(n)
    corrected[order] = stepped
    return corrected


@_of_each_benchmark
def coverage(benchmark: Benchmark) -> Iterator[pd.DataFrame]:
    """PICP in percent of the families by local hour, weekday, season and level, see
    `conditional_coverage`.
    """
    if benchmark.families:
        yield benchmark.coverage
