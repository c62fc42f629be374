"""The analysis of all studies for ``hpo analyze`` and `notebooks/analysis.ipynb`: tables, figures, advice, gaps."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from IPython.display import Image
from matplotlib.figure import Figure

from hpo_lib.data.spec import load_spec
from hpo_lib.families.search_space import boundary_advice
from hpo_lib.records.study import records_folder, study_runs
from hpo_lib.thesis.build import PICTURES, drawn
from hpo_lib.thesis.evidence import Evidence, gather_studies
from hpo_lib.thesis.studies_table import Studies, load_studies
from hpo_lib.views.model_style import finished

DPI = 120
"""Of the pictures, for screens."""


@dataclass(frozen=True)
class Analysis:
    """All studies as a table, and those in the figures: one per model and dataset, of one fingerprint of data.

    Attributes:
        studies: the table, and sentences on where it is from and what is not in it.
        evidence: the studies of the figures, and sentences on what is not in them.
    """

    studies: Studies
    evidence: Evidence

    def picture(self, name: str) -> Image | None:
        """A figure of `PICTURES`; if there is no study for it, print a sentence and return None."""
        figure = drawn(name, self.evidence)
        if figure is None:
            print(f"{PICTURES[name].shows}: no study here has the data for this figure.")
            return None
        return _image(figure)

    def explored(self) -> Iterator[Image]:
        """Per study with its storage: slices of each objective over each hyperparameter, and parallel coordinates."""
        from hpo_lib.thesis.explored import explored  # loads optuna, so only if there is something to draw

        for study in self.evidence.studies:
            if study.optuna_study is not None:
                label = f"{study.model} on {study.dataset}, {study.run.job_id}"
                for figure in explored(study.optuna_study, study.objectives, label, study.unit):
                    yield _image(finished(figure, study.source))

    def boundaries(self) -> list[str]:
        """Advice on every chosen value at an end of its search space."""
        advice = []
        for study in self.evidence.studies:
            label = f"{study.model} on {study.dataset}"
            advice += boundary_advice(label, study.result["best_params"], study.search_space)
        return advice or ["No chosen value is known to be at an end of its search space."]


def analyse(runs_dir: str = "", model: str = "", dataset: str = "") -> Analysis:
    """All studies below a folder.

    Args:
        runs_dir: folder of the records; empty: papermill_runs/ of the project.
        model: studies of this model only; empty: of all.
        dataset: studies of this dataset only, as name or path of its TOML; empty: of all.

    Raises:
        InputError: there is no study, or none of that model and dataset; the message lists the known ones.
    """
    folder = records_folder(runs_dir)
    tomls = [dataset] if dataset.endswith(".toml") else []
    dataset = load_spec(dataset).name if tomls else dataset
    studies = load_studies(folder).only(model, dataset)
    told = [
        f"{run.study_name}: no trial is complete yet, so it is not in the table."
        for run in study_runs(folder)
        if not run.best_params.exists() and model in ("", run.model) and dataset in ("", run.dataset)
    ]
    evidence = gather_studies(folder, tomls, model, dataset)
    notes = [note for note in evidence.notes if note not in studies.notes]
    notes += [
        f"{study.file}: its storage is not among the files, so the figures show only its untuned defaults and Pareto "
        "front; its history, importance and search space are missing."
        for study in evidence.studies
        if not study.has_storage
    ]
    return Analysis(
        Studies(studies.table, (*told, *studies.notes)), Evidence(evidence.studies, (), evidence.specs, tuple(notes))
    )


def _image(figure: Figure) -> Image:
    """A figure as a picture, which Jupyter shows with any backend of matplotlib."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, bbox_inches="tight")
    return Image(stream.getvalue())
