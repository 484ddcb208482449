"""What learning libraries change for the whole process: random generators and threads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def generators() -> dict[str, Any]:
    """The states of the global generators of Python, NumPy and PyTorch."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (Stable-Baselines3 draws from it)
        "torch": torch.get_rng_state(),
    }


def set_generators(states: dict[str, Any]) -> None:
    """Put the global generators into states that `generators` gave."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside the block PyTorch has one thread.

    Several cost more than they bring in networks of schedulers, and their sums differ from machine to machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def own_generators() -> Iterator[None]:
    """After the block the global generators are as before."""
    before = generators()
    try:
        yield
    finally:
        set_generators(before)
