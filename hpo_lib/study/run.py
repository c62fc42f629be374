"""The study: create, resume or join it, then train, score and store one trial after another."""

import datetime as dt
import math
import re
import time
from dataclasses import asdict

from optuna.trial import Trial
from pydantic import TypeAdapter
from tqdm.auto import tqdm

from hpo_lib import stop_requests
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import StudyError, WriteError
from hpo_lib.records.provenance import code_provenance, data_provenance, write_scales
from hpo_lib.records.read_write import Json, write_predictions
from hpo_lib.records.result import study_result
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import MODEL_VERSION, replicate_seconds
from hpo_lib.records.trial import TrialRecord, Trials, n_complete
from hpo_lib.scoring.evaluation import evaluate, validation_baselines
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.metrics import METRICS, by_step
from hpo_lib.settings import Settings
from hpo_lib.study.early_stopping import CURVE_METRICS, RULE, StoppedEarly, StoppingRule
from hpo_lib.study.first_trials import FirstTrial, first_trials, origins
from hpo_lib.study.progress import in_short, out_of_time, say, telling, write_optuna_figures
from hpo_lib.study.proof import Trainings, cause_of
from hpo_lib.study.trial_queue import TrialQueue
from hpo_lib.study.workers import run_workers

ALIKE_FAILURES = 3
"""This many failures with one cause, before any trial completed, end the study."""

POLL = 2.0
"""Seconds between two looks at a study whose last trials are run by other workers."""

GIGABYTES, MUCH = 200e-9, 2.0
"""Of memory: what a trial needs for each value in training, about and beside 1 GB; and what a study
that needs more says first."""


def run_study(
    settings: Settings, dataset: Dataset | None = None, *, progress: bool = True
) -> StoredStudy:
    """Run, resume or join a study until it holds ``settings.trials`` finished trials, or settles.

    Its record is written after each. A ``dataset`` that has been read already is not read again,
    except by several workers.

    Raises:
        InputError: wrong model, dataset or data; a job id that belongs to a study of other data or
            settings.
        StudyError: this worker of the study runs already; all first trials failed alike; no trial
            completed.
    """
    if settings.workers > 1:
        run = settings.files(load_spec(settings.dataset).name)
        run_workers(settings, run, say)
        return StoredStudy.read(run, database=settings.storage)
    worker = _Worker(settings, dataset)
    values = worker.dataset.training_frame.size
    if (memory := 1 + GIGABYTES * values) > MUCH:
        print(
            f"note: training has {values} values, of which a trial needs about {memory:.1f} GB of "
            "memory; with less, take covariates out of the dataset's TOML"
        )
    with worker.queue.liveness, stop_requests.listening(worker.run.workers):
        first = worker.open()
        finished = worker.n_finished()
        if len(first) > 1 and not finished:
            print(origins(first[: settings.trials]))
        if finished < worker.queue.ends_with:
            worker.work(progress)
        elif finished >= settings.trials:
            print(
                f"The study holds {finished} finished trials, so no trial is trained; ask for "
                "more with `trials`."
            )
        else:
            print(
                f"The study had settled with {finished} trials, so no trial is trained; to go on "
                f"up to {settings.trials}, run again with settle=false (--no-settle)."
            )
        return worker.finish()


class _Worker:
    def __init__(self, settings: Settings, dataset: Dataset | None) -> None:
        dataset = dataset or load_dataset(
            settings.dataset, settings.data_dir, simulated=settings.simulated
        )
        self.settings = settings
        self.dataset = dataset
        self.begun = time.monotonic()
        self.stop_reason = ""
        self.trainings = Trainings(settings, dataset, self._must_stop)
        self.run = self.trainings.run
        self.queue = TrialQueue(settings, self.run, self.trainings.search_space)
        self.records = self.queue.records
        setup = {
            "seed": settings.seed,
            "preset": settings.budget_name,
            "budget": asdict(self.trainings.budget),
            "recipe": self.trainings.recipe.stored(),
            "space": settings.space,
            "early_stopping": asdict(RULE) if settings.early_stopping else "off",
        }
        data = data_provenance(dataset)
        self.identity = {
            "model": settings.model,
            "dataset": self.run.dataset,
            "data_sha256": data["sha256"],
            "train_end": data["train_end"],
            "val_end": data["val_end"],
            "objectives": settings.objectives.split(","),
            **setup,
        }
        self.provenance = {
            **code_provenance(),
            "family_version": MODEL_VERSION,
            "data": data,
            **setup,
        }
        self.stated = {
            "n_trials": settings.trials,
            "storage_path": self.queue.stored.recorded,
            "optimization_date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "baselines": validation_baselines(dataset),
            "provenance": self.provenance,
        }

    def open(self) -> list[FirstTrial]:
        """Create the study or continue it; its first trials."""
        first = self.queue.open(self.identity, first_trials(self.trainings))
        write_scales(self.run.scales, self.dataset, self.dataset.validation_origins)
        rule = self.queue.study.user_attrs["identity"]["early_stopping"]
        self.rule = None if rule == "off" else TypeAdapter(StoppingRule).validate_python(rule)
        self.provenance |= {
            "early_stopping": rule,
            "first_trials": [trial.origin for trial in first],
        }
        return first

    def n_finished(self) -> int:
        return sum(record.finished for record in self.records())

    def work(self, progress: bool) -> None:
        """Work until the study holds all its trials, settles or has to stop."""
        asked = self.settings.trials
        with tqdm(
            total=asked, initial=self.n_finished(), unit="trial", disable=not progress
        ) as bar:
            while self.n_finished() < self.queue.ends_with and not self._must_stop():
                try:
                    settles = None
                    if self.trainings.may_settle and not self.queue.settled:
                        settles = self.trainings.settles(self.records())
                    trial = self.queue.claim(settles)
                    if trial is None:
                        # The others run all that is left; if one dies, its trial is tried here.
                        time.sleep(POLL)
                        continue
                    record = self._one_trial(trial)
                except stop_requests.StopRequested:
                    continue
                records = self.records()
                finished = sum(t.finished for t in records)
                line, summary = in_short(record, self.dataset.spec.unit, self._write(records))
                bar.update(finished - bar.n)
                bar.set_postfix_str(summary)
                say(
                    f"{finished}/{asked}  trial {record.number}: {line} ({record.seconds:.0f} s); "
                    f"{summary}"
                )
                self._check_failures(records)

    def _one_trial(self, trial: Trial) -> TrialRecord:
        begun = time.monotonic()
        curve = list[dict[str, float]]()
        try:
            try:
                with telling(trial.number, curve, self.dataset.spec.unit, say):
                    attributes = self._train_and_score(trial, curve)
            except (stop_requests.StopRequested, WriteError):
                raise
            except StoppedEarly as stop:
                attributes = {"cause": str(stop), "stopped_at": stop.share, "curve": curve}
            # Whatever a library raises is this trial's cause, kept and shown; no score.
            except Exception as error:
                attributes = {"cause": cause_of(error)}
            return self.queue.end(trial, time.monotonic() - begun, attributes)
        except (KeyboardInterrupt, SystemExit, stop_requests.StopRequested, WriteError) as stop:
            self.queue.interrupt(trial, stop_requests.requested() or type(stop).__name__)
            self.stop_reason = type(stop).__name__
            if not isinstance(stop, WriteError):
                self._write(self.records())  # or it would look as if it still ran
            raise

    def _train_and_score(self, trial: Trial, curve: list[dict[str, float]]) -> Json:
        """Its scores and what else its record holds; the checks go to ``curve``."""

        def on_check(step: int, forecasts: QuantileForecasts) -> None:
            scores = {name: METRICS[name](forecasts) for name in CURVE_METRICS}
            curve.append({"step": step, **scores})
            checks = self.trainings.budget.checks
            # The others are read from the storage, so only where they are compared with.
            if self.rule and self.rule.rung_at(len(curve), checks):
                self.rule.judge(curve, checks, trial.number, self.records())

        forecaster = self.trainings.fit(trial.params, self.settings.seed, on_check)
        # Scored as stored, so that every figure can be computed again from the file alone.
        stored = write_predictions(self.run.trial_predictions(trial.number), forecaster.validation)
        scores = evaluate(stored, self.dataset.scales)
        for name, score in scores.items():
            if not math.isfinite(score):
                raise ArithmeticError(f"score {name} is {score}")
        return {
            "scores": scores,
            "by_step": by_step(stored),
            "best_step": forecaster.best_step,
            "shares": forecaster.shares,
            "curve": curve,
        }

    def _check_failures(self, records: Trials) -> None:
        finished = [t for t in records if t.finished]
        # Sizes, counts and steps may differ.
        alike = len({(t.state, re.sub(r"\d+", "", t.cause)) for t in finished}) == 1
        if alike and finished[0].state == "failed" and len(finished) >= ALIKE_FAILURES:
            raise StudyError(
                f"the first {len(finished)} trials of {self.run.study_name} all failed alike "
                f"({finished[0].cause}); fix that and run again under another job_id"
            )

    def _must_stop(self) -> bool:
        if signal := stop_requests.requested():
            self.stop_reason = f"request to stop ({signal})"
        else:
            self.stop_reason = out_of_time(
                self.settings.time_budget_hours, time.monotonic() - self.begun, self.records()
            )
        return self.stop_reason != ""

    def _write(self, records: Trials) -> Json | None:
        """Write the record, once a trial is complete."""
        return self.queue.write(self._result) if n_complete(records) else None

    def _result(self, records: Trials) -> Json:
        proves = self.trainings.proves
        ended = sum(record.finished for record in records) >= self.queue.ends_with
        proof = self.trainings.entry(records) if ended and proves else None
        done = ended and (not proves or proof is not None)
        return study_result(
            self.run,
            records,
            self.queue.objectives,
            self.settings.policy,
            proof,
            replicate_seconds(self.run),
            status="complete" if done else "stopped" if self.stop_reason else "running",
            settled=self.queue.settled,
            **self.stated,
        )

    def finish(self) -> StoredStudy:
        """Prove the choice, and write the last record and the optuna figures."""
        if self.trainings.proves and self.n_finished() >= self.queue.ends_with:
            try:
                self.trainings.prove(self.records())
            except stop_requests.StopRequested:
                self._must_stop()
        if self.stop_reason:
            if not n_complete(self.records()):
                raise StudyError(f"no trial completed before the study stopped: {self.stop_reason}")
            print(
                f"The study stopped before its end: {self.stop_reason}; run again under the same "
                "job_id to go on."
            )
        self.queue.write(self._result)
        stored = StoredStudy.read(self.run, database=self.settings.storage)
        write_optuna_figures(self.queue.study, stored)
        if stored.settled:
            say(stored.settled_line)
        return stored
