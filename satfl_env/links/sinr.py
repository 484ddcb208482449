"""The SINR of each satellite among all that send."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.links.antenna import array_features
from satfl_env.settings import Each

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

BOLTZMANN_J_PER_K = 1.380649e-23

# Pairs of satellite and gateway in one chunk: about as many as fit into the processor's cache.
_PAIRS = 2000


def thermal_noise_w(bandwidth_hz: FloatArray | float, noise_figure_db: float, temperature_k: float) -> FloatArray:
    """Thermal noise power $k T B F$ in W of a receiver with the given noise figure; any shape."""
    return np.asarray(BOLTZMANN_J_PER_K * temperature_k * 10 ** (noise_figure_db / 10) * bandwidth_hz)


def sinr(
    position_m: FloatArray,
    gateway_position_m: FloatArray,
    gain: FloatArray,
    association: IntArray,
    share_hz: FloatArray,
    *,
    bandwidth_hz: float,
    transmit_power_w: Each,
    noise_w: FloatArray,
    array_shape: tuple[int, int],
    gateway_frame: FloatArray | None = None,
    clear: BoolArray | None = None,
) -> FloatArray:
    r"""SINR of R satellites, all of which send, each at its gateway (SemSpaceFL, eq. 10-13).

    $$\mathrm{SINR}_s = \frac{p_s \, g_{sk}}
    {\sigma_s^2 + \frac{b_s}{B} \sum_{j \notin \mathcal{U}_k} p_j \, g_{jk} A_k(s, j)},
    \qquad s \in \mathcal{U}_k$$

    Satellites of one gateway k are orthogonal. Those of other gateways interfere if they are above its horizon: with
    the gain of their own path, reduced by the pattern $A_k(s, j)$ of the array steered to s (`upa_gain`). The overlap
    of subcarriers is averaged: an interferer spreads its power over its own share, placed at random in the band, so the
    fraction $b_s / B$ of it falls into the share of satellite s.

    Args:
        position_m: Satellite positions, (R, 3), z up at the gateways.
        gateway_position_m: Gateway positions, (G, 3).
        gain: Linear path gain (eq. 9), (R, G).
        association: Gateway of each satellite in 0..G-1, (R,).
        share_hz: Bandwidth of each satellite, (R,).
        bandwidth_hz: Band of every gateway.
        transmit_power_w: Transmit power of every satellite, one number or (R,).
        noise_w: Noise power in each satellite's share, (R,).
        array_shape: Elements of the gateways' arrays along their first and second local axis.
        gateway_frame: Local axes of each gateway in rows, the third its array's boresight, (G, 3, 3); None where they
            are x, y and z.
        clear: Whether nothing stands between satellite and gateway, (R, G); None where that is so above the horizon.

    Returns:
        Linear SINR, (R,).
    """
    num_senders, num_gateways = gain.shape
    own = association, np.arange(num_senders)
    direction = _directions(position_m, gateway_position_m, gateway_frame)
    arriving_w = transmit_power_w * gain.T
    arrives = direction[..., 2] > 0 if clear is None else clear.T
    interfering_w = np.where(arrives, arriving_w, 0.0)
    interfering_w[own] = 0.0
    at_once = max(1, _PAIRS // max(1, num_senders))
    output_w = np.concatenate(
        [
            _array_output_w(direction[first : first + at_once], interfering_w[first : first + at_once], array_shape)
            for first in range(0, num_gateways, at_once)
        ]
    )
    interference_w = output_w[own] * share_hz / bandwidth_hz
    return np.asarray(arriving_w[own] / (interference_w + noise_w))


def _directions(position_m: FloatArray, gateway_position_m: FloatArray, gateway_frame: FloatArray | None) -> FloatArray:
    """Unit vectors from the gateways (G, 3) to satellites (R, 3) in each gateway's local axes, (G, R, 3)."""
    sight = position_m - gateway_position_m[:, None]
    direction = sight / np.sqrt((sight * sight).sum(axis=-1, keepdims=True))
    return np.asarray(direction if gateway_frame is None else direction @ gateway_frame.transpose(0, 2, 1))


def _array_output_w(direction: FloatArray, source_w: FloatArray, array_shape: tuple[int, int]) -> FloatArray:
    """Power received from all sources when the array is steered to each of them in turn, (G, R).

    The sum over sources of power times `upa_gain`, without forming the R x R patterns.

    Args:
        direction: Unit vectors from each array to the sources, (G, R, 3).
        source_w: Power of each source at each array, (G, R).
        array_shape: Elements of the arrays along their first and second axis.
    """
    along_x, along_y = array_features(direction, array_shape)
    seen_w = (along_y * source_w[:, None]) @ along_x.swapaxes(1, 2)
    output_w = ((seen_w @ along_x) * along_y).sum(axis=1)
    # Where all sources lie in nulls, rounding may give a negative sum.
    return np.asarray(np.maximum(output_w, 0.0))
