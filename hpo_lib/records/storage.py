"""Where a study is stored: SQLite for one worker, a journal or a database for several."""

import os
import re
import sqlite3
import urllib.parse
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_lib.errors import MAKE_ROOM, InputError, WriteError, in_one_line
from hpo_lib.paths import RunPaths
from hpo_lib.records.files import Count, Part, check
from hpo_lib.records.trial import RESTORE, UNREADABLE

_STATEMENTS: dict[Any, Any] = {}
"""The texts of SQL statements are the same for all studies, so they are made once."""

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study


class _Identity(Part):
    preset: str | None = None
    objectives: list[str] | None = None


class _Attributes(Part):
    """What a study's storage says of it, beside its trials."""

    trials_asked: Count = 0
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

    def open(self) -> "BaseStorage":
        """Open it for writing; it is made if there is none.

        Raises:
            InputError: the study was begun with another storage; its file is damaged; the
                database cannot be reached.
            WriteError: its file cannot be written.
        """
        from alembic.util import CommandError
        from optuna.exceptions import OptunaError
        from optuna.storages import JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend
        from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

        from hpo_lib.records.optuna_trials import JournalLock

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
                    return RDBStorage(url, engine_kwargs=options)
            return RDBStorage(url, engine_kwargs=options)
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
        except (CommandError, OptunaError, SQLAlchemyError, *UNREADABLE) as error:
            why = in_one_line(error)
            if file is None:
                raise InputError(
                    f"storage {self.recorded}: no answer ({why}); start the database, or fix the "
                    "URL or the password"
                ) from None
            if not os.access(file if file.exists() else folder, os.W_OK):
                raise WriteError(f"{file}: cannot be written ({why}); {MAKE_ROOM}") from None
            raise InputError(f"{file}: not a readable study ({why}); {RESTORE}") from None

    def read(self) -> "Study | None":
        """The study, only to be read: nothing is written, created or locked.

        None if there is none (yet), or if a database does not answer. The files go before the
        database.

        Raises:
            InputError: the storage is damaged.
        """
        from alembic.util import CommandError
        from optuna.exceptions import OptunaError
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from sqlalchemy.exc import SQLAlchemyError

        name = self.run.study_name
        file = next((file for file in (self.run.sqlite, self.run.journal) if file.exists()), None)
        if file is None and ("://" not in self.setting or self.setting.startswith("sqlite")):
            return None
        storage: BaseStorage
        try:
            if file is None:
                storage = _read_only(self.setting, {"connect_args": {"connect_timeout": 5}})
            elif file == self.run.journal:
                storage = JournalStorage(JournalFileBackend(str(file)))
            else:
                address = f"file:{urllib.parse.quote(str(file.resolve()))}?mode=ro"
                with closing(sqlite3.connect(address, uri=True)) as connection:
                    query = "select name from sqlite_master where name = 'studies'"
                    if not connection.execute(query).fetchone():
                        return None
                    query = "select 1 from studies where study_name = ?"
                    if not connection.execute(query, (name,)).fetchone():
                        return None
                options = {"execution_options": {"compiled_cache": _STATEMENTS}}
                storage = _read_only(f"sqlite:///{address}&uri=true", options)
            return self._in_memory(storage, file or name)
        except InputError:
            raise
        except (
            ImportError,
            sqlite3.Error,
            CommandError,
            OptunaError,
            SQLAlchemyError,
            *UNREADABLE,
        ) as error:
            if file is None:
                return None
            raise InputError(
                f"{file}: not a readable study ({in_one_line(error)}); {RESTORE}"
            ) from None

    def _in_memory(self, storage: "BaseStorage", source: Path | str) -> "Study":
        """A copy that is read at once, so that whatever is damaged in the storage is found here."""
        from optuna import create_study, load_study
        from optuna.storages import InMemoryStorage

        from hpo_lib.records.optuna_trials import quiet_optuna

        with quiet_optuna():
            stored = load_study(study_name=self.run.study_name, storage=storage)
            check(_Attributes, stored.user_attrs, source, "a study of this project")
            study = create_study(
                study_name=stored.study_name,
                storage=InMemoryStorage(),
                directions=stored.directions,
            )
            for name, value in stored.user_attrs.items():
                study.set_user_attr(name, value)
            study.add_trials(stored.get_trials(deepcopy=False))
        return study


def _read_only(url: str, engine_options: dict[str, Any]) -> "BaseStorage":
    from optuna.storages import RDBStorage

    return RDBStorage(
        url,
        engine_kwargs=engine_options,
        skip_compatibility_check=True,
        skip_table_creation=True,
    )
