"""The records behind figures, tables and cards: one study per model, one benchmark per dataset."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpo_lib import paths
from hpo_lib.benchmark.chosen_params import STUDIED
from hpo_lib.benchmark.tables import Benchmark, load_benchmark
from hpo_lib.data.spec import DatasetSpec, development_datasets, known_datasets, load_spec
from hpo_lib.errors import Damage, InputError
from hpo_lib.figures.style import warning_text
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.records.study import StoredStudy, newest_first, read_studies, records_folder
from hpo_lib.settings import PRESETS

NEEDED = (
    "hpo_lib",
    "packages",
    "device",
    "preset",
    "seed",
    "data.source",
    "data.path",
    "data.sha256",
    "data.train_end",
    "data.val_end",
    "data.unit",
    "data.first_hour",
    "data.last_hour",
    "data.hours_filled",
    "data.past_covariates",
    "data.future_covariates",
)
"""What figures, tables and cards take from the provenance of a study."""

Records = Sequence[StoredStudy | Benchmark]


@dataclass(frozen=True)
class Evidence:
    """The records that count, and sentences on those that were passed over and why."""

    studies: tuple[StoredStudy, ...]
    benchmarks: tuple[Benchmark, ...]
    specs: Mapping[str, DatasetSpec]
    notes: tuple[str, ...]

    @property
    def explanations(self) -> tuple[Benchmark, ...]:
        """The benchmarks whose models `hpo explain` has explained."""
        return tuple(one for one in self.benchmarks if one.paths.explanations())

    @property
    def datasets(self) -> list[str]:
        return sorted({study.dataset for study in self.studies})

    def benchmark(self, dataset: str) -> Benchmark | None:
        return next((one for one in self.benchmarks if one.dataset == dataset), None)

    def title(self, dataset: str) -> str:
        return self.specs[dataset].title if dataset in self.specs else dataset

    def pages(self) -> "list[Evidence]":
        """Parts of at most three datasets: the panels of more do not fit on a page."""
        names = sorted({*self.datasets, *(benchmark.dataset for benchmark in self.benchmarks)})
        parts = (names[first : first + 3] for first in range(0, len(names), 3))
        return [
            replace(
                self,
                studies=tuple(study for study in self.studies if study.dataset in part),
                benchmarks=tuple(one for one in self.benchmarks if one.dataset in part),
            )
            for part in parts
        ]


def find_evidence(
    runs_dir: str | Path = "", benchmark_dir: str | Path = "", datasets: Sequence[str] = ()
) -> Evidence:
    """The studies of `gather_studies`, and of each dataset the benchmark with the largest budget.

    Args:
        runs_dir: folder of the studies' records; empty, as for the other folders: the project's.
        benchmark_dir: folder of the benchmarks.
        datasets: TOMLs of datasets that the registry does not know by name; own records, then.

    Raises:
        InputError: there is neither a study nor a benchmark; an unreadable TOML.
    """
    runs = records_folder(runs_dir)
    benchmark_results = Path(benchmark_dir or paths.BENCHMARK_DIR).expanduser()
    own = bool(runs_dir or benchmark_dir or datasets)
    readable, notes = read_studies(runs)
    gathered = gather_studies(of_one_kind(readable, notes, own=own), datasets)
    studies = []
    notes = [*notes, *gathered.notes]
    for study in gathered.studies:
        stated = {**study.provenance, **{f"data.{name}": one for name, one in study.data.items()}}
        lacking = [name for name in NEEDED if stated.get(name) is None]
        if lacking:
            reason = f"provenance.{lacking[0]} is missing; restore it from a copy"
            notes.append(Damage(f"Passed over {study.file}: {reason}."))
        else:
            studies.append(study)
    stored = of_one_kind(paths.benchmarks(benchmark_results), notes, own=own)
    benchmarks = _benchmarks(stored, gathered.specs, notes)
    if not studies and not benchmarks:
        none = f"{runs}: holds no readable best_params JSON, and {benchmark_results} no benchmark;"
        raise InputError(" ".join([none, "make one with `hpo run`.", *notes]))
    return Evidence(tuple(studies), benchmarks, gathered.specs, tuple(notes))


def of_one_kind(records: Sequence[Any], notes: list[str], *, own: bool) -> list[Any]:
    """The published studies or benchmarks or, with ``own``, the others; all if there are none.

    So what somebody made beside the published records neither mixes with them nor marks them.
    """
    kept = [
        one
        for one in records
        if own is not bool(re.search(paths.PUBLISHED, str(getattr(one, "file", "") or one.folder)))
    ]
    if kept and (left := len(records) - len(kept)):
        notes.append(
            f"Left out {left} record{'s' * (left > 1)}: published ones are shown or, if "
            "a folder or dataset is named, own ones."
        )
    return kept or [*records]


def gather_studies(studies: Sequence[StoredStudy], datasets: Sequence[str]) -> Evidence:
    """The studies that can be shown side by side: one per model and dataset, all of the same data.

    Of each dataset that is the data of the newest study, of each model the newest complete study. A
    study of the test preset counts only if there is no other.

    ``datasets`` are TOMLs of datasets that the registry does not know.

    Raises:
        InputError: an unreadable TOML.
    """
    specs = {
        spec.name: spec
        for spec in map(load_spec, [*known_datasets(), *development_datasets(), *datasets])
    }
    notes = list[str]()
    chosen = dict[tuple[str, str], StoredStudy]()
    for study in sorted(newest_first(studies), key=lambda study: (study.dataset, study.is_test)):
        newest = next((one for one in chosen.values() if one.dataset == study.dataset), study)
        cell = study.dataset, study.model
        if study.result["schema_version"] < 2:
            reason = "written before predictions and provenance were stored"
        elif any(study.data.get(key) != newest.data.get(key) for key in STUDIED):
            reason = f"its data or splits are not those of {newest.file.name}"
        elif cell in chosen or study.is_test != newest.is_test:
            reason = (
                f"{chosen.get(cell, newest).file.name} is newer, more complete or of a larger "
                "budget"
            )
        else:
            try:
                _ = study.trials  # of those that count the storages are read now
                chosen[cell] = study
            except InputError as error:
                notes.append(Damage(f"Passed over {error}."))
            continue
        notes.append(f"Passed over {study.file}: {reason}.")
    return Evidence(tuple(chosen[names] for names in sorted(chosen)), (), specs, tuple(notes))


def _benchmarks(
    benchmarks: Sequence[BenchmarkPaths], specs: Mapping[str, DatasetSpec], notes: list[str]
) -> tuple[Benchmark, ...]:
    def rank(benchmark: BenchmarkPaths) -> tuple[int, str]:
        """Larger budgets first, and refitted models before others."""
        budget, *how = benchmark.setting.split("-")
        place = [*reversed(PRESETS), budget].index(budget)
        return place, "" if "refit" in how else benchmark.setting

    by_dataset = dict[str, Benchmark]()
    for stored in sorted(benchmarks, key=rank):
        name = stored.dataset
        if name in by_dataset:
            reason = f"{by_dataset[name].paths.setting} is shown"
        elif name not in specs:
            reason = "the registry does not know the dataset; name its TOML"
        else:
            try:
                by_dataset[name] = load_benchmark(stored, specs[name])
            except InputError as error:
                notes.append(Damage(f"Passed over a benchmark: {error}."))
            continue
        notes.append(f"Passed over {stored.folder}: {reason}.")
    return tuple(by_dataset[name] for name in sorted(by_dataset))


def warning_for(records: Records) -> str:
    """The warning on a picture of these records, see `warning_text`."""
    return warning_text(
        [record.source for record in records], is_test=any(record.is_test for record in records)
    )
