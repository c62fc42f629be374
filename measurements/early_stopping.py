"""Early stopping on recorded learning curves: share of the steps that a rule spends, share of the
hypervolume it keeps.

A table of learning curves holds the scores of every check of many configurations, all trained to
the end (`measurements.record_curves`). A replay takes them in an order drawn from a seed (the
untuned defaults first, as in a study), lets a rule stop them, and compares the front of the
completed trials with the front of all, for each pair of objectives in `PAIRS`. A study of more
trials than were recorded draws them with replacement. A trial costs its factor of the default
steps, and as much of it as it was trained.

    python -m measurements.early_stopping

Columns: highest mean share of the steps; lowest mean share of any pair's hypervolume, in brackets
of any order; lowest mean number of complete trials, and the fewest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from optuna._hypervolume import compute_hypervolume

from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE
from hpo_lib.study.early_stopping import (
    CURVE_METRICS,
    RULE,
    StoppedEarly,
    StoppingRule,
    best_check,
)
from measurements.arguments import parsed
from measurements.record_curves import TABLE, Curve

SEEDS = range(20)
SIZES = (20, 30)
"""Trials of the studies that are replayed."""

WORTHLESS = 1.25
"""One end of the hypervolume: this multiple of the lowest recorded MAE or interval score of the
family on the data.
"""
WORTHLESS_EXCESS = 20.0
"""The other end for coverage, in percentage points beyond the tolerance: an interval that covers 55
%.
"""
PAIRS = (("mae", "picp_penalty"), ("mae", "winkler"), ("mae", "winkler_calibrated"))
"""Objectives whose hypervolume is measured."""


@dataclass(frozen=True)
class Recorded:
    """Trials of one family on one dataset, all trained to the end, the untuned defaults first."""

    name: str
    trials: list[TrialRecord]

    @property
    def checks(self) -> int:
        return len(self.trials[0].curve)

    def hypervolume(self, trials: Sequence[TrialRecord], pair: tuple[str, str]) -> float:
        """Share of the box between the best recorded values and the worthless ones that ``trials``
        dominate.

        The box depends on the recorded trials alone, not on the rule.
        """
        columns = [self._scaled(trials, name) for name in pair]
        return hypervolume(list(zip(*columns, strict=True)))

    def _scaled(self, trials: Sequence[TrialRecord], name: str) -> list[float]:
        """0 at the best, 1 at the worthless."""
        if name == "picp_penalty":
            return [
                max(0.0, t.picp_penalty - COVERAGE_TOLERANCE) / WORTHLESS_EXCESS for t in trials
            ]
        best = min(t.scores[name] for t in self.trials)
        return [(t.scores[name] / best - 1) / (WORTHLESS - 1) for t in trials]


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """Area between the points and (1, 1) that at least one of them dominates; both axes are
    minimised.
    """
    return float(compute_hypervolume(np.clip(points, 0, 1).reshape(-1, 2), np.ones(2)))


def load_table(path: Path = TABLE) -> list[Recorded]:
    """The recorded trials, one `Recorded` per dataset and family."""
    rows = pd.read_csv(path, float_precision="round_trip")
    studies: dict[str, list[TrialRecord]] = {}
    for (dataset, family, number), checks in rows.groupby(["dataset", "family", "trial"]):
        params, calibrated = json.loads(checks["params"].iloc[0]), checks["winkler_calibrated"]
        curve = checks[["step", *CURVE_METRICS]].to_dict("records")
        trial = complete(int(number), params, float(calibrated.iloc[0]), curve)
        studies.setdefault(f"{dataset} {family}", []).append(trial)
    return [Recorded(name, trials) for name, trials in studies.items()]


def complete(
    number: int, params: Mapping[str, Any], winkler_calibrated: float, curve: Curve
) -> TrialRecord:
    """A trial that was trained to the end, with the scores of its best check, as in a study."""
    best = best_check(curve)
    return TrialRecord(
        number,
        "complete",
        params,
        best["mae"],
        abs(best["picp"] - 80),
        scores={**best, "winkler_calibrated": winkler_calibrated},
        curve=curve,
    )


def cost(trial: TrialRecord) -> float:
    """In trainings of the default steps; a larger network that the budget gives fewer steps counts
    as a whole one.
    """
    return float(trial.params.get("steps_factor", 1.0) * (trial.stopped_at or 1.0))


def drawn(recorded: Recorded, size: int, seed: int) -> list[TrialRecord]:
    """A study's trials in order: the defaults, then others at random, with replacement if too few
    were recorded.
    """
    first, *others = recorded.trials
    random = np.random.default_rng(seed)
    too_few = size - 1 > len(others)
    order = (
        random.integers(len(others), size=size - 1)
        if too_few
        else random.permutation(len(others))[: size - 1]
    )
    return [first, *(others[i] for i in order)]


def replay(recorded: Recorded, rule: StoppingRule, size: int, seed: int) -> list[TrialRecord]:
    """The trials of a study as the rule leaves them."""
    trials = [
        replace(trial, number=number) for number, trial in enumerate(drawn(recorded, size, seed))
    ]
    return left_by(rule, trials, recorded.checks)


def left_by(rule: StoppingRule, trials: Sequence[TrialRecord], checks: int) -> list[TrialRecord]:
    """Trials in their study's order as a rule leaves them; one that was stopped stays so, or is
    stopped earlier.
    """
    done = list[TrialRecord]()
    for trial in trials:
        left = trial
        for check in range(1, len(trial.curve) + 1):
            try:
                rule.judge(trial.curve[:check], checks, trial.number, done)
            except StoppedEarly as stop:
                left = TrialRecord(
                    trial.number,
                    "stopped",
                    trial.params,
                    curve=trial.curve[:check],
                    stopped_at=stop.share,
                )
                break
        done.append(left)
    return done


def measure(recorded: Recorded, rule: StoppingRule, size: int) -> np.ndarray:
    """[S, 3] per seed, against no early stopping: share of the steps, the lowest share of the
    hypervolume of any pair, and complete trials.
    """
    rows = []
    for seed in SEEDS:
        trials, everything = replay(recorded, rule, size, seed), drawn(recorded, size, seed)
        done = [trial for trial in trials if trial.state == "complete"]
        steps = sum(map(cost, trials)) / sum(map(cost, everything))
        kept = (
            recorded.hypervolume(done, pair) / recorded.hypervolume(everything, pair)
            for pair in PAIRS
        )
        rows.append((steps, min(kept), len(done)))
    return np.array(rows)


RULES = {
    "in use": RULE,
    "none ends until then": StoppingRule(),
    "ranked from 4 on": StoppingRule(warm_up=4),
    "ranked from 1 on, as before": StoppingRule(warm_up=1),
}
"""Rules that were compared: other warm-ups, and those of studies from before."""


def print_table(
    studies: Sequence[Recorded], sizes: Sequence[int], rules: Mapping[str, StoppingRule]
) -> None:
    """One row per rule, of the worst of the studies."""
    columns = " steps | hypervolume | complete | fewest |"
    print("| rule |" + "".join(f" {size} trials:{columns}" for size in sizes))
    print(f"|---|{'---|' * 4 * len(sizes)}")
    for name, rule in rules.items():
        cells = [name]
        for size in sizes:
            found = np.array([measure(study, rule, size) for study in studies])
            steps, kept, complete = found.mean(axis=1).T
            cells += [f"{steps.max():.3f}", f"{kept.min():.3f} ({found[:, :, 1].min():.3f})"]
            cells += [f"{complete.min():.1f}", f"{found[:, :, 2].min():.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def main(given: Sequence[str] | None = None) -> None:
    parsed(__doc__, given=given)
    print_table(load_table(), SIZES, RULES)


if __name__ == "__main__":
    main()
