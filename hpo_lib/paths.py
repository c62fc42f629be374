"""Every file and folder name of the project, and how files are read and written."""

import lzma
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hpo_lib.errors import InputError, WriteError, unwritable

_ROOT = Path(__file__).resolve().parent.parent
IS_CHECKOUT = (_ROOT / "pyproject.toml").is_file()
PROJECT_ROOT = (
    _ROOT if IS_CHECKOUT else Path.cwd()
)  # a wheel has data and records below the current folder
_SHIPPED = _ROOT if IS_CHECKOUT else _ROOT / "hpo_lib" / "shipped"
DATASETS_DIR = _SHIPPED / "datasets"
NOTEBOOKS_DIR = _SHIPPED / "notebooks"
DOCS_DIR = _SHIPPED / "docs"
DATA_DIR = PROJECT_ROOT / "data"
RUNS_DIR = PROJECT_ROOT / "papermill_runs"
FIGURES_DIR = PROJECT_ROOT / "figures"
TABLES_DIR = PROJECT_ROOT / "thesis_tables"
CARDS_DIR = PROJECT_ROOT / "model_cards"
SLURM_DIR = PROJECT_ROOT / "slurm"
SITE_FILE = _SHIPPED / "slurm" / "site.env"
SLURM_LOGS = SLURM_DIR / "logs"
BENCHMARK_DIR = PROJECT_ROOT / "benchmark_results"
MODELS_DIR = PROJECT_ROOT / "models"
DRAFTS_DIR = PROJECT_ROOT / "drafts"  # what is drawn goes here; git does not see it
PUBLISHED = r"_dev(_published\.json|/[^/.]+)$"  # the records and benchmarks that git sees
HPO_NOTEBOOK = NOTEBOOKS_DIR / "hpo_template.ipynb"

NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"


def checked_name(what: str, value: str) -> str:
    """``value`` if it can be part of a file name and of a shell word; else InputError."""
    if not re.fullmatch(NAME, value):
        raise InputError(
            f"{what} is {value!r}, expected 1 to 100 letters, digits, '_', '.' or '-', starting "
            f"with a letter or digit (it becomes part of file names); choose another {what}"
        )
    if own := re.search(r"\.(attempt|worker)-\d+", value):
        raise InputError(
            f"{what} is {value!r}, but {own[0]!r} marks files of our own; choose another {what}"
        )
    return value


def shown(path: Path) -> str:
    """A path for messages and records: relative to the project if it is inside, else as given."""
    return str(path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path)


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Let the sentence on a wrong input begin with the file that it is in."""
    try:
        yield
    except InputError as error:
        name = f"{shown(path)}: "
        text = str(error)
        raise InputError(text if text.startswith(name) else name + text) from None


def read_text(path: Path, kind: str) -> str:
    """The text of a file in UTF-8, be it packed (``.xz``); a wrong one should be a ``kind``."""
    try:
        if (content := path.read_bytes()).startswith(b"PK\x03\x04"):
            raise InputError(f"is a ZIP archive or an Excel file; unpack it, or save it as {kind}")
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        return content.decode()
    except lzma.LZMAError as error:
        raise InputError(f"cannot be unpacked ({error}); restore it") from None
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror}); fix the file or its permissions"
        ) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"not a UTF-8 text file (byte 0x{content[error.start]:02x} in line {line}); save it as "
            f"{kind} in UTF-8"
        ) from None


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``: renamed to it if the block ends well, else removed.

    No reader ever sees half a file. File and folder are synced first, so after a power cut a file
    is whole or absent. Missing folders are made.

    Raises:
        WriteError: the disk is full, a folder cannot be made, or the path is no regular file, such
            as a device.
    """
    if path.exists() and not path.is_file():
        raise WriteError(f"{path}: cannot be written (not a regular file); give another path")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=f".tmp{path.suffix}"
        )
        temporary = Path(name)
        os.close(descriptor)
        yield temporary
        os.chmod(temporary, 0o644)
        _sync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every file system lets a folder be opened
        _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all, see `atomic`."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def output(named: str, default: Path) -> Path:
    """The file to write: the default, the same in the folder that is named, or the one named."""
    path = Path(named).expanduser() if named else default
    return path / default.name if path.is_dir() or not path.suffix else path


def job_name(model: str, dataset: str) -> str:
    """The name of a study's Slurm job; its logs begin with it too."""
    return f"hpo_{model}_{dataset}"


def job_log(name: str, job_id: str, suffix: str = "log") -> Path:
    """Where a Slurm job writes its output (``log``) and errors (``err``); ``%j`` is its id."""
    return SLURM_LOGS / f"{name}_{job_id}.{suffix}"


def stop_file(folder: Path) -> Path:
    """The file that asks a study to stop: its kernel alone (papermill), or all of its workers."""
    return folder / "stop"


def written(file: Path) -> int:
    """When a file was last written, in nanoseconds by its file system; 0 if it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


@dataclass
class _File:
    """A file in the ``folder`` of its owner; ``{0.study_name}`` is the owner's study name."""

    name: str

    def __get__(self, owner: Any, _: type) -> Path:
        return Path(owner.folder, self.name.format(owner))


class _Files(_File):
    """Files of one kind; ``{1}`` and so on are what its owner's method is called with."""

    def __get__(self, owner: Any, _: type) -> Any:
        return lambda *values: owner.folder / self.name.format(owner, *values)


class TrainingFiles(NamedTuple):
    """Of one stored training: its record, written last, and its forecasts by their name.

    Forecasts have the columns origin, step, actual, q10, q50, q90.
    """

    record: Path
    forecasts: dict[str, Path]


@dataclass(frozen=True)
class RunPaths:
    """Where one study keeps its files: ``papermill_runs/{MODEL}_{DATASET}/...``."""

    runs_dir: Path
    model: str
    dataset: str
    job_id: str
    worker: int = 1
    """Number of the worker that writes here; each has its own notebook and shares all other files.
    """

    best_params = _File("best_params_{0.study_name}.json")
    sqlite = _File("study_{0.study_name}.db")
    journal = _File("study_{0.study_name}.journal")
    scales = _File("scales_{0.study_name}.json")
    """What scores need of the series, see `hpo_lib.data.scales`."""
    predictions = _File("predictions_{0.study_name}")
    """Folder of the stored validation predictions, one parquet per finished trial."""
    trial_predictions = _Files("predictions_{0.study_name}/trial_{1:04d}.parquet")
    """Validation predictions of one trial by its number: origin, step, actual, q10, q50, q90."""
    workers = _File(".workers_{0.study_name}")
    """Folder of the leases of a study's workers; of no use once no worker is left."""
    decision_lease = _File(".workers_{0.study_name}/decision.lease")
    """Held by the worker that claims or ends a trial."""
    proof_lease = _File(".workers_{0.study_name}/proof.lease")
    """Held by the worker that trains replicates of trials."""
    worker_lease = _Files(".workers_{0.study_name}/{1}.lease")
    """Held by the process that is the worker of this name."""
    requeues = _File(".workers_{0.study_name}/requeues_{0.worker}.json")
    notebook = _File("{0._notebook_stem}.ipynb")
    log = _File("{0._notebook_stem}.log")
    """What a study without a terminal prints (``hpo run --detach``)."""
    attempt_notebook = _Files("{0._notebook_stem}.attempt-{1}.ipynb")
    """The executed notebook of an earlier attempt, by its number."""
    pareto_front = _File("pareto_front_{0.job_id}.html")
    mae_history = _File("mae_history_{0.job_id}.html")
    param_importance = _File("param_importance_{0.job_id}.html")
    report = _File("report_{0.job_id}.html")
    plotly = _File("../plotly.min.js")  # of all studies

    @property
    def study_name(self) -> str:
        """The study's name in its storage, and the stem of its file names."""
        return f"{self.model}_{self.dataset}_{self.job_id}"

    @property
    def folder(self) -> Path:
        return self.runs_dir / f"{self.model}_{self.dataset}"

    @property
    def _notebook_stem(self) -> str:
        return f"hpo_{self.study_name}" + ("" if self.worker == 1 else f".worker-{self.worker}")

    def predicted_trials(self) -> list[int]:
        """The trials whose validation predictions are stored."""
        files = self.predictions.glob("trial_*.parquet")
        numbers = [file.stem.removeprefix("trial_") for file in files]
        return sorted(int(number) for number in numbers if number.isdecimal())

    def replicate(self, trial: int, seed: int) -> TrainingFiles:
        """A trial's configuration trained with another seed."""
        record = self.predictions / f"replicate_{trial:04d}_seed_{seed}.json"
        return TrainingFiles(record, {"validation": record.with_suffix(".parquet")})

    def replicates(self) -> list[Path]:
        """The records of all replicates."""
        return sorted(self.predictions.glob("replicate_*.json"))


def best_params_files(runs_dir: Path, model: str = "*", dataset: str = "") -> list[Path]:
    """Every best_params JSON of a model and dataset, by name; old ones lie in ``runs_dir``."""
    folder = f"{model}_{dataset or '*'}"
    name = f"best_params_{model}_{dataset}*.json"
    return sorted([*runs_dir.glob(f"{folder}/{name}"), *runs_dir.glob(name)])


def consolidated(out: Path) -> Path:
    """All studies in one table."""
    return out / "studies.csv"


SPLITS = ("validation", "test")
"""What a training of a benchmark forecasts."""


@dataclass(frozen=True)
class BenchmarkPaths:
    """Where a benchmark of one setting keeps its files: ``OUT/{DATASET}/{SETTING}/...``."""

    out: Path
    dataset: str
    setting: str

    scales = _File("scales.json")
    runs = _File("runs")
    """Folder of the trainings: for each a record and its stored forecasts of validation and test.
    """
    table = _Files("{1}.csv")
    """A table that is computed from the stored forecasts, by its name."""
    explanation = _Files("explanations/{1}-{2}-{3}.npz")
    """Forecasts of a training with every coalition of information, by model, params and seed."""

    @property
    def folder(self) -> Path:
        return self.out / self.dataset / self.setting

    def training(self, model: str, params: str, seed: int) -> TrainingFiles:
        stem = f"{model}-{params}-seed{seed}"
        forecasts = {split: self.runs / f"{stem}-{split}.parquet" for split in SPLITS}
        return TrainingFiles(self.runs / f"{stem}.json", forecasts)

    def records(self, model: str = "[A-Z]*", params: str = "*") -> list[Path]:
        return sorted(self.runs.glob(f"{model}-{params}-seed*.json"))

    def explanations(self) -> list[Path]:
        return sorted(self.folder.glob("explanations/[A-Z]*.npz"))


def benchmarks(out: Path) -> list[BenchmarkPaths]:
    """Every benchmark with a finished training below ``out``, by dataset and setting."""
    folders = {file.parent.parent for file in out.glob("*/*/runs/*.json")}
    return [BenchmarkPaths(out, folder.parent.name, folder.name) for folder in sorted(folders)]


@dataclass(frozen=True)
class ThesisPaths:
    """Where figures, tables and model cards are written, each with a sidecar on its records."""

    figures: Path = FIGURES_DIR
    tables: Path = TABLES_DIR
    cards: Path = CARDS_DIR

    @classmethod
    def below(cls, out: Path) -> "ThesisPaths":
        """The three folders below another one than the project."""
        return cls(out / FIGURES_DIR.name, out / TABLES_DIR.name, out / CARDS_DIR.name)

    def figure(self, name: str) -> list[Path]:
        return [self.figures / f"{name}.{kind}" for kind in ("pdf", "png", "tex")]

    def table(self, name: str) -> tuple[Path, Path]:
        return self.tables / f"{name}.tex", self.tables / f"{name}.csv"

    def card(self, model: str, dataset: str) -> Path:
        return self.cards / f"{model}_{dataset}.md"

    @staticmethod
    def sidecar(file: Path) -> Path:
        return file.with_suffix(".json")


@dataclass(frozen=True)
class ModelPaths:
    """Where the trained models of a family and a dataset are kept: ``v001``, ``v002``."""

    models_dir: Path
    model: str
    dataset: str

    current = _File("current.json")
    """Names the version in use."""
    lease = _File("retrain.lease")
    """Held by the command that makes a new version."""
    version = _Files("v{1:03d}")
    """Folder of a version, by its number."""
    trained = _Files("v{1:03d}/{2}.pt")
    """A version's model as it was ``fitted`` or ``refitted``."""
    card = _Files("v{1:03d}/card.md")
    """A version's card for people."""
    forecast = _Files("forecasts/{1}.csv")
    """A forecast of the day that begins then; its figure is beside it."""

    @property
    def folder(self) -> Path:
        return self.models_dir / f"{self.model}_{self.dataset}"

    def versions(self) -> list[int]:
        """The versions that are complete."""
        return sorted(int(file.parent.name[1:]) for file in self.folder.glob("v[0-9]*/card.json"))

    def training(self, number: int) -> TrainingFiles:
        """Its card for programs, and the fitted model's forecasts on the days of comparison."""
        forecasts = {"compared": self.version(number) / "compared.parquet"}
        return TrainingFiles(self.version(number) / "card.json", forecasts)
