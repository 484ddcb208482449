"""Where local training runs: device, precision and number of worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from satfl_env.federated.local import LocalData

PRECISIONS = ("float32", "bfloat16")

# Data already moved; in-place changes to the original made after its first round there go unseen.
_moved: WeakKeyDictionary[LocalData, LocalData] = WeakKeyDictionary()


@dataclass(frozen=True)
class Hardware:
    """Where training runs.

    Attributes:
        device: `cpu`, `cuda` or `cuda:<index>`. Parameters and results stay where the caller has them.
        precision: `float32`: the precision of the parameters; `bfloat16`: that of the matrix products of the `stacked`
            engine, while parameters, optimizer and loss keep theirs. Results then agree to about 1e-2 only.
        workers: Worker processes of `processes` and `auto`, shards of `ray`. None means every core for `processes` and
            `ray`, and for `auto` as many as the threads that PyTorch may use.

    Raises:
        ValueError: If a value is out of range or PyTorch does not see the device.
    """

    device: str = "cpu"
    precision: str = "float32"
    workers: int | None = None

    def __post_init__(self) -> None:
        """Reject what is not there."""
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}; allowed are {', '.join(PRECISIONS)}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is {self.workers}; allowed are integers >= 1, or None")
        visible = ["cpu", "cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        if self.device not in visible or (self.device == "cuda" and not torch.cuda.is_available()):
            seen = [name for name in visible if name != "cuda" or torch.cuda.is_available()]
            raise ValueError(f"device is {self.device!r}; PyTorch sees {', '.join(seen)} here")


def available_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def thread_limit(num_threads: int | None) -> Iterator[None]:
    """Limit PyTorch's threads inside the block: many small models train several times faster on one. None: no limit."""
    before = torch.get_num_threads()
    # Setting what is set already is not free.
    if num_threads not in (None, before):
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        if num_threads not in (None, before):
            torch.set_num_threads(before)


def data_on(device: str, data: LocalData) -> LocalData:
    """The data on a device, moved there once and kept as long as the original lives."""
    target = torch.device(device)
    if data.images.device.type == target.type and target.index in (None, data.images.device.index):
        return data
    moved = _moved.get(data)
    if moved is None or moved.images.device != torch.empty(0, device=target).device:
        mask = None if data.output_mask is None else data.output_mask.to(target)
        moved = _moved[data] = LocalData(data.images.to(target), data.targets.to(target), data.offsets, mask)
    return moved
