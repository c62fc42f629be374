"""All figures, tables and cards: in notebooks, and as files of a thesis.

Each file has a sidecar that names its records.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from IPython.display import HTML, Image, display
from matplotlib.figure import Figure

from hpo_lib import paths
from hpo_lib.benchmark.tables import load_benchmark
from hpo_lib.data.spec import DatasetSpec, load_spec
from hpo_lib.errors import Damage, InputError
from hpo_lib.figures import benchmarks, explanations, studies, style
from hpo_lib.figures.card import card
from hpo_lib.figures.evidence import (
    Evidence,
    Records,
    find_evidence,
    gather_studies,
    of_one_kind,
    warning_for,
)
from hpo_lib.figures.latex import booktabs, html, included
from hpo_lib.figures.tables import TABLES, caption, load_studies, overview, studies_frame, tabled
from hpo_lib.paths import BenchmarkPaths, ThesisPaths
from hpo_lib.records.read_write import write_json
from hpo_lib.records.study import records_folder, study_runs


class Picture(NamedTuple):
    """A figure: from which records, its plain data and its drawer."""

    records: str
    data: Callable[[Evidence], Any]
    draw: Callable[..., Figure]


PICTURES = {
    name: Picture(module.__name__.rpartition(".")[2], *picture)
    for module in (studies, benchmarks, explanations)
    for name, picture in module.PICTURES.items()
}
"""Name of the files -> figure."""


def drawn(name: str, evidence: Evidence) -> Figure | None:
    """One figure of `PICTURES`, laid out and marked; None if there are no records for it."""
    picture = PICTURES[name]
    data = picture.data(evidence)
    records = getattr(evidence, picture.records)
    return finished(picture.draw, [data], records) if len(data) else None


def finished(draw: Callable[..., Figure], data: Sequence[Any], records: Records) -> Figure:
    """A figure in the style of the thesis, laid out and marked."""
    with style.thesis_style():
        figure = draw(*data)
        style.marked(figure, warning_for(records), above=True)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is done, and is the same for all files
    return figure


def _as_file(figure: Figure, **options: Any) -> bytes:
    stream = io.BytesIO()
    with style.thesis_style():
        figure.savefig(stream, **options)
    return stream.getvalue()


# For a thesis


def make_all(
    runs_dir: str = "",
    benchmark_dir: str = "",
    datasets: Sequence[str] = (),
    out: str = "",
    *,
    publish: bool = False,
) -> tuple[list[Path], list[str]]:
    """Every figure, table and card, see `build`; folders are texts, empty for the default.

    They go below ``out``, by default a folder that git ignores. With ``publish`` they take the
    places of the tracked ones instead.
    """
    drafts = ThesisPaths.below(Path(out or paths.DRAFTS_DIR).expanduser())
    evidence = find_evidence(runs_dir, benchmark_dir, datasets)
    return build(evidence, ThesisPaths() if publish else drafts)


def build(evidence: Evidence, out: ThesisPaths) -> tuple[list[Path], list[str]]:
    """Write every figure, table and card for which there are records.

    Figures of many datasets get further pages. Equal records give equal bytes (with the pinned
    matplotlib).

    Returns:
        The files without their sidecars, and sentences on what could not be made.
    """
    written = list[Path]()
    notes = list(evidence.notes)
    for (name, picture), (number, page) in product(
        PICTURES.items(), enumerate(evidence.pages(), 1)
    ):
        file = name if number == 1 else f"{name}_{number}"
        figure = drawn(name, page)
        records = getattr(page, picture.records)
        if figure is None:
            notes.append(f"No figure {file}: there are no readable {picture.records} for it.")
            continue
        pdf, png, tex = out.figure(file)
        text = caption(name, records)
        contents = {  # without date and version, which would change the bytes each time
            pdf: _as_file(figure, format="pdf", metadata={"CreationDate": None}),
            png: _as_file(figure, format="png", metadata={"Software": None}),
            tex: included(f"{pdf.parent.name}/{file}", text, file, warning_for(records)).encode(),
        }
        written += _write(contents, text, records)
    for name, (_, kind) in TABLES.items():
        table = tabled(name, evidence)
        records = getattr(evidence, kind)
        if table is None or table.frame.empty:
            notes.append(f"No table {name}: there are no readable {kind} for it.")
            continue
        tex, csv = out.table(name)
        contents = {
            tex: booktabs(table, name, warning_for(records)).encode(),
            csv: table.frame.to_csv(index=False, float_format="%.12g").encode(),
        }
        written += _write(contents, table.caption, records)
    for study in evidence.studies:
        label = f"{study.model} on {study.dataset}"
        benchmark = evidence.benchmark(study.dataset)
        try:
            contents = {out.card(study.model, study.dataset): card(evidence, study).encode()}
        except InputError as error:
            notes.append(Damage(f"No card of {label}: {error}."))
            continue
        records = [study, *([benchmark] if benchmark else [])]
        written += _write(contents, f"Model card of {label}", records)
    return written, notes


def _write(contents: Mapping[Path, bytes], shows: str, records: Records) -> list[Path]:
    """Write the files that are new or differ, and beside them what they were made from."""
    for file, content in contents.items():
        if not file.is_file() or file.read_bytes() != content:
            with paths.atomic(file) as temporary:
                temporary.write_bytes(content)
    files = list(contents)
    sidecar = {
        "files": [file.name for file in files],
        "caption": shows,
        "marked": warning_for(records),
        "records": {
            paths.shown(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for record in records
            for file in record.files
        },
    }
    write_json(ThesisPaths.sidecar(files[0]), sidecar)
    return files


# For notebooks


class Analysis(NamedTuple):
    """All studies as a table, and those in the figures: one per model and dataset.

    Attributes:
        table: see `studies_frame`.
        notes: sentences on what is not in the table.
        evidence: the studies of the figures, and sentences on what is not in them.
    """

    table: pd.DataFrame
    notes: Sequence[str]
    evidence: Evidence

    def overview(self) -> HTML:
        """Every study as a row."""
        return HTML(html(overview(self.table)))

    def explored(self) -> Iterator[Image]:
        """Per model, if storages are there: the first objective over each varied hyperparameter."""
        trials = studies.explored(self.evidence)
        for model in style.in_order(trials.get("model", ())):
            yield _image(finished(studies.draw_explored, [trials, model], self.evidence.studies))


def of_benchmark(paths: BenchmarkPaths, spec: DatasetSpec, correction: str) -> Evidence:
    """One stored benchmark for `picture` and `table`, calibrated in this mode.

    Raises:
        InputError: nothing is stored.
    """
    benchmark = load_benchmark(paths, spec, correction)
    return Evidence((), (benchmark,), {benchmark.dataset: spec}, ())


def picture(name: str, evidence: Evidence) -> Image | None:
    """The last page of a figure of `PICTURES`; those before are displayed.

    Without a record for it, a sentence is printed.
    """
    images = [_image(figure) for page in evidence.pages() if (figure := drawn(name, page))]
    if not images:
        print(
            f"{name.replace('_', ' ').capitalize()}: no record here has the data for this figure."
        )
        return None
    display(*images[:-1])
    return images[-1]


def table(name: str, evidence: Evidence) -> HTML:
    """A table of `TABLES`."""
    made = tabled(name, evidence)
    return HTML(html(made) if made else "")


def analyse(runs_dir: str = "", model: str = "", dataset: str = "") -> Analysis:
    """All studies below a folder.

    Args:
        runs_dir: folder of the records; empty: papermill_runs/ of the project.
        model: studies of these models only, separated by blanks; empty: of all.
        dataset: studies of this dataset only, as name or path of its TOML; empty: of all.

    Raises:
        InputError: there is no study, or none of that model and dataset; the known ones are named.
    """
    folder = records_folder(runs_dir)
    tomls = [dataset] if dataset.endswith(".toml") else []
    dataset = load_spec(dataset).name if tomls else dataset
    studies, notes = load_studies(folder, model, dataset)
    unfinished = [
        f"{run.study_name}: no trial is complete yet, so it is not in the table."
        for run in study_runs(folder)
        if not run.best_params.exists()
        and run.model in (model.split() or [run.model])
        and dataset in ("", run.dataset)
    ]
    evidence = gather_studies(of_one_kind(studies, notes, own=bool(runs_dir)), tomls)
    lacking = [
        f"{study.file}: its storage is not among the files, so the figures show only its untuned "
        "defaults and Pareto front; its history and trials are missing."
        for study in evidence.studies
        if not study.has_storage
    ]
    evidence = replace(evidence, notes=(*evidence.notes, *lacking))
    return Analysis(studies_frame(studies), (*unfinished, *notes), evidence)


def _image(figure: Figure) -> Image:
    """A figure as a picture, which Jupyter shows with any backend of matplotlib."""
    return Image(_as_file(figure, format="png", dpi=160, bbox_inches="tight"))
