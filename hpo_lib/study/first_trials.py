"""The trials that a study begins with, before its sampler draws any: the defaults, a portfolio, the
user's own best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.models import RECIPES, STANDARD, Family
from hpo_lib.families.search_space import WITH_TEMPERATURE, Dimension, draw, is_whole
from hpo_lib.records.study import StoredStudy, read_studies
from hpo_lib.settings import Settings

BEGINNING = 6
"""Trials before the sampler's first. What the portfolio leaves of them is drawn near the defaults:
drawn evenly, hardly any is as good."""

MOST_OWN = 3
"""Studies of the user whose best trials are tried."""


@dataclass(frozen=True)
class FirstTrial:
    """A configuration, and where it comes from in words."""

    params: dict[str, Any]
    origin: str


def first_trials(settings: Settings, family: Family, dataset: Dataset) -> list[FirstTrial]:
    """What a new study tries first, without repeating itself; beyond the defaults only in the wide
    space.

    The portfolio and draws near the defaults make up `BEGINNING` trials.

    With ``warm_start`` these include the best trials of the user's newest complete studies of this
    family and space on other series. A study on simulated data serves simulated data alone, and one
    of the test preset that preset alone.
    """
    defaults = family.untuned(settings.space, RECIPES[settings.recipe], dataset)
    found = [FirstTrial(defaults, "untuned defaults")]
    if settings.space == "wide":
        space = family.searched(settings.space, dataset)
        found += [
            FirstTrial(_adapted(params, space), f"portfolio, won on {series}")
            for series, params in family.portfolio.items()
        ]
        if settings.warm_start:
            found += [
                FirstTrial(
                    _adapted(study.result["best_params"], space), f"best of {study.run.study_name}"
                )
                for study in _own(settings, family, dataset)
            ]
        random = np.random.default_rng(settings.seed)
        near = [
            FirstTrial(draw(space, random, defaults), "near the defaults")
            for _ in range(BEGINNING - len(found))
        ]
        found += near
    return [
        trial
        for i, trial in enumerate(found)
        if trial.params not in [earlier.params for earlier in found[:i]]
    ]


def in_words(first: Sequence[FirstTrial]) -> str:
    """One line for the user, such as "First trials: 0 untuned defaults; 1 to 5 near the defaults."."""
    parts, start = [], 0
    for origin, same in groupby(trial.origin for trial in first):
        end = start + len(list(same)) - 1
        parts.append(f"{start if end == start else f'{start} to {end}'} {origin}")
        start = end + 1
    return f"First trials: {'; '.join(parts)}."


def _adapted(params: Mapping[str, Any], space: Mapping[str, Dimension]) -> dict[str, Any]:
    """What won on other series, for a series that has weather of the day ahead or has none."""
    standard = {name: getattr(STANDARD, name) for name in WITH_TEMPERATURE if name in space}
    return standard | {
        name: value
        for name, value in params.items()
        if name in space or name not in WITH_TEMPERATURE
    }


def _own(settings: Settings, family: Family, dataset: Dataset) -> list[StoredStudy]:
    studies, _ = read_studies(settings.runs_dir, family.name)
    fitting = [study for study in studies if _fits(study, settings, family, dataset)]
    return sorted(fitting, key=lambda study: str(study.result["optimization_date"]), reverse=True)[
        :MOST_OWN
    ]


def _fits(study: StoredStudy, settings: Settings, family: Family, dataset: Dataset) -> bool:
    params, space = study.result["best_params"], family.searched(settings.space, dataset)
    try:
        family.check_params(params)
    except InputError:
        return False
    return (
        study.result["status"] == "complete"
        and study.result["space"] == settings.space
        and is_whole(_adapted(params, space), space)
        and _series(study.dataset) != _series(dataset.spec.name)
        and study.data.get("sha256") != dataset.sha256
        and (not study.is_simulated or dataset.is_simulated)
        and (not study.is_test or settings.preset == "test")
    )


def _series(dataset: str) -> str:
    """Of a dataset: ``heat_dev`` has other splits than ``heat``, but the same hours."""
    return dataset.removesuffix("_dev")
