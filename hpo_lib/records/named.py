"""The study that a user names on the command line."""

from pathlib import Path

from hpo_lib.errors import InputError, choices
from hpo_lib.records.study import StoredStudy, records_folder, study_runs


def named_study(name: str, runs_dir: str = "", database: str = "") -> StoredStudy:
    """A study by its job id, its name, its best_params JSON, or its folder, of which the newest is taken.

    ``runs_dir`` and ``database`` as in `find` and `StoredStudy`.

    Raises:
        InputError: there is no such study, or there are several; its JSON is damaged.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return StoredStudy.of_file(path)
    folder = path.resolve().parent if path.is_dir() else records_folder(runs_dir)
    runs, stem = study_runs(folder), path.name.removeprefix("best_params_").removesuffix(".json")
    found = [run for run in runs if stem in (run.job_id, run.study_name, run.folder.name)]
    if not found:
        known = choices(stem, [run.study_name for run in runs])
        raise InputError(f"{folder}: holds no study {name!r}; name a study, its job id, JSON or folder; {known}")
    if len({run.folder for run in found}) > 1:
        raise InputError(f"study {name!r} is one of several; give one of {', '.join(run.study_name for run in found)}")
    files = {run: [file for file in (run.best_params, run.sqlite, run.journal) if file.exists()] for run in found}
    newest = max(found, key=lambda run: max((file.stat().st_mtime for file in files[run]), default=0.0))
    return StoredStudy.read(newest, database=database)
