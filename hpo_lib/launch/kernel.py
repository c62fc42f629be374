"""Two additions to papermill that keep records complete.

A kernel that survives signals: a cluster that ends a job signals every process of it, some more
than once. While the study trains, it handles these signals; before and after that, when the
notebook loads data or draws figures, they would kill the kernel. And a writer of whole files.
"""

import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_client.manager import AsyncKernelManager
from papermill.iorw import LocalHandler

from hpo_lib.paths import DOCS_DIR, atomic
from hpo_lib.stop_requests import SIGNALS, STOP_FILE


class SignalProofKernel(AsyncKernelManager):
    """Starts a kernel that ignores signals; requests to stop come as a file: `stop_requests`."""

    async def start_kernel(self, **popen: Any) -> None:  # type: ignore[override]
        """Start it. A signal ignored at the start stays ignored until the program handles it."""
        # The connection file is beside it, not in the user's folder, if papermill is killed.
        if STOP_FILE in os.environ:
            self.connection_file = str(Path(os.environ[STOP_FILE]).with_suffix(".json"))
        if os.name == "posix":
            popen["preexec_fn"] = _ignore
        await super().start_kernel(**popen)


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class AtomicFiles(LocalHandler):  # type: ignore[misc]
    """Writes the growing record so that a reader never sees half of it."""

    def write(self, buf: str, path: str) -> None:
        """Write the notebook ``buf`` to the absolute ``path``; its links open the documents."""
        docs = quote(os.path.relpath(DOCS_DIR, Path(path).parent))
        with atomic(Path(path)) as temporary:
            super().write(buf.replace("](../docs/", f"]({docs}/"), str(temporary))
