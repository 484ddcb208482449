"""The state of a long piece of work in a file, which appears whole or not at all and is read without running code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from satfl_baselines.files import damaged, write_whole

# PyTorch reads tensors without running code, but no arrays: these become tensors under this key.
_ARRAY = "array"


def save(path: Path, content: Any) -> int:
    """Write numbers, texts, arrays and tensors, in mappings, lists and tuples; returns the bytes that they take.

    Raises:
        OSError: If the file cannot be written; what was there before then stays.
    """
    stream = io.BytesIO()
    torch.save(_packed(content), stream)
    write_whole(path, stream.getvalue())
    return stream.tell()


def load(path: Path) -> Any:
    """What `save` has written; tensors are on the CPU.

    Raises:
        ValueError: If the file holds anything else, such as code.
        OSError: If it cannot be read.
    """
    try:
        return _unpacked(torch.load(path, weights_only=True, map_location="cpu"))
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise damaged(path, "it is no checkpoint") from error


def _packed(content: Any) -> Any:
    if isinstance(content, np.ndarray):
        return {_ARRAY: torch.from_numpy(content.copy())}
    if isinstance(content, np.generic):
        return content.item()
    if isinstance(content, dict):
        return {key: _packed(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(_packed, content))
    return content


def _unpacked(content: Any) -> Any:
    if isinstance(content, dict):
        if content.keys() == {_ARRAY}:
            return content[_ARRAY].numpy()
        return {key: _unpacked(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(_unpacked, content))
    return content
