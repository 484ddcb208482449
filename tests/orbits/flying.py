"""What tests of all readers of orbital elements ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from satfl_env.orbits.element_set import ElementSet


def assert_flies_or_refuses(read: Callable[[], Iterable[ElementSet]]) -> None:
    """Assert that reading raises `ValueError` or gives sets that SGP4 flies at their epoch."""
    try:
        sets = list(read())
    except ValueError:
        return
    for one in sets:
        error, position, velocity = one.record.sgp4(one.record.jdsatepoch, one.record.jdsatepochF)
        assert error == 0
        assert np.isfinite([position, velocity]).all()
