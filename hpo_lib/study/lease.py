"""A lease: a name that one process holds at a time, and loses when it stops refreshing it."""

import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import SoftFileLease, Timeout
from filelock._identity import owner_is_stale  # what filelock itself asks before it takes a lease over

from hpo_lib.errors import ROOM, WriteError

DURATION = 120.0
"""Seconds without a refresh after which a lease may be taken from its holder. Longer than the 30 s after which optuna
breaks the lock of its journal: a lease must outlive every lock that is taken under it."""

REFRESH = 5.0
"""Seconds between two refreshes."""

POLL = 0.02
"""Seconds between two attempts to take a lease."""


class Lease:
    """A file that says which process holds it; it works between machines that share a folder.

    filelock takes over the lease of a dead or silent holder by exchanging two file names in one step. NFS and Lustre
    refuse that, and there such a lease would be held for ever. `take` therefore removes the file of a holder that it
    has seen silent for longer still. Two contenders that do so at once may both take the lease; only one of them is
    named in the file then, and `held` tells the other. The clocks of different machines are never compared.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lease = SoftFileLease(file, lease_duration=DURATION, heartbeat_interval=min(REFRESH, DURATION / 4))
        self.patience = 1.5 * DURATION
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    @property
    def held(self) -> bool:
        """Whether this process is the holder now; to be asked before each write, since it may have been paused."""
        owner = self._lease.owner
        return owner is not None and owner.token == self._lease.token

    def take(self) -> bool:
        """Take the lease if it is free or its holder is dead or silent; never waits.

        Raises:
            WriteError: the folder cannot be written.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with suppress(Timeout):
                self._lease.acquire(blocking=False)
                return True
        except OSError as error:
            raise WriteError(f"{self.file}: cannot be written ({error.strerror or error}); {ROOM}") from None
        if (refreshed := self.refreshed()) != self._seen:
            self._seen, self._since = refreshed, time.monotonic()
        elif time.monotonic() - self._since > self.patience:
            self._lease.break_lock()
        return False

    @property
    def lives(self) -> bool:
        """Whether its holder seems to live, for those who only look: nothing is taken, written or removed.

        A holder on another machine lives if it refreshed the lease recently by this machine's clock.
        """
        owner, refreshed = self._lease.owner, self.refreshed()
        if owner is None or refreshed is None or time.time() - refreshed[1] / 1e9 >= DURATION:
            return False
        return not owner_is_stale(owner.pid, owner.hostname, owner.start)

    def refreshed(self) -> tuple[str, int] | None:
        """Its holder's token and when it was refreshed, by the clock of the file system; None where nobody holds it."""
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
        while not self.take():
            time.sleep(POLL)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
