from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from satfl_env import NetworkState


@pytest.fixture(scope="session")
def make_state() -> Callable[..., NetworkState]:
    """States made by hand: everyone sees every gateway for 400 s; any field can be changed."""

    def make(num_satellites: int = 4, num_gateways: int = 2, **changes: Any) -> NetworkState:
        pairs = (num_satellites, num_gateways)
        state = NetworkState(
            round=0,
            time_s=0.0,
            position_m=np.zeros((num_satellites, 3)),
            velocity_mps=np.zeros((num_satellites, 3)),
            distance_m=np.full(pairs, 1e6),
            visible=np.ones(pairs, dtype=bool),
            window_s=np.full(pairs, 400.0),
            rate_bps=np.full(pairs, 1e9),
            link_s=np.full(pairs, 0.5),
            energy_j=np.full(num_satellites, 100.0),
            samples=np.full(num_satellites, 100),
            last_loss=np.ones(num_satellites),
            last_epochs=np.zeros(num_satellites, dtype=np.int64),
            cluster=np.zeros(num_satellites, dtype=np.int64),
            similarity=np.ones((num_satellites, num_satellites)),
            update_similarity=np.eye(num_satellites),
            cpu_max_hz=np.full(num_satellites, 1e9),
            cycles_per_sample=np.full(num_satellites, 1e8),
            kappa=np.full(num_satellites, 5e-27),
            max_epochs=np.full(num_satellites, 100),
        )
        return replace(state, **changes)

    return make
