"""Bandwidth, SINR and the links built from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.links import Atmosphere, IdealLinks, RadioLinks, bandwidth_share_hz, rate_bps, sinr, upa_gain

GATEWAYS = np.array([[0.0, 0.0, 0.0], [3e6, 0.0, 0.0], [1.5e6, 2e6, 0.0]])


def draw_geometry(num_satellites: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Satellite positions, slant ranges and an association with some who sit out."""
    rng = np.random.default_rng(seed)
    position = np.column_stack([rng.uniform(-1e6, 4e6, (num_satellites, 2)), np.full(num_satellites, 5e5)])
    distance = np.linalg.norm(position[:, None] - GATEWAYS, axis=-1)
    return position, distance, rng.integers(0, 4, num_satellites)


def looped_sinr(
    position: np.ndarray, gain: np.ndarray, association: np.ndarray, share: np.ndarray, noise: np.ndarray
) -> list[float]:
    """Equation 13 in plain Python: 1 GHz band, 10 W, arrays of 4 x 3 elements."""
    values = []
    for s in range(len(position)):
        g = int(association[s])
        if g == len(GATEWAYS):
            values.append(0.0)
            continue
        wanted = (position[s] - GATEWAYS[g]) / math.dist(position[s], GATEWAYS[g])
        interference = 0.0
        for j in range(len(position)):
            if association[j] in (g, len(GATEWAYS)):
                continue
            other = (position[j] - GATEWAYS[g]) / math.dist(position[j], GATEWAYS[g])
            field = sum(
                np.exp(1j * math.pi * (m * (other[0] - wanted[0]) + n * (other[1] - wanted[1])))
                for m in range(4)
                for n in range(3)
            )
            interference += 10.0 * gain[j, g] * abs(field / 12) ** 2 * share[s] / 1e9
        values.append(10.0 * gain[s, g] / (interference + noise[s]))
    return values


@settings(max_examples=40, deadline=None)
@given(num_satellites=st.integers(1, 9), seed=st.integers(0, 2**32), noise_w=st.floats(1e-14, 1e-8))
def test_sinr_is_the_plain_double_loop(num_satellites: int, seed: int, noise_w: float) -> None:
    position, distance, association = draw_geometry(num_satellites, seed)
    gain = 1e3 / distance**2
    share = bandwidth_share_hz(association, 3, 1e9, 4e8)
    noise = np.full(num_satellites, noise_w)
    sends = association < 3
    found = sinr(
        position[sends],
        GATEWAYS,
        gain[sends],
        association[sends],
        share[sends],
        bandwidth_hz=1e9,
        transmit_power_w=10.0,
        noise_w=noise[sends],
        array_shape=(4, 3),
    )
    expected = np.array(looped_sinr(position, gain, association, share, noise))
    np.testing.assert_allclose(found, expected[sends], rtol=1e-9)


@given(association=st.lists(st.integers(0, 3), min_size=1, max_size=30), budget=st.floats(1e6, 2e9))
def test_shares_of_a_gateway_add_up_to_its_band_unless_capped(association: list[int], budget: float) -> None:
    chosen = np.array(association)
    share = bandwidth_share_hz(chosen, 3, 1e9, budget)
    assert (share <= budget).all()
    for g in set(association) - {3}:
        members = chosen == g
        assert share[members].sum() == pytest.approx(min(1e9, members.sum() * budget))
    assert (share[chosen == 3] == 0).all()


@pytest.mark.parametrize("wrong", [-1, 4])
def test_association_outside_its_range_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="association"):
        bandwidth_share_hz(np.array([0, wrong]), 3, 1e9, 1e9)


def test_solo_rate_by_hand(at) -> None:
    # Received 25 + 45 - 166.43 - 1.5 + 10 = -87.93 dBW; noise -203.98 + 90 + 2 = -111.98 dBW; 24.05 dB at 500 km.
    rate = RadioLinks().solo_rate_bps(at(np.array([[0.0, 0.0, 500e3]]), np.zeros((1, 3))))
    assert rate[0, 0] == pytest.approx(1e9 * math.log2(1 + 10**2.405), rel=1e-3)


def test_satellite_alone_has_its_solo_rate(at) -> None:
    links = RadioLinks(satellite_budget_hz=3e8)
    scene = at(draw_geometry(4, seed=0)[0], GATEWAYS)
    rate = links.associated_rate_bps(scene, np.array([3, 1, 3, 3]))
    assert rate[1] == pytest.approx(links.solo_rate_bps(scene)[1, 1])
    np.testing.assert_array_equal(rate[[0, 2, 3]], 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_company_never_raises_a_rate(at, seed: int) -> None:
    links = RadioLinks()
    position, _, association = draw_geometry(8, seed)
    scene = at(position, GATEWAYS)
    rate = links.associated_rate_bps(scene, association)
    serving = np.minimum(association, 2)
    assert (rate <= links.solo_rate_bps(scene)[np.arange(8), serving] * (1 + 1e-9)).all()
    assert ((rate > 0) == (association < 3)).all()


def test_larger_array_suppresses_interference(at) -> None:
    position, distance, _ = draw_geometry(6, seed=2)
    one_element, large = (
        RadioLinks(array_shape=shape).associated_rate_bps(at(position, GATEWAYS), distance.argmin(axis=1))
        for shape in ((1, 1), (16, 16))
    )
    assert large.sum() > one_element.sum()


@pytest.mark.parametrize("links", [RadioLinks(), RadioLinks(satellite_budget_hz=2e8), IdealLinks(rate_bps=5e6)])
def test_the_highest_rate_is_that_of_the_shortest_distance(links, at) -> None:
    position, distance, _ = draw_geometry(9, seed=3)
    assert links.highest_rate_bps(distance.min()) == links.solo_rate_bps(at(position, GATEWAYS)).max()


def test_ideal_links_have_one_rate(at) -> None:
    links, scene = IdealLinks(rate_bps=5e6), at(draw_geometry(3, seed=1)[0], GATEWAYS)
    np.testing.assert_array_equal(links.solo_rate_bps(scene), np.full((3, 3), 5e6))
    np.testing.assert_array_equal(links.associated_rate_bps(scene, np.array([0, 3, 0])), [5e6, 0, 5e6])


def test_rate_is_shannons() -> None:
    assert rate_bps(1e6, np.array([1.0]))[0] == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("carrier_hz", 0.0),
        ("bandwidth_hz", -1.0),
        ("satellite_budget_hz", 0.0),
        ("transmit_power_w", float("nan")),
        ("noise_temperature_k", 0.0),
        ("array_shape", (0, 4)),
        ("satellite_gain_dbi", float("inf")),
        ("extra_loss_db", -1.0),
    ],
)
def test_bad_radio_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        RadioLinks(**{name: value})  # type: ignore[arg-type]


def test_a_value_and_what_takes_its_place_are_not_both_given() -> None:
    with pytest.raises(ValueError, match="give gateway_gain_dbi or array_efficiency, not both"):
        RadioLinks(gateway_gain_dbi=40.0, array_efficiency=0.7)
    with pytest.raises(ValueError, match="give extra_loss_db or atmosphere, not both; got extra_loss_db 3"):
        RadioLinks(extra_loss_db=3.0, atmosphere=Atmosphere())


@pytest.mark.parametrize(("name", "value"), [("rate_bps", 0.0), ("transmit_power_w", -1.0)])
def test_bad_ideal_values_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        IdealLinks(**{name: value})


def test_rates_under_unequal_shares_are_those_of_a_plain_loop(at):
    rng = np.random.default_rng(1)
    position = np.column_stack([rng.uniform(-1e6, 1e6, (7, 2)), np.full(7, 5e5)])
    gateway = np.column_stack([rng.uniform(-1e6, 1e6, (2, 2)), np.zeros(2)])
    association, share = np.array([0, 0, 0, 1, 1, 1, 2]), np.array([0.5, 0.3, 0.2, 0.7, 0.2, 0.1, 0.0])
    links = RadioLinks(bandwidth_hz=1e8, satellite_budget_hz=6e7)
    scene = at(position, gateway)
    found = links.associated_rate_bps(scene, association, share)
    for s in range(6):
        g, own_hz = association[s], min(share[s] * 1e8, 6e7)
        alone = RadioLinks(bandwidth_hz=own_hz).solo_rate_bps(scene)
        signal_over_noise = 2 ** (alone[s, g] / own_hz) - 1
        direction = position - gateway[g]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        interference = 0.0
        for other in range(6):
            if association[other] != g:
                power = 2 ** (alone[other, g] / own_hz) - 1  # over the noise in the same band
                interference += power * upa_gain(direction[s], direction[other], (16, 16)) * own_hz / 1e8
        expected = own_hz * np.log2(1 + signal_over_noise / (1 + interference))
        assert found[s] == pytest.approx(expected, rel=1e-9)
    assert found[6] == 0
