from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines.association import (
    at_gateway,
    in_order_of,
    longest_window,
    nearest,
    neediest,
    random_association,
    single_gateway,
)
from tests.factories import make_state


def random_pairs(seed: int, num_satellites: int, num_gateways: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    visible = rng.random((num_satellites, num_gateways)) < 0.6
    return {
        "visible": visible,
        "window_s": np.where(visible, rng.uniform(0, 600, visible.shape), 0.0),
        "distance_m": rng.uniform(5e5, 3e6, visible.shape),
    }


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), num_satellites=st.integers(1, 12), num_gateways=st.integers(1, 5))
def test_rules_choose_what_a_search_over_all_gateways_chooses(seed, num_satellites, num_gateways):
    pairs = random_pairs(seed, num_satellites, num_gateways)
    state = make_state(num_satellites, num_gateways, **pairs)
    longest, closest = longest_window(state), nearest(state)
    for satellite in range(num_satellites):
        seen = [gateway for gateway in range(num_gateways) if pairs["visible"][satellite, gateway]]
        window = {gateway: pairs["window_s"][satellite, gateway] for gateway in seen}
        distance = {gateway: pairs["distance_m"][satellite, gateway] for gateway in seen}
        assert longest[satellite] == max(seen, key=window.__getitem__, default=num_gateways)
        assert closest[satellite] == min(seen, key=distance.__getitem__, default=num_gateways)


def test_the_nearest_gateway_that_does_not_see_the_satellite_is_not_chosen():
    state = make_state(1, 2, distance_m=np.array([[1e5, 2e6]]), visible=np.array([[False, True]]))
    assert nearest(state).tolist() == [1]


def test_a_window_of_zero_still_beats_an_invisible_gateway():
    state = make_state(1, 2, window_s=np.zeros((1, 2)), visible=np.array([[False, True]]))
    assert longest_window(state).tolist() == [1]


def test_only_gateway_0_is_there_for_single_gateway():
    state = make_state(3, 2, visible=np.array([[True, True], [False, True], [False, False]]))
    assert single_gateway(state).tolist() == [0, 2, 2]


def test_random_association_is_uniform_over_visible_gateways_and_seeded():
    visible = np.tile([True, False, True], (2000, 1))
    visible[-1] = False
    state = make_state(2000, 3, visible=visible)
    chosen = random_association(state, np.random.default_rng(1))
    counts = np.bincount(chosen, minlength=4)
    assert counts[1] == 0
    assert counts[3] == 1
    assert counts[0] == pytest.approx(1000, abs=100)
    assert np.array_equal(chosen, random_association(state, np.random.default_rng(1)))


def test_values_at_the_chosen_gateway():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert at_gateway(values, np.array([1, 0, 2])).tolist() == [2.0, 3.0, 0.0]


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    num_satellites=st.integers(1, 12),
    num_gateways=st.integers(1, 4),
    beams=st.integers(0, 4),
    levels=st.integers(1, 50),
)
def test_nobody_with_a_higher_priority_wants_a_beam_that_another_has(seed, num_satellites, num_gateways, beams, levels):
    pairs = random_pairs(seed, num_satellites, num_gateways)
    free = np.full(num_gateways, beams)
    state = make_state(num_satellites, num_gateways, **pairs, on_request={"beams": free})
    # Few levels: many are equal.
    priority = np.random.default_rng(seed).integers(levels, size=(num_satellites, num_gateways)).astype(float)
    association = in_order_of(priority, state)
    assert state.beams.tolist() == [beams] * num_gateways
    assert (np.bincount(association, minlength=num_gateways + 1)[:num_gateways] <= beams).all()
    for satellite, gateway in np.argwhere(pairs["visible"]).tolist():
        own = association[satellite]
        served = np.flatnonzero(association == gateway)
        gets_better = own < num_gateways and priority[satellite, own] >= priority[satellite, gateway]
        is_full = len(served) == beams and (priority[served, gateway] >= priority[satellite, gateway]).all()
        assert gets_better or is_full
    assert all(pairs["visible"][satellite, own] for satellite, own in enumerate(association) if own < num_gateways)


def test_where_priorities_are_equal_the_longer_window_is_served():
    window_s = np.array([[100.0, 90.0], [300.0, 80.0], [200.0, 70.0]])
    state = make_state(3, 2, window_s=window_s, on_request={"beams": np.array([1, 1])})
    assert in_order_of(np.zeros((3, 2)), state).tolist() == [1, 0, 2]


def test_the_neediest_have_the_beams():
    window_s = np.array([[400.0, 0.0], [300.0, 100.0], [100.0, 350.0], [350.0, 0.0]])
    visible, loss = window_s > 0, np.array([0.5, 1.0, 2.0, 0.1])
    state = make_state(4, 2, window_s=window_s, visible=visible, last_loss=loss, on_request={"beams": np.array([1, 1])})
    # Products of loss and window: 700 and 300 of satellites 2 and 1 come first.
    assert neediest(state).tolist() == [2, 0, 1, 2]
    alone = make_state(4, 2, window_s=window_s, visible=visible, on_request={"beams": np.array([4, 4])})
    assert neediest(alone).tolist() == longest_window(alone).tolist()
