from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.federated import TrainingSettings
from satfl_env.federated.schedule import Work, draw_blocks, draw_epochs
from satfl_env.semantics import Channel, MLPLink


def link(kind: str = "rician") -> MLPLink:
    return MLPLink(4, 2, channel=Channel(kind, (0.0, 10.0)), generator=torch.Generator(), channel_draws=2)


LINK = link()
seeds = st.integers(0, 2**64 - 1)


@settings(deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 12), seeds)
def test_epochs_are_shuffles_drawn_in_blocks_of_bounded_size(samples: int, used: int, epochs: int, seed: int):
    used = min(samples, used)
    blocks = list(draw_blocks(LINK, samples, used, epochs, seed))
    assert sum(len(block.order) for block in blocks) == epochs
    for block in blocks:
        count = len(block.order)
        assert count == 1 or count * used <= 512
        assert block.order.shape == (count, used)
        assert block.channel.noise.shape == (count * used, 2, 8)
        assert all(len(set(row)) == used and 0 <= min(row) <= max(row) < samples for row in block.order.tolist())
    # A block more is begun only where the one before it is full.
    assert all((len(block.order) + 1) * used > 512 for block in blocks[:-1])
    single = list(draw_epochs(LINK, samples, used, epochs, seed))
    assert len(single) == epochs
    for part in (lambda drawn: drawn.order.flatten(), *(lambda drawn, i=i: drawn.channel[i] for i in range(3))):
        assert [row.tolist() for epoch in single for row in part(epoch)] == [
            row.tolist() for block in blocks for row in part(block)
        ]


def test_all_orders_are_equally_likely():
    orders = (tuple(epoch.order.tolist()) for epoch in draw_epochs(LINK, 3, 3, 6_000, 0))
    counts = Counter(orders)
    assert len(counts) == 6
    # Five standard deviations of a binomial count.
    assert all(abs(count - 1_000) < 5 * (6_000 * 5 / 36) ** 0.5 for count in counts.values())


def test_a_round_of_few_samples_takes_one_draw():
    calls = []

    class Counting(MLPLink):
        def draw_channel(self, count, generator, *, snr_db=None):
            calls.append(count)
            return super().draw_channel(count, generator, snr_db=snr_db)

    model = Counting(4, 2, channel=Channel(), generator=torch.Generator())
    assert len(list(draw_epochs(model, 50, 40, 12, 0))) == 12
    assert calls == [480]


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 9), st.floats(0.01, 1.0), st.integers(1, 40))
def test_epochs_begun_are_those_that_the_minibatches_reach(samples: int, epochs: int, share: float, batch_size: int):
    settings = TrainingSettings(batch_size, round_share=share)
    _, _, (used,), (begun,), (batches,), (steps,) = Work.of(np.array([samples]), np.array([epochs]), settings)
    assert used == samples
    assert batches == -(-samples // batch_size)
    reached = {step // batches for step in range(steps)}
    assert begun == len(reached) <= epochs
