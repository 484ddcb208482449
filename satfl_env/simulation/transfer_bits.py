"""How large model transfers are, and how long they take."""

from __future__ import annotations

from typing import NamedTuple

from satfl_env.links import link_time_s
from satfl_env.simulation.protocols import Transfers
from satfl_env.simulation.state import FloatArray


def whole_bits(bits: float) -> float:
    """The nearest whole number of bits, at least one."""
    return float(max(1, round(bits)))


class TransferBits(NamedTuple):
    """Size of a model on the link.

    Attributes:
        download: Bits of a model that is fetched.
        upload: Bits of one that is returned.
    """

    download: float
    upload: float

    @property
    def mean(self) -> float:
        """Half of the bits that go there and back."""
        return (self.download + self.upload) / 2

    def times(self, rate_bps: FloatArray, distance_m: FloatArray, carry_s: FloatArray) -> Transfers:
        """Times of the two transfers (SemSpaceFL, eq. 16-17), from arrays (S,); infinite where the rate is 0.

        Args:
            rate_bps: Rate of the link to the gateway.
            distance_m: Its length.
            carry_s: Time that a model of mean size takes to the satellite that has this link; it goes by the bits.
        """
        # Once if both are of one size.
        times = {
            bits: link_time_s(bits, rate_bps, distance_m) + carry_s * (bits / self.mean)
            for bits in {self.download, self.upload}
        }
        return Transfers(times[self.download], times[self.upload])
