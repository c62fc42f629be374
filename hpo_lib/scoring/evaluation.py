"""Walk-forward evaluation: forecasts of every daily origin -> scores."""

from dataclasses import dataclass

from hpo_lib.data.dataset import Dataset
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.seasonal_naive import SEASONAL_LAGS, seasonal_naive


@dataclass(frozen=True)
class Evaluation:
    """Scores of one set of forecasts: one number per metric, MAE and PICP per hour ahead, and how many origins."""

    scores: dict[str, float]
    by_step: dict[str, list[float]]
    n_origins: int


def evaluate(forecasts: QuantileForecasts, dataset: Dataset) -> Evaluation:
    """Score forecasts with every metric. The training split sets the scale of MASE."""
    training_target = dataset.target.to_numpy()[dataset.positions.train]
    return Evaluation(
        scores=metrics.score(forecasts, training_target),
        by_step=metrics.by_step(forecasts),
        n_origins=len(forecasts.origins),
    )


def validation_baselines(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Scores of the seasonal-naive forecasts over every validation origin, by name (``naive_24h``, ``naive_168h``)."""
    origins = dataset.validation_origins
    return {f"naive_{lag}h": evaluate(seasonal_naive(dataset, origins, lag), dataset).scores for lag in SEASONAL_LAGS}
