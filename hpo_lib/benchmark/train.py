"""The benchmark: final trainings of families and baselines, all of them stored.

Training (here) and tables (`hpo_lib.benchmark.tables`) are separate steps. A stored training with
the same key is not done again, so an interrupted benchmark continues where it was.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from hpo_lib.baselines import chronos2
from hpo_lib.baselines.contract import SeasonalNaive, baselines
from hpo_lib.benchmark.chosen_params import OWN_CHOICES, FoundParameters, Lookup
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.errors import InputError, choices
from hpo_lib.families.models import (
    RECIPES,
    Forecaster,
    Params,
    family_names,
    get_family,
    registered,
)
from hpo_lib.paths import BENCHMARK_DIR, BenchmarkPaths
from hpo_lib.records.provenance import code_provenance, data_provenance, write_scales
from hpo_lib.records.read_write import Json
from hpo_lib.records.trainings import (
    Training,
    check_same_data,
    family_key,
    files_of,
    is_stored,
    training_key,
    whole_records,
)
from hpo_lib.scoring import metrics
from hpo_lib.settings import Settings

PARAMS_CHOICES = ("both", "best", "default", "all")
FIRST_SEED = 42
"""Seeds count up from the seed that studies have by default."""


@dataclass(frozen=True)
class Plan:
    """What a benchmark of one dataset trains.

    Attributes:
        settings: with the budget and recipe of families, and the folder of the studies' records.
        models: families; the baselines are always trained too.
        params: ``best``, ``default``, ``both`` side by side, ``all`` (beside both
            the defaults of the plain recipe), or the path of a best_params JSON.
        seeds: trainings per row, with the seeds 42, 43 and so on.
        refit: train again on training and validation split together, with the steps that validation
            chose.
        out: folder for forecasts and tables.
        chronos2: folder of a pretrained Chronos-2, which is then one more baseline.
    """

    dataset: Dataset
    settings: Settings
    models: tuple[str, ...]
    params: str
    seeds: int
    refit: bool
    out: Path
    chronos2: Path | None = None

    def __post_init__(self) -> None:
        for model in self.models:
            if model not in family_names():
                raise InputError(f"model is {model!r}; {choices(model, family_names())}")
        if self.seeds < 1:
            raise InputError(f"seeds is {self.seeds}, expected at least 1")
        if self.params.endswith(".json"):
            if len(self.models) != 1:
                raise InputError(
                    f"params names one file for {len(self.models)} models; give the one model of "
                    "the file"
                )
        elif self.params not in PARAMS_CHOICES:
            raise InputError(
                f"params is {self.params!r}; {choices(self.params, PARAMS_CHOICES)}, or the path "
                "of a best_params .json"
            )
        if not len(self.dataset.test_origins):
            raise InputError(
                f"{self.dataset.path}: there is no whole day after the validation split, "
                "expected a test split to "
                "benchmark on; set an earlier val_end under [splits] of the dataset's TOML"
            )

    @property
    def paths(self) -> BenchmarkPaths:
        setting = f"{self.settings.budget_name}-{self.settings.recipe}" + "-refit" * self.refit
        return BenchmarkPaths(self.out, self.dataset.spec.name, setting)


def make_plan(
    dataset: str,
    *,
    models: Sequence[str] = (),
    params: str = "both",
    seeds: int = 3,
    refit: bool = False,
    out: str = "",
    chronos2: str = "",
    **given: Any,
) -> Plan:
    """A plan from a user's words: names and folders as text, empty for the default.

    ``given`` are ``preset``, ``recipe``, ``test``, ``data_dir``, ``simulated`` and ``runs_dir`` as
    in `Settings`.

    Raises:
        InputError: an unknown name, a wrong value, or data that is wrong or has no test split.
    """
    chosen = tuple(dict.fromkeys(models)) or family_names()
    settings = Settings.create(chosen[0], dataset, **given)
    return Plan(
        dataset=load_dataset(dataset, settings.data_dir, simulated=settings.simulated),
        settings=settings,
        models=chosen,
        params=params,
        seeds=seeds,
        refit=refit,
        out=Path(out or BENCHMARK_DIR).expanduser(),
        chronos2=Path(chronos2).expanduser() if chronos2 else None,
    )


@dataclass(frozen=True, eq=False)
class Task:
    """One training to be done: its model, params and seed, its key, and the call that does it.

    Where the key has ``refit``, the call also takes what it returned, as ``like``.
    """

    row: tuple[str, str, int]
    key: Json
    fit: Callable[..., Any]

    @cached_property
    def trained(self) -> Any:
        """What the call returned; its forecasts of validation are always those of the first fit."""
        fitted = self.fit()
        if self.key["refit"]:
            validation, fitted = fitted.validation, self.fit(like=fitted)
            fitted.validation = validation
        return fitted


def run_benchmark(
    plan: Plan, *, tasks: Sequence[Task] = (), say: Callable[[str], None] = print
) -> list[str]:
    """Do every training of the plan that is not stored yet, and store it.

    ``tasks``: of these alone. ``say`` is called with one line per training, and at once with each
    note.

    Returns:
        Notes for the user: files of parameters that were passed over, what an old one lacks,
        trainings removed.

    Raises:
        InputError: a file of parameters does not fit, or the folder holds a benchmark on other
            data.
    """
    paths = plan.paths
    dataset = plan.dataset
    notes = list[str]()
    check_same_data(paths, dataset)
    tasks = tasks or [*planned(plan, notes)]
    for note in notes:
        say(f"note: {note}")
    write_scales(paths.scales, dataset, np.append(dataset.validation_origins, dataset.test_origins))
    provenance = {
        **code_provenance(),
        "data": data_provenance(dataset),
        "preset": plan.settings.budget_name,
    }
    for i, task in enumerate(tasks, start=1):
        (model, params, seed), key = task.row, task.key
        where = f"[{i}/{len(tasks)}] {model} {params} seed {seed}"
        if is_stored(paths.training(*task.row), key):
            say(f"{where}: stored")
            continue
        for file in paths.records(model, params):  # a row is one configuration, whatever the seed
            if [record["key"] for record in whole_records([file])] != [key]:
                file.unlink()
                notes.append(
                    f"{file.name} was made with other parameters, budget or code and was removed."
                )
                say(f"note: {notes[-1]}")
        named = {"model": model, "params": params, "seed": seed}
        # A study may have chosen the defaults.
        for twin in whole_records(paths.records(model)):
            if twin["seed"] == seed and is_stored(files_of(paths, twin), key):
                training = replace(Training.load(paths, twin), record={**twin, **named})
                said = f"the same training as {twin['params']}"
                break
        else:
            begun = time.monotonic()
            fitted = task.trained
            validation = fitted.validation
            test = fitted.forecasts(dataset, dataset.test_origins)
            record = {
                **named,
                "key": key,
                "best_step": fitted.best_step,
                "shares": fitted.shares,
                "seconds": (seconds := time.monotonic() - begun),
                "provenance": provenance,
            }
            training = Training(record, validation, test)
            said = (
                f"validation MAE {metrics.mae(validation):.5g}, "
                f"PICP {metrics.picp(validation):.1f}, {seconds:.0f} s"
            )
        training.store(paths)
        say(f"{where}: {said}")
    return notes


def planned(plan: Plan, notes: list[str]) -> Iterator[Task]:
    """Every training of a plan; ``notes`` gets those on files of parameters."""
    data = plan.dataset
    for naive in registered().values():
        if isinstance(naive, SeasonalNaive):
            key = training_key(data, refit=False)
            yield Task((naive.name, "own", FIRST_SEED), key, partial(naive.fit, data))
    if plan.chronos2:
        key = training_key(data, refit=False, weights=chronos2.checked_folder(plan.chronos2))
        zero_shot = partial(chronos2.zero_shot, data, plan.chronos2)
        yield Task((chronos2.Chronos2.name, "own", FIRST_SEED), key, zero_shot)
    for name in (*baselines(), *plan.models):
        for label, found in _rows(plan, name).items():
            notes += found.notes
            settings = plan.settings
            if label == "plain":
                settings = replace(settings, recipe="plain")
            key, fit = key_and_fit(name, found.params, data, settings, refit=plan.refit)
            seeds = plan.seeds if registered()[name].seeded else 1
            for seed in range(FIRST_SEED, FIRST_SEED + seeds):
                yield Task((name, label, seed), key, partial(fit, dataset=data, seed=seed))


def key_and_fit(
    model: str, params: Params, dataset: Dataset, settings: Settings, **deciding: object
) -> tuple[Json, Callable[..., Forecaster]]:
    """The key of a training of a family or baseline, and what trains it on a dataset with a seed.

    What is ``deciding`` becomes part of the key. The test preset makes quick baselines, too.
    """
    preset = settings.budget_name
    if baseline := baselines().get(model):
        quick = preset == "test"
        key = training_key(dataset, settings=baseline.settings, quick=quick, **deciding)
        return key, partial(baseline.fit, quick=quick)
    family = get_family(model)
    recipe = RECIPES[settings.recipe]
    budget = family.budgets[preset]
    key = family_key(family, params, budget, recipe, dataset, **deciding)
    return key, partial(family.fit, params, budget=budget, recipe=recipe)


def _rows(plan: Plan, model: str) -> dict[str, FoundParameters]:
    """Parameters of a model's rows by label, which may be the name of the row's recipe."""
    if model in baselines():
        return {"own": OWN_CHOICES}
    lookup = Lookup(get_family(model), plan.dataset, plan.settings)
    if plan.params.endswith(".json"):
        return {"file": lookup.from_file(Path(plan.params).expanduser())}
    rows = {"plain": lookup.defaults} if plan.params == "all" else {}
    if plan.params != "best":
        rows["default"] = lookup.defaults
    if plan.params != "default":
        found = lookup.best()
        # Without a study they are the defaults, with notes why.
        rows["default" if found.source == "defaults" else "best"] = found
    return rows
