"""Compressors against numbers by hand: expectation, variance and bits. Error feedback loses nothing."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from satfl_env.federated import Compression, Compressor, Quantised, RandomK, TopK

DRAWS = 20_000
COMPRESSORS = [*(Quantised(bits=bits) for bits in (8, 4, 2, 1)), TopK(share=0.25), RandomK(share=0.25)]
UNBIASED = [one for one in COMPRESSORS if not isinstance(one, TopK)]
each = pytest.mark.parametrize("compressor", COMPRESSORS, ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors(count: int = 3, size: int = 40) -> Tensor:
    return torch.randn(count, size, generator=seeded(7), dtype=torch.float64)


def drawn(compressor: Compressor, vector: list[float] | Tensor) -> Tensor:
    """Many draws of the same vector, (DRAWS, P)."""
    return compressor.compress(torch.as_tensor(vector, dtype=torch.float64).repeat(DRAWS, 1), seeded())


@pytest.mark.parametrize(
    ("bits", "levels"),
    [
        (1, [0.0, 15.0]),
        (2, [0.0, 5.0, 10.0, 15.0]),
        (4, [float(level) for level in range(16)]),
        (8, [15 * level / 255 for level in range(256)]),
    ],
)
def test_quantised_numbers_are_one_of_the_two_nearest_levels(bits, levels):
    vector = torch.tensor([0.0, 15.0, 7.3, 2.5])
    grid, got = torch.tensor(levels, dtype=torch.float64), drawn(Quantised(bits=bits), vector)
    assert (got[:, 0] == 0).all()
    torch.testing.assert_close(got[:, 1], torch.full((DRAWS,), 15.0, dtype=torch.float64))
    for place, number in ((2, 7.3), (3, 2.5)):
        below, above = grid[grid <= number].max().item(), grid[grid > number].min().item()
        found = got[:, place].unique()
        torch.testing.assert_close(found, torch.tensor([below, above], dtype=torch.float64))
        # The level above is as likely as the number is near to it.
        share = ((got[:, place] - below) / (above - below)).mean().item()
        assert share == pytest.approx((number - below) / (above - below), abs=5 / sqrt(DRAWS))


def test_the_largest_numbers_stay():
    vector = torch.tensor([[0.1, -4.0, 3.0, 0.0, 2.0, -1.0, 0.5, 0.2]])
    got = TopK(share=0.25).compress(vector, seeded())
    assert got.tolist() == [[0.0, -4.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    assert TopK(share=0.01).compress(vector, seeded()).tolist() == [[0.0, -4.0, *[0.0] * 6]]


def test_random_numbers_stay_times_how_many_there_were_for_each():
    vector = torch.arange(1.0, 9.0)
    got = drawn(RandomK(share=0.25), vector)
    assert ((got == 0) | (got == 4 * vector)).all()
    assert ((got != 0).sum(dim=1) == 2).all()
    torch.testing.assert_close((got != 0).double().mean(dim=0), torch.full((8,), 0.25).double(), rtol=0, atol=0.02)


@pytest.mark.parametrize("compressor", UNBIASED, ids=repr)
def test_the_mean_of_many_draws_is_the_vector(compressor):
    vector = vectors(1)[0]
    got = drawn(compressor, vector)
    assert ((got.mean(dim=0) - vector).abs() <= 5 * got.std(dim=0) / sqrt(DRAWS) + 1e-12).all()


@pytest.mark.parametrize("compressor", UNBIASED, ids=repr)
def test_the_variance_is_that_of_many_draws(compressor):
    vector = vectors(1)[0]
    measured = (drawn(compressor, vector) - vector).square().sum(dim=1).mean() / vector.square().sum()
    assert compressor.variance(vector[None])[0].item() == pytest.approx(measured.item(), rel=0.05)


@pytest.mark.parametrize(
    ("compressor", "bits"),
    [
        (Quantised(bits=8), 8 * 2240 + 64),
        (Quantised(bits=4), 4 * 2240 + 64),
        (Quantised(bits=2), 2 * 2240 + 64),
        (Quantised(bits=1), 2240 + 64),
        # 2240 places take 12 bits each.
        (TopK(share=0.1), 224 * (32 + 12)),
        (RandomK(share=0.1), 224 * 32 + 64),
        (TopK(share=1e-9), 32 + 12),
    ],
)
def test_bits_are_those_counted_by_hand(compressor, bits):
    assert compressor.size_bits(2240) == bits
    compression = Compression(upload=compressor)
    assert compression.upload_share(2240) == bits / (32 * 2240)
    assert compression.download_share(2240) == 1.0


@each
def test_vectors_are_compressed_each_for_itself(compressor):
    """Zeros and constants are as good as any."""
    rows = torch.stack([torch.zeros(40), torch.full((40,), 3.0), torch.full((40,), -1e-30), vectors(1)[0].float()])
    got = compressor.compress(rows, seeded())
    assert got.isfinite().all()
    assert (got[0] == 0).all()
    assert compressor.variance(rows).isfinite().all()
    if isinstance(compressor, Quantised):
        assert torch.equal(got[:3], rows[:3])


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_the_highest_number_is_the_highest_level_whatever_is_drawn(bits):
    rows = torch.rand(2000, 3, generator=seeded())
    got = Quantised(bits=bits).compress(rows, seeded(1))
    lowest, highest = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    assert (got >= lowest).all()
    assert (got <= highest + 1e-6).all()


@each
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), rounds=st.integers(1, 12), scale=st.floats(1e-6, 1e6))
def test_error_feedback_loses_nothing(compressor, seed, rounds, scale):
    """What was sent and what is remembered are together what there was."""
    compression, generator = Compression(upload=compressor, error_feedback=True), seeded(seed)
    memory = torch.zeros(2, 30, dtype=torch.float64)
    sent_so_far, updates_so_far = torch.zeros_like(memory), torch.zeros_like(memory)
    for _ in range(rounds):
        updates = scale * torch.randn(2, 30, generator=generator, dtype=torch.float64)
        sent, memory = compression.send(updates, memory, generator)
        sent_so_far, updates_so_far = sent_so_far + sent, updates_so_far + updates
    torch.testing.assert_close(sent_so_far + memory, updates_so_far, rtol=0, atol=1e-9 * scale)


@each
def test_what_is_remembered_stays_bounded(compressor):
    """With one bit the error of the plain compressor is longer than the vector, and would grow for ever."""
    compression, generator = Compression(upload=compressor, error_feedback=True), seeded()
    memory, norms = torch.zeros(1, 500), []
    for _ in range(300):
        _, memory = compression.send(torch.randn(1, 500, generator=generator), memory, generator)
        norms.append(memory.norm().item())
    contraction = 1 / (1 + compressor.variance(torch.randn(1, 500, generator=generator)).item())
    contraction = min(contraction, compressor.share if isinstance(compressor, TopK) else 1.0)
    # e' = (1 - contraction) |e + u|^2 on average, so that |e| is at most 2 / contraction times |u|.
    assert max(norms) <= 2 / contraction * sqrt(500)


def test_without_a_compressor_all_is_as_it_was():
    compression, updates, memory = Compression(), vectors(), torch.zeros(3, 0)
    assert compression.send(updates, memory, seeded()) == (updates, memory)
    assert compression.fetch(updates, seeded()) is updates


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Quantised(bits=0), "greater than or equal to 1"),
        (lambda: Quantised(bits=17), "less than or equal to 16"),
        (lambda: TopK(share=0.0), "greater than 0"),
        (lambda: RandomK(share=1.5), "less than or equal to 1"),
        (lambda: Compression(error_feedback=True), "error_feedback must be false where upload is null"),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


class Wrong:
    def __init__(self, result) -> None:
        self.result = result

    def size_bits(self, num_parameters: int) -> float:
        return 1.0

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return self.result(vectors)

    def variance(self, vectors: Tensor) -> Tensor:
        return vectors.new_zeros(len(vectors))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda vectors: vectors[:1], r"Wrong must give a tensor of shape \(n, P\) = \(3, 40\), got \(1, 40\)"),
        (lambda vectors: 3, r"got int"),
        (lambda vectors: vectors / 0, "Wrong must give finite numbers"),
    ],
)
def test_a_compressor_of_ones_own_is_checked(result, words):
    with pytest.raises(ValueError, match=words):
        Compression(download=Wrong(result)).fetch(vectors(), seeded())
