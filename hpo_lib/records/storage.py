"""A study in its storage: SQLite for one worker, a journal or a database for several.

optuna's trials become `TrialRecord`s here, and dimensions of a search space its distributions. It
loads optuna, so readers of records import it where they need it.
"""

import json
import math
import re
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from alembic.util import CommandError
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from hpo_lib.errors import MAKE_ROOM, UNREADABLE, InputError, WriteError, in_one_line
from hpo_lib.families.search_space import Choice, Dimension, FloatRange, IntRange
from hpo_lib.paths import RunPaths, atomic
from hpo_lib.records.read_write import Count, Part, check
from hpo_lib.records.trial import TrialRecord, check_trial
from hpo_lib.records.trial_choice import Settled
from hpo_lib.scoring.objectives import Objective, coverage_error

DAMAGE = CommandError, OptunaError, SQLAlchemyError, *UNREADABLE
"""What optuna and its database raise at damaged values in a storage."""

_REFUSED = "password|authenti|pg_hba|permission|does not exist|host name|resolve"
"""What a database says that waiting does not change."""

RESTORE = "restore it from a copy, or use another job_id"

_STATEMENTS: dict[Any, Any] = {}
"""The texts of SQL statements are the same for all studies, so they are made once."""


class JournalLock(JournalFileOpenLock):
    """Leaves out the half line of a killed or paused writer, and what that one adds later."""

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal

    def acquire(self) -> bool:
        """Wait for the lock, then look at the journal's end."""
        acquired = super().acquire()
        with self._journal.open("rb") as stream:
            if stream.seek(0, 2) and (stream.seek(-1, 2), stream.read())[1] != b"\n":
                stream.seek(0)
                whole, line_end, _ = stream.read().rpartition(b"\n")
                try:
                    # A new file: a writer that is only paused still has the old one open.
                    with atomic(self._journal) as journal:
                        journal.write_bytes(whole + line_end)
                except WriteError:
                    self.release()
                    raise
        return acquired

    def release(self) -> None:
        """Give it up, unless this process was paused and another broke its lock."""
        with suppress(RuntimeError):
            super().release()


def importances(study: optuna.Study, draws: int = 30) -> pd.DataFrame:
    """[draws + 1, hyperparameters] shares of the importance for the first objective, in percent.

    It is that of PED-ANOVA (Watanabe et al., 2023), which compares the best tenth of the trials
    with all: first of all trials, then of trials drawn with replacement. Stopped trials count as
    among the worst.
    """
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    worst = max(trial.values[0] for trial in ended if trial.values)
    scored = pd.Series(
        create_trial(
            params=trial.params,
            distributions=trial.distributions,
            value=trial.values[0] if trial.values else worst,
        )
        for trial in ended
    )
    found = []
    for draw in range(draws + 1):
        with quiet_optuna():
            drawn = optuna.create_study()
            drawn.add_trials(
                scored.sample(frac=1, replace=True, random_state=draw) if draw else scored
            )
            found.append(optuna.importance.get_param_importances(drawn))
    return 100 * pd.DataFrame(found).fillna(0.0)


class _Identity(Part):
    preset: str | None = None
    objectives: list[str] | None = None


class _Attributes(Part):
    """What a study's storage says of it, beside its trials."""

    trials_asked: Count = 0
    settled: Settled | None = None
    identity: _Identity | None = None


@dataclass(frozen=True)
class Storage:
    """The storage of one study.

    Attributes: run: the study's files. setting: ``sqlite``, ``journal``, the URL of a database, or
        ``auto``: the file that exists, and SQLite for a new study.
    """

    run: RunPaths
    setting: str = "auto"

    @property
    def kind(self) -> str:
        """``sqlite``, ``journal`` or the URL of a database."""
        if self.setting != "auto":
            return self.setting
        return "journal" if self.run.journal.exists() else "sqlite"

    @property
    def file(self) -> Path | None:
        """The storage file; None for a database."""
        return {"sqlite": self.run.sqlite, "journal": self.run.journal}.get(self.kind)

    @property
    def recorded(self) -> str:
        """As a record names it: relative to the record's folder, and without a password."""
        if self.kind == "sqlite":
            return f"sqlite:///{self.run.sqlite.name}"
        if self.kind == "journal":
            return self.run.journal.name
        return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", self.kind)

    def check(self) -> None:
        """Raise InputError if the study was begun with another storage."""
        for other, file in (("sqlite", self.run.sqlite), ("journal", self.run.journal)):
            if self.kind != other and file.exists():
                raise InputError(
                    f"job_id {self.run.job_id!r} belongs to a study with storage {other!r} "
                    f"({file}), now storage is {self.kind!r}; "
                    "choose another job_id, or go back to that storage"
                )

    def open(self) -> BaseStorage:
        """Open it for writing; it is made if there is none.

        Raises:
            InputError: the study was begun with another storage; its file is damaged; the
                database refuses this user.
            OperationalError, StorageInternalError: the database does not answer.
            WriteError: its file cannot be written.
        """
        self.check()
        kind, file, folder = self.kind, self.file, self.run.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if kind == "journal":
                lock = JournalLock(self.run.journal)
                return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))
            url = f"sqlite:///{file}" if kind == "sqlite" else kind
            url = url.replace("{", "{{").replace("}", "}}")  # optuna fills its version into braces
            # A connection may break while a trial is trained.
            options = {"pool_pre_ping": True}
            for _ in range(5):
                # Workers that make the tables of a new database at once disturb each other.
                with suppress(IntegrityError, ProgrammingError):
                    return _database(url, options)
            return _database(url, options)
        except OSError as error:
            raise WriteError(
                f"{file or folder}: cannot be written ({error.strerror}); {MAKE_ROOM}"
            ) from None
        except ImportError as error:
            raise InputError(
                f"storage {self.recorded}: needs {error.name or 'its driver'}, which is not "
                "installed; for PostgreSQL `pip install 'hpo_lib[postgres]'`, or use --storage "
                "journal"
            ) from None
        except DAMAGE as error:
            why = in_one_line(error)
            if file is None:
                silent = isinstance(error, OperationalError | StorageInternalError)
                if silent and not re.search(_REFUSED, why):
                    raise
                raise InputError(
                    f"storage {self.recorded}: cannot be used ({why}); fix the URL or the password"
                ) from None
            if re.search("disk (is full|I/O)|readonly|unable to open", why):
                raise WriteError(f"{file}: cannot be written ({why}); {MAKE_ROOM}") from None
            raise damaged(file, error) from None

    def read(self) -> Study | None:
        """The study, only to be read: nothing is written, created or locked.

        None if there is none (yet), or if a database does not answer. The files go before the
        database.

        Raises:
            InputError: the storage is damaged.
        """
        file = next((file for file in (self.run.sqlite, self.run.journal) if file.is_file()), None)
        if file is None and "://" not in self.setting:
            return None
        storage: BaseStorage
        try:
            if file == self.run.journal:
                storage = JournalStorage(JournalFileBackend(str(file)))
            else:
                url, options = self.setting, dict[str, Any](connect_args={"connect_timeout": 5})
                if file is not None:
                    address = urllib.parse.quote(str(file.resolve()))
                    url = f"sqlite:///file:{address}?mode=ro&uri=true"
                    options = {"execution_options": {"compiled_cache": _STATEMENTS}}
                storage = RDBStorage(
                    url,
                    engine_kwargs=options,
                    skip_compatibility_check=True,
                    skip_table_creation=True,
                )
            if self.run.study_name not in optuna.get_all_study_names(storage):
                return None
            # A copy that is read at once, so that whatever is damaged in the storage is found here.
            with quiet_optuna():
                stored = optuna.load_study(study_name=self.run.study_name, storage=storage)
                source = file or self.run.study_name
                check(_Attributes, stored.user_attrs, source, "a study of this project")
                study = optuna.create_study(
                    study_name=stored.study_name,
                    storage=InMemoryStorage(),
                    directions=stored.directions,
                )
                for name, value in stored.user_attrs.items():
                    study.set_user_attr(name, value)
                study.add_trials(stored.get_trials(deepcopy=False))
                return study
        except InputError:
            raise
        except (ImportError, *DAMAGE) as error:
            # a worker that makes the file has not come to all its tables
            being_made = r"no such table: (version_info|stud)"
            if file is None or re.search(being_made, str(error.__cause__)):
                return None
            raise damaged(file, error) from None


def damaged(file: Path | None, error: BaseException) -> InputError:
    """The sentence on a storage that cannot be read; of a journal it names the line."""
    why = in_one_line(error)
    if file and file.suffix == ".journal" and isinstance(error, json.JSONDecodeError):
        line = file.read_text(encoding="utf-8").partition(error.doc)[0].count("\n") + 1
        why = f"line {line} is no JSON"
    return InputError(f"{file}: not a readable study ({why}); {RESTORE}")


def _database(url: str, options: Mapping[str, Any]) -> RDBStorage:
    """A database with all its tables and indexes.

    SQLite commits a table and its index apart, and optuna does not look for indexes: one that was
    killed in between would take a second study of the same name.
    """
    storage = RDBStorage(url, engine_kwargs=dict(options))
    for table in BaseModel.metadata.tables.values():
        for index in table.indexes:
            index.create(storage.engine, checkfirst=True)
    return storage


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension of a family's search space as optuna samples it."""
    match dimension:
        case IntRange(low, high):
            return IntDistribution(low, high)
        case FloatRange(low, high, log):
            return FloatDistribution(low, high, log=log)
        case Choice(options):
            return CategoricalDistribution(options)


def dimension(distribution: BaseDistribution) -> Dimension:
    """What optuna sampled from as a dimension of a search space; the inverse of `distribution`."""
    match distribution:
        case IntDistribution():
            return IntRange(distribution.low, distribution.high)
        case FloatDistribution():
            return FloatRange(distribution.low, distribution.high, distribution.log)
        case CategoricalDistribution():
            return Choice(tuple(distribution.choices))  # type: ignore[arg-type]  # families choose among numbers
    raise TypeError(f"{distribution} is none of the distributions that `distribution` makes")


def trial_record(trial: FrozenTrial, objectives: Sequence[Objective]) -> TrialRecord:
    """A trial of the storage of a study with these objectives as every reader sees it."""
    attributes, values = trial.user_attrs, dict[str, float]()
    if trial.state == TrialState.COMPLETE:
        names = (objective.name for objective in objectives)
        values = dict(zip(names, trial.values, strict=True))
    scores = attributes.get("scores", {})  # which studies of the original HPO plan lack
    pair = {**values, **scores}
    if scores:
        pair["picp_penalty"] = coverage_error(scores)
    state = _STATES[trial.state]
    if trial.state == TrialState.FAIL and "cause" not in attributes:
        state = "interrupted"
    return TrialRecord(
        trial.number,
        state,
        trial.params,
        pair.get("mae", math.nan),
        pair.get("picp_penalty", math.nan),
        values=values,
        **{name: attributes[name] for name in OF_ATTRIBUTES & attributes.keys()},
    )


OF_ATTRIBUTES = {field.name for field in fields(TrialRecord)[5:-1]}
"""What a trial in the storage says of itself in its attributes."""

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "stopped",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def trial_records(study: Study, objectives: Sequence[Objective]) -> tuple[TrialRecord, ...]:
    """All trials of a study with these objectives.

    Raises:
        InputError: one of them is damaged.
    """
    scored = ("picp",) if "identity" in study.user_attrs else ()  # not in those of the HPO plan
    trials = []
    for frozen in study.get_trials(deepcopy=False):
        try:
            trial = trial_record(frozen, objectives)
            check_trial(trial, scored)
        except UNREADABLE as error:
            raise InputError(
                f"study {study.study_name}: trial {frozen.number} is damaged in its storage "
                f"({in_one_line(error)}); {RESTORE}"
            ) from None
        trials.append(trial)
    return tuple(trials)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence optuna's announcements and warnings; a study reports itself."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
