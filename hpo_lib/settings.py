"""The settings of one study: frozen, strict, the same from the notebook, from papermill and from the command line."""

import ast
import datetime as dt
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hpo_lib import paths
from hpo_lib.errors import InputError, choices

POLICIES = ("calibrated", "lowest_mae", "knee")
PRESETS = ("auto", "test", "laptop", "a100")
RECIPES = ("standard", "plain")
STORAGES = ("auto", "sqlite", "journal")
DEFAULT_TRIALS = 50
TEST_TRIALS = 3


@dataclass(frozen=True)
class Settings:
    """What one study is asked to do. Make it with `Settings.create`, which checks everything.

    Attributes:
        model: family name, e.g. ``NHITS_Q``.
        dataset: registry name or path of a dataset TOML.
        trials: finished trials that the study shall hold in the end, earlier runs of the id included.
        job_id: names the study's files; a run under the same id continues the study.
        seed: seeds the sampler and every training.
        test: a few trials at the smallest budget, to see that everything works.
        preset: training budget: ``test``, ``laptop``, ``a100``, or ``auto`` (a100 with CUDA, else laptop).
        recipe: how windows are made: ``standard``, or ``plain`` as in the seed document; see `families.base.RECIPES`.
        time_budget_hours: no trial starts that would probably end later; 0: no limit.
        early_stopping: trials that fall behind are stopped before the end, see `hpo_lib.study.early_stopping`.
        storage: ``sqlite`` (one worker), ``journal`` (a file that workers on several machines may share), a database
            URL, or ``auto``: the one that the study was begun with, else journal for several workers, sqlite for one.
        workers: processes that work on the study on this machine.
        worker: number of this worker among those that were started under one job id, each on its machine, from 1 on.
        policy: how the configuration is chosen from the Pareto front.
        data_dir: folder below which the dataset's CSV lies.
        runs_dir: folder below which the study's folder is made.
    """

    model: str
    dataset: str
    trials: int
    job_id: str
    seed: int
    test: bool
    preset: str
    recipe: str
    time_budget_hours: float
    early_stopping: bool
    storage: str
    workers: int
    worker: int
    policy: str
    data_dir: Path
    runs_dir: Path

    @classmethod
    def create(cls, model: str, dataset: str, **given: Any) -> "Settings":
        """Settings with defaults filled in.

        Raises:
            InputError: an unknown name, or a value of the wrong type or out of range.
        """
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise InputError(f"parameter {name!r} is unknown; {choices(name, names)}")
        value = _Values({**_DEFAULTS, "model": model, "dataset": dataset, **given})
        test = value.flag("test")
        trials = value.whole("trials", minimum=0) or (TEST_TRIALS if test else DEFAULT_TRIALS)
        workers, worker = value.whole("workers", minimum=1), value.whole("worker", minimum=1)
        return cls(
            model=value.text("model"),
            dataset=value.text("dataset"),
            trials=trials,
            job_id=paths.checked_name("job_id", value.identifier("job_id") or default_job_id()),
            seed=value.whole("seed", minimum=0),
            test=test,
            preset="test" if test else value.one_of("preset", PRESETS),
            recipe=value.one_of("recipe", RECIPES),
            time_budget_hours=value.hours("time_budget_hours"),
            early_stopping=value.flag("early_stopping"),
            storage=_checked_storage(value.text("storage"), workers, worker),
            workers=workers,
            worker=worker,
            policy=value.one_of("policy", POLICIES),
            data_dir=Path(value.text("data_dir", empty=True) or paths.DATA_DIR).expanduser(),
            runs_dir=Path(value.text("runs_dir", empty=True) or paths.RUNS_DIR).expanduser(),
        )

    @classmethod
    def from_notebook(cls, shell: Any, only: str = "") -> "Settings":
        """Settings from the parameters cell of the notebook that runs in ``shell`` (the value of ``get_ipython()``).

        papermill only warns of an unknown ``-p`` name; here it is an error that names the nearest parameter.

        Args:
            shell: the value of ``get_ipython()``.
            only: the one model that a notebook is about; empty: any.

        Raises:
            InputError: a parameter is unknown, missing, of the wrong type or out of range; another model than ``only``.
        """
        settings = cls.from_namespace(shell.user_ns, shell.user_ns.get("In", []))
        if only and settings.model != only:
            raise InputError(
                f"model is {settings.model!r}, but this notebook shows what {only} alone can show; "
                f"run {paths.HPO_NOTEBOOK.name} or the notebook of that model"
            )
        return settings

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any], cells: Sequence[str]) -> "Settings":
        """Settings from plain variables; ``cells`` are the sources run so far, among them what papermill injected."""
        names = [field.name for field in fields(cls)]
        _reject_unknown(cells, names)
        for name in names:
            if name not in namespace:
                raise InputError(
                    f"parameter {name!r} is missing from the parameters cell; add it as in hpo_template.ipynb"
                )
        return cls.create(**{name: namespace[name] for name in names})

    @property
    def budget_name(self) -> str:
        """The preset with ``auto`` resolved on this machine."""
        if self.preset != "auto":
            return self.preset
        import torch  # only asked for when a study is about to run, where torch is needed anyway

        return "a100" if torch.cuda.is_available() else "laptop"

    def parameters(self) -> dict[str, Any]:
        """The settings as notebook parameters: plain values that papermill can write into a cell."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


_DEFAULTS: dict[str, Any] = {
    "trials": 0,
    "job_id": "",
    "seed": 42,
    "test": False,
    "preset": "auto",
    "recipe": "standard",
    "time_budget_hours": 0.0,
    "early_stopping": True,
    "storage": "auto",
    "workers": 1,
    "worker": 1,
    "policy": "calibrated",
    "data_dir": "",
    "runs_dir": "",
}


def default_job_id() -> str:
    """The Slurm job id inside a job, else a local time stamp such as ``local-20260116-103000``."""
    return os.environ.get("SLURM_JOB_ID") or f"local-{dt.datetime.now():%Y%m%d-%H%M%S}"


def reject_unknown(shell: Any, names: Sequence[str]) -> None:
    """Raise InputError if papermill injected a parameter that the notebook does not have.

    Args:
        shell: the value of ``get_ipython()``.
        names: the notebook's parameters.
    """
    _reject_unknown(shell.user_ns.get("In", []), names)


def _reject_unknown(cells: Sequence[str], names: Sequence[str]) -> None:
    for name in injected_names(cells):
        if name not in names:
            raise InputError(f"parameter {name!r} is unknown; {choices(name, names)}")


def injected_names(cells: Sequence[str]) -> list[str]:
    """Names assigned in cells that papermill injected (they begin with the comment ``# Parameters``)."""
    names = []
    for source in cells:
        if not source.startswith("# Parameters"):
            continue
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.Assign):
                names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return names


_PASSWORD = re.compile(r"(://[^/@:]*:)[^/@]+(?=@)|([?&]password=)[^&]+")


def _checked_storage(value: str, workers: int, worker: int) -> str:
    if value not in STORAGES and "://" not in value:
        raise InputError(
            f"storage is {value!r}; {choices(value, STORAGES)}, or a database URL such as postgresql://user@host/db"
        )
    if (shown := _PASSWORD.sub(r"\1\2***", value)) != value:
        raise InputError(
            f"storage is {shown!r} with a password, which would be written into the record; leave it out of the URL "
            "and give it in the environment variable PGPASSWORD or in ~/.pgpass"
        )
    if (workers, worker) == (1, 1):
        return value
    if value.startswith("sqlite"):
        several = f"workers is {workers}" if workers > 1 else f"worker is {worker}"
        raise InputError(
            f"storage is {value!r}, which serves one worker, but {several}; expected journal (a file on a file system "
            "that the workers share) or a PostgreSQL URL: leave storage at auto, or ask for one worker"
        )
    return "journal" if value == "auto" else value


class _Values(dict[str, Any]):
    """Typed access to raw parameters. papermill turns ``-p x 12`` into a number, whatever was meant."""

    def _wrong(self, name: str, expected: str) -> InputError:
        return InputError(f"parameter {name} is {self[name]!r}, expected {expected}")

    def text(self, name: str, *, empty: bool = False) -> str:
        value = self[name]
        if isinstance(value, Path):
            value = str(value)
        if not isinstance(value, str) or not (value or empty):
            raise self._wrong(name, "a text")
        return value

    def identifier(self, name: str) -> str:
        value = self[name]
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self._wrong(name, f"a text; with papermill pass it as `-r {name} ...`, which keeps it as typed")
        return str(value)

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        if self[name] not in allowed:
            raise InputError(f"parameter {name} is {self[name]!r}; {choices(self[name], allowed)}")
        return str(self[name])

    def flag(self, name: str) -> bool:
        spelled = {"true": True, "false": False}  # `papermill -p test true` hands over the text 'true'
        value = spelled.get(self[name].lower(), self[name]) if isinstance(self[name], str) else self[name]
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def whole(self, name: str, minimum: int) -> int:
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self._wrong(name, f"a whole number of at least {minimum}")
        return int(value)

    def hours(self, name: str) -> float:
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(name, "a number of hours, 0 for no limit")
        return float(value)


def as_words(given: Settings) -> list[str]:
    """The command line that gives these settings again, all but ``job_id`` and ``time_budget_hours``."""
    words = ["--model", given.model, "--dataset", given.dataset, "--trials", str(given.trials)]
    words += ["--seed", str(given.seed), *(["--test"] if given.test else ["--preset", given.preset])]
    words += ["--recipe", given.recipe, "--storage", given.storage, "--policy", given.policy]
    words += [] if given.early_stopping else ["--no-early-stopping"]
    return [*words, "--data-dir", str(given.data_dir), "--runs-dir", str(given.runs_dir)]
