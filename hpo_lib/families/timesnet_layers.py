"""TimesNet of neuralforecast with three changes that keep its mathematics for one window.

* past covariates enter the embedding where the original takes the history part of its future
  covariates;
* the six convolutions of an Inception block, which are averaged, run as one convolution with the
  averaged kernel;
* outside training, the periods come from the spectrum averaged over training instead of over the
  current batch, so that a window's forecast does not depend on the windows beside it.

Parameters keep their names: weights of the original load into it and back.
"""

import functools
import math
from typing import Any

import torch
from neuralforecast.common._modules import DataEmbedding
from neuralforecast.models.timesnet import Inception_Block_V1, TimesBlock, TimesNet
from torch import Tensor, nn
from torch.nn import functional as F

SPECTRAL_GAIN = 1.5
"""Ratio of multiplications, direct over spectral, above which the spectral way is faster on a CPU.
Below it the direct convolution's better use of caches wins."""


def _multiplications_ratio(image: torch.Size, kernel: torch.Size) -> float:
    """Multiplications of the direct sum over those of `_spectral`."""
    batch, channels, height, width = image
    outputs, _, rows, columns = kernel
    frequencies = _padded(height, rows // 2) * (_padded(width, columns // 2) // 2 + 1)
    pixels = batch * height * width
    taps = outputs * channels * rows * columns
    transforms = 2 * frequencies * (pixels * (channels + outputs) + taps)
    return pixels * taps / (transforms + 4 * frequencies * batch * channels * outputs)


def _padded(length: int, radius: int) -> int:
    """Odd length along one axis: all but the zero frequency then come in conjugate pairs."""
    return (length + radius) // 2 * 2 + 1


def _spectral(x: Tensor, weight: Tensor) -> Tensor:
    """``conv2d(x, weight, padding='same')``: [B, C, H, W], [O, C, 2r + 1, 2s + 1] -> [B, O, H, W].

    Pixels come first in every product: the batched products need no copy of the spectra.
    """
    batch, channels, height, width = x.shape
    outputs = weight.shape[0]
    radii = (weight.shape[2] // 2, weight.shape[3] // 2)
    analyse, analyse_kernel, synthesise = _transforms(height, width, radii, x.dtype)
    n = analyse.shape[0] // 2
    pixels = x.permute(2, 3, 0, 1).reshape(height * width, batch * channels)
    taps = weight.permute(2, 3, 1, 0).reshape(-1, channels * outputs)
    real, imaginary = (analyse @ pixels).view(2, n, batch, channels)
    kernel_real, kernel_imaginary = (analyse_kernel @ taps).view(2, n, channels, outputs)
    spectrum = torch.cat(
        [
            torch.baddbmm(torch.bmm(real, kernel_real), imaginary, kernel_imaginary, alpha=-1),
            torch.baddbmm(torch.bmm(real, kernel_imaginary), imaginary, kernel_real),
        ]
    )
    result = synthesise @ spectrum.view(2 * n, batch * outputs)
    return result.view(height, width, batch, outputs).permute(2, 3, 0, 1)


@functools.lru_cache(maxsize=64)
@torch.inference_mode(
    False
)  # even if made during a prediction, a training must be able to use them
def _transforms(
    height: int, width: int, radii: tuple[int, int], dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Matrices pixels -> spectrum, kernel -> spectrum, spectrum -> pixels.

    The kernel's is conjugated, so that the product correlates. Real parts come before imaginary
    parts: [2n, pixels], [2n, taps] and [pixels, 2n] for n frequencies.
    """
    rows = _padded(height, radii[0])
    columns = _padded(width, radii[1])
    vertical = torch.arange(rows, dtype=torch.float64) / rows
    horizontal = torch.arange(columns // 2 + 1, dtype=torch.float64) / columns

    def angles(down: range, across: range) -> Tensor:
        turns_down = torch.outer(torch.tensor(down, dtype=torch.float64), vertical)
        turns_across = torch.outer(torch.tensor(across, dtype=torch.float64), horizontal)
        grid = 2 * math.pi * (turns_down[:, None, :, None] + turns_across[None, :, None, :])
        return grid.reshape(len(down) * len(across), -1)

    pixels = angles(range(height), range(width))
    taps = angles(*(range(-radius, radius + 1) for radius in radii))
    analyse = torch.cat([pixels.cos(), -pixels.sin()], dim=1)
    analyse_kernel = torch.cat([taps.cos(), taps.sin()], dim=1)
    pairs = torch.where(horizontal == 0, 1, 2).double().repeat(2 * rows) / (rows * columns)
    matrices = analyse.T, analyse_kernel.T, analyse * pairs
    return tuple(matrix.to(dtype).contiguous() for matrix in matrices)


SPECTRUM_MOMENTUM = 0.05
"""Weight of the newest batch in the running spectrum."""


class MergedInception(Inception_Block_V1):
    """The mean of 'same' convolutions of sizes 1, 3, ... 2K-1 as one with their mean kernel.

    It is computed by the cheaper of two ways.

    Each kernel is padded with zeros to the largest size. Rows and columns that can only touch
    padding are cut off, which matters for the long, low images of a long period.
    """

    def forward(self, x: Tensor) -> Tensor:
        largest = self.num_kernels - 1
        size = 2 * self.num_kernels - 1
        weight = x.new_zeros(self.out_channels, self.in_channels, size, size)
        bias = x.new_zeros(self.out_channels)
        for radius, convolution in enumerate(self.kernels):
            weight = weight + F.pad(convolution.weight, [largest - radius] * 4)
            bias = bias + convolution.bias
        rows, columns = (max(0, self.num_kernels - length) for length in x.shape[2:])
        weight = weight[:, :, rows : size - rows, columns : size - columns]
        weight, bias = weight / self.num_kernels, bias / self.num_kernels
        if x.device.type == "cpu" and _multiplications_ratio(x.shape, weight.shape) > SPECTRAL_GAIN:
            return _spectral(x, weight) + bias[:, None, None]
        return F.conv2d(x, weight, bias, padding="same")


class StablePeriodBlock(TimesBlock):
    """A TimesBlock whose periods outside training come from the spectrum averaged over training."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.register_buffer("mean_amplitude", torch.zeros((self.input_size + self.h) // 2 + 1))
        for layer in self.conv:
            if isinstance(layer, Inception_Block_V1):
                layer.__class__ = MergedInception

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C], T = L + H."""
        length = x.shape[1]
        amplitude = torch.fft.rfft(x.float(), dim=1).abs().mean(-1)  # [B, T // 2 + 1]
        strength = amplitude.mean(0).detach()
        if self.training:
            weight = SPECTRUM_MOMENTUM if self.mean_amplitude.any() else 1.0
            self.mean_amplitude.lerp_(strength, weight)
        else:
            strength = self.mean_amplitude
        frequencies = strength[1:].topk(self.k).indices + 1
        images = [self._convolve(x, length // frequency) for frequency in frequencies.tolist()]
        weights = amplitude[:, frequencies].softmax(dim=1).to(x.dtype)
        return torch.einsum("btck,bk->btc", torch.stack(images, dim=-1), weights) + x

    def _convolve(self, x: Tensor, period: int) -> Tensor:
        """Fold time into rows of one period, convolve in two dimensions, unfold."""
        batch, length, channels = x.shape
        rows = -(-length // period)
        folded = F.pad(x, (0, 0, 0, rows * period - length)).reshape(batch, rows, period, channels)
        image = self.conv(folded.permute(0, 3, 1, 2))
        return image.permute(0, 2, 3, 1).reshape(batch, -1, channels)[:, :length]


class PastCovariateTimesNet(TimesNet):
    """TimesNet for past covariates, with merged convolutions and stable periods (see above)."""

    EXOGENOUS_FUTR = False
    EXOGENOUS_HIST = True

    def __init__(
        self, hidden_size: int, conv_hidden_size: int, top_k: int, dropout: float, **kwargs: Any
    ) -> None:
        sizes = {
            "hidden_size": hidden_size,
            "conv_hidden_size": conv_hidden_size,
            "num_kernels": 6,  # as in the original
        }
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

    def forward(self, windows_batch: dict[str, Tensor]) -> Tensor:
        """[B, H, Q] from ``insample_y`` [B, L, 1] and ``hist_exog`` [B, L, X]."""
        hidden = self.enc_embedding(windows_batch["insample_y"], windows_batch["hist_exog"])
        hidden = self.predict_linear(hidden.permute(0, 2, 1)).permute(0, 2, 1)  # [B, L + H, C]
        for block in self.model:
            hidden = self.layer_norm(block(hidden))
        return self.projection(hidden)[:, -self.h :]
