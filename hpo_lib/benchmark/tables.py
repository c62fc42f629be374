"""A stored benchmark and its tables, from stored forecasts alone: nothing here trains a model."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from io import StringIO
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib.benchmark.explanations import Explanations
from hpo_lib.data.scales import Scales
from hpo_lib.data.spec import DatasetSpec, development_datasets, known_datasets, load_spec
from hpo_lib.errors import UNREADABLE, in_one_line
from hpo_lib.families.models import described, read_recipe, registered
from hpo_lib.paths import BenchmarkPaths, write_text
from hpo_lib.records.provenance import read_scales
from hpo_lib.records.read_write import Json
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import Training, files_of, load_trainings
from hpo_lib.records.verify import TOLERANCE, Messages, Verification
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import MODES, calibrate
from hpo_lib.scoring.evaluation import conditional_coverage
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.mixture import mean_of, mixture
from hpo_lib.scoring.uncertainty import (
    MIN_COMPARED_DAYS,
    bootstrap_intervals,
    compare,
    reliability,
)

EXPLAINED = "shapley"
"""The table of `hpo explain`."""

PARAMS_ORDER = ("best", "file", "default", "own", "plain")
"""If a figure shows one row of a model, the row with the first of these parameters that is there.
"""


@dataclass(frozen=True, eq=False)
class BenchmarkRow:
    """One model with one set of parameters: the mean of its seeds' quantiles, and each seed.

    Attributes:
        model: family, baseline or mixture.
        params: one of `PARAMS_ORDER`.
        validation: forecasts of the validation split, mean of the seeds.
        test: forecasts of the test split, mean of the seeds.
        trainings: one per seed; none of a mixture.
        note: a remark for the reader.
        weights: of a mixture, [N, M] by origin and the members' labels.
    """

    model: str
    params: str
    validation: QuantileForecasts
    test: QuantileForecasts
    trainings: Sequence[Training] = ()
    note: str = ""
    weights: pd.DataFrame | None = None

    @property
    def label(self) -> str:
        return f"{self.model} {self.params}"

    @property
    def kind(self) -> str:
        """Of its model, see `hpo_lib.families.models.KINDS`."""
        return described(self.model).kind

    @property
    def shares(self) -> Sequence[float]:
        """What the first seed keeps of its network in median and width; NaN without a network."""
        kept = self.trainings[0].record.get("shares") if self.trainings else None
        return kept or [np.nan, np.nan]

    def has_params(self, params: Json) -> bool:
        """Whether it was trained with these parameters, fields of the recipe among them."""
        key = self.trainings[0].record["key"] if self.trainings else {}
        recipe = read_recipe(key.get("recipe", {}))
        return recipe is not None and recipe.updated(params) == (recipe, key.get("params"))


def load_rows(paths: BenchmarkPaths) -> list[BenchmarkRow]:
    """The rows of a benchmark: baselines, families, then the mixture of all but naive ones.

    Raises:
        InputError: nothing is stored, or not all of it belongs together.
    """
    rows = [_row(trainings) for trainings in load_trainings(paths).values()]
    rows.sort(key=lambda row: row.kind == "family")
    best = best_rows(rows)
    members = [best[name] for name in registered() if name in best and best[name].kind != "naive"]
    return [*rows, _mixed(members)] if len(members) > 1 else rows


def best_rows(rows: Sequence[BenchmarkRow]) -> dict[str, BenchmarkRow]:
    """Each model with its best kind of parameters, see `PARAMS_ORDER`."""
    return {row.model: row for row in reversed(by_params(rows))}


def by_params(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    """Rows in `PARAMS_ORDER`."""
    return sorted(rows, key=lambda row: PARAMS_ORDER.index(row.params))


def _row(trainings: Sequence[Training]) -> BenchmarkRow:
    record = trainings[0].record
    return BenchmarkRow(
        record["model"],
        record["params"],
        mean_of([training.validation for training in trainings]),
        mean_of([training.test for training in trainings]),
        trainings,
        note="refitted on training and validation" if record["key"].get("refit") else "",
    )


def _mixed(members: Sequence[BenchmarkRow]) -> BenchmarkRow:
    """The row of their mixture, whose weights begin on the first validation day."""
    both = [QuantileForecasts.joined([row.validation, row.test]) for row in members]
    mixed, weights = mixture(both)
    is_test = mixed.origins >= members[0].test.origins[0]
    names = pd.MultiIndex.from_tuples(
        [(row.model, row.params) for row in members], names=["model", "params"]
    )
    by_day = pd.DataFrame(weights, mixed.origins.rename("origin"), names)
    shares = ", ".join(
        f"{one.model} {last:.2f}" for one, last in zip(members, weights[-1], strict=True)
    )
    return BenchmarkRow(
        "MIXTURE",
        "own",
        mixed.rows(~is_test),
        mixed.rows(is_test),
        note=f"weights of the last day: {shares}",
        weights=by_day,
    )


def weights_table(rows: Sequence[BenchmarkRow]) -> pd.DataFrame:
    """``model``, ``params``, ``origin`` and ``weight`` of the mixture; empty without one."""
    by_day = next((row.weights for row in rows if row.weights is not None), pd.DataFrame())
    return pd.Series(by_day.unstack(), name="weight").reset_index()


def comparison_table(rows: Sequence[BenchmarkRow]) -> pd.DataFrame:
    """Diebold-Mariano tests of every two rows, raw forecasts, over the test days.

    One row per pair and loss: relative difference of the losses in percent (below 0: the first is
    better), statistic and two-sided p-value, not corrected for the number of pairs. Empty where
    there are too few days for a test.
    """
    table = []
    for (a, b), loss in product(combinations(rows, 2), ("mae", "pinball", "winkler")):
        if len(a.test.origins) >= MIN_COMPARED_DAYS:
            result = compare(a.test, b.test, loss)
            percent = 100 * result.difference / metrics.METRICS[loss](b.test)
            test = result.statistic, result.p_value, result.n
            table.append((a.label, b.label, loss, percent, *test))
    columns = "first second loss difference_percent statistic p_value days"
    return pd.DataFrame(table, columns=columns.split())


def of_rows(table: pd.DataFrame, rows: Sequence[BenchmarkRow]) -> pd.DataFrame:
    """The part of a table that is of these rows."""
    names = [(row.model, row.params) for row in rows]
    return table.merge(pd.DataFrame(names, columns=["model", "params"]))


@dataclass(frozen=True)
class Benchmark:
    """One benchmark with its rows and the tables that follow from its stored forecasts.

    Tables have a row per model, parameters and mode of calibration, in the target's own unit;
    ``correction`` is the mode of calibration that is shown beside raw forecasts.
    """

    paths: BenchmarkPaths
    spec: DatasetSpec
    scales: Scales
    rows: Sequence[BenchmarkRow]
    correction: str = "rolling"

    @property
    def dataset(self) -> str:
        return self.spec.name

    @property
    def source(self) -> str:
        return str(self.data.get("source"))

    @property
    def is_test(self) -> bool:
        return self.paths.setting.startswith("test-")

    @property
    def records(self) -> list[Json]:
        """Of every training."""
        return [training.record for row in self.rows for training in row.trainings]

    @property
    def data(self) -> Json:
        """Provenance of the data, which is the same for all trainings."""
        return self.records[0].get("provenance", {}).get("data") or {}

    @property
    def files(self) -> list[Path]:
        """Scales, records, the stored forecasts that these name, and explanations."""
        stored = [files_of(self.paths, record) for record in self.records]
        files = sorted(file for one in stored for file in (one.record, *one.forecasts.values()))
        return [self.paths.scales, *files, *self.paths.explanations()]

    # Rows

    @cached_property
    def row_per_model(self) -> list[BenchmarkRow]:
        """Each model with its best kind of parameters; no mixture."""
        return [row for row in best_rows(self.rows).values() if row.kind != "mixture"]

    @property
    def families(self) -> list[BenchmarkRow]:
        """`row_per_model` of the studied families."""
        return [row for row in self.row_per_model if row.kind == "family"]

    def tuned_row(self, study: StoredStudy) -> BenchmarkRow | None:
        """The row that was trained with the parameters that a study chose."""
        params = study.result["best_params"]
        rows = by_params(self.rows)
        return next((r for r in rows if r.model == study.model and r.has_params(params)), None)

    # Tables

    @cached_property
    def calibrated(self) -> Mapping[tuple[BenchmarkRow, str], QuantileForecasts]:
        """Test forecasts of each row by mode of calibration."""
        return {
            (row, mode): calibrate(row.test, row.validation, self.scales, mode)
            for row, mode in product(self.rows, MODES)
        }

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores of the mean of the seeds' quantiles over every daily origin of the test split.

        MAE, PICP and Winkler score have 95 % bootstrap intervals (``mae_low``, ``mae_high`` and so
        on); ``seed_mae`` and ``seed_mae_sd`` are mean and standard deviation over single seeds.
        Columns ``val_`` are raw validation scores, on which all choices are based.
        """
        table = []
        for (row, mode), test in self.calibrated.items():
            intervals = bootstrap_intervals(test)
            maes = pd.Series([metrics.mae(one.test) for one in row.trainings], dtype=float)
            seconds = pd.Series([one.record["seconds"] for one in row.trainings], dtype=float)
            entry: dict[str, object] = {
                "dataset": self.dataset,
                "source": self.source,
                "model": row.model,
                "params": row.params,
                "calibration": mode,
                "seeds": len(maes) or np.nan,
                "days": len(test.origins),
            }
            for name, score in metrics.score(test, self.scales.mase).items():
                entry[name] = score
                if name in ("mae", "picp", "winkler"):
                    _, entry[f"{name}_low"], entry[f"{name}_high"] = intervals[name]
            entry |= {"seed_mae": maes.mean(), "seed_mae_sd": maes.std()}
            entry["share_medians"], entry["share_widths"] = row.shares
            for name in ("mae", "picp", "pinball", "winkler"):
                entry[f"val_{name}"] = metrics.METRICS[name](row.validation)
            table.append({**entry, "seconds": seconds.mean(), "note": row.note})
        return pd.DataFrame(table)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Conditional coverage, see `conditional_coverage`."""
        return self._of_each(
            partial(conditional_coverage, spec=self.spec, terciles=self.scales.terciles)
        )

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """How often actuals are at or below each level."""
        return self._of_each(reliability)

    def _of_each(self, make: Callable[[QuantileForecasts], pd.DataFrame]) -> pd.DataFrame:
        tables = {
            (row.model, row.params, mode): make(forecasts)
            for (row, mode), forecasts in self.calibrated.items()
        }
        return (
            pd.concat(tables, names=["model", "params", "calibration"]).droplevel(-1).reset_index()
        )

    # As they are shown

    @cached_property
    def unit(self) -> metrics.ReadableUnit:
        return metrics.readable_unit(
            self.spec.unit, min(metrics.mae(row.test) for row in self.rows)
        )

    def raw_and_corrected(self, table: pd.DataFrame, *scores: str) -> pd.DataFrame:
        """The raw rows of a table in `unit`, with ``_calibrated`` scores after `correction`."""
        raw, corrected = (
            table[table["calibration"] == mode].reset_index(drop=True)
            for mode in ("none", self.correction)
        )
        return self.unit.table(raw.assign(**corrected[[*scores]].add_suffix("_calibrated")))

    @cached_property
    def shown(self) -> pd.DataFrame:
        """Raw scores of figures and tables by ascending MAE, beside those after `correction`.

        Tuned and untuned forecasts that are the same are one row with the ``params`` ``same``.
        """
        table = self.raw_and_corrected(self.scores, "picp", "winkler")
        scored = [name for name in table if name not in ("params", "seconds", "note")]
        same = table.duplicated(scored, keep=False)
        table = table.assign(params=table["params"].mask(same, "same")).drop_duplicates(scored)
        return table.set_index(["model", "params"]).sort_values("mae", kind="stable").reset_index()

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """What is written of a benchmark; it always holds raw forecasts, and corrected ones."""
        modes = ["none", self.correction]
        scores, coverage, reliability = (
            table[table["calibration"].isin(modes)]
            for table in (self.scores, self.coverage, self.reliability)
        )
        return {
            "table": scores.assign(setting=self.paths.setting),
            "comparisons": comparison_table(self.rows),
            "coverage": coverage,
            "reliability": reliability,
            "weights": weights_table(self.rows),
        }

    def write_tables(self) -> list[Path]:
        """Write each table as CSV, in as many digits as are verified; returns the files."""
        for name, table in self.tables.items():
            write_text(self.paths.table(name), table.to_csv(index=False, float_format="%.10g"))
        return [*map(self.paths.table, self.tables)]


def load_benchmark(
    paths: BenchmarkPaths, spec: DatasetSpec, correction: str = "rolling"
) -> Benchmark:
    """A stored benchmark of a dataset, see `load_rows`."""
    rows = load_rows(paths)
    key = rows[0].trainings[0].record["key"]
    return Benchmark(
        paths, spec, read_scales(paths.scales, key["data"]["sha256"]), rows, correction
    )


def verify_tables(folder: Path, names: Set[str], dataset: str = "") -> list[Verification]:
    """Tables of a benchmark by these names, made again from what is stored, and compared.

    ``dataset`` is its TOML, if the registry does not know its name.
    """
    paths = BenchmarkPaths(folder.parents[1], folder.parent.name, folder.name)
    tables = dict[str, pd.DataFrame]()
    found = []
    try:
        if EXPLAINED in names:
            tables[EXPLAINED] = Explanations.of_folder(paths).table()
        if names - {EXPLAINED}:
            known = known_datasets() | development_datasets()
            if dataset:
                known[load_spec(dataset).name] = Path(dataset)
            if not (toml := known.get(paths.dataset)):
                unknown = (
                    f"{folder}: {paths.dataset} is no name of `hpo datasets`; give --dataset TOML"
                )
                return [Verification(folder, 0, [("note", unknown)])]
            spec = load_spec(toml)
            modes = {*pd.read_csv(paths.table("table"))["calibration"]} - {"none"} or {"none"}
            tables |= load_benchmark(paths, spec, *modes).tables
        again = {name: tables[name] for name in sorted(names)}
    except UNREADABLE as error:
        return [Verification(folder, 0, [("BROKEN", in_one_line(error))])]
    for name, table in again.items():
        file = paths.table(name)
        messages = Messages()
        made = pd.read_csv(StringIO(table.to_csv(index=False)))
        try:
            pd.testing.assert_frame_equal(pd.read_csv(file), made, rtol=TOLERANCE)
        except (OSError, ValueError, AssertionError) as error:
            messages.append(("DRIFT", f"it differs from the recomputed: {in_one_line(error)}"))
        found.append(Verification(file, table.size, messages))
    return found
