"""Executed notebooks as records: whether one is complete, and which error ended it.

papermill leaves a notebook behind whatever happens. One whose papermill was killed has no
``end_time``; one whose kernel died has an ``end_time`` and no exception, but a cell that never
ended. Neither is a complete record.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import read_json


@dataclass(frozen=True)
class Record:
    """How an executed notebook ended.

    Attributes:
        complete: papermill came to its end: the last cell or an error.
        error: ``name: message`` of the error that ended it; why it cannot be read; or empty.
    """

    complete: bool
    error: str = ""


def read_record(path: Path) -> Record:
    """Read whether and how a notebook ended.

    A file that is no notebook was cut off while it was being written.
    """
    try:
        notebook = read_json(path, "a notebook")
        run = notebook["metadata"].get("papermill", {})
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        if not run.get("end_time"):
            return Record(complete=False)
        if run.get("exception"):
            outputs = (output for cell in cells for output in cell.get("outputs", []))
            for output in outputs:
                if output.get("output_type") == "error":
                    return Record(True, f"{output.get('ename')}: {output.get('evalue')}")
            return Record(True, "an error that the notebook does not show")
        # papermill calls every cell "completed" if the kernel died, so only the kernel's own count
        # tells.
        return Record(
            complete=all(
                cell.get("execution_count") is not None for cell in cells if cell["source"]
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error).removeprefix(f"{path}: ")
        return Record(
            False, f"{path}: not a readable notebook ({why}); the study can be run again beside it"
        )


def attempts(run: RunPaths) -> list[Path]:
    """The executed notebooks of a study, one per attempt, oldest first."""
    earlier: list[Path] = []
    while (path := run.attempt_notebook(len(earlier) + 1)).exists():
        earlier.append(path)
    return [*earlier, *([run.notebook] if run.notebook.exists() else [])]


def of_all_workers(run: RunPaths) -> list[RunPaths]:
    """The paths of each worker that has left an executed notebook; always of worker 1."""
    notebooks = run.folder.glob(f"{run.notebook.stem}.worker-*.ipynb")
    words = [file.stem.rpartition(".worker-")[2] for file in notebooks]
    numbers = {1, *(int(word) for word in words if word.isdecimal())}
    return [replace(run, worker=number) for number in sorted(numbers)]
