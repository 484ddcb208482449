"""Streams of random numbers: those that NumPy spawns from the seed."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from satfl_env.simulation.streams import Stream, numpy_generator, satellite_seeds, torch_generator


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("key", [(), (0,), (3, 29), (2**31 - 1,)])
def test_a_stream_is_a_child_of_the_seed(seed: int, key: tuple[int, ...]) -> None:
    for index, stream in enumerate(get_args(Stream)):
        child = np.random.SeedSequence(seed, spawn_key=(index, *key))
        assert numpy_generator(seed, stream, *key).random() == np.random.default_rng(child).random()
        assert torch_generator(seed, stream, *key).initial_seed() == child.generate_state(1, np.uint64)[0]


def test_satellites_have_the_numbers_of_a_stream_of_their_own() -> None:
    child = np.random.SeedSequence(5, spawn_key=(get_args(Stream).index("batches"), 3))
    np.testing.assert_array_equal(satellite_seeds(5, 3, 4), child.generate_state(4, np.uint64))
