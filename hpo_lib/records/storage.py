"""Where a study is stored: in a SQLite file for one worker, in a journal file or a database for several."""

import re
import sqlite3
import urllib.parse
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from hpo_lib.errors import InputError
from hpo_lib.paths import RunPaths

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import Study


def open_storage(kind: str, run: RunPaths) -> "BaseStorage":
    """The storage that the setting ``storage`` names.

    Raises:
        InputError: the study was begun with another storage; the database cannot be reached.
    """
    from optuna.storages import JournalStorage, RDBStorage

    run.folder.mkdir(parents=True, exist_ok=True)
    kind = _resolved(kind, run)
    check_storage(kind, run)
    if kind == "journal":
        return JournalStorage(_journal(run))
    url = (
        (f"sqlite:///{run.sqlite}" if kind == "sqlite" else kind).replace("{", "{{").replace("}", "}}")
    )  # optuna fills its version into braces
    return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})  # a connection may break while a trial is trained


def check_storage(kind: str, run: RunPaths) -> None:
    """Raise InputError if the study was begun with another storage."""
    kind = _resolved(kind, run)
    for other, file in (("sqlite", run.sqlite), ("journal", run.journal)):
        if kind != other and file.exists():
            raise InputError(
                f"job_id {run.job_id!r} belongs to a study with storage {other!r} ({file}), now storage is {kind!r}; "
                "choose another job_id, or go back to that storage"
            )


def recorded_url(kind: str, run: RunPaths) -> str:
    """The storage as a record names it: relative to the record's folder, and without a password."""
    kind = _resolved(kind, run)
    if kind == "sqlite":
        return f"sqlite:///{run.sqlite.name}"
    return run.journal.name if kind == "journal" else re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", kind)


def read_study(run: RunPaths, url: str = "") -> "Study | None":
    """The study, only to be read: nothing is written, created or locked. None if there is none (yet).

    Args:
        run: its files.
        url: of a database that the user named. One that does not answer counts as one without the study.

    Raises:
        InputError: the storage is damaged.
    """
    from optuna import load_study
    from optuna.exceptions import StorageInternalError
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    database = partial(RDBStorage, skip_compatibility_check=True, skip_table_creation=True)
    if not run.sqlite.exists() and not run.journal.exists():
        if "://" not in url or url.startswith("sqlite"):
            return None
        try:
            waiting = {"connect_args": {"connect_timeout": 5}}
            return load_study(study_name=run.study_name, storage=database(url, engine_kwargs=waiting))
        except (ImportError, KeyError, StorageInternalError):
            return None
    file = run.sqlite if run.sqlite.exists() else run.journal
    storage: BaseStorage
    try:
        if file == run.sqlite:
            address = f"file:{urllib.parse.quote(str(file.resolve()))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                tables = {name for (name,) in connection.execute("select name from sqlite_master")}
                named = "select 1 from studies where study_name = ?"
                if "studies" not in tables or not connection.execute(named, (run.study_name,)).fetchone():
                    return None
            storage = database(f"sqlite:///{address}&uri=true")
        else:
            storage = JournalStorage(JournalFileBackend(str(file)))
        return load_study(study_name=run.study_name, storage=storage)
    except (sqlite3.Error, ValueError, KeyError) as error:
        advice = "restore it from a copy, or use another job_id"
        raise InputError(f"{file}: not a readable study ({error}); {advice}") from None


def _resolved(kind: str, run: RunPaths) -> str:
    """``auto`` is the file that exists, or SQLite for a new study; for several workers `Settings` has replaced it."""
    if kind != "auto":
        return kind
    return "journal" if run.journal.exists() else "sqlite"


def _journal(run: RunPaths) -> "JournalFileBackend":
    from optuna.storages.journal import JournalFileBackend

    from hpo_lib.records.optuna_trials import JournalLock

    return JournalFileBackend(str(run.journal), lock_obj=JournalLock(run.journal))
