"""The settings of one study. Each parameter is stated once, in the metadata of its field of
`Settings`.

Checks, defaults, options of the command line, the check of the notebooks and ``docs/parameters.md``
follow from these.
"""

import ast
import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any

from hpo_lib import paths
from hpo_lib.errors import InputError, choices

POLICIES = ("proven", "calibrated", "lowest_mae", "knee")
PRESETS = ("auto", "test", "laptop", "a100")
RECIPES = ("standard", "unshrunk", "plain")
OBJECTIVES = (
    "mae",
    "picp_penalty",
    "winkler",
    "winkler_calibrated",
    "picp_penalty_calibrated",
    "pinball",
)
SPACES = ("wide", "plan")
STORAGES = ("auto", "sqlite", "journal")
DEFAULT_TRIALS, TEST_TRIALS = 50, 3
MAX_SEED = (
    4_000_000_000  # libraries take 32 bits, and the fresh seeds of a proof follow that of the study
)

Check = Callable[[str, Any], Any]
"""Takes a parameter's name and raw value and returns the checked value. papermill makes a number of
``-p x 12``.
"""


def _check(expected: str, convert: Callable[[Any], Any]) -> Check:
    """A check by a function that returns the checked value, or None for a wrong one."""

    def check(name: str, value: Any) -> Any:
        found = convert(value)
        if found is None:
            raise InputError(f"parameter {name} is {value!r}, expected {expected}")
        return found

    return check


def _at_least(least: int, most: float = inf) -> Check:
    expected = f"a whole number of at least {least}" + (
        f" and at most {most}" if most < inf else ""
    )
    return _check(expected, lambda raw: raw if type(raw) is int and least <= raw <= most else None)


def _one_of(allowed: Sequence[str]) -> Check:
    def check(name: str, value: Any) -> Any:
        if value not in allowed:
            raise InputError(f"parameter {name} is {value!r}; {choices(value, allowed)}")
        return value

    return check


def _objectives(name: str, value: Any) -> str:
    """Two or three different names of `OBJECTIVES`, joined by commas."""
    names = [part.strip() for part in value.split(",")] if isinstance(value, str) else []
    for part in names:
        if part and part not in OBJECTIVES:
            raise InputError(
                f"parameter {name} is {value!r}, which names {part!r}; {choices(part, OBJECTIVES)}"
            )
    if len(names) not in (2, 3) or "" in names or len(set(names)) < len(names):
        raise InputError(
            f"parameter {name} is {value!r}, expected two or three different names joined by "
            "commas, such as "
            f"mae,picp_penalty. Allowed: {', '.join(OBJECTIVES)}"
        )
    return ",".join(names)


_folder = _check(
    "a text", lambda raw: str(raw) if isinstance(raw, str | Path) and "\0" not in str(raw) else None
)
_text = _check(
    "a text",
    lambda raw: str(raw) if isinstance(raw, str | Path) and raw and "\0" not in str(raw) else None,
)
_identifier = _check(
    "a text; with papermill pass it as `-r job_id ...`, which keeps it as typed",
    lambda raw: "" if raw is None else str(raw) if type(raw) in (int, str) else None,
)
_flag = _check(  # `papermill -p test true` passes the text 'true'
    "true or false",
    lambda raw: (
        {"true": True, "false": False}.get(str(raw).lower())
        if isinstance(raw, bool | str)
        else None
    ),
)
_hours = _check(
    "a number of hours, 0 for no limit",
    lambda raw: float(raw) if type(raw) in (int, float) and 0 <= raw < inf else None,
)


def _stated(default: Any, check: Check, explanation: str) -> Any:
    """A field and the statement of its parameter; the default None means that it must be given."""
    return field(metadata={"default": default, "check": check, "explanation": explanation})


@dataclass(frozen=True)
class Settings:
    """What one study is asked to do. Make it with `Settings.create`, which checks everything.

    Below, each parameter is stated as a user gives it. The values here are resolved: ``trials`` is
    never 0, ``job_id`` is never empty, folders are absolute, ``data_dir`` is None if the user named
    none, and ``storage`` is ``auto`` for a single worker only.
    """

    model: str = _stated(None, _text, "NHITS_Q, TFT_Q or TIMESNET_Q")
    dataset: str = _stated(
        None, _text, "a name from `hpo datasets`, such as heat, or the path of a dataset TOML"
    )
    trials: int = _stated(
        0,
        _at_least(0),
        f"finished trials that the study ends with; 0: {DEFAULT_TRIALS}, or {TEST_TRIALS} with "
        "test",
    )
    job_id: str = _stated(
        "",
        _identifier,
        "names the files, and the same id continues a study; empty: Slurm job id or local time",
    )
    seed: int = _stated(42, _at_least(0, MAX_SEED), "of the sampler and of every training")
    test: bool = _stated(
        False, _flag, "few trials and the smallest budget, to see that everything works"
    )
    preset: str = _stated(
        "auto",
        _one_of(PRESETS),
        f"training budget: {', '.join(PRESETS)}; auto: a100 if there is a GPU, else laptop",
    )
    recipe: str = _stated(
        "standard",
        _one_of(RECIPES),
        f"how windows are made: {', '.join(RECIPES)}; plain: as in the original HPO plan",
    )
    objectives: str = _stated(
        "mae,picp_penalty",
        _objectives,
        "two or three names of what to minimise; all names: docs/methodology.md",
    )
    space: str = _stated(
        "wide",
        _one_of(SPACES),
        f"what is searched: {', '.join(SPACES)}; plan: the recipe stays as it is",
    )
    warm_start: bool = _stated(
        False, _flag, "also begin with the best of your own studies on other data (wide space)"
    )
    time_budget_hours: float = _stated(
        0.0, _hours, "no trial starts that would probably end later; 0: no limit"
    )
    early_stopping: bool = _stated(
        True, _flag, "end trials that fall behind the others before their budget is spent"
    )
    storage: str = _stated(
        "auto",
        _text,
        f"{', '.join(STORAGES)} or a database URL; auto: as before, or journal for several workers",
    )
    workers: int = _stated(
        1, _at_least(1), "workers that share the trials: processes here, tasks of an array in Slurm"
    )
    worker: int = _stated(
        1, _at_least(1), "number of this worker, if several are started under one job id"
    )
    policy: str = _stated(
        "proven",
        _one_of(POLICIES),
        f"choice of a trial: {', '.join(POLICIES)}; the last three from the front",
    )
    data_dir: Path | None = _stated("", _folder, "folder of the CSVs; empty: data/ of the project")
    simulated: bool = _stated(
        False, _flag, "use the dataset's simulated twin, even if its CSV is there"
    )
    runs_dir: Path = _stated(
        "", _folder, "folder of the records; empty: papermill_runs/ of the project"
    )

    @classmethod
    def create(cls, model: str, dataset: str, **given: Any) -> "Settings":
        """Settings with defaults filled in.

        Raises:
            InputError: an unknown name, or a value of the wrong type or out of range.
        """
        _reject_unknown(given, [parameter.name for parameter in PARAMETERS])
        given |= {"model": model, "dataset": dataset}
        value = {p.name: p.check(p.name, given.get(p.name, p.default)) for p in PARAMETERS}
        value["trials"] = value["trials"] or (TEST_TRIALS if value["test"] else DEFAULT_TRIALS)
        value["job_id"] = paths.checked_name("job_id", value["job_id"] or default_job_id())
        if value["test"] and value["preset"] not in ("auto", "test"):
            raise InputError(
                f"preset is {value['preset']!r}, but test has a budget of its own; leave one of "
                "them out"
            )
        value["preset"] = "test" if value["test"] else value["preset"]
        value["storage"] = _checked_storage(value["storage"], value["workers"], value["worker"])
        value["data_dir"] = (
            Path(value["data_dir"]).expanduser().absolute() if value["data_dir"] else None
        )
        value["runs_dir"] = Path(value["runs_dir"] or paths.RUNS_DIR).expanduser().absolute()
        return cls(**value)

    @classmethod
    def from_notebook(cls, shell: Any, only: str = "") -> "Settings":
        """Settings from the parameters cell of the notebook that runs in ``shell``.

        Args:
            shell: the value of ``get_ipython()``.
            only: the one model that a notebook is about; empty: any.

        Raises: InputError: a parameter is unknown, missing, of the wrong type or out of range;
            another model than ``only``.
        """
        check_injected_parameters(shell)
        for parameter in PARAMETERS:
            if parameter.name not in shell.user_ns:
                raise InputError(
                    f"parameter {parameter.name!r} is missing from the parameters cell; add it "
                    "as in hpo_template.ipynb"
                )
        settings = cls.create(
            **{parameter.name: shell.user_ns[parameter.name] for parameter in PARAMETERS}
        )
        if only and settings.model != only:
            raise InputError(
                f"model is {settings.model!r}, but this notebook shows {only}; run "
                f"{paths.HPO_NOTEBOOK.name} or the "
                "notebook of that model"
            )
        return settings

    @property
    def budget_name(self) -> str:
        """The preset with ``auto`` resolved on this machine."""
        if self.preset != "auto":
            return self.preset
        import torch  # only asked for when a study is about to run, where torch is needed anyway

        return "a100" if torch.cuda.is_available() else "laptop"

    def parameters(self) -> dict[str, Any]:
        """The settings as notebook parameters: plain values that papermill can write into a cell."""
        return {
            name: str(value or "") if name in FOLDERS else value
            for name, value in asdict(self).items()
        }

    def as_words(self) -> list[str]:
        """The command line that gives these settings again, without `PER_PROCESS`."""
        words = []
        for parameter in PARAMETERS:
            value, default = getattr(self, parameter.name), parameter.default
            if (
                parameter.name in PER_PROCESS
                or value is None
                or (parameter.kind is bool and value is default)
            ):
                continue
            option = parameter.name.replace("_", "-")
            words += (
                [f"--{'' if value else 'no-'}{option}"]
                if parameter.kind is bool
                else [f"--{option}", str(value)]
            )
        return words


FOLDERS = ("data_dir", "runs_dir")
PER_PROCESS = ("job_id", "time_budget_hours", "workers", "worker")
"""Parameters in which the processes and jobs of one study differ."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a study as a user gives it; ``kind`` is str, int, float or bool."""

    name: str
    kind: type
    default: Any
    check: Check
    explanation: str


PARAMETERS = tuple(
    Parameter(stated.name, str if stated.name in FOLDERS else stated.type, **stated.metadata)  # type: ignore[arg-type]
    for stated in fields(Settings)
)


def default_job_id() -> str:
    """The Slurm job id inside a job, else a local time stamp such as ``local-20260116-103000``."""
    return os.environ.get("SLURM_JOB_ID") or f"local-{dt.datetime.now():%Y%m%d-%H%M%S}"


def train_with_one_thread() -> None:
    """Let a process of our own train with one thread, unless the user says otherwise.

    Before it imports numpy or torch. Threads that wait for each other take twice the processor time
    for the same trials.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def check_injected_parameters(shell: Any) -> None:
    """Check what papermill injected, which only warns of an unknown name; for a notebook's kernel.

    Args: shell: the value of ``get_ipython()``, whose ``In`` holds the cells run so far. papermill
        injects its cell below
            the parameters cell and begins it with ``# Parameters``.

    Raises:
        InputError: a parameter is unknown.
    """
    train_with_one_thread()
    known: list[str] = []
    for source in shell.user_ns.get("In", []):
        if source.startswith("# Parameters"):
            _reject_unknown(_assigned_names(source), known)
        known += _assigned_names(source)


def _assigned_names(source: str) -> list[str]:
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError:  # a cell that failed, earlier in an interactive session
        return []
    return [
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _reject_unknown(given: Mapping[str, Any] | Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"parameter {name!r} is unknown; {choices(name, known)}")


def _holds_password(url: str) -> bool:
    """Whether a database URL holds a password, as its user's or as an option of the driver."""
    from sqlalchemy import make_url  # only for studies in a database
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise InputError(
            "storage is not a database URL (it begins with "
            f"{url.partition('://')[0] + '://'!r}); expected one such as "
            "postgresql://user@host/db"
        ) from None
    return parsed.password is not None or any(
        "pass" in name.lower() for name in parsed.query if name != "passfile"
    )


def _checked_storage(value: str, workers: int, worker: int) -> str:
    if value not in STORAGES and "://" not in value:
        raise InputError(
            f"storage is {value!r}; {choices(value, STORAGES)}, or a database URL such as "
            "postgresql://user@host/db"
        )
    if "://" in value and _holds_password(value):
        raise InputError(
            f"storage is a {value.partition('://')[0]} URL with a password, which would be "
            "written into the record; "
            "leave it out of the URL and give it in the environment variable PGPASSWORD or in "
            "~/.pgpass"
        )
    if (workers, worker) == (1, 1):
        return value
    if value.startswith("sqlite"):
        several = f"workers is {workers}" if workers > 1 else f"worker is {worker}"
        raise InputError(
            f"storage is {value!r}, which serves one worker, but {several}; expected journal (a "
            "file on a file system "
            "that the workers share) or a PostgreSQL URL: leave storage at auto, or ask for one "
            "worker"
        )
    return "journal" if value == "auto" else value
