"""What papermill lacks for records that are always complete: a kernel that outlives signals, and files that are whole.

A cluster that ends a job signals every process of it, some more than once. The study listens while it trains; before
and after that, when the notebook loads data or draws figures, the kernel would die of the same signal.
"""

import os
import signal
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from papermill.iorw import LocalHandler

from hpo_lib.paths import atomic
from hpo_lib.stop_requests import SIGNALS


class SteadfastKernel(AsyncKernelManager):
    """Starts a kernel that ignores the signals which papermill hands on to it anyway, see `interrupts.relaying`."""

    async def start_kernel(self, **popen: Any) -> None:  # type: ignore[override]
        """Start it; what is ignored as a program begins stays ignored until that sets a handler of its own."""
        if os.name == "posix":
            popen["preexec_fn"] = _ignore
        await super().start_kernel(**popen)


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class WholeFiles(LocalHandler):  # type: ignore[misc]
    """Writes the record atomically: a reader never sees half of it while it grows."""

    def write(self, buf: str, path: str) -> None:
        """Write the notebook ``buf`` to the absolute ``path``."""
        with atomic(Path(path)) as temporary:
            super().write(buf, str(temporary))
