from __future__ import annotations

import pytest

from benchmarks.options import BASES, Base, cost
from satfl_env.scenarios import load


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_every_option_changes_its_scenario(base: Base):
    without = load(base.scenario, **base.changes)
    for option in base.options.values():
        assert load(base.scenario, **{**base.changes, **option}) != without


def test_an_option_has_a_cost():
    found = cost(BASES[0], BASES[0].options["faults"], rounds=2)
    assert found["with, ms"] / found["without, ms"] == pytest.approx(found["with / without"])
    assert found["without, ms"] > 0
