"""When stored studies would have settled: with what share of their trials, and on the same choice?

    python -m measurements.settling RUNS              # trials as they are, best all complete
    python -m measurements.settling RUNS --stopping   # after the rule of early stopping

Studies of at least 20 trials. The untuned defaults and what the portfolio names come first, the
others in the order of the study and then in random ones. Each rule says after every trial whether
the study ends. Its choice is made by the proof from the trials so far, and compared with that from
all. A challenger that was never trained with fresh seeds is judged by its own seed, which favours
it. The loss is of the mean score of a day, in percent of the untuned defaults. Trainings are of the
trials, as `early_stopping` counts them, in shares of those of all trials.
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
from hpo_lib.records.trial import Proof, TrialRecord, chosen_of
from hpo_lib.scoring.uncertainty import DailyScores, daily_scores, prospect
from hpo_lib.study.early_stopping import RULE
from hpo_lib.study.proof import MIN_COMPLETE, MIN_FINISHED
from measurements.arguments import parsed
from measurements.early_stopping import cost, left_by

RULES = {
    "gain below luck (in use)": None,
    "EMMR below luck": EMMREvaluator(seed=0),
    "regret bound below luck": RegretBoundEvaluator(seed=0),
    "5 complete trials without a better one": BestValueStagnationEvaluator(5),
}


def complete(trials: Sequence[TrialRecord]) -> list[int]:
    return [trial.number for trial in trials if trial.complete]


class Replayed:
    """A study whose trials can be taken in any order."""

    def __init__(self, study: StoredStudy, stopping: bool) -> None:
        self.study, self.stopping = study, stopping
        self.scales = read_scales(study.run.scales, study.data.get("sha256"))
        self.trials = [trial for trial in study.trials if trial.finished]
        self.scored = cache(lambda number: daily_scores(study.predictions(number), self.scales))
        seed = study.provenance["seed"]
        self.proof = Proof(seed, False, self.scored, self.fresh)
        fresh = (self.fresh(study.trial(0), seed) for seed in self.proof.seeds)
        self.untuned = [self.scored(0), *fresh]
        self.choice = cache(self._choice)

    def fresh(self, trial: TrialRecord, seed: int) -> DailyScores:
        try:
            return daily_scores(replicate(self.study.run, trial.number, seed), self.scales)
        except TrainingMissing:
            return self.scored(trial.number)

    def in_order(self, seed: int) -> list[TrialRecord]:
        origins = self.study.provenance["first_trials"]
        fixed = sum(origin.startswith(("untuned", "portfolio")) for origin in origins)
        others = list(range(fixed, len(self.trials)))
        if seed:
            np.random.default_rng(seed).shuffle(others)
        trials = [self.trials[place] for place in (*range(fixed), *others)]
        if self.stopping:
            places = [replace(trial, number=place) for place, trial in enumerate(trials)]
            left = left_by(RULE, places, len(trials[0].curve))
            pairs = zip(left, trials, strict=True)
            trials = [replace(one, number=trial.number) for one, trial in pairs]
        return trials

    def _choice(self, numbers: tuple[int, ...]) -> int:
        trials = [self.study.trial(number) for number in numbers]
        return chosen_of(self.proof.entry(trials), 0)[0]

    def score(self, number: int) -> float:
        days, untuned = self.scored(number), self.untuned[0]
        return 50 * sum(days[n].mean() / untuned[n].mean() for n in ("mae", "winkler"))

    def ends(self, trials: Sequence[TrialRecord], rule: BaseImprovementEvaluator | None) -> int:
        """With how many trials the study ends by a rule."""
        for n in range(MIN_FINISHED, len(trials)):
            numbers = complete(trials[:n])
            if len(numbers) < MIN_COMPLETE:
                continue
            others = [self.scored(number) for number in numbers if number]
            found = prospect(self.untuned, others, len(trials) / n)
            luck = 0 if isinstance(rule, BestValueStagnationEvaluator) else found["luck"]
            if (self.by_optuna(rule, numbers) if rule else found["gain"]) <= luck:
                return n
        return len(trials)

    def by_optuna(self, rule: BaseImprovementEvaluator, numbers: Sequence[int]) -> float:
        """What a terminator of optuna says of the scores in percent; EMMR standardises them."""
        frozen = {trial.number: trial for trial in self.study.optuna_study.trials}
        scored = [
            optuna.trial.create_trial(
                params=frozen[number].params,
                distributions=frozen[number].distributions,
                value=self.score(number),
            )
            for number in numbers
        ]
        unit = np.std([trial.value for trial in scored]) if isinstance(rule, EMMREvaluator) else 1
        return float(unit * rule.evaluate(scored, StudyDirection.MINIMIZE))


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        ("runs", Path, "folder of studies"),
        ("--stopping", False, "let the rule of early stopping end trials"),
        given=given,
    )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| rule | study | trials | trainings | complete | same | loss |\n|-|-|-|-|-|-|-|")
    for run in study_runs(arguments.runs):
        stored = StoredStudy.read(run)
        if stored.finished < 20 or not stored.result["proof"]:
            continue
        study = Replayed(stored, arguments.stopping)
        for name, rule in RULES.items():
            rows = []
            for seed in range(10):
                trials = study.in_order(seed)
                n, costs = study.ends(trials, rule), np.cumsum([cost(t) for t in trials])
                early, late = (study.choice(tuple(complete(some))) for some in (trials[:n], trials))
                loss, share = study.score(early) - study.score(late), costs[n - 1] / costs[-1]
                rows.append((n, share, len(complete(trials[:n])), early == late, loss))
            n, share, whole, same, loss = np.transpose(rows)
            print(
                f"| {name} | {run.study_name} | {n.mean():.0f} of {len(trials)} | "
                f"{share.mean():.2f} | {whole.mean():.1f} | "
                f"{same.mean():.0%} | {loss.max():.2f} |",
            )


if __name__ == "__main__":
    main()
