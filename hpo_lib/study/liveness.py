"""Which workers of a study live: each holds a lease in a hidden folder beside the study's record."""

import platform
import sys
import time
from collections.abc import Mapping

from hpo_lib.errors import StudyError
from hpo_lib.paths import RunPaths
from hpo_lib.study import lease
from hpo_lib.study.lease import Lease


class Liveness:
    """Tells the other workers of a study that this one lives, and tells this one which of the others live.

    Args:
        run: the study's files.
        name: of the worker within the study, ``1`` or, for a process that worker 1 has started, ``1.2``.
    """

    def __init__(self, run: RunPaths, name: str) -> None:
        self._run, self.name = run, name
        self.identity = {"name": name, "machine": platform.node()}  # what a trial keeps of its worker
        self._lease = Lease(run.worker_lease(name))
        self._others: dict[str, Lease] = {}

    def __enter__(self) -> "Liveness":
        seen = self._lease.refreshed()
        if not self._lease.take():
            wait = f"waiting up to {self._lease.patience:.0f} s to see whether it still runs"
            print(f"Worker {self.name} of this study has not ended in order; {wait}", file=sys.stderr)
        while not self._lease.held and not self._lease.take():
            time.sleep(lease.POLL)
            before, seen = seen, self._lease.refreshed()
            # A new holder may be a worker that looks whether this one lives; only this one refreshes what it holds.
            if before and seen and before[0] == seen[0] and before != seen:
                raise StudyError(
                    f"another process works on this study (it holds {self._lease.file}); wait for it, stop it, or "
                    "choose another job_id"
                )
        return self

    def __exit__(self, *exception: object) -> None:
        self._lease.release()

    def renew(self) -> None:
        """Live again after a pause in which the others took this worker for dead.

        Raises:
            StudyError: another process has become this worker meanwhile.
        """
        if not self._lease.held:
            self._lease.release()
            self.__enter__()

    def lives(self, worker: Mapping[str, str] | None) -> bool:
        """Whether the worker of a running trial lives.

        Trials left by this worker's earlier run, or by its child processes, have no owner.
        """
        if worker is None or f"{worker['name']}.".startswith(f"{self.name}."):
            return False
        other = self._others.setdefault(worker["name"], Lease(self._run.worker_lease(worker["name"])))
        dead = other.take()
        if dead:
            other.release()
        return not dead


def somebody_lives(run: RunPaths) -> bool:
    """Whether any worker of a study lives; for those who do not work on it and may not write there.

    It may be wrong where the clocks of machines disagree by minutes. Workers among themselves do not rely on it.
    """
    return any(Lease(file).lives for file in run.worker_leases())
