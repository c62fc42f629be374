"""Early stopping on recorded learning curves: share of the steps that a rule spends, share of the hypervolume it keeps.

A table of learning curves holds the scores of every check of many configurations, all trained to the end
(`measurements.record_curves`). A replay takes them in an order drawn from a seed (the untuned defaults first, as in a
study), lets a rule stop them, and compares the front of the completed trials with the front of all, for each pair of
objectives in `PAIRS`. A study of more trials than were recorded draws them with replacement. A trial costs its factor
of the default steps, and as much of it as it was trained.

    python -m measurements.early_stopping                        # rules compared, for studies of 20 and 30 trials
    python -m measurements.early_stopping --sizes 20 --only heat_dev
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE
from hpo_lib.study.early_stopping import CURVE_METRICS, RULE, Rung, StoppedEarly, StoppingRule, best_check
from measurements.record_curves import TABLE, Curve

SEEDS = range(20)
SIZES = (20, 30)
"""Trials of the studies that are replayed."""

WORTHLESS = 1.25
"""One end of the hypervolume: this multiple of the lowest recorded MAE or interval score of the family on the data."""
WORTHLESS_EXCESS = 20.0
"""The other end for coverage, in percentage points beyond the tolerance: an interval that covers 55 %."""
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
        """Share of the box between the best recorded values and the worthless ones that ``trials`` dominate.

        The box depends on the recorded trials alone, not on the rule.
        """
        columns = [self._scaled(trials, name) for name in pair]
        return hypervolume(list(zip(*columns, strict=True)))

    def _scaled(self, trials: Sequence[TrialRecord], name: str) -> list[float]:
        """0 at the best, 1 at the worthless."""
        if name == "picp_penalty":
            return [max(0.0, t.picp_penalty - COVERAGE_TOLERANCE) / WORTHLESS_EXCESS for t in trials]
        best = min(t.scores[name] for t in self.trials)
        return [(t.scores[name] / best - 1) / (WORTHLESS - 1) for t in trials]


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """Area between the points and (1, 1) that at least one of them dominates; both axes are minimised."""
    area, height = 0.0, 1.0
    for x, y in sorted(points):
        if x < 1 and y < height:
            area += (1 - x) * (height - max(y, 0.0))
            height = max(y, 0.0)
    return area


def load_table(path: Path = TABLE) -> list[Recorded]:
    """The recorded trials, one `Recorded` per dataset and family."""
    curves: dict[tuple[str, str], dict[int, tuple[dict[str, Any], float, list[dict[str, float]]]]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            study = curves.setdefault((row["dataset"], row["family"]), {})
            first = json.loads(row["params"]), float(row["winkler_calibrated"]), []
            *_, curve = study.setdefault(int(row["trial"]), first)
            curve.append({"step": int(row["step"]), **{name: float(row[name]) for name in CURVE_METRICS}})
    return [
        Recorded(" ".join(key), [complete(number, *trial) for number, trial in sorted(study.items())])
        for key, study in sorted(curves.items())
    ]


def complete(number: int, params: Mapping[str, Any], winkler_calibrated: float, curve: Curve) -> TrialRecord:
    """A trial that was trained to the end, with the scores of its best check, as in a study."""
    best = best_check(curve)
    return TrialRecord(
        number, "complete", params, best["mae"], abs(best["picp"] - 80),
        scores={**best, "winkler_calibrated": winkler_calibrated}, curve=curve,
    )  # fmt: skip


def cost(trial: TrialRecord) -> float:
    """In trainings of the default steps; a larger network that the budget gives fewer steps counts as a whole one."""
    return float(trial.params.get("steps_factor", 1.0) * (trial.stopped_at or 1.0))


def drawn(recorded: Recorded, size: int, seed: int) -> list[TrialRecord]:
    """A study's trials in order: the defaults, then others at random, with replacement if too few were recorded."""
    first, *others = recorded.trials
    random = np.random.default_rng(seed)
    too_few = size - 1 > len(others)
    order = random.integers(len(others), size=size - 1) if too_few else random.permutation(len(others))[: size - 1]
    return [first, *(others[i] for i in order)]


def replay(recorded: Recorded, rule: StoppingRule, size: int, seed: int) -> list[TrialRecord]:
    """The trials of a study as the rule leaves them."""
    trials: list[TrialRecord] = []
    for number, trial in enumerate(drawn(recorded, size, seed)):
        done = replace(trial, number=number)
        for check in range(1, recorded.checks + 1):
            try:
                rule.judge(trial.curve[:check], recorded.checks, number, trials)
            except StoppedEarly as stop:
                done = TrialRecord(number, "stopped", trial.params, curve=stop.curve, stopped_at=stop.share)
                break
        trials.append(done)
    return trials


def measure(recorded: Recorded, rule: StoppingRule, size: int) -> tuple[np.ndarray, np.ndarray]:
    """[S] share of the steps and [S, P] share of the hypervolume of each pair, per seed, against no early stopping."""
    steps, kept = [], []
    for seed in SEEDS:
        trials, everything = replay(recorded, rule, size, seed), drawn(recorded, size, seed)
        done = [trial for trial in trials if trial.state == "complete"]
        steps.append(sum(map(cost, trials)) / sum(map(cost, everything)))
        kept.append([recorded.hypervolume(done, pair) / recorded.hypervolume(everything, pair) for pair in PAIRS])
    return np.array(steps), np.array(kept)


def _rungs(*rungs: tuple[float, float]) -> tuple[Rung, ...]:
    return tuple(Rung(share, keep) for share, keep in rungs)


FORMER = StoppingRule(_rungs((0.125, 0.3), (0.25, 0.2), (0.5, 0.1)), ("winkler", "picp_penalty"), 4)


def alternatives() -> dict[str, StoppingRule]:
    """Rules that were compared with the one in use, by description."""
    return {"in use": RULE, "former": FORMER}


def print_table(studies: Sequence[Recorded], sizes: Sequence[int]) -> None:
    """Per rule, study and size: mean share of the steps, and of the hypervolumes mean and lowest over the seeds."""
    names = " | ".join(f"{' and '.join(pair)}" for pair in PAIRS)
    print(f"{len(SEEDS)} orders; share of the hypervolume (lowest) for the pairs\n")
    print(f"| rule | study | recorded | trials | steps | {names} |")
    print(f"|---|---|---|---|---|{'---|' * len(PAIRS)}")
    for name, rule in alternatives().items():
        for size in sizes:
            for study in studies:
                steps, kept = measure(study, rule, size)
                cells = [f"{mean:.3f} ({low:.3f})" for mean, low in zip(kept.mean(0), kept.min(0), strict=True)]
                row = name, study.name, str(len(study.trials)), str(size), f"{steps.mean():.3f}", *cells
                print(f"| {' | '.join(row)} |", flush=True)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="trials of a study")
    parser.add_argument("--only", default="", help="studies whose name has this in it")
    arguments = parser.parse_args(given)
    studies = [study for study in load_table(arguments.table) if arguments.only in study.name]
    print_table(studies, arguments.sizes)


if __name__ == "__main__":
    main()
