"""Batches of observations: arrays or dictionaries of arrays, with a leading axis for the observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rows(batch: Any, chosen: Any) -> Any:
    """One observation of a batch, by its index, or a batch of some, by an array of indices."""
    if isinstance(batch, Mapping):
        return {name: part[chosen] for name, part in batch.items()}
    return batch[chosen]
