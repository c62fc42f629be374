"""Early stopping: a trial ends at a rung where too many others are better in both scores.

It is successive halving without waiting (ASHA, Li et al., 2020), where better means a lower MAE and
a lower interval score at the same share of the steps. `measurements/early_stopping.py` replays
recorded learning curves under this rule and others.
"""

from dataclasses import dataclass

from hpo_lib.records.trial import Curve, Trials, default_trial, n_complete
from hpo_lib.scoring.objectives import Scores

CURVE_METRICS = ("mae", "picp", "pinball", "winkler")
"""Scores that a `Curve` keeps of every check of a training, beside its ``step``."""

RANKED_BY = ("mae", "winkler")
"""A trial beats another if none of these scores is higher and one is lower."""


class StoppedEarly(Exception):
    """Ends a training from one of its checks; holds the share of the steps so far."""

    def __init__(self, reason: str, share: float) -> None:
        super().__init__(reason)
        self.share = share


@dataclass(frozen=True)
class Rung:
    """Trials are compared at this share of their steps; about the best ``keep`` of them go on."""

    share: float
    keep: float


@dataclass(frozen=True)
class StoppingRule:
    """When to stop a trial early. The defaults were chosen by replay, see docs/performance.md.

    Attributes:
        rungs: by ascending share of the steps.
        warm_up: complete trials before trials are ranked; until then one ends if the untuned
            defaults were better by more than ``margin`` at the same check.
        margin: a share of both scores; None: no trial ends until then, as in older studies.
    """

    rungs: tuple[Rung, ...] = (Rung(0.1, 0.2), Rung(0.3, 0.2))
    warm_up: int = 5
    margin: float | None = None

    def rung_at(self, check: int, checks: int) -> Rung | None:
        """The rung that the ``check``-th of ``checks`` even ones is the first to reach.

        None at the last check, and if the rung lies 0.2 of the steps back or more.
        """
        before = (check - 1) / checks
        share = check / checks
        for rung in reversed(self.rungs):
            if before < rung.share <= share < min(1, rung.share + 0.2):
                return rung
        return None

    def judge(self, curve: Curve, checks: int, number: int, trials: Trials) -> None:
        """Let the trial go on or end it, at its last check so far.

        It ends if at least a share ``keep`` of all trials that reached this rung, itself included,
        beat it by `RANKED_BY`. Each trial counts with its best check (by pinball loss) up to the
        rung, whose weights it would keep. The trial of the untuned defaults is never stopped.

        Args: curve: this trial's checks so far. checks: checks of a whole training. number: of this
            trial. trials: of the study, with or without this one; it is compared with the complete
            and stopped ones.

        Raises:
            StoppedEarly: it ends.
        """
        check = len(curve)
        rung = self.rung_at(check, checks)
        if rung is None or not trials or number == (default := default_trial(trials)).number:
            return
        best = best_check(curve)
        share = check / checks
        after = f"in MAE and interval score after {share:.0%} of their steps"
        if n_complete(trials) < self.warm_up:
            if self.margin is None or not default.complete:
                return
            untuned = best_check(default.curve[:check])
            if all(best[name] > (1 + self.margin) * untuned[name] for name in RANKED_BY):
                raise StoppedEarly(
                    f"the untuned defaults were more than {self.margin:.0%} better {after}", share
                )
            return
        reached = [
            best_check(t.curve[:check])
            for t in trials
            if t.number != number and t.state in ("complete", "stopped") and len(t.curve) >= check
        ]
        higher = [[other[name] - best[name] for name in RANKED_BY] for other in reached]
        better = sum(max(by) <= 0 > min(by) for by in higher)
        if better >= rung.keep * (len(reached) + 1):
            raise StoppedEarly(
                f"{better} of {len(reached)} other trials were better {after}", share
            )


def best_check(curve: Curve) -> Scores:
    """The first check with the lowest pinball loss, whose weights a training keeps."""
    return min(curve, key=lambda scores: scores["pinball"])


RULE = StoppingRule(margin=0.02)
"""The rule of every new study; an older one goes on with its own."""
