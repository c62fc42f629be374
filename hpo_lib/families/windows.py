"""Windows for torch models: scaled once, kept as tensors, gathered by forecast origin.

The information set of a forecast is decided here, in one place, for every family: history comes from
``origin - L + 1 .. origin``, and only future-known columns are ever read beyond the origin.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from darts.utils.data.torch_datasets.training_dataset import TorchTrainingDataset
from darts.utils.data.torch_datasets.utils import TorchTrainingBatch, TorchTrainingSample

from hpo_lib.data.load import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON


@dataclass(frozen=True)
class Scaling:
    """Per-column standardisation, fitted on the training split only; a constant column keeps its unit."""

    mean: pd.Series
    std: pd.Series

    @classmethod
    def fit(cls, dataset: Dataset) -> "Scaling":
        train = dataset.frame.iloc[dataset.positions.train]
        std = train.std(ddof=0)
        return cls(mean=train.mean(), std=std.where(std > 0, 1.0))

    def transform(self, frame: pd.DataFrame, columns: tuple[str, ...]) -> torch.Tensor:
        """[T, len(columns)] float32."""
        names = list(columns)
        values = (frame[names].to_numpy() - self.mean[names].to_numpy()) / self.std[names].to_numpy()
        return torch.from_numpy(values.astype(np.float32))


@dataclass(frozen=True)
class WindowSource:
    """A scaled series from which windows are gathered.

    Attributes:
        target: [T, 1] float32.
        past: [T, P] float32, columns known up to the origin.
        future: [T, F] float32, columns known through the horizon.
        calendar_as_past: the model has no future input, so column values of the hour 24 h later are handed to it
            along the history: the last 24 of the L rows are then the day being forecast.
    """

    target: torch.Tensor
    past: torch.Tensor
    future: torch.Tensor
    calendar_as_past: bool

    @classmethod
    def build(
        cls, dataset: Dataset, frame: pd.DataFrame, scaling: Scaling, *, calendar_as_past: bool
    ) -> "WindowSource":
        return cls(
            target=scaling.transform(frame, (dataset.spec.target,)),
            past=scaling.transform(frame, dataset.past),
            future=scaling.transform(frame, dataset.future),
            calendar_as_past=calendar_as_past,
        )

    def to(self, device: torch.device) -> "WindowSource":
        return WindowSource(self.target.to(device), self.past.to(device), self.future.to(device), self.calendar_as_past)

    def gather(self, origins: torch.Tensor, *, with_target: bool) -> TorchTrainingBatch:
        """The windows of the given origins ([N] positions) as darts names them.

        Without ``with_target`` nothing of the target after the origin is touched, as in a real forecast.
        """
        history = origins[:, None] + torch.arange(1 - HISTORY, 1, device=origins.device)
        horizon = origins[:, None] + torch.arange(1, HORIZON + 1, device=origins.device)
        past = self.past[history]
        if self.calendar_as_past:
            past = torch.cat([past, self.future[history + HORIZON]], dim=2)
        return TorchTrainingBatch(
            past_target=self.target[history],
            past_covariates=past,
            historic_future_covariates=None if self.calendar_as_past else self.future[history],
            future_covariates=None if self.calendar_as_past else self.future[horizon],
            future_target=self.target[horizon] if with_target else None,
        )


class TrainingWindows(TorchTrainingDataset):
    """The training windows of a source as a darts dataset; a batch is gathered at once, not window by window."""

    def __init__(self, source: WindowSource, origins: np.ndarray) -> None:
        super().__init__()
        self.source = source
        self.origins = torch.from_numpy(origins)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: int) -> TorchTrainingSample:
        batch = self.__getitems__([index])
        arrays = {
            name: None if tensor is None else tensor[0].numpy()
            for name in (
                "past_target",
                "past_covariates",
                "historic_future_covariates",
                "future_covariates",
                "future_target",
            )
            for tensor in [getattr(batch, name)]
        }
        return TorchTrainingSample(**arrays)

    def __getitems__(self, indices: list[int]) -> TorchTrainingBatch:
        return self.source.gather(self.origins[torch.tensor(indices)], with_target=True)


def collated(batch: TorchTrainingBatch) -> TorchTrainingBatch:
    """The collate function for `TrainingWindows`, whose batches come gathered already."""
    return batch
