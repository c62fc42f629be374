"""Early stopping on recorded learning curves: share of the steps that a rule spends, share of the hypervolume it keeps.

A table of learning curves holds the scores of every check of many configurations, all trained to the end. A replay
takes them in an order drawn from a seed (the untuned defaults first, as in a study), lets a rule stop them, and
compares the front of the completed trials with the front of all.

    python measurements/early_stopping.py                          # replay measurements/results/learning_curves.csv
    python measurements/early_stopping.py --export STUDY.db ...    # that table from studies without early stopping
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpo_lib.errors import InputError
from hpo_lib.records.selection import pareto_front
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.objectives import FORMER_PAIR
from hpo_lib.study.early_stopping import CURVE_METRICS, RULE, Curve, Rung, StoppedEarly, StoppingRule, best_check

TABLE = Path(__file__).parent / "results" / "learning_curves.csv"
COLUMNS = ("dataset", "family", "trial", "params", "step", *CURVE_METRICS)
SEEDS = range(20)
TRIALS = 40

WORTHLESS_MAE = 1.25
"""One end of the hypervolume: this multiple of the lowest recorded MAE of the dataset."""
WORTHLESS_PENALTY = 20.0
"""The other end, in percentage points: an interval that covers 60 % or everything."""


@dataclass(frozen=True)
class Recorded:
    """Trials of one family on one dataset, all trained to the end, the untuned defaults first."""

    name: str
    trials: list[TrialRecord]

    @property
    def checks(self) -> int:
        return len(self.trials[0].curve)

    def hypervolume(self, trials: Sequence[TrialRecord], reference: tuple[float, float]) -> float:
        """Share of the box between (lowest recorded MAE, 0) and the reference that the front of ``trials`` dominates.

        ``reference`` is a factor of the lowest recorded MAE and percentage points. It depends on the recorded trials
        alone, not on the rule.
        """
        ideal = min(t.mae for t in self.trials)
        area, height = 0.0, 1.0
        for t in pareto_front(trials, FORMER_PAIR):
            width = 1 - min((t.mae / ideal - 1) / (reference[0] - 1), 1)
            penalty = min(t.picp_penalty / reference[1], height)
            area += width * (height - penalty)
            height = penalty
        return area


def load_table(path: Path = TABLE) -> list[Recorded]:
    """The recorded trials, one `Recorded` per dataset and family."""
    curves: dict[tuple[str, str], dict[int, tuple[dict[str, Any], list[dict[str, float]]]]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            study = curves.setdefault((row["dataset"], row["family"]), {})
            _, curve = study.setdefault(int(row["trial"]), (json.loads(row["params"]), []))
            curve.append({"step": int(row["step"]), **{name: float(row[name]) for name in CURVE_METRICS}})
    return [
        Recorded(" ".join(key), [complete(number, params, curve) for number, (params, curve) in sorted(study.items())])
        for key, study in sorted(curves.items())
    ]


def complete(number: int, params: Mapping[str, Any], curve: Curve) -> TrialRecord:
    """A trial that was trained to the end, with the scores of its best check, as in a study."""
    best = best_check(curve)
    return TrialRecord(
        number, "complete", params, best["mae"], abs(best["picp"] - 80), scores=best, best_step=int(best["step"]),
        curve=curve,
    )  # fmt: skip


def replay(recorded: Recorded, rule: StoppingRule, seed: int) -> tuple[float, list[TrialRecord]]:
    """A study of up to 40 recorded trials in random order: share of the steps spent, and its trials."""
    first, *others = recorded.trials
    order = np.random.default_rng(seed).permutation(len(others))[: TRIALS - 1]
    trials: list[TrialRecord] = []
    spent = total = 0.0
    for number, trial in enumerate([first, *(others[i] for i in order)]):
        done = replace(trial, number=number)
        for check in range(1, recorded.checks + 1):
            try:
                rule.judge(trial.curve[:check], recorded.checks, number, trials)
            except StoppedEarly as stop:
                done = TrialRecord(number, "stopped", trial.params, curve=stop.curve, stopped_at=stop.share)
                break
        trials.append(done)
        spent += done.curve[-1]["step"]
        total += trial.curve[-1]["step"]
    return spent / total, trials


def measure(
    recorded: Recorded, rule: StoppingRule, reference: tuple[float, float] = (WORTHLESS_MAE, WORTHLESS_PENALTY)
) -> tuple[np.ndarray, np.ndarray]:
    """[S] per seed: share of the steps, and of the hypervolume that the same trials have without early stopping."""
    everything = replace(rule, rungs=())
    shares = []
    for seed in SEEDS:
        spent, trials = replay(recorded, rule, seed)
        _, full = replay(recorded, everything, seed)
        shares.append((spent, recorded.hypervolume(trials, reference) / recorded.hypervolume(full, reference)))
    return np.array(shares)[:, 0], np.array(shares)[:, 1]


def export(storages: Sequence[Path], table: Path = TABLE) -> None:
    """Write the curves of studies without early stopping as one table; storages are SQLite files.

    Trials of several studies of one family and dataset are numbered in one row, the defaults of the first study first.

    Raises:
        InputError: a storage holds stopped trials, or curves of different lengths, which cannot be replayed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows: dict[tuple[str, str], list[tuple[str, list[dict[str, float]]]]] = {}
    for path in storages:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
        for name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            if study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.PRUNED,)):
                raise InputError(f"{path}: holds stopped trials; give a study run with --no-early-stopping")
            key = study.user_attrs["identity"]["dataset"], study.user_attrs["identity"]["model"]
            for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
                rows.setdefault(key, []).append((json.dumps(trial.params), trial.user_attrs["curve"]))
    for key, trials in rows.items():
        if len({len(curve) for _, curve in trials}) != 1:
            raise InputError(f"{key}: curves differ in their number of checks; give studies of one preset")
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key, trials in sorted(rows.items()):
            for number, (params, curve) in enumerate(trials):
                for check in curve:
                    scores = (f"{check[name]:.6g}" for name in CURVE_METRICS)
                    writer.writerow((*key, number, params, int(check["step"]), *scores))


def alternatives() -> dict[str, StoppingRule]:
    """Rules that were compared with the one in use, by description."""
    by_mae_and_winkler = replace(RULE, ranked_by=("mae", "winkler"))
    return {
        "the rule in use": RULE,
        "same, by MAE and |PICP - 80|": replace(RULE, ranked_by=("mae", "picp_penalty")),
        "same, by all three": replace(RULE, ranked_by=("mae", "winkler", "picp_penalty")),
        "same, by MAE and interval score": by_mae_and_winkler,
        "that, but 45, 40, 35 % go on": replace(
            by_mae_and_winkler, rungs=(Rung(0.125, 0.45), Rung(0.25, 0.4), Rung(0.5, 0.35))
        ),
        "45, 40, 35 % go on": replace(RULE, rungs=(Rung(0.125, 0.45), Rung(0.25, 0.4), Rung(0.5, 0.35))),
        "15, 10, 5 % go on": replace(RULE, rungs=(Rung(0.125, 0.15), Rung(0.25, 0.1), Rung(0.5, 0.05))),
        "not before 1/4: 10, 5 % go on": replace(RULE, rungs=(Rung(0.25, 0.1), Rung(0.5, 0.05))),
    }


def print_table(studies: Sequence[Recorded]) -> None:
    """Per rule and study: mean share of the steps, mean and lowest share of the hypervolume over the seeds."""
    print(f"{len(SEEDS)} orders of up to {TRIALS} trials; share of the steps, of the hypervolume (mean, lowest)\n")
    print(f"{'rule':40}" + "".join(f"{study.name:>30}" for study in studies))
    for name, rule in alternatives().items():
        cells = []
        for study in studies:
            steps, kept = measure(study, rule)
            cells.append(f"{steps.mean():.3f}   {kept.mean():.4f} {kept.min():.4f}")
        print(f"{name:40}" + "".join(f"{cell:>30}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--export", type=Path, nargs="+", metavar="STUDY.db", help="write the table from these studies")
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments.export, arguments.table)
    print_table(load_table(arguments.table))


if __name__ == "__main__":
    main()
