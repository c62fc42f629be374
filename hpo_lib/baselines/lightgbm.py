"""LIGHTGBM_Q: gradient-boosted trees with the pinball loss, one model per quantile level.

Ke et al., 2017. The hour ahead is a feature, so one model serves all 24.
The settings were chosen by validation pinball loss on the development splits of the real datasets,
one change at a time and with one seed, so differences of a percent mean little. docs/methodology.md
lists the comparisons.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hpo_lib.baselines.contract import (
    OF_THE_YEAR,
    Baseline,
    TableForecaster,
    learnt_origins,
    shows_seasons,
)
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.feature_table import FeatureTable, level_floor, make_feature_table
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import register
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

if TYPE_CHECKING:
    from lightgbm import Booster
    from lightgbm import Dataset as LightgbmDataset

PARAMS: dict[str, Any] = {
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "extra_trees": True,
}
MAX_ROUNDS = 3000
QUICK_ROUNDS = 20
EARLY_STOPPING_ROUNDS = 100
"""Rounds without a lower validation loss after which a level stops."""

NEAR_HOURS = 1
"""Training origins are within this many hours of a daily one."""


class LightgbmForecaster(TableForecaster):
    """One booster per level, with or without a linear baseline."""

    def __init__(
        self,
        dataset: Dataset,
        seasons: bool,
        linear: LinearBaseline | None,
        boosters: list["Booster"],
        rounds: list[int],
    ) -> None:
        super().__init__(dataset, seasons)
        self.linear, self.boosters, self.rounds = linear, boosters, rounds
        self.best_step = max(rounds)

    def normalised(self, table: FeatureTable) -> np.ndarray:
        expected = None if self.linear is None else self.linear.relative(table)
        rows, _ = _rows(table, self.seasons, expected)
        predicted = [
            b.predict(rows, num_iteration=r)
            for b, r in zip(self.boosters, self.rounds, strict=True)
        ]
        values = np.stack(
            [np.asarray(value).reshape(table.target.shape) for value in predicted], axis=2
        )
        return values if expected is None else np.asarray(values + expected[:, :, None])


class LightgbmQuantile(Baseline):
    """Early stopping on validation chooses the rounds of each level."""

    name = "LIGHTGBM_Q"
    title = "LightGBM"
    colour, marker = "#CC79A7", "D"
    seeded = True
    settings: ClassVar[Mapping[str, Any]] = {
        **PARAMS,
        "near_hours": NEAR_HOURS,
        "linear_part": False,
    }

    def train(
        self, dataset: Dataset, seed: int, quick: bool, chosen: LightgbmForecaster | None = None
    ) -> LightgbmForecaster:
        import lightgbm  # slow to import

        origins = learnt_origins(dataset, NEAR_HOURS, quick=quick)
        table = make_feature_table(dataset, dataset.windows(origins))
        linear, expected, seasons = None, None, shows_seasons(dataset, chosen)
        if self.settings["linear_part"]:
            linear = LinearBaseline.of_table(table, level_floor(dataset), LinearOptions(seasons))
            expected = linear.relative_out_of_fold(table, origins)
        train = _data(table, seasons, expected)
        most = QUICK_ROUNDS if quick else MAX_ROUNDS
        rounds = [most] * len(QUANTILE_LEVELS) if chosen is None else chosen.rounds
        valid: list[LightgbmDataset] = []
        callbacks: list[Callable[..., Any]] = []
        if chosen is None:
            validation = make_feature_table(dataset, dataset.windows(dataset.validation_origins))
            ahead = None if linear is None else linear.relative(validation)
            valid.append(_data(validation, seasons, ahead, like=train))
            callbacks.append(lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False))
        boosters, best_rounds = [], []
        for level, most in zip(QUANTILE_LEVELS, rounds, strict=True):
            asked = {"objective": "quantile", "metric": "quantile", "alpha": level, "seed": seed}
            steady = {
                "num_threads": 1,
                "deterministic": True,
                "force_row_wise": True,
                "verbose": -1,
            }
            booster = lightgbm.train(
                {**PARAMS, **asked, **steady}, train, most, valid_sets=valid, callbacks=callbacks
            )
            boosters.append(booster)
            best_rounds.append(booster.best_iteration if valid else most)
        return LightgbmForecaster(dataset, seasons, linear, boosters, best_rounds)


class LightgbmLinearQuantile(LightgbmQuantile):
    """The trees forecast the residuals of the linear baseline, as the families do."""

    name = "LIGHTGBM_LINEAR_Q"
    title = "Linear + LightGBM"
    colour, marker = "#882255", "d"
    settings: ClassVar[Mapping[str, Any]] = {**LightgbmQuantile.settings, "linear_part": True}


def _rows(
    table: FeatureTable, seasons: bool, expected: np.ndarray | None
) -> tuple[np.ndarray, list[str]]:
    """[N H, F] the features that the trees see, and their names.

    The linear baseline's forecasts [N, H] are one of them, if given.
    """
    shown = [i for i, name in enumerate(table.names) if seasons or name not in OF_THE_YEAR]
    added = {} if expected is None else {"linear": expected[:, :, None]}
    features = np.concatenate([table.features[:, :, shown], *added.values()], axis=2)
    return features.reshape(-1, features.shape[2]), [*(table.names[i] for i in shown), *added]


def _data(
    table: FeatureTable,
    seasons: bool,
    expected: np.ndarray | None,
    like: "LightgbmDataset | None" = None,
) -> "LightgbmDataset":
    """The trees' training data or, with ``like``, their validation data.

    The loss of the latter is in the target's unit.
    """
    import lightgbm

    rows, names = _rows(table, seasons, expected)
    return lightgbm.Dataset(
        rows,
        (table.target if expected is None else table.target - expected).ravel(),
        weight=None if like is None else np.repeat(table.level, table.target.shape[1]),
        reference=like,
        feature_name=names,
        free_raw_data=False,
        params={"verbose": -1},
    )


register(LightgbmQuantile())
register(LightgbmLinearQuantile())
