"""A study in its storage: SQLite for one worker, a journal or a database for several.

optuna's trials become `TrialRecord`s here, and dimensions of a search space its distributions. It
loads optuna, so readers of records import it where they need it.
"""

import json
import re
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from hpo_lib.errors import UNREADABLE, InputError, WriteError, in_one_line, unwritable
from hpo_lib.families.search_space import Choice, Dimension, FloatRange, IntRange
from hpo_lib.paths import RunPaths, atomic
from hpo_lib.records.read_write import Count, Json, Part, check
from hpo_lib.records.trial import Settled, TrialRecord, Trials, check_trial
from hpo_lib.scoring.objectives import Objective, coverage_error

DAMAGE = OptunaError, SQLAlchemyError, sqlite3.Error, *UNREADABLE
"""What optuna and its database raise at damaged values in a storage."""

_REFUSED = "password|authenti|pg_hba|permission|does not exist|host name|resolve"
"""What a database says that waiting does not change."""

RESTORE = "restore it from a copy, or use another job_id"


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


class _Identity(Part):
    preset: str | None = None
    objectives: list[str] | None = None


class _Attributes(Part):
    """What a study's storage says of it, beside its trials."""

    trials_asked: Count = 0
    settled: Settled | None = None
    identity: _Identity | None = None


class Stored(NamedTuple):
    """A study in its storage, as it was read at once."""

    user_attrs: Json
    trials: list[FrozenTrial]


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
        """As a record names it: relative to the record's folder."""
        if self.file is None:
            return self.kind
        return "sqlite:///" * (self.kind == "sqlite") + self.file.name

    def check(self) -> None:
        """Raise InputError if the study was begun with another storage."""
        for other, file in (("sqlite", self.run.sqlite), ("journal", self.run.journal)):
            if self.kind != other and file.exists():
                raise InputError(
                    f"job_id {self.run.job_id!r} belongs to a study with storage {other!r} "
                    f"({file}), now storage is {self.kind!r}; choose another job_id, or go back to "
                    "that storage"
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
        kind = self.kind
        file = self.file
        self.run.folder.mkdir(parents=True, exist_ok=True)
        try:
            if kind == "journal":
                return JournalStorage(
                    JournalFileBackend(str(file), lock_obj=JournalLock(self.run.journal))
                )
            url = f"sqlite:///{file}" if kind == "sqlite" else kind
            url = url.replace("{", "{{").replace("}", "}}")  # optuna fills its version into braces
            for _ in range(5):
                # Workers that make the tables of a new database at once disturb each other.
                with suppress(IntegrityError, ProgrammingError):
                    return _database(url)
            return _database(url)
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
                raise unwritable(file, error) from None
            raise damaged(file, error) from None

    def read(self) -> Stored | None:
        """The study as it is stored: nothing is written, created or locked.

        None if there is none (yet), or if a database does not answer. The files go before the
        database.

        Raises:
            InputError: the storage is damaged.
        """
        file = next(filter(Path.is_file, (self.run.sqlite, self.run.journal)), None)
        name = self.run.study_name
        stored = None
        try:
            if file == self.run.journal:
                journal = JournalStorage(JournalFileBackend(str(file)))
                for study in journal.get_all_studies():
                    if study.study_name == name:
                        trials = journal.get_all_trials(study._study_id, deepcopy=False)
                        stored = Stored(study.user_attrs, trials)
            elif file is not None:
                address = f"{file.resolve().as_uri()}?mode=ro"
                with closing(sqlite3.connect(address, uri=True)) as sqlite:
                    sqlite.execute("begin")  # a worker may write meanwhile
                    stored = _stored(name, sqlite.execute)
            elif "://" in self.setting:
                engine = create_engine(
                    self.setting,
                    connect_args={"connect_timeout": 5},
                    isolation_level="REPEATABLE READ",
                )
                with engine.connect() as connection:
                    stored = _stored(name, connection.exec_driver_sql)
            if stored:
                check(_Attributes, stored.user_attrs, file or name, "a study of this project")
            return stored
        except InputError:
            raise
        except (ImportError, *DAMAGE) as error:
            # a worker that makes the file has not come to all its tables
            if file is None or re.search("no such table: stud", str(error)):
                return None
            raise damaged(file, error) from None


def _stored(name: str, ask: Callable[[str], Iterable[Any]]) -> Stored | None:
    """A study in a database of optuna's, whose own reader takes ten times as long as ``ask``."""
    study = {name: number for number, name in ask("select study_id, study_name from studies")}
    if name not in study:
        return None
    ((_,),) = ask("select version_num from alembic_version")
    of_study = f"where study_id = {study[name]}"

    def by_trial(columns: str, table: str) -> Mapping[int, list[Any]]:
        """Rows of a table of trials, without the one that they are ordered by."""
        rows = defaultdict(list)
        of_trials = f"where trial_id in (select trial_id from trials {of_study})"
        for trial, _, *row in ask(
            f"select trial_id, {columns} from {table} {of_trials} order by 2"
        ):
            rows[trial].append(row)
        return rows

    values = by_trial("objective, objective, value", "trial_values")
    params = by_trial("param_id, param_name, param_value, distribution_json", "trial_params")
    attributes = by_trial("key, key, value_json", "trial_user_attributes")
    trials = []
    for trial, number, state, begun, ended in ask(
        "select trial_id, number, state, datetime_start, datetime_complete from trials "
        f"{of_study} order by number"
    ):
        objectives = dict(values[trial])
        distributions = {name: _distribution(text) for name, _, text in params[trial]}
        frozen = FrozenTrial(
            number,
            TrialState[state],
            None,
            begun,
            ended,
            {name: distributions[name].to_external_repr(drawn) for name, drawn, _ in params[trial]},
            distributions,
            {key: json.loads(text) for key, text in attributes[trial]},
            {},
            {},
            trial,
            values=[objectives[place] for place in range(len(objectives))] or None,
        )
        frozen._validate()
        trials.append(frozen)
    entries = ask(f"select key, value_json from study_user_attributes {of_study}")
    return Stored({key: json.loads(text) for key, text in entries}, trials)


_distribution = cache(json_to_distribution)


def importances(stored: Stored) -> pd.DataFrame:
    """[31, hyperparameters] shares of the importance for the first objective, in percent.

    It is that of PED-ANOVA (Watanabe et al., 2023), which compares the best tenth of the trials
    with all: first of all trials, then of trials drawn with replacement. Stopped trials count as
    among the worst.
    """
    ended = [t for t in stored.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
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
    for draw in range(31):
        with quiet_optuna():
            drawn = optuna.create_study()
            drawn.add_trials(
                scored.sample(frac=1, replace=True, random_state=draw) if draw else scored
            )
            found.append(optuna.importance.get_param_importances(drawn))
    return 100 * pd.DataFrame(found).fillna(0.0)


def damaged(file: Path | None, error: BaseException) -> InputError:
    """The sentence on a storage that cannot be read; of a journal it names the line."""
    why = in_one_line(error)
    if file and file.suffix == ".journal" and isinstance(error, json.JSONDecodeError):
        line = file.read_text("utf-8").partition(error.doc)[0].count("\n") + 1
        why = f"line {line} is no JSON"
    return InputError(f"{file}: not a readable study ({why}); {RESTORE}")


def _database(url: str) -> RDBStorage:
    """A database with all its tables and indexes.

    SQLite commits a table and its index apart, and optuna does not look for indexes: one that was
    killed in between would take a second study of the same name.
    """
    # slow to load, and needed only by those who write
    from alembic.util import CommandError
    from optuna.storages._rdb.models import BaseModel

    try:
        # A connection may break while a trial is trained.
        storage = RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except CommandError as error:
        raise ValueError(str(error)) from None
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
    values = dict[str, float]()
    if trial.state == TrialState.COMPLETE:
        values = dict(zip([one.name for one in objectives], trial.values, strict=True))
    scores = trial.user_attrs.get("scores", {})  # which studies of the original HPO plan lack
    known = {**trial.user_attrs, **values, **scores}
    if scores:
        known["picp_penalty"] = coverage_error(scores)
    state = _STATES.get(trial.state, trial.state.name.lower())
    if trial.state == TrialState.FAIL and "cause" not in known:
        state = "interrupted"
    stated = {name: known[name] for name in _STATED & known.keys()}
    return TrialRecord(trial.number, state, trial.params, values=values, **stated)


_STATED = {field.name for field in fields(TrialRecord)[3:-1]}
"""What a trial in the storage says of itself in its values and attributes."""

_STATES = {TrialState.FAIL: "failed", TrialState.PRUNED: "stopped"}
"""Those whose names are not optuna's."""


def trial_records(stored: Stored, objectives: Sequence[Objective], study_name: str) -> Trials:
    """All trials of a study with these objectives.

    Raises:
        InputError: one of them is damaged.
    """
    scored = ("picp",) if "identity" in stored.user_attrs else ()  # not in those of the HPO plan
    trials = []
    for frozen in stored.trials:
        try:
            trial = trial_record(frozen, objectives)
            check_trial(trial, scored)
        except UNREADABLE as error:
            raise InputError(
                f"study {study_name}: trial {frozen.number} is damaged in its storage "
                f"({in_one_line(error)}); {RESTORE}"
            ) from None
        trials.append(trial)
    return trials


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
