"""Power pattern of a gateway's steerable uniform planar array."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
        new = min(known, max(array_shape) - known)
        np.multiply(along[..., :new, :], power, out=along[..., known : known + new, :])
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
