r"""Quantisation whose bits follow the link: as many bits of a number as a share of the contact carries.

C. Yang et al., "Communication-Efficient Satellite-Ground Federated Learning Through Progressive Weight Quantization",
IEEE Transactions on Mobile Computing 23(9), 2024 (SatelliteFL). Known to us by its abstract, in which every block of a
model has a bit width of its own; here all numbers of an update have the same.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated.compression import FLOAT_BITS, quantisation_variance, quantise, quantised_bits
from satfl_env.settings import STRICT, Count, Share

Bits = Annotated[Count, Field(le=16)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Progressive:
    r"""Numbers quantised as by `Quantised`, each vector with the most bits that its link carries in time.

    After the abstract of SatelliteFL.

    $$b = \left\lfloor \frac{s R T - 64}{P} \right\rfloor, \qquad b_\mathrm{min} \le b \le b_\mathrm{max}$$

    R is the rate of the link among all that transmit, T what is left of the contact at the round's start, and s the
    share of it that the upload may take. A link whose model has M bits carries 32 P / M bits of a vector per bit.

    Attributes:
        min_bits: Fewest bits of a number, also where they take longer than that.
        max_bits: Most bits of a number, at most 16.
        window_share: Share s of the contact, in (0, 1].

    Raises:
        ValueError: If the fewest bits are more than the most.
    """

    kind: Literal["progressive"] = "progressive"
    min_bits: Bits = 2
    max_bits: Bits = 16
    window_share: Share = 0.5

    @model_validator(mode="after")
    def _min_first(self) -> Progressive:
        if self.min_bits > self.max_bits:
            raise ValueError(f"min_bits must be at most max_bits, {self.max_bits}, got {self.min_bits}")
        return self

    def size_bits(self, num_parameters: int) -> float:
        """Most bits of one compressed vector of P numbers."""
        return quantised_bits(self.max_bits, num_parameters)

    def fitting_bits(self, room_bits: NDArray[np.float64], num_parameters: int) -> NDArray[np.float64]:
        """Bits of compressed vectors of P numbers, from those that each link carries in its contact, of any shape."""
        most = np.floor((self.window_share * room_bits - 2 * FLOAT_BITS) / num_parameters)
        return np.clip(most, self.min_bits, self.max_bits) * num_parameters + 2 * FLOAT_BITS

    def of_size(self, size_bits: NDArray[np.float64], num_parameters: int) -> QuantisedEach:
        """The compressor of n vectors, each to the bits (n,) that `fitting_bits` has given it."""
        bits = torch.from_numpy(np.rint((size_bits - 2 * FLOAT_BITS) / num_parameters))
        return QuantisedEach(bits.to(torch.int64)[:, None])

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """What the receiver decompresses of vectors (n, P) with the most bits."""
        return quantise(vectors, 2**self.max_bits - 1, generator)

    def variance(self, vectors: Tensor) -> Tensor:
        """Relative variance with the most bits, (n,)."""
        return quantisation_variance(vectors, 2**self.max_bits - 1)


class QuantisedEach:
    """Quantises every vector with bits of its own.

    Args:
        bits: Bits of a number, (n, 1).
    """

    def __init__(self, bits: Tensor) -> None:
        self._bits = bits
        self._steps = (2**bits - 1).to(torch.float32)

    def size_bits(self, num_parameters: int) -> float:
        """Most bits of one of the compressed vectors of P numbers."""
        return quantised_bits(int(self._bits.max()), num_parameters)

    def compress(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """What the receiver decompresses, (n, P), of vectors (n, P)."""
        return quantise(vectors, self._steps, generator)

    def variance(self, vectors: Tensor) -> Tensor:
        """Relative variance, (n,)."""
        return quantisation_variance(vectors, self._steps)
