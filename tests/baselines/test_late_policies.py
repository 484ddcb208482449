from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from satfl_baselines import make_policy
from satfl_env import scenarios
from tests.factories import make_state

PHYSICS = {"training.engine": "none"}
LATE = {"buffer": 3, "staleness_power": 0.5}


@pytest.mark.parametrize(
    ("name", "counts"),
    [("fedsat", lambda state: state.samples), ("fedbuff", lambda state: np.ones(len(state.samples)))],
    ids=["fedsat", "fedbuff"],
)
def test_everyone_who_hands_something_over_counts(name, counts):
    simulation = scenarios.build(scenarios.load("leo-multitask", **PHYSICS, **{"rounds.late": LATE}))
    policy, state, sizes = make_policy(name), simulation.reset(0), []
    for _ in range(8):
        decision, raw = policy(state), counts(state)
        state, report = simulation.step(decision)
        assert not report.equal_weights.any()
        for gateway in range(3):
            together = report.returned & (decision.association == gateway)
            np.testing.assert_allclose(report.weights[together], raw[together] / raw[together].sum())
            sizes.append(together.sum())
    assert sum(sizes) > 10
    assert max(sizes) > 1


def test_fedsat_parts_from_nearest_fedavg_where_a_contact_is_too_short_for_an_epoch():
    """At 1 GHz an epoch of 100 samples takes 10 s."""
    enough = make_state(3, 2, window_s=np.full((3, 2), 30.0), samples=np.array([100, 50, 80]))
    short = replace(enough, window_s=np.array([[5.0, 5.0], [30.0, 30.0], [30.0, 30.0]]))
    for state, expected in [(enough, [1.0, 0.5, 0.8]), (short, [0.0, 0.625, 1.0])]:
        assert make_policy("fedsat")(state).weights == pytest.approx([1.0, 0.5, 0.8])
        assert make_policy("nearest-fedavg")(state).weights == pytest.approx(expected)


def test_fedleo_takes_the_longest_contact_of_the_plane():
    small = {"data.test_samples": 4, "data.partition": {"span_s": 7200.0, "max_samples": 20}}
    planes = {"constellation.satellites": 27, "constellation.planes": 3, "constellation.phasing": 1}
    scenario = scenarios.load("walker-earth", **PHYSICS, **small, **planes, **{"rounds.relay": {}})
    state = scenarios.build(scenario).reset(0)
    decision = make_policy("fedleo")(state)
    taking_part = np.flatnonzero(decision.association < 10)
    chosen = state.window_s[taking_part, decision.association[taking_part]]
    np.testing.assert_array_equal(chosen, state.window_s[taking_part].max(axis=1))
    assert len(taking_part) >= 9
