"""The tables of a benchmark, from stored forecasts alone: nothing here trains a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import described, family_names
from hpo_lib.paths import BenchmarkPaths, atomic
from hpo_lib.records.trainings import Training, load_trainings
from hpo_lib.scoring import metrics
from hpo_lib.scoring.blend import blend, fitted_weights
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.evaluation import conditional_coverage, evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import MIN_COMPARED_DAYS, bootstrap_intervals, compare

INTERVALS = ("mae", "picp", "winkler")
"""Scores that get a bootstrap interval."""

VALIDATED = ("mae", "picp", "pinball", "winkler")
"""Scores of the validation split beside those of the test split."""

COMPARED = ("mae", "pinball", "winkler")
"""Losses on which rows are compared by Diebold-Mariano tests."""


@dataclass(frozen=True)
class BenchmarkRow:
    """One model with one set of parameters: the mean of its seeds' quantiles, and each seed.

    Attributes: model: family, baseline or blend. params: ``default``, ``best``, ``ensemble``,
        ``file``, ``own``; a blend has the one of its families. validation: forecasts of the
        validation split, mean of the seeds. test: forecasts of the test split, mean of the seeds.
        seeds: test forecasts of each seed; empty for a blend. seconds: mean training time. note: a
        remark for the reader, for example a blend's weights or what an ensemble costs.
    """

    model: str
    params: str
    validation: QuantileForecasts
    test: QuantileForecasts
    seeds: Sequence[QuantileForecasts] = ()
    seconds: float = float("nan")
    note: str = ""


Rows = Sequence[BenchmarkRow]


def load_rows(
    paths: BenchmarkPaths, dataset: Dataset, *, fit_blend_weights: bool = False
) -> list[BenchmarkRow]:
    """The rows of a benchmark: baselines, families, then blends.

    A blend is of all families with the same kind of parameters. ``BLEND`` holds the families,
    ``BLEND_ALL`` the trained baselines as well. Weights are equal, or with ``fit_blend_weights``
    those with the lowest validation pinball loss.

    Raises:
        InputError: nothing is stored, or it is on other data.
    """
    rows = [_row(trainings) for trainings in load_trainings(paths, dataset).values()]
    rows.sort(key=lambda row: row.model in family_names())
    trained = [row for row in rows if described(row.model).kind not in ("family", "naive")]
    families = [row for row in rows if row.model in family_names()]
    blends = []
    for params in sorted({row.params for row in families}):
        members = [row for row in families if row.params == params]
        if len(members) > 1:
            blends.append(_blended("BLEND", params, members, fit_blend_weights))
        if trained:
            blends.append(_blended("BLEND_ALL", params, [*members, *trained], fit_blend_weights))
    return [*rows, *blends]


def _row(trainings: Sequence[Training]) -> BenchmarkRow:
    record = trainings[0].record
    seconds = float(np.mean([training.record["seconds"] for training in trainings]))
    notes = ["refitted on training and validation"] if record["key"].get("refit") else []
    if record.get("remark"):
        notes.append(record["remark"])
    if members := record["key"].get("members"):
        notes.append(f"{len(members)} trainings a seed, {seconds:.0f} s together")
    return BenchmarkRow(
        record["model"],
        record["params"],
        validation=blend([training.validation for training in trainings]),
        test=blend([training.test for training in trainings]),
        seeds=[training.test for training in trainings],
        seconds=seconds,
        note="; ".join(notes),
    )


def _blended(
    name: str, params: str, members: Sequence[BenchmarkRow], fit_weights: bool
) -> BenchmarkRow:
    validation = [row.validation for row in members]
    weights = fitted_weights(validation) if fit_weights else np.full(len(members), 1 / len(members))
    shares = ", ".join(
        f"{row.model} {weight:.2f}" for row, weight in zip(members, weights, strict=True)
    )
    test = blend([row.test for row in members], weights)
    return BenchmarkRow(name, params, blend(validation, weights), test, note=shares)


def benchmark_table(
    rows: Rows, dataset: Dataset, calibrations: Sequence[Calibration]
) -> pd.DataFrame:
    """One row per model, parameters and calibration, over every daily origin of the test split.

    Scores are those of the mean of the seeds' quantiles, with 95 % bootstrap intervals of MAE, PICP
    and Winkler score (``mae_low``, ``mae_high`` and so on); ``seed_mae`` and ``seed_mae_sd`` are
    mean and standard deviation over single seeds. Columns ``val_`` are raw validation scores, on
    which all choices are based.
    """
    table = []
    for row in rows:
        validation = evaluate(row.validation, dataset)
        maes = pd.Series([metrics.mae(seed) for seed in row.seeds], dtype=float)
        for calibration in calibrations:
            test = calibrate(row.test, row.validation, dataset.known_target, calibration)
            entry: dict[str, object] = {
                "dataset": dataset.spec.name,
                "source": dataset.source,
                "model": row.model,
                "params": row.params,
                "calibration": calibration.mode,
                "seeds": len(maes) or np.nan,
                "days": len(test.origins),
            }
            intervals = bootstrap_intervals(test)
            for name, score in evaluate(test, dataset).items():
                entry[name] = score
                if name in INTERVALS:
                    interval = intervals[name]
                    entry |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
            entry |= {"seed_mae": maes.mean(), "seed_mae_sd": maes.std()}
            entry |= {f"val_{name}": validation[name] for name in VALIDATED}
            table.append({**entry, "seconds": row.seconds, "note": row.note})
    return pd.DataFrame(table)


def comparison_table(rows: Rows) -> pd.DataFrame:
    """Diebold-Mariano tests of every two rows, raw forecasts, over the test days.

    One row per pair and loss: relative difference of the losses in percent (below 0: the first is
    better), statistic and two-sided p-value, not corrected for the number of pairs. Empty where
    there are too few days for a test.
    """
    pairs = [(a, b) for a, b in combinations(rows, 2) if len(a.test.origins) >= MIN_COMPARED_DAYS]
    table = []
    for (a, b), loss in product(pairs, COMPARED):
        result = compare(a.test, b.test, loss)
        percent = 100 * result.difference / metrics.METRICS[loss](b.test)
        names = f"{a.model} {a.params}", f"{b.model} {b.params}", loss
        table.append((*names, percent, result.statistic, result.p_value, result.n))
    columns = "first second loss difference_percent statistic p_value days"
    return pd.DataFrame(table, columns=columns.split())


def coverage_table(
    rows: Rows, dataset: Dataset, calibrations: Sequence[Calibration]
) -> pd.DataFrame:
    """Conditional coverage of every row and calibration, see `conditional_coverage`."""
    return _of_each(rows, dataset, calibrations, partial(conditional_coverage, dataset=dataset))


def reliability_table(
    rows: Rows, dataset: Dataset, calibrations: Sequence[Calibration]
) -> pd.DataFrame:
    """How often actuals are at or below each level, for every row and calibration."""
    return _of_each(rows, dataset, calibrations, metrics.reliability)


def _of_each(
    rows: Rows,
    dataset: Dataset,
    calibrations: Sequence[Calibration],
    make: Callable[[QuantileForecasts], pd.DataFrame],
) -> pd.DataFrame:
    tables = []
    for row, calibration in product(rows, calibrations):
        table = make(calibrate(row.test, row.validation, dataset.known_target, calibration))
        names = {"model": row.model, "params": row.params, "calibration": calibration.mode}
        tables.append(table.assign(**names)[[*names, *table.columns]])
    return pd.concat(tables, ignore_index=True)


def make_tables(
    paths: BenchmarkPaths,
    dataset: Dataset,
    calibration: Calibration,
    *,
    fit_blend_weights: bool = False,
) -> dict[str, pd.DataFrame]:
    """``table``, ``comparisons``, ``coverage`` and ``reliability`` of a stored benchmark.

    They always hold raw forecasts, and calibrated ones beside them.

    Raises:
        InputError: nothing is stored, or it is on other data.
    """
    calibrations = [Calibration("none")] + ([calibration] if calibration.mode != "none" else [])
    rows = load_rows(paths, dataset, fit_blend_weights=fit_blend_weights)
    return {
        "table": benchmark_table(rows, dataset, calibrations).assign(setting=paths.setting),
        "comparisons": comparison_table(rows),
        "coverage": coverage_table(rows, dataset, calibrations),
        "reliability": reliability_table(rows, dataset, calibrations),
    }


def main_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a benchmark's table that fit on a page."""
    names = "seeds mae mae_low mae_high picp winkler pinball val_mae val_picp seconds"
    return table.set_index(["model", "params", "calibration"])[names.split()]


def write_tables(paths: BenchmarkPaths, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write each table as CSV; returns the files."""
    for name, table in tables.items():
        with atomic(paths.table(name)) as temporary:
            table.to_csv(temporary, index=False)
    return [paths.table(name) for name in tables]
