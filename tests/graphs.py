"""Undirected graphs of satellites."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st


class Graph(NamedTuple):
    """The two ends of each link, (E,), and the number of satellites."""

    one: np.ndarray
    other: np.ndarray
    num_satellites: int


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graph of up to seven satellites."""
    number = draw(st.integers(1, 7))
    one, other = np.triu_indices(number, k=1)
    kept = np.array(draw(st.lists(st.booleans(), min_size=len(one), max_size=len(one))), dtype=bool)
    return Graph(one[kept], other[kept], number)
