"""What killed processes leave behind: unfinished files, forecasts of trials that never ended,
leases of the dead.
"""

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from hpo_lib.paths import RunPaths
from hpo_lib.records.trial import TrialRecord

_UNFINISHED = re.compile(
    r"\..+\.[a-z0-9_]{8}\.tmp(\.\w+)?|.+\.lease\.(break|restore)\.\d+\.[0-9a-f]{32}|.+\.journal\.lock.{36}\.rename"
)
"""Names that files have while `atomic` writes them, filelock takes over a lease, or optuna drops a
lock.
"""

HOUR = 3600
"""No file is written for so many seconds."""


def predicted_trials(run: RunPaths) -> list[int]:
    """The trials of a study whose predictions are stored."""
    found = (
        re.fullmatch(r"trial_(\d{4,})\.parquet", file.name)
        for file in run.predictions.glob("trial_*.parquet")
    )
    return sorted(int(name[1]) for name in found if name)


def of_study(run: RunPaths, trials: Sequence[TrialRecord]) -> list[Path]:
    """What the workers of a study left, provided that none of them lives; without notebooks, which
    papermill writes.
    """
    own = (run.best_params, run.pareto_front, run.mae_history, run.param_importance, run.report)
    beside = [file for one in own for file in run.folder.glob(f".{one.name}.*")]
    beside += run.folder.glob(f"{run.journal.name}.lock?*")
    inside = [
        file
        for folder in (run.predictions, run.workers)
        if folder.is_dir()
        for file in folder.iterdir()
    ]
    complete = {trial.number for trial in trials if trial.state == "complete"}
    orphans = [
        run.trial_predictions(number) for number in predicted_trials(run) if number not in complete
    ]
    return [*(file for file in (*beside, *inside) if _UNFINISHED.fullmatch(file.name)), *orphans]


def of_notebook(run: RunPaths) -> list[Path]:
    """What papermill left of a worker's notebook, provided that it does not run."""
    return [
        file
        for file in run.folder.glob(f".{run.notebook.name}.*")
        if _UNFINISHED.fullmatch(file.name)
    ]


def unfinished(folder: Path) -> list[Path]:
    """Every unfinished file below a folder that has not been written for an hour."""
    found = [file for file in folder.rglob("*") if _UNFINISHED.fullmatch(file.name)]
    return sorted(file for file in found if time.time() - file.lstat().st_mtime > HOUR)


def remove(files: Iterable[Path]) -> None:
    """Remove files; one that is gone already is fine."""
    for file in files:
        file.unlink(missing_ok=True)
