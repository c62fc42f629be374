"""Where a study lives, and who may work on it."""

import re
import sqlite3
import urllib.parse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from hpo_lib.errors import InputError, StudyError
from hpo_lib.paths import RunPaths

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study


def open_storage(kind: str, run: RunPaths) -> "BaseStorage":
    """The storage that the setting ``storage`` names: a SQLite file, a journal file, or a database URL."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    run.folder.mkdir(parents=True, exist_ok=True)
    for other, file in (("sqlite", run.sqlite), ("journal", run.journal)):
        if kind != other and file.exists():
            raise InputError(
                f"job_id {run.job_id!r} belongs to a study with storage {other!r} ({file}), now storage is {kind!r}; "
                "choose another job_id, or go back to that storage"
            )
    if kind == "journal":
        return JournalStorage(JournalFileBackend(str(run.journal)))
    return RDBStorage(storage_url(kind, run))


def storage_url(kind: str, run: RunPaths) -> str:
    """What the record says and ``optuna-dashboard`` takes: a URL, or the path of the journal file."""
    if kind == "sqlite":
        return f"sqlite:///{run.sqlite}"
    return str(run.journal) if kind == "journal" else kind


def recorded_url(kind: str, run: RunPaths) -> str:
    """The storage as a record names it: relative to the record's own folder, and without a password."""
    if kind == "sqlite":
        return f"sqlite:///{run.sqlite.name}"
    return run.journal.name if kind == "journal" else re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", kind)


def read_study(run: RunPaths) -> "Study | None":
    """The study for reading alone: nothing is written, created or locked. None where there is none (yet).

    Raises:
        InputError: the storage is damaged.
    """
    import optuna

    if not run.sqlite.exists() and not run.journal.exists():
        return None
    file = run.sqlite if run.sqlite.exists() else run.journal
    storage: BaseStorage
    try:
        if file == run.sqlite:
            address = f"file:{urllib.parse.quote(str(file.resolve()))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as database:
                if not database.execute(_STUDY_BEGUN, ("studies",)).fetchone()[0]:
                    return None
                if not database.execute("select 1 from studies where study_name = ?", (run.study_name,)).fetchone():
                    return None
            url = f"sqlite:///{address}&uri=true"
            storage = optuna.storages.RDBStorage(url, skip_compatibility_check=True, skip_table_creation=True)
        else:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
        return optuna.load_study(study_name=run.study_name, storage=storage)
    except (sqlite3.Error, ValueError, KeyError) as error:
        raise InputError(f"{file}: not a readable study ({error}); restore it from a copy, or begin anew") from None


_STUDY_BEGUN = "select count(*) from sqlite_master where type = 'table' and name = ?"


def check_identity(begun_with: Mapping[str, Any], identity: Mapping[str, Any], job_id: str) -> None:
    """Raise InputError unless a study is the one that was begun: the settings that its results depend on are equal."""
    for key, value in identity.items():
        if begun_with.get(key) != value:
            raise InputError(
                f"job_id {job_id!r} belongs to a study with {key} {begun_with.get(key)!r}, now it is {value!r}; "
                f"results of different settings are not mixed: choose another job_id, or go back to that {key}"
            )


class StudyLock:
    """Held while a worker runs; ends with the process however that dies, so a held lock means a living worker."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path)
        self._path = path

    def __enter__(self) -> "StudyLock":
        try:
            self._lock.acquire(timeout=1)  # `is_held` takes it for a moment
        except Timeout:
            raise StudyError(
                f"another process works on this study (it holds {self._path}); wait for it, stop it, "
                "or choose another job_id"
            ) from None
        return self

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether a process of this machine works on the study."""
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0, is_singleton=False):
                return False
        except Timeout:
            return True

    def __exit__(self, *exception: object) -> None:
        self._lock.release()
