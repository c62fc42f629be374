"""The reference for TimesNet: neuralforecast's own training loop, and one prediction call per
window.

Quantiles come directly, not sampled. Past covariates are passed as known in the future. That costs
and changes nothing, because this TimesNet reads only the history of its covariates.
"""

import numpy as np
import pandas as pd
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import TimesNet

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.models import Params
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, QuantileForecasts
from measurements.reference import BATCH_SIZE, quiet


def timesnet_frame(dataset: Dataset) -> pd.DataFrame:
    """The dataset as neuralforecast takes it."""
    frame = dataset.frame.rename(columns={dataset.spec.target: "y"}).reset_index(drop=True)
    return frame.assign(unique_id=dataset.spec.name, ds=dataset.index.tz_localize(None))


def timesnet(dataset: Dataset, params: Params, *, steps: int, windows: int = 64) -> NeuralForecast:
    """neuralforecast's TimesNet, trained by its own loop; ``windows`` is its default of windows per
    step.
    """
    model = TimesNet(
        h=HORIZON,
        input_size=HISTORY,
        futr_exog_list=[*dataset.past, *dataset.future],
        scaler_type="robust",
        loss=MQLoss(quantiles=list(QUANTILE_LEVELS)),
        max_steps=steps,
        batch_size=BATCH_SIZE,
        windows_batch_size=windows,
        hidden_size=params["hidden_size"],
        conv_hidden_size=params["conv_hidden_size"],
        top_k=params["top_k"],
        learning_rate=params["lr"],
        dropout=params["dropout"],
        logger=False,
        enable_checkpointing=False,
        accelerator="cpu",
    )
    trained = NeuralForecast(models=[model], freq="h")
    with quiet():
        trained.fit(df=timesnet_frame(dataset).iloc[dataset.positions.train])
    return trained


def timesnet_forecasts(
    trained: NeuralForecast, dataset: Dataset, origins: np.ndarray
) -> QuantileForecasts:
    """One prediction call per forecast origin, with the last week as history."""
    frame = timesnet_frame(dataset)
    values = []
    with quiet():
        for origin in origins:
            horizon = frame.iloc[origin + 1 : origin + 1 + HORIZON].drop(columns="y")
            forecast = trained.predict(
                df=frame.iloc[origin + 1 - HISTORY : origin + 1], futr_df=horizon
            )
            values.append(forecast.drop(columns=["unique_id", "ds"]).to_numpy(dtype=np.float64))
    return QuantileForecasts(
        values=np.sort(np.stack(values), axis=2),
        actual=dataset.target.to_numpy()[origins[:, None] + np.arange(1, HORIZON + 1)],
        origins=pd.DatetimeIndex(dataset.index[origins]),
    )
