"""Studies and their trials as stored, for browsing: nothing is trained, and data and models are not needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib import metrics, paths, results
from hpo_lib.errors import InputError
from hpo_lib.forecasts import QuantileForecasts
from hpo_lib.paths import RunPaths
from hpo_lib.results import TrialRecord
from hpo_lib.storage import read_study


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
            from hpo_lib.trials import trial_record  # with optuna, only where there is a study to read

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
        return results.pareto_front(self.trials)

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number."""
        return next(t for t in self.trials if t.number == number)

    def forecasts(self, number: int) -> QuantileForecasts:
        """Validation forecasts of a trial, read once.

        Raises:
            InputError: the file is missing, unreadable or incomplete.
        """
        if number not in self._read:
            self._read[number] = results.load_predictions(self.run.trial_predictions(number))
        return self._read[number]

    def facts(self, number: int) -> dict[str, str]:
        """What is worth knowing of a trial, as texts: its role, scores and hyperparameters."""
        trial, forecasts = self.trial(number), self.forecasts(number)
        alternatives = self.result["selection"]["alternatives"]
        roles = [
            "chosen" if number == self.chosen else "",
            "untuned defaults" if trial is results.default_trial(self.trials) else "",
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
            result = results.load_result(run.best_params)
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


def days(forecasts: QuantileForecasts, first: int, count: int) -> pd.DataFrame:
    """Hours of ``count`` consecutive forecasts from position ``first`` on: actual, lower, median, upper by UTC hour."""
    part = slice(first, first + count)
    horizon = forecasts.actual.shape[1]
    ahead = pd.to_timedelta(np.arange(1, horizon + 1), unit="h")
    hours = pd.DatetimeIndex(np.concatenate([origin + ahead for origin in forecasts.origins[part]]))
    columns = {name: getattr(forecasts, name)[part].ravel() for name in ("actual", "lower", "median", "upper")}
    return pd.DataFrame(columns, index=hours)


def daily_errors(forecasts: QuantileForecasts) -> pd.DataFrame:
    """Per origin: MAE in the target's unit and PICP in % of its hours; indexed by the first hour of the forecast."""
    covered = (forecasts.lower <= forecasts.actual) & (forecasts.actual <= forecasts.upper)
    return pd.DataFrame(
        {
            "mae": np.abs(forecasts.actual - forecasts.median).mean(axis=1),
            "picp": 100 * covered.mean(axis=1),
        },
        index=forecasts.origins + pd.Timedelta(hours=1),
    )


def by_hour(forecasts: QuantileForecasts, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> pd.DataFrame:
    """Per hour ahead (1..H): quantiles of the residual, actual less median, in the target's unit, and PICP in %."""
    residual = forecasts.actual - forecasts.median
    columns = {f"q{level * 100:g}": np.quantile(residual, level, axis=0) for level in levels}
    return pd.DataFrame(
        {**columns, "picp": metrics.by_step(forecasts)["picp"]},
        index=pd.RangeIndex(1, residual.shape[1] + 1, name="hours ahead"),
    )


def _record(told: dict[str, Any]) -> TrialRecord:
    """A trial as the JSON tells of it."""
    scores = {name: told[name] for name in ("picp", "pinball", "winkler") if told.get(name) is not None}
    nothing = float("nan")
    return TrialRecord(
        told["trial"], told.get("state", "complete"), told["params"], told["mae"] or nothing,
        nothing if told["picp_penalty"] is None else told["picp_penalty"], scores,
    )  # fmt: skip
