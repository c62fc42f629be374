"""What the opponents have in common: the registry, and how a normalised forecast becomes one in the target's unit."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HORIZON, Positions, training_origins
from hpo_lib.errors import InputError, choices
from hpo_lib.families.contract import Forecaster
from hpo_lib.families.design_matrix import Design, make_design
from hpo_lib.scoring.forecasts import QuantileForecasts


class Opponent(ABC):
    """A model that the families are measured against, tuned on validation by itself: it has no study."""

    name: ClassVar[str]
    title: ClassVar[str]
    seeded: ClassVar[bool]
    """Whether another seed gives another model."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """What it is made with: a stored training with others is not the same model."""

    @abstractmethod
    def fit(self, dataset: Dataset, *, seed: int = 0, refit: bool = False, quick: bool = False) -> Forecaster:
        """Train on the training split, with every choice made by pinball loss on the validation split.

        Args:
            dataset: the dataset.
            seed: equal seeds give equal models.
            refit: train once more on training and validation split together, with what was chosen. The forecaster's
                ``validation`` is still that of the first training, which has not seen these days.
            quick: learn from the last `QUICK_DAYS` days only, and little, to see that everything works.
        """


class DesignForecaster(Forecaster):
    """A forecaster that predicts normalised quantiles from the rows of a design."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @abstractmethod
    def normalised(self, design: Design) -> np.ndarray:
        """[N, H, Q] quantiles of actual / level - 1."""

    def predict(self, frame: pd.DataFrame, origins: np.ndarray) -> QuantileForecasts:
        design = make_design(self.dataset, frame, origins)
        level = design.level[:, None]
        return QuantileForecasts(
            values=np.sort((1 + self.normalised(design)) * level[:, :, None], axis=2),
            actual=frame[self.dataset.spec.target].to_numpy()[origins[:, None] + np.arange(1, HORIZON + 1)],
            origins=pd.DatetimeIndex(frame.index[origins]),
        )

    def score_validation(self, dataset: Dataset) -> None:
        """Keep the forecasts of the dataset's validation origins as ``validation``."""
        self.validation = self.predict(dataset.frame, dataset.validation_origins)


QUICK_DAYS = 60


def origins_near_daily(dataset: Dataset, hours: int, *, quick: bool = False) -> Positions:
    """Training origins that are daily ones, from which forecasts start, or within so many hours of one."""
    near = training_origins(dataset.index, dataset.spec.splits, near_hours=hours)
    first = dataset.positions.train.stop - HORIZON - QUICK_DAYS * HORIZON
    return near[near >= first] if quick else near


_OPPONENTS = {
    "LINEAR_Q": "linear_quantile",
    "LIGHTGBM_Q": "lightgbm_quantile",
    "LIGHTGBM_LINEAR_Q": "lightgbm_quantile",
}


def opponent_names() -> tuple[str, ...]:
    """Names of all opponents, without importing any of their libraries."""
    return tuple(_OPPONENTS)


def get_opponent(name: str) -> Opponent:
    """The opponent of that name; its libraries are imported now and not before.

    Raises:
        InputError: no such opponent.
    """
    if name not in _OPPONENTS:
        raise InputError(f"model is {name!r}, which is not an opponent; {choices(name, _OPPONENTS)}")
    module = importlib.import_module(f"hpo_lib.baselines.{_OPPONENTS[name]}")
    opponent: Opponent = module.OPPONENTS[name]
    return opponent
