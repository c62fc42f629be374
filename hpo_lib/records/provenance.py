"""Where a result comes from: data, code, packages, machine."""

import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from hpo_lib import __version__, paths
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.scales import Scales
from hpo_lib.data.splits import Positions
from hpo_lib.errors import InputError
from hpo_lib.records.read_write import Count, Json, Pair, Part, Time, checked_json, write_json


class _Data(Part):
    source: str | None = None
    path: str | None = None
    sha256: str | None = None
    unit: str | None = None
    train_end: Time | None = None
    val_end: Time | None = None
    test_end: Time | None = None
    first_hour: Time | None = None
    last_hour: Time | None = None
    hours_filled: Count | None = None
    hours_missing: Count = 0
    past_covariates: list[str] | None = None
    future_covariates: list[str] | None = None


class Provenance(Part):
    """What a stored record may say of it."""

    data: _Data | None = None
    preset: str | None = None
    recipe: Json | None = None
    device: str | None = None
    git_commit: str | None = None
    packages: dict[str, str | None] | None = None


def data_key(dataset: Dataset) -> Json:
    """Fingerprint and split dates: equal for two results on the same data."""
    ends = ("train_end", "val_end", "test_end")
    return {
        "sha256": dataset.sha256,
        **{name: str(getattr(dataset.spec.splits, name)) for name in ends},
    }


class _Scales(Part):
    sha256: str
    mase: float
    terciles: Pair
    by_origin: dict[Time, Pair]


def write_scales(file: Path, dataset: Dataset, origins: Positions) -> None:
    """Keep what scores need of the data at forecast origins [N]: level and least of each."""
    scales = dataset.scales
    hours = dataset.index[origins]
    kept = {
        "sha256": dataset.sha256,
        "mase": scales.mase,
        "terciles": scales.terciles,
        "by_origin": dict(zip(map(str, hours), scales.at(hours).to_numpy().tolist(), strict=True)),
    }
    write_json(file, kept)


def read_scales(file: Path, sha256: object) -> Scales:
    """What `write_scales` kept.

    Raises:
        InputError: the file is missing, damaged, or of other data.
    """
    kept = checked_json(
        file, "the scales of a record, which the command that made it writes again", _Scales
    )
    if kept["sha256"] != sha256:
        raise InputError(
            f"{file}: is of data with sha256 {kept['sha256'][:12]}, the record beside it of "
            f"{str(sha256)[:12]}; restore the file from a copy, or run the command again"
        )
    rows = pd.DataFrame(kept["by_origin"], ["level", "least"]).T
    return Scales(kept["mase"], kept["terciles"], rows.set_index(pd.DatetimeIndex(rows.index)))


PACKAGES = ("torch", "darts", "neuralforecast", "pytorch-lightning", "optuna", "numpy", "pandas")


def data_provenance(dataset: Dataset) -> Json:
    """Source, file, fingerprint, span and splits of the data."""
    splits = dataset.spec.splits
    hours = dataset.index
    return {
        "source": dataset.source,
        "path": dataset.path,
        **data_key(dataset),
        "hours_filled": dataset.n_filled,
        "hours_missing": len(dataset.missing),
        "origins_left_out": dataset.origins_left_out(),
        "first_hour": str(hours[0]),
        "last_hour": str(hours[-1]),
        "test_end": None if splits.test_end is None else str(splits.test_end),
        **(
            {}
            if dataset.weather is None
            else {"day_ahead_weather": asdict(dataset.spec.day_ahead_weather)}
        ),
        "unit": dataset.spec.unit,
        "past_covariates": list(dataset.past),
        "future_covariates": list(dataset.future),
    }


def code_provenance() -> Json:
    """Version, git commit (``+changes`` if code differs), package versions, Python, device."""
    return {
        "hpo_lib": __version__,
        "git_commit": git_commit(),
        "packages": {name: installed_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "device": device_name(),
    }


def git_commit() -> str | None:
    """The commit of the project's checkout, or None without one.

    What a run of a notebook changes in it is no change: a record holds its notebook's own code.
    """
    if not paths.IS_CHECKOUT:  # the current folder may be in a repository of the user's
        return None
    try:
        return _git("rev-parse", "HEAD") + (
            "+changes" if _git("status", "--porcelain", "-uno", "--", "*.py", "*.toml") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def device_name() -> str:
    """The GPU's name, or ``cpu`` with the number of torch's threads in this process."""
    import torch  # heavy, and needed only when a study runs

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    number = torch.get_num_threads()
    return f"cpu, {number} thread{'s' * (number > 1)}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(paths.PROJECT_ROOT), *arguments]
    return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()


def installed_version(package: str) -> str | None:
    """The version of an installed package, else None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return named.split(",")
    import torch  # heavy, and needed only when a study runs

    return [*map(str, range(torch.cuda.device_count()))]
