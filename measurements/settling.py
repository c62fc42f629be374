"""When stored studies would have settled: share of their trials, and whether the choice is the same.

    python -m measurements.settling papermill_runs             # each study under every rule
    python -m measurements.settling RUNS --stopping             # after the rule of early stopping

A study is taken in the order of its trials and in random orders, the untuned defaults first. Each
rule says after every trial whether the study ends. Then its choice and its proof are made from the
trials so far, and compared with those of all trials. A challenger that was never trained with fresh
seeds is judged by its own seed, which favours it. The loss is of the mean daily score, in percent.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.terminator import (
    BaseImprovementEvaluator,
    BestValueStagnationEvaluator,
    EMMREvaluator,
    RegretBoundEvaluator,
)

from hpo_lib.records.provenance import read_scales
from hpo_lib.records.study import StoredStudy, study_runs
from hpo_lib.records.trainings import TrainingMissing, replicate
from hpo_lib.records.trial import TrialRecord
from hpo_lib.records.trial_choice import CHALLENGERS, chosen_of, prove
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.proof import daily_scores, prospect
from hpo_lib.study.early_stopping import RULE
from hpo_lib.study.proof import MIN_COMPLETE, MIN_FINISHED
from measurements.arguments import parsed
from measurements.early_stopping import left_by


class Replayed:
    """A study whose trials can be taken in any order."""

    def __init__(self, study: StoredStudy, *, stopping: bool) -> None:
        self.study, self.stopping = study, stopping
        self.scales = read_scales(study.run.scales, study.data.get("sha256"))
        self.trials = [trial for trial in study.trials if trial.finished]
        self.scored = cache(lambda n: daily_scores(study.predictions(n), self.scales))
        self.proof = cache(self._proof)
        seeds = study.result["proof"]["seeds"]
        self.untuned = [
            self.scored(0),
            *(daily_scores(self.fresh(0, s), self.scales) for s in seeds),
        ]

    def fresh(self, number: int, seed: int) -> QuantileForecasts:
        try:
            return replicate(self.study.run, number, seed)
        except TrainingMissing:
            return self.study.predictions(number)

    def in_order(self, seed: int) -> list[TrialRecord]:
        """Order 0 is that of the study."""
        others = self.trials[1:]
        if seed:
            others = [others[i] for i in np.random.default_rng(seed).permutation(len(others))]
        trials = [self.trials[0], *others]
        if not self.stopping:
            return trials
        numbered = [replace(trial, number=place) for place, trial in enumerate(trials)]
        left = left_by(RULE, numbered, len(trials[0].curve))
        return [replace(a, number=b.number) for a, b in zip(left, trials, strict=True)]

    def _proof(self, numbers: tuple[int, ...]) -> int:
        trials = [self.trials[0], *(self.study.trial(n) for n in numbers if n)]
        seeds = self.study.result["proof"]["seeds"]
        proof = prove(trials, self.scored, CHALLENGERS, seeds, self.fresh, self.scales)
        return chosen_of(proof, 0)[0]

    def chosen(self, trials: Sequence[TrialRecord]) -> int:
        """The trial that a proof chooses among some."""
        return self.proof(tuple(sorted(complete(trials))))

    def score(self, number: int) -> float:
        days, untuned = self.scored(number), self.untuned[0]
        return float(np.mean([days[n].mean() / untuned[n].mean() for n in ("mae", "winkler")]))

    def found(self, trials: Sequence[TrialRecord]) -> dict[str, float]:
        """What the rule in use knows of the others."""
        numbers = complete(trials)
        growth = len(self.trials) / len(trials)
        return prospect(self.untuned, [self.scored(n) for n in numbers if n], growth)

    def by_optuna(
        self, evaluator: BaseImprovementEvaluator, trials: Sequence[TrialRecord]
    ) -> float:
        """What a terminator of optuna says of the scores."""
        frozen = {t.number: t for t in self.study.optuna_study.get_trials()}
        scores = {number: self.score(number) for number in complete(trials)}
        scored = [
            optuna.trial.create_trial(
                params=frozen[n].params, distributions=frozen[n].distributions, value=score
            )
            for n, score in scores.items()
        ]
        size = np.std(list(scores.values())) if isinstance(evaluator, EMMREvaluator) else 1.0
        return float(100 * size * evaluator.evaluate(scored, StudyDirection.MINIMIZE))


def complete(trials: Sequence[TrialRecord]) -> list[int]:
    return [trial.number for trial in trials if trial.state == "complete"]


RULES = {
    "in use: expected gain below luck": None,
    "EMMR below luck": EMMREvaluator(seed=0),
    "regret bound below luck": RegretBoundEvaluator(seed=0),
    "5 complete trials without a better one": BestValueStagnationEvaluator(5),
    "10 complete trials without a better one": BestValueStagnationEvaluator(10),
}


def ends(
    study: Replayed, trials: Sequence[TrialRecord], rule: BaseImprovementEvaluator | None
) -> int:
    """With how many trials a study ends."""
    for n in range(MIN_FINISHED, len(trials)):
        if len(complete(trials[:n])) < MIN_COMPLETE:
            continue
        found = study.found(trials[:n])
        luck = 0.0 if isinstance(rule, BestValueStagnationEvaluator) else found["luck"]
        if (study.by_optuna(rule, trials[:n]) if rule else found["gain"]) <= luck:
            return n
    return len(trials)


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        ("runs", Path, "folder of studies"),
        ("--stopping", False, "let the rule of early stopping end trials first"),
        ("--orders N", 10, "orders of each study"),
        ("--least N", 20, "trials of a study that is taken"),
        given=given,
    )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stored = [StoredStudy.read(run) for run in study_runs(arguments.runs)]
    studies = [
        Replayed(study, stopping=arguments.stopping)
        for study in stored
        if study.finished >= arguments.least and study.result.get("proof")
    ]
    print(
        "| rule | study | trials: mean | most | same choice | largest loss |\n|---|---|---|---|---|---|"
    )
    for name, rule in RULES.items():
        for study in studies:
            shares, same, losses = [], [], []
            for seed in range(arguments.orders):
                trials = study.in_order(seed)
                n = ends(study, trials, rule)
                early, late = study.chosen(trials[:n]), study.chosen(trials)
                shares.append(n / len(trials))
                same.append(early == late)
                losses.append(100 * (study.score(early) - study.score(late)))
            print(
                f"| {name} | {study.study.run.study_name} | {np.mean(shares):.2f} | "
                f"{max(shares):.2f} | {np.mean(same):.0%} | {max(losses):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
