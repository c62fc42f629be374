"""Headless execution of notebooks with papermill: parameters checked first, records named and never overwritten."""

import sys
from pathlib import Path

from hpo_lib import paths
from hpo_lib.data.load import load_dataset
from hpo_lib.data.registry import load_spec
from hpo_lib.errors import HpoError, InputError, StudyError
from hpo_lib.families import family_names
from hpo_lib.families.base import unknown_family
from hpo_lib.paths import RunPaths
from hpo_lib.settings import Settings


def check(settings: Settings) -> RunPaths:
    """Check model, dataset and data before anything is started or submitted, and say where the record will lie.

    Raises:
        InputError: what the study itself would stop at.
    """
    if settings.model not in family_names():
        raise unknown_family(settings.model)
    spec = load_spec(settings.dataset)
    load_dataset(spec, settings.data_dir)
    return RunPaths(settings.runs_dir, settings.model, spec.name, settings.job_id)


def run_notebook(settings: Settings, notebook: Path = paths.HPO_NOTEBOOK) -> Path:
    """Execute the study notebook and keep it as the record; the record of an earlier attempt is kept beside it.

    Returns:
        The executed notebook.

    Raises:
        InputError, StudyError: as the study raises them; any other error in the notebook becomes a StudyError.
    """
    run = check(settings)
    import papermill  # slow, and not needed for settings that are wrong
    from papermill.exceptions import PapermillExecutionError

    run.folder.mkdir(parents=True, exist_ok=True)
    _keep_earlier(run)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(run.notebook),
            parameters=settings.parameters(),
            cwd=str(paths.PROJECT_ROOT),
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            progress_bar=False,
            extra_arguments=["--log-level=CRITICAL"],  # its own port and an interrupt are no news to the user
        )
    except PapermillExecutionError as error:
        raise _same_error(error.ename, error.evalue, run.notebook) from None
    return run.notebook


def _keep_earlier(run: RunPaths) -> None:
    """Move the record of an earlier attempt aside under the next free attempt number."""
    if not run.notebook.exists():
        return
    attempt = 1
    while run.attempt_notebook(attempt).exists():
        attempt += 1
    run.notebook.rename(run.attempt_notebook(attempt))


def _same_error(name: str, message: str, record: Path) -> HpoError:
    if name == InputError.__name__:
        return InputError(message)
    if name == StudyError.__name__:
        return StudyError(message)
    return StudyError(f"the notebook stopped with {name}: {message}; the cell is marked in {record}")
