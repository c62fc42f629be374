"""The leak audit of a dataset: its feature file, and models that are trained on it.

A model knows the future if its forecasts move when what came after is disturbed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pandas as pd

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import MARKS
from hpo_lib.data.information_set import Context
from hpo_lib.data.raw_files import rebuilt_features
from hpo_lib.data.splits import HISTORY, HORIZON, Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.families.models import RECIPES, Budget, Forecaster, family_names, get_family
from hpo_lib.families.search_space import Choice
from hpo_lib.leaks.columns import Finding, Kind, audit_columns

NO_MODEL = "none"

BUDGET = Budget(steps=10, batch_size=16, checks=1)
"""Of a family: what a network reads does not depend on how long it has learnt."""

ORIGINS = 5
"""Forecast origins that are disturbed, evenly over validation and test."""


def audit(
    dataset: Dataset,
    models: Sequence[str],
    recipe: str,
    *,
    raw: Path | None = None,
    weather: Path | None = None,
    school_holidays: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Finding]:
    """Findings on each column and on each model, in this order.

    Args:
        dataset: its spec says how ``raw`` is read.
        models: families and baselines by name, or ``none``; empty: all.
        recipe: of the families.
        raw: CSV of the meter. Columns are then compared with features rebuilt from raw data that
            ends with training, with validation and with the feature file.
        weather: as for `hpo prepare`, with ``raw``.
        school_holidays: likewise.
        say: is called with a line before each training.
    """
    for kind, names, allowed in (
        ("model", models, (*model_names(), NO_MODEL)),
        ("recipe", [recipe], tuple(RECIPES)),
    ):
        for name in names:
            if name not in allowed:
                raise InputError(f"{kind} is {name!r}; {choices(name, allowed)}")
    if raw is None and (weather or school_holidays):
        raise InputError(
            "weather and school holidays are compared with raw data, which is not given; give "
            "--raw RAW.csv"
        )
    spec = dataset.spec
    rebuilt = []
    if raw is not None:
        ends = spec.splits.train_end, spec.splits.val_end, dataset.index[-1]
        rebuilt = [rebuilt_features(spec, raw, weather, school_holidays, end)[0] for end in ends]
    findings = audit_columns(dataset, rebuilt)
    if dataset.kind_of_weather in MARKS:
        seen = (
            f"models see {MARKS[dataset.kind_of_weather].lower()}, which no forecaster has; "
            "results carry that mark"
        )
        findings.append(Finding("weather of the day ahead", "note", seen))
    for model in models or model_names():
        if model != NO_MODEL:
            say(f"training {model} twice at a small budget ...")
            findings += audit_model(dataset, model, recipe)
    return findings


def report_lines(findings: Sequence[Finding]) -> list[str]:
    """One line per finding, leaks first; what is said of several subjects alike is said once.

    The last line counts.
    """
    subjects = dict[tuple[str, str], list[str]]()
    for finding in sorted(findings, key=lambda finding: get_args(Kind).index(finding.kind)):
        subjects.setdefault((finding.kind, finding.sentence), []).append(finding.subject)
    lines = [
        f"{kind.upper() if kind == 'leak' else kind}: {', '.join(names)}: {sentence}"
        for (kind, sentence), names in subjects.items()
    ]
    audited = {finding.subject for finding in findings}
    columns = sum(subject.startswith("column ") for subject in audited)
    models = len(audited.intersection(model_names()))
    return [*lines, f"leaks found: {n_leaks(findings)}, in {columns} columns and {models} models"]


def n_leaks(findings: Sequence[Finding]) -> int:
    """How many of them are leaks."""
    return sum(finding.kind == "leak" for finding in findings)


def audit_model(dataset: Dataset, model: str, recipe: str = "standard") -> list[Finding]:
    """Findings on a family or baseline of the registry, which is trained twice at a small budget.

    With the recipe ``standard`` a network that has learnt little is held back altogether. So all of
    it counts here.
    """

    def train(data: Dataset) -> Forecaster:
        if baseline := baselines().get(model):
            return baseline.fit(data, seed=1, quick=True)
        family = get_family(model)
        # what a network reads does not depend on its size
        smallest = {
            name: min(dimension.options) if isinstance(dimension, Choice) else dimension.low
            for name, dimension in family.search_space.items()
        }
        whole_network = replace(RECIPES[recipe], residual_share=False)
        return family.fit(smallest, data, BUDGET, seed=1, recipe=whole_network)

    return audit_training(dataset, model, train)


def model_names() -> tuple[str, ...]:
    """Every model that can be audited by its name."""
    return (*family_names(), *baselines())


def audit_training(
    dataset: Dataset, name: str, train: Callable[[Dataset], Forecaster]
) -> list[Finding]:
    """Findings on a model that ``train`` trains on a dataset.

    It may use the training and validation splits only.
    """
    known = (dataset.spec.target, *dataset.past)
    test = dataset.test_origins
    origins = np.concatenate([dataset.validation_origins, test])
    days = np.unique(origins[np.linspace(0, len(origins) - 1, ORIGINS).round().astype(int)])
    forecaster = train(dataset)
    forecasts = {origin: _forecast(forecaster, dataset, [origin]) for origin in days}

    def moves(
        columns: Sequence[str], origin: int, first: int, stop: int = len(dataset.frame)
    ) -> bool:
        """Whether the forecast moves if columns change ``first`` to ``stop`` hours after it."""
        rows = slice(origin + first, origin + stop)
        other = replace(dataset, frame=disturbed(dataset.frame, columns, rows))
        return (_forecast(forecaster, other, [origin]) != forecasts[origin]).any()

    moving = [origin for origin in days if moves(known, origin, 1)]
    if read := [column for column in known if moving and moves([column], moving[0], 1)]:
        why = (
            f"{len(moving)} of {len(days)} forecasts move when {{!r}} changes after their origin: "
            "the model reads the future; let it read past covariates and the target up to the "
            "origin only"
        )
        return [Finding(name, "leak", why.format(column)) for column in read]
    if len(test):
        # Trained with another test split, neither validation nor the first test day may change.
        after = slice(test[0] + 1, None)
        again = train(replace(dataset, frame=disturbed(dataset.frame, known, after)))
        day, day_again = (_forecast(model, dataset, test[:1]) for model in (forecaster, again))
        same = np.array_equal(again.validation.values, forecaster.validation.values)
        if not (same and np.array_equal(day, day_again)):
            why = (
                "its forecasts change when only the test split changes before training: it learns, "
                "scales or chooses with test days; fit everything on the training split and "
                "choose on validation"
            )
            return [Finding(name, "leak", why)]
    seen = [column for column in known if moves([column], days[0], 1 - HISTORY, 1)]
    seen += [column for column in dataset.future if moves([column], days[0], 1, HORIZON + 1)]
    fine = f"nothing after the origin moves any of {len(days)} forecasts"
    fine += ", and no test day moves a training" if len(test) else ""
    return [Finding(name, "fine", f"{fine}; it reads {', '.join(seen) or 'nothing at all'}")]


def disturbed(frame: pd.DataFrame, columns: Sequence[str], rows: slice) -> pd.DataFrame:
    """A copy with large random numbers in some columns of some rows."""
    copy = frame.copy()
    names = list(columns)
    hours = frame.index[rows]
    random = np.random.default_rng(3).random((len(hours), len(names)))
    copy.loc[hours, names] = (frame[names].abs().max().to_numpy() + 1) * (1 + 10 * random)
    return copy


def _forecast(
    forecaster: Forecaster, dataset: Dataset, origins: Sequence[int] | Positions
) -> np.ndarray:
    """[N, H, Q] from windows that hold what came after the origins, unlike a real `Context`."""
    holding_the_future = dataset.windows(np.asarray(origins))
    return forecaster.predict(cast(Context, holding_the_future)).values
