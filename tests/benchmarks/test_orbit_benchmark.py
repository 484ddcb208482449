from __future__ import annotations

import numpy as np
import pytest

from benchmarks.orbits import run


@pytest.mark.slow
def test_a_quick_run_measures_seconds_and_ratios() -> None:
    values = run(quick=True)
    assert all(np.isfinite(value) and value >= 0 for value in values.values())
    ratios = {name: value for name, value in values.items() if name.endswith("/ ours")}
    assert len(ratios) == 3
    assert all(value > 1 for value in ratios.values())
