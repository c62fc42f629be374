"""Walk-forward evaluation: forecasts of every daily origin -> scores."""

from hpo_lib.data.dataset import Dataset
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.seasonal_naive import SEASONAL_LAGS, seasonal_naive


def evaluate(forecasts: QuantileForecasts, dataset: Dataset) -> dict[str, float]:
    """Score forecasts [N, H, Q] with every metric. The training split sets the scale of MASE.

    ``winkler_calibrated`` and ``picp_calibrated`` are scores after the rolling correction, which knows the errors of
    these forecasts alone: the first days stay as they are.
    """
    corrected = calibrate(forecasts, None, dataset.known_target, Calibration("rolling"))
    return {
        **metrics.score(forecasts, dataset.training_target),
        "winkler_calibrated": metrics.winkler(corrected),
        "picp_calibrated": metrics.picp(corrected),
    }


def validation_baselines(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Scores of the seasonal-naive forecasts over every validation origin, by name (``naive_24h``, ``naive_168h``)."""
    origins = dataset.validation_origins
    return {f"naive_{lag}h": evaluate(seasonal_naive(dataset, origins, lag), dataset) for lag in SEASONAL_LAGS}
