"""Leases: who decides now, and which workers live."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from hpo_lib import stop_requests
from hpo_lib.errors import StudyError, unwritable
from hpo_lib.paths import RunPaths

DURATION = 120.0
"""Seconds without a refresh after which a lease may be taken from its holder. Longer than the 30 s
after which optuna breaks the lock of its journal: a lease must outlive every lock that is taken
under it."""

REFRESH = 5.0
"""Seconds between two refreshes."""

POLL = 0.02
"""Seconds between two attempts to take a lease."""

STOP_PATIENCE = 60.0
"""Seconds for which a process that is asked to stop waits for a lease."""


_SEEN: dict[Path, tuple[tuple[str, int] | None, float]] = {}
"""Lease -> its holder and refresh as this process saw them last, and since when they are so."""


class Lease:
    """A file that says which process holds it; it works between machines that share a folder.

    filelock takes over the lease of a dead or silent holder by exchanging two file names in one
    step. NFS and Lustre refuse that, and there such a lease would be held for ever. `take`
    therefore removes the file of a holder that it has seen silent for longer still. Two contenders
    that do so at once may both take the lease; only one of them is named in the file then, and
    `held` tells the other. The clocks of different machines are never compared.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lease = SoftFileLease(
            file, lease_duration=DURATION, heartbeat_interval=min(REFRESH, DURATION / 4)
        )
        self.patience = 1.5 * DURATION

    @property
    def held(self) -> bool:
        """Whether this process holds it now; ask before each write: it may have been paused."""
        owner = self._lease.owner
        return owner is not None and owner.token == self._lease.token

    def take(self) -> bool:
        """Take the lease if it is free or its holder is dead or silent; never waits.

        Raises:
            WriteError: the folder cannot be written.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # Another version of this project may have leases of another duration.
            with suppress(Timeout, LeaseSettingsMismatch):
                self._lease.acquire(blocking=False)
                return True
            os.utime(self.file.parent)  # on a read-only file system its holder cannot give it up
        except OSError as error:
            raise unwritable(self.file, error) from None
        if self.silence() > self.patience:
            self._lease.break_lock()
        return False

    def silence(self) -> float:
        """For how many seconds this process has seen no sign of its holder."""
        # The clock before the file: a pause of this process between the two is no silence.
        now = time.monotonic()
        refreshed = self.refreshed()
        seen, since = _SEEN.get(self.file, (None, now))
        if refreshed != seen:
            _SEEN[self.file] = refreshed, time.monotonic()
            return 0.0
        return now - since

    def tell(self) -> None:
        """Say who holds it, and how long its holder may be silent yet."""
        owner = self._lease.owner
        who = f"process {owner.pid} on {owner.hostname}" if owner else "a process without a name"
        print(
            f"{self.file} is held by {who}; waiting up to {self.patience - self.silence():.0f} s "
            "to see whether it still runs",
            file=sys.stderr,
        )

    @property
    def seems_held(self) -> bool:
        """Whether its holder seems to live, for those who only look.

        Nothing is taken, written or removed. The holder has to have refreshed the lease recently by
        this machine's clock. Whether its process is dead, filelock says: it takes over a copy of
        the lease then.
        """
        refreshed = self.refreshed()
        if not refreshed or not refreshed[0] or time.time() - refreshed[1] / 1e9 >= DURATION:
            return False
        with tempfile.TemporaryDirectory() as folder, suppress(FileNotFoundError):
            copy = Lease(Path(shutil.copy2(self.file, folder)))
            if not copy.take():
                return True
            copy.release()
        return False

    def refreshed(self) -> tuple[str, int] | None:
        """Its holder's token and when it was refreshed, by the file system; None if it is free."""
        try:
            status = self.file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        owner = self._lease.owner
        return (owner.token if owner else None) or "", status.st_mtime_ns

    def release(self) -> None:
        """Give it up; a lease that another process has taken meanwhile stays theirs."""
        self._lease.release()

    def __enter__(self) -> "Lease":
        begun = time.monotonic()
        told = False
        while not self.take():
            if not told and (told := self.silence() > 2 * REFRESH):
                self.tell()
            if stop_requests.requested() and time.monotonic() - begun > STOP_PATIENCE:
                raise StudyError(
                    f"{self.file}: is held by another process, and a stop was asked for; finished "
                    "trials are kept, run again to go on"
                )
            time.sleep(POLL)
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


class Liveness(Lease):
    """Tells the other workers of a study that this one lives, and this one which others live.

    Args:
        run: the study's files.
        name: number of the worker within the study, as a text.
    """

    def __init__(self, run: RunPaths, name: str) -> None:
        super().__init__(run.worker_lease(name))
        self._run = run
        self.name = name
        # What a trial keeps of its worker.
        self.identity = {"name": name}

    def __enter__(self) -> "Liveness":
        seen = self.refreshed()
        if not self.take():
            self.tell()
            for file in self._run.workers.glob("*.lease"):  # all are silent at once after a crash
                Lease(file).silence()
        while not self.held and not self.take():
            time.sleep(POLL)
            before = seen
            seen = self.refreshed()
            # A new holder may be a worker that looks whether this one lives; only this one
            # refreshes what it holds.
            if before and seen and before[0] == seen[0] and before != seen:
                raise StudyError(
                    f"another process works on this study (it holds {self.file}); wait for it, "
                    "stop it, or choose another job_id"
                )
        return self

    def renew(self) -> None:
        """Live again after a pause in which the others took this worker for dead.

        Raises:
            StudyError: another process has become this worker meanwhile.
        """
        if not self.held:
            self.release()
            self.__enter__()

    def lives(self, worker: Mapping[str, str] | None) -> bool:
        """Whether the worker of a running trial lives.

        Trials left by this worker's earlier run have no owner.
        """
        if worker is None or worker["name"] == self.name:
            return False
        other = Lease(self._run.worker_lease(worker["name"]))
        if not other.take():
            return True
        other.release()
        return False


def somebody_lives(run: RunPaths) -> bool:
    """Whether any worker of a study lives; for those who do not work on it and may not write there.

    It may be wrong where the clocks of machines disagree by minutes. Workers among themselves do
    not rely on it.
    """
    return any(Lease(file).seems_held for file in run.workers.glob("[0-9]*.lease"))
