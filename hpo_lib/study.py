"""The study: create or resume, ask, train, score, tell; nothing is lost and nothing is done twice.

Only this module and those that it is made of (`storage`, `trials`, `optuna_figures`) import optuna at run time.
"""

import datetime as dt
import hashlib
import math
import re
import time
from dataclasses import asdict
from typing import Any

import optuna
from optuna.trial import Trial, TrialState
from tqdm.auto import tqdm

from hpo_lib import interrupts, results
from hpo_lib.data.load import Dataset, load_dataset
from hpo_lib.data.registry import load_spec
from hpo_lib.errors import StudyError
from hpo_lib.evaluation import evaluate, validation_baselines
from hpo_lib.families import get_family
from hpo_lib.families.base import RECIPES, Family
from hpo_lib.forecasts import QuantileForecasts
from hpo_lib.metrics import METRICS
from hpo_lib.objectives import OBJECTIVES
from hpo_lib.optuna_figures import write_optuna_figures
from hpo_lib.pace import Pace
from hpo_lib.paths import RunPaths
from hpo_lib.provenance import code_provenance, data_provenance
from hpo_lib.results import TrialRecord
from hpo_lib.settings import Settings
from hpo_lib.stopping import CURVE_METRICS, RULE, StoppedEarly
from hpo_lib.storage import StudyLock, check_identity, open_storage, recorded_url, storage_url
from hpo_lib.study_run import StudyRun
from hpo_lib.trials import distribution, quiet_optuna, record_stop, trial_record

MAX_ATTEMPTS = 3
"""Times that one configuration is tried when the worker dies during it; then the configuration counts as failed."""

ALIKE_FAILURES = 3
"""This many failures with one cause, before any trial completed, end the study."""


def run_study(settings: Settings, dataset: Dataset | None = None, *, progress: bool = True) -> StudyRun:
    """Run or resume a study until it holds ``settings.trials`` finished trials, and write its record after each.

    Raises:
        InputError: wrong model, dataset or data; a job id that belongs to a study of other data or settings.
        StudyError: another process works on the study; all first trials failed alike; no trial completed.
    """
    family = get_family(settings.model)
    dataset = dataset or load_dataset(load_spec(settings.dataset), settings.data_dir)
    worker = _Worker(settings, family, dataset)
    with StudyLock(worker.paths.lock), interrupts.listening():
        worker.open()
        worker.run(progress)
        return worker.finish()


class _Worker:
    def __init__(self, settings: Settings, family: Family, dataset: Dataset) -> None:
        self.settings, self.family, self.dataset = settings, family, dataset
        self.paths = RunPaths(settings.runs_dir, settings.model, dataset.spec.name, settings.job_id)
        self.budget_name = settings.budget_name
        self.budget = family.budgets[self.budget_name]
        self.recipe = RECIPES[settings.recipe]
        self.distributions = {name: distribution(d) for name, d in family.search_space.items()}
        self.pace = Pace(settings.time_budget_hours)
        self.rule = RULE if settings.early_stopping else None
        self.date = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.baselines = validation_baselines(dataset)
        self.provenance = {
            **code_provenance(),
            "data": data_provenance(dataset),
            "seed": settings.seed,
            "preset": self.budget_name,
            "budget": asdict(self.budget),
            "recipe": asdict(self.recipe),
            "early_stopping": str(self.rule or "off"),
        }
        self.stop_reason = ""

    def open(self) -> None:
        """Create the study, or take up the one that is there after checking that it is the same one."""
        with quiet_optuna():
            self.study = optuna.create_study(
                study_name=self.paths.study_name,
                storage=open_storage(self.settings.storage, self.paths),
                directions=[objective.direction for objective in OBJECTIVES.values()],
                load_if_exists=True,
            )
            self.study.set_metric_names(list(OBJECTIVES))
        identity = {
            "model": self.settings.model,
            "dataset": self.dataset.spec.name,
            "data_sha256": self.dataset.sha256,
            "train_end": str(self.dataset.spec.splits.train_end),
            "val_end": str(self.dataset.spec.splits.val_end),
            "seed": self.settings.seed,
            "preset": self.budget_name,
            "budget": asdict(self.budget),
            "recipe": asdict(self.recipe),
            "objectives": list(OBJECTIVES),
            "early_stopping": str(self.rule or "off"),
        }
        begun_with = self.study.user_attrs.get("identity")
        if begun_with is None:
            self.study.set_user_attr("identity", identity)
        else:
            check_identity({"early_stopping": "off", **begun_with}, identity, self.settings.job_id)
        self.study.set_user_attr("trials_asked", self.settings.trials)
        self._reclaim()
        if not self.study.get_trials(deepcopy=False):
            self.study.enqueue_trial(dict(self.family.defaults))

    def _reclaim(self) -> None:
        """Trials that a dead worker left behind are marked and tried again. The lock says that no worker lives."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._interrupt(trial._trial_id, trial.number)
        trials = self.study.get_trials(deepcopy=False)
        retried = {trial.user_attrs.get("retry_of") for trial in trials}
        for trial in trials:
            if "interrupted" not in trial.user_attrs or trial.number in retried or "cause" in trial.user_attrs:
                continue
            attempt = trial.user_attrs.get("attempt", 1)
            params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            # A worker that died while it drew parameters: they are drawn anew, as they were, see `_one_trial`.
            if set(params) != set(self.distributions):
                continue
            attempt += "asked_to_stop" not in trial.user_attrs
            self.study.enqueue_trial(params, user_attrs={"retry_of": trial.number, "attempt": attempt})

    def _interrupt(self, trial_id: int, number: int, asked_to_stop: str = "") -> None:
        storage = self.study._storage
        attempt = storage.get_trial(trial_id).user_attrs.get("attempt", 1)
        storage.set_trial_user_attr(trial_id, "interrupted", True)
        if asked_to_stop:  # says nothing against the configuration
            storage.set_trial_user_attr(trial_id, "asked_to_stop", asked_to_stop)
        elif attempt >= MAX_ATTEMPTS:
            cause = f"the worker died during this configuration {attempt} times, perhaps for want of memory"
            storage.set_trial_user_attr(trial_id, "cause", cause)
        self.study.tell(number, state=TrialState.FAIL)

    def run(self, progress: bool) -> None:
        """Work until the study holds all its trials or has to stop."""
        done = self._n_finished()
        if done >= self.settings.trials:
            print(f"The study holds {done} finished trials already, so nothing is trained; ask for more with `trials`.")
            return
        bar = tqdm(total=self.settings.trials, initial=done, unit="trial", disable=not progress)
        with bar:
            while (done := self._n_finished()) < self.settings.trials and not self._must_stop():
                try:
                    record = self._one_trial(done)
                except interrupts.StopRequested:
                    continue
                bar.update()
                completed = any(t.state == "complete" for t in self.records())
                self._report(bar, record, self._write() if completed else None)
                self._check_failures()
                if shortfall := self.pace.shortfall(self.records(), bar.total - bar.n):
                    bar.write(shortfall)

    def _n_finished(self) -> int:
        return sum(record.finished for record in self.records())

    def _one_trial(self, n_finished: int) -> TrialRecord:
        # The sampler is seeded anew from what the study holds, so that a resumed study goes on as it would have.
        seed = int.from_bytes(hashlib.sha256(f"{self.settings.seed}/{n_finished}".encode()).digest()[:4], "big")
        with quiet_optuna():
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
            trial = self.study.ask(self.distributions)
        begun = time.monotonic()
        try:
            values = self._train_and_score(trial)
        except (KeyboardInterrupt, SystemExit, interrupts.StopRequested) as stop:
            self._interrupt(trial._trial_id, trial.number, asked_to_stop=interrupts.requested())
            interrupts.check()  # Lightning has its own way to end at a SIGTERM, a SystemExit
            raise stop
        except StoppedEarly as stop:
            trial.set_user_attr("seconds", time.monotonic() - begun)
            record_stop(trial, stop)
            self.study.tell(trial, state=TrialState.PRUNED)
        except Exception as error:  # whatever a library raises is this trial's cause, kept and shown; never a score
            trial.set_user_attr("cause", _one_line(error))
            trial.set_user_attr("seconds", time.monotonic() - begun)
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr("seconds", time.monotonic() - begun)
            self.study.tell(trial, values)
        return trial_record(self.study.trials[trial.number])

    def _train_and_score(self, trial: Trial) -> list[float]:
        curve: list[dict[str, float]] = []

        def on_check(step: int, forecasts: QuantileForecasts) -> None:
            curve.append({"step": step, **{name: METRICS[name](forecasts) for name in CURVE_METRICS}})
            if self.rule is not None:
                self.rule.judge(curve, self.budget.checks, trial.number, self.records())

        forecaster = self.family.fit(
            trial.params,
            self.dataset,
            self.budget,
            seed=self.settings.seed,
            recipe=self.recipe,
            on_check=on_check,
        )
        results.write_predictions(self.paths.trial_predictions(trial.number), forecaster.validation)
        # Scored as stored, so that every figure can be computed again from the file alone.
        evaluation = evaluate(results.load_predictions(self.paths.trial_predictions(trial.number)), self.dataset)
        for name, score in evaluation.scores.items():
            if not math.isfinite(score):
                raise ArithmeticError(f"score {name} is {score}")
        trial.set_user_attr("scores", evaluation.scores)
        trial.set_user_attr("by_step", evaluation.by_step)
        trial.set_user_attr("n_origins", evaluation.n_origins)
        trial.set_user_attr("best_step", forecaster.best_step)
        trial.set_user_attr("curve", curve)
        return [objective.value(evaluation.scores) for objective in OBJECTIVES.values()]

    def _check_failures(self) -> None:
        finished = [t for t in self.records() if t.finished]
        alike = {re.sub(r"\d+", "", t.cause) for t in finished}  # sizes, counts and steps may differ
        if len(finished) >= ALIKE_FAILURES and all(t.state == "failed" for t in finished) and len(alike) == 1:
            raise StudyError(
                f"the first {len(finished)} trials of {self.paths.study_name} all failed alike ({finished[0].cause}); "
                "mend that and run again under another job_id"
            )

    def _must_stop(self) -> bool:
        signal = interrupts.requested()
        self.stop_reason = f"request to stop ({signal})" if signal else self.pace.out_of_time(self.records())
        return self.stop_reason != ""

    def records(self) -> list[TrialRecord]:
        return [trial_record(trial) for trial in self.study.get_trials(deepcopy=False)]

    def _write(self) -> dict[str, Any]:
        records = self.records()
        finished = sum(record.finished for record in records)
        status = "complete" if finished >= self.settings.trials else ("stopped" if self.stop_reason else "running")
        result = results.study_result(
            model=self.settings.model,
            dataset=self.dataset.spec.name,
            job_id=self.settings.job_id,
            study_name=self.paths.study_name,
            storage_path=recorded_url(self.settings.storage, self.paths),
            status=status,
            trials_asked=self.settings.trials,
            policy=self.settings.policy,
            trials=records,
            optimization_date=self.date,
            baselines=self.baselines,
            provenance=self.provenance,
        )
        results.write_json(self.paths.best_params, result)
        return result

    def _report(self, bar: "tqdm[Any]", record: TrialRecord, result: dict[str, Any] | None) -> None:
        unit = self.dataset.spec.unit
        if record.state == "complete":
            line = f"MAE {record.mae:.5g} {unit}, PICP {record.scores['picp']:.1f} %"
        else:
            line = f"{record.state}: {record.cause}"
        if result is None:
            summary = "no trial completed yet"
        else:
            front, chosen = result["n_pareto_optimal"], result["best_trial_number"]
            scores = f"MAE {result['best_mae']:.5g}, PICP {result['best_picp']:.1f} %"
            summary = f"front of {front}, chosen trial {chosen}: {scores}"
        bar.set_postfix_str(summary)
        bar.write(f"{bar.n}/{bar.total}  trial {record.number}: {line} ({record.seconds:.0f} s); {summary}")

    def finish(self) -> StudyRun:
        """Write the last record and the optuna figures."""
        if self.stop_reason and not any(t.state == "complete" for t in self.records()):
            raise StudyError(f"no trial completed before the study stopped: {self.stop_reason}")
        if self.stop_reason:
            print(f"Stopped early, {self.stop_reason}; run again under the same job_id to go on.")
        result = self._write()
        write_optuna_figures(self.study, self.paths, self.dataset)
        return StudyRun(
            settings=self.settings,
            dataset=self.dataset,
            paths=self.paths,
            storage_path=storage_url(self.settings.storage, self.paths),
            trials=self.records(),
            result=result,
        )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}"
