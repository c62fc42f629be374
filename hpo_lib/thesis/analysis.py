"""What ``hpo analyze`` and `notebooks/analysis.ipynb` show of all studies: tables, figures, advice, what is missing."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from IPython.display import Image
from matplotlib.figure import Figure

from hpo_lib import paths
from hpo_lib.data.spec import load_spec
from hpo_lib.families.search_space import boundary_advice
from hpo_lib.records.study import find, study_runs
from hpo_lib.thesis.build import PICTURES, drawn
from hpo_lib.thesis.evidence import Evidence, gather_studies
from hpo_lib.thesis.studies_table import Studies, load_studies
from hpo_lib.views.look import finished

DPI = 120
"""Of the pictures: a screen shows a pixel for each of theirs."""


@dataclass(frozen=True)
class Analysis:
    """All studies as a table, and those that figures show: one per model and dataset, of one fingerprint of data.

    Attributes:
        studies: the table, and sentences on where it is from and what is not in it.
        evidence: the studies of the figures, and sentences on what is not in them.
    """

    studies: Studies
    evidence: Evidence

    def picture(self, name: str) -> Image | None:
        """A figure of `PICTURES`; where no study holds what it shows, a sentence that says so, and None."""
        figure = drawn(name, self.evidence)
        if figure is None:
            print(f"{PICTURES[name].shows}: no study here holds what this figure shows.")
            return None
        return _image(figure)

    def explored(self) -> Iterator[Image]:
        """Per study with its storage: slices of both objectives over each hyperparameter, and parallel coordinates."""
        from hpo_lib.thesis.explored import explored  # with optuna, only where it draws

        for study in self.evidence.studies:
            if study.optuna_study is not None:
                for figure in explored(
                    study.optuna_study, f"{study.model} on {study.dataset}, {study.run.job_id}", study.unit
                ):
                    yield _image(finished(figure, study.source))

    def boundaries(self) -> list[str]:
        """Advice on every chosen value that lies at an end of its search space."""
        advice = [
            sentence
            for study in self.evidence.studies
            if study.has_storage
            for sentence in boundary_advice(
                f"{study.model} on {study.dataset}", study.result["best_params"], study.search_space
            )
        ]
        return advice or ["No chosen value is known to lie at an end of its search space."]


def analyse(runs_dir: str = "", model: str = "", dataset: str = "") -> Analysis:
    """All studies below a folder; where none is given, the own ones, or the examples where there are no own.

    Args:
        runs_dir: folder of the records; empty: papermill_runs/ of the project.
        model: studies of this model only; empty: of all.
        dataset: studies of this dataset only, as name or path of its TOML; empty: of all.

    Raises:
        InputError: there is no study, or none of that model and dataset; the message names those that there are.
    """
    folder, told = find(runs_dir, lambda folder: paths.best_params_files(folder) or study_runs(folder))
    tomls = [dataset] if dataset.endswith(".toml") else []
    dataset = load_spec(dataset).name if tomls else dataset
    studies = load_studies(folder).only(model or None, dataset or None)
    told += [
        f"{run.study_name}: no trial is complete yet, so it is not in the table."
        for run in study_runs(folder)
        if not run.best_params.exists() and model in ("", run.model) and dataset in ("", run.dataset)
    ]
    evidence = gather_studies(folder, tomls, model, dataset)
    lacking = [
        f"{study.file}: its storage is not among the files, so the figures show of its trials the untuned defaults and "
        "the Pareto front only, and its history, importance, explored search space and its ends are missing."
        for study in evidence.studies
        if not study.has_storage
    ]
    missing = tuple(note for note in evidence.notes if note not in studies.notes)
    return Analysis(
        Studies(studies.table, (*told, *studies.notes)),
        Evidence(evidence.studies, (), evidence.specs, (*missing, *lacking)),
    )


def _image(figure: Figure) -> Image:
    """A figure as a picture, which Jupyter shows whatever matplotlib's backend is."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, bbox_inches="tight")
    return Image(stream.getvalue())
