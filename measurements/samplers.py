"""Optuna's samplers in replay: which one finds a front with 20 or 30 trials of the wide space?

Nothing is trained. For each recorded table (a family on a dataset,
`measurements/results/wide_curves.csv`) a random forest per score answers instead. Tables have 6 to
20 configurations for 13 dimensions, so the forests are crude: they know the main effects at best,
have no noise, and cannot be better than the best recorded trial. They can tell whether a sampler
handles the conditional space and learns from few trials, not which one is best by a few per cent.

Every study begins with the defaults and the portfolio, as in `hpo run`. The share of the
hypervolume is that of the front of 1000 random configurations; its box goes from their lowest MAE
(interval score) to 1.1 times that, and from 0 to 15 points of coverage beyond the tolerance.

    python -m measurements.samplers [--table TABLE.csv] [--seeds 20] [--samplers NAME ...]
"""

import argparse
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from sklearn.ensemble import RandomForestRegressor

from hpo_lib.families.models import Family, get_family
from hpo_lib.families.search_space import Dimension, FloatRange, is_drawn
from hpo_lib.records.optuna_trials import distribution
from hpo_lib.scoring.objectives import COVERAGE_TOLERANCE
from measurements.early_stopping import Recorded, hypervolume, load_table
from measurements.record_curves import TABLE

LENGTHS = (20, 30)
WORTHLESS = {"mae": 1.1, "winkler": 1.1}
WORTHLESS_EXCESS = 15.0
PAIRS = (("mae", "winkler"), ("mae", "excess"))

Make = Callable[[int, int], optuna.samplers.BaseSampler]
"""Takes a seed and the number of trials that the study has already."""


def grouped(startup: int) -> Make:
    return lambda seed, _: optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=startup, multivariate=True, group=True
    )


def plain(startup: int) -> Make:
    return lambda seed, _: optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=startup, multivariate=False
    )


SAMPLERS: Mapping[str, Make] = {
    "random": lambda seed, _: optuna.samplers.RandomSampler(seed=seed),
    "NSGA-II, population 10": lambda seed, _: optuna.samplers.NSGAIISampler(
        seed=seed, population_size=10
    ),
    "TPE, 10 random": plain(10),
    "TPE, 4 random": plain(4),
    "TPE grouped, 10 random": grouped(10),
    "TPE grouped, 6 random": grouped(6),
    "TPE grouped, 4 random": grouped(4),
    "Gaussian process, 6 random": lambda seed, _: optuna.samplers.GPSampler(
        seed=seed, n_startup_trials=6
    ),
}


class Surrogate:
    """Scores of any configuration of the space that was recorded, by random forests."""

    def __init__(self, recorded: Recorded, family: Family) -> None:
        wide = "wide" if "linear_part" in recorded.trials[0].params else "plan"
        self.space, self.defaults = family.searched(wide), family.untuned(wide)
        x = np.array([self.features(t.params) for t in recorded.trials])
        scores = [
            {**t.scores, "excess": max(0.0, t.picp_penalty - COVERAGE_TOLERANCE)}
            for t in recorded.trials
        ]
        self.forests = {
            name: RandomForestRegressor(30, random_state=0).fit(
                x, [score[name] for score in scores]
            )
            for name in ("mae", "winkler", "excess")
        }
        for forest in self.forests.values():
            forest.set_params(n_jobs=1)

    def features(self, params: Mapping[str, Any]) -> list[float]:
        """One number per dimension; one that is not drawn has the default's value."""
        full = {**self.defaults, **params}
        return [
            float(np.log(full[name]))
            if isinstance(dimension, FloatRange) and dimension.log
            else float(full[name])
            for name, dimension in self.space.items()
        ]

    def scores(self, configurations: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        x = np.array([self.features(params) for params in configurations])
        return {
            name: np.mean(
                [tree.tree_.predict(x.astype(np.float32))[:, 0] for tree in forest.estimators_],
                axis=0,
            )
            for name, forest in self.forests.items()
        }


def ask(study: optuna.Study, space: Mapping[str, Dimension]) -> optuna.Trial:
    """The next trial, drawn as `hpo_lib.study.trial_queue` does."""
    trial = study.ask()
    for name, dimension in space.items():
        if is_drawn(name, trial.params):
            trial._suggest(name, distribution(dimension))
    return trial


def measure(
    surrogate: Surrogate, make: Make, first: list[dict[str, Any]], pair: tuple[str, str], seeds: int
) -> Any:
    """[seeds, lengths] share of the hypervolume."""
    random = optuna.create_study(
        directions=["minimize"] * 2, sampler=optuna.samplers.RandomSampler(seed=1)
    )
    many = surrogate.scores([*first, *(ask(random, surrogate.space).params for _ in range(1000))])
    points = np.stack([many[name] for name in pair], axis=1)
    low = np.array([many[name].min() if name in WORTHLESS else 0.0 for name in pair])
    high = np.array(
        [
            many[name].min() * WORTHLESS[name] if name in WORTHLESS else WORTHLESS_EXCESS
            for name in pair
        ]
    )

    def dominated(values: np.ndarray) -> float:
        return hypervolume([(float(x), float(y)) for x, y in (values - low) / (high - low)])

    shares = []
    for seed in range(seeds):
        study = optuna.create_study(directions=["minimize"] * 2)
        values: list[list[float]] = []
        for number in range(max(LENGTHS)):
            if number < len(first):
                study.enqueue_trial(first[number])
            study.sampler = make(1000 * seed + number, number)
            trial = ask(study, surrogate.space)
            found = surrogate.scores([trial.params])
            values.append([float(found[name][0]) for name in pair])
            study.tell(trial, values[-1])
        shares.append([dominated(np.array(values[:n])) / dominated(points) for n in LENGTHS])
    return np.array(shares)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    tables = load_table(arguments.table)
    surrogates = []
    for one in tables:
        _, name = one.name.split()
        family = get_family(name)
        surrogate = Surrogate(one, family)
        won = [
            params for params in family.portfolio.values() if set(surrogate.space) >= set(params)
        ]
        first = [surrogate.defaults, *won]
        surrogates.append((surrogate, first))
        print(f"{one.name}: {len(one.trials)} configurations, {len(first)} first trials")
    print(f"\nmean share of the hypervolume (lowest), {arguments.seeds} seeds, all tables\n")
    header = (f"{' and '.join(pair)}, {n} trials" for pair in PAIRS for n in LENGTHS)
    print(f"| sampler | {' | '.join(header)} |")
    for sampler in arguments.samplers:
        cells = []
        for pair in PAIRS:
            shares = np.concatenate(
                [
                    measure(s, SAMPLERS[sampler], first, pair, arguments.seeds)
                    for s, first in surrogates
                ]
            )
            cells += [
                f"{shares[:, i].mean():.3f} ({shares[:, i].min():.3f})" for i in range(len(LENGTHS))
            ]
        print(f"| {sampler} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
