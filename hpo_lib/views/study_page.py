"""The parts that every study notebook shows: its data, its result, its files."""

from IPython.display import Markdown, display
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.contract import get_family
from hpo_lib.records.study import StoredStudy
from hpo_lib.settings import Settings
from hpo_lib.views import study_figures, study_tables
from hpo_lib.views.proof_figure import proof_figure


def show_data(settings: Settings) -> Dataset:
    """Load the study's data and show where it comes from, its splits and the series.

    Raises:
        InputError: an unknown model or dataset, or wrong data.
    """
    spec = load_spec(settings.dataset)
    get_family(settings.model)
    data = load_dataset(spec, settings.data_dir, simulated=settings.simulated)
    print(study_tables.banner(data))
    display(study_tables.data_summary(data), study_figures.data_overview(data))
    return data


def show_study(study: StoredStudy, data: Dataset) -> None:
    """The Pareto front, and the chosen configuration on the validation split."""
    look = {"unit": data.spec.unit, "source": data.source}
    chosen, forecasts = study.chosen, study.predictions(study.chosen.number)
    print(study_tables.stopped_early(study))
    display(
        Markdown(
            f"## Pareto front\n\n{study_tables.objectives_text(study)} No trial beats a trial of the front in all of "
            "them. The table shows which trial each policy would choose."
        ),
        study_figures.pareto_front(
            study.trials, study.front, chosen.number, study.objectives, model=study.model, **look
        ),
        study_tables.front_table(study),
        *_proof(study, data),
        Markdown(
            "## The chosen configuration on the validation split\n\nCompared with the untuned defaults and with the "
            "values of a day and a week before, on the same origins with the same scores."
        ),
        Markdown(f"Trial {chosen.number}: {study.result['selection']['reason']}"),
        study_tables.score_table(study),
        study_figures.forecast_days(
            forecasts,
            study_figures.spread_origins(len(forecasts.origins), 4),
            title=f"{get_family(study.model).title} on {data.spec.title}, trial {chosen.number}",
            **look,
        ),
        study_figures.coverage_by_step(chosen.by_step, **look),
    )


def _proof(study: StoredStudy, data: Dataset) -> list[Markdown | Figure]:
    if not study.result["proof"]:
        return []
    text = (
        "## Proof\n\nThe untuned defaults stay unless a trial is also better with fresh seeds, which did not choose it."
    )
    return [Markdown(text), proof_figure(study.result["proof"], source=data.source)]


def show_record(study: StoredStudy) -> None:
    """The study's files and its provenance."""
    display(
        study_tables.unshortened(study_tables.files_table(study)),
        Markdown("## Provenance"),
        study_tables.unshortened(study_tables.provenance_table(study)),
    )
