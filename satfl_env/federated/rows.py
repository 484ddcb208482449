"""Some rows of matrices of parameters: on the CPU NumPy copies them in less than half the time of PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def take_rows(source: Tensor, which: NDArray[np.int64]) -> Tensor:
    """A copy of some rows (R,) of a matrix, (R, P), on the same device."""
    if source.device.type == "cpu":
        return torch.from_numpy(source.numpy()[which])
    return source[torch.from_numpy(which).to(source.device)]


def write_rows(target: Tensor, rows: NDArray[np.int64], source: Tensor, source_rows: NDArray[np.int64]) -> None:
    """Overwrite some rows (R,) of a matrix on the CPU with rows (R,) of another."""
    target.numpy()[rows] = source.numpy()[source_rows]


def put_rows(target: Tensor, rows: NDArray[np.int64], source: Tensor) -> None:
    """Overwrite some rows (R,) of a matrix with another, (R, P), on the same device."""
    if target.device.type == "cpu":
        target.numpy()[rows] = source.numpy()
    else:
        target[torch.from_numpy(rows).to(target.device)] = source
