"""Large 'same' convolutions of small images through their spectrum, exact up to rounding.

A convolution is a product in the frequency domain. For images of a few hundred pixels the Fourier transforms are
plain matrix products with small constant matrices, which a CPU runs at full speed and torch differentiates. So the
whole costs a fraction of the direct sum over an 11 x 11 kernel. Zero padding by the kernel's radius on one side is
enough: whatever wraps around falls into the padding.
"""

import functools
import math

import torch
from torch.nn import functional as F

SPECTRAL_GAIN = 1.5
"""Ratio of multiplications, direct over spectral, above which the spectral way is faster on a CPU. Below it the direct
convolution's better use of caches wins."""


def same_conv2d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """``conv2d(x, weight, bias, padding='same')`` by the cheaper of two ways.

    x [B, C, H, W], weight [O, C, 2r + 1, 2s + 1], bias [O] -> [B, O, H, W].
    """
    radii = weight.shape[2] // 2, weight.shape[3] // 2
    if x.device.type == "cpu" and _multiplications_ratio(x.shape, weight.shape) > SPECTRAL_GAIN:
        return _spectral(x, weight, radii) + bias[:, None, None]
    return F.conv2d(x, weight, bias, padding=radii)


def _multiplications_ratio(image: torch.Size, kernel: torch.Size) -> float:
    """Multiplications of the direct sum over those of `_spectral`."""
    batch, channels, height, width = image
    outputs, _, rows, columns = kernel
    frequencies = _grid(height, rows // 2)[0] * _grid(width, columns // 2)[1]
    transforms = 2 * frequencies * (batch * (channels + outputs) * height * width + outputs * channels * rows * columns)
    products = 4 * frequencies * batch * channels * outputs
    return batch * height * width * channels * outputs * rows * columns / (transforms + products)


def _grid(length: int, radius: int) -> tuple[int, int]:
    """Padded length along one axis, and how many of its frequencies a real signal needs."""
    padded = length + radius
    padded += 1 - padded % 2  # of an odd length all but the zero frequency come in conjugate pairs
    return padded, padded // 2 + 1


def _spectral(x: torch.Tensor, weight: torch.Tensor, radii: tuple[int, int]) -> torch.Tensor:
    """Pixels come first in every product, so that the batched products need no copy of the spectra."""
    batch, channels, height, width = x.shape
    outputs = weight.shape[0]
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
@torch.inference_mode(False)  # even if made during a prediction, a training must be able to use them
def _transforms(
    height: int, width: int, radii: tuple[int, int], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Matrices pixels -> spectrum, kernel -> spectrum (conjugated, so that the product correlates), spectrum -> pixels.

    Real parts come before imaginary parts: [2n, pixels], [2n, taps] and [pixels, 2n] for n frequencies.
    """
    rows, _ = _grid(height, radii[0])
    columns, column_frequencies = _grid(width, radii[1])
    vertical = torch.arange(rows, dtype=torch.float64) / rows
    horizontal = torch.arange(column_frequencies, dtype=torch.float64) / columns

    def angles(first: int, height: int, left: int, width: int) -> torch.Tensor:
        down = torch.arange(first, first + height, dtype=torch.float64)[:, None] * vertical
        across = torch.arange(left, left + width, dtype=torch.float64)[:, None] * horizontal
        return (2 * math.pi * (down[:, None, :, None] + across[None, :, None, :])).reshape(height * width, -1)

    pixels = angles(0, height, 0, width)
    taps = angles(-radii[0], 2 * radii[0] + 1, -radii[1], 2 * radii[1] + 1)
    pairs = torch.where(horizontal == 0, 1, 2).double().repeat(rows) / (rows * columns)
    analyse = torch.cat([pixels.cos(), -pixels.sin()], dim=1).T
    analyse_kernel = torch.cat([taps.cos(), taps.sin()], dim=1).T
    synthesise = torch.cat([pixels.cos() * pairs, -pixels.sin() * pairs], dim=1)
    return analyse.to(dtype).contiguous(), analyse_kernel.to(dtype).contiguous(), synthesise.to(dtype).contiguous()
