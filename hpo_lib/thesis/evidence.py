"""The records behind figures, tables and cards: one study per model and dataset, one benchmark per dataset."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib import paths, results
from hpo_lib.benchmark_table import Row, benchmark_table, comparison_table, coverage_table, load_rows, reliability_table
from hpo_lib.calibration import Calibration
from hpo_lib.data.load import Dataset, load_dataset
from hpo_lib.data.registry import DatasetSpec, known_datasets, load_spec
from hpo_lib.errors import InputError
from hpo_lib.families.base import family_names
from hpo_lib.forecasts import QuantileForecasts
from hpo_lib.paths import BenchmarkPaths, RunPaths
from hpo_lib.results import TrialRecord
from hpo_lib.study_history import StudyHistory, read_history

CALIBRATIONS = tuple(Calibration(mode) for mode in ("none", "split", "rolling"))
PARAMS_ORDER = ("best", "file", "default", "own")
"""Which parameters stand for a model where a figure shows one row of it: the first of these that is there."""

PRESETS_ORDER = ("a100", "laptop", "test")


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


@dataclass(frozen=True)
class Evidence:
    """All that was found, and sentences on what was passed over and why."""

    studies: tuple[Study, ...]
    benchmarks: tuple[Benchmark, ...]
    specs: Mapping[str, DatasetSpec]
    notes: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        return [name for name in family_names() if any(study.model == name for study in self.studies)]

    @property
    def datasets(self) -> list[str]:
        """Datasets of the studies, by name."""
        return sorted({study.dataset for study in self.studies})

    def study(self, model: str, dataset: str) -> Study | None:
        return next((s for s in self.studies if (s.model, s.dataset) == (model, dataset)), None)

    def benchmark(self, dataset: str) -> Benchmark | None:
        return next((b for b in self.benchmarks if b.name == dataset), None)

    def title(self, dataset: str) -> str:
        """A dataset as a reader knows it."""
        return self.specs[dataset].title if dataset in self.specs else dataset


def gather(runs_dir: Path, benchmark_dir: Path, data_dir: Path, datasets: Sequence[str] = ()) -> Evidence:
    """Everything below the two folders that can stand side by side.

    Of each dataset, studies of one fingerprint of data count, those of the newest study; a study of the test preset
    counts only where there is no other. Of a model the newest complete study counts.

    Args:
        runs_dir: folder of the studies' records.
        benchmark_dir: folder of the benchmarks.
        data_dir: folder of the CSVs; calibration and MASE of a benchmark need the data that it was made on.
        datasets: TOMLs of datasets that the registry does not know by name.

    Raises:
        InputError: there is neither a study nor a benchmark; an unreadable TOML.
    """
    specs = {spec.name: spec for spec in map(load_spec, [*known_datasets(), *datasets])}
    notes: list[str] = []
    studies = _studies(runs_dir, notes)
    benchmarks = _benchmarks(benchmark_dir, data_dir, specs, notes)
    if not studies and not benchmarks:
        raise InputError(
            f"{runs_dir}: holds no readable best_params JSON, and {benchmark_dir} no benchmark; make one with `hpo run`"
        )
    return Evidence(tuple(studies), tuple(benchmarks), specs, tuple(notes))


def words(items: Iterable[Study | Benchmark]) -> str:
    """What a picture of these records must say: that data is simulated, that trainings only tested something."""
    found = list(items)
    simulated = ["SIMULATED DATA"] if any(item.is_simulated for item in found) else []
    return ", ".join([*simulated, *(["TEST BUDGET"] if any(item.is_test for item in found) else [])])


def _studies(runs_dir: Path, notes: list[str]) -> list[Study]:
    found: dict[str, list[Study]] = {}
    for file in paths.result_files(runs_dir):
        try:
            result = results.load_result(file)
            if result["schema_version"] < 2:
                notes.append(f"Passed over {file}: written before predictions and provenance were stored.")
                continue
            run = RunPaths(runs_dir, result["model"], result["dataset"], str(result["job_id"]))
            found.setdefault(run.dataset, []).append(Study(file, result, run, read_history(run)))
        except InputError as error:
            notes.append(f"Passed over {error}.")
    return [study for dataset in sorted(found) for study in _side_by_side(found[dataset], notes)]


def _side_by_side(studies: list[Study], notes: list[str]) -> list[Study]:
    """One study per model, all of the same data."""
    real = [study for study in studies if not study.is_test] or studies
    newest = max(real, key=_rank)
    chosen: dict[str, Study] = {}
    for study in sorted(real, key=_rank, reverse=True):
        if _data_key(study) == _data_key(newest):
            chosen.setdefault(study.model, study)
    for study in studies:
        shown = chosen.get(study.model, newest)
        if _data_key(study) != _data_key(newest):
            notes.append(f"Passed over {study.file}: its data or splits are not those of {newest.file.name}.")
        elif study is not shown:
            notes.append(f"Passed over {study.file}: {shown.file.name} is newer, more complete or of a larger budget.")
    return [chosen[model] for model in sorted(chosen)]


def _rank(study: Study) -> tuple[bool, str, str]:
    return study.result["status"] == "complete", str(study.result["optimization_date"]), study.file.name


def _data_key(study: Study) -> tuple[object, ...]:
    return tuple(study.data.get(name) for name in ("sha256", "train_end", "val_end"))


def _benchmarks(out: Path, data_dir: Path, specs: Mapping[str, DatasetSpec], notes: list[str]) -> list[Benchmark]:
    found: dict[str, Benchmark] = {}
    for own in sorted(paths.benchmarks(out), key=_setting_rank):
        if own.dataset in found:
            notes.append(f"Passed over {own.folder}: {found[own.dataset].paths.setting} is shown.")
        elif own.dataset not in specs:
            notes.append(f"Passed over {own.folder}: the registry does not know the dataset; name its TOML.")
        else:
            try:
                dataset = load_dataset(specs[own.dataset], data_dir)
                found[own.dataset] = Benchmark(own, dataset, load_rows(own, dataset))
            except InputError as error:
                notes.append(f"Passed over a benchmark: {error}.")
    return [found[name] for name in sorted(found)]


def _setting_rank(own: BenchmarkPaths) -> tuple[int, str]:
    """Larger budgets first, a refitted one before one that is not."""
    preset = own.setting.split("-")[0]
    place = PRESETS_ORDER.index(preset) if preset in PRESETS_ORDER else len(PRESETS_ORDER)
    return place, "" if own.setting.endswith("-refit") else own.setting


def _from_summary(found: Mapping[str, Any]) -> TrialRecord:
    scores = {name: found[name] for name in ("picp", "pinball", "winkler") if found.get(name) is not None}
    state = str(found.get("state", "complete"))
    if state != "complete":
        return TrialRecord(int(found["trial"]), state, found["params"])
    return TrialRecord(int(found["trial"]), state, found["params"], found["mae"], found["picp_penalty"], scores)
