"""How well learning curve and hyperparameters predict a trial's final scores, and the cost of choosing by that.

At each share of the steps a forest predicts the final scores of each recorded trial. It was trained on all *other*
trials (leave-one-out), so it knows more than any rule in a running study. "Cost" is the share of all steps if every
trial is trained up to there, and then only as many of the most promising ones as keep 99 % of the hypervolume. No rule
with one rung does better on this prediction.

    python -m measurements.predictability      # of measurements/results/learning_curves.csv
"""

import math
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from hpo_lib.records.trial import TrialRecord
from hpo_lib.study.early_stopping import best_check
from measurements.early_stopping import WORTHLESS_MAE, WORTHLESS_PENALTY, Recorded, load_table

SHARES = (0.125, 0.25, 0.5, 0.75)
LOGARITHMIC = ("lr", "weight_decay", "layer_widths")
KEPT = 0.99


def known(trial: TrialRecord, checks: int) -> list[float]:
    """What is known of a trial after ``checks`` checks: hyperparameters, its best check and its last one."""
    params = [math.log(value) if name in LOGARITHMIC else value for name, value in trial.params.items()]
    best, last = best_check(trial.curve[:checks]), trial.curve[checks - 1]
    scores = [math.log(best["mae"]), math.log(best["winkler"]), best["picp"], math.log(last["mae"]), last["picp"]]
    return [*params, *scores, math.log(last["pinball"])]


def predicted(trials: Sequence[TrialRecord], checks: int, final: np.ndarray) -> np.ndarray:
    """[N] final values, each predicted from the other trials."""
    features = np.array([known(trial, checks) for trial in trials])
    forest = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=0)
    return np.asarray(cross_val_predict(forest, features, final, cv=LeaveOneOut()))


def by_dominance(mae: np.ndarray, penalty: np.ndarray) -> list[int]:
    """Trials by predicted front: the defaults, which are always trained, then front after front."""
    order, left = [0], set(range(1, len(mae)))
    while left:
        front = [i for i in left if not any(mae[j] < mae[i] and penalty[j] < penalty[i] for j in left)]
        order += sorted(front, key=lambda i: float(mae[i]))
        left -= set(front)
    return order


def cost(recorded: Recorded, checks: int, order: Sequence[int]) -> float:
    """Share of the steps if all trials have ``checks`` checks, and the first of ``order`` that suffice the others."""
    trials, reference = recorded.trials, (WORTHLESS_MAE, WORTHLESS_PENALTY)
    aim = KEPT * recorded.hypervolume(trials, reference)
    enough = next(
        k for k in range(1, len(order) + 1) if recorded.hypervolume([trials[i] for i in order[:k]], reference) >= aim
    )
    steps = np.array([trial.curve[-1]["step"] for trial in trials])
    so_far = checks / recorded.checks
    return float(so_far + (1 - so_far) * steps[list(order[:enough])].sum() / steps.sum())


def main() -> None:
    print("| trials | share of the steps | R2 of the final MAE | R2 of the final PICP | cost of 99 % |")
    print("|---|---|---|---|---|")
    for recorded in load_table():
        mae = np.log([trial.mae for trial in recorded.trials])
        picp = np.array([trial.scores["picp"] for trial in recorded.trials])
        for share in SHARES:
            checks = math.ceil(share * recorded.checks)
            guesses = [predicted(recorded.trials, checks, final) for final in (mae, picp)]
            explained = [1 - np.mean((g - y) ** 2) / np.var(y) for g, y in zip(guesses, (mae, picp), strict=True)]
            order = by_dominance(guesses[0], abs(guesses[1] - 80))
            cells = [f"{len(recorded.trials)} {recorded.name}", f"{share:g}", *(f"{r:.2f}" for r in explained)]
            print(f"| {' | '.join(cells)} | {cost(recorded, checks, order):.2f} |", flush=True)


if __name__ == "__main__":
    main()
