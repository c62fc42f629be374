"""Load the data of a dataset: its engineered CSV, or the simulated twin where the CSV is absent."""

import hashlib
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib import paths
from hpo_lib.data.csv_checks import (
    TIMESTAMP,
    check_calendar,
    check_header,
    check_target,
    check_text,
    numbers,
    timestamps,
)
from hpo_lib.data.gaps import fill_gaps
from hpo_lib.data.spec import DatasetSpec, known_datasets
from hpo_lib.data.splits import (
    Positions,
    SplitPositions,
    check_splits,
    coverage,
    split_positions,
    test_origins,
    validation_origins,
)
from hpo_lib.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """One dataset, checked and ready to use.

    Attributes:
        spec: the dataset as its TOML describes it.
        frame: float64 [hours, columns] on a complete hourly UTC index named ``timestamp``; the target in the spec's
            unit, then the past, then the future covariates that are there.
        past: past covariates in ``frame``.
        future: future-known covariates in ``frame``.
        source: ``csv`` or ``simulated``.
        path: the CSV that was read, relative to the project where it lies below it; or ``simulated twin of <name>``.
        sha256: fingerprint; equal fingerprints mean the same data.
        n_filled: hours in which the gap rule filled something.
    """

    spec: DatasetSpec
    frame: pd.DataFrame
    past: tuple[str, ...]
    future: tuple[str, ...]
    source: str
    path: str
    sha256: str
    n_filled: int

    @property
    def index(self) -> pd.DatetimeIndex:
        """The hours of the frame."""
        return pd.DatetimeIndex(self.frame.index)

    @property
    def target(self) -> pd.Series:
        """The target, in the spec's unit."""
        return self.frame[self.spec.target]

    @property
    def positions(self) -> SplitPositions:
        """Where the splits lie in the frame."""
        return split_positions(self.index, self.spec.splits)

    @property
    def validation_origins(self) -> Positions:
        """Positions [N] of every daily forecast origin of the validation split."""
        return validation_origins(self.index, self.spec.splits)

    @property
    def test_origins(self) -> Positions:
        """Positions [N] of every daily forecast origin of the test split; empty where the data ends before it."""
        return test_origins(self.index, self.spec.splits)

    def trained_through_validation(self) -> "Dataset":
        """The same data with the validation split counted as training, for a last training with chosen parameters."""
        splits = replace(self.spec.splits, train_end=self.spec.splits.val_end)
        return replace(self, spec=replace(self.spec, splits=splits))


def load_dataset(spec: DatasetSpec, data_dir: Path = paths.DATA_DIR, *, allow_simulated: bool = True) -> Dataset:
    """The data of a dataset.

    The CSV is looked for below ``data_dir``, then beside the dataset's TOML. Where it is absent, the simulated twin is
    used if the spec has one. Columns that the spec does not name are ignored, and so are rows before ``spec.start``,
    apart from their timestamps.

    Args:
        spec: the dataset.
        data_dir: folder below which ``spec.csv`` lies; not used where ``spec.csv`` is absolute.
        allow_simulated: False makes an absent CSV an error.

    Raises:
        InputError: the CSV is absent or wrong (see ``validate`` and ``gaps``), or does not fill the splits.
    """
    places = _places(spec, Path(data_dir))
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        dataset = _from_csv(spec, found)
    elif spec.twin is not None and allow_simulated:
        dataset = _simulated(spec)
    else:
        raise _absent(spec, places)
    check_splits(pd.DatetimeIndex(dataset.frame.index), spec.splits, dataset.path, _shown(spec.path))
    return dataset


def fingerprint_bytes(content: bytes) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def fingerprint_frame(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame's column names, hours and float64 values, 64 hexadecimal digits.

    It does not depend on the machine's byte order nor on the time unit of the index.
    """
    digest = hashlib.sha256("\n".join(map(str, frame.columns)).encode())
    digest.update(pd.DatetimeIndex(frame.index).as_unit("ns").asi8.astype("<i8").tobytes())
    digest.update(np.ascontiguousarray(frame.to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()


def _places(spec: DatasetSpec, data_dir: Path) -> list[Path]:
    if Path(spec.csv).is_absolute():
        return [Path(spec.csv)]
    return [data_dir / spec.csv, spec.path.parent / spec.csv]


def _absent(spec: DatasetSpec, places: list[Path]) -> InputError:
    shown = " and ".join(_shown(place) for place in places)
    dataset = spec.name if known_datasets().get(spec.name) == spec.path else _shown(spec.path)
    return InputError(
        f"{_shown(spec.path)}: the CSV of dataset {spec.name!r} was not found (looked for {shown}); "
        f"put it there, or make it with `hpo prepare --dataset {dataset} --raw RAW.csv --out {_shown(places[0])}`"
    )


def _simulated(spec: DatasetSpec) -> Dataset:
    from hpo_lib.data.twins import simulate  # only needed here

    frame = simulate(spec)[[spec.target, *spec.past_covariates, *spec.future_covariates]].loc[spec.start :]
    return Dataset(
        spec=spec,
        frame=frame,
        past=spec.past_covariates,
        future=spec.future_covariates,
        source="simulated",
        path=f"simulated twin of {spec.name}",
        sha256=fingerprint_frame(frame),
        n_filled=0,
    )


def _from_csv(spec: DatasetSpec, path: Path) -> Dataset:
    file = _shown(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); mend the file or its permissions") from None
    cells = _cells(check_text(content, file), spec, file)
    times = timestamps(cells[TIMESTAMP], file)
    keep = np.ones(len(times), dtype=bool) if spec.start is None else np.asarray(times >= spec.start)
    if not keep.any():
        raise InputError(
            f"{file}: holds no hour from start on, which is {spec.start:%Y-%m-%d %H:%M}, and covers {coverage(times)}; "
            f"mend start in {_shown(spec.path)}"
        )
    times = times[keep]
    values = numbers(cells.loc[keep].drop(columns=TIMESTAMP), file)
    past = tuple(column for column in spec.past_covariates if column in values)
    future = tuple(column for column in spec.future_covariates if column in values)
    check_target(values[spec.target], times, file)
    check_calendar(values[list(future)], file)
    frame, n_filled = fill_gaps(values, times, spec.gaps, spec.tz, file)
    return Dataset(spec, frame, past, future, "csv", file, fingerprint_bytes(content), n_filled)


def _cells(text: str, spec: DatasetSpec, file: str) -> pd.DataFrame:
    """The cells of the columns that the spec names, as text, indexed by line number; the timestamp comes last."""
    covariates = (*spec.past_covariates, *spec.future_covariates)
    required = [column for column in covariates if column not in spec.optional_covariates]
    try:
        header = _read(text, header=None, nrows=1).iloc[0].tolist()  # pandas renames a column that is there twice
        check_header(header, [TIMESTAMP, spec.target, *required], file)
        cells = _read(text, header=0, nrows=None)
    except pd.errors.ParserError as error:
        raise InputError(f"{file}: {_parser_reason(str(error))}") from None
    if not isinstance(cells.index, pd.RangeIndex):  # pandas takes surplus leading fields for an index
        raise InputError(f"{file}: line 2 has more fields than the header ({len(header)}); {_FIELDS}")
    if cells.empty:
        raise InputError(f"{file}: there is a header but no row, expected hourly rows; make it with `hpo prepare`")
    cells.index = pd.RangeIndex(2, 2 + len(cells))
    return cells[[column for column in (spec.target, *covariates, TIMESTAMP) if column in cells]]


def _read(text: str, header: int | None, nrows: int | None) -> pd.DataFrame:
    """Every cell as text; blank lines are kept, so that rows can be counted as lines."""
    return pd.read_csv(
        io.StringIO(text), header=header, nrows=nrows, dtype=str, keep_default_na=False, skip_blank_lines=False
    )


_FIELDS = "write decimal points instead of decimal commas, and quote text that holds a comma"


def _parser_reason(message: str) -> str:
    fields = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if fields:
        return f"line {fields[2]} has {fields[3]} fields, expected {fields[1]} as in the header; {_FIELDS}"
    quote = re.search(r"EOF inside string starting at row (\d+)", message)
    if quote:
        return f"line {int(quote[1]) + 1} opens a quote that is never closed; close or remove it"
    return f"not readable as CSV ({message.split('C error: ')[-1].strip()}); save it again as CSV"


def _shown(path: Path) -> str:
    """A path for messages and records: relative to the project where it lies below it, else as given."""
    return str(path.relative_to(paths.PROJECT_ROOT)) if path.is_relative_to(paths.PROJECT_ROOT) else str(path)
