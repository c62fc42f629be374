"""A stored study (JSON, storage and forecasts) as one object, and which studies there are."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_lib import paths
from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.errors import Damage, InputError, choices
from hpo_lib.families.search_space import Dimension
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import somebody_lives
from hpo_lib.records.read_write import Json, load_predictions, of_all_workers, read_record
from hpo_lib.records.result import listed_trials, load_result, objectives_of
from hpo_lib.records.trial import PROVEN, TrialRecord, Trials, default_trial, pareto_front
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import ReadableUnit, mae_in_words, readable_unit
from hpo_lib.scoring.objectives import Objective

if TYPE_CHECKING:
    from hpo_lib.records.storage import Stored


TELLING_TRIALS = 15
"""Of fewer complete trials importance is noise."""


@dataclass(frozen=True)
class StoredStudy:
    """A study as its files have it.

    Storage and forecasts are read when they are first asked for, and never changed.

    Attributes:
        run: where its files are.
        result: its best_params JSON with today's keys; empty while no trial is complete.
        file: the JSON, which old studies have in another folder.
        database: URL of a database that the user named. It is read if the record names it too:
            what only a file names is never connected to.
    """

    run: RunPaths
    result: Json
    file: Path
    database: str = ""

    @classmethod
    def read(cls, run: RunPaths, *, database: str = "") -> "StoredStudy":
        """The study of these paths, whether or not it has a JSON yet.

        Raises:
            InputError: the JSON is damaged.
        """
        result = load_result(run.best_params) if run.best_params.exists() else {}
        return cls(run, result, run.best_params, database)

    @classmethod
    def of_file(cls, file: Path, runs_dir: Path | None = None) -> "StoredStudy":
        """The study of a best_params JSON of any schema; ``runs_dir``: by default two folders up.

        Raises:
            InputError: the JSON is missing or damaged.
        """
        result = load_result(file)
        names = result["model"], result["dataset"], result["job_id"] or ""
        return cls(RunPaths(runs_dir or file.parent.parent, *names), result, file)

    @property
    def model(self) -> str:
        return self.run.model

    @property
    def dataset(self) -> str:
        return self.run.dataset

    @property
    def label(self) -> str:
        """One line for a list of studies."""
        return (
            f"{self.model} on {self.dataset}, {self.run.job_id}: "
            f"{mae_in_words(self.result['best_mae'], self.unit)}, "
            f"PICP {self.result['best_picp']:.1f} %{mark_of(self.source)}"
        )

    @property
    def provenance(self) -> Json:
        """Data, code, packages and device; empty in files of schema 1."""
        return self.result.get("provenance") or {}

    @property
    def data(self) -> Json:
        return self.provenance.get("data") or {}

    @property
    def unit(self) -> str:
        return str(self.data.get("unit", ""))

    @cached_property
    def readable(self) -> ReadableUnit:
        """The unit in which its scores are read best."""
        return readable_unit(self.unit, self.chosen.mae)

    @property
    def source(self) -> str:  # as `Dataset.source`, or unknown
        return str(self.data.get("source", "unknown"))

    @property
    def is_simulated(self) -> bool:
        return self.source.startswith("simulated")

    @property
    def is_test(self) -> bool:
        """Whether the study had the test budget, which only tests that everything works."""
        return (self.provenance.get("preset") or self.identity.get("preset")) == "test"

    @property
    def is_complete(self) -> bool:
        """Whether its record says so; a record of the original HPO plan does not."""
        return self.result.get("status") == "complete"

    def doubts(self, *, test: bool, simulated: bool) -> Iterator[str]:
        """Why its choice does not count for the test preset (or another), for twins (or real data).

        A study of the test preset counts for that preset alone, one on simulated data for those.
        """
        if not self.is_complete:
            yield "its study is not complete"
        if self.is_simulated and not simulated:
            yield "its study was made on simulated data, here they are real"
        if self.is_test and not test:
            yield "its study has the test preset, which only shows that everything works"

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """What the study minimises, with its own tolerances, in the order of its values.

        Raises:
            InputError: an objective that this version does not know.
        """
        if self.result:
            return objectives_of(self.result["objectives"], self.file)
        names = self.identity.get("objectives") or ()
        return objectives_of([{"name": name} for name in names], self.file)

    @cached_property
    def optuna_study(self) -> "Stored | None":
        """The study in its storage, to be read only; None if the storage is not among the files.

        Raises:
            InputError: the storage is damaged.
        """
        from hpo_lib.records.storage import Storage  # loads optuna

        recorded = self.result.get("storage_path") or self.database
        return Storage(self.run, self.database if recorded == self.database else "").read()

    @cached_property
    def has_storage(self) -> bool:
        return self.optuna_study is not None

    @property
    def storage(self) -> str:
        """For optuna-dashboard: the URL of the SQLite file or database, or the journal's path."""
        if self.run.sqlite.exists():
            return f"sqlite:///{self.run.sqlite}"
        return str(
            self.run.journal if self.run.journal.exists() else self.result.get("storage_path") or ""
        )

    @cached_property
    def trials(self) -> Trials:
        """All trials by number; without the storage those in the JSON: defaults, front, choice.

        Raises:
            InputError: the storage is damaged.
        """
        if not self.optuna_study:
            trials = {trial.number: trial for trial in listed_trials(self.result)}
            return tuple(trials[number] for number in sorted(trials))
        from hpo_lib.records.storage import trial_records

        stored = trial_records(self.optuna_study, self.objectives, self.run.study_name)
        number = self.result.get("best_trial_number")
        complete = [trial.number for trial in stored if trial.complete]
        if number is not None and number not in complete:
            raise InputError(
                f"{self.file}: best_trial_number is {number}, no complete trial of {self.storage}"
            )
        return stored

    @cached_property
    def search_space(self) -> Mapping[str, Dimension]:
        """Hyperparameter -> the values that its trials could draw; empty without the storage."""
        from hpo_lib.records.storage import dimension

        return {
            name: dimension(distribution)
            for trial in (self.optuna_study.trials if self.optuna_study else ())
            for name, distribution in trial.distributions.items()
        }

    @property
    def complete(self) -> Trials:
        return [trial for trial in self.trials if trial.complete]

    @cached_property
    def viewable(self) -> Trials:
        """Complete trials whose forecasts are stored, by ascending MAE."""
        return sorted(
            (t for t in self.complete if self.run.trial_predictions(t.number).exists()),
            key=lambda trial: (trial.mae, trial.picp_penalty, trial.number),
        )

    @cached_property
    def front(self) -> Trials:
        """The Pareto front, by ascending value of the first objective."""
        return pareto_front(self.trials, self.objectives)

    @property
    def chosen(self) -> TrialRecord:
        return self.trial(self.result["best_trial_number"])

    @property
    def default(self) -> TrialRecord:
        """The trial of the untuned defaults."""
        return default_trial(self.trials)

    @property
    def asked(self) -> int:
        """How many finished trials the study should have."""
        return int(self._attributes.get("trials_asked") or self.result.get("n_trials") or 0)

    @property
    def settled(self) -> Json | None:
        """With how many trials, and by what it settled; None if it did not."""
        return (self._attributes if self.has_storage else self.result).get("settled")

    @property
    def settled_line(self) -> str:
        """In numbers why a study settled, and what it chose; empty if it did not."""
        if not (settled := self.settled) or not self.result:
            return ""
        change = settled["change"]
        more = settled["asked"] - settled["trials"]
        chosen = (
            "untuned defaults" if self.chosen == self.default else f"trial {self.chosen.number}"
        )
        return (
            f"Settled after {settled['trials']} of {settled['asked']} trials: the best was "
            f"{abs(change):.1f} % {'better' if change <= 0 else 'worse'} than the untuned defaults "
            f"on {settled['days']} validation days, seeds alone move {settled['seed_change']:.1f} "
            f"%; another {more} trials were expected to gain less than "
            f"{math.ceil(10 * settled['gain'] + 1e-9) / 10:.1f} %, and no proof tells "
            f"{settled['luck']:.1f} % from luck. Choice: {chosen}."
        )

    @property
    def ends_with(self) -> int:
        """So many finished trials it ends with, unless it is asked to go on after it settled."""
        return min(self.asked, self.settled["trials"]) if self.settled else self.asked

    @property
    def finished(self) -> int:
        if self.has_storage:
            return sum(trial.finished for trial in self.trials)
        return sum(self.result.get(key) or 0 for key in ("n_completed", "n_failed", "n_pruned"))

    @property
    def lacks_proof(self) -> bool:
        """Whether its policy asks for a proof that its record does not hold (yet)."""
        selection = self.result.get("selection") or {}
        return selection.get("policy") == PROVEN and not self.result["proof"]

    @property
    def scores(self) -> tuple[float | None, float | None]:
        """MAE and PICP in percent of the choice or, without a record, of the lowest MAE."""
        if self.front and not self.result:
            lowest = min(self.front, key=lambda trial: trial.mae)
            return lowest.mae, lowest.scores.get("picp")
        return self.result.get("best_mae"), self.result.get("best_picp")

    def state(self) -> tuple[str, str]:
        """``running``, ``done``, ``failed``, ``interrupted`` or ``corrupt``, and why, by its files.

        What Slurm knows of its jobs is added by `hpo_lib.launch.status`.
        """
        try:
            _ = self.front  # now, so that whatever is damaged is found here
        except InputError as error:
            return "corrupt", str(error)
        if somebody_lives(self.run):
            return "running", ""
        if self.finished >= self.ends_with > 0 and not self.lacks_proof:
            return "done", ""
        ended = [trial for trial in self.trials if trial.finished]
        if ended and all(trial.state == "failed" for trial in ended):
            return "failed", ended[-1].cause
        records = [
            read_record(worker.notebook)
            for worker in of_all_workers(self.run)
            if worker.notebook.exists()
        ]
        for record in sorted(records, key=lambda record: record.complete):
            if record.error and "before the study stopped" not in record.error:
                return "failed" if record.complete else "interrupted", record.error
        if self.result.get("status") == "stopped" or all(record.complete for record in records):
            return "interrupted", "it was asked to stop, or its time was up"
        return "interrupted", "its process was killed"

    def trial(self, number: int) -> TrialRecord:
        return next(trial for trial in self.trials if trial.number == number)

    @cached_property
    def predictions(self) -> Callable[[int], QuantileForecasts]:
        """Number of a complete trial -> its validation forecasts, as they were scored; read once.

        Raises:
            InputError: the file is missing, unreadable or incomplete.
        """
        return cache(lambda number: load_predictions(self.run.trial_predictions(number)))

    @property
    def files(self) -> list[Path]:
        """The records behind a figure of this study."""
        kept = (self.run.sqlite, self.run.journal) if self.has_storage else ()
        return [self.file, *filter(Path.exists, kept)]

    @property
    def identity(self) -> Json:
        """What the study was begun with, by its storage: data, seed, budget and so on."""
        return self._attributes.get("identity") or {}

    @property
    def _attributes(self) -> Json:
        return self.optuna_study.user_attrs if self.optuna_study else {}


def study_runs(runs_dir: Path) -> list[RunPaths]:
    """Every study that left a storage, notebook or JSON below a folder, by folder and job id."""
    studies = set[tuple[Any, ...]]()
    for file in runs_dir.glob("*/*"):
        names = _STUDY_FILE.fullmatch(f"{file.parent.name}/{file.name}")
        if names and ".attempt-" not in names["job_id"]:
            studies.add(names.groups())
    return [RunPaths(runs_dir, *names) for names in sorted(studies)]


_STUDY_FILE = re.compile(
    r"(?P<model>[A-Z0-9_]+?_Q)_(?P<dataset>.+)/(?:best_params|study|hpo)_(?P=model)_(?P=dataset)"
    rf"_(?P<job_id>{paths.NAME}?)(?:\.worker-\d+)?\.[a-z]+"
)


StudiesAndNotes = tuple[list[StoredStudy], list[str]]


def read_studies(runs_dir: Path) -> StudiesAndNotes:
    """Every study with a best_params JSON of any schema, and a `Damage` per unreadable one.

    Storages are not read yet.
    """
    studies = list[StoredStudy]()
    notes = list[str]()
    for file in paths.best_params_files(runs_dir):
        try:
            studies.append(StoredStudy.of_file(file, runs_dir))
        except InputError as error:
            notes.append(Damage(f"Passed over {error}."))
    return studies, notes


def newest_first(studies: Iterable[StoredStudy]) -> list[StoredStudy]:
    """Studies with a record, the one that counts first.

    Complete ones come before others, today's records before those of the original HPO plan, and
    then the newest.
    """
    return sorted(
        studies,
        key=lambda study: (
            study.is_complete,
            study.result["schema_version"],
            study.result["optimization_date"] or "",
            study.file.name,
        ),
        reverse=True,
    )


def last_written(run: RunPaths) -> int:
    """When one of a study's files was last written, for those without a record, too."""
    return max(map(paths.written, (run.best_params, run.sqlite, run.journal, run.notebook)))


def records_folder(runs_dir: str | Path) -> Path:
    """The folder of the studies' records; for an empty text that of the project."""
    return Path(runs_dir or paths.RUNS_DIR).expanduser()


def named_study(name: str, runs_dir: str, database: str = "") -> StoredStudy:
    """A study by its job id, name or best_params JSON, or the newest one in a folder.

    ``runs_dir`` as in `records_folder`, ``database`` as in `StoredStudy`.

    Raises:
        InputError: there is no such study, or there are several; its JSON is damaged.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return StoredStudy.of_file(path)
    folder = path.resolve().parent if path.is_dir() else records_folder(runs_dir)
    runs = study_runs(folder)
    stem = path.name.removeprefix("best_params_").removesuffix(".json")
    named = [run for run in runs if stem in (run.job_id, run.study_name, run.folder.name)]
    if not named:
        known = choices(stem, [run.study_name for run in runs])
        raise InputError(
            f"{folder}: holds no study {name!r}; name a study, its job id, JSON or folder; {known}"
        )
    if len({run.folder for run in named}) > 1:
        names = ", ".join(run.study_name for run in named)
        raise InputError(f"study {name!r} is one of several; give one of {names}")
    return StoredStudy.read(max(named, key=last_written), database=database)
