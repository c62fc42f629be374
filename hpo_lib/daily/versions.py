"""The versions of a trained model: their files, which one is in use, and what it forecasts.

Which of several models in use forecasts a day: `hpo_lib.daily.day_ahead.forecast_day`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON, Positions
from hpo_lib.errors import UNREADABLE, Damage, InputError, choices, in_one_line
from hpo_lib.families.models import Forecaster, family_names, registered
from hpo_lib.figures.style import warning_text
from hpo_lib.paths import MODELS_DIR, ModelPaths, atomic
from hpo_lib.records import trainings
from hpo_lib.records.provenance import Provenance
from hpo_lib.records.read_write import Json, Params, Part, Time, checked_json, read_json
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import SEASONAL_LAGS, seasonal_naive
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.mixture import mixture

DAY = pd.Timedelta(days=1)
FITTED, REFITTED = "fitted", "refitted"
MIXTURE = "MIXTURE"
T = TypeVar("T")


class _Ends(Part):
    train_end: Time
    val_end: Time


class _Key(Part):
    data: _Ends
    version: int


class _Facts(Part):
    """The card for programs of a trained model."""

    key: _Key
    members: Mapping[str, int] | None = None
    params: Params
    preset: str
    trained_until: Time
    relative_mae: float
    provenance: Provenance
    sha256: dict[str, str]


@dataclass(frozen=True)
class Version:
    """A model whose weights were chosen on validation days, and its refit on all days.

    Attributes:
        paths: files of all versions of the model.
        number: of this version.
        facts: its card for programs.
    """

    paths: ModelPaths
    number: int
    facts: Json

    @classmethod
    def read(cls, paths: ModelPaths, number: int) -> Self:
        file = paths.training(number).record
        return cls(paths, number, checked_json(file, "the card of a trained model", _Facts))

    def __str__(self) -> str:
        """Its name, with what has to be said of every number of it."""
        warning = warning_text([self.source], is_test=self.facts["preset"] == "test")
        return f"{self.paths.model} v{self.number:03d}" + f" ({warning})" * bool(warning)

    @property
    def source(self) -> str:
        """As `Dataset.source`."""
        return str(self.facts["provenance"]["data"]["source"])

    @property
    def chosen_until(self) -> pd.Timestamp:
        """Last hour that the fitted model has seen: of the days that chose its weights."""
        return pd.Timestamp(self.facts["key"]["data"]["val_end"])

    @property
    def trained_until(self) -> pd.Timestamp:
        """Last hour that the refitted model has seen."""
        return pd.Timestamp(self.facts["trained_until"])

    @property
    def held_out(self) -> bool:
        """Whether there are days of the refit that chose nothing before it."""
        return self.chosen_until < self.trained_until

    def unseen(self, dataset: Dataset, position: int, most: int = 0) -> Positions:
        """The origins on days before a position that the fitted model has not learnt from.

        They are at the same hour and have a complete window. ``most``: of so many days; 0: of all.
        """
        origins = np.arange(position % HORIZON, position, HORIZON)[-most:]
        learnt_until = pd.Timestamp(self.facts["key"]["data"]["train_end"])
        first = max(HISTORY - 1, int(dataset.index.searchsorted(learnt_until)))
        return dataset.complete(origins[origins >= first])

    def model(self, which: str, dataset: Dataset) -> Forecaster:
        """The ``fitted`` or the ``refitted`` model, for forecasts of a dataset.

        Raises:
            InputError: it cannot be read, or does not fit the dataset or this version of the code.
        """
        from hpo_lib.families import stored_model  # needs torch

        model = registered()[self.paths.model]
        file = self.paths.trained(self.number, which)
        stored = self.facts["key"]["version"]
        if self.source != dataset.source:
            raise InputError(
                f"{self}: was trained on data from {self.source}, here they are from "
                f"{dataset.source} ({dataset.path}); {stored_model.AGAIN}"
            )
        if stored != trainings.MODEL_VERSION:
            raise InputError(
                f"{self}: was trained by version {stored} of the models, this code has "
                f"{trainings.MODEL_VERSION}; {stored_model.AGAIN}"
            )
        try:
            trainings.unchanged(file, self.facts, which)
            return stored_model.load(file, model, self.facts["params"], dataset, str(self))
        except InputError:
            raise
        except (EOFError, *UNREADABLE) as error:
            raise InputError(
                f"{file}: cannot be read ({in_one_line(error)}); restore its folder, or remove "
                f"{self.paths.current} to start again"
            ) from None

    def forecasts(
        self, dataset: Dataset, origins: Positions, notes: list[str] | None = None
    ) -> QuantileForecasts:
        """What it says of each day without having seen it.

        ``origins`` [N >= 1] are ascending positions. Up to the end of its training it speaks as it
        was before the refit. Quantiles are rounded as in records. ``notes`` gets sentences on
        members, if it has any.
        """
        before = dataset.index[origins] < self.trained_until
        joined = QuantileForecasts.joined(
            [
                self.model(which, dataset).forecasts(dataset, origins[chosen])
                for which, chosen in ((FITTED, before), (REFITTED, ~before))
                if chosen.any()
            ]
        )
        return replace(joined, values=joined.values.astype(np.float32).astype(np.float64))


class MixtureVersion(Version):
    """The mixture of the models in its folder, whose weights begin on the first validation day."""

    def mixed(
        self, dataset: Dataset, last: int, notes: list[str]
    ) -> tuple[dict[str, QuantileForecasts], pd.DataFrame]:
        """Forecasts and weights from the begin of validation to the origin ``last``, a position.

        The forecasts are those of the mixture and of each member, by name; weights are [N, M].

        A member that cannot be read is a `Damage` among the notes; the others share its weight.
        """
        days = np.append(self.unseen(dataset, last), last)
        members = dict[str, QuantileForecasts]()
        for name, number in self.facts["members"].items():
            paths = ModelPaths(self.paths.version(self.number), name, self.paths.dataset)
            try:
                member = Version.read(paths, number)
                if member.facts["key"]["data"] != self.facts["key"]["data"]:
                    raise InputError(f"{paths.version(number)}: was trained on other days or data")
                members[name] = member.forecasts(dataset, days)
            except InputError as error:
                notes.append(
                    Damage(f"Passed over the member {error}; the other members share its weight.")
                )
        if not members:
            raise InputError(
                f"{self}: none of its members can be read; run `hpo retrain --mixture`"
            )
        mixed, weights = mixture([*members.values()])
        by_day = pd.DataFrame(weights, mixed.origins, [*members])
        today = by_day.iloc[-1].sort_values(ascending=False)
        shares = ", ".join(f"{name} {weight:.2f}" for name, weight in today.items())
        notes.append(f"{self} is made of {shares}.")
        return {MIXTURE: mixed, **members}, by_day

    def forecasts(
        self, dataset: Dataset, origins: Positions, notes: list[str] | None = None
    ) -> QuantileForecasts:
        """As for one model; of the days before the last of ``origins`` its weights are made."""
        every, _ = self.mixed(dataset, int(origins[-1]), [] if notes is None else notes)
        mixed = every[MIXTURE]
        return mixed.rows(mixed.origins.isin(dataset.index[origins]))


def in_use(paths: ModelPaths) -> Version | None:
    """The version in use, which a file names; None if there is none yet."""
    if not paths.current.exists():
        return None
    try:
        number = int(read_json(paths.current, "the version in use")["version"])
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f'{paths.current}: does not name a version; write {{"version": N}} with one of '
            f"{paths.versions()}"
        ) from None
    return (MixtureVersion if paths.model == MIXTURE else Version).read(paths, number)


def each_in_use(
    models_dir: str, dataset: str, models: Sequence[str], do: Callable[[Version], T]
) -> tuple[list[T], list[Damage]]:
    """What ``do`` makes of the version in use of each family, or of those of ``models``.

    Of several, those that cannot be read or do not fit are sentences beside the others.

    Raises:
        InputError: none is in use, or none can be read and fits.
    """
    folder = Path(models_dir or MODELS_DIR).expanduser()
    results = list[T]()
    errors = list[str]()
    names = (*family_names(), MIXTURE)
    for model in models:
        if model not in names:
            raise InputError(f"model is {model!r}; {choices(model, names)}")
    for name in models or names:
        files = ModelPaths(folder, name, dataset)
        try:
            if version := in_use(files):
                results.append(do(version))
        except InputError as error:
            errors.append(str(error))
        except UNREADABLE as error:
            errors.append(
                f"{files.folder}: is damaged ({type(error).__name__}: {in_one_line(error)}); "
                "restore it from a copy"
            )
    if not results:
        which = "".join(f"{model} " for model in models)
        raise InputError(
            "; ".join(errors)
            or f"{folder}: no model {which}of {dataset} is in use; put one in use with "
            "`hpo retrain`"
        )
    return results, [Damage(f"Passed over {error}.") for error in errors]


def store(
    version: Version, models: Mapping[str, Forecaster], **forecasts: QuantileForecasts
) -> None:
    """Write the models, then forecasts and the card for programs, which makes it complete."""
    from hpo_lib.families import stored_model

    facts = version.facts
    sums = dict[str, str]()
    for which, forecaster in models.items():
        with atomic(file := version.paths.trained(version.number, which)) as temporary:
            stored_model.save(forecaster, temporary)
        sums[which] = trainings.checksum(file, facts)
    trainings.store(version.paths.training(version.number), {**facts, "sha256": sums}, **forecasts)


def with_ends(dataset: Dataset, train_end: pd.Timestamp, val_end: pd.Timestamp) -> Dataset:
    """The same data with other splits."""
    splits = replace(dataset.spec.splits, train_end=train_end, val_end=val_end, test_end=None)
    return replace(dataset, spec=replace(dataset.spec, splits=splits))


def relative_mae(forecasts: QuantileForecasts, dataset: Dataset) -> float:
    """MAE as a share of that of the better naive forecast over the same days."""
    origins = dataset.index.get_indexer(forecasts.origins)
    naive = min(metrics.mae(seasonal_naive(dataset, origins, lag)) for lag in SEASONAL_LAGS)
    return metrics.mae(forecasts) / naive
