"""The rearranged TFT layers beside those of darts, which they must equal."""

import numpy as np
import pytest

B, L, T = 5, 7, 3
PLAIN = {}
OPTIONS = {
    "plain": PLAIN,
    "full_attention": {"full_attention": True},
    "add_relative_index": {"add_relative_index": True},
    "RMSNorm": {"norm_type": "RMSNorm"},
    "two LSTM layers": {"lstm_layers": 2},
    "one head": {"num_attention_heads": 1},
}


@pytest.fixture(scope="module")
def layers():
    """Imported late: darts takes seconds, which every worker would pay at collection."""
    from hpo_lib.families import tft_layers

    return tft_layers


def model(cls, **options):
    from darts.utils.likelihood_models.torch import QuantileRegression

    common = {
        "hidden_size": 12,
        "num_attention_heads": 2,
        "dropout": 0.0,
        "random_state": 1,
        **options,
    }
    return cls(L, T, likelihood=QuantileRegression([0.1, 0.5, 0.9]), **common)


def windows(batch=B):
    generator = np.random.default_rng(0)
    shapes = {
        "past_target": (L, 1),
        "past_covariates": (L, 3),
        "historic_future_covariates": (L, 2),
        "future_covariates": (T, 2),
        "future_target": (T, 1),
    }
    return {name: generator.normal(size=(batch, *shape)) for name, shape in shapes.items()}


def module(cls, data, **options):
    from darts.utils.data.torch_datasets.utils import TorchTrainingSample

    return model(cls, **options)._create_model(
        TorchTrainingSample(**{k: v[0] for k, v in data.items()})
    )


def pair(layers, data, dtype="float64", **options):
    """Ours and the original with the same weights, none of which is left at its start, where many
    are 0 or 1.
    """
    import torch
    from darts.models import TFTModel

    ours = module(layers.RearrangedTFT, data, **options)
    theirs = module(TFTModel, data, **options)
    torch.manual_seed(2)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight += 0.2 * torch.randn_like(weight)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours.to(getattr(torch, dtype)), theirs.to(getattr(torch, dtype))


def run(net, data):
    """Prediction [B, T, 1, Q]."""
    import torch
    from darts.utils.data.torch_datasets.utils import ModuleStage, TorchTrainingBatch

    dtype = next(net.parameters()).dtype
    batch = TorchTrainingBatch(
        **{name: torch.from_numpy(values).to(dtype) for name, values in data.items()}
    )
    return net(batch.to_module_input(stage=ModuleStage.TRAIN)).prediction


def outputs_and_gradients(net, data):
    import torch

    output = run(net, data)
    (
        output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    ).sum().backward()
    seen = [output, net._attn_out_weights, net._encoder_sparse_weights, net._decoder_sparse_weights]
    return [*seen, *(weight.grad for weight in net.parameters())]


def same(mine, theirs, tolerance):
    import torch

    for one, other in zip(mine, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("option", OPTIONS)
def test_when_the_layers_are_rearranged_then_outputs_and_gradients_are_those_of_the_original(
    option, layers
):
    data = windows()
    ours, theirs = pair(layers, data, **OPTIONS[option])
    same(outputs_and_gradients(ours, data), outputs_and_gradients(theirs, data), 1e-11)


@pytest.mark.parametrize(
    "dtype, bytes_per_piece, tolerance",
    [("float32", 10**9, 1e-5), ("float64", 1, 1e-11), ("float64", 10**9, 1e-11)],
    ids=["float32 rounds", "pieces of 16, 16 and 3 hours", "one piece"],
)
def test_when_numbers_are_shorter_or_the_hours_cut_into_pieces_then_it_changes_nothing_else(
    dtype, bytes_per_piece, tolerance, layers, monkeypatch
):
    monkeypatch.setattr(layers, "PIECE_BYTES", bytes_per_piece)
    monkeypatch.setattr(layers, "ALIGNMENT", 16)
    data = windows()
    ours, theirs = pair(layers, data, dtype)
    same(outputs_and_gradients(ours, data), outputs_and_gradients(theirs, data), tolerance)


def test_when_a_model_is_made_then_it_runs_the_rearranged_layers_and_not_the_original_ones(layers):
    kinds = [type(layer).__name__ for layer in module(layers.RearrangedTFT, windows()).modules()]
    assert kinds.count("BatchedVariableSelection") == 2, (
        "of encoder and decoder; no static covariates, no third"
    )
    assert kinds.count("MergedHeads") == 1


def test_when_it_forecasts_then_nothing_is_dropped(layers):
    import torch

    data = windows()
    ours, theirs = pair(layers, data, dropout=0.4)
    with torch.inference_mode():
        torch.testing.assert_close(
            run(ours.eval(), data), run(theirs.eval(), data), rtol=1e-11, atol=1e-11
        )


def test_when_units_are_dropped_then_their_number_is_that_of_the_original(layers):
    """The mean and the spread over many masks, of a variable selection alone."""
    import torch

    ours, theirs = pair(layers, windows(batch=1), dropout=0.4)
    spread = []
    for net in (ours, theirs):
        torch.manual_seed(5)
        selection = net.encoder_vsn.train()
        columns = {
            name: torch.full((2000, L, 1), 0.3 * i, dtype=torch.float64)
            for i, name in enumerate(net.encoder_variables)
        }
        drawn = selection(columns, torch.ones(2000, 1, 12, dtype=torch.float64))[0].flatten(0, 1)
        spread.append((drawn.mean(0), drawn.std(0)))
    torch.testing.assert_close(spread[0][0], spread[1][0], rtol=0.05, atol=0.02)
    torch.testing.assert_close(spread[0][1], spread[1][1], rtol=0.05, atol=0.02)


def test_when_units_are_dropped_then_gradients_are_the_slopes_of_what_was_computed(layers):
    import torch

    data = windows()
    ours, _ = pair(layers, data, dropout=0.3)
    ours.train()

    def loss():
        torch.manual_seed(6)
        return run(ours, data).square().mean()

    loss().backward()
    weights = [weight for weight in ours.parameters() if weight.grad is not None]
    directions = [torch.randn_like(weight) for weight in weights]
    slope = sum(
        (weight.grad * direction).sum()
        for weight, direction in zip(weights, directions, strict=True)
    )
    with torch.no_grad():
        values = []
        for step in (1e-6, -2e-6):
            for weight, direction in zip(weights, directions, strict=True):
                weight += step * direction
            values.append(loss())
    torch.testing.assert_close((values[0] - values[1]) / 2e-6, slope, rtol=1e-6, atol=1e-8)
