"""Everything for the thesis in one go: figures, tables and cards, each with a sidecar that names its records."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from hpo_lib import __version__, paths
from hpo_lib.errors import InputError
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.files import write_json
from hpo_lib.records.study import StoredStudy
from hpo_lib.thesis import benchmark_data, benchmark_plots, latex, study_data, study_plots, style
from hpo_lib.thesis.benchmark_record import Benchmark, words
from hpo_lib.thesis.cards import card
from hpo_lib.thesis.evidence import Evidence
from hpo_lib.thesis.tables import TABLES, Table

NOT_BEHIND_FIGURES = ("study", "launch", "cli", "stop_requests.py", "__main__.py")
"""What of `hpo_lib` no figure, table or card depends on."""

Data = Callable[[Evidence], pd.DataFrame]


@dataclass(frozen=True)
class Picture:
    """A figure: what it shows, its plain data (one table or several), how they are drawn, and from which records."""

    shows: str
    data: tuple[Data, ...]
    draw: Callable[..., Figure]
    records: str


PICTURES: Mapping[str, Picture] = {
    "pareto_fronts": Picture("Pareto fronts", (study_data.fronts,), study_plots.fronts, "studies"),
    "optimisation_history": Picture(
        "Optimisation history and hypervolume", (study_data.history,), study_plots.history, "studies"
    ),
    "parameter_importance": Picture(
        "Importance of hyperparameters for both objectives", (study_data.importance,), study_plots.importance, "studies"
    ),
    "cost": Picture("Training time", (study_data.cost,), study_plots.cost, "studies"),
    "forecast_weeks": Picture(
        "A winter and a summer week", (benchmark_data.weeks,), benchmark_plots.weeks, "benchmarks"
    ),
    "reliability": Picture("Reliability", (benchmark_data.reliability,), benchmark_plots.reliability, "benchmarks"),
    "by_hour_ahead": Picture(
        "MAE and PICP by hour ahead", (benchmark_data.by_hour,), benchmark_plots.by_hour, "benchmarks"
    ),
    "residuals": Picture(
        "Errors: distribution and drift", (benchmark_data.error_shares, benchmark_data.drift),
        benchmark_plots.residuals, "benchmarks",
    ),
    "baseline_vs_optimised": Picture(
        "Untuned and tuned models beside opponents", (benchmark_data.baseline_vs_optimised,),
        benchmark_plots.baseline_vs_optimised, "benchmarks",
    ),
    "significance": Picture(
        "Diebold-Mariano tests of every two models", (benchmark_data.significance,), benchmark_plots.significance,
        "benchmarks",
    ),
    "conditional_coverage": Picture(
        "Coverage by hour, weekday, season and demand, raw",
        (lambda evidence: benchmark_data.coverage(evidence, "none"),), benchmark_plots.coverage, "benchmarks",
    ),
    "conditional_coverage_rolling": Picture(
        "The same after rolling calibration",
        (lambda evidence: benchmark_data.coverage(evidence, "rolling"),), benchmark_plots.coverage, "benchmarks",
    ),
}  # fmt: skip
"""Name of the files -> figure."""


def build(evidence: Evidence, out: ThesisPaths) -> tuple[list[Path], list[str]]:
    """Write every figure, table and card for which there are records.

    Equal records give equal bytes (with the pinned matplotlib).

    Returns:
        The files without their sidecars, and sentences on what could not be made.
    """
    written: list[Path] = []
    notes = list(evidence.notes)
    for name, picture in PICTURES.items():
        with style.thesis_style():
            figure = drawn(name, evidence)
            if figure is None:
                notes.append(f"No figure {name}: there are no {picture.records} with what it shows.")
                continue
            files: tuple[Path, ...] = out.figure(name)
            for file in files:
                _write(file, _as_file(figure, file.suffix))
        written += _with_sidecar(files, picture.shows, _items(evidence, picture.records))
    for name, (make, records) in TABLES.items():
        items, table = _items(evidence, records), make(evidence)
        if table.frame.empty:
            notes.append(f"No table {name}: there are no {records} with what it shows.")
            continue
        files = out.table(name)
        _write(files[0], _as_latex(table, name, words(items)).encode())
        _write(files[1], table.frame.to_csv(index=False).encode())
        written += _with_sidecar(files, table.caption, items)
    for study in evidence.studies:
        benchmark = evidence.benchmark(study.dataset)
        items = [study, *([benchmark] if benchmark else [])]
        try:
            text = card(evidence, study)
        except InputError as error:
            notes.append(f"No card of {study.model} on {study.dataset}: {error}.")
            continue
        files = out.card(study.model, study.dataset)
        _write(files[0], text.encode())
        written += _with_sidecar(files, f"Model card of {study.model} on {study.dataset}", items)
    return written, notes


def drawn(name: str, evidence: Evidence) -> Figure | None:
    """One figure, laid out and marked; None where there are no records with what it shows.

    Args:
        name: one of `PICTURES`.
        evidence: the records.
    """
    picture = PICTURES[name]
    data = [make(evidence) for make in picture.data]
    if any(table.empty for table in data):
        return None
    with style.thesis_style():
        figure = picture.draw(*data)
        style.mark(figure, words(_items(evidence, picture.records)))
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is done, and is one for all files
    return figure


def _items(evidence: Evidence, records: str) -> list[StoredStudy | Benchmark]:
    return list(evidence.studies if records == "studies" else evidence.benchmarks)


def _as_latex(table: Table, name: str, warning: str) -> str:
    return latex.booktabs(
        table.header, table.sections, caption=table.caption, label=name, align=table.align,
        warning=warning.capitalize(), groups=table.groups,
    )  # fmt: skip


def _as_file(figure: Figure, suffix: str) -> bytes:
    """The figure as a file, without the date and the version that would make it another one each time."""
    metadata = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}[suffix]
    stream = io.BytesIO()
    figure.savefig(stream, format=suffix.removeprefix("."), metadata=metadata)
    return stream.getvalue()


def _write(file: Path, content: bytes) -> None:
    """A file that is the same already is left alone."""
    if file.is_file() and file.read_bytes() == content:
        return
    with paths.atomic(file) as temporary:
        temporary.write_bytes(content)


def _with_sidecar(files: Sequence[Path], shows: str, items: Iterable[StoredStudy | Benchmark]) -> Sequence[Path]:
    """Write what the files were made from beside them."""
    found = list(items)
    content: dict[str, Any] = {
        "files": [file.name for file in files],
        "shows": shows,
        "marked": words(found),
        "records": {_shown(file): _sha256(file) for item in found for file in item.files},
        "data": _data(found),
        "code": {"hpo_lib": __version__, "sha256": _code(), "matplotlib": mpl.__version__, "records": _commits(found)},
    }
    write_json(ThesisPaths.sidecar(files[0]), content)
    return files


def _data(items: Sequence[StoredStudy | Benchmark]) -> dict[str, Any]:
    """Dataset -> source, fingerprint and splits."""
    found = {}
    for item in items:
        data = item.data if isinstance(item, StoredStudy) else item.provenance
        name = item.dataset if isinstance(item, StoredStudy) else item.name
        found[name] = {key: data[key] for key in ("source", "path", "sha256", "train_end", "val_end", "test_end")}
    return found


def _commits(items: Sequence[StoredStudy | Benchmark]) -> list[str]:
    """The commits of the code that made the records."""
    records = [
        record for item in items for record in ([item.result] if isinstance(item, StoredStudy) else item.trainings)
    ]
    return sorted({str(record["provenance"]["git_commit"]) for record in records})


def _code() -> str:
    """Fingerprint of all code behind a figure: the rooms that this one imports, straight or through others."""
    package = Path(__file__).parent.parent
    files = [file for file in package.rglob("*.py") if file.relative_to(package).parts[0] not in NOT_BEHIND_FIGURES]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _shown(file: Path) -> str:
    """A path as it is the same on every machine, where it lies within the project."""
    absolute = file.resolve()
    inside = absolute.is_relative_to(paths.PROJECT_ROOT)
    return absolute.relative_to(paths.PROJECT_ROOT).as_posix() if inside else file.as_posix()
