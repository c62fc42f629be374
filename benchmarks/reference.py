"""What the benchmarks compare with: the libraries' own models and the straightforward way to use them."""

from typing import Any, ClassVar

import numpy as np
import torch
from darts import TimeSeries
from darts.models import NHiTSModel
from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel
from darts.utils.likelihood_models.torch import QuantileRegression
from neuralforecast.models.timesnet import TimesBlock
from torch import nn

from hpo_lib.data.load import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.base import Params
from hpo_lib.families.timesnet_layers import PastCovariateTimesNet
from hpo_lib.families.timesnet_q import TimesnetQ
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


def plain_nhits(params: Params, epochs: int) -> NHiTSModel:
    """N-HiTS as a tutorial has it: batches of 32, a constant learning rate, a validation pass per epoch."""
    return NHiTSModel(
        input_chunk_length=HISTORY,
        output_chunk_length=HORIZON,
        num_stacks=params["num_stacks"],
        num_blocks=params["num_blocks"],
        num_layers=params["num_layers"],
        layer_widths=params["layer_widths"],
        dropout=params["dropout"],
        n_epochs=epochs,
        batch_size=32,
        likelihood=QuantileRegression(list(QUANTILE_LEVELS)),
        optimizer_kwargs={"lr": params["lr"], "weight_decay": params["weight_decay"]},
        random_state=42,
        pl_trainer_kwargs={"logger": False, "enable_checkpointing": False, "enable_progress_bar": False},
    )


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


def untrained_module(family: Any, params: Params, dataset: Dataset, sample: Any, seed: int = 1) -> nn.Module:
    """The family's module with fresh weights, without training."""
    model = family.create_model(
        params,
        {
            "input_chunk_length": HISTORY,
            "output_chunk_length": HORIZON,
            "likelihood": QuantileRegression(quantiles=list(QUANTILE_LEVELS)),
            "random_state": seed,
            "pl_trainer_kwargs": {"accelerator": "auto", "logger": False},
        },
    )
    model.train_sample = sample
    model.output_dim = 1
    module: nn.Module = model._init_model()
    return module.to("cuda" if torch.cuda.is_available() else "cpu")
