"""Antennas: a gateway's steerable uniform planar array, and a satellite's circular aperture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from satfl_env.imports import import_tidily
from satfl_env.links.channel import SPEED_OF_LIGHT_MPS

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def upa_gain(steered: FloatArray, looked: FloatArray, array_shape: tuple[int, int]) -> FloatArray:
    r"""Gain of a uniform planar array towards `looked` when steered to `steered`, relative to its peak.

    $$A(\mathbf{u}, \mathbf{u}') = \prod_{i \in \{x, y\}}
    \left(\frac{\sin(n_i \pi (u_i - u'_i) / 2)}{n_i \sin(\pi (u_i - u'_i) / 2)}\right)^2$$

    The squared magnitude of the normalised array factor (Balanis, Antenna Theory, section 6.10). The elements are
    isotropic, half a wavelength apart, in the plane of x and y with boresight z: up, or down from a gateway in space.

    Args:
        steered: Unit vectors from the array, (..., 3), z up.
        looked: Unit vectors from the array, (..., 3); broadcast with `steered`.
        array_shape: Number of elements along x and y.

    Returns:
        Relative power gain in [0, 1], shape (...); 1 in the steered direction.
    """
    difference = looked[..., :2] - steered[..., :2]
    factor = _linear_array_factor(difference, np.asarray(array_shape))
    return np.asarray(np.minimum(factor.prod(axis=-1) ** 2, 1.0))


def _linear_array_factor(cosine_difference: FloatArray, num_elements: NDArray[np.int64]) -> FloatArray:
    """Mean of n unit phasors that are pi * cosine_difference apart, up to sign."""
    # The pattern repeats every 2 in direction cosine; near 0 the quotient of sines is accurate.
    half_phase = np.pi / 2 * (np.mod(cosine_difference + 1, 2) - 1)
    sine = num_elements * np.sin(half_phase)
    return np.divide(np.sin(num_elements * half_phase), sine, out=np.ones_like(sine), where=sine != 0)


def array_features(looked: FloatArray, array_shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    r"""Features along x and y whose inner products multiply to `upa_gain`, so that sums of patterns factorise.

    The squared array factor of n elements is a Fejér kernel of the two direction cosines,

    $$\sum_{|k| < n} \frac{n - |k|}{n^2} \cos(\pi k (u - u')),$$

    and $\cos(a - b) = \cos a \cos b + \sin a \sin b$. The pattern of a planar array is the product of two kernels.

    Args:
        looked: Unit vectors from the array, (..., J, 3), z up.
        array_shape: Number of elements along x and y.

    Returns:
        Features in columns of length 1, (..., 2 n - 1, J) for n elements along x, and the same for y.
    """
    phase = np.pi * looked[..., :2].swapaxes(-1, -2)[..., None, :]
    along = np.empty((*phase.shape[:-2], max(array_shape), phase.shape[-1]), dtype=np.complex128)
    along[..., 0, :] = 1.0
    # Powers by repeated doubling take one sine and cosine per direction.
    power, known = np.exp(1j * phase), 1
    while known < max(array_shape):
        new = along[..., known : 2 * known, :]
        np.multiply(along[..., : new.shape[-2], :], power, out=new)
        power, known = power * power, 2 * known
    x, y = along[..., 0, : array_shape[0], :], along[..., 1, : array_shape[1], :]
    return _linear_features(x), _linear_features(y)


def _linear_features(harmonics: ComplexArray) -> FloatArray:
    """Features of a linear array from exp(j pi k u), (..., n, J), k = 0..n - 1; (..., 2 n - 1, J)."""
    features = np.concatenate([harmonics.real, harmonics.imag[..., 1:, :]], axis=-2)
    features *= _feature_weights(harmonics.shape[-2])
    return features


@lru_cache
def _feature_weights(num_elements: int) -> FloatArray:
    """Square roots of the Fejér kernel's coefficients, all but the first also for -k; (2 n - 1, 1)."""
    order = np.concatenate([np.arange(num_elements), np.arange(1, num_elements)])[:, None]
    return np.asarray(np.sqrt(np.where(order > 0, 2, 1) * (num_elements - order)) / num_elements)


def planar_array_gain_dbi(array_shape: tuple[int, int], efficiency: float) -> float:
    r"""Peak gain of a planar array of $n_x \times n_y$ elements half a wavelength apart, in dBi.

    $$G = \eta \frac{4 \pi A}{\lambda^2} = \eta \pi n_x n_y, \qquad A = n_x n_y \left(\frac{\lambda}{2}\right)^2$$

    The gain of an aperture of that area (Balanis, Antenna Theory, eq. 6-103 at broadside and 12-37); a few elements
    have a little more.

    Args:
        array_shape: Number of elements along x and y.
        efficiency: Aperture efficiency in (0, 1].
    """
    return float(10 * np.log10(efficiency * np.pi * array_shape[0] * array_shape[1]))


def aperture_diameter_m(array_shape: tuple[int, int], carrier_hz: float) -> float:
    """Diameter of the disc that has the area of a planar array with elements half a wavelength apart, in m."""
    side_m = SPEED_OF_LIGHT_MPS / carrier_hz / 2
    return float(2 * side_m * np.sqrt(array_shape[0] * array_shape[1] / np.pi))


def scan_gain(sine_elevation: FloatArray, exponent: float) -> FloatArray:
    r"""Gain $\cos^q \theta$ of a planar array that is steered $\theta$ off boresight, relative to boresight; any shape.

    The aperture seen from that direction shrinks with the cosine: $q = 1$ (Balanis, Antenna Theory, eq. 6-103).
    Coupling between elements makes it 1 to 1.5 in practice (Mailloux, Phased Array Antenna Handbook, chapter 1).

    Args:
        sine_elevation: Cosine of the scan angle, which is the sine of the elevation as boresight is up.
        exponent: q, not negative.

    Returns:
        Relative power gain in [0, 1]; 0 from the plane of the array down.
    """
    return np.asarray(np.where(sine_elevation > 0, np.maximum(sine_elevation, 0.0) ** exponent, 0.0))


def circular_aperture_pattern(cosine_off_axis: FloatArray, peak_gain_dbi: ArrayLike) -> FloatArray:
    r"""Gain of a uniformly lit circular aperture off its axis, relative to its peak.

    $$P(\theta) = 4 \left|\frac{J_1(k a \sin\theta)}{k a \sin\theta}\right|^2, \qquad k a = \sqrt{G}$$

    The pattern of satellites in 3GPP TR 38.811 (section 6.4.1). Its radius $a$ is the one that has the peak gain
    $G = (k a)^2$ (Balanis, Antenna Theory, table 12.1), with $k = 2 \pi / \lambda$.

    Args:
        cosine_off_axis: Cosine of the angle off the axis; broadcast with the gain.
        peak_gain_dbi: Peak gain in dBi.

    Returns:
        Relative power gain in [0, 1], of the broadcast shape; 0 behind the aperture.
    """
    sine = np.sqrt(np.maximum(1 - cosine_off_axis**2, 0.0))
    argument = 10 ** (np.asarray(peak_gain_dbi) / 20) * sine
    bessel = import_tidily("scipy.special").j1(argument)
    pattern = np.divide(2 * bessel, argument, out=np.ones_like(argument), where=argument > 0) ** 2
    return np.asarray(np.where(cosine_off_axis < 0, 0.0, np.minimum(pattern, 1.0)))
