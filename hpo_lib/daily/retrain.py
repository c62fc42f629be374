"""Train a chosen configuration again on newer data; it is put in use unless it is worse.

Every training is kept as a version with its card. One small file, written last, names the version
in use.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from hpo_lib.benchmark.chosen_params import FoundParameters, Lookup
from hpo_lib.daily.versions import FITTED, REFITTED, Version, in_use, relative_mae, store, with_ends
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import InputError, StudyError
from hpo_lib.families.models import RECIPES, Family, get_family
from hpo_lib.figures.card import render_card
from hpo_lib.paths import ModelPaths, atomic
from hpo_lib.records.provenance import code_provenance, data_provenance
from hpo_lib.records.read_write import write_json
from hpo_lib.records.trainings import family_key
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import SEASONAL_LAGS, seasonal_naive
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import MIN_COMPARED_DAYS, compare
from hpo_lib.settings import Settings

COMPARED_DAYS = 56
"""Newest days, held out of the first training for the comparison; at most half of the validation
days.
"""

_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Verdict:
    """Mean pinball losses of a new version and the one in use (``before``) over unseen days.

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
            f"pinball loss {self.pinball:.5g}, v{self.before:03d} has {self.pinball_before:.5g} "
            f"over the same {self.days} days{sure}"
        )


def retrain(
    settings: Settings,
    models_dir: Path,
    *,
    params: str = "",
    replace: bool = False,
    say: Callable[[str], None] = print,
) -> Version:
    """Train on the dataset as it is now, compare, refit on all of it, store, and put in use.

    The validation split of the dataset's TOML is moved to the end of the data. Its last days
    (`COMPARED_DAYS`) are held out of the first training, which chooses its weights on the others.
    On the held-out days it is compared with the version in use as that was before its refit, so
    neither has seen them. A version with the same key is not trained again.

    Args: settings: model, dataset, preset, recipe, seed and folders; the rest is not used.
        models_dir: folder of the trained models. params: path of a best_params JSON; empty: the
        parameters of the version in use or, without one, those that a
            benchmark would take.
        replace: put it in use even if it is worse than the version in use.
        say: is called with one line per step.

    Raises:
        InputError: no parameters are found or they do not fit; the version in use cannot be read.
        StudyError: it is worse than the version in use, which stays.
    """
    dataset = load_dataset(
        load_spec(settings.dataset), settings.data_dir, simulated=settings.simulated
    )
    family = get_family(settings.model)
    paths = ModelPaths(models_dir, family.name, dataset.spec.name)
    before = in_use(paths)
    parameters = _parameters(settings, family, dataset, params, before)
    for note in parameters.notes:
        say(f"note: {note}")
    chosen, source = parameters.params, Path(parameters.source).name
    say(f"parameters of {source}")
    budget, recipe = family.budgets[settings.budget_name], RECIPES[settings.recipe]
    fitting, whole = _fitting_and_whole(dataset)
    end, seed = str(whole.spec.splits.val_end), settings.seed
    key = family_key(family, chosen, budget, recipe, fitting, seed=seed, trained_until=end)
    stored = (Version.read(paths, number) for number in paths.versions())
    version = next((one for one in stored if one.facts["key"] == key), None)
    models = {}
    if version is None:
        number = max(paths.versions(), default=0) + 1
        fitted = family.fit(chosen, fitting, budget, seed=seed, recipe=recipe)
        refitted = family.fit(chosen, whole, budget, like=fitted, seed=seed, recipe=recipe)
        models = {FITTED: fitted, REFITTED: refitted}
    else:
        number, fitted = version.number, version.model(FITTED, dataset)
        say(f"{version} was already trained in this way")
    held_out = whole.validation_origins[whole.validation_origins >= fitting.positions.val.stop - 1]
    compared = fitted.forecasts(dataset, held_out)
    say(
        f"v{number:03d}: MAE {metrics.mae(compared):.5g}, PICP {metrics.picp(compared):.1f} over "
        f"{len(held_out)} held-out days"
    )
    forecasts, verdict = {"held-out days, this model": compared}, None
    if before is not None and before.number != number:
        rival = before.model(FITTED, dataset).forecasts(dataset, held_out)
        forecasts[f"held-out days, v{before.number:03d} before it"] = rival
        verdict = _verdict(before.number, compared, rival)
        say(f"v{number:03d}: {verdict}")
    if version is None:
        origin = {"Parameters": source, "Budget": settings.budget_name, "Seed": seed}
        facts = {
            "version": number,
            "model": paths.model,
            "dataset": paths.dataset,
            "params": dict(chosen),
            "preset": settings.budget_name,
            "key": key,
            "trained_until": end,
            "best_step": fitted.best_step,
            "compared_metrics": {
                name: metric(compared) for name, metric in metrics.METRICS.items()
            },
            "relative_mae": relative_mae(compared, dataset),
            "comparison": None if verdict is None else asdict(verdict),
            "provenance": {**code_provenance(), "data": data_provenance(fitting)},
        }
        version = Version(paths, number, facts)
        forecasts |= {
            f"held-out days, naive {lag} h": seasonal_naive(dataset, held_out, lag)
            for lag in SEASONAL_LAGS
        }
        notes = _notes(version, before, verdict)
        _write_card(version, dataset.spec.title, origin, forecasts, notes)
        store(version, models, compared=compared)
    if verdict is not None and verdict.pinball > verdict.pinball_before and not replace:
        stays = f"v{verdict.before:03d}"
        raise StudyError(
            f"{paths.version(number)}: is worse than {stays} ({verdict}), so {stays} stays in use; "
            "look at both cards, and give --replace to put the new one in use anyway"
        )
    if before is None or number != before.number:
        write_json(paths.current, {"version": number, "before": before and before.number})
    return version


def _fitting_and_whole(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """With the splits of the first training, and with validation up to the last whole day."""
    splits, last = dataset.spec.splits, dataset.index[-1]
    days = (splits.val_end - splits.train_end) // _DAY
    if days < 2:
        raise InputError(
            f"{dataset.spec.path}: the validation split has {days} days, expected at least 2: some "
            "to choose weights, some to compare; move train_end or val_end"
        )
    end = last - (last - splits.val_end) % _DAY
    train_end, held_out = end - days * _DAY, min(COMPARED_DAYS, days // 2) * _DAY
    fitting, whole = (with_ends(dataset, train_end, val_end) for val_end in (end - held_out, end))
    if not 0 < len(fitting.validation_origins) < len(whole.validation_origins):
        raise InputError(
            f"{dataset.path}: long gaps leave no whole forecast in the last {days} days or in the "
            f"newest {held_out // _DAY} of them, on which a new model is chosen and compared; fill "
            "some of the gaps"
        )
    return fitting, whole


def _parameters(
    settings: Settings, family: Family, dataset: Dataset, file: str, before: Version | None
) -> FoundParameters:
    """Of a file, of the version in use, or of a study, whose data may be older than the dataset.

    A version of the test budget or on simulated data gives its parameters to its own kind only.
    """
    if not file and before is not None:
        is_test = before.facts["preset"] == "test" != settings.budget_name
        if not is_test and before.facts["provenance"]["data"]["source"] == dataset.source:
            return FoundParameters(before.facts["params"], f"v{before.number:03d}")
    lookup = Lookup(family, dataset, settings.budget_name, settings.recipe, same_data=False)
    if file:
        return lookup.from_file(Path(file).expanduser())
    found = lookup.best(settings.runs_dir)
    if not found.tuned:
        passed_over = "".join(f" {note}" for note in found.notes[:-1])
        raise InputError(
            f"{settings.runs_dir}: holds no usable study of {family.name} on {dataset.spec.name}; "
            f"make one with `hpo run`, or name a best_params JSON with --params.{passed_over}"
        )
    return found


def _verdict(before: int, own: QuantileForecasts, rival: QuantileForecasts) -> Verdict:
    days = len(own.origins)
    p_value = compare(own, rival, "pinball").p_value if days >= MIN_COMPARED_DAYS else None
    return Verdict(before, days, metrics.pinball(own), metrics.pinball(rival), p_value)


def _notes(version: Version, before: Version | None, verdict: Verdict | None) -> list[str]:
    notes = [
        "Scores are of the model before its refit, which chose its weights on days up to "
        f"{version.chosen_until} and has not seen the days of these scores. In use is its refit on "
        f"all days up to {version.trained_until}."
    ]
    if before is not None and verdict is not None:
        notes.append(f"Compared with the version before: {verdict}.")
        if before.chosen_until > version.chosen_until:
            notes.append(
                f"The version before chose its weights on days up to {before.chosen_until}, some "
                "of them below."
            )
    return notes


def _write_card(
    version: Version,
    title: str,
    origin: Mapping[str, object],
    forecasts: Mapping[str, QuantileForecasts],
    notes: list[str],
) -> None:
    paths, number, facts = version.paths, version.number, version.facts
    card, compared = paths.training(number)
    models = [paths.trained(number, which).name for which in (FITTED, REFITTED)]
    text = render_card(
        model=paths.model,
        title=title,
        params=facts["params"],
        origin={"Version": f"v{number:03d}", **origin, "Best step": facts["best_step"]},
        provenance=facts["provenance"],
        forecasts=forecasts,
        notes=notes,
        files=[*models, *(file.name for file in (*compared.values(), card))],
    )
    with atomic(paths.card(number)) as temporary:
        temporary.write_text(text, encoding="utf-8")
