"""Ten thousand rounds leave the process as it was: memory, open files, threads and objects do not grow."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

from satfl_env import SatFLEnv, make_vector_env

SMALL = {"training.max_epochs": 1, "training.batches_per_epoch": 1, "data.test_samples": 4, "rounds.episode": 25}
# The most that may be added in a thousand rounds after the first thousand.
MOST_PER_THOUSAND = {"kib": 1024.0, "files": 0.01, "threads": 0.01, "objects": 50.0}


def measured() -> dict[str, float]:
    gc.collect()
    with open("/proc/self/statm", encoding="utf-8") as file:
        pages = int(file.read().split()[1])
    return {
        "kib": pages * os.sysconf("SC_PAGE_SIZE") / 1024,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "objects": len(gc.get_objects()),
    }


def growth(env: Any, rounds: int, samples: int = 10) -> dict[str, float]:
    """What a thousand rounds add: slopes of straight lines through samples after the first tenth of the rounds."""
    env.action_space.seed(0)
    env.reset(seed=0)
    seen = []
    for number in range(1, rounds + 1):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        if np.ndim(truncated) == 0 and (terminated or truncated):
            env.reset()
        if number % (rounds // samples) == 0:
            seen.append(measured())
    thousands = np.arange(1, samples + 1) * rounds / samples / 1000
    return {name: float(np.polyfit(thousands[1:], [one[name] for one in seen[1:]], 1)[0]) for name in seen[0]}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("workers", [None, 1, 2])
@pytest.mark.parametrize("engine", ["none", "auto"])
def test_ten_thousand_rounds_leave_nothing_behind(engine: str, workers: int | None):
    overrides = {**SMALL, "training.engine": engine}
    env = SatFLEnv(overrides=overrides) if workers is None else make_vector_env(2, workers=workers, overrides=overrides)
    found = growth(env, 10_000)
    env.close()
    print(engine, workers, {name: round(slope, 3) for name, slope in found.items()})
    for name, most in MOST_PER_THOUSAND.items():
        assert found[name] <= most, found
