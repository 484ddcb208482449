from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env.semantics import Channel, normalise_power, transmit


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_power_of_each_sample_is_one_whatever_its_neighbours():
    symbols = torch.randn(6, 32, generator=generator()) * torch.logspace(-2, 2, 6).unsqueeze(1)
    unit = normalise_power(symbols)
    assert unit.square().mean(-1).numpy() == pytest.approx(np.ones(6), rel=1e-3)
    for row in range(6):
        assert torch.equal(normalise_power(symbols[row : row + 1])[0], unit[row])


def test_all_zero_symbols_stay_zero():
    assert torch.equal(normalise_power(torch.zeros(2, 8)), torch.zeros(2, 8))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 11.0])
@pytest.mark.parametrize("kind", ["awgn", "rayleigh", "rician"])
def test_empirical_snr_matches(kind: str, snr_db: float):
    draw = Channel(kind, snr_db).draw(40_000, 2, 8, generator())
    symbols = normalise_power(torch.randn(40_000, 8, generator=generator(1)))
    noiseless = draw.gain * symbols.unsqueeze(1)
    received = transmit(symbols, draw)
    measured_db = 10 * torch.log10(noiseless.square().mean() / (received - noiseless).square().mean())
    assert float(measured_db) == pytest.approx(snr_db, abs=0.1)


def test_snr_range_is_drawn_per_sample():
    draw = Channel(snr_db=(1.0, 11.0)).draw(4_000, 1, 256, generator())
    measured_db = -10 * torch.log10(draw.noise.square().mean((1, 2)))
    assert float((measured_db - draw.snr_db).abs().mean()) < 0.5
    assert 1.0 <= float(draw.snr_db.min()) < 1.1
    assert 10.9 < float(draw.snr_db.max()) <= 11.0
    assert float(draw.snr_db.mean()) == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize(
    ("channel", "k"),
    [(Channel("rayleigh"), 0.0), (Channel("rician", rician_k=0.5), 0.5), (Channel("rician", rician_k=10.0), 10.0)],
)
def test_fading_has_unit_mean_power_and_is_one_gain_a_draw(channel: Channel, k: float):
    gain = channel.draw(50_000, 2, 4, generator()).gain
    assert gain.shape == (50_000, 2, 1)
    assert float(gain.square().mean()) == pytest.approx(1.0, abs=0.02)
    # Var |h|^2 = (1 + 2 K) / (1 + K)^2 tells Rayleigh from Rician.
    assert float(gain.square().var()) == pytest.approx((1 + 2 * k) / (1 + k) ** 2, rel=0.05)


def test_awgn_has_gain_one():
    assert torch.equal(Channel().draw(3, 2, 4, generator()).gain, torch.ones(3, 2, 1))


def test_test_snr_overrides_the_channels_own():
    quiet = Channel(snr_db=(0.0, 5.0)).draw(1000, 1, 8, generator(), snr_db=40.0)
    assert torch.equal(quiet.snr_db, torch.full((1000,), 40.0))
    assert float(quiet.noise.square().mean()) == pytest.approx(1e-4, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"kind": "laser"}, "'awgn', 'rayleigh' or 'rician'"),
        ({"snr_db": float("nan")}, "snr_db"),
        ({"snr_db": (5.0, 1.0)}, "snr_db"),
        ({"kind": "rician", "rician_k": -1.0}, "rician_k"),
        (
            {"kind": "rayleigh", "rician_k": 1.0},
            "rician_k does not go with kind 'rayleigh': 'rician' alone",
        ),
    ],
)
def test_bad_channels_are_rejected(arguments: dict, word: str):
    with pytest.raises(ValueError, match=word):
        Channel(**arguments)
