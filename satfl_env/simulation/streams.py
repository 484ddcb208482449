"""One seed drives everything: every source of randomness has its own stream of the episode's seed."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

Stream = Literal[
    "orbits",
    "split",
    "energy",
    "weights",
    "batches",
    "noise",
    "uploads",
    "cohort",
    "faults",
    "fleet",
    "downlink",
    "uplink",
]
_STREAMS: tuple[Stream, ...] = get_args(Stream)


def _sequence(seed: int, stream: Stream, *key: int) -> np.random.SeedSequence:
    """`SeedSequence(seed, spawn_key=(stream, *key))`, spelled as the words that NumPy takes a while to make of it."""
    words = (seed % 2**32, seed // 2**32, 0, 0, _STREAMS.index(stream), *key)
    return np.random.SeedSequence(np.array(words, dtype=np.uint32))


def numpy_generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """NumPy generator of a stream; `key`, for example a round, selects an independent child."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, stream, *key)))


def torch_generator(seed: int, stream: Stream, *key: int) -> torch.Generator:
    """Torch generator of a stream; `key` selects an independent child."""
    state = int(_sequence(seed, stream, *key).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state)


def satellite_seeds(seed: int, round_index: int, num_satellites: int) -> NDArray[np.uint64]:
    """Seeds of the satellites' batches and channel noise in one round, (S,)."""
    return _sequence(seed, "batches", round_index).generate_state(num_satellites, np.uint64).astype(np.uint64)
