"""The altered TimesNet layers beside those of neuralforecast, which they must equal."""

import pytest

SIZES = [(8, 24), (2, 168), (96, 2), (1, 192), (192, 1), (64, 3), (27, 7)]
BLOCK = {
    "input_size": 168,
    "h": 24,
    "k": 3,
    "hidden_size": 8,
    "conv_hidden_size": 4,
    "num_kernels": 6,
}


@pytest.fixture(scope="module")
def layers():
    """Imported late: neuralforecast takes seconds, which every worker would pay at collection."""
    from hpo_lib.families import timesnet_layers

    return timesnet_layers


@pytest.fixture(scope="module")
def original():
    from neuralforecast.models import timesnet

    return timesnet


def period_blocks(layers, original):
    """Two blocks with the same weights: the altered one and the original."""
    import torch

    torch.manual_seed(2)
    ours = layers.StablePeriodBlock(**BLOCK)
    theirs = original.TimesBlock(**BLOCK)
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert missing == ["mean_amplitude"]
    assert unexpected == []
    return ours, theirs


def waves(*periods, seed=0):
    """[B, 192, 8]: one window per period, a sine with noise in every channel."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    hours = torch.arange(192.0)
    sines = torch.stack([torch.sin(2 * torch.pi * hours / period) for period in periods])
    return sines[:, :, None].repeat(1, 1, 8) + 0.05 * torch.randn(
        len(periods), 192, 8, generator=generator
    )


def assert_alike(ours, theirs, batch, loss, tolerance):
    """Outputs of both for a batch, and gradients of their loss; returns our output."""
    import torch

    found = []
    for block in (ours, theirs):
        x = batch.clone().requires_grad_()
        output = block(x)
        loss(output).backward()
        found.append([output, x.grad, *(parameter.grad for parameter in block.parameters())])
    for mine, its in zip(*found, strict=True):
        torch.testing.assert_close(mine, its, rtol=tolerance, atol=tolerance)
    return found[0][0]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("way", ["spectral", "direct"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_when_the_kernels_are_merged_then_outputs_and_gradients_are_those_of_the_original(
    size, way, dtype, tolerance, layers, original, monkeypatch
):
    import torch

    # Which way is taken depends on the size of batch and image; here each is made to take them all.
    gain = {"spectral": 0.0, "direct": float("inf")}[way]
    monkeypatch.setattr("hpo_lib.families.timesnet_layers.SPECTRAL_GAIN", gain)
    torch.manual_seed(1)
    theirs = original.Inception_Block_V1(5, 4, num_kernels=6).to(getattr(torch, dtype))
    ours = layers.MergedInception(5, 4, num_kernels=6).to(getattr(torch, dtype))
    torch.nn.init.normal_(
        theirs.kernels[2].bias
    )  # the original starts with zero biases, which would prove nothing
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(3, 5, *size, dtype=getattr(torch, dtype))
    weight = torch.randn(3, 4, *size, dtype=getattr(torch, dtype)) / (size[0] * size[1]) ** 0.5
    output = assert_alike(ours, theirs, image, lambda made: (made * weight).sum(), tolerance)
    assert output.shape == (3, 4, *size)


def test_when_a_spectrum_was_first_used_to_forecast_then_it_still_serves_a_training(
    layers, monkeypatch
):
    """The constant matrices are made once, perhaps in inference mode, whose tensors no gradient may
    touch.
    """
    import torch

    from hpo_lib.families import timesnet_layers

    monkeypatch.setattr(timesnet_layers, "SPECTRAL_GAIN", 0.0)
    timesnet_layers._transforms.cache_clear()
    block = layers.MergedInception(16, 16, num_kernels=6)
    image = torch.randn(64, 16, 8, 24)
    with torch.inference_mode():
        block(image)
    assert timesnet_layers._transforms.cache_info().currsize == 1
    block(image).square().mean().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_when_a_block_trains_then_it_computes_what_the_original_does(layers, original):
    ours, theirs = period_blocks(layers, original)
    ours.train()
    theirs.train()
    batch = waves(24, 12, 168, 17, seed=3)
    assert_alike(ours, theirs, batch, lambda made: made.square().mean(), 1e-5)


def test_when_a_block_forecasts_then_a_window_does_not_depend_on_its_batch_mates_as_in_the_original(
    layers, original
):
    import torch

    ours, theirs = period_blocks(layers, original)
    ours.train()
    ours(waves(24, 24, 12))
    ours.eval()
    theirs.eval()
    daily = waves(24, seed=1)
    other = waves(40, 33, 29, 45, seed=2) * 5
    with torch.no_grad():
        together = torch.cat([daily, other])
        torch.testing.assert_close(ours(together)[:1], ours(daily), rtol=1e-5, atol=1e-5)
        assert (theirs(together)[:1] - theirs(daily)).abs().max() > 1e-2


def test_when_batches_follow_then_the_spectrum_is_their_running_mean_in_training_alone(
    layers, original
):
    import torch

    ours, _ = period_blocks(layers, original)
    first = waves(24, 12, seed=4)
    second = waves(48, seed=5)
    strength = [torch.fft.rfft(batch, dim=1).abs().mean(dim=(0, 2)) for batch in (first, second)]
    ours.train()
    ours(first)
    torch.testing.assert_close(ours.mean_amplitude, strength[0])
    ours(second)
    expected = 0.95 * strength[0] + 0.05 * strength[1]
    torch.testing.assert_close(ours.mean_amplitude, expected)
    ours.eval()
    ours(second)
    torch.testing.assert_close(ours.mean_amplitude, expected)
    assert "mean_amplitude" in ours.state_dict()
