"""The reference: the cost of a trial that uses the libraries as their documentation suggests.

float64 series scaled by darts' MinMax scaler, batches of 32 from darts' own loader, plain Adam, a
validation pass after each epoch, the weights of the last epoch, 15 epochs, and one prediction call
of 100 sampled paths per forecast origin. Past and future covariates are stacked for N-HiTS, so that
its calendar ends at the origin. TimesNet's reference is in `reference_timesnet`.

One fix makes measuring possible: history reaches back across the start of the validation split, and
every daily origin counts instead of ten. The package itself uses nothing of this module.
"""

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from darts import TimeSeries
from darts.dataprocessing.transformers import Scaler
from darts.models import NHiTSModel, TFTModel
from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel
from darts.utils.likelihood_models.torch import QuantileRegression

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.models import Params
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts

EPOCHS = 15
BATCH_SIZE = 32
SAMPLES = 100


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what the libraries print out of the table; progress bars run into a buffer."""
    names = (
        "pytorch_lightning",
        "lightning_fabric",
        "lightning.fabric",
        "lightning.pytorch",
        "darts",
        "neuralforecast",
    )
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class ScaledSeries:
    """Target and covariates of a whole dataset as float64 darts series, scaled by the training
    split.
    """

    target: TimeSeries
    past: TimeSeries
    future: TimeSeries
    scaler: Scaler
    train: slice
    val: slice

    @classmethod
    def of(cls, dataset: Dataset) -> "ScaledSeries":
        times = dataset.index.tz_localize(None)
        train = dataset.positions.train

        def scaled(columns: tuple[str, ...]) -> tuple[TimeSeries, Scaler]:
            series = TimeSeries.from_dataframe(
                dataset.frame[list(columns)].set_axis(times), freq="h"
            )
            scaler = Scaler().fit(series[train])
            return scaler.transform(series), scaler

        target, scaler = scaled((dataset.spec.target,))
        return cls(
            target,
            scaled(dataset.past)[0],
            scaled(dataset.future)[0],
            scaler,
            train,
            dataset.positions.val,
        )

    def covariates(self, model: type[TorchForecastingModel]) -> dict[str, TimeSeries]:
        """As the model's ``fit`` and ``predict`` take them."""
        if model is TFTModel:
            return {"past_covariates": self.past, "future_covariates": self.future}
        return {"past_covariates": self.past.stack(self.future)}


class Clock(pl.Callback):
    """Seconds of each training and validation batch, from its end to the next one's."""

    def __init__(self) -> None:
        self.train: list[float] = []
        self.val: list[float] = []
        self._last: float | None = None

    def _tick(self, seconds: list[float]) -> None:
        now = time.perf_counter()
        if self._last is not None:
            seconds.append(now - self._last)
        self._last = now

    def on_train_batch_end(self, *_: Any) -> None:
        self._tick(self.train)

    def on_validation_batch_end(self, *_: Any) -> None:
        self._tick(self.val)

    def on_validation_start(self, *_: Any) -> None:
        self._last = None

    def on_train_epoch_start(self, *_: Any) -> None:
        self._last = None


def darts_model(
    model: type[TorchForecastingModel],
    params: Params,
    *,
    epochs: int = EPOCHS,
    seed: int = 42,
    **trainer: Any,
) -> TorchForecastingModel:
    """The model with the library's own training; options that are not the optimiser's go to the
    model.
    """
    architecture = {
        name: value for name, value in params.items() if name not in ("lr", "weight_decay")
    }
    return model(
        input_chunk_length=HISTORY,
        output_chunk_length=HORIZON,
        batch_size=BATCH_SIZE,
        n_epochs=epochs,
        random_state=seed,
        likelihood=QuantileRegression(quantiles=list(QUANTILE_LEVELS)),
        optimizer_kwargs={name: params[name] for name in ("lr", "weight_decay") if name in params},
        pl_trainer_kwargs={
            "logger": False,
            "enable_checkpointing": False,
            "accelerator": "cpu",
            **trainer,
        },
        **architecture,
    )


def fit(model: TorchForecastingModel, series: ScaledSeries) -> TorchForecastingModel:
    """Train with a validation pass per epoch; the last epoch's weights stay."""
    covariates = series.covariates(type(model))
    with quiet():
        return model.fit(
            series.target[series.train],
            **{role: values[series.train] for role, values in covariates.items()},
            val_series=series.target[series.val],
            **{f"val_{role}": values[series.val] for role, values in covariates.items()},
        )


class Predicts(Protocol):
    """The part of a darts model that evaluation needs."""

    def predict(self, n: int, *, series: TimeSeries, **options: Any) -> TimeSeries: ...


def forecasts(
    model: Predicts,
    series: ScaledSeries,
    dataset: Dataset,
    origins: np.ndarray,
    samples: int | None = SAMPLES,
) -> QuantileForecasts:
    """One prediction call per forecast origin, in the target's unit.

    Args: model: a fitted darts model. series: what it was trained on. dataset: the same, unscaled.
        origins: [N] positions. samples: sampled paths per origin, whose empirical quantiles are
        taken; None reads the quantiles directly.
    """
    covariates = series.covariates(type(model))  # type: ignore[arg-type]
    values = np.empty((len(origins), HORIZON, len(QUANTILE_LEVELS)))
    options = (
        {"num_samples": samples}
        if samples
        else {"num_samples": 1, "predict_likelihood_parameters": True}
    )
    with quiet():
        for row, origin in enumerate(origins):
            known = {
                role: whole[: origin + 1 + (HORIZON if role == "future_covariates" else 0)]
                for role, whole in covariates.items()
            }
            path = model.predict(HORIZON, series=series.target[: origin + 1], **known, **options)
            if samples:
                paths = series.scaler.inverse_transform(path).all_values()[:, 0, :]  # [H, samples]
                values[row] = np.quantile(paths, QUANTILE_LEVELS, axis=1).T
            else:
                values[row] = np.column_stack(
                    [_unscaled(series, column) for column in path.values().T]
                )
    return QuantileForecasts(
        values=np.sort(values, axis=2),
        actual=dataset.target.to_numpy()[origins[:, None] + np.arange(1, HORIZON + 1)],
        origins=pd.DatetimeIndex(dataset.index[origins]),
    )


def _unscaled(series: ScaledSeries, values: np.ndarray) -> np.ndarray:
    times = series.target.time_index[: len(values)]
    return series.scaler.inverse_transform(
        TimeSeries.from_times_and_values(times, values)
    ).values()[:, 0]


REFERENCE_MODELS: dict[str, type[TorchForecastingModel]] = {
    "NHITS_Q": NHiTSModel,
    "TFT_Q": TFTModel,
}
