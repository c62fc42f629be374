"""Everything for the thesis in one go: figures, tables and cards, each with a sidecar that names
its records.
"""

import hashlib
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from hpo_lib import __version__, paths
from hpo_lib.errors import Damage, InputError
from hpo_lib.figures import benchmark_data, benchmark_plots, studies, style
from hpo_lib.figures.benchmark_record import Benchmark, warning_for
from hpo_lib.figures.card import card
from hpo_lib.figures.evidence import Evidence, find_evidence
from hpo_lib.figures.latex import booktabs, included
from hpo_lib.figures.tables import TABLES, caption
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.files import as_mapping, write_json
from hpo_lib.records.study import StoredStudy

NOT_BEHIND_FIGURES = ("study", "launch", "cli", "stop_requests.py", "__main__.py")
"""The parts of `hpo_lib` that no figure, table or card depends on."""


@dataclass(frozen=True)
class Picture:
    """A figure: from which records, its caption without the data, how it is drawn, and its plain
    data.
    """

    records: str
    shows: str
    draw: Callable[..., Figure]
    data: Sequence[Callable[[Evidence], pd.DataFrame]]


PICTURES: Mapping[str, Picture] = {
    "pareto_fronts": Picture(
        "studies",
        "Pareto fronts of the studies: each point is a complete trial, lower left is better. "
        "Within the grey band all "
        "coverage counts as equally good.",
        studies.draw_fronts,
        [studies.fronts],
    ),
    "optimisation_history": Picture(
        "studies",
        "Optimisation history: the first objective of each complete trial with the lowest so "
        "far, and the share of the "
        "box of all objectives that the trials so far dominate (hypervolume).",
        studies.draw_history,
        [studies.history],
    ),
    "cost": Picture(
        "studies",
        "Training time of every trial and of the whole studies.",
        studies.draw_cost,
        [studies.cost],
    ),
    "forecast_weeks": Picture(
        "benchmarks",
        "Forecasts of a winter and a summer week, issued daily at midnight UTC, by the model "
        "with the lowest pinball "
        "loss on validation.",
        benchmark_plots.weeks,
        [benchmark_data.weeks],
    ),
    "reliability": Picture(
        "benchmarks",
        "Reliability: share of actual values at or below each quantile less its level, in "
        "percentage points; at 0 a "
        "quantile holds.",
        benchmark_plots.reliability,
        [benchmark_data.reliability],
    ),
    "by_hour_ahead": Picture(
        "benchmarks",
        "MAE and raw PICP by hour ahead, of the families and the best baseline (dashed).",
        benchmark_plots.by_hour,
        [benchmark_data.by_hour],
    ),
    "drift": Picture(
        "benchmarks",
        "Mean error, actual less median, of the last 28 days: above 0 forecasts are too low.",
        benchmark_plots.drift,
        [benchmark_data.drift],
    ),
    "baseline_vs_optimised": Picture(
        "benchmarks",
        "Untuned and tuned models beside baselines, by ascending MAE. All rows share their days, "
        "so models can differ "
        "although their intervals overlap; an arrow marks an MAE beyond the panel.",
        benchmark_plots.baseline_vs_optimised,
        [benchmark_data.baseline_vs_optimised],
    ),
    "significance": Picture(
        "benchmarks",
        "Pinball loss of the row's model relative to the column's, in %: below 0 the row is "
        "better. Bold: p < 0.05 in "
        "a Diebold-Mariano test over days, after Holm's correction for all pairs of the dataset.",
        benchmark_plots.significance,
        [benchmark_data.significance],
    ),
    "conditional_coverage": Picture(
        "benchmarks",
        "Coverage by local hour (raw dotted), weekday, season and level of the forecast; 80 % is "
        "asked for.",
        benchmark_plots.coverage,
        [benchmark_data.coverage],
    ),
}
"""Name of the files -> figure."""


def make_all(
    runs_dir: str = "",
    benchmark_dir: str = "",
    data_dir: str = "",
    datasets: Sequence[str] = (),
    out: str = "",
    *,
    publish: bool = False,
) -> tuple[list[Path], list[str]]:
    """Every figure, table and card, see `build`; folders are texts, empty for the default.

    They go below ``out``, by default a folder that git ignores. With ``publish`` they take the
    places of the tracked ones instead, and a sentence names each of those that they replace.

    Raises:
        InputError: as `find_evidence` raises it.
    """
    evidence = find_evidence(runs_dir, benchmark_dir, data_dir, datasets)
    if not publish:
        return build(
            evidence, ThesisPaths.below(Path(out).expanduser() if out else paths.DRAFTS_DIR)
        )
    published = ThesisPaths()
    folders = (published.figures, published.tables, published.cards)
    before = {
        file: file.read_bytes() for folder in folders for file in folder.glob("*") if file.is_file()
    }
    written, notes = build(evidence, published)
    new = {file for one in written for file in (one, published.sidecar(one))}
    replaced = [
        f"Replaced {file}."
        for file in sorted(new & set(before))
        if file.read_bytes() != before[file]
    ]
    kept = [
        f"{file} is older: there are no records for it now." for file in sorted(set(before) - new)
    ]
    return written, [*notes, *replaced, *kept]


def build(evidence: Evidence, out: ThesisPaths) -> tuple[list[Path], list[str]]:
    """Write every figure, table and card for which there are records; figures of many datasets get
    further pages.

    Equal records give equal bytes (with the pinned matplotlib).

    Returns:
        The files without their sidecars, and sentences on what could not be made.
    """
    written: list[Path] = []
    notes = list(evidence.notes)
    for (name, picture), (number, page) in itertools.product(
        PICTURES.items(), enumerate(evidence.pages(), 1)
    ):
        file = name if number == 1 else f"{name}_{number}"
        if figure := drawn(name, page):
            pdf, png, tex = out.figure(file)
            told = caption(picture.shows, page, records := _records(page, picture.records))
            snippet = included(
                f"{pdf.parent.name}/{file}", told, file, warning_for(records).capitalize()
            )
            contents = {
                pdf: _as_file(figure, ".pdf"),
                png: _as_file(figure, ".png"),
                tex: snippet.encode(),
            }
            written += _write(contents, told, records)
        else:
            notes.append(f"No figure {file}: there are no readable {picture.records} for it.")
    for name, (make, kind) in TABLES.items():
        table, records = make(evidence), _records(evidence, kind)
        if table.frame.empty:
            notes.append(f"No table {name}: there are no readable {kind} for it.")
            continue
        table = replace(table, caption=caption(table.caption, evidence, records))
        texts = (
            booktabs(table, name, warning_for(records).capitalize()),
            table.frame.to_csv(index=False),
        )
        contents = {file: text.encode() for file, text in zip(out.table(name), texts, strict=True)}
        written += _write(contents, table.caption, records)
    for study in evidence.studies:
        try:
            text = card(evidence, study)
        except InputError as error:
            notes.append(Damage(f"No card of {study.model} on {study.dataset}: {error}."))
            continue
        benchmark = evidence.benchmark(study.dataset)
        contents = {file: text.encode() for file in out.card(study.model, study.dataset)}
        shows = f"Model card of {study.model} on {study.dataset}"
        written += _write(contents, shows, [study, *([benchmark] if benchmark else [])])
    return written, notes


def drawn(name: str, evidence: Evidence) -> Figure | None:
    """One figure of `PICTURES`, laid out and marked; None if there are no records for it."""
    picture = PICTURES[name]
    data = [make(evidence) for make in picture.data]
    if any(table.empty for table in data):
        return None
    return finished(picture.draw, data, _records(evidence, picture.records))


def finished(
    draw: Callable[..., Figure], data: Sequence[Any], records: Sequence[StoredStudy | Benchmark]
) -> Figure:
    """A figure in the style of the thesis, laid out and marked."""
    with style.thesis_style():
        figure = draw(*data)
        style.mark(figure, warning_for(records))
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is done, and is the same for all files
    return figure


def _records(evidence: Evidence, kind: str) -> Sequence[StoredStudy | Benchmark]:
    return evidence.studies if kind == "studies" else evidence.benchmarks


def _as_file(figure: Figure, suffix: str) -> bytes:
    """The figure as a file, without date and version, which would change its bytes each time."""
    metadata = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}[suffix]
    stream = io.BytesIO()
    with style.thesis_style():
        figure.savefig(stream, format=suffix.removeprefix("."), metadata=metadata)
    return stream.getvalue()


def _write(
    contents: Mapping[Path, bytes], told: str, records: Sequence[StoredStudy | Benchmark]
) -> list[Path]:
    """Write files, those that are the same already excepted, and what they were made from beside
    them.
    """
    for file, content in contents.items():
        if not file.is_file() or file.read_bytes() != content:
            with paths.atomic(file) as temporary:
                temporary.write_bytes(content)
    files = list(contents)
    code = {
        "hpo_lib": __version__,
        "sha256": _code(),
        "matplotlib": mpl.__version__,
        "records": _commits(records),
    }
    sidecar: dict[str, Any] = {
        "files": [file.name for file in files],
        "caption": told,
        "marked": warning_for(records),
        "records": {
            _project_path(file): _sha256(file) for record in records for file in record.files
        },
        "data": {
            _dataset(record): {key: record.data.get(key) for key in DATA_KEYS} for record in records
        },
        "code": code,
    }
    write_json(ThesisPaths.sidecar(files[0]), sidecar)
    return files


DATA_KEYS = ("source", "path", "sha256", "train_end", "val_end", "test_end", "split_note")


def _dataset(record: StoredStudy | Benchmark) -> str:
    return record.dataset if isinstance(record, StoredStudy) else record.name


def _commits(records: Sequence[StoredStudy | Benchmark]) -> list[str]:
    """The commits of the code that made the records."""
    made = [
        [record.result] if isinstance(record, StoredStudy) else record.trainings
        for record in records
    ]
    return sorted(
        {str(as_mapping(one.get("provenance")).get("git_commit")) for one in itertools.chain(*made)}
    )


def _code() -> str:
    """Fingerprint of all code behind a figure: the rooms that this one imports, directly or through
    others.
    """
    package = Path(__file__).parent.parent
    files = [
        file
        for file in package.rglob("*.py")
        if file.relative_to(package).parts[0] not in NOT_BEHIND_FIGURES
    ]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _project_path(file: Path) -> str:
    """A path within the project as it is the same on every machine."""
    absolute = file.resolve()
    inside = absolute.is_relative_to(paths.PROJECT_ROOT)
    return absolute.relative_to(paths.PROJECT_ROOT).as_posix() if inside else file.as_posix()
