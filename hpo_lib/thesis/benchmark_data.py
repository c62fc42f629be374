"""Plain data behind the figures of benchmarks, one tidy table each; `benchmark_plots` draws them.

Every table begins with ``dataset``, ``title`` and ``unit``. All of it is of the test split.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hpo_lib.benchmark.tables import BenchmarkRow
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.thesis.benchmark_record import Benchmark
from hpo_lib.thesis.evidence import Evidence

SEASONS = {"winter": (12, 1, 2), "summer": (6, 7, 8)}
SIGNIFICANCE = 0.05
DRIFT_DAYS = 28
ERROR_BINS = 60
SHOWN_ERRORS = 0.98
"""Share of the errors that a histogram shows in bins of their own; the outermost bins also hold what lies beyond."""


def best_family(benchmark: Benchmark) -> BenchmarkRow | None:
    """The family with the lowest validation pinball loss: the test split chooses nothing."""
    return min(benchmark.families, key=lambda row: metrics.pinball(row.validation), default=None)


def middle_week(f: QuantileForecasts, months: tuple[int, ...]) -> slice | None:
    """The seven forecasts of the middle one of the whole weeks (Monday to Sunday, UTC) within these months, or None."""
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


def weeks(evidence: Evidence) -> pd.DataFrame:
    """A winter and a summer week of the best family: ``season``, ``hour``, ``actual``, ``median`` and both intervals.

    Hours are UTC; ``lower`` and ``upper`` are raw, ``lower_rolling`` and ``upper_rolling`` after rolling calibration.
    """
    tables = []
    for benchmark, names in _benchmarks(evidence):
        row = best_family(benchmark)
        if row is None:
            continue
        corrected = calibrate(row.test, row.validation, benchmark.dataset.target, Calibration("rolling"))
        for season, months in SEASONS.items():
            week = middle_week(row.test, months)
            if week is None:
                continue
            hours = row.test.origins[week].repeat(row.test.actual.shape[1]) + pd.to_timedelta(
                np.tile(np.arange(1, row.test.actual.shape[1] + 1), 7), unit="h"
            )
            columns = {
                "actual": row.test.actual, "median": row.test.median, "lower": row.test.lower, "upper": row.test.upper,
                "lower_rolling": corrected.lower, "upper_rolling": corrected.upper,
            }  # fmt: skip
            values = {name: array[week].ravel() for name, array in columns.items()}
            tables.append(pd.DataFrame({**names, "model": row.model, "season": season, "hour": hours, **values}))
    return _joined(tables)


def reliability(evidence: Evidence) -> pd.DataFrame:
    """``observed`` share of actuals at or below each ``level``, by ``model`` and ``calibration``, both 0 to 1."""
    return _joined([benchmark.reliability.assign(**names) for benchmark, names in _benchmarks(evidence)])


def by_hour(evidence: Evidence) -> pd.DataFrame:
    """``mae`` and ``picp`` (percent) of raw forecasts per hour ``ahead``, of trained models."""
    tables = []
    for benchmark, names in _benchmarks(evidence):
        for row in _trained(benchmark):
            scores = metrics.by_step(row.test)
            ahead = np.arange(1, len(scores["mae"]) + 1)
            tables.append(pd.DataFrame({**names, "model": row.model, "ahead": ahead, **scores}))
    return _joined(tables)


def error_shares(evidence: Evidence) -> pd.DataFrame:
    """Histogram of errors: ``share`` of hours (percent) per ``bin`` (its middle, percent of mean demand).

    An error is actual less median. Bins of a dataset reach as far, in tens of percent, as nearly all errors do.
    """
    tables = []
    for benchmark, names in _benchmarks(evidence):
        errors = {
            row.model: 100 * (row.test.actual - row.test.median).ravel() / row.test.actual.mean()
            for row in benchmark.families
        }
        if not errors:
            continue
        limit = 10 * max(1, np.ceil(np.quantile(np.abs(np.concatenate(list(errors.values()))), SHOWN_ERRORS) / 10))
        edges = np.linspace(-limit, limit, ERROR_BINS + 1)
        for model, values in errors.items():
            counts, _ = np.histogram(np.clip(values, -limit, limit), edges)
            share = 100 * counts / counts.sum()
            tables.append(pd.DataFrame({**names, "model": model, "bin": (edges[:-1] + edges[1:]) / 2, "share": share}))
    return _joined(tables)


def drift(evidence: Evidence) -> pd.DataFrame:
    """Mean error, actual less median, of the last 28 days up to each ``day``, in the target's unit."""
    tables = []
    for benchmark, names in _benchmarks(evidence):
        for row in benchmark.families:
            daily = pd.Series((row.test.actual - row.test.median).mean(axis=1))
            mean = daily.rolling(DRIFT_DAYS).mean()
            day = (row.test.origins + pd.Timedelta(hours=1)).tz_localize(None)
            tables.append(pd.DataFrame({**names, "model": row.model, "day": day, "error": mean.to_numpy()}).dropna())
    return _joined(tables)


SCORES = ("mae", "picp", "winkler")


def baseline_vs_optimised(evidence: Evidence) -> pd.DataFrame:
    """Raw test scores with 95 % bootstrap bounds of every model, untuned (``default``), tuned (``best``) or ``own``."""
    bounds = [column for name in SCORES for column in (name, f"{name}_low", f"{name}_high")]
    tables = []
    for benchmark, names in _benchmarks(evidence):
        raw = benchmark.table[benchmark.table["calibration"] == "none"]
        raw = raw[~raw["model"].str.startswith("BLEND")]
        tables.append(raw[["model", "params", *bounds]].assign(**names))
    return _joined(tables)


def significance(evidence: Evidence, loss: str = "pinball") -> pd.DataFrame:
    """Every ordered pair of shown models: ``row``, ``column``, ``difference`` of the loss in percent, ``p_holm``.

    Below 0 the row is better. p-values are those of Diebold-Mariano tests, corrected for the number of pairs of the
    dataset after Holm (1979).
    """
    tables = []
    for benchmark, names in _benchmarks(evidence):
        pairs = benchmark.comparisons.query("loss == @loss").reset_index(drop=True)
        if pairs.empty:
            continue
        losses = {f"{row.model} {row.params}": metrics.METRICS[loss](row.test) for row in benchmark.shown}
        corrected = holm(pairs["p_value"].to_numpy())
        for pair, p in zip(pairs.itertuples(), corrected, strict=True):
            for row, column in ((pair.first, pair.second), (pair.second, pair.first)):
                difference = 100 * (losses[str(row)] / losses[str(column)] - 1)
                cell = {"row": str(row).split()[0], "column": str(column).split()[0], "difference": difference}
                tables.append(pd.DataFrame([{**names, **cell, "p_holm": p}]))
    return _joined(tables)


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number by the step-down rule of Holm (1979), in their order."""
    order = np.argsort(p_values, kind="stable")
    n = len(p_values)
    stepped = np.maximum.accumulate(np.minimum(1.0, p_values[order] * (n - np.arange(n))))
    corrected = np.empty(n)
    corrected[order] = stepped
    return corrected


def coverage(evidence: Evidence, calibration: str) -> pd.DataFrame:
    """PICP in percent of the families by local hour, weekday, season and demand level, see `conditional_coverage`."""
    tables = []
    for benchmark, names in _benchmarks(evidence):
        found = benchmark.coverage.query("calibration == @calibration")
        families = [row.model for row in benchmark.families]
        tables.append(found[found["model"].isin(families)].assign(**names))
    return _joined(tables)


def _benchmarks(evidence: Evidence) -> Iterator[tuple[Benchmark, dict[str, str]]]:
    for benchmark in evidence.benchmarks:
        yield benchmark, {"dataset": benchmark.name, "title": benchmark.dataset.spec.title, "unit": benchmark.unit}


def _trained(benchmark: Benchmark) -> list[BenchmarkRow]:
    return [row for row in benchmark.shown if not row.model.startswith("NAIVE")]


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame()
    joined = pd.concat(tables, ignore_index=True)
    first = ["dataset", "title", "unit"]
    return joined[[*first, *(column for column in joined.columns if column not in first)]]
