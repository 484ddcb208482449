"""The infos of many environments as one: in Gymnasium's form, an array for each key.

Beside each `key` there is `_key`, which says of each environment whether it has the key, bool (N,). Where it has not,
the array holds zeros, or None if what it holds are objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray


def batched_infos(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `VectorEnv._add_info` of Gymnasium makes of the infos of all environments, here key by key."""
    batch: dict[str, Any] = {}
    for key in dict.fromkeys(chain.from_iterable(infos)):
        having = [index for index, info in enumerate(infos) if key in info]
        values = [infos[index][key] for index in having]
        # A last observation is kept as it is, whatever it is.
        if isinstance(values[0], dict) and key != "final_obs":
            batch[key] = batched_infos([info.get(key, {}) for info in infos])
        else:
            batch[key] = _empty(len(infos), like=None if key == "final_obs" else values[0])
            for index, value in zip(having, values, strict=True):
                batch[key][index] = value
        has = batch[f"_{key}"] = np.zeros(len(infos), dtype=np.bool_)
        has[having] = True
    return batch


def split_infos(batch: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """The infos of single environments out of batched ones."""
    infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in batch.items():
        if key.startswith("_"):
            continue
        rows: Iterable[Any] = split_infos(values, num_envs) if isinstance(values, dict) else values
        for info, row, has in zip(infos, rows, batch[f"_{key}"].tolist(), strict=True):
            if has:
                info[key] = row
    return infos


def joined_infos(batches: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """Batched infos of several vectors of some sizes as those of one."""
    joined: dict[str, Any] = {}
    for key in dict.fromkeys(chain.from_iterable(batches)):
        found = next(batch[key] for batch in batches if key in batch)
        if isinstance(found, dict):
            joined[key] = joined_infos([batch.get(key, {}) for batch in batches], sizes)
        else:
            pairs = zip(batches, sizes, strict=True)
            joined[key] = np.concatenate([batch[key] if key in batch else _blank(found, size) for batch, size in pairs])
    return joined


def _empty(count: int, like: Any) -> NDArray[Any]:
    """Zeros for `count` values like one, or None for values that are neither numbers nor arrays."""
    if type(like) in (int, float, bool) or isinstance(like, np.number):
        return np.zeros(count, type(like))
    if isinstance(like, np.ndarray):
        return np.zeros((count, *like.shape), like.dtype)
    return np.full(count, None)


def _blank(like: NDArray[Any], size: int) -> NDArray[Any]:
    shape = (size, *like.shape[1:])
    return np.full(shape, None) if like.dtype == object else np.zeros(shape, like.dtype)
