from __future__ import annotations

import pytest
import torch
from torch import nn

from satfl_env.federated import Layout


class Link(nn.Module):
    """Registers its decoder first, so that the order has to be made."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.decoder = nn.utils.skip_init(nn.Linear, 3, 5)
        self.encoder = nn.utils.skip_init(nn.Linear, 4, 3)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)


def test_encoder_columns_come_first():
    layout = Layout.of(Link())
    assert layout.names == ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias")
    assert layout.offsets == (0, 12, 15, 30, 35)
    assert layout.num_parameters == 35
    assert layout.num_shared("encoder") == 15
    assert layout.num_shared("all") == 35
    with pytest.raises(ValueError, match="encoder, all"):
        layout.num_shared("decoder")


def test_flatten_load_and_split_are_inverse():
    model, other = Link(1), Link(2)
    layout = Layout.of(model)
    row = layout.flatten(model)
    layout.load(other, row)
    assert torch.equal(layout.flatten(other), row)
    flat = torch.stack([row, 2 * row])
    for name, part in layout.split(flat).items():
        parameter = dict(model.named_parameters())[name].detach()
        assert torch.equal(part, torch.stack([parameter, 2 * parameter]))
    layout.split(flat)["decoder.bias"].zero_()
    assert torch.equal(flat[:, 30:], torch.zeros(2, 5)), "views, not copies"
    layout.load(other, row.double())
    assert layout.flatten(other).dtype == torch.float64
