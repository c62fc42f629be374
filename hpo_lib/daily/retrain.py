"""Train a chosen configuration again on newer data; it is put in use unless it is worse.

Every training is kept as a version with its card. One small file, written last, names the version
in use.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hpo_lib.baselines.contract import baselines
from hpo_lib.benchmark.chosen_params import OWN_CHOICES, FoundParameters, Lookup
from hpo_lib.benchmark.train import key_and_fit
from hpo_lib.daily.versions import (
    DAY,
    FITTED,
    MIXTURE,
    REFITTED,
    Version,
    in_use,
    relative_mae,
    store,
    with_ends,
)
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.errors import InputError, StudyError
from hpo_lib.families.models import RECIPES, Forecaster, family_names, get_family
from hpo_lib.figures.card import render_card
from hpo_lib.paths import MODELS_DIR, ModelPaths, write_text
from hpo_lib.records.leases import Lease
from hpo_lib.records.provenance import code_provenance, data_provenance
from hpo_lib.records.read_write import Json, load_predictions, write_json
from hpo_lib.records.trainings import training_key
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import SEASONAL_LAGS, seasonal_naive
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.mixture import mixture
from hpo_lib.scoring.uncertainty import MIN_COMPARED_DAYS, compare
from hpo_lib.settings import Settings

COMPARED_DAYS = 56
"""Newest days, held out of the first training for the comparison; at most half of the validation
days.
"""


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
    settings: Settings, models_dir: str | Path, *, params: str = "", replace: bool = False
) -> Version:
    """Train on the dataset as it is now, compare, refit on all of it, store, and put in use.

    The validation split of the dataset's TOML is moved to the end of the data. Its last days
    (`COMPARED_DAYS`) are held out of the first training, which chooses its weights on the others.
    On the held-out days it is compared with the version in use as that was before its refit, so
    neither has seen them (members of a mixture have). A version with the same key is not trained
    again, unless it is a mixture. Each step is printed. Another command waits for this one.

    A mixture is of every family and baseline. Each member is chosen on the whole validation split,
    as by `hpo benchmark --refit`, and there the weights begin. Families have the parameters of
    their newest study, else the defaults. Members are stored in the folder of the version, and
    those of an interrupted command are not trained again.

    Args:
        settings: model or MIXTURE, dataset, preset, recipe, seed and folders; the rest is not used.
        models_dir: folder of the trained models; empty: that of the project.
        params: path of a best_params JSON, or ``default``; empty: the parameters of the version in
            use or, without one, those that a benchmark would take.
        replace: put it in use even if it is worse than the version in use.

    Raises:
        InputError: no parameters are found or they do not fit; the version in use cannot be read.
        StudyError: it is worse than the version in use, which stays.
    """
    dataset = load_dataset(settings.dataset, settings.data_dir, simulated=settings.simulated)
    paths = ModelPaths(
        Path(models_dir or MODELS_DIR).expanduser(), settings.model, dataset.spec.name
    )
    with Lease(paths.lease):
        before = in_use(paths)
        if before and settings.model != MIXTURE:
            before.model(FITTED, dataset)  # an error before the training, not after it
        training = _Training(settings, dataset, *_fitting_and_whole(dataset), before)
        version, verdict = (
            training.mixed(paths)
            if settings.model == MIXTURE
            else training.trained(paths, training.parameters(params))
        )
        if verdict and verdict.pinball > verdict.pinball_before and not replace:
            raise StudyError(
                f"{paths.version(version.number)}: is worse than v{verdict.before:03d} ({verdict}),"
                f" so v{verdict.before:03d} stays in use; look at both cards, and give --replace "
                "to put the new one in use anyway"
            )
        if not before or version.number != before.number:
            write_json(
                paths.current, {"version": version.number, "before": before and before.number}
            )
    return version


@dataclass(frozen=True)
class _Training:
    """What the trainings of one command share.

    Attributes:
        settings, dataset: of the command.
        fitting: a model chooses its weights on it, ``whole``: and is refitted on it. The scores
            are of the validation days that are in ``whole`` alone; of all if there are none.
        before: the version in use.
    """

    settings: Settings
    dataset: Dataset
    fitting: Dataset
    whole: Dataset
    before: Version | None

    def mixed(self, paths: ModelPaths) -> tuple[Version, Verdict | None]:
        """A mixture of every family and baseline."""
        settings = self.settings
        whole = self.whole
        of_members = dataclasses.replace(self, fitting=whole, before=None)
        number = _next_number(paths)
        numbers = dict[str, int]()
        files = list[Path]()
        for name in (*family_names(), *baselines()):
            found = self.lookup(name).best() if name in family_names() else OWN_CHOICES
            member = ModelPaths(paths.version(number), name, paths.dataset)
            trained, _ = of_members.trained(member, found)
            numbers[name] = trained.number
            files.append(member.training(trained.number).forecasts["compared"])
        mixed, weights = mixture(list(map(load_predictions, files)))
        compared = mixed.rows(mixed.origins >= self.fitting.spec.splits.val_end)
        recipe = RECIPES[settings.recipe].effective(whole)
        key = training_key(whole, members=numbers, recipe=recipe, seed=settings.seed)
        facts = {"params": {}, "members": numbers, "key": key}
        version = of_members.version(paths, number, compared, facts)
        shares = zip(numbers, weights[-1], strict=True)
        origin = {name: f"weight {last:.2f}" for name, last in shares}
        verdict = self.report(version, compared, origin, [file.parent for file in files])
        store(version, {}, compared=mixed)
        return version, verdict

    def trained(
        self, paths: ModelPaths, parameters: FoundParameters
    ) -> tuple[Version, Verdict | None]:
        """A family or baseline."""
        settings = self.settings
        whole = self.whole
        for note in parameters.notes:
            print(f"note: {note}")
        source = Path(parameters.source).name
        print(f"{paths.model}: parameters of {source}")
        key, fit = key_and_fit(
            paths.model,
            parameters.params,
            self.fitting,
            settings,
            seed=settings.seed,
            trained_until=str(whole.spec.splits.val_end),
        )
        stored = (Version.read(paths, number) for number in paths.versions())
        version = next((version for version in stored if version.facts["key"] == key), None)
        models = dict[str, Forecaster]()
        if version is None:
            fitted = fit(dataset=self.fitting, seed=settings.seed)
            models[FITTED] = fitted
            models[REFITTED] = fit(dataset=whole, seed=settings.seed, like=fitted)
        else:
            fitted = version.model(FITTED, self.dataset)
            print(f"{version} was already trained in this way")
        days = whole.validation_origins
        held_out = days[days >= self.fitting.positions.val.stop - 1]
        compared = fitted.forecasts(self.dataset, held_out if len(held_out) else days)
        if not version:
            facts = {"params": {**parameters.params}, "key": key, "best_step": fitted.best_step}
            version = self.version(paths, _next_number(paths), compared, facts)
        origin = {"Parameters": source, "Best step": fitted.best_step}
        files = [paths.trained(version.number, which) for which in (FITTED, REFITTED)]
        verdict = self.report(version, compared, origin, files)
        if models:
            store(version, models, compared=compared)
        return version, verdict

    def lookup(self, model: str) -> Lookup:
        """For parameters of a study whose data may be older than the dataset."""
        return Lookup(get_family(model), self.dataset, self.settings, same_data=False)

    def parameters(self, file: str) -> FoundParameters:
        """Of a file, of the version in use, or of a study; ``default``: the untuned defaults.

        A version of the test budget or on simulated data gives its parameters to its own kind only.
        """
        settings = self.settings
        before = self.before
        lookup = self.lookup(self.settings.model)
        if file == "default":
            return lookup.defaults
        if file:
            return lookup.from_file(Path(file).expanduser())
        if before:
            is_test = before.facts["preset"] == "test" != settings.budget_name
            if not is_test and before.source == self.dataset.source:
                return FoundParameters(before.facts["params"], f"v{before.number:03d}")
        found = lookup.best()
        if found.source == "defaults":
            passed_over = "".join(f" {note}" for note in found.notes[:-1])
            raise InputError(
                f"{settings.runs_dir}: holds no usable study of {settings.model} on "
                f"{self.dataset.spec.name}; make one with `hpo run`, name a best_params JSON with "
                f"--params, or take the untuned defaults with --params default.{passed_over}"
            )
        return found

    def version(
        self, paths: ModelPaths, number: int, compared: QuantileForecasts, facts: Json
    ) -> Version:
        """A new one, with what a card for programs says of every training."""
        stated = {
            **facts,
            "version": number,
            "model": paths.model,
            "dataset": paths.dataset,
            "preset": self.settings.budget_name,
            "seed": self.settings.seed,
            "trained_until": str(self.whole.spec.splits.val_end),
            "compared_metrics": {
                name: metric(compared) for name, metric in metrics.METRICS.items()
            },
            "relative_mae": relative_mae(compared, self.dataset),
            "provenance": {**code_provenance(), "data": data_provenance(self.fitting)},
        }
        return Version(paths, number, stated)

    def report(
        self,
        version: Version,
        compared: QuantileForecasts,
        origin: Mapping[str, object],
        files: Sequence[Path],
    ) -> Verdict | None:
        """Say what a version is worth, also beside the one in use; write the card of a new one."""
        paths = version.paths
        number = version.number
        facts = version.facts
        dataset = self.dataset
        before = self.before
        days = "held-out days" if version.held_out else "validation days"
        print(
            f"v{number:03d}: MAE {metrics.mae(compared):.5g}, PICP {metrics.picp(compared):.1f} "
            f"over {len(compared.origins)} {days}"
        )
        positions = dataset.index.get_indexer(compared.origins)
        forecasts = {f"{days}, this model": compared}
        verdict = None
        if before and before.number != number:
            if before.paths.model == MIXTURE:  # as it would have served
                rival = before.forecasts(dataset, positions, notes := list[str]())
                print(*notes, sep="\n")
            else:  # as it was before its refit
                rival = before.model(FITTED, dataset).forecasts(dataset, positions)
            forecasts[f"{days}, v{before.number:03d} before it"] = rival
            verdict = _verdict(before.number, compared, rival)
            print(f"v{number:03d}: {verdict}")
        card, stored = paths.training(number)
        if card.exists():
            return verdict
        facts["comparison"] = verdict and asdict(verdict)
        forecasts |= {
            f"{days}, naive {lag} h": seasonal_naive(dataset, positions, lag)
            for lag in SEASONAL_LAGS
        }
        text = render_card(
            model=paths.model,
            title=dataset.spec.title,
            params=facts["params"],
            origin={
                "Version": f"v{number:03d}",
                "Budget": facts["preset"],
                "Seed": facts["seed"],
                **origin,
            },
            provenance=facts["provenance"],
            forecasts=forecasts,
            notes=_notes(version, before, verdict),
            files=[file.name for file in (*files, *stored.values(), card)],
        )
        write_text(paths.card(number), text)
        return verdict


def _next_number(paths: ModelPaths) -> int:
    return max(paths.versions(), default=0) + 1


def _fitting_and_whole(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """With the splits of the first training, and with validation up to the last whole day."""
    splits = dataset.spec.splits
    last = dataset.index[-1]
    days = (splits.val_end - splits.train_end) // DAY
    if days < 2:
        raise InputError(
            f"{dataset.spec.path}: the validation split has {days} days, expected at least 2: some "
            "to choose weights, some to compare; move train_end or val_end"
        )
    end = last - (last - splits.val_end) % DAY
    train_end = end - days * DAY
    held_out = min(COMPARED_DAYS, days // 2) * DAY
    fitting, whole = (with_ends(dataset, train_end, val_end) for val_end in (end - held_out, end))
    if not 0 < len(fitting.validation_origins) < len(whole.validation_origins):
        raise InputError(
            f"{dataset.path}: long gaps leave no whole forecast in the last {days} days or in the "
            f"newest {held_out // DAY} of them, on which a new model is chosen and compared; fill "
            "some of the gaps"
        )
    return fitting, whole


def _verdict(before: int, own: QuantileForecasts, rival: QuantileForecasts) -> Verdict:
    days = len(own.origins)
    p_value = compare(own, rival, "pinball").p_value if days >= MIN_COMPARED_DAYS else None
    return Verdict(before, days, metrics.pinball(own), metrics.pinball(rival), p_value)


def _notes(version: Version, before: Version | None, verdict: Verdict | None) -> list[str]:
    notes = [
        "Scores are of the model before its refit, which chose its weights on days up to "
        f"{version.chosen_until} and has {'not seen the' if version.held_out else 'seen'} days of "
        f"these scores. In use is its refit on all days up to {version.trained_until}."
    ]
    if before and verdict:
        notes.append(f"Compared with the version before: {verdict}.")
        if before.chosen_until > version.chosen_until:
            notes.append(
                f"The version before chose its weights on days up to {before.chosen_until}, some "
                "of them below."
            )
    return notes
