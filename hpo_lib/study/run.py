"""The study: create, resume or join, ask, train, score, tell; nothing is lost and nothing is done twice.

Only this module and those that it is made of (`storage`, `presence`, `claims`, `trials`, `optuna_figures`) import
optuna at run time.
"""

import datetime as dt
import math
import re
import time
from dataclasses import asdict
from typing import Any

from optuna.trial import Trial
from tqdm.auto import tqdm

from hpo_lib import stop_requests
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import StudyError
from hpo_lib.families import get_family
from hpo_lib.families.contract import RECIPES, Family
from hpo_lib.paths import RunPaths
from hpo_lib.records.files import load_predictions, write_predictions
from hpo_lib.records.optuna_trials import distribution
from hpo_lib.records.provenance import code_provenance, data_provenance
from hpo_lib.records.result import study_result
from hpo_lib.records.storage import recorded_url
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.evaluation import evaluate, validation_baselines
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import METRICS
from hpo_lib.scoring.objectives import OBJECTIVES
from hpo_lib.settings import Settings
from hpo_lib.study.early_stopping import CURVE_METRICS, RULE, StoppedEarly, attributes_of_stop
from hpo_lib.study.html_figures import write_optuna_figures
from hpo_lib.study.liveness import Presence
from hpo_lib.study.pool import Pool, fitting, threads_asked, usable_cores
from hpo_lib.study.time_budget import Pace
from hpo_lib.study.trial_queue import Claims

ALIKE_FAILURES = 3
"""This many failures with one cause, before any trial completed, end the study."""

POLL = 2.0
"""Seconds between two looks at a study whose last trials are run by other workers."""


def run_study(settings: Settings, dataset: Dataset | None = None, *, progress: bool = True) -> StoredStudy:
    """Run, resume or join a study until it holds ``settings.trials`` finished trials, and write its record after each.

    Raises:
        InputError: wrong model, dataset or data; a job id that belongs to a study of other data or settings.
        StudyError: this worker of the study runs already; all first trials failed alike; no trial completed.
    """
    family = get_family(settings.model)
    dataset = dataset or load_dataset(load_spec(settings.dataset), settings.data_dir)
    workers, threads, sentence = fitting(settings.workers, usable_cores(), threads_asked())
    worker = _Worker(settings, family, dataset, str(settings.worker), threads if workers > 1 else None)
    with worker.presence, stop_requests.listening():
        worker.open()
        if sentence:
            print(f"{sentence[0].upper()}{sentence[1:]}.")
        if (done := worker.n_finished()) >= settings.trials:
            print(f"The study holds {done} finished trials already, so nothing is trained; ask for more with `trials`.")
        elif workers > 1:
            worker.supervise(Pool(settings, dataset, workers, threads), progress)
        else:
            worker.run(progress)
        return worker.finish()


def work(settings: Settings, dataset: Dataset, name: str) -> None:
    """Work on a study that is open already, as one of the processes of its `Pool`."""
    worker = _Worker(settings, get_family(settings.model), dataset, name)
    with worker.presence:
        worker.open()
        worker.run(progress=False)


class _Worker:
    def __init__(
        self, settings: Settings, family: Family, dataset: Dataset, name: str, threads: int | None = None
    ) -> None:
        self.settings, self.family, self.dataset = settings, family, dataset
        self.paths = RunPaths(settings.runs_dir, settings.model, dataset.spec.name, settings.job_id, settings.worker)
        self.budget_name = settings.budget_name
        self.budget = family.budgets[self.budget_name]
        self.recipe = RECIPES[settings.recipe]
        self.presence = Presence(self.paths, name)
        distributions = {name: distribution(d) for name, d in family.search_space.items()}
        self.claims = Claims(settings, self.paths, self.presence, distributions)
        self.records = self.claims.records
        self.pace = Pace(settings.time_budget_hours)
        self.rule = RULE if settings.early_stopping else None
        self.date = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.baselines = validation_baselines(dataset)
        self.provenance = {
            **code_provenance(threads),
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
        self.claims.open(identity, self.family.defaults)

    def n_finished(self) -> int:
        return sum(record.finished for record in self.records())

    def run(self, progress: bool) -> None:
        """Work until the study holds all its trials or has to stop."""
        with self._bar(progress) as bar:
            while self.n_finished() < self.settings.trials and not self._must_stop():
                trial = self.claims.claim()
                if trial is None:
                    time.sleep(POLL)  # the others run all that is left; should one of them die, its trial is tried here
                    continue
                try:
                    record = self._one_trial(trial)
                except stop_requests.StopRequested:
                    continue
                records = self.records()
                finished = sum(t.finished for t in records)
                bar.update(finished - bar.n)
                completed = any(t.state == "complete" for t in records)
                self._report(bar, record, finished, self._write() if completed else None)
                self._check_failures(records)
                if shortfall := self.pace.shortfall(records, self.settings.trials - finished):
                    bar.write(shortfall)

    def supervise(self, pool: Pool, progress: bool) -> None:
        """Let processes do the work, and show what they say, until the study holds all its trials or has to stop."""
        before = self.n_finished()
        with self._bar(progress) as bar, pool:
            for line in pool.lines():
                if line:
                    bar.write(line)
                if (done := self.n_finished()) > before:
                    pool.progressed()
                    bar.update(done - before)
                    before = done
                if stop_requests.requested():
                    break
        self.claims.reclaim()
        if self.n_finished() < self.settings.trials and not self._must_stop():
            raise StudyError("the worker processes were asked to end; run again under the same job_id to go on")

    def _bar(self, progress: bool) -> "tqdm[Any]":
        return tqdm(total=self.settings.trials, initial=self.n_finished(), unit="trial", disable=not progress)

    def _one_trial(self, trial: Trial) -> TrialRecord:
        begun = time.monotonic()
        values, attributes = None, {}
        try:
            try:
                values = self._train_and_score(trial)
            except stop_requests.StopRequested:
                raise
            except StoppedEarly as stop:
                attributes = attributes_of_stop(stop)
            except Exception as error:  # whatever a library raises is this trial's cause, kept and shown; no score
                attributes = {"cause": _one_line(error)}
            return self.claims.end(trial, time.monotonic() - begun, values, attributes)
        except (KeyboardInterrupt, SystemExit, stop_requests.StopRequested) as stop:
            self.claims.interrupt(trial, stop_requests.requested() or type(stop).__name__)
            stop_requests.check()  # Lightning has its own way to end at a SIGTERM, a SystemExit
            raise stop

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
        write_predictions(self.paths.trial_predictions(trial.number), forecaster.validation)
        # Scored as stored, so that every figure can be computed again from the file alone.
        evaluation = evaluate(load_predictions(self.paths.trial_predictions(trial.number)), self.dataset)
        for name, score in evaluation.scores.items():
            if not math.isfinite(score):
                raise ArithmeticError(f"score {name} is {score}")
        trial.set_user_attr("scores", evaluation.scores)
        trial.set_user_attr("by_step", evaluation.by_step)
        trial.set_user_attr("n_origins", evaluation.n_origins)
        trial.set_user_attr("best_step", forecaster.best_step)
        trial.set_user_attr("curve", curve)
        return [objective.value(evaluation.scores) for objective in OBJECTIVES.values()]

    def _check_failures(self, records: list[TrialRecord]) -> None:
        finished = [t for t in records if t.finished]
        alike = {re.sub(r"\d+", "", t.cause) for t in finished}  # sizes, counts and steps may differ
        if len(finished) >= ALIKE_FAILURES and all(t.state == "failed" for t in finished) and len(alike) == 1:
            raise StudyError(
                f"the first {len(finished)} trials of {self.paths.study_name} all failed alike ({finished[0].cause}); "
                "mend that and run again under another job_id"
            )

    def _must_stop(self) -> bool:
        signal = stop_requests.requested()
        self.stop_reason = f"request to stop ({signal})" if signal else self.pace.out_of_time(self.records())
        return self.stop_reason != ""

    def _write(self) -> dict[str, Any]:
        return self.claims.write(self._result)

    def _result(self, records: list[TrialRecord]) -> dict[str, Any]:
        finished = sum(record.finished for record in records)
        status = "complete" if finished >= self.settings.trials else ("stopped" if self.stop_reason else "running")
        return study_result(
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

    def _report(self, bar: "tqdm[Any]", record: TrialRecord, finished: int, result: dict[str, Any] | None) -> None:
        unit = self.dataset.spec.unit
        if record.state == "complete":
            line = f"MAE {record.mae:.5g} {unit}, PICP {record.scores['picp']:.1f} %"
        else:
            line = f"{record.state}: {record.cause or 'the other workers took this one for dead and try it again'}"
        if result is None:
            summary = "no trial completed yet"
        else:
            front, chosen = result["n_pareto_optimal"], result["best_trial_number"]
            scores = f"MAE {result['best_mae']:.5g}, PICP {result['best_picp']:.1f} %"
            summary = f"front of {front}, chosen trial {chosen}: {scores}"
        bar.set_postfix_str(summary)
        bar.write(f"{finished}/{bar.total}  trial {record.number}: {line} ({record.seconds:.0f} s); {summary}")

    def finish(self) -> StoredStudy:
        """Write the last record and the optuna figures."""
        if self.stop_reason and not any(t.state == "complete" for t in self.records()):
            raise StudyError(f"no trial completed before the study stopped: {self.stop_reason}")
        if self.stop_reason:
            print(f"Stopped early, {self.stop_reason}; run again under the same job_id to go on.")
        self._write()
        write_optuna_figures(self.claims.study, self.paths, self.dataset)
        return StoredStudy.read(self.paths, database=True)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}"
