"""Load a dataset: its engineered CSV, or its simulated twin."""

import hashlib
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib import paths
from hpo_lib.data.csv_checks import TIMESTAMP, check_header, read_csv, timestamps
from hpo_lib.data.day_ahead_weather import (
    DayAheadWeather,
    day_ahead_weather,
    read_archive,
    source_with,
)
from hpo_lib.data.gaps import hourly_frame
from hpo_lib.data.information_set import Context, Windows
from hpo_lib.data.scales import Scales
from hpo_lib.data.spec import DatasetSpec, known_datasets, load_spec
from hpo_lib.data.splits import (
    HORIZON,
    Positions,
    SplitPositions,
    complete_windows,
    daily_origins,
    settled_splits,
    split_positions,
    training_origins,
)
from hpo_lib.errors import InputError
from hpo_lib.paths import about, shown


@dataclass(frozen=True)
class Dataset:
    """One dataset, checked and ready to use.

    Attributes:
        spec: the dataset as its TOML describes it.
        frame: float64 [hours, columns] on a complete hourly UTC index named ``timestamp``: the
            target in the spec's unit, then the past, then the future covariates.
        past: past covariates in ``frame``.
        future: future-known covariates in ``frame``.
        source: ``csv`` or ``simulated``; with ``, observed weather`` or ``, degraded weather``
            where models see that.
        path: the CSV that was read, relative to the project if it is inside; or ``simulated twin of
            <name>``.
        sha256: fingerprint; equal fingerprints mean the same data.
        n_filled: hours in which the gap rule filled something.
        missing: hours of the target in gaps that are longer than the gap rule fills. The frame
            holds a value there, but no forecast origin has them in its window, and no scale is
            fitted on them.
        weather: of the day ahead, if models see it. An origin where it is not known is no forecast
            origin.
    """

    spec: DatasetSpec
    frame: pd.DataFrame
    past: tuple[str, ...]
    future: tuple[str, ...]
    source: str
    path: str
    sha256: str
    n_filled: int
    missing: pd.DatetimeIndex = field(default_factory=lambda: pd.DatetimeIndex([], tz="UTC"))
    weather: DayAheadWeather | None = None

    @property
    def index(self) -> pd.DatetimeIndex:
        """The hours of the frame."""
        return pd.DatetimeIndex(self.frame.index)

    @property
    def target(self) -> pd.Series:
        """The target, in the spec's unit, with a value in every hour."""
        return self.frame[self.spec.target]

    @property
    def is_simulated(self) -> bool:
        return self.source.startswith("simulated")

    @property
    def kind_of_weather(self) -> str:
        """The kind of weather of the day ahead: none, forecast, observed or degraded."""
        return "none" if self.weather is None else self.weather.kind

    @cached_property
    def is_missing(self) -> np.ndarray:
        """[T] whether an hour of the frame is one of ``missing``."""
        return self.index.isin(self.missing)

    @cached_property
    def known_target(self) -> pd.Series:
        """The target with NaN in the hours that are missing: for whatever is not a window."""
        return self.target.mask(self.is_missing)

    @cached_property
    def training_target(self) -> np.ndarray:
        """[T] the known target of the training split, with NaN where it is missing."""
        return self.known_target.to_numpy()[self.positions.train]

    @cached_property
    def scales(self) -> Scales:
        """What scores need of the series."""
        return Scales.of(self.known_target, self.training_target)

    @property
    def training_frame(self) -> pd.DataFrame:
        """The hours of the training split that are not missing."""
        train = self.positions.train
        return self.frame.iloc[train].loc[~self.is_missing[train]]

    @cached_property
    def positions(self) -> SplitPositions:
        """The splits as positions in the frame."""
        return split_positions(self.index, self.spec.splits)

    @cached_property
    def validation_origins(self) -> Positions:
        """Positions [N] of the daily origins of validation whose window is complete."""
        return self.complete(daily_origins(self.positions.val))

    @cached_property
    def test_origins(self) -> Positions:
        """The same of the test split; empty if the data ends before it."""
        return self.complete(daily_origins(self.positions.test))

    def training_origins(self, *, near_hours: int = HORIZON // 2) -> Positions:
        """Positions [N] of every hour of the training split with a complete window.

        With fewer ``near_hours``, only hours at most that far from the hour of the daily origins.
        """
        return self.complete(training_origins(self.positions.train, near_hours=near_hours))

    def complete(self, origins: Positions) -> Positions:
        """The origins [N] without a missing hour in their window and with known weather ahead."""
        whole = complete_windows(origins, self.is_missing)
        return whole[self.weather_is_known(whole)]

    def weather_is_known(self, origins: Positions) -> np.ndarray:
        """[N] whether models have the weather of the day ahead that they see at each origin."""
        ahead = self._ahead(origins)
        return np.full(len(origins), True) if ahead is None else np.isfinite(ahead).all((1, 2))

    def windows(self, origins: Positions) -> Windows:
        """The windows of origins [N] with what came after them, to learn from."""
        return Windows(self.frame, origins, self._ahead(origins))

    def context(self, origins: Positions) -> Context:
        """What was known at origins [N], to forecast from."""
        up_to_origin = self.spec.target, *self.past
        return Context.of(self.frame, origins, up_to_origin, self.future, self._ahead(origins))

    def _ahead(self, origins: Positions) -> np.ndarray | None:
        return None if self.weather is None else self.weather.at(self.index[origins])

    def origins_left_out(self) -> dict[str, int]:
        """How many daily origins each split loses to missing hours or unknown weather."""
        whole = replace(self, missing=self.missing[:0], weather=None).daily_origins
        return {split: len(whole[split]) - len(left) for split, left in self.daily_origins.items()}

    @property
    def daily_origins(self) -> dict[str, Positions]:
        """Positions [N] of the daily origins of each split."""
        return {
            "train": self.training_origins(near_hours=0),
            "validation": self.validation_origins,
            "test": self.test_origins,
        }

    @property
    def lowest(self) -> float | None:
        """0 if the target may not be and never was below 0 in training; else None."""
        never_negative = self.target.iloc[self.positions.train].min() >= 0
        return 0.0 if never_negative and not self.spec.may_be_negative else None

    def trained_through_validation(self) -> "Dataset":
        """The same data with validation counted as training, for the last training."""
        splits = replace(self.spec.splits, train_end=self.spec.splits.val_end)
        return replace(self, spec=replace(self.spec, splits=splits))


def load_dataset(
    dataset: DatasetSpec | str, data_dir: str | Path | None = None, *, simulated: bool = False
) -> Dataset:
    """The data of a dataset.

    Columns that the spec does not name are ignored, and so are rows before ``spec.start``, apart
    from their timestamps.

    Args:
        dataset: its spec, or what `load_spec` reads it from. An absolute ``spec.csv`` is used as
            it is.
        data_dir: the folder that holds a relative ``spec.csv``. Without one it is looked for below
            the project's ``data/``, then beside the TOML, and if it is absent, the simulated twin
            is used if the spec has one. A CSV that ships in ``datasets/`` is found with any folder.
        simulated: use the twin, whatever is there.
    """
    spec = load_spec(dataset) if isinstance(dataset, str) else dataset
    folders = [Path(data_dir).expanduser()] if data_dir else [paths.DATA_DIR, spec.path.parent]
    places = list(dict.fromkeys(folder / spec.csv for folder in folders))
    # os.path.isfile is False for what no path can be.
    either = *places, paths.DATASETS_DIR / spec.csv
    csv = next((place for place in either if os.path.isfile(place)), None)
    if simulated or (csv is None and not data_dir and spec.twin is not None):
        from hpo_lib.data.twins import simulate  # only needed here

        past = spec.past_covariates
        future = spec.future_covariates
        frame = simulate(spec).loc[spec.start :]
        data = Dataset(
            spec,
            frame,
            past,
            future,
            "simulated",
            f"simulated twin of {spec.name}",
            fingerprint_frame(frame),
            n_filled=0,
        )
    elif csv is not None:
        data = _from_csv(spec, csv)
    else:
        looked = " and ".join(map(shown, places))
        name = spec.name if known_datasets().get(spec.name) == spec.path else shown(spec.path)
        instead = "" if spec.twin is None else ", or ask for simulated data with --simulated"
        raise InputError(
            f"{shown(spec.path)}: the CSV of dataset {spec.name!r} was not found (looked for "
            f"{looked}); put it there, or make it with `hpo prepare --dataset {name} --raw RAW.csv "
            f"--out {shown(places[0])}`{instead}"
        )
    splits = settled_splits(data.index, data.is_missing, spec, data.path)
    data = replace(data, spec=replace(spec, splits=splits))
    return data if spec.day_ahead_weather.kind == "none" else _with_weather(data, csv)


def _with_weather(dataset: Dataset, csv: Path | None) -> Dataset:
    """The dataset whose models see the weather of the day ahead; it has another fingerprint.

    The archive of forecasts lies beside the dataset's ``csv``.
    """
    spec = dataset.spec.day_ahead_weather
    if lacking := [name for name in spec.columns if name not in dataset.past]:
        raise InputError(
            f"{dataset.path}: lacks {lacking[0]!r}, which {shown(dataset.spec.path)} lists under "
            "day_ahead_weather; "
            'add the weather with `hpo prepare --weather`, or set kind = "none" there'
        )
    digest = hashlib.sha256(f"{dataset.sha256} {spec}".encode())
    archive = None
    if spec.kind == "forecast":
        if dataset.is_simulated or csv is None:
            raise InputError(
                f"{shown(dataset.spec.path)}: a simulated twin has no weather forecasts; give the "
                'CSV, or set kind = "degraded" under [day_ahead_weather]'
            )
        file = csv.with_name(str(spec.csv))
        archive = read_archive(file, spec.columns)
        digest.update(file.read_bytes())
    weather = day_ahead_weather(
        spec, dataset.frame, archive, dataset.training_frame, dataset.spec.target
    )
    seen = replace(
        dataset,
        weather=weather,
        sha256=digest.hexdigest(),
        source=source_with(dataset.source, spec.kind),
    )
    for split, name in (("train", "training"), ("validation", "validation")):
        if not len(seen.daily_origins[split]):
            raise InputError(
                f"{shown(dataset.spec.path)}: the {name} split has no day whose weather was "
                "known at its origin; give "
                "an archive of forecasts that covers it, or set day_ahead_weather.kind"
            )
    return seen


def fingerprint_frame(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame's column names, hours and values, the same on every machine."""
    digest = hashlib.sha256("\n".join(map(str, frame.columns)).encode())
    digest.update(pd.DatetimeIndex(frame.index).as_unit("ns").asi8.astype("<i8").tobytes())
    digest.update(np.ascontiguousarray(frame.to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()


def _from_csv(spec: DatasetSpec, path: Path) -> Dataset:
    with about(path):
        cells, content, _ = read_csv(path, "engineered CSV", "make it with `hpo prepare`")
        required = [column for column in spec.covariates if column not in spec.optional_covariates]
        check_header(
            cells,
            [TIMESTAMP, spec.target, *required],
            "run `hpo prepare` on a raw CSV, or fix the columns here or in the dataset's TOML",
        )
        past, future = (
            tuple(column for column in role if column in cells)
            for role in (spec.past_covariates, spec.future_covariates)
        )
        frame, n_filled, missing = hourly_frame(
            cells[[TIMESTAMP, spec.target, *past, *future]], spec
        )
    digest = hashlib.sha256(content)
    if [*cells] != [TIMESTAMP, *frame] or timestamps(cells[TIMESTAMP][:1])[0] != frame.index[0]:
        digest.update(fingerprint_frame(frame).encode())  # only a part of the file is used
    if len(missing):  # equal files are other data under a rule that fills more
        digest.update(missing.as_unit("ns").asi8.astype("<i8").tobytes())
    return Dataset(
        spec, frame, past, future, "csv", shown(path), digest.hexdigest(), n_filled, missing
    )
