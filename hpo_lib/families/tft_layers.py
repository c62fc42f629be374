"""The TFT of darts with two layers rearranged: same parameters, same outputs up to rounding.

* Variable selection of several variables. The original runs one gated residual network for each,
  one after the other. Every variable is one number per hour, so the first layers of its network
  are affine in that number and the layer norm of its skip connection has a closed form. The rest
  becomes a few batched products over all variables. They are computed in pieces that fit the
  cache, and computed again in the backward pass instead of being kept.
* Attention. The heads' projections run as one product each.

Dropout draws its masks in another order than the original. Letters: V variables, N hours of all
windows, C features of a prescaled variable, H hidden size.
"""

from collections.abc import Iterator
from typing import Any

import torch
from darts.models import TFTModel
from darts.models.components.tft_submodels import (
    _InterpretableMultiHeadAttention,
    _VariableSelectionNetwork,
)
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import TorchTrainingSample
from torch import Tensor
from torch.nn import functional as F

PIECE_BYTES = 3_000_000
"""Size of the intermediate results held at a time on a CPU: they stay in its caches."""

PIECE_BYTES_GPU = 500_000_000
"""The same on a GPU, where few large operations are faster: a small part of its memory."""

ALIGNMENT = 64
"""Hours that a CPU's reductions take at once."""


class BatchedVariableSelection(_VariableSelectionNetwork):
    """Variable selection of continuous variables, all of them at once."""

    def forward(self, x: dict[str, Tensor], context: Tensor) -> tuple[Tensor, Tensor]:
        """Columns [..., 1] by name -> [..., H] and the variables' weights [..., 1, V]."""
        with torch.autocast(next(iter(x.values())).device.type, enabled=False):
            dtype = self.flattened_grn.fc1.weight.dtype
            values = torch.cat([x[name] for name in self.input_sizes], dim=-1).to(dtype)
            prescalers = [self.prescalers[name] for name in self.input_sizes]
            slope = torch.stack([prescaler.weight[:, 0] for prescaler in prescalers])  # [V, C]
            offset = torch.stack([prescaler.bias for prescaler in prescalers])
            weights = self._weights(values, slope, offset, context)
            rows, of_rows = (
                part.reshape(-1, self.num_inputs).T.contiguous() for part in (values, weights)
            )
            selected = self._networks(rows, slope, offset, of_rows)
        return selected.T.reshape(*values.shape[:-1], self.hidden_size), weights.unsqueeze(-2)

    def _weights(self, values: Tensor, slope: Tensor, offset: Tensor, context: Tensor) -> Tensor:
        """[..., V] -> [..., V] the variables' weights.

        Prescalers and first layer are one product, prescalers and skip connection another.
        """
        network = self.flattened_grn
        n = len(slope)
        each = torch.eye(n).to(slope)[:, :, None]
        # the values' prescaling as a matrix
        affine = torch.cat([(each * slope).reshape(n, -1), offset.reshape(1, -1)])
        first = F.linear(affine, network.fc1.weight)
        hidden = F.linear(values, first[:-1].T, first[-1] + network.fc1.bias)
        hidden = hidden + network.context(context.to(values.dtype))
        norm = network.resample_norm
        skip = _interpolated(affine, n) * (2 * norm.mask.sigmoid())
        skip = norm.norm(F.linear(values, skip[:-1].T, skip[-1]))
        return torch.softmax(network.gate_norm(network.fc2(F.elu(hidden)), skip), dim=-1)

    def _networks(self, rows: Tensor, slope: Tensor, offset: Tensor, weights: Tensor) -> Tensor:
        """[V, N] values and weights -> [H, N], the weighted sum over the variables' networks."""
        networks = [self.single_variable_grns[name] for name in self.input_sizes]

        def stacked(name: str) -> Tensor:
            return torch.stack([network.get_parameter(name) for network in networks])

        rows, ones = rows[:, None], torch.ones_like(rows)[:, None]
        first = stacked("fc1.weight")
        bias = torch.baddbmm(stacked("fc1.bias")[:, :, None], first, offset[:, :, None])
        hidden = F.elu(torch.baddbmm(bias, torch.bmm(first, slope[:, :, None]), rows))  # [V, C, N]
        hidden = torch.baddbmm(stacked("fc2.bias")[:, :, None], stacked("fc2.weight"), hidden)
        hidden = networks[0].gate_norm.glu.dropout(hidden)
        gate = "gate_norm.glu.fc"
        gated = torch.cat([stacked(f"{gate}.weight"), stacked(f"{gate}.bias")[:, :, None]], dim=2)

        # The skip connection is x * a + b with a, b [V, H]. Its layer norm divides by the root of a
        # parabola in x.
        line = _interpolated(torch.stack([slope, offset]), self.hidden_size)
        line = line * (2 * stacked("resample_norm.mask").sigmoid())
        a, b = line - line.mean(dim=-1, keepdim=True)
        square, mixed, constant = (
            (u * v).mean(dim=-1)[:, None, None] for u, v in ((a, a), (a, b), (b, b))
        )
        deviation = torch.rsqrt(
            (square * rows + 2 * mixed) * rows + constant + networks[0].resample_norm.norm.eps
        )
        gain = stacked("resample_norm.norm.weight")
        skip = torch.stack([a * gain, b * gain, stacked("resample_norm.norm.bias")], dim=2)

        norm = "gate_norm.add_norm.norm"
        return _WeightedNorms.apply(
            networks[0].get_submodule(norm).eps,
            torch.cat([hidden, ones], dim=1),
            torch.cat([rows * deviation, deviation, ones], dim=1),
            weights,
            gated,
            skip,
            stacked(f"{norm}.weight"),
            stacked(f"{norm}.bias"),
        )


class _WeightedNorms(torch.autograd.Function):
    """``sum over v of weights[v] * layer_norm(glu(gated[v] @ hidden[v]) + skip[v] @ line[v])``.

    hidden [V, C + 1, N], line [V, 3, N], weights [V, N], gated [V, 2H, C + 1], skip [V, H, 3], gain
    and bias of the norm [V, H]; returns [H, N]. Hours are last in memory, so that every operation
    runs over long rows.
    """

    @staticmethod
    def forward(ctx: Any, eps: float, *tensors: Tensor) -> Tensor:
        hidden, line, weights, gated, skip, gain, bias = tensors
        ctx.save_for_backward(*tensors)
        ctx.eps = eps
        output = bias.T @ weights
        for part, memory in _pieces(gain, weights):
            inputs = hidden[:, :, part], line[:, :, part]
            centred, scale = _centred(*inputs, gated, skip, eps, memory)
            centred.mul_(scale.mul_(weights[:, None, part])).mul_(gain[:, :, None])
            output[:, part] += centred.sum(dim=0)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, line, weights, gated, skip, gain, bias = ctx.saved_tensors
        h = gain.shape[1]
        grad = grad.contiguous()
        mean = (gain @ grad)[:, None] / h  # of the gradient at the norm's output, [V, 1, N]
        grads = [torch.empty_like(t) for t in (hidden, line)]
        # Transposed: the faster order of the long product.
        sums = [
            torch.zeros_like(t.mT, memory_format=torch.contiguous_format)
            for t in (gated, skip, gain[:, :, None])
        ]
        grad_weights = bias @ grad
        for part, memory in _pieces(gain, weights):
            both, grad_both, _, summed = memory
            grad_part = grad[:, part]
            inputs = hidden[:, :, part], line[:, :, part]
            centred, deviation = _centred(*inputs, gated, skip, ctx.eps, memory)
            # common to all that follows, hence applied to the inputs
            scale = deviation * weights[:, None, part]
            product = torch.mul(centred, grad_part, out=summed)
            sums[2].baddbmm_(scale, product.mT)
            along = torch.bmm(gain[:, None], product).mul_(deviation)
            grad_weights[:, part] += along[:, 0]
            torch.mul(grad_part, gain[:, :, None], out=summed)
            summed.sub_(mean[:, :, part]).addcmul_(centred, along.mul_(deviation), value=-1 / h)
            (value, gate), (grad_value, grad_gate) = both.chunk(2, dim=1), grad_both.chunk(2, dim=1)
            torch.mul(summed, gate, out=grad_value)
            torch.addcmul(value, value, gate, value=-1, out=grad_gate)
            grad_gate.mul_(grad_value)
            for i, (matrix, at_output) in enumerate(((gated, grad_both), (skip, summed))):
                sums[i].baddbmm_(inputs[i] * scale, at_output.mT)
                torch.mul(torch.bmm(matrix.mT, at_output), scale, out=grads[i][:, :, part])
        return None, *grads, grad_weights, sums[0].mT, sums[1].mT, sums[2][:, 0], weights @ grad.T


def _centred(
    hidden: Tensor, line: Tensor, gated: Tensor, skip: Tensor, eps: float, memory: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """The norm's input less its mean [V, H, n], and one over its deviation [V, 1, n]."""
    both, _, norm, square = memory
    value, gate = torch.bmm(gated, hidden, out=both).chunk(2, dim=1)
    total = torch.bmm(skip, line, out=norm).addcmul_(value, gate.sigmoid_())
    total.sub_(total.mean(dim=1, keepdim=True))
    torch.mul(total, total, out=square)
    return total, square.mean(dim=1, keepdim=True).add_(eps).rsqrt_()


def _pieces(gain: Tensor, weights: Tensor) -> Iterator[tuple[slice, list[Tensor]]]:
    """Slices of n hours with memory to work in, which is reused: two [V, 2H, n] and two [V, H, n].

    Their length is a multiple of `ALIGNMENT` if possible: the last columns of an odd length are
    summed in another order, and a window's forecast must not depend on its place in the batch.
    """
    hours, (variables, h) = weights.shape[1], gain.shape
    budget = PIECE_BYTES if gain.device.type == "cpu" else PIECE_BYTES_GPU
    size = max(budget // (6 * gain.nbytes) // ALIGNMENT * ALIGNMENT, ALIGNMENT)
    for start in range(0, hours, size):
        n = min(size, hours - start)
        if start == 0 or n < size:
            memory = [gain.new_empty(variables, rows, n) for rows in (2 * h, 2 * h, h, h)]
        yield slice(start, start + n), memory


def _interpolated(x: Tensor, size: int) -> Tensor:
    """[..., C] -> [..., size] as darts resamples features."""
    flat = F.interpolate(x.reshape(-1, 1, x.shape[-1]), size, mode="linear", align_corners=True)
    return flat.view(*x.shape[:-1], size)


class MergedHeads(_InterpretableMultiHeadAttention):
    """Interpretable attention with all heads in one product."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Queries [B, T, H], keys and values [B, S, H], mask [B, T, S] -> [B, T, H] and attention.

        The attention is [B, T, heads, S].
        """
        queries, keys = (
            F.linear(
                x,
                *(
                    torch.cat([one.get_parameter(of) for one in layers])
                    for of in ("weight", "bias")
                ),
            )
            .unflatten(-1, (self.n_head, -1))
            .transpose(1, 2)
            for x, layers in ((q, self.q_layers), (k, self.k_layers))
        )
        attention = torch.matmul(queries, keys.mT) / self.d_k**0.5  # [B, heads, T, S]
        attention = attention.masked_fill(mask[:, None], torch.finfo(attention.dtype).min)
        attention = attention.softmax(dim=-1)
        heads = self.dropout(torch.matmul(attention, self.v_layer(v)[:, None]))
        return self.dropout(self.w_h(heads.mean(dim=1))), attention.transpose(1, 2)


class RearrangedTFT(TFTModel):
    """darts' TFT with the layers of this module."""

    def _create_model(self, train_sample: TorchTrainingSample) -> PLForecastingModule:
        module = super()._create_model(train_sample)
        for layer in module.modules():
            if type(layer) is _InterpretableMultiHeadAttention:
                layer.__class__ = MergedHeads
            elif type(layer) is _VariableSelectionNetwork and layer.num_inputs > 1:
                layer.__class__ = BatchedVariableSelection
        return module
