"""All figures, tables and cards of the thesis, each with a sidecar that names its records."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from hpo_lib import __version__, paths
from hpo_lib.errors import Damage, InputError
from hpo_lib.figures import benchmarks, studies, style
from hpo_lib.figures.card import card
from hpo_lib.figures.evidence import (
    Evidence,
    Record,
    Records,
    dataset_of,
    find_evidence,
    warning_for,
)
from hpo_lib.figures.latex import booktabs, included
from hpo_lib.figures.tables import TABLES, caption
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.files import write_json
from hpo_lib.records.study import StoredStudy

NOT_BEHIND_FIGURES = ("study", "launch", "cli", "stop_requests.py", "__main__.py")
"""The parts of `hpo_lib` that no figure, table or card depends on."""


@dataclass(frozen=True)
class Picture:
    """A figure: from which records, its caption without the data, its drawer and plain data."""

    records: str
    shows: str
    draw: Callable[..., Figure]
    data: Callable[[Evidence], pd.DataFrame]


PICTURES: Mapping[str, Picture] = {
    "pareto_fronts": Picture(
        "studies",
        "Pareto fronts of the studies: each point is a complete trial, lower left is better. "
        "Within the grey band all coverage counts as equally good.",
        studies.draw_fronts,
        studies.fronts,
    ),
    "optimisation_history": Picture(
        "studies",
        "Optimisation history: the first objective of each complete trial with the lowest so "
        "far, and the share of the "
        "box of all objectives that the trials so far dominate (hypervolume).",
        studies.draw_history,
        studies.history,
    ),
    "cost": Picture(
        "studies",
        "Training time of every trial and of the whole studies.",
        studies.draw_cost,
        studies.cost,
    ),
    "forecast_weeks": Picture(
        "benchmarks",
        "Forecasts of a winter and a summer week, issued daily at midnight UTC, by the model "
        "with the lowest pinball "
        "loss on validation.",
        benchmarks.draw_weeks,
        benchmarks.weeks,
    ),
    "reliability": Picture(
        "benchmarks",
        "Reliability: share of actual values at or below each quantile less its level, in "
        "percentage points; at 0 a "
        "quantile holds.",
        benchmarks.draw_reliability,
        benchmarks.reliability,
    ),
    "by_hour_ahead": Picture(
        "benchmarks",
        "MAE and raw PICP by hour ahead, of the families and the best baseline (dashed).",
        benchmarks.draw_by_hour,
        benchmarks.by_hour,
    ),
    "drift": Picture(
        "benchmarks",
        "Mean error, actual less median, of the last 28 days: above 0 forecasts are too low.",
        benchmarks.draw_drift,
        benchmarks.drift,
    ),
    "baseline_vs_optimised": Picture(
        "benchmarks",
        "Untuned and tuned models beside baselines, by ascending MAE. All rows share their days, "
        "so models can differ "
        "although their intervals overlap; an arrow marks an MAE beyond the panel.",
        benchmarks.draw_baseline_vs_optimised,
        benchmarks.baseline_vs_optimised,
    ),
    "significance": Picture(
        "benchmarks",
        "Pinball loss of the row's model relative to the column's, in %: below 0 the row is "
        "better. Bold: p < 0.05 in "
        "a Diebold-Mariano test over days, after Holm's correction for all pairs of the dataset.",
        benchmarks.draw_significance,
        benchmarks.significance,
    ),
    "conditional_coverage": Picture(
        "benchmarks",
        "Coverage by local hour (raw dotted), weekday, season and level of the forecast; 80 % is "
        "asked for.",
        benchmarks.draw_coverage,
        benchmarks.coverage,
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
    """
    evidence = find_evidence(runs_dir, benchmark_dir, data_dir, datasets)
    if not publish:
        return build(evidence, ThesisPaths.below(Path(out or paths.DRAFTS_DIR).expanduser()))
    published = ThesisPaths()
    folders = (published.figures, published.tables, published.cards)
    files = sorted(file for folder in folders for file in folder.glob("*") if file.is_file())
    before = {file: file.read_bytes() for file in files}
    written, notes = build(evidence, published)
    new = {*written, *map(published.sidecar, written)}
    for file, content in before.items():
        if file not in new:
            notes.append(f"{file} is older: there are no records for it now.")
        elif file.read_bytes() != content:
            notes.append(f"Replaced {file}.")
    return written, notes


Made = tuple[Mapping[Path, bytes], str, Records]
"""Files with their contents, what they show, and the records behind them."""


def build(evidence: Evidence, out: ThesisPaths) -> tuple[list[Path], list[str]]:
    """Write every figure, table and card for which there are records.

    Figures of many datasets get further pages. Equal records give equal bytes (with the pinned
    matplotlib).

    Returns:
        The files without their sidecars, and sentences on what could not be made.
    """
    written, notes = list[Path](), list(evidence.notes)
    for made in chain(_figures(evidence, out), _tables(evidence, out), _cards(evidence, out)):
        if isinstance(made, str):
            notes.append(made)
        else:
            written += _write(*made)
    return written, notes


def _figures(evidence: Evidence, out: ThesisPaths) -> Iterator[Made | str]:
    for (name, picture), (number, page) in product(
        PICTURES.items(), enumerate(evidence.pages(), 1)
    ):
        file = name if number == 1 else f"{name}_{number}"
        figure, records = drawn(name, page), page.records(picture.records)
        if figure is None:
            yield f"No figure {file}: there are no readable {picture.records} for it."
            continue
        pdf, png, tex = out.figure(file)
        text = caption(picture.shows, page, records)
        snippet = included(f"{pdf.parent.name}/{file}", text, file, warning_for(records))
        images = {pdf: _as_file(figure, ".pdf"), png: _as_file(figure, ".png")}
        yield {**images, tex: snippet.encode()}, text, records


def _tables(evidence: Evidence, out: ThesisPaths) -> Iterator[Made | str]:
    for name, (make, kind) in TABLES.items():
        table, records = make(evidence), evidence.records(kind)
        if table.frame.empty:
            yield f"No table {name}: there are no readable {kind} for it."
            continue
        table = replace(table, caption=caption(table.caption, evidence, records))
        tex, csv = out.table(name)
        latex = booktabs(table, name, warning_for(records))
        contents = {tex: latex.encode(), csv: table.frame.to_csv(index=False).encode()}
        yield contents, table.caption, records


def _cards(evidence: Evidence, out: ThesisPaths) -> Iterator[Made | str]:
    for study in evidence.studies:
        try:
            text = card(evidence, study)
        except InputError as error:
            yield Damage(f"No card of {study.model} on {study.dataset}: {error}.")
            continue
        (file,) = out.card(study.model, study.dataset)
        benchmark = evidence.benchmark(study.dataset)
        shows = f"Model card of {study.model} on {study.dataset}"
        yield {file: text.encode()}, shows, [study, *([benchmark] if benchmark else [])]


def drawn(name: str, evidence: Evidence) -> Figure | None:
    """One figure of `PICTURES`, laid out and marked; None if there are no records for it."""
    picture = PICTURES[name]
    data = picture.data(evidence)
    if data.empty:
        return None
    return finished(picture.draw, [data], evidence.records(picture.records))


def finished(draw: Callable[..., Figure], data: Sequence[Any], records: Records) -> Figure:
    """A figure in the style of the thesis, laid out and marked."""
    with style.thesis_style():
        figure = draw(*data)
        style.marked(figure, warning_for(records), above=True)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is done, and is the same for all files
    return figure


def _as_file(figure: Figure, suffix: str) -> bytes:
    """The figure as a file, without date and version, which would change its bytes each time."""
    metadata = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}[suffix]
    stream = io.BytesIO()
    with style.thesis_style():
        figure.savefig(stream, format=suffix.removeprefix("."), metadata=metadata)
    return stream.getvalue()


DATA_KEYS = ("source", "path", "sha256", "train_end", "val_end", "test_end", "split_note")


def _write(contents: Mapping[Path, bytes], shows: str, records: Records) -> list[Path]:
    """Write the files that are new or differ, and beside them what they were made from."""
    for file, content in contents.items():
        if not file.is_file() or file.read_bytes() != content:
            with paths.atomic(file) as temporary:
                temporary.write_bytes(content)
    files = list(contents)
    sidecar: dict[str, Any] = {
        "files": [file.name for file in files],
        "caption": shows,
        "marked": warning_for(records),
        "records": {
            paths.shown(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for record in records
            for file in record.files
        },
        "data": {
            dataset_of(record): {key: record.data.get(key) for key in DATA_KEYS}
            for record in records
        },
        "code": {
            "hpo_lib": __version__,
            "sha256": _code(),
            "matplotlib": mpl.__version__,
            "records": sorted(set(chain(*map(_commits, records)))),
        },
    }
    write_json(ThesisPaths.sidecar(files[0]), sidecar)
    return files


def _commits(record: Record) -> list[str]:
    """The commits of the code that made a record."""
    made = [record.result] if isinstance(record, StoredStudy) else record.trainings
    return [str(part.get("provenance", {}).get("git_commit")) for part in made]


def _code() -> str:
    """Fingerprint of all code that a figure, table or card depends on."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    files = chain(package.rglob("*.py"), package.rglob("*.mplstyle"))
    for file in sorted(files):
        if file.relative_to(package).parts[0] not in NOT_BEHIND_FIGURES:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
