"""A family that needs no training, and what else replaces the real thing in tests of the study."""

import hashlib
from typing import ClassVar

import numpy as np

from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import Budget, Forecaster
from hpo_lib.families.search_space import Choice, FloatRange, IntRange
from hpo_lib.scoring.forecasts import QuantileForecasts

DEFAULTS = {"width": 4, "depth": 2, "lr": 1e-3}


def around(dataset, rng, error, half_width):
    """Forecasts of the validation split with normal errors and an interval of equal width."""
    origins = dataset.validation_origins
    actual = dataset.target.to_numpy()[origins[:, None] + np.arange(1, 25)]
    median = actual + error * rng.standard_normal(actual.shape)
    values = median[:, :, None] + half_width * np.array([-1, 0, 1])
    return QuantileForecasts(values, actual, dataset.index[origins])


class Canned(Forecaster):
    best_step = 7
    shares = (0.25, 1.0)

    def __init__(self, validation):
        self.validation = validation

    def predict(self, context):
        day_before = context.frame["water_consumption"].to_numpy()[
            context.positions[:, None] - np.arange(24)
        ]
        return QuantileForecasts.of_model(
            day_before[:, :, None] + np.array([-1, 0, 1]), context.origins
        )


class FakeFamily(DartsFamily):
    """Forecasts that follow from the parameters alone. ``before`` is called with the number of the
    call.
    """

    name = "FAKE_Q"
    title = "Fake"
    search_space: ClassVar = {
        "width": Choice((2, 4, 8)),
        "depth": IntRange(1, 4),
        "lr": FloatRange(1e-5, 1e-2, True),
    }
    defaults: ClassVar = DEFAULTS
    budgets: ClassVar = {"test": Budget(20, 8, 1), "laptop": Budget(50, 8, 1)}

    trials = 3
    """Of a study where a test does not say how many."""

    def __init__(self):
        self.calls = []
        self.seeds = []
        self.before = lambda call: None
        self.scale = 1.0
        """Of the forecasts; 0 makes all trials equal."""

    def fit(self, params, dataset, budget, *, seed, on_check=None, **_):
        self.calls.append(dict(params))
        self.seeds.append(seed)
        self.before(len(self.calls) - 1)
        return Canned(self.forecasts(params, dataset))

    def darts_model(self, *_):
        raise NotImplementedError

    def forecasts(self, params, dataset):
        digest = hashlib.sha256(repr(sorted(params.items())).encode()).digest()
        rng = np.random.default_rng(digest[0])
        half_width = 0.1 + self.scale * params["depth"] / 8
        return around(dataset, rng, self.scale / params["width"], half_width)


class Died(BaseException):
    """Leaves the worker without a word to the storage, as SIGKILL does."""
