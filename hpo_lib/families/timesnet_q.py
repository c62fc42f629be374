"""TIMESNET_Q: TimesNet of `neuralforecast` with quantile outputs (Wu et al., 2023)."""

from typing import Any, ClassVar

from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import Budget, ByName, register
from hpo_lib.families.search_space import Choice, FloatRange, IntRange


class TimesnetQ(DartsFamily):
    """TimesNet reads covariates along its history only: the forecast day's calendar comes there.

    The darts wrapper is used rather than neuralforecast's own loop because it takes gathered
    windows. Past covariates then simply end at the origin, and training, best weights and
    prediction are the same as in every family.
    """

    name = "TIMESNET_Q"
    title = "TimesNet"
    colour = "#009E73"
    marker = "s"
    calendar_as_past = True
    search_space: ClassVar = {
        "hidden_size": Choice((64, 128, 256)),
        "conv_hidden_size": Choice((32, 64, 128)),
        "top_k": IntRange(2, 5),
        "lr": FloatRange(1e-5, 1e-2, log=True),
        "dropout": FloatRange(0.05, 0.4),
    }
    # Not the library's, with which it hardly learns: docs/what_was_tried.md.
    defaults: ClassVar = {
        "hidden_size": 64,
        "conv_hidden_size": 32,
        "top_k": 2,
        "lr": 1e-3,
        "dropout": 0.1,
    }
    budgets: ClassVar = {
        "test": Budget(steps=4, batch_size=8, checks=1),
        "laptop": Budget(steps=200, batch_size=32, checks=5, max_work=500),
        "a100": Budget(steps=600, batch_size=32, checks=20),
    }

    def darts_model(self, network: ByName, common: ByName) -> Any:
        from darts.models import NeuralForecastModel

        from hpo_lib.families.timesnet_layers import PastCovariateTimesNet

        return NeuralForecastModel(model=PastCovariateTimesNet, model_kwargs=network, **common)


register(TimesnetQ())
