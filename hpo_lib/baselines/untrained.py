"""Models that learn nothing: the seasonal naive forecasts, and blends of other models."""

from hpo_lib.data.context import Context
from hpo_lib.data.dataset import Dataset
from hpo_lib.families.models import Forecaster, Model, register
from hpo_lib.scoring.evaluation import naive_ahead
from hpo_lib.scoring.forecasts import QuantileForecasts


class SeasonalNaive(Model):
    """The hours of one season before, with an interval from the errors that this has made."""

    kind = "naive"

    def __init__(self, lag: int, colour: str, marker: str) -> None:
        self.lag, self.name, self.title = lag, f"NAIVE_{lag}H", f"Naive {lag} h"
        self.colour, self.marker = colour, marker

    def fit(self, dataset: Dataset) -> Forecaster:
        """A forecaster of this dataset, with forecasts of its validation origins."""
        return _NaiveForecaster(dataset, self.lag)


class _NaiveForecaster(Forecaster):
    best_step = 0

    def __init__(self, dataset: Dataset, lag: int) -> None:
        self.dataset, self.lag = dataset, lag
        self.validation = self.forecasts(dataset, dataset.validation_origins)

    def predict(self, context: Context) -> QuantileForecasts:
        return naive_ahead(self.dataset, context, self.lag)


class Blend(Model):
    """The weighted mean of the families' quantiles, made from a benchmark's rows."""

    name, title, kind = "BLEND", "Blend", "blend"
    colour, marker = "#56B4E9", "P"


class BlendAll(Blend):
    """The same with the trained baselines."""

    name, title = "BLEND_ALL", "Blend, all"
    colour, marker = "#000000", "X"


register(SeasonalNaive(24, "#777777", "x"))
register(SeasonalNaive(168, "#aaaaaa", "+"))
register(Blend())
register(BlendAll())
