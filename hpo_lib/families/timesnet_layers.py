"""TimesNet of neuralforecast with three changes, none of which alters its mathematics for one window.

* past covariates enter the embedding where the original takes the history part of its future covariates;
* the six convolutions of an Inception block, which are averaged, run as one convolution with the averaged kernel;
* outside training, the periods come from the spectrum averaged over training instead of over the current batch, so
  that a window's forecast does not depend on the windows beside it.

Parameters keep their names: weights of the original load into it and back.
"""

from typing import Any

import torch
from neuralforecast.common._modules import DataEmbedding
from neuralforecast.models.timesnet import Inception_Block_V1, TimesBlock, TimesNet
from torch import nn
from torch.nn import functional as F

from hpo_lib.families.spectral_conv import same_conv2d

SPECTRUM_MOMENTUM = 0.05
"""Weight of the newest batch in the running spectrum."""


class MergedInception(Inception_Block_V1):
    """The mean of 'same' convolutions of sizes 1, 3, ... 2K-1 as one convolution with the mean of their kernels.

    Each kernel is padded with zeros to the largest size. Rows and columns that can only touch padding are cut off,
    which matters for the long, low images of a long period.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        largest = self.num_kernels - 1
        weight = x.new_zeros(self.out_channels, self.in_channels, 2 * largest + 1, 2 * largest + 1)
        bias = x.new_zeros(self.out_channels)
        for radius, convolution in enumerate(self.kernels):
            weight = weight + F.pad(convolution.weight, [largest - radius] * 4)
            bias = bias + convolution.bias
        rows, columns = (min(largest, size - 1) for size in x.shape[2:])
        weight = weight[:, :, largest - rows : largest + rows + 1, largest - columns : largest + columns + 1]
        return same_conv2d(x, weight / self.num_kernels, bias / self.num_kernels)


class StablePeriodBlock(TimesBlock):
    """A TimesBlock whose periods outside training come from the spectrum averaged over training."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        frequencies = (self.input_size + self.h) // 2 + 1
        self.register_buffer("mean_amplitude", torch.zeros(frequencies), persistent=True)
        for layer in self.conv:
            if isinstance(layer, Inception_Block_V1):
                layer.__class__ = MergedInception

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, C] -> [B, T, C], T = L + H."""
        length = x.shape[1]
        amplitude = torch.fft.rfft(x.float(), dim=1).abs().mean(-1)  # [B, T // 2 + 1]
        strength = amplitude.mean(0).detach()
        if self.training:
            started = bool(self.mean_amplitude.any())
            self.mean_amplitude.lerp_(strength, SPECTRUM_MOMENTUM if started else 1.0)
        else:
            strength = self.mean_amplitude
        frequencies = strength[1:].topk(self.k).indices + 1
        images = [self._convolve(x, length // frequency) for frequency in frequencies.tolist()]
        weights = amplitude[:, frequencies].softmax(dim=1).to(x.dtype)
        mixed: torch.Tensor = torch.einsum("btck,bk->btc", torch.stack(images, dim=-1), weights)
        return mixed + x

    def _convolve(self, x: torch.Tensor, period: int) -> torch.Tensor:
        """Fold time into rows of one period, convolve in two dimensions, unfold."""
        batch, length, channels = x.shape
        rows = -(-length // period)
        folded = F.pad(x, (0, 0, 0, rows * period - length)).reshape(batch, rows, period, channels)
        image: torch.Tensor = self.conv(folded.permute(0, 3, 1, 2))
        return image.permute(0, 2, 3, 1).reshape(batch, -1, channels)[:, :length]


class PastCovariateTimesNet(TimesNet):
    """TimesNet for past covariates, with merged convolutions and stable periods (see the module's docstring)."""

    EXOGENOUS_FUTR = False
    EXOGENOUS_HIST = True

    def __init__(
        self, hidden_size: int, conv_hidden_size: int, top_k: int, dropout: float, num_kernels: int = 6, **kwargs: Any
    ) -> None:
        sizes = {"hidden_size": hidden_size, "conv_hidden_size": conv_hidden_size, "num_kernels": num_kernels}
        super().__init__(top_k=top_k, dropout=dropout, **sizes, **kwargs)
        self.enc_embedding = DataEmbedding(
            c_in=self.enc_in,
            exog_input_size=self.hist_exog_size,
            hidden_size=hidden_size,
            pos_embedding=True,
            dropout=dropout,
        )
        self.model = nn.ModuleList(
            StablePeriodBlock(input_size=self.input_size, h=self.h, k=top_k, **sizes)
            for _ in range(self.encoder_layers)
        )

    def forward(self, windows_batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """[B, H, Q] from ``insample_y`` [B, L, 1] and ``hist_exog`` [B, L, X]."""
        hidden = self.enc_embedding(windows_batch["insample_y"], windows_batch["hist_exog"])
        hidden = self.predict_linear(hidden.permute(0, 2, 1)).permute(0, 2, 1)  # [B, L + H, C]
        for block in self.model:
            hidden = self.layer_norm(block(hidden))
        forecast: torch.Tensor = self.projection(hidden)[:, -self.h :]
        return forecast
