"""A study and a benchmark as figures, tables and cards see them: what lies in their files, read but never changed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib import results
from hpo_lib.benchmark_table import Row, benchmark_table, comparison_table, coverage_table, reliability_table
from hpo_lib.calibration import Calibration
from hpo_lib.data.load import Dataset
from hpo_lib.families.base import family_names
from hpo_lib.forecasts import QuantileForecasts
from hpo_lib.paths import BenchmarkPaths, RunPaths
from hpo_lib.results import TrialRecord
from hpo_lib.study_history import StudyHistory

CALIBRATIONS = tuple(Calibration(mode) for mode in ("none", "split", "rolling"))
PARAMS_ORDER = ("best", "file", "default", "own")
"""Which parameters stand for a model where a figure shows one row of it: the first of these that is there."""


@dataclass(frozen=True)
class Study:
    """One study: its JSON and what its storage remembers."""

    file: Path
    result: Mapping[str, Any]
    run: RunPaths
    history: StudyHistory | None

    @property
    def model(self) -> str:
        return str(self.result["model"])

    @property
    def dataset(self) -> str:
        return str(self.result["dataset"])

    @property
    def data(self) -> Mapping[str, Any]:
        """Provenance of the data."""
        found: Mapping[str, Any] = self.result["provenance"]["data"]
        return found

    @property
    def unit(self) -> str:
        return str(self.data["unit"])

    @property
    def is_simulated(self) -> bool:
        return bool(self.data["source"] == "simulated")

    @property
    def is_test(self) -> bool:
        return bool(self.result["provenance"].get("preset") == "test")

    @cached_property
    def trials(self) -> tuple[TrialRecord, ...]:
        """All trials; without the storage those that the JSON lists: defaults and Pareto front."""
        if self.history is not None:
            return self.history.trials
        listed = [self.result["default_trial"], *self.result["all_pareto_trials"]]
        by_number = {trial["trial"]: trial for trial in listed if trial}
        return tuple(_from_summary(by_number[number]) for number in sorted(by_number))

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front, by ascending MAE."""
        return results.pareto_front(self.trials)

    @property
    def chosen(self) -> int:
        """Number of the chosen trial."""
        return int(self.result["best_trial_number"])

    @property
    def default(self) -> TrialRecord:
        """The trial of the untuned defaults."""
        return results.default_trial(self.trials)

    def predictions(self, trial: int) -> QuantileForecasts:
        """Stored validation forecasts of a trial."""
        return results.load_predictions(self.run.trial_predictions(trial))

    @property
    def files(self) -> list[Path]:
        """The records that a figure of this study is drawn from."""
        return [self.file, *([self.history.file] if self.history else [])]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark with its rows and the tables that follow from its stored forecasts."""

    paths: BenchmarkPaths
    dataset: Dataset
    rows: Sequence[Row]

    @property
    def name(self) -> str:
        return self.dataset.spec.name

    @property
    def unit(self) -> str:
        return self.dataset.spec.unit

    @property
    def is_simulated(self) -> bool:
        return self.dataset.source == "simulated"

    @property
    def is_test(self) -> bool:
        return self.paths.setting.startswith("test-")

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of every row, raw and calibrated, see `benchmark_table`."""
        return benchmark_table(self.rows, self.dataset, CALIBRATIONS)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """Diebold-Mariano tests of every two shown rows."""
        return comparison_table(self.shown)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Conditional coverage of the shown rows, raw and calibrated."""
        return coverage_table(self.shown, self.dataset, CALIBRATIONS)

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """Observed frequencies of the shown rows, raw and calibrated."""
        return reliability_table(self.shown, self.dataset, CALIBRATIONS)

    @property
    def shown(self) -> list[Row]:
        """One row per model, with its best kind of parameters; no blends."""
        found: dict[str, Row] = {}
        for row in sorted(self.rows, key=lambda row: PARAMS_ORDER.index(row.params)):
            if not row.model.startswith("BLEND"):
                found.setdefault(row.model, row)
        return list(found.values())

    @property
    def families(self) -> list[Row]:
        """The shown rows of the studied families."""
        return [row for row in self.shown if row.model in family_names()]

    @cached_property
    def trainings(self) -> list[Mapping[str, Any]]:
        """The record of every training."""
        return [json.loads(file.read_text(encoding="utf-8")) for file in self.paths.records()]

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Provenance of the data, which is one for all trainings."""
        found: Mapping[str, Any] = self.trainings[0]["provenance"]["data"]
        return found

    def tuned_row(self, study: Study) -> Row | None:
        """The row that was trained with the parameters that a study chose."""
        wanted = dict(study.result["best_params"])
        kinds = {t["params"] for t in self.trainings if t["model"] == study.model and t["key"].get("params") == wanted}
        rows = [row for row in self.rows if row.model == study.model and row.params in kinds]
        return min(rows, key=lambda row: PARAMS_ORDER.index(row.params), default=None)

    @property
    def files(self) -> list[Path]:
        """Records and stored forecasts."""
        return sorted(self.paths.runs.glob("*-seed*"))


def words(items: Iterable[Study | Benchmark]) -> str:
    """What a picture of these records must say, see `warning`."""
    found = list(items)
    return warning(any(item.is_simulated for item in found), any(item.is_test for item in found))


def warning(is_simulated: bool, is_test: bool) -> str:
    """What must not be overlooked: that data is simulated, that trainings only tested something."""
    return ", ".join([*(["SIMULATED DATA"] if is_simulated else []), *(["TEST BUDGET"] if is_test else [])])


def _from_summary(found: Mapping[str, Any]) -> TrialRecord:
    scores = {name: found[name] for name in ("picp", "pinball", "winkler") if found.get(name) is not None}
    state = str(found.get("state", "complete"))
    if state != "complete":
        return TrialRecord(int(found["trial"]), state, found["params"])
    return TrialRecord(int(found["trial"]), state, found["params"], found["mae"], found["picp_penalty"], scores)
