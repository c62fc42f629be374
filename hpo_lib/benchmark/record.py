"""A stored benchmark as figures, tables and cards see it: read from its files, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.benchmark.tables import BenchmarkRow, benchmark_table, coverage_table
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import described, family_names, model_names, read_recipe
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import files_of, read_training
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import MODES, Calibration

CALIBRATIONS = tuple(map(Calibration, MODES))

PARAMS_ORDER = ("best", "file", "ensemble", "default", "own")
"""If a figure shows one row of a model, the row with the first of these parameters that is there.
"""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark with its rows and the tables that follow from its stored forecasts.

    Scores in the target's unit are in a readable one, see `readable_unit`; ``correction`` is what
    figures show beside raw forecasts.
    """

    paths: BenchmarkPaths
    dataset: Dataset
    rows: Sequence[BenchmarkRow]
    correction: Calibration = CALIBRATIONS[-1]

    @property
    def name(self) -> str:
        return self.dataset.spec.name

    @property
    def unit(self) -> str:
        return self._unit_and_factor[0]

    @cached_property
    def _unit_and_factor(self) -> tuple[str, float]:
        lowest = min(metrics.mae(row.test) for row in self.rows)
        return metrics.readable_unit(self.dataset.spec.unit, lowest)

    def in_unit(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of values in the target's own unit in `unit`."""
        names = [name for name in map(str, table) if metrics.in_target_unit(name)]
        return table.assign(**{name: table[name] * self._unit_and_factor[1] for name in names})

    @property
    def source(self) -> str:
        return self.dataset.source

    @property
    def is_test(self) -> bool:
        return self.paths.setting.startswith("test-")

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of every row, raw and calibrated, see `benchmark_table`."""
        return self.in_unit(benchmark_table(self.rows, self.dataset, self.calibrations))

    @property
    def calibrations(self) -> Sequence[Calibration]:
        return list({one.mode: one for one in (*CALIBRATIONS, self.correction)}.values())

    @cached_property
    def shown(self) -> pd.DataFrame:
        """The rows of figures and tables by ascending MAE.

        Scores are raw, those that end in ``_calibrated`` are after `correction`.
        """
        blends, default = self.table["model"].isin(model_names("blend")), self.table["params"]
        table = self.table[~(blends & (default == "default"))].set_index(["model", "params"])
        raw, corrected = (
            table[table["calibration"] == mode] for mode in ("none", self.correction.mode)
        )
        scores = corrected[["picp", "winkler"]].add_suffix("_calibrated")
        return raw.assign(**scores).sort_values("mae", kind="stable").reset_index()

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Conditional coverage of the families: ``picp``, ``picp_calibrated`` by `correction`."""
        raw, corrected = (
            coverage_table(self.families, self.dataset, [calibration])
            for calibration in (Calibration("none"), self.correction)
        )
        return self.in_unit(raw.assign(picp_calibrated=corrected["picp"]))

    @property
    def row_per_model(self) -> list[BenchmarkRow]:
        """Each model with its best kind of parameters; no blends."""
        best: dict[str, BenchmarkRow] = {}
        for row in self._by_params:
            if described(row.model).kind != "blend":
                best.setdefault(row.model, row)
        return list(best.values())

    @property
    def _by_params(self) -> list[BenchmarkRow]:
        return sorted(self.rows, key=lambda row: PARAMS_ORDER.index(row.params))

    @property
    def families(self) -> list[BenchmarkRow]:
        """`row_per_model` of the studied families."""
        return [row for row in self.row_per_model if row.model in family_names()]

    @cached_property
    def trainings(self) -> list[Mapping[str, Any]]:
        """The record of every training."""
        return [read_training(file) for file in self.paths.records()]

    @property
    def data(self) -> Mapping[str, Any]:
        """Provenance of the data, which is the same for all trainings."""
        return self.trainings[0].get("provenance", {}).get("data") or {}

    def tuned_row(self, study: StoredStudy) -> BenchmarkRow | None:
        """The row that was trained with the parameters that a study chose."""
        wanted = study.result["best_params"]
        rows = {
            (t["model"], t["params"]) for t in self.trainings if _trained_with(t["key"], wanted)
        }
        fitting = [
            r for r in self._by_params if r.model == study.model and (r.model, r.params) in rows
        ]
        return next(iter(fitting), None)

    @property
    def files(self) -> list[Path]:
        """Records, and the stored forecasts that they name."""
        stored = [files_of(self.paths, one) for one in self.trainings]
        return sorted(file for one in stored for file in (one.record, *one.forecasts.values()))


def _trained_with(key: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether a training's key holds these parameters; its recipe holds those of the recipe."""
    recipe = read_recipe(key.get("recipe", {}))
    return recipe is not None and recipe.updated(params) == (recipe, key.get("params"))
