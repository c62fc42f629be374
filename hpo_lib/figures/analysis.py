"""What notebooks show of records: figures and tables of the thesis, advice, what is missing."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from IPython.display import HTML, Image, display
from matplotlib.figure import Figure

from hpo_lib.benchmark.record import Benchmark
from hpo_lib.benchmark.tables import load_rows
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.search_space import boundary_advice
from hpo_lib.figures import studies, style
from hpo_lib.figures.build import drawn, finished
from hpo_lib.figures.evidence import Evidence, gather_studies
from hpo_lib.figures.latex import html
from hpo_lib.figures.studies_table import Studies, load_studies
from hpo_lib.figures.tables import TABLES, overview
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.records.study import TELLING_TRIALS, records_folder, study_runs
from hpo_lib.scoring.calibration import Calibration

DPI = 160
"""Of the pictures, for screens."""


@dataclass(frozen=True)
class Analysis:
    """All studies as a table, and those in the figures: one per model and dataset.

    Attributes:
        studies: the table, and sentences on where it is from and what is not in it.
        evidence: the studies of the figures, and sentences on what is not in them.
    """

    studies: Studies
    evidence: Evidence

    def overview(self) -> HTML:
        """Every study as a row."""
        return HTML(html(overview(self.studies.table)))

    def explored(self) -> Iterator[Image]:
        """Per model, if storages are there: the first objective over each varied hyperparameter."""
        trials = studies.explored(self.evidence)
        if trials.empty:
            return
        varied = trials.groupby(["model", "parameter"])["value"].transform("nunique") > 1
        trials = trials[varied]
        for model in style.in_order(trials["model"]):
            yield _image(finished(studies.draw_explored, [trials, model], self.evidence.studies))

    def boundaries(self) -> list[str]:
        """Advice on chosen values at an end of their search space, where trials are enough."""
        studies, advice = self.evidence.studies, list[str]()
        telling = [study for study in studies if study.tells_of_parameters]
        for study in telling:
            label = f"{study.model} on {study.dataset}"
            advice += boundary_advice(label, study.result["best_params"], study.search_space)
        if silent := len(studies) - len(telling):
            whose = f"{silent} of {len(studies)} studies"
            advice.append(
                f"No advice on {whose}: test budget, or below {TELLING_TRIALS} complete trials."
            )
        return advice or ["No chosen value is known to be at an end of its search space."]


def of_benchmark(paths: BenchmarkPaths, dataset: Dataset, correction: Calibration) -> Evidence:
    """One stored benchmark for `picture` and `table`, calibrated by this correction.

    Raises:
        InputError: nothing is stored, or it is on other data.
    """
    benchmark = Benchmark(paths, dataset, load_rows(paths, dataset), correction)
    return Evidence((), (benchmark,), {dataset.spec.name: dataset.spec}, ())


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
    return HTML(html(TABLES[name][0](evidence)))


def analyse(runs_dir: str = "", model: str = "", dataset: str = "") -> Analysis:
    """All studies below a folder.

    Args:
        runs_dir: folder of the records; empty: papermill_runs/ of the project.
        model: studies of this model only; empty: of all.
        dataset: studies of this dataset only, as name or path of its TOML; empty: of all.

    Raises:
        InputError: there is no study, or none of that model and dataset; the known ones are named.
    """
    folder = records_folder(runs_dir)
    tomls = [dataset] if dataset.endswith(".toml") else []
    dataset = load_spec(dataset).name if tomls else dataset
    studies = load_studies(folder, model, dataset)
    unfinished = [
        f"{run.study_name}: no trial is complete yet, so it is not in the table."
        for run in study_runs(folder)
        if not run.best_params.exists()
        and model in ("", run.model)
        and dataset in ("", run.dataset)
    ]
    evidence = gather_studies(folder, tomls, model, dataset)
    notes = [note for note in evidence.notes if note not in studies.notes]
    notes += [
        f"{study.file}: its storage is not among the files, so the figures show only its untuned "
        "defaults and Pareto front; its history and trials are missing."
        for study in evidence.studies
        if not study.has_storage
    ]
    return Analysis(
        Studies(studies.table, (*unfinished, *studies.notes)),
        Evidence(evidence.studies, (), evidence.specs, tuple(notes)),
    )


def _image(figure: Figure) -> Image:
    """A figure as a picture, which Jupyter shows with any backend of matplotlib."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, bbox_inches="tight")
    return Image(stream.getvalue())
