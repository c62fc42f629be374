"""Train a chosen configuration anew on newer data, and put it in the place of the model before only if it is no worse.

Every training is kept as a version with its card. Which version is in use stands in one small file, written last.
"""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError, StudyError
from hpo_lib.families import get_family
from hpo_lib.families.contract import RECIPES, Family, Forecaster, Params
from hpo_lib.paths import ModelPaths, atomic, best_params_files
from hpo_lib.records.files import write_json, write_predictions
from hpo_lib.records.provenance import code_provenance, data_key, data_provenance
from hpo_lib.records.result import load_result
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import SEASONAL_LAGS, seasonal_naive
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import MIN_COMPARED_DAYS, compare
from hpo_lib.settings import Settings
from hpo_lib.views.look import warning
from hpo_lib.views.model_card import Card, render


@dataclass(frozen=True)
class Verdict:
    """How a new version compares with the one in use, over the same validation origins.

    Attributes:
        before: number of the version in use.
        days: origins compared.
        pinball: mean pinball loss of the new one.
        pinball_before: mean pinball loss of the one in use.
        p_value: of a Diebold-Mariano test of the daily pinball losses; None where the days are too few.
    """

    before: int
    days: int
    pinball: float
    pinball_before: float
    p_value: float | None

    @property
    def is_worse(self) -> bool:
        return self.pinball > self.pinball_before

    def __str__(self) -> str:
        sure = "" if self.p_value is None else f", p = {self.p_value:.2g}"
        return (
            f"pinball loss {self.pinball:.5g}, that of v{self.before:03d} {self.pinball_before:.5g} over the same "
            f"{self.days} validation days{sure}"
        )


@dataclass(frozen=True)
class Retrained:
    """What came of it: the version, its files, and the comparison (None for the first version of all)."""

    version: int
    paths: ModelPaths
    verdict: Verdict | None


def retrain(
    settings: Settings,
    models_dir: Path,
    *,
    params: str = "",
    replace: bool = False,
    say: Callable[[str], None] = print,
) -> Retrained:
    """Train with chosen parameters on the dataset as it is now, compare, store, and put in use.

    The version before forecasts the new validation split, too, from the new data: where the splits moved on with the
    data, neither of the two was trained on these days. What was trained in just this way already is not trained again.

    Args:
        settings: model, dataset, preset, recipe, seed and folders; everything else is not used.
        models_dir: folder of the trained models.
        params: path of a best_params JSON; empty: those of the version in use, or else of the newest complete study.
        replace: put it in use even if it is worse than the version in use.
        say: takes one line per step.

    Raises:
        InputError: no parameters are found or they do not fit; the version in use cannot be read.
        StudyError: it is worse than the version in use, which stays.
    """
    dataset = load_dataset(load_spec(settings.dataset), settings.data_dir)
    family = get_family(settings.model)
    paths = ModelPaths(models_dir, family.name, dataset.spec.name)
    before = _current(paths)
    chosen, source = _parameters(family, dataset, settings.runs_dir, params, paths, before)
    say(f"parameters of {source}")
    budget, recipe = family.budgets[settings.budget_name], RECIPES[settings.recipe]
    key = {
        "params": dict(chosen), "budget": asdict(budget), "recipe": asdict(recipe), "seed": settings.seed,
        "data": data_key(dataset),
    }  # fmt: skip
    version = next((n for n in paths.versions() if _facts(paths, n)["key"] == key), None)
    if version is None:
        version = max(paths.versions(), default=0) + 1
        forecaster = family.fit(chosen, dataset, budget, seed=settings.seed, recipe=recipe)
        own = forecaster.validation
        say(f"v{version:03d}: validation MAE {metrics.mae(own):.5g}, PICP {metrics.picp(own):.1f}")
    else:
        forecaster = _load(paths, version)
        say(f"v{version:03d} was trained in just this way already")
    verdict, rival = None, None
    if before is not None and before != version:
        rival = _predict(paths, before, dataset)
        verdict = _compare(before, forecaster.validation, rival)
        say(f"v{version:03d}: {verdict}")
    if version not in paths.versions():
        origin = {"Parameters": source, "Budget": settings.budget_name, "Seed": settings.seed}
        _store(paths, version, forecaster, dataset, key, origin, verdict, rival)
    if verdict is not None and verdict.is_worse and not replace:
        raise StudyError(
            f"{paths.version(version)}: is worse than v{before:03d} ({verdict}), so v{before:03d} stays in use; look "
            "at both cards, and give --replace to put the new one in use all the same"
        )
    if version != before:
        write_json(paths.current, {"version": version, "before": before})
    return Retrained(version, paths, verdict)


def _current(paths: ModelPaths) -> int | None:
    """Number of the version in use, None where there is none yet."""
    try:
        return int(json.loads(paths.current.read_text(encoding="utf-8"))["version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f'{paths.current}: does not name a version; write {{"version": N}} with one of {paths.versions()}'
        ) from None


def _parameters(
    family: Family, dataset: Dataset, runs_dir: Path, file: str, paths: ModelPaths, before: int | None
) -> tuple[Params, str]:
    """Hyperparameters and where they come from. The data that they were found on may be older: that is the point."""
    name = dataset.spec.name
    if not file and before is not None:
        found = dict(_facts(paths, before)["key"]["params"])
        family.check_params(found, str(paths.facts(before)))
        return found, f"v{before:03d}"
    if file:
        result = load_result(Path(file).expanduser())
        if result["model"] != family.name:
            raise InputError(
                f"{file}: model is {result['model']!r}, expected {family.name!r}; give a file of that model"
            )
        chosen, source = result, Path(file)
    else:
        studies = [(load_result(path), path) for path in best_params_files(runs_dir, family.name, name)]
        complete = [(result, path) for result, path in studies if result["status"] == "complete"]
        if not complete:
            raise InputError(
                f"{runs_dir}: holds no complete study of {family.name} on {name}; make one with `hpo run`, or name a "
                "best_params JSON with --params"
            )
        chosen, source = max(complete, key=lambda pair: (str(pair[0]["optimization_date"]), pair[1].name))
    family.check_params(chosen["best_params"], str(source))
    return chosen["best_params"], source.name


def _facts(paths: ModelPaths, version: int) -> dict[str, Any]:
    file = paths.facts(version)
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {**found, "key": dict(found["key"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not a readable card ({error}); restore it, or remove its folder") from None


def _load(paths: ModelPaths, version: int) -> Forecaster:
    file = paths.weights(version)
    try:
        found: Forecaster = pickle.loads(file.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError) as error:
        raise InputError(
            f"{file}: cannot be read ({error}), perhaps it was written with other versions of the libraries; use the "
            f"environment that {paths.card(version).name} names, or remove {paths.current} to begin anew"
        ) from None
    return found


def _predict(paths: ModelPaths, version: int, dataset: Dataset) -> QuantileForecasts:
    forecaster = _load(paths, version)
    try:
        return forecaster.predict(dataset.frame, dataset.validation_origins)
    except KeyError as error:
        raise InputError(
            f"{dataset.path}: lacks {error}, which v{version:03d} was trained with, so the two cannot be compared; add "
            f"the column, or remove {paths.current} to begin anew"
        ) from None


def _compare(before: int, new: QuantileForecasts, old: QuantileForecasts) -> Verdict:
    days = len(new.origins)
    p_value = compare(new, old, "pinball").p_value if days >= MIN_COMPARED_DAYS else None
    return Verdict(before, days, metrics.pinball(new), metrics.pinball(old), p_value)


def _store(
    paths: ModelPaths,
    version: int,
    forecaster: Forecaster,
    dataset: Dataset,
    key: Mapping[str, Any],
    origin: Mapping[str, object],
    verdict: Verdict | None,
    rival: QuantileForecasts | None,
) -> None:
    """Write the model, its forecasts and its card; the card for programs comes last and makes the version complete."""
    with atomic(paths.weights(version)) as temporary:
        temporary.write_bytes(pickle.dumps(forecaster))
    write_predictions(paths.validation(version), forecaster.validation)
    data, code = data_provenance(dataset), code_provenance()
    forecasts = {"validation, this model": forecaster.validation}
    notes = ["The validation split chose the weights, so its scores are optimistic."]
    if verdict is not None and rival is not None:
        forecasts[f"validation, v{verdict.before:03d} before it"] = rival
        notes.append(f"Compared with the version before: {verdict}.")
        seen = _facts(paths, verdict.before)["key"]["data"]["val_end"]
        if seen > str(dataset.spec.splits.train_end):
            notes.append(f"The version before chose its weights on days up to {seen}, some of which are compared here.")
    for lag in SEASONAL_LAGS:
        forecasts[f"validation, naive {lag} h"] = seasonal_naive(dataset, dataset.validation_origins, lag)
    text = render(
        Card(
            model=paths.model,
            title=dataset.spec.title,
            warning=warning(dataset.source == "simulated", origin["Budget"] == "test"),
            params=key["params"],
            origin={"Version": f"v{version:03d}", **origin, "Best step": forecaster.best_step},
            data=data,
            forecasts=forecasts,
            notes=notes,
            files=[paths.weights(version).name, paths.validation(version).name, paths.facts(version).name],
            code=code,
        )
    )
    paths.card(version).write_text(text, encoding="utf-8")
    scores = {name: metric(forecaster.validation) for name, metric in metrics.METRICS.items()}
    write_json(
        paths.facts(version),
        {
            "version": version, "model": paths.model, "dataset": paths.dataset, "key": dict(key),
            "best_step": forecaster.best_step, "validation_metrics": scores,
            "comparison": None if verdict is None else asdict(verdict), "provenance": {**code, "data": data},
        },
    )  # fmt: skip
