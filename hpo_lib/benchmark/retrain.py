"""Train a chosen configuration again on newer data, and replace the model in use only if the new one is not worse.

Every training is kept as a version with its card. One small file, written last, names the version in use.
"""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo_lib.benchmark.chosen_params import FoundParameters, Lookup
from hpo_lib.benchmark.training_key import family_key, same_key
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError, StudyError
from hpo_lib.families.contract import RECIPES, Family, Forecaster, Params, get_family
from hpo_lib.paths import ModelPaths, atomic
from hpo_lib.records.files import write_json, write_predictions
from hpo_lib.records.provenance import code_provenance, data_provenance
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.seasonal_naive import SEASONAL_LAGS, seasonal_naive
from hpo_lib.scoring.uncertainty import MIN_COMPARED_DAYS, compare
from hpo_lib.settings import Settings
from hpo_lib.views.model_card import render_card
from hpo_lib.views.model_style import warning_text


@dataclass(frozen=True)
class Verdict:
    """Mean pinball losses of a new version and of the one in use (``before``) over the same validation origins.

    ``p_value`` is that of a Diebold-Mariano test of the daily losses; None if the days are too few.
    """

    before: int
    days: int
    pinball: float
    pinball_before: float
    p_value: float | None

    def __str__(self) -> str:
        sure = "" if self.p_value is None else f", p = {self.p_value:.2g}"
        return (
            f"pinball loss {self.pinball:.5g}, v{self.before:03d} has {self.pinball_before:.5g} over the same "
            f"{self.days} validation days{sure}"
        )


def retrain(
    settings: Settings, models_dir: Path, *, params: str = "", replace: bool = False, say: Callable[[str], None] = print
) -> tuple[int, ModelPaths]:
    """Train with chosen parameters on the dataset as it is now, compare, store, and put in use.

    The version in use forecasts the new validation split, too, from the new data. If the splits moved on with the data,
    neither of the two was trained on these days. A version with the same key is not trained again.

    Args:
        settings: model, dataset, preset, recipe, seed and folders; the rest is not used.
        models_dir: folder of the trained models.
        params: path of a best_params JSON; empty: the parameters of the version in use or, without one, of the newest
            complete study.
        replace: put it in use even if it is worse than the version in use.
        say: is called with one line per step.

    Returns:
        The version, and the names of its files.

    Raises:
        InputError: no parameters are found or they do not fit; the version in use cannot be read.
        StudyError: it is worse than the version in use, which stays.
    """
    dataset = load_dataset(load_spec(settings.dataset), settings.data_dir)
    family = get_family(settings.model)
    paths = ModelPaths(models_dir, family.name, dataset.spec.name)
    before = _current(paths)
    found = _parameters(settings, family, dataset, params, paths, before)
    for note in found.notes:
        say(f"note: {note}")
    chosen, source = found.params, Path(found.source).name
    say(f"parameters of {source}")
    budget, recipe = family.budgets[settings.budget_name], RECIPES[settings.recipe]
    key = {**family_key(family, chosen, budget, recipe, dataset), "seed": settings.seed}
    version = next((n for n in paths.versions() if same_key(_facts(paths, n)["key"], key)), None)
    if version is None:
        version = max(paths.versions(), default=0) + 1
        forecaster = family.fit(chosen, dataset, budget, seed=settings.seed, recipe=recipe)
        own = forecaster.validation
        say(f"v{version:03d}: validation MAE {metrics.mae(own):.5g}, PICP {metrics.picp(own):.1f}")
    else:
        forecaster = _load(paths, version)
        say(f"v{version:03d} was already trained in this way")
    verdict, rival = None, None
    if before is not None and before != version:
        verdict, rival = _compare(paths, before, dataset, forecaster.validation)
        say(f"v{version:03d}: {verdict}")
    if version not in paths.versions():
        origin = {"Parameters": source, "Budget": settings.budget_name, "Seed": settings.seed}
        _store(paths, version, forecaster, dataset, chosen, key, origin, verdict, rival)
    if verdict is not None and verdict.pinball > verdict.pinball_before and not replace:
        raise StudyError(
            f"{paths.version(version)}: is worse than v{before:03d} ({verdict}), so v{before:03d} stays in use; look "
            "at both cards, and give --replace to put the new one in use anyway"
        )
    if version != before:
        write_json(paths.current, {"version": version, "before": before})
    return version, paths


def _current(paths: ModelPaths) -> int | None:
    """Number of the version in use, None if there is none yet."""
    try:
        return int(json.loads(paths.current.read_text(encoding="utf-8"))["version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f'{paths.current}: does not name a version; write {{"version": N}} with one of {paths.versions()}'
        ) from None


def _parameters(
    settings: Settings, family: Family, dataset: Dataset, file: str, paths: ModelPaths, before: int | None
) -> FoundParameters:
    """Of a file, of the version in use, or of a study, whose data may be older than the dataset: that is the point."""
    if not file and before is not None:
        facts = _facts(paths, before)
        params = dict(facts.get("params", facts["key"]["params"]))
        family.check_params(params, str(paths.facts(before)))
        return FoundParameters(params, f"v{before:03d}")
    lookup = Lookup(family, dataset, settings.budget_name, settings.recipe, same_data=False)
    found = lookup.from_file(Path(file).expanduser()) if file else lookup.best(settings.runs_dir)
    if not found.tuned:
        passed_over = "".join(f" {note}" for note in found.notes[:-1])
        raise InputError(
            f"{settings.runs_dir}: holds no usable study of {family.name} on {dataset.spec.name}; make one with "
            f"`hpo run`, or name a best_params JSON with --params.{passed_over}"
        )
    return found


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
            f"environment that {paths.card(version).name} names, or remove {paths.current} to start again"
        ) from None
    return found


def _compare(
    paths: ModelPaths, before: int, dataset: Dataset, new: QuantileForecasts
) -> tuple[Verdict, QuantileForecasts]:
    """The verdict on new validation forecasts, and the version in use's own forecasts of the same days."""
    in_use = _load(paths, before)
    try:
        old = in_use.predict(dataset.frame, dataset.validation_origins)
    except KeyError as error:
        raise InputError(
            f"{dataset.path}: lacks {error}, which v{before:03d} was trained with, so the two cannot be compared; add "
            f"the column, or remove {paths.current} to start again"
        ) from None
    days = len(new.origins)
    p_value = compare(new, old, "pinball").p_value if days >= MIN_COMPARED_DAYS else None
    return Verdict(before, days, metrics.pinball(new), metrics.pinball(old), p_value), old


def _store(
    paths: ModelPaths,
    version: int,
    forecaster: Forecaster,
    dataset: Dataset,
    params: Params,
    key: Mapping[str, Any],
    origin: Mapping[str, object],
    verdict: Verdict | None,
    rival: QuantileForecasts | None,
) -> None:
    """Write the model, its forecasts and its card. The card for programs comes last and makes the version complete."""
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
    text = render_card(
        model=paths.model,
        title=dataset.spec.title,
        warning=warning_text(is_simulated=dataset.source == "simulated", is_test=origin["Budget"] == "test"),
        params=params,
        origin={"Version": f"v{version:03d}", **origin, "Best step": forecaster.best_step},
        data=data,
        forecasts=forecasts,
        notes=notes,
        files=[paths.weights(version).name, paths.validation(version).name, paths.facts(version).name],
        code=code,
    )
    with atomic(paths.card(version)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    scores = {name: metric(forecaster.validation) for name, metric in metrics.METRICS.items()}
    write_json(
        paths.facts(version),
        {
            "version": version, "model": paths.model, "dataset": paths.dataset,
            "params": dict(params), "key": dict(key),
            "best_step": forecaster.best_step, "validation_metrics": scores,
            "comparison": None if verdict is None else asdict(verdict), "provenance": {**code, "data": data},
        },
    )  # fmt: skip
