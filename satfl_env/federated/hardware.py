"""Where local training runs: device, precision and number of worker processes."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from pydantic import field_validator
from pydantic.dataclasses import dataclass
from threadpoolctl import ThreadpoolController

from satfl_env.federated.local import LocalData
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.say_once import say_once
from satfl_env.settings import STRICT, Workers

# Data already moved; in-place changes to the original after its first round there have no effect.
_moved: WeakKeyDictionary[LocalData, LocalData] = WeakKeyDictionary()


@dataclass(frozen=True, config=STRICT)
class Hardware:
    """Where training runs. It changes how long a round takes, and its results only by rounding.

    Attributes:
        device: `cpu`, `cuda` or `cuda:<index>`; a simulation tests its models there, too. Parameters and results stay
            where the caller has them.
        precision: `float32`: the precision of the parameters; `bfloat16`: that of the matrix products of stacked
            training, while parameters, optimizer and loss keep theirs. Results then agree to about 1e-2 only.
        workers: Worker processes of `processes`, threads of `compiled`, either of `auto`, shards of `ray`. None means
            every core for `processes` and `ray`, one for `compiled`, and for `auto` as many as the threads that PyTorch
            may use. At most 256.

    Raises:
        ValueError: If a value is out of its range.
    """

    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    workers: Workers | None = None

    @field_validator("device")
    @classmethod
    def _cpu_or_cuda(cls, value: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", value):
            raise ValueError(f"must be cpu, cuda or cuda:<index>, got {value!r}")
        return value

    def check_visible(self) -> None:
        """Raise `ValueError` if PyTorch does not see the device on this machine."""
        seen = ["cpu"]
        if torch.cuda.is_available():
            seen += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        if self.device not in seen:
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


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit NumPy's and SciPy's matrix products to one thread inside the block.

    OpenBLAS takes the number of its main thread alone: in another one this may be in vain, which is logged once.
    """
    # threadpoolctl's own limit sets every library each time, which takes as long as a small test.
    several = [(one, number) for one in _blas() if (number := one.get_num_threads()) not in (None, 1)]
    for library, number in several:
        library.set_num_threads(1)
        if library.get_num_threads() != 1:
            say_once(
                f"matrix products keep {number} threads outside the main thread, which may round large models in "
                "another way: set OPENBLAS_NUM_THREADS=1"
            )
    try:
        yield
    finally:
        for library, number in several:
            library.set_num_threads(number)


@cache
def _blas() -> list[Any]:
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


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


def model_on(device: str, model: TrainableModel) -> TrainableModel:
    """The model on a device, with its buffers: itself on the CPU, elsewhere a copy."""
    if device == "cpu":
        return model
    copied: Any = copy.deepcopy(model)
    moved: TrainableModel = copied.to(device)
    return moved
