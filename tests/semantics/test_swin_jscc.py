from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import PatchMerging

from satfl_env.semantics import Channel, ChannelDraw, SwinJSCC, transmit
from satfl_env.semantics.swin_jscc import PatchSplitting


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def swin(seed: int = 0, **options: object) -> SwinJSCC:
    arguments = {"channel": Channel("rayleigh", (1.0, 11.0)), "patch": 2, "width": 8, "head_width": 4, "depths": (2, 1)}
    return SwinJSCC((3, 16, 24), generator=generator(seed), **(arguments | options))


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 24, generator=generator(9))


def stack(models: list[SwinJSCC]) -> dict[str, torch.Tensor]:
    rows = [dict(model.named_parameters()) for model in models]
    return {name: torch.stack([row[name].detach() for row in rows]) for name in rows[0]}


def draw_stacked(model: SwinJSCC, satellites: int, count: int) -> ChannelDraw:
    draw = model.draw_channel(satellites * count, generator(5))
    return ChannelDraw(*(part.unflatten(0, (satellites, count)) for part in draw))


@pytest.mark.parametrize("depths", [(1,), (2, 2), (1, 2, 1)])
@pytest.mark.parametrize("bandwidth_ratio", [1 / 6, 1 / 12])
def test_shapes_range_and_bandwidth(depths: tuple[int, ...], bandwidth_ratio: float):
    model = swin(depths=depths, bandwidth_ratio=bandwidth_ratio)
    outputs = model(images(5), model.draw_channel(5, generator())).detach()
    assert outputs.shape == (5, 3, 16, 24)
    assert 0 <= float(outputs.min()) <= float(outputs.max()) <= 1
    # Two real symbols make a complex one.
    assert model.channel_uses / 2 == pytest.approx(bandwidth_ratio * 3 * 16 * 24)
    names = [name for name, _ in model.named_parameters()]
    assert names == sorted(names, key=lambda name: not name.startswith("encoder."))


def test_first_weights_come_from_the_generator_alone():
    torch.random.manual_seed(1)
    state = torch.random.get_rng_state()
    first, again, other = swin(3), swin(3), swin(4)
    assert torch.equal(state, torch.random.get_rng_state())
    for name, part in first.state_dict().items():
        assert part.isfinite().all(), name
        assert torch.equal(part, again.state_dict()[name]), name
    assert not torch.equal(first.encoder.embed.weight, other.encoder.embed.weight)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_image_goes_out_at_unit_power_whatever_the_batch(batch: int):
    model, sent = swin(), []

    def listen(symbols: torch.Tensor, draw: ChannelDraw) -> torch.Tensor:
        sent.append(symbols.detach())
        return transmit(symbols, draw)

    # Images of very different brightness: a power shared over the batch would follow it.
    batch_images = images(batch) * torch.logspace(-3, 0, batch).view(-1, 1, 1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("satfl_env.semantics.swin_jscc.transmit", listen)
        draw = model.draw_channel(batch, generator())
        outputs = model(batch_images, draw)
    assert sent[0].square().mean(-1) == pytest.approx(torch.ones(batch), abs=1e-4)
    alone = model(batch_images[:1], ChannelDraw(*(part[:1] for part in draw)))
    assert torch.allclose(outputs[:1], alone, atol=1e-6)


def test_stacked_forward_equals_each_model_alone():
    models = [swin(seed) for seed in range(3)]
    stacked_images = images(12).unflatten(0, (3, 4))
    draw = draw_stacked(models[0], 3, 4)
    outputs = models[0].stacked_forward(stack(models), stacked_images, draw)
    for index, model in enumerate(models):
        alone = model(stacked_images[index], ChannelDraw(*(part[index] for part in draw)))
        assert torch.allclose(outputs[index], alone, atol=1e-5)


def test_the_channel_state_changes_the_symbols():
    model = swin()
    symbols = [model.encoder(images(2), torch.full((2,), snr_db)) for snr_db in (1.0, 11.0)]
    assert not torch.allclose(*symbols, atol=1e-5)


def test_patch_splitting_undoes_where_patch_merging_takes_from():
    """Each coarse token spreads over the four fine ones that patch merging would put together."""
    splitting = PatchSplitting(4, 1, 2)
    splitting.norm, splitting.expand = nn.Identity(), nn.Identity()
    coarse = torch.arange(24.0).view(1, 2, 3, 4)
    fine = splitting(coarse)
    assert fine.shape == (1, 4, 6, 1)
    merging = PatchMerging(1)
    merging.norm, merging.reduction = nn.Identity(), nn.Identity()
    assert torch.equal(merging(fine).sort(-1).values, coarse)


def test_gradients_reach_every_parameter():
    model = swin()
    outputs = model(images(3), model.draw_channel(3, generator()))
    model.sample_loss(outputs, images(3), torch.zeros(3)).mean().backward()
    assert not [name for name, part in model.named_parameters() if part.grad is None or not part.grad.any()]


def test_training_lowers_the_loss():
    model, fixed = swin(channel=Channel("awgn", 11.0)), images(4)
    smooth = F.interpolate(F.avg_pool2d(fixed, 8), scale_factor=8.0)
    draw = model.draw_channel(4, generator())
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        loss = model.sample_loss(model(smooth, draw), smooth, torch.zeros(4)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"patch": 0}, "patch"),
        ({"window": 0}, "window"),
        ({"depths": ()}, "depths"),
        ({"depths": (1, 0)}, "depths"),
        ({"depths": (1, 1, 1, 1)}, "image_shape"),
        ({"head_width": 3}, "head_width"),
        ({"bandwidth_ratio": 1e-4}, "bandwidth_ratio"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], field: str):
    with pytest.raises(ValueError, match=field):
        swin(**options)
