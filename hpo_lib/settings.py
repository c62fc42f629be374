"""The settings of one study; each parameter is stated once, as a field of `Settings`.

Checks, defaults, options of the command line, the check of the notebooks and ``docs/parameters.md``
follow from these.
"""

import datetime as dt
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)

from hpo_lib import paths
from hpo_lib.errors import InputError, Whole, choices, expected, sentence

Policy = Literal["proven", "calibrated", "lowest_mae", "knee"]
Preset = Literal["auto", "test", "laptop", "a100"]
RecipeName = Literal["standard", "plain"]
Space = Literal["wide", "plan"]
POLICIES, PRESETS, RECIPES, SPACES = map(get_args, (Policy, Preset, RecipeName, Space))
OBJECTIVES = (
    "mae",
    "picp_penalty",
    "winkler",
    "winkler_calibrated",
    "picp_penalty_calibrated",
    "pinball",
)
NAMES_OF_OBJECTIVES = (
    "two or three different names joined by commas, such as mae,picp_penalty; allowed: "
    f"{', '.join(OBJECTIVES)}"
)
STORAGES = ("auto", "sqlite", "journal")
DEFAULT_TRIALS, TEST_TRIALS = 50, 3
MAX_SEED = 4_000_000_000
"""Libraries take 32 bits, and the fresh seeds of a proof follow that of the study."""


def _objectives(value: str) -> str:
    names = [part.strip() for part in value.split(",")]
    for part in names:
        if part and part not in OBJECTIVES:
            raise InputError(
                f"parameter objectives is {value!r}, which names {part!r}; "
                f"{choices(part, OBJECTIVES)}"
            )
    if len(names) not in (2, 3) or "" in names or len(set(names)) < len(names):
        raise ValueError(NAMES_OF_OBJECTIVES)
    return ",".join(names)


def _identifier(value: object) -> str:
    if value is not None and type(value) not in (int, str):
        raise ValueError
    # the Slurm job id inside a job, else such as ``local-20260116-103000``
    return str(
        value or os.environ.get("SLURM_JOB_ID") or f"local-{dt.datetime.now():%Y%m%d-%H%M%S}"
    )


def _text(value: object) -> str:
    if not isinstance(value, str | Path) or "\0" in str(value):
        raise ValueError
    return str(value)


def _folder(value: object) -> Path | None:
    return Path(text).expanduser().absolute() if (text := _text(value)) else None


def _storage(value: str) -> str:
    scheme, is_url, _ = value.partition("://")
    if not is_url:
        if value not in STORAGES:
            raise InputError(
                f"storage is {value!r}; {choices(value, STORAGES)}, or a database URL such as "
                "postgresql://user@host/db"
            )
        return value
    from sqlalchemy import make_url  # only for studies in a database
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value)
        url.get_dialect()
    except (ArgumentError, ValueError):
        raise InputError(
            f"storage is not a database URL (it begins with {scheme + '://'!r}); expected one such "
            "as postgresql://user@host/db"
        ) from None
    if scheme.startswith("sqlite"):
        raise InputError(
            f"storage is {value!r}; give sqlite or journal, which keep a file beside the record, "
            "or a database of several, such as postgresql://user@host/db"
        )
    # of its user, or as an option of the driver
    options = [name for name in url.query if "pass" in name.lower() and name != "passfile"]
    if url.password is not None or options:
        raise InputError(
            f"storage is a {scheme} URL with a password, which would be written into the record; "
            "leave it out of the URL and give it in the environment variable PGPASSWORD or in "
            "~/.pgpass"
        )
    return value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_text), expected("a text")]
Number = Annotated[int, Field(strict=True, ge=1), expected("a whole number of at least 1")]
Seed = Annotated[
    int,
    Field(strict=True, ge=0, le=MAX_SEED),
    expected(f"a whole number of at least 0 and at most {MAX_SEED}"),
]
Flag = Annotated[  # `papermill -p test true` passes the text 'true'
    bool,
    Field(strict=True),
    BeforeValidator(lambda value: {"true": True, "false": False}.get(str(value).lower(), value)),
    expected("true or false"),
]
Hours = Annotated[
    float,
    Field(strict=True, ge=0, allow_inf_nan=False),
    expected("a number of hours, 0 for no limit"),
]
JobId = Annotated[
    str,
    PlainValidator(_identifier),
    expected("a text; with papermill pass it as `-r job_id ...`, which keeps it as typed"),
    AfterValidator(partial(paths.checked_name, "job_id")),
]
Objectives = Annotated[
    str, Field(strict=True), expected(NAMES_OF_OBJECTIVES), AfterValidator(_objectives)
]


def _stated(default: Any, explanation: str) -> Any:
    """A field and the statement of its parameter; the default MISSING means: must be given."""
    return field(default=default, metadata={"description": explanation})


@dataclass(frozen=True)
class Settings:
    """What one study is asked to do. Make it with `Settings.create`, which checks everything.

    Below, each parameter is stated as a user gives it. The values here are resolved: ``trials`` is
    never 0, ``job_id`` is never empty, folders are absolute, ``data_dir`` is None if the user named
    none, and ``storage`` is ``auto`` for a single worker only.
    """

    model: Text = _stated(MISSING, "NHITS_Q, TFT_Q or TIMESNET_Q")
    dataset: Text = _stated(
        MISSING, "a name from `hpo datasets`, such as heat, or the path of a dataset TOML"
    )
    trials: Whole = _stated(
        0,
        f"finished trials that the study ends with at the latest; 0: {DEFAULT_TRIALS}, or "
        f"{TEST_TRIALS} with test",
    )
    job_id: JobId = _stated(
        "", "names the files, and the same id continues a study; empty: Slurm job id or local time"
    )
    seed: Seed = _stated(42, "of the sampler and of every training")
    test: Flag = _stated(False, "few trials and the smallest budget, to see that everything works")
    preset: Preset = _stated(
        "auto", f"training budget: {', '.join(PRESETS)}; auto: a100 if there is a GPU, else laptop"
    )
    recipe: RecipeName = _stated(
        "standard",
        f"how windows are made: {', '.join(RECIPES)}; plain: as in the original HPO plan",
    )
    objectives: Objectives = _stated(
        "mae,picp_penalty", "two or three names of what to minimise; all names: docs/methodology.md"
    )
    space: Space = _stated(
        "wide", f"what is searched: {', '.join(SPACES)}; plan: the recipe stays as it is"
    )
    warm_start: Flag = _stated(
        False, "also begin with the best of your own studies on other data (wide space)"
    )
    time_budget_hours: Hours = _stated(
        0.0, "no trial starts that would probably end later; 0: no limit"
    )
    early_stopping: Flag = _stated(
        True, "end trials that fall behind the others before their budget is spent"
    )
    settle: Flag = _stated(
        True, "end when the other trials would gain less than luck (policy proven, not with test)"
    )
    storage: Annotated[Text, AfterValidator(_storage)] = _stated(
        "auto",
        f"{', '.join(STORAGES)} or a database URL; auto: as before, or journal for several workers",
    )
    workers: Number = _stated(
        1, "workers that share the trials: processes here, tasks of an array in Slurm"
    )
    worker: Number = _stated(1, "number of this worker, if several are started under one job id")
    policy: Policy = _stated(
        "proven", f"choice of a trial: {', '.join(POLICIES)}; the last three from the front"
    )
    data_dir: Annotated[Path | None, PlainValidator(_folder), expected("a text")] = _stated(
        "", "folder of the CSVs; empty: data/ of the project"
    )
    simulated: Flag = _stated(False, "use the dataset's simulated twin, even if its CSV is there")
    runs_dir: Annotated[
        Path, PlainValidator(lambda value: _folder(value) or paths.RUNS_DIR), expected("a text")
    ] = _stated("", "folder of the records; empty: papermill_runs/ of the project")

    @classmethod
    def create(cls, model: str, dataset: str, **given: Any) -> "Settings":
        """Settings with defaults filled in."""
        stated = {parameter.name: parameter.default for parameter in PARAMETERS}
        _reject_unknown(given, stated)
        try:
            checked = _CHECKED.validate_python(
                {**stated, **given, "model": model, "dataset": dataset}
            )
        except ValidationError as error:
            called = {name: f"parameter {name}" for name in stated}
            raise InputError(sentence(error, called=called)) from None
        if checked.test and checked.preset not in ("auto", "test"):
            raise InputError(
                f"preset is {checked.preset!r}, but test has a budget of its own; leave one of "
                "them out"
            )
        workers = checked.workers
        storage = checked.storage
        if max(workers, checked.worker) > 1:
            if storage == "sqlite":  # one file cannot serve several
                several = f"workers is {workers}" if workers > 1 else f"worker is {checked.worker}"
                raise InputError(
                    f"storage is {storage!r}, which serves one worker, but {several}; expected "
                    "journal (a file on a file system that the workers share) or a PostgreSQL URL: "
                    "leave storage at auto, or ask for one worker"
                )
            storage = "journal" if storage == "auto" else storage
        return replace(
            checked,
            trials=checked.trials or (TEST_TRIALS if checked.test else DEFAULT_TRIALS),
            preset="test" if checked.test else checked.preset,
            storage=storage,
        )

    @classmethod
    def from_notebook(cls, shell: Any, only: str = "") -> "Settings":
        """Settings from the parameters cell of the notebook that runs in ``shell``.

        Args:
            shell: the value of ``get_ipython()``.
            only: the one model that a notebook is about; empty: any.
        """
        check_injected_parameters(shell)
        try:
            settings = cls.create(**{each.name: shell.user_ns[each.name] for each in PARAMETERS})
        except KeyError as missing:
            raise InputError(
                f"parameter {missing} is missing from the parameters cell; add it as in "
                "hpo_template.ipynb"
            ) from None
        if only and settings.model != only:
            raise InputError(
                f"model is {settings.model!r}, but this notebook shows {only}; run "
                f"{paths.HPO_NOTEBOOK.name} or the notebook of that model"
            )
        return settings

    @property
    def budget_name(self) -> str:
        """The preset with ``auto`` resolved on this machine."""
        if self.preset != "auto":
            return self.preset
        import torch  # only asked for when a study is about to run, where torch is needed anyway

        return "a100" if torch.cuda.is_available() else "laptop"

    def files(self, dataset: str) -> paths.RunPaths:
        """Where the study keeps its files, for a dataset of this name."""
        return paths.RunPaths(self.runs_dir, self.model, dataset, self.job_id, self.worker)

    def parameters(self) -> dict[str, Any]:
        """The settings as notebook parameters: plain values that papermill can write."""
        return {
            name: str(value or "") if name in ("data_dir", "runs_dir") else value
            for name, value in asdict(self).items()
        }

    def as_words(self) -> list[str]:
        """The command line that gives these settings again, without `PER_PROCESS`."""
        words = []
        for parameter in PARAMETERS:
            value = getattr(self, parameter.name)
            option = option_of(parameter.name)
            if parameter.name in PER_PROCESS or value is None:
                continue
            if not isinstance(value, bool):
                words += [option, str(value)]
            elif value is not parameter.default:
                words.append(option if value else option.replace("--", "--no-"))
        return words


PER_PROCESS = ("job_id", "time_budget_hours", "workers", "worker")
"""Parameters in which the processes and jobs of one study differ."""


PARAMETERS = fields(Settings)
"""Each has a ``name``, a ``default``, and says its meaning in ``metadata["description"]``."""
_CHECKED = TypeAdapter(Settings)


def option_of(parameter: str) -> str:
    """How the command line spells a parameter."""
    return f"--{parameter.replace('_', '-')}"


def train_with_one_thread() -> None:
    """Let a process of our own train with one thread, unless the user says otherwise.

    Before it imports numpy or torch. Threads that wait for each other take twice the processor time
    for the same trials.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def check_injected_parameters(shell: Any) -> None:
    """Check what papermill injected, which only warns of an unknown name; for a notebook's kernel.

    Args:
        shell: the value of ``get_ipython()``, whose ``In`` holds the cells run so far. papermill
            injects its cell below the parameters cell and begins it with ``# Parameters``.
    """
    train_with_one_thread()
    known = list[str]()
    for source in shell.user_ns.get("In", []):
        assigned = re.findall(r"^(\w+)(?:: \w+)? = ", source, re.MULTILINE)
        if source.startswith("# Parameters"):
            _reject_unknown(assigned, known)
        known += assigned


def _reject_unknown(given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"parameter {name!r} is unknown; {choices(name, known)}")
