"""The trials before the sampler's first: the defaults, a portfolio, the user's own best."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.models import STANDARD, ByName, Family
from hpo_lib.families.search_space import WITH_TEMPERATURE, SearchSpace, draw, is_drawn, is_whole
from hpo_lib.records.study import StoredStudy, newest_first, read_studies
from hpo_lib.settings import Settings
from hpo_lib.study.proof import Trainings

BEGINNING = 6
"""Trials before the sampler's first. What the portfolio leaves of them is drawn near the defaults:
drawn evenly, hardly any is as good."""

MOST_STUDIES = 3
"""Studies of the user whose best trials are tried."""


@dataclass(frozen=True)
class FirstTrial:
    """A configuration, and where it comes from in words."""

    params: ByName
    origin: str


def first_trials(trainings: Trainings) -> list[FirstTrial]:
    """What a new study tries first, without repeating itself.

    In the space of the plan these are the defaults alone. In the wide one the portfolio, the best
    trials of the user's own studies where the settings say so, draws near the defaults and the
    defaults on trees make up `BEGINNING` trials. The trees come last: their fit takes a minute on
    years of data.
    """
    settings = trainings.settings
    dataset = trainings.dataset
    family = trainings.family
    space = settings.space
    defaults = family.untuned(space, trainings.recipe, dataset)
    trials = [FirstTrial(defaults, "untuned defaults")]
    if space == "wide":
        dimensions = trainings.search_space
        standard = family.untuned(space, STANDARD, dataset)
        won = [
            ({**standard, **params}, f"portfolio, won on {on}")
            for on, params in family.portfolio.items()
        ]
        if settings.warm_start:
            won += [
                (study.result["best_params"], f"best of {study.run.study_name}")
                for study in best_of_others(family, dataset, settings)
            ]
        trials += [FirstTrial(_adapted(params, dimensions), origin) for params, origin in won]
        random = np.random.default_rng(settings.seed)
        trials += [
            FirstTrial(draw(dimensions, random, defaults), "near the defaults")
            for _ in range(BEGINNING - 1 - len(trials))
        ]
        on_trees = {**defaults, "linear_part": True, "linear_trees": True}
        drawn = {name: value for name, value in on_trees.items() if is_drawn(name, on_trees)}
        trials.append(FirstTrial(drawn, "defaults on trees"))
    tried = [trial.params for trial in trials]
    return [trial for i, trial in enumerate(trials) if trial.params not in tried[:i]]


def origins(first: Sequence[FirstTrial]) -> str:
    """One line such as "First trials: 0 untuned defaults; 1 to 5 near the defaults."."""
    parts = []
    start = 0
    for origin, same in groupby(trial.origin for trial in first):
        end = start + len(list(same)) - 1
        parts.append(f"{start if end == start else f'{start} to {end}'} {origin}")
        start = end + 1
    return f"First trials: {'; '.join(parts)}."


def _adapted(params: ByName, space: SearchSpace) -> ByName:
    """What won on other series, for a series that has weather of the day ahead or has none."""
    standard = {name: getattr(STANDARD, name) for name in WITH_TEMPERATURE if name in space}
    return standard | {
        name: value
        for name, value in params.items()
        if name in space or name not in WITH_TEMPERATURE
    }


def best_of_others(family: Family, dataset: Dataset, settings: Settings) -> list[StoredStudy]:
    """The user's newest studies of a family in the wide space on other series, see `doubts`."""
    space = family.searched("wide", dataset)
    is_test = settings.budget_name == "test"

    def fits(study: StoredStudy) -> bool:
        try:
            family.check_params(study.result["best_params"])
        except InputError:
            return False
        return (
            study.model == family.name
            and study.result["space"] == "wide"
            and is_whole(_adapted(study.result["best_params"], space), space)
            # ``heat_dev`` has other splits than ``heat``, but the same hours.
            and study.dataset.removesuffix("_dev") != dataset.spec.name.removesuffix("_dev")
            and study.data.get("sha256") != dataset.sha256
            and not any(study.doubts(test=is_test, simulated=dataset.is_simulated))
        )

    studies, _ = read_studies(settings.runs_dir)
    return newest_first(filter(fits, studies))[:MOST_STUDIES]
