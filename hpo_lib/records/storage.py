"""Where a study is stored: in a SQLite file for one worker, in a journal file or a database for
several.
"""

import os
import re
import sqlite3
import urllib.parse
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_lib.errors import ROOM, InputError, WriteError, in_one_line
from hpo_lib.paths import RunPaths
from hpo_lib.records.schema import RESTORE, UNREADABLE, StudyAttributes, check

_STATEMENTS: dict[Any, Any] = {}

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import Study


def open_storage(kind: str, run: RunPaths) -> "BaseStorage":
    """The storage that the setting ``storage`` names.

    Raises: InputError: the study was begun with another storage; its file is damaged; the database
        cannot be reached. WriteError: its file cannot be written.
    """
    from alembic.util import CommandError
    from optuna.exceptions import OptunaError
    from optuna.storages import JournalStorage, RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    kind = _resolved(kind, run)
    check_storage(kind, run)
    file = {"sqlite": run.sqlite, "journal": run.journal}.get(kind)
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        if kind == "journal":
            return JournalStorage(_journal(run))
        url = f"sqlite:///{run.sqlite}" if kind == "sqlite" else kind
        url = url.replace("{", "{{").replace("}", "}}")  # optuna fills its version into braces
        return RDBStorage(
            url, engine_kwargs={"pool_pre_ping": True}
        )  # a connection may break while a trial is trained
    except OSError as error:
        raise WriteError(
            f"{file or run.folder}: cannot be written ({error.strerror}); {ROOM}"
        ) from None
    except ImportError as error:
        raise InputError(
            f"storage {recorded_url(kind, run)}: needs {error.name or 'its driver'}, which is "
            "not installed; for "
            "PostgreSQL `pip install 'hpo_lib[postgres]'`, or use --storage journal"
        ) from None
    except (CommandError, OptunaError, SQLAlchemyError, *UNREADABLE) as error:
        if file is None:
            advice = "start the database, or fix the URL or the password"
            raise InputError(
                f"storage {recorded_url(kind, run)}: no answer ({in_one_line(error)}); {advice}"
            ) from None
        if not os.access(file if file.exists() else run.folder, os.W_OK):
            raise WriteError(f"{file}: cannot be written ({in_one_line(error)}); {ROOM}") from None
        raise InputError(
            f"{file}: not a readable study ({in_one_line(error)}); {RESTORE}"
        ) from None


def check_storage(kind: str, run: RunPaths) -> None:
    """Raise InputError if the study was begun with another storage."""
    kind = _resolved(kind, run)
    for other, file in (("sqlite", run.sqlite), ("journal", run.journal)):
        if kind != other and file.exists():
            raise InputError(
                f"job_id {run.job_id!r} belongs to a study with storage {other!r} ({file}), now "
                f"storage is {kind!r}; "
                "choose another job_id, or go back to that storage"
            )


def recorded_url(kind: str, run: RunPaths) -> str:
    """The storage as a record names it: relative to the record's folder, and without a password."""
    kind = _resolved(kind, run)
    if kind == "sqlite":
        return f"sqlite:///{run.sqlite.name}"
    return (
        run.journal.name if kind == "journal" else re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", kind)
    )


def read_study(run: RunPaths, url: str = "") -> "Study | None":
    """The study, only to be read: nothing is written, created or locked. None if there is none
    (yet).

    Args: run: its files. url: of a database that the user named. One that does not answer counts as
        one without the study.

    Raises:
        InputError: the storage is damaged.
    """
    from alembic.util import CommandError
    from optuna import load_study
    from optuna.exceptions import OptunaError, StorageInternalError
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    from hpo_lib.records.optuna_trials import quiet_optuna

    # The texts of statements are the same for all studies, so they are made once.
    options = {"execution_options": {"compiled_cache": _STATEMENTS}}
    database = partial(RDBStorage, skip_compatibility_check=True, skip_table_creation=True)
    if not run.sqlite.exists() and not run.journal.exists():
        if "://" not in url or url.startswith("sqlite"):
            return None
        try:
            waiting = {"connect_args": {"connect_timeout": 5}}
            with quiet_optuna():
                found = load_study(
                    study_name=run.study_name, storage=database(url, engine_kwargs=waiting)
                )
                return _in_memory(found, run.study_name)
        except (ImportError, KeyError, StorageInternalError, SQLAlchemyError):
            return None
    file = run.sqlite if run.sqlite.exists() else run.journal
    storage: BaseStorage
    try:
        if file == run.sqlite:
            address = f"file:{urllib.parse.quote(str(file.resolve()))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                tables = {name for (name,) in connection.execute("select name from sqlite_master")}
                named = "select 1 from studies where study_name = ?"
                if (
                    "studies" not in tables
                    or not connection.execute(named, (run.study_name,)).fetchone()
                ):
                    return None
            storage = database(f"sqlite:///{address}&uri=true", engine_kwargs=options)
        else:
            storage = JournalStorage(JournalFileBackend(str(file)))
        with quiet_optuna():
            return _in_memory(load_study(study_name=run.study_name, storage=storage), file)
    except InputError:
        raise
    except (sqlite3.Error, CommandError, OptunaError, SQLAlchemyError, *UNREADABLE) as error:
        raise InputError(
            f"{file}: not a readable study ({in_one_line(error)}); {RESTORE}"
        ) from None


def _in_memory(stored: "Study", source: Path | str) -> "Study":
    """A copy of a study that is read at once, so that whatever is damaged in its storage is found
    here.
    """
    from optuna import create_study
    from optuna.storages import InMemoryStorage

    check(StudyAttributes, stored.user_attrs, source, "a study of this project")
    copy = create_study(
        study_name=stored.study_name, storage=InMemoryStorage(), directions=stored.directions
    )
    for name, value in stored.user_attrs.items():
        copy.set_user_attr(name, value)
    copy.add_trials(stored.get_trials(deepcopy=False))
    return copy


def _resolved(kind: str, run: RunPaths) -> str:
    """``auto`` is the file that exists, or SQLite for a new study; for several workers `Settings`
    has replaced it.
    """
    if kind != "auto":
        return kind
    return "journal" if run.journal.exists() else "sqlite"


def _journal(run: RunPaths) -> "JournalFileBackend":
    from optuna.storages.journal import JournalFileBackend

    from hpo_lib.records.optuna_trials import JournalLock

    return JournalFileBackend(str(run.journal), lock_obj=JournalLock(run.journal))
