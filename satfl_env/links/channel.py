"""The channel of one satellite-gateway pair: losses, complex coefficient and Doppler shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.settings import Each

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

SPEED_OF_LIGHT_MPS = 299_792_458.0


def free_space_path_loss_db(distance_m: FloatArray, carrier_hz: float) -> FloatArray:
    r"""Free-space path loss in dB, $20 \log_{10} (4 \pi d f / c)$ (ITU-R P.525); any shape, distances positive."""
    return 20 * np.log10(4 * np.pi * carrier_hz / SPEED_OF_LIGHT_MPS * distance_m)


def path_gain(
    distance_m: FloatArray,
    *,
    carrier_hz: float,
    extra_loss_db: float,
    satellite_gain_dbi: Each,
    gateway_gain_dbi: float,
) -> FloatArray:
    r"""Linear power gain with both antennas on target (SemSpaceFL, eq. 9); any shape.

    $$g = \frac{G_\mathrm{sat} G_\mathrm{gw}}{\mathrm{PL}}, \qquad
    \mathrm{PL} = \left(\frac{4 \pi d f}{c}\right)^2 L_\mathrm{extra}$$

    `distance_m` and `satellite_gain_dbi` broadcast. `extra_loss_db` is the loss beyond free space:
    gas attenuation and scintillation.
    """
    loss_db = free_space_path_loss_db(distance_m, carrier_hz) + extra_loss_db
    return np.asarray(10 ** ((satellite_gain_dbi + gateway_gain_dbi - loss_db) / 10))


def channel_coefficient(
    gain: FloatArray, doppler_hz: FloatArray, delay_s: FloatArray, *, time_s: float, frequency_hz: float
) -> ComplexArray:
    r"""Complex channel $h = \sqrt{g} \, e^{j 2 \pi (f_D t - f \tau)}$ (SemSpaceFL, eq. 8).

    For link models of your own: the rates of the built-in ones depend on its squared modulus alone.

    Args:
        gain: Linear power gain (eq. 9), any shape.
        doppler_hz: Doppler shift, broadcast with `gain`.
        delay_s: Propagation delay, broadcast with `gain`.
        time_s: Time.
        frequency_hz: Frequency of the subcarrier.

    Returns:
        Coefficients of the broadcast shape; their squared modulus is `gain`.
    """
    return np.asarray(np.sqrt(gain) * np.exp(2j * np.pi * (doppler_hz * time_s - frequency_hz * delay_s)))


def doppler_shift_hz(
    position_m: FloatArray, velocity_mps: FloatArray, gateway_position_m: FloatArray, carrier_hz: float
) -> FloatArray:
    r"""Doppler shift of every pair, $-f \dot{d} / c$ with range rate $\dot{d}$: positive while approaching.

    For link models of your own, as in `channel_coefficient`; the built-in ones need no phase.

    Args:
        position_m: Satellite positions, (S, 3).
        velocity_mps: Satellite velocities, (S, 3).
        gateway_position_m: Positions of the gateways, which are at rest, (G, 3).
        carrier_hz: Carrier frequency.

    Returns:
        Shifts in Hz, (S, G).
    """
    sight = position_m[:, None] - gateway_position_m
    range_rate = (sight * velocity_mps[:, None]).sum(axis=-1) / np.linalg.norm(sight, axis=-1)
    return np.asarray(-carrier_hz / SPEED_OF_LIGHT_MPS * range_rate)
