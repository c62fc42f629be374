"""Early stopping on recorded learning curves: share of the steps that a rule spends, share of the
hypervolume it keeps.

A table of learning curves holds the scores of every check of many configurations, all trained to
the end (`measurements.record_curves`). A replay takes them in an order drawn from a seed (the
untuned defaults first, as in a study), lets a rule stop them, and compares the front of the
completed trials with the front of all, for each pair of objectives in `PAIRS`. A study of more
trials than were recorded draws them with replacement. A trial costs its factor of the default
steps, and as much of it as it was trained.

    python -m measurements.early_stopping              # rules compared, the worst over all recorded
    studies python -m measurements.early_stopping --by-study   # the rule in use, for each of them
    python -m measurements.early_stopping --studies papermill_runs  # stored studies: their cost
    under each rule

Columns: highest mean share of the steps; lowest mean share of any pair's hypervolume, in brackets
of any order; and the lowest means without the untuned defaults, for each pair of `PAIRS`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.records.study import StoredStudy, study_runs
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE
from hpo_lib.study.early_stopping import (
    CURVE_METRICS,
    LABELS,
    RULE,
    Rung,
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
    area, height = 0.0, 1.0
    for x, y in sorted(points):
        if x < 1 and y < height:
            area += (1 - x) * (height - max(y, 0.0))
            height = max(y, 0.0)
    return area


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
                    trial.number, "stopped", trial.params, curve=stop.curve, stopped_at=stop.share
                )
                break
        done.append(left)
    return done


def print_studies(runs: Path, rules: Mapping[str, StoppingRule]) -> None:
    """Trainings that stored studies would have cost under each rule, and which of the trials that
    mattered it stops.

    These are the chosen trial and the challengers of the proof. A rule can only stop trials earlier
    than the study did.
    """
    studies = [StoredStudy.read(run) for run in study_runs(runs)]
    print(
        "| rule | trainings of the trials: mean | highest | chosen or challenging, and stopped "
        "|\n|---|---|---|---|"
    )
    for name, rule in rules.items():
        costs, lost = list[float](), list[str]()
        for study in studies:
            trials = [trial for trial in study.trials if trial.finished]
            left = left_by(rule, trials, max(len(trial.curve) for trial in trials))
            complete = {trial.number for trial in left if trial.state == "complete"}
            proof = study.result.get("proof") or {"challengers": []}
            mattered = {
                study.result["best_trial_number"],
                *(c["trial"] for c in proof["challengers"]),
            }
            costs.append(sum(map(cost, left)))
            lost += [
                f"{study.model} {study.dataset} {number}" for number in sorted(mattered - complete)
            ]
        print(
            f"| {name} | {np.mean(costs):.1f} | {max(costs):.1f} | {', '.join(lost) or 'none'} |",
            flush=True,
        )


def measure(
    recorded: Recorded, rule: StoppingRule, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per seed, against no early stopping: [S] share of the steps, [S, P] of the hypervolume of
    each pair, with and without the untuned defaults.

    The defaults are never stopped and hard to beat. Without them it shows whether the best
    challengers are kept.
    """
    steps, kept, challenging = [], [], []
    others = Recorded(recorded.name, recorded.trials[1:])
    for seed in SEEDS:
        trials, everything = replay(recorded, rule, size, seed), drawn(recorded, size, seed)
        done = [trial for trial in trials if trial.state == "complete"]
        steps.append(sum(map(cost, trials)) / sum(map(cost, everything)))
        kept.append(
            [
                recorded.hypervolume(done, pair) / recorded.hypervolume(everything, pair)
                for pair in PAIRS
            ]
        )
        whole = [others.hypervolume(everything[1:], pair) for pair in PAIRS]
        challenging.append(
            [
                others.hypervolume(done[1:], p) / v if v else 1.0
                for p, v in zip(PAIRS, whole, strict=True)
            ]
        )
    return np.array(steps), np.array(kept), np.array(challenging)


def _rule(
    ranked_by: str, shares: str, keep: str, warm_up: int = 4, tolerance: float = COVERAGE_TOLERANCE
) -> StoppingRule:
    rungs = [
        Rung(float(Fraction(share)), float(k) / 100)
        for share, k in zip(shares.split(), keep.split(), strict=True)
    ]
    return StoppingRule(tuple(rungs), tuple(ranked_by.split()), warm_up, tolerance)


EIGHTHS, TENTHS, THREE, TWO, EARLY = (
    "1/8 1/4 1/2",
    "1/10 1/5 2/5",
    "1/10 3/10 3/5",
    "1/10 1/2",
    "1/10 3/10",
)


def alternatives() -> dict[str, StoppingRule]:
    """Rules that were compared, by what they rank, which share goes on where, and their warm-up."""
    former = _rule("winkler picp_penalty", EIGHTHS, "30 20 10", tolerance=0)
    at_half = _rule("mae winkler", TWO, "20 20", 3)
    found = {
        "in use": RULE,
        "of the published studies": at_half,
        f"former: {in_words(former)}, no tolerance": former,
    }
    for ranked_by in ("mae winkler", "winkler picp_penalty"):
        for shares, keep, warm_up in (
            (EIGHTHS, "40 25 12", 4),
            (EIGHTHS, "30 20 10", 4),
            (TENTHS, "40 25 12", 4),
            (TENTHS, "30 20 10", 4),
            (TENTHS, "20 20 20", 3),
            (TWO, "30 30", 3),
            (TWO, "30 30", 1),
            (TWO, "20 20", 1),
            (TWO, "15 15", 1),
            (EARLY, "20 20", 3),
            (EARLY, "30 30", 1),
            (THREE, "20 20 20", 1),
        ):
            rule = _rule(ranked_by, shares, keep, warm_up)
            found[in_words(rule)] = rule
    return found


def in_words(rule: StoppingRule) -> str:
    """``MAE, interval score; 30, 20, 10 % at 0.1, 0.2, 0.4; from 4 on``."""
    keep = ", ".join(f"{100 * rung.keep:g}" for rung in rule.rungs)
    shares = ", ".join(f"{rung.share:g}" for rung in rule.rungs)
    return (
        f"{', '.join(LABELS[name] for name in rule.ranked_by)}; {keep} % at {shares}; from "
        f"{rule.warm_up} on"
    )


def print_table(
    studies: Sequence[Recorded], sizes: Sequence[int], rules: Mapping[str, StoppingRule]
) -> None:
    """One row per rule: of the studies, and for the hypervolume with the defaults of the pairs, the
    worst ones.
    """
    print(
        "| rule |"
        + "".join(f" {size} trials: steps | hypervolume | without the defaults |" for size in sizes)
    )
    print(f"|---|{'---|---|---|' * len(sizes)}")
    for name, rule in rules.items():
        cells = [name.replace("|", r"\|")]
        for size in sizes:
            steps, kept, challenging = map(
                np.array, zip(*(measure(study, rule, size) for study in studies), strict=True)
            )
            cells += [
                f"{steps.mean(axis=1).max():.3f}",
                f"{kept.mean(axis=1).min():.3f} ({kept.min():.3f})",
            ]
            cells.append(
                ", ".join(f"{share:.3f}" for share in challenging.mean(axis=1).min(axis=0))
            )
        print(f"| {' | '.join(cells)} |", flush=True)


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        ("--table", TABLE, "CSV of recorded curves"),
        ("--sizes N", SIZES, "trials of a study"),
        ("--by-study", False, "the rule in use, for each recorded study"),
        ("--studies DIR", Path, "a folder of studies to replay instead"),
        given=given,
    )
    if arguments.studies:
        print_studies(arguments.studies, alternatives())
        return
    studies, sizes = load_table(arguments.table), list(map(int, arguments.sizes))
    if not arguments.by_study:
        print_table(studies, sizes, alternatives())
    for study in studies if arguments.by_study else ():
        print(f"\n{study.name}, {len(study.trials)} recorded trials\n")
        print_table([study], sizes, {"in use": RULE})


if __name__ == "__main__":
    main()
