"""The parts of a family's own notebook: a look into the chosen configuration, which is trained again for it.

A study keeps forecasts, not weights, so the training is repeated with the same seed and budget. Each function prints
how far its forecasts are from the stored ones.
"""

from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY
from hpo_lib.families.contract import RECIPES, Forecaster, get_family
from hpo_lib.records.study import StoredStudy
from hpo_lib.settings import Settings
from hpo_lib.views import family_figures, study_figures, study_tables


def stacks(study: StoredStudy, settings: Settings, data: Dataset) -> tuple[Figure, Figure]:
    """N-HiTS: the forecasts of three days as the sum of what the stacks add, and how much each adds over all days."""
    from hpo_lib.families import insight

    found = insight.stack_forecasts(_chosen_again(study, settings, data), data.context(data.validation_origins))
    names = {"unit": data.spec.unit, "source": data.source}
    shown = study_figures.spread_origins(len(data.validation_origins), 4)[:3]
    return family_figures.stack_decomposition(found, shown, **names), family_figures.stack_sizes(found, **names)


def fusion(study: StoredStudy, settings: Settings, data: Dataset) -> tuple[Figure, Figure]:
    """TFT: the weights of the variables, and the attention on the hours of the past week."""
    from hpo_lib.families import insight

    found = insight.fusion_weights(_chosen_again(study, settings, data), data.context(data.validation_origins))
    selection = family_figures.variable_selection(found, source=data.source)
    return selection, family_figures.attention(found, source=data.source)


def periods(study: StoredStudy, settings: Settings, data: Dataset) -> tuple[Figure, Figure]:
    """TimesNet: the dominant periods, and one window of the validation split folded by them."""
    from hpo_lib.families import insight

    found = insight.periods(_chosen_again(study, settings, data), data.context(data.validation_origins))
    n = study_figures.spread_origins(len(data.validation_origins), 4)[1]
    history = data.target.to_numpy()[data.validation_origins[n] - HISTORY + 1 :][:HISTORY]
    folded = family_figures.folded_window(
        found, history, study.predictions(study.chosen.number), n, unit=data.spec.unit, source=data.source
    )
    return family_figures.dominant_periods(found, source=data.source), folded


def _chosen_again(study: StoredStudy, settings: Settings, data: Dataset) -> Forecaster:
    family = get_family(settings.model)
    forecaster = family.fit(
        study.chosen.params, data, family.budgets[settings.budget_name], seed=settings.seed,
        recipe=RECIPES[settings.recipe],
    )  # fmt: skip
    print(study_tables.same_forecasts(forecaster.validation, study.predictions(study.chosen.number), data.spec.unit))
    return forecaster
