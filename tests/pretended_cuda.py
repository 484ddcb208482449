"""A GPU that computes nothing: on a machine without one, tensors on different devices still do not mix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from satfl_env.federated import Hardware

_COPY, _TO_NUMBER = torch.ops.aten._to_copy.default, torch.ops.aten._local_scalar_dense.default


class Pretence(TorchDispatchMode):
    """Leaves what is on the CPU to PyTorch and the rest to its fake tensors; what comes back to the CPU is all ones.

    Attributes:
        crossings: Operations so far with something from either side, such as copies.
    """

    def __init__(self) -> None:
        super().__init__()
        self.crossings = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        sides = {isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        there, device = True in sides, kwargs.get("device")
        back = there and (function is _TO_NUMBER or (function is _COPY and device is not None and device.type == "cpu"))
        forth = device is not None and device.type == "cuda"
        self.crossings += back or ((there or forth) and False in sides)
        if back and function is _TO_NUMBER:
            return 1
        if back:
            with unset_fake_temporarily():
                return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if there or forth:
            return function(*args, **kwargs)
        with unset_fake_temporarily():
            return function(*args, **kwargs)


@contextmanager
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretence]:
    """Inside, there is a device `cuda`; gradients there are those of nothing."""

    def gradients(outputs: Tensor, leaf: Tensor, share: Tensor) -> tuple[Tensor]:
        return (torch.empty_like(leaf),)

    monkeypatch.setattr(Hardware, "check_visible", lambda self: None)
    # PyTorch's own would ask the driver.
    monkeypatch.setattr(torch.autograd, "grad", gradients)
    with FakeTensorMode(allow_non_fake_inputs=True), Pretence() as pretence:
        yield pretence
