from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

Scene = Callable[..., SimpleNamespace]


@pytest.fixture(scope="session")
def at() -> Scene:
    """Makes what links need to know from positions of satellites (S, 3) and gateways (G, 3)."""

    def make(
        position_m: np.ndarray, gateway_position_m: np.ndarray, gateway_frame: np.ndarray | None = None
    ) -> SimpleNamespace:
        return SimpleNamespace(
            position_m=position_m,
            gateway_position_m=gateway_position_m,
            distance_m=np.linalg.norm(position_m[:, None] - gateway_position_m, axis=-1),
            gateway_frame=gateway_frame,
            clear=None,
            sender=None,
        )

    return make
