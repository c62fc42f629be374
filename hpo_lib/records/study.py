"""A stored study: its JSON, its storage and its forecasts, read by one class."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.search_space import Dimension
from hpo_lib.paths import RunPaths
from hpo_lib.records.files import load_predictions
from hpo_lib.records.storage import read_study
from hpo_lib.records.trial import TrialRecord, default_trial, pareto_front
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.settings import Settings

if TYPE_CHECKING:
    import optuna

from dataclasses import field

from hpo_lib import paths
from hpo_lib.errors import InputError
from hpo_lib.records.result import load_result
from hpo_lib.scoring import metrics


@dataclass(frozen=True)
class StoredStudy:
    """A study as its files have it; trials and forecasts are read when they are first asked for."""

    run: RunPaths
    result: dict[str, Any]
    _read: dict[int, QuantileForecasts] = field(default_factory=dict, repr=False, compare=False)

    @property
    def label(self) -> str:
        """What a list of studies shows."""
        mark = ", simulated data" if self.source == "simulated" else ""
        scores = f"MAE {self.result['best_mae']:.4g} {self.unit}, PICP {self.result['best_picp']:.1f} %"
        return f"{self.run.model} on {self.run.dataset}, {self.run.job_id}: {scores}{mark}"

    @property
    def unit(self) -> str:
        return str(self.result["provenance"]["data"]["unit"])

    @property
    def source(self) -> str:
        """``csv`` or ``simulated``."""
        return str(self.result["provenance"]["data"]["source"])

    @property
    def chosen(self) -> int:
        """Number of the trial that the study chose."""
        return int(self.result["best_trial_number"])

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """All trials from the storage; where it is not among the files, those that the JSON holds.

        Raises:
            InputError: the storage is damaged.
        """
        study = read_study(self.run)
        if study is not None:
            from hpo_lib.records.optuna_trials import trial_record  # with optuna, only where there is a study to read

            return [trial_record(trial) for trial in study.get_trials(deepcopy=False)]
        default = self.result["default_trial"]
        told = {t["trial"]: t for t in [*([default] if default else []), *self.result["all_pareto_trials"]]}
        return [_record(told[number]) for number in sorted(told)]

    @cached_property
    def shown(self) -> list[TrialRecord]:
        """Trials that can be looked at: complete, with their forecasts stored; by ascending MAE."""
        complete = [t for t in self.trials if t.state == "complete" and self.run.trial_predictions(t.number).exists()]
        return sorted(complete, key=lambda t: (t.mae, t.picp_penalty, t.number))

    @cached_property
    def front(self) -> list[TrialRecord]:
        """The Pareto front, by ascending MAE."""
        return pareto_front(self.trials)

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number."""
        return next(t for t in self.trials if t.number == number)

    def forecasts(self, number: int) -> QuantileForecasts:
        """Validation forecasts of a trial, read once.

        Raises:
            InputError: the file is missing, unreadable or incomplete.
        """
        if number not in self._read:
            self._read[number] = load_predictions(self.run.trial_predictions(number))
        return self._read[number]

    def facts(self, number: int) -> dict[str, str]:
        """What is worth knowing of a trial, as texts: its role, scores and hyperparameters."""
        trial, forecasts = self.trial(number), self.forecasts(number)
        alternatives = self.result["selection"]["alternatives"]
        roles = [
            "chosen" if number == self.chosen else "",
            "untuned defaults" if trial is default_trial(self.trials) else "",
            "on the front" if trial in self.front else "beaten by others in both objectives",
            *(f"choice of {policy}" for policy, choice in alternatives.items() if choice == number),
        ]
        scores = {
            f"MAE in {self.unit}": f"{metrics.mae(forecasts):.5g}",
            "PICP in %": f"{metrics.picp(forecasts):.1f}",
            f"mean width in {self.unit}": f"{metrics.mean_width(forecasts):.4g}",
            f"Winkler score in {self.unit}": f"{metrics.winkler(forecasts):.4g}",
        }
        params = {
            name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in trial.params.items()
        }
        return {"role": ", ".join(role for role in roles if role), **scores, **params}

    def summary(self) -> str:
        """How many trials ended how, in one line."""
        states = pd.Series([trial.state for trial in self.trials]).value_counts()
        stored = self.run.sqlite.exists() or self.run.journal.exists()
        told = "" if stored else "; the storage is not among the files, so these are those that the JSON holds"
        return ", ".join(f"{count} {state}" for state, count in states.items()) + told


def stored_studies(runs_dir: Path) -> tuple[list[StoredStudy], list[str]]:
    """Every study below a folder that can be looked at, and a sentence for each that cannot."""
    found, notes = [], []
    for run in paths.studies(runs_dir):
        if not run.best_params.exists():
            notes.append(f"{run.study_name}: no trial completed yet")
            continue
        try:
            result = load_result(run.best_params)
            if result["schema_version"] < 2:
                notes.append(f"{run.best_params}: written before forecasts were stored")
                continue
            study = StoredStudy(run, result)
            if run.trial_predictions(study.chosen).exists():
                found.append(study)
            else:
                notes.append(f"{run.predictions}: no forecasts of the chosen trial")
        except InputError as error:
            notes.append(str(error))
    return found, notes


def find_studies(runs_dir: str = "") -> tuple[list[StoredStudy], list[str]]:
    """The studies below a folder; where none is given, the own ones, or the examples where there are no own.

    Returns:
        The studies, and sentences on where they are from and on what cannot be shown.

    Raises:
        InputError: there is nothing to look at.
    """
    folder = Path(runs_dir).expanduser() if runs_dir else paths.RUNS_DIR
    studies, notes = stored_studies(folder)
    if not studies and not runs_dir:
        folder = paths.EXAMPLE_RUNS
        studies, more = stored_studies(folder)
        notes += [*more, f"There are no records in {paths.RUNS_DIR.name}/ yet, so these are the examples."]
    if not studies:
        raise InputError(
            f"{folder}: holds no study with stored forecasts, expected one; make it with `hpo run`, or set runs_dir"
        )
    return studies, notes


def _record(told: dict[str, Any]) -> TrialRecord:
    """A trial as the JSON tells of it."""
    scores = {name: told[name] for name in ("picp", "pinball", "winkler") if told.get(name) is not None}
    nothing = float("nan")
    return TrialRecord(
        told["trial"], told.get("state", "complete"), told["params"], told["mae"] or nothing,
        nothing if told["picp_penalty"] is None else told["picp_penalty"], scores,
    )  # fmt: skip


@dataclass(frozen=True)
class StudyHistory:
    """A study as its storage has it.

    Attributes:
        file: the storage.
        trials: all of them, by number.
        search_space: hyperparameter -> what its trials drew from.
        importance: objective -> hyperparameter -> share of the importance, 0 to 1; empty where fewer than two trials
            are complete.
    """

    file: Path
    trials: tuple[TrialRecord, ...]
    search_space: Mapping[str, Dimension]
    importance: Mapping[str, Mapping[str, float]]


def read_history(run: RunPaths) -> StudyHistory | None:
    """The history of a study, read alone; None where its storage is not among its files.

    Raises:
        InputError: the storage is damaged.
    """
    study = read_study(run)
    if study is None:
        return None
    from hpo_lib.records.optuna_trials import (  # with optuna, only where there is a study to read
        dimension,
        trial_record,
    )

    frozen = study.get_trials(deepcopy=False)
    space = {name: dimension(found) for trial in frozen for name, found in trial.distributions.items()}
    trials = tuple(trial_record(trial) for trial in frozen)
    file = run.sqlite if run.sqlite.exists() else run.journal
    return StudyHistory(file, trials, space, _importance(study, trials))


def _importance(study: "optuna.study.Study", trials: tuple[TrialRecord, ...]) -> dict[str, dict[str, float]]:
    """PED-ANOVA (Watanabe et al., 2023), optuna's default, of each objective by itself."""
    from optuna.importance import get_param_importances

    from hpo_lib.records.optuna_trials import quiet_optuna

    if sum(trial.state == "complete" for trial in trials) < 2:
        return {}
    with quiet_optuna():
        return {
            name: dict(get_param_importances(study, target=partial(_value, i))) for i, name in enumerate(OBJECTIVES)
        }


def _value(objective: int, trial: "optuna.trial.FrozenTrial") -> float:
    return float(trial.values[objective])


@dataclass(frozen=True)
class Study:
    """One study: its JSON and what its storage remembers."""

    file: Path
    result: Mapping[str, Any]
    run: RunPaths
    history: StudyHistory | None

    @property
    def model(self) -> str:
        return str(self.result["model"])

    @property
    def dataset(self) -> str:
        return str(self.result["dataset"])

    @property
    def data(self) -> Mapping[str, Any]:
        """Provenance of the data."""
        found: Mapping[str, Any] = self.result["provenance"]["data"]
        return found

    @property
    def unit(self) -> str:
        return str(self.data["unit"])

    @property
    def is_simulated(self) -> bool:
        return bool(self.data["source"] == "simulated")

    @property
    def is_test(self) -> bool:
        return bool(self.result["provenance"].get("preset") == "test")

    @cached_property
    def trials(self) -> tuple[TrialRecord, ...]:
        """All trials; without the storage those that the JSON lists: defaults and Pareto front."""
        if self.history is not None:
            return self.history.trials
        listed = [self.result["default_trial"], *self.result["all_pareto_trials"]]
        by_number = {trial["trial"]: trial for trial in listed if trial}
        return tuple(_from_summary(by_number[number]) for number in sorted(by_number))

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front, by ascending MAE."""
        return pareto_front(self.trials)

    @property
    def chosen(self) -> int:
        """Number of the chosen trial."""
        return int(self.result["best_trial_number"])

    @property
    def default(self) -> TrialRecord:
        """The trial of the untuned defaults."""
        return default_trial(self.trials)

    def predictions(self, trial: int) -> QuantileForecasts:
        """Stored validation forecasts of a trial."""
        return load_predictions(self.run.trial_predictions(trial))

    @property
    def files(self) -> list[Path]:
        """The records that a figure of this study is drawn from."""
        return [self.file, *([self.history.file] if self.history else [])]


def _from_summary(found: Mapping[str, Any]) -> TrialRecord:
    scores = {name: found[name] for name in ("picp", "pinball", "winkler") if found.get(name) is not None}
    state = str(found.get("state", "complete"))
    if state != "complete":
        return TrialRecord(int(found["trial"]), state, found["params"])
    return TrialRecord(int(found["trial"]), state, found["params"], found["mae"], found["picp_penalty"], scores)


@dataclass(frozen=True)
class StudyRun:
    """A study with all that a notebook shows of it."""

    settings: Settings
    dataset: Dataset
    paths: RunPaths
    storage_path: str
    trials: list[TrialRecord]
    result: dict[str, Any]

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front, by ascending MAE."""
        return pareto_front(self.trials)

    @property
    def chosen(self) -> TrialRecord:
        """The selected trial."""
        return self.trial(self.result["best_trial_number"])

    @property
    def default(self) -> TrialRecord:
        """The trial of the untuned defaults."""
        return default_trial(self.trials)

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number."""
        return next(t for t in self.trials if t.number == number)

    def predictions(self, number: int) -> QuantileForecasts:
        """Validation forecasts of a complete trial, as they were scored."""
        return load_predictions(self.paths.trial_predictions(number))
