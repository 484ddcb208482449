from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from satfl_env.semantics import Channel, ChannelDraw, ConvJSCC, MLPLink, conv_jscc
from satfl_env.semantics.conv_gradient import ConvLayer, convolve, satellite_first, side_by_side


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(seed: int = 0, **options: object) -> MLPLink:
    arguments = {
        "num_pixels": 64,
        "num_outputs": 4,
        "channel": Channel("rician"),
        "generator": generator(seed),
        "hidden": 12,
    }
    return MLPLink(**(arguments | options))


def conv(seed: int = 0, shape: tuple[int, int, int] = (3, 16, 12)) -> ConvJSCC:
    return ConvJSCC(shape, channel=Channel("rayleigh", (1.0, 11.0)), generator=generator(seed), widths=(4, 6, 5))


def stack(models: list[nn.Module]) -> dict[str, torch.Tensor]:
    rows = [dict(model.named_parameters()) for model in models]
    return {name: torch.stack([row[name].detach() for row in rows]) for name in rows[0]}


def draw_stacked(model: MLPLink | ConvJSCC, satellites: int, count: int) -> ChannelDraw:
    draw = model.draw_channel(satellites * count, generator(5))
    return ChannelDraw(*(part.unflatten(0, (satellites, count)) for part in draw))


def test_mlp_shapes_and_parameter_order():
    model = mlp(channel_draws=3)
    logits = model(torch.rand(5, 1, 8, 8, generator=generator()), model.draw_channel(5, generator()))
    assert logits.shape == (5, 3, 4)
    names = [name for name, _ in model.named_parameters()]
    assert names == sorted(names, key=lambda name: not name.startswith("encoder."))


def test_conv_gives_images_of_the_same_shape_in_range():
    model = conv()
    images = torch.rand(5, 3, 16, 12, generator=generator())
    outputs = model(images, model.draw_channel(5, generator())).detach()
    assert outputs.shape == images.shape
    assert 0 <= float(outputs.min()) <= float(outputs.max()) <= 1
    assert model.channel_uses == 5 * 4 * 3
    assert set(model.metrics(outputs, images, torch.zeros(5))) == {"psnr_db", "ms_ssim"}


@pytest.mark.parametrize("build", [mlp, lambda seed=0: mlp(seed, channel_draws=3), conv])
def test_stacked_forward_equals_each_model_alone(build):
    models = [build(seed) for seed in range(3)]
    shape = (3, 16, 12) if isinstance(models[0], ConvJSCC) else (1, 8, 8)
    images = torch.rand(3, 5, *shape, generator=generator())
    draw = draw_stacked(models[0], 3, 5)
    outputs = models[0].stacked_forward(stack(models), images, draw)
    for index, model in enumerate(models):
        alone = model(images[index], ChannelDraw(*(part[index] for part in draw)))
        assert torch.allclose(outputs[index], alone, atol=1e-6)


def test_one_test_set_serves_every_satellite_by_expansion():
    models = [mlp(seed) for seed in range(3)]
    images = torch.rand(5, 1, 8, 8, generator=generator())
    draw = models[0].draw_channel(5, generator(), snr_db=7.0)
    expanded = ChannelDraw(*(part.expand(3, *part.shape) for part in draw))
    outputs = models[0].stacked_forward(stack(models), images.expand(3, *images.shape), expanded)
    assert torch.allclose(outputs[2], models[2](images, draw), atol=1e-6)
    targets = torch.tensor([0, 1, 2, 3, 0]).expand(3, 5)
    metrics = models[0].metrics(outputs, images, targets, torch.ones(3, 4, dtype=torch.bool))
    assert metrics["accuracy"].shape == metrics["balanced_accuracy"].shape == (3,)


@pytest.mark.parametrize("num_draws", [1, 3])
@pytest.mark.parametrize("masked", [True, False])
def test_closed_form_gradient_equals_automatic_differentiation(num_draws: int, masked: bool):
    models = [mlp(seed, channel_draws=num_draws).double() for seed in range(3)]
    parameters = {name: part.requires_grad_() for name, part in stack(models).items()}
    images = torch.rand(3, 5, 1, 8, 8, generator=generator(), dtype=torch.float64)
    draw = draw_stacked(models[0], 3, 5)
    targets = torch.randint(0, 2, (3, 5), generator=generator())
    mask = torch.arange(4) < torch.tensor([[2], [4], [3]]) if masked else None
    share = torch.rand(3, 5, generator=generator(), dtype=torch.float64)

    outputs = models[0].stacked_forward(parameters, images, draw)
    expected_loss = models[0].sample_loss(outputs, images, targets, mask)
    expected = torch.autograd.grad(expected_loss, list(parameters.values()), share)
    gradient = {name: torch.full_like(part, torch.nan) for name, part in parameters.items()}
    with torch.no_grad():
        loss = models[0].stacked_gradient(parameters, images, draw, targets, mask, share, gradient)
    assert torch.allclose(loss, expected_loss, atol=1e-12)
    for found, wanted in zip(gradient.values(), expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(colours=st.integers(1, 5), satellites=st.integers(1, 3), images=st.integers(1, 4), seed=st.integers(0, 99))
def test_conv_gradient_in_closed_form_is_that_of_each_model_alone(
    colours: int, satellites: int, images: int, seed: int
):
    models = [conv(seed + index, (colours, 8, 12)).double() for index in range(satellites)]
    pixels = torch.rand(satellites, images, colours, 8, 12, generator=generator(seed), dtype=torch.float64)
    draw = draw_stacked(models[0], satellites, images)
    share = torch.rand(satellites, images, generator=generator(seed), dtype=torch.float64)
    parameters = stack(models)
    gradient = {name: torch.full_like(part, torch.nan) for name, part in parameters.items()}
    with torch.no_grad():
        loss = models[0].stacked_gradient(parameters, pixels, draw, torch.empty(0), None, share, gradient)
    for index, model in enumerate(models):
        alone = model(pixels[index], ChannelDraw(*(part[index] for part in draw)))
        expected_loss = model.sample_loss(alone, pixels[index], torch.empty(0))
        expected = torch.autograd.grad(expected_loss, list(model.parameters()), share[index])
        assert torch.allclose(loss[index], expected_loss, atol=1e-12)
        for (name, _), wanted in zip(model.named_parameters(), expected, strict=True):
            assert torch.allclose(gradient[name][index], wanted, atol=1e-12)


@pytest.mark.parametrize("together", [1, 2, 3])
def test_conv_gradient_in_groups_leaves_out_the_padding_of_each(together: int, monkeypatch: pytest.MonkeyPatch):
    models = [conv(seed).double() for seed in range(4)]
    pixels = torch.rand(4, 5, 3, 16, 12, generator=generator(), dtype=torch.float64)
    draw = draw_stacked(models[0], 4, 5)
    share = (torch.arange(5) < torch.tensor([[2], [2], [2], [4]])).double()
    parameters = stack(models)
    monkeypatch.setattr(conv_jscc, "_CACHE_PIXELS", together * 5 * 16 * 12)
    longest = [2, 2, 4, 4] if together == 2 else [2, 2, 2, 4]
    gradient = {name: torch.full_like(part, torch.nan) for name, part in parameters.items()}
    padded = pixels.clone()
    for own, count in zip(padded, longest, strict=True):
        own[count:] = torch.nan  # whoever computes with it gets no number
    with torch.no_grad():
        models[0].stacked_gradient(parameters, padded, draw, torch.empty(0), None, share, gradient)
        expected = {name: torch.full_like(part, torch.nan) for name, part in parameters.items()}
        models[0]._gradient(parameters, pixels, draw, share, expected)
    for name, found in gradient.items():
        assert torch.allclose(found, expected[name], atol=1e-12), name


@pytest.mark.parametrize("outputs", [1, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_stacked_transposed_convolution_equals_the_library_module(outputs: int, stride: int):
    modules = [nn.ConvTranspose2d(6, outputs, 5, stride, 2, stride - 1).double() for _ in range(2)]
    maps = torch.rand(2, 3, 6, 4, 7, generator=generator(), dtype=torch.float64)
    layer = ConvLayer("up", stride, transposed=True)
    parameters = {f"up.{name}": part for name, part in stack(modules).items()}
    found = satellite_first(convolve(parameters, layer, side_by_side(maps)), 2)
    for module, own_maps, own_outputs in zip(modules, maps, found, strict=True):
        assert torch.allclose(own_outputs, module(own_maps), atol=1e-12)


def test_conv_loss_is_the_mean_squared_error_of_each_image():
    model = conv()
    first, second = torch.rand(2, 4, 3, 16, 12, generator=generator())
    loss = model.sample_loss(first, second, torch.zeros(4))
    assert torch.allclose(loss, torch.stack([F.mse_loss(a, b) for a, b in zip(first, second, strict=True)]))


@pytest.mark.parametrize("build", [mlp, conv])
def test_equal_seeds_give_equal_models_and_the_global_generator_is_untouched(build):
    before = torch.get_rng_state()
    first, again, other = build(4), build(4), build(5)
    first.draw_channel(3, generator())
    assert torch.equal(torch.get_rng_state(), before)
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, dict(again.named_parameters())[name])
        assert not torch.equal(parameter, dict(other.named_parameters())[name])


@pytest.mark.parametrize(
    ("ours", "reference"),
    [
        (lambda: mlp(num_pixels=900, hidden=800).encoder[0], lambda: nn.Linear(900, 800)),
        (lambda: conv().encoder[2], lambda: nn.Conv2d(4, 6, 5)),
        (lambda: conv().decoder[2], lambda: nn.ConvTranspose2d(6, 4, 5)),
    ],
)
def test_initial_weights_have_the_spread_of_the_library_default(ours, reference):
    with torch.random.fork_rng():
        expected = reference()
    layer = ours()
    assert layer.weight.shape == expected.weight.shape
    assert float(layer.weight.detach().abs().max()) == pytest.approx(
        float(expected.weight.detach().abs().max()), rel=0.02
    )
    assert float(layer.weight.detach().std()) == pytest.approx(float(expected.weight.detach().std()), rel=0.1)


def test_bad_sizes_are_rejected():
    with pytest.raises(ValueError, match="hidden is 0"):
        mlp(hidden=0)
    with pytest.raises(ValueError, match="multiples of 4"):
        conv(shape=(3, 30, 32))
