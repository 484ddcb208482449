"""Satellites that all send on the whole band, told apart by their power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env import scenarios
from satfl_env.links import NomaLinks, RadioLinks
from satfl_env.links.noma import disturbing_w
from satfl_env.scenarios import ScenarioError
from tests.factories import decide
from tests.links.test_sharing import GATEWAYS, draw_geometry

powers = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8).map(np.array)


def test_two_satellites_by_hand():
    """Received at 3 and 1 over a noise of 1: log2(1 + 3 / 2) and log2(1 + 1), together log2(1 + 4)."""
    received, noise = np.array([1.0, 3.0]), 1.0
    disturbing = disturbing_w(received, np.array([0, 0]), 0.0)
    np.testing.assert_array_equal(disturbing, [0.0, 1.0])
    rates = np.log2(1 + received / (noise + disturbing))
    np.testing.assert_allclose(rates, [1.0, math.log2(2.5)])
    assert rates.sum() == pytest.approx(math.log2(5))
    # A tenth of the decoded one is left.
    np.testing.assert_allclose(disturbing_w(received, np.array([0, 0]), 0.1), [0.3, 1.0])


@settings(deadline=None)
@given(received=powers, seed=st.integers(0, 2**32), residual=st.floats(0, 1))
def test_each_is_disturbed_by_the_weaker_and_what_is_left_of_the_stronger(received, seed: int, residual: float):
    gateways = np.random.default_rng(seed).integers(0, 3, len(received))
    found = disturbing_w(received, gateways, residual)
    for one, power in enumerate(received):
        others = [it for it in range(len(received)) if it != one and gateways[it] == gateways[one]]
        later = [it for it in others if (-received[it], it) > (-power, one)]
        earlier = [it for it in others if it not in later]
        expected = sum(received[later]) + residual * sum(received[earlier])
        assert found[one] == pytest.approx(expected)


@settings(deadline=None)
@given(received=powers)
def test_rates_of_one_gateway_add_up_to_the_capacity(received):
    disturbing = disturbing_w(received, np.zeros(len(received), np.int64), 0.0)
    assert np.log2(1 + received / (1 + disturbing)).sum() == pytest.approx(np.log2(1 + received.sum()))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_one_gateway_carries_its_capacity_at_least_what_shares_of_the_band_carry(at, seed: int):
    position = draw_geometry(6, seed)[0]
    everyone, scene = np.zeros(6, np.int64), at(position, GATEWAYS[:1])
    links = NomaLinks(bandwidth_hz=1e8, satellite_budget_hz=1e8)
    rates = links.associated_rate_bps(scene, everyone)
    alone = 2 ** (links.solo_rate_bps(scene)[:, 0] / 1e8) - 1
    assert rates.sum() == pytest.approx(1e8 * np.log2(1 + alone.sum()))
    shared = RadioLinks(bandwidth_hz=1e8, satellite_budget_hz=1e8).associated_rate_bps(scene, everyone)
    assert rates.sum() >= shared.sum() * (1 - 1e-9)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), residual=st.floats(0, 1))
def test_company_never_raises_a_rate_and_nobody_alone_loses_any(at, seed: int, residual: float):
    links, (position, _, association) = NomaLinks(cancellation_residual=residual), draw_geometry(8, seed)
    scene = at(position, GATEWAYS)
    rates, solo = links.associated_rate_bps(scene, association), RadioLinks().solo_rate_bps(scene)
    assert (rates <= solo[np.arange(8), np.minimum(association, 2)] * (1 + 1e-9)).all()
    assert ((rates > 0) == (association < 3)).all()
    only = np.where(np.arange(8) == seed % 8, 1, 3)
    assert links.associated_rate_bps(scene, only)[seed % 8] == pytest.approx(solo[seed % 8, 1])


def test_one_satellite_at_each_gateway_is_as_with_shares_of_the_band(at):
    """Between gateways nothing changes: all have the whole band either way."""
    scene, association = at(draw_geometry(4, seed=5)[0], GATEWAYS), np.array([2, 0, 3, 1])
    np.testing.assert_array_equal(
        NomaLinks().associated_rate_bps(scene, association), RadioLinks().associated_rate_bps(scene, association)
    )


def test_a_scenario_may_have_them_and_does_not_divide_the_band():
    quick = {"training.engine": "none", "links": {"kind": "noma", "model_bits": 1e8}}
    simulation = scenarios.build(scenarios.load("leo-multitask", **quick))
    state = simulation.reset(0)
    decision = decide(state)
    report = simulation.step(decision)[1]
    crowded = np.bincount(decision.association, minlength=3).argmax()
    members = np.flatnonzero(report.returned & (decision.association == crowded))
    assert len(members) > 1
    # The weakest is decoded last, as if it were alone but for other gateways' satellites.
    weakest = members[state.rate_bps[members, crowded].argmin()]
    alone_s = 1e8 / state.rate_bps[weakest, crowded] + state.distance_m[weakest, crowded] / 299_792_458
    assert alone_s <= report.upload_s[weakest] < 1.2 * alone_s
    whole = "does not go with links.kind 'noma': everyone has the whole band"
    for name, access in (("sharing 'need'", {"sharing": "need"}), ("subcarriers", {"subcarriers": 4})):
        with pytest.raises(ScenarioError, match=f"access.{name} {whole}"):
            scenarios.load("leo-multitask", **quick, access=access)
