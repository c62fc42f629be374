"""Where a study lives, and who may work on it."""

from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from hpo_lib.errors import InputError, StudyError
from hpo_lib.paths import RunPaths

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


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


class StudyLock:
    """Held while a worker runs; ends with the process however that dies, so a held lock means a living worker."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path)
        self._path = path

    def __enter__(self) -> "StudyLock":
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise StudyError(
                f"another process works on this study (it holds {self._path}); wait for it, stop it, "
                "or choose another job_id"
            ) from None
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()
