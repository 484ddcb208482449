"""Power pattern of a gateway's steerable uniform planar array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def upa_gain(steered: FloatArray, looked: FloatArray, array_shape: tuple[int, int]) -> FloatArray:
    """Gain of a uniform planar array towards `looked` when steered to `steered`, relative to its peak.

    The elements are isotropic, half a wavelength apart, in the horizontal plane with boresight up: this is the squared
    magnitude of the normalised array factor (Balanis, Antenna Theory, section 6.10).

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
    """Sum of n unit phasors pi * cosine_difference apart, over n, up to sign."""
    # The pattern repeats every 2 in direction cosine; near 0 the quotient of sines is accurate.
    half_phase = np.pi / 2 * (np.mod(cosine_difference + 1, 2) - 1)
    sine = num_elements * np.sin(half_phase)
    return np.divide(np.sin(num_elements * half_phase), sine, out=np.ones_like(sine), where=sine != 0)
