"""What the benchmarks compare with: the libraries' own models and the straightforward way to use them."""

from typing import Any, ClassVar

import numpy as np
from darts import TimeSeries
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel
from darts.utils.likelihood_models.torch import QuantileRegression
from neuralforecast.models.timesnet import TimesBlock
from torch import nn

from hpo_lib.data.load import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.base import Params
from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.timesnet_layers import PastCovariateTimesNet
from hpo_lib.families.timesnet_q import TimesnetQ
from hpo_lib.families.windows import TrainingWindows
from hpo_lib.forecasts import QUANTILE_LEVELS


class StockTimesNet(PastCovariateTimesNet):
    """TimesNet with neuralforecast's own blocks, fed with the same columns."""

    def __init__(self, hidden_size: int, conv_hidden_size: int, top_k: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(hidden_size, conv_hidden_size, top_k, dropout, **kwargs)
        self.model = nn.ModuleList(
            TimesBlock(self.input_size, self.h, top_k, hidden_size, conv_hidden_size, num_kernels=6)
            for _ in range(self.encoder_layers)
        )


class StockTimesnetQ(TimesnetQ):
    """The family with the stock model; not registered."""

    network: ClassVar = StockTimesNet


def series(dataset: Dataset, columns: tuple[str, ...], rows: slice) -> TimeSeries:
    """float64 darts series, as a user gets them from a CSV, standardised by the training split."""
    frame = dataset.frame[list(columns)]
    train = frame.iloc[dataset.positions.train]
    scaled = (frame - train.mean()) / train.std().where(train.std() > 0, 1.0)
    return TimeSeries.from_dataframe(scaled.iloc[rows].set_axis(dataset.index[rows].tz_localize(None)), freq="h")


def plain_model(family: DartsFamily, params: Params) -> TorchForecastingModel:
    """The family's model with plain arguments, for a training of one short epoch."""
    return family.create_model(params, _COMMON)


_COMMON: dict[str, Any] = {
    "input_chunk_length": HISTORY,
    "output_chunk_length": HORIZON,
    "n_epochs": 1,
    "batch_size": 32,
    "likelihood": QuantileRegression(list(QUANTILE_LEVELS)),
    "random_state": 42,
    "pl_trainer_kwargs": {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    },
}


def predict_one_by_one(
    model: TorchForecastingModel,
    target: TimeSeries,
    covariates: dict[str, TimeSeries],
    origins: np.ndarray,
    samples: int,
) -> np.ndarray:
    """[N, H, Q] quantiles of ``samples`` sampled paths, one forecast origin after the other."""
    quantiles = []
    for origin in origins:
        path = model.predict(HORIZON, series=target[: origin + 1], num_samples=samples, verbose=False, **covariates)
        quantiles.append(np.quantile(path.all_values()[:, 0, :], QUANTILE_LEVELS, axis=1).T)
    return np.stack(quantiles)


def untrained_module(family: DartsFamily, params: Params, windows: TrainingWindows) -> PLForecastingModule:
    """The family's module with fresh weights, the same for every call."""
    model = plain_model(family, params)
    model.train_sample, model.output_dim = windows[0], 1
    return model._init_model()
