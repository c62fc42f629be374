"""What is there, and how to fix what fails: ``hpo doctor``, ``hpo datasets``, before a study."""

import os
import platform
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from hpo_lib import __version__, paths
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import known_datasets, load_spec
from hpo_lib.data.splits import time_span
from hpo_lib.errors import InputError
from hpo_lib.families.models import get_family
from hpo_lib.paths import RunPaths
from hpo_lib.records.provenance import PACKAGES, data_provenance, device_name, installed_version
from hpo_lib.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One line of the report; a problem is something that would make a study fail."""

    topic: str
    text: str
    is_problem: bool = False

    def __str__(self) -> str:
        head = f"{'FAIL' if self.is_problem else 'ok':4}  {self.topic:14}  "
        # a command to copy stays whole
        return head + self.text if self.is_problem else wrapped(head, self.text)


def wrapped(head: str, text: str) -> str:
    """A text in lines of 100 columns beside its head; paths stay whole."""
    return textwrap.fill(
        head + text,
        100,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def check_machine(data_dir: str, runs_dir: Path, datasets: Sequence[str] = ()) -> list[Finding]:
    """Versions, packages, device, datasets (default: of the registry), records, Slurm."""
    python = platform.python_version()
    job_id = os.environ.get("SLURM_JOB_ID")
    absent = "no sbatch on this machine: studies run here, not as cluster jobs"
    return [
        Finding("hpo_lib", f"{__version__} in {paths.PROJECT_ROOT}, Python {python}"),
        _packages(),
        Finding("device", device_name()),
        *(_dataset(name, data_dir) for name in datasets or known_datasets()),
        _writable(runs_dir),
        Finding("slurm", f"inside job {job_id}" if job_id else shutil.which("sbatch") or absent),
    ]


def dataset_lines(data_dir: str) -> list[str]:
    """Each dataset of the registry: name, where its data comes from, what it covers, its splits."""
    return [wrapped(f"{name:16}  ", _dataset(name, data_dir).text) for name in known_datasets()]


def dataset_facts(name: str, data_dir: str) -> dict[str, Any]:
    """The provenance of a dataset's data, or why it has none."""
    try:
        return {"dataset": name, **data_provenance(load_dataset(load_spec(name), data_dir))}
    except InputError as error:
        return {"dataset": name, "error": str(error)}


def _dataset(name: str, data_dir: str) -> Finding:
    try:
        spec = load_spec(name)
        return Finding(spec.name, dataset_text(load_dataset(spec, data_dir)))
    except InputError as error:
        return Finding(name, str(error), is_problem=True)


def dataset_text(data: Dataset) -> str:
    """Where a dataset comes from, what it covers, its gaps and splits."""
    spec = data.spec
    ends = spec.splits
    splits = f"train to {ends.train_end:%Y-%m-%d}, validation to {ends.val_end:%Y-%m-%d}"
    source = data.path
    if data.is_simulated:
        source = f"SIMULATED, since {paths.DATA_DIR / spec.csv} is absent (see data/README.md)"
    gaps = f", {len(data.missing)} hours in long gaps" if len(data.missing) else ""
    gaps += "" if data.weather is None else f", weather of the day ahead: {data.kind_of_weather}"
    return f"{spec.title} in {spec.unit}, {time_span(data.index)}{gaps}, {splits}; {source}"


def _packages() -> Finding:
    pip = f"{sys.executable} -m pip install"
    try:
        required = requires("hpo_lib") or []
    except PackageNotFoundError:
        text = (
            "hpo_lib itself is not installed, so notebooks find it in the project's own folder "
            f"only; run `{pip} --no-deps -e {paths.PROJECT_ROOT}`"
        )
        return Finding("packages", text, is_problem=True)
    # "darts[torch]<0.49,>=0.48"
    names = [re.split(r"[^\w.-]", text)[0] for text in required if "extra ==" not in text]
    if missing := [name for name in names if installed_version(name) is None]:
        what = "-r requirements.lock" if paths.IS_CHECKOUT else " ".join(missing)
        text = f"missing: {', '.join(missing)}; run `{pip} {what}`"
        return Finding("packages", text, is_problem=True)
    return Finding("packages", ", ".join(f"{name} {installed_version(name)}" for name in PACKAGES))


def _writable(runs_dir: Path) -> Finding:
    folder = next(path for path in (runs_dir, *runs_dir.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            "records",
            f"{runs_dir} cannot be written ({error.strerror}); set runs_dir",
            is_problem=True,
        )
    free = shutil.disk_usage(folder).free / 2**30
    return Finding("records", f"{runs_dir}, {free:.0f} GiB free")


def checked(settings: Settings) -> tuple[Settings, RunPaths]:
    """The settings for a process in any folder, and the study's files, before anything is started.

    Model, dataset and data are checked; the path of a dataset's TOML becomes absolute.

    Raises:
        InputError: the study itself would stop with the same error.
    """
    get_family(settings.model)
    spec = load_spec(settings.dataset)
    load_dataset(spec, settings.data_dir, simulated=settings.simulated)
    if settings.dataset != spec.name:
        settings = replace(settings, dataset=str(spec.path.resolve()))
    return settings, settings.files(spec.name)
