"""Training and prediction shared by the families with a darts model.

A family makes its darts model. This module trains it with Lightning on gathered windows, scores
every validation origin at each check, keeps the best weights by validation pinball loss, and
predicts quantiles directly.
"""

import copy
import gc
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel
from darts.utils.data.torch_datasets.utils import ModuleStage, TorchTrainingSample
from darts.utils.likelihood_models.torch import QuantileRegression

from hpo_lib import stop_requests
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import DAY_COLUMNS
from hpo_lib.data.information_set import Context, Windows
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.families.linear_baseline import MEDIAN
from hpo_lib.families.models import Budget, ByName, Family, Forecaster, OnCheck, Params, Recipe
from hpo_lib.families.windows import (
    Scaling,
    TrainingWindows,
    WindowSource,
    future_columns,
    learnt_origins,
    past_columns,
    weather_ahead,
)
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS, NonFiniteForecast, QuantileForecasts
from hpo_lib.scoring.uncertainty import BLOCK_DAYS


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence what Lightning, darts and neuralforecast print; errors still come through."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(disabled)


SHARES = [i / 20 for i in range(21)]

CLEARLY = 0.5
"""Standard errors by which a loss is clearly worse; docs/inputs.md compares it with 0 and 1.
"""

Shares = tuple[float, float]


def mixed(network: np.ndarray, linear: np.ndarray, shares: Shares) -> np.ndarray:
    """Quantiles [N, H, Q] with the network's ``shares`` of median and width, the rest linear.

    Both are sorted along Q, so the result is.
    """
    of_median, of_width = shares
    linear_median = linear[:, :, [MEDIAN]]
    network_median = network[:, :, [MEDIAN]]
    return (
        linear_median
        + of_median * (network_median - linear_median)
        + (1 - of_width) * (linear - linear_median)
        + of_width * (network - network_median)
    )


def fitted_shares(network: np.ndarray, linear: np.ndarray, actual: np.ndarray) -> Shares:
    """The shares for quantiles [N, H, Q] of consecutive days with their actuals [N, H].

    First that of the median, by its loss, then that of the width, by the pinball loss of all
    quantiles: the smallest that is not clearly worse than the best.
    """

    def supported(candidates: Sequence[Shares], levels: slice) -> Shares:
        losses = [
            metrics.quantile_losses(mixed(network, linear, shares), actual, QUANTILE_LEVELS)
            .mean(axis=1)[:, levels]
            .mean(axis=1)
            for shares in candidates
        ]
        best = min(losses, key=np.mean)
        worse = [loss - best for loss in losses]
        near = [more.mean() <= CLEARLY * _standard_error(more) for more in worse]
        return candidates[near.index(True)]

    of_median, _ = supported([(share, 0.0) for share in SHARES], slice(MEDIAN, MEDIAN + 1))
    return supported([(of_median, share) for share in SHARES], slice(None))


def _standard_error(daily: np.ndarray) -> float:
    """Of the mean of daily values [N], from blocks of a week, or of a day below two weeks."""
    block = BLOCK_DAYS if len(daily) >= 2 * BLOCK_DAYS else 1
    means = daily[: len(daily) // block * block].reshape(-1, block).mean(axis=1)
    return means.std(ddof=1) / math.sqrt(len(means)) if len(means) > 1 else 0.0


PREDICT_BATCH = 64
"""Windows per prediction pass. Every pass is padded to it: the last bits of a matrix product depend
on its shape, so only equal shapes make a window's forecast independent of the number of others."""


@quiet_libraries()
def new_model(
    family: Family,
    params: Params,
    budget: Budget,
    seed: int,
    steps: int = 1,
    *callbacks: pl.Callback,
) -> TorchForecastingModel:
    """The untrained darts model with its trainer.

    Mixed precision is for GPUs: many CPUs cannot compute an LSTM in bf16.
    """
    precision = budget.precision if torch.cuda.is_available() else "32-true"
    network = dict(params)
    learning_rate = network.pop("lr")
    weight_decay = network.pop("weight_decay", 0.0)
    return family.darts_model(
        network,
        {
            "input_chunk_length": HISTORY,
            "output_chunk_length": HORIZON,
            "batch_size": budget.batch_size,
            "n_epochs": 1_000_000,  # the budget ends the training, by steps
            "likelihood": QuantileRegression(quantiles=list(QUANTILE_LEVELS)),
            "random_state": seed,
            "optimizer_kwargs": {
                "lr": learning_rate,
                # Under mixed precision Lightning refuses to clip gradients of a fused optimiser.
                "fused": not precision.endswith("-mixed"),
                "weight_decay": weight_decay,
            },
            "lr_scheduler_cls": _OneCycle,
            "lr_scheduler_kwargs": {"max_lr": learning_rate, "budget": budget, "interval": "step"},
            "pl_trainer_kwargs": {
                "max_steps": steps,
                "precision": precision,
                "devices": 1,
                "gradient_clip_val": 1.0,
                "callbacks": list(callbacks),
                "logger": False,
                "enable_checkpointing": False,
                "enable_progress_bar": False,
                "enable_model_summary": False,
            },
        },
    )


@quiet_libraries()
def untrained_module(
    family: Family, params: Params, sample: TorchTrainingSample
) -> PLForecastingModule:
    """The family's module for windows like the sample, with fresh weights, always the same."""
    model = new_model(family, params, family.budgets["test"], seed=0)
    model.train_sample = sample
    model.output_dim = 1
    return model._init_model()


@dataclass(eq=False)
class DartsForecaster(Forecaster):
    """A trained darts module with its scaling and the columns it was trained on."""

    module: PLForecastingModule = field(init=False)
    dataset: Dataset
    scaling: Scaling
    recipe: Recipe
    calendar_as_past: bool

    @quiet_libraries()
    def train(self, model: TorchForecastingModel) -> None:
        """Train the module of a `new_model` until its last step, or until a callback ends it."""
        # trainer, module and callbacks of the last trial refer to each other, a gigabyte at worst
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # several workers may share the GPU
        origins = learnt_origins(self.dataset, self.recipe)
        source = self.source(self.dataset.windows(origins), in_training=True)
        try:
            model.fit_from_dataset(  # its batches are gathered already
                TrainingWindows(source, origins),
                dataloader_kwargs={
                    "collate_fn": lambda batch: batch,
                    "pin_memory": torch.cuda.is_available(),
                },
            )
        except SystemExit as ended:
            stop_requests.check()  # of a SIGTERM, too, Lightning makes an exit
            if isinstance(ended.__context__, KeyboardInterrupt):
                # Lightning would exit, of which a notebook warns
                raise ended.__context__ from None
            raise
        self.module = model.model.eval()

    def parts(self) -> ByName:
        linear = self.scaling.linear
        return {
            "recipe": self.recipe,
            "shares": self.shares,
            "scaling": replace(self.scaling, linear=linear and linear.without_days()),
            "network": None if self.keeps_nothing else dict(self.module.state_dict()),
        }

    @property
    def keeps_nothing(self) -> bool:
        """Whether it is the linear baseline alone, without a network."""
        return self.shares is not None and not any(self.shares)

    def source(self, windows: Windows, *, in_training: bool = False) -> WindowSource:
        """The source of the model's inputs in the given windows.

        In training they are those of `learnt_origins`, forecast by the linear baseline out of fold.
        """
        dataset = self.dataset
        scaling = self.scaling
        recipe = self.recipe
        frame = windows.frame
        target = dataset.spec.target
        future = future_columns(dataset, scaling, recipe)
        mean = scaling.mean[target]
        std = scaling.std[target]
        linear = np.empty(0)
        expected = None
        if scaling.linear is not None:
            median = scaling.linear.out_of_fold
            if not in_training:
                linear = scaling.linear.quantiles(dataset, windows)
                median = linear[:, :, MEDIAN]
            expected = torch.from_numpy((median - mean) / std).float()
        weather_mean, weather_std = scaling.weather
        ahead = (weather_ahead(dataset, windows, recipe) - weather_mean) / weather_std
        row_of_origin = torch.full((len(frame),), len(ahead))
        row_of_origin[torch.from_numpy(windows.positions)] = torch.arange(len(ahead))
        return WindowSource(
            target=scaling.transform(frame, (target,)),
            past=scaling.transform(frame, past_columns(dataset, recipe)),
            future=scaling.transform(frame, future),
            recipe=recipe,
            calendar_as_past=self.calendar_as_past,
            once_a_day=tuple(i for i, name in enumerate(future) if name in DAY_COLUMNS),
            target_mean=mean,
            target_std=std,
            level=scaling.level,
            ahead=torch.from_numpy(ahead).float(),
            expected=expected,
            row_of_origin=row_of_origin,
            linear=linear,
        )

    def predict(self, context: Context) -> QuantileForecasts:
        source = self.source(context)
        values = np.empty(0)
        if not self.keeps_nothing:
            values = self.network(source, context.positions)
        return self.kept(values, source.linear, context.origins)

    def kept(
        self, network: np.ndarray, linear: np.ndarray, origins: pd.DatetimeIndex
    ) -> QuantileForecasts:
        """What is kept of the network's quantiles [N, H, Q], with the linear baseline's."""
        if self.shares is not None:
            network = linear if self.keeps_nothing else mixed(network, linear, self.shares)
        return QuantileForecasts.of_model(network, origins, self.lowest)

    def network(self, source: WindowSource, origins: np.ndarray) -> np.ndarray:
        """The network's quantiles [N, H, Q] in the target's unit, sorted.

        Origins [N] are positions in the source.
        """
        was_training = self.module.training
        device = self.module.device
        self.module.eval()
        source = source.to(device)
        padded = np.resize(origins, math.ceil(len(origins) / PREDICT_BATCH) * PREDICT_BATCH)
        passes = []
        with torch.no_grad():
            for chunk in torch.from_numpy(padded).to(device).split(PREDICT_BATCH):
                batch = source.gather(chunk, with_target=False)
                output = self.module(batch.to_module_input(stage=ModuleStage.PREDICT))
                values = output.prediction[:, :, 0].float()
                passes.append(source.in_unit(values, chunk).cpu().numpy())
        self.module.train(was_training)
        return np.sort(np.concatenate(passes)[: len(origins)], axis=2)


class BestWeights(pl.Callback):
    """Scores all validation origins at each check, and keeps the weights of the best in memory."""

    def __init__(
        self, forecaster: DartsForecaster, budget: Budget, on_check: OnCheck | None
    ) -> None:
        self.forecaster = forecaster
        self.budget = budget
        self.on_check = on_check
        self.context = forecaster.dataset.context(forecaster.dataset.validation_origins)
        self.lowest = math.inf
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.forecaster.module = module
        self.steps = module.lr_schedulers().total_steps
        self.source = self.forecaster.source(self.context).to(module.device)
        self.shares_are_kept = self.forecaster.recipe.residual_share and len(self.source.linear) > 0
        if self.shares_are_kept:
            self._score(step=0, values=np.empty(0), shares=(0.0, 0.0))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        step = trainer.global_step
        checks = self.budget.checks
        trainer.should_stop = step >= self.steps
        stop_requests.check()
        if step not in {round(self.steps * (i + 1) / checks) for i in range(checks)}:
            return
        values = self.forecaster.network(self.source, self.context.positions)
        shares = None
        if self.shares_are_kept:
            shares = 1.0, 1.0  # of values that are not finite, so that they are an error
            if np.isfinite(values).all():
                shares = fitted_shares(
                    values, self.source.linear, self.forecaster.validation.actual
                )
        try:
            forecasts = self._score(step, values, shares)
        except NonFiniteForecast as error:
            raise NonFiniteForecast(f"{error} after {step} training steps") from None
        if self.on_check is not None:
            self.on_check(step, forecasts)

    def _score(self, step: int, values: np.ndarray, shares: Shares | None) -> QuantileForecasts:
        """The validation forecasts with these shares of the network's quantiles [N, H, Q].

        Weights and shares are kept if none before were as good.
        """
        forecaster = self.forecaster
        best_shares = self.forecaster.shares
        forecaster.shares = shares
        forecasts = forecaster.kept(values, self.source.linear, self.context.origins)
        forecasts = forecasts.with_actual(forecaster.dataset.target)
        loss = metrics.pinball(forecasts)
        if loss >= self.lowest:
            forecaster.shares = best_shares
        else:
            self.lowest = loss
            self.weights = copy.deepcopy(forecaster.module.state_dict())
            forecaster.best_step = step
            forecaster.validation = forecasts
        return forecasts


class _OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """One cycle over the steps that the budget allows this model (Smith and Topin, 2018)."""

    def __init__(self, optimizer: torch.optim.Optimizer, max_lr: float, budget: Budget) -> None:
        n_weights = sum(
            weight.numel() for group in optimizer.param_groups for weight in group["params"]
        )
        super().__init__(optimizer, max_lr=max_lr, total_steps=budget.steps_for(n_weights))
