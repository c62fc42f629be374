"""Run the study notebook through papermill; records are named and never overwritten.

papermill gets two additions that keep records complete. A kernel that survives signals: a cluster
that ends a job signals every process of it, some more than once. While the study trains, it handles
these signals; before and after that, when the notebook loads data or draws figures, they would kill
the kernel. And a writer of whole files.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io

from hpo_lib import paths, stop_requests
from hpo_lib.errors import InputError, StudyError, WriteError
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import Liveness
from hpo_lib.records.read_write import attempts, read_record
from hpo_lib.settings import Settings
from hpo_lib.study.workers import KERNEL_KILLED, run_workers


def run_notebook(settings: Settings, run: RunPaths) -> None:
    """Execute the study notebook as the record; the record of an earlier attempt is kept beside it.

    Several workers execute it once each. Settings and files are as `hpo_lib.launch.doctor.checked`
    returns them, so that a wrong one is told before papermill is loaded.

    Raises:
        InputError, StudyError, WriteError: as the study raises them. Any other error in the
            notebook becomes a StudyError, and so does the death of its kernel.
    """
    if settings.workers > 1:
        run_workers(settings, run, print)
        return
    record = str(run.notebook.resolve())
    papermill_io.register(record, AtomicFiles())
    try:
        # The kernel has a lease of its own, but only while the study runs.
        with Liveness(run, f"notebook_{run.worker}"), stop_requests.relaying():
            with Liveness(run, str(run.worker)):
                if run.notebook.exists():  # the record of an earlier attempt
                    earlier = run.attempt_notebook(len(attempts(run)))
                    run.notebook.rename(earlier)
                    if not read_record(earlier).complete:
                        print(
                            "The previous attempt was cut off; its incomplete record is kept as "
                            f"{earlier}"
                        )
            papermill.execute_notebook(
                str(paths.HPO_NOTEBOOK),
                # papermill fills parameters into braces
                record.replace("{", "{{").replace("}", "}}"),
                parameters=settings.parameters(),
                cwd=str(paths.PROJECT_ROOT),
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
                progress_bar=False,
                kernel_manager_class=SignalProofKernel,
                # The kernel's port and an interrupt do not interest the user.
                extra_arguments=["--log-level=CRITICAL"],
            )
    except PapermillExecutionError as error:
        for kind in (InputError, StudyError, WriteError):
            if error.ename == kind.__name__:
                raise kind(error.evalue) from None
        raise StudyError(
            f"the notebook stopped with {error.ename}: {error.evalue}; the cell is marked in "
            f"{run.notebook}"
        ) from None
    except DeadKernelError:
        raise StudyError(
            f"{KERNEL_KILLED}, perhaps for lack of memory, and {run.notebook} is incomplete; "
            f"finished trials are kept, run again under job_id {settings.job_id!r} to continue"
        ) from None


class SignalProofKernel(AsyncKernelManager):
    """Starts a kernel that ignores signals; requests to stop come as a file: `stop_requests`."""

    async def start_kernel(self, **popen: Any) -> None:  # type: ignore[override]
        """Start it. A signal ignored at the start stays ignored until the program handles it."""
        # The connection file is beside it, not in the user's folder, if papermill is killed.
        if file := os.environ.get(stop_requests.STOP_FILE):
            self.connection_file = str(Path(file).with_suffix(".json"))
        if os.name == "posix":
            popen["preexec_fn"] = _ignore
        await super().start_kernel(**popen)


def _ignore() -> None:
    for number in stop_requests.SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class AtomicFiles(LocalHandler):  # type: ignore[misc]
    """Writes the growing record so that a reader never sees half of it."""

    def write(self, buf: str, path: str) -> None:
        """Write the notebook ``buf`` to the absolute ``path``; its links open the documents."""
        docs = quote(os.path.relpath(paths.DOCS_DIR, Path(path).parent))
        with paths.atomic(Path(path)) as temporary:
            super().write(buf.replace("](../docs/", f"]({docs}/"), str(temporary))
