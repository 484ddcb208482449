from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from satfl_env.links import (
    channel_coefficient,
    doppler_shift_hz,
    free_space_path_loss_db,
    link_time_s,
    path_gain,
    rate_bps,
    thermal_noise_w,
)


def test_free_space_loss_by_hand() -> None:
    # 32.45 + 20 log10(10,000 MHz) + 20 log10(500 km) = 32.45 + 80 + 53.98 dB
    assert free_space_path_loss_db(np.array([500e3]), 10e9)[0] == pytest.approx(166.43, abs=0.01)


@given(distance=st.floats(1e3, 1e7), carrier=st.floats(1e8, 1e11))
def test_free_space_loss_grows_6_db_when_the_distance_doubles(distance: float, carrier: float) -> None:
    single, double = free_space_path_loss_db(np.array([distance, 2 * distance]), carrier)
    assert double - single == pytest.approx(20 * np.log10(2))


def test_path_gain_by_hand() -> None:
    gain = path_gain(np.array([500e3]), carrier_hz=10e9, extra_loss_db=1.5, satellite_gain_dbi=25, gateway_gain_dbi=45)
    assert 10 * np.log10(gain[0]) == pytest.approx(25 + 45 - 166.43 - 1.5, abs=0.01)


def test_channel_coefficient_carries_the_gain_and_turns_with_doppler_and_delay() -> None:
    gain, doppler_hz, delay_s = np.array([4.0, 9.0]), np.array([20e3, -20e3]), np.array([0.0, 0.25e-10])
    h = channel_coefficient(gain, doppler_hz, delay_s, time_s=0.0, frequency_hz=10e9)
    np.testing.assert_allclose(np.abs(h) ** 2, gain)
    np.testing.assert_allclose(h, [2.0, -3.0j], atol=1e-9)
    later = channel_coefficient(gain, doppler_hz, delay_s, time_s=1e-7, frequency_hz=10e9)
    np.testing.assert_allclose(np.angle(later / h) / (2 * np.pi * 1e-7), doppler_hz)


def test_doppler_is_the_numerical_range_rate() -> None:
    rng = np.random.default_rng(0)
    position, gateway = rng.uniform(-2e6, 2e6, (5, 3)), rng.uniform(-2e6, 2e6, (3, 3))
    velocity = rng.normal(0, 5e3, (5, 3))
    shift = doppler_shift_hz(position, velocity, gateway, 10e9)
    for s in range(5):
        for g in range(3):
            before, after = (np.linalg.norm(position[s] + sign * 0.01 * velocity[s] - gateway[g]) for sign in (-1, 1))
            assert shift[s, g] == pytest.approx(-10e9 * (after - before) / 0.02 / constants.c, rel=1e-4, abs=1.0)


def test_approaching_raises_the_frequency() -> None:
    shift = doppler_shift_hz(np.array([[0.0, 0, 5e5]]), np.array([[0.0, 0, -600.0]]), np.zeros((1, 3)), 10e9)
    assert shift[0, 0] == pytest.approx(20e3, rel=1e-3)


def test_noise_rate_and_times_by_hand() -> None:
    # k T = -174 dBm/Hz at 290 K
    assert 10 * np.log10(thermal_noise_w(1.0, 0.0, 290.0)) + 30 == pytest.approx(-173.98, abs=0.01)
    assert thermal_noise_w(1e9, 2.0, 290.0) == pytest.approx(constants.k * 290 * 1e9 * 10**0.2)
    np.testing.assert_allclose(rate_bps(np.array([1e6, 2e6, 0.0]), np.array([3.0, 0.0, 5.0])), [2e6, 0.0, 0.0])
    time_s = link_time_s(8e6, np.array([2e6, 0.0]), np.array([constants.c, 1e6]))
    np.testing.assert_allclose(time_s, [5.0, np.inf])


def test_the_squared_modulus_of_a_coefficient_is_the_gain_that_rates_are_made_of() -> None:
    distance_m, doppler_hz = np.array([6e5, 1.2e6, 2.5e6]), np.array([2e5, 0.0, -2e5])
    gain = path_gain(distance_m, carrier_hz=10e9, extra_loss_db=3.0, satellite_gain_dbi=30.0, gateway_gain_dbi=40.0)
    for time_s in (0.0, 1.0, 17.3):
        h = channel_coefficient(gain, doppler_hz, distance_m / 3e8, time_s=time_s, frequency_hz=10e9)
        np.testing.assert_allclose(np.abs(h) ** 2, gain, rtol=1e-12)
