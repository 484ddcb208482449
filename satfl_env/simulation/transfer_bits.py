"""How large model transfers are, and how long they take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from satfl_env.federated import FLOAT_BITS, LinkCompressor
from satfl_env.links import link_time_s
from satfl_env.settings import Each
from satfl_env.simulation.protocols import Transfers
from satfl_env.simulation.state import FloatArray


def whole_bits(bits: float) -> float:
    """The nearest whole number of bits, at least one."""
    return float(max(1, round(bits)))


@dataclass(frozen=True)
class LinkUploads:
    """Uploads whose size follows each satellite's link.

    Attributes:
        compressor: Gives the sizes.
        model_bits: Bits on the link of a model that is not compressed.
        extra_bits: Bits on the link of what goes along with every update.
        num_parameters: Parameters of an update, P.
    """

    compressor: LinkCompressor
    model_bits: float
    extra_bits: float
    num_parameters: int

    def bits(self, room_bits: FloatArray) -> FloatArray:
        """Bits on the link, from those that each link carries in its contact, of any shape."""
        sizes = self.compressor.fitting_bits((room_bits - self.extra_bits) / self._scale, self.num_parameters)
        return np.maximum(1.0, np.rint(sizes * self._scale + self.extra_bits))

    def sizes(self, bits: FloatArray) -> FloatArray:
        """Bits of the compressed vectors that take so many bits on the link, (n,)."""
        return np.asarray((bits - self.extra_bits) / self._scale)

    @property
    def _scale(self) -> float:
        """Bits on the link that one bit of a vector stands for."""
        return self.model_bits / (FLOAT_BITS * self.num_parameters)


@dataclass(frozen=True, eq=False)
class TransferBits:
    """Size of a model on the link.

    Attributes:
        download: Bits of a model that is fetched, one number or (S,).
        upload: Bits of one that is returned, or the most of them, likewise.
        by_link: Gives those of each satellite, where they follow its link.
    """

    download: Each
    upload: Each
    by_link: LinkUploads | None = None

    @cached_property
    def mean(self) -> float:
        """Half of the bits that go there and back, in the mean over satellites."""
        return float(np.mean(self.mean_of_each))

    @cached_property
    def mean_of_each(self) -> Each:
        """Half of the bits that go there and back, one number or (S,)."""
        return (self.download + self.upload) / 2

    @cached_property
    def _alike(self) -> bool:
        """Whether both transfers always have the same bits, so that their times are computed once."""
        return self.by_link is None and np.array_equal(self.upload, self.download)

    def mean_of_pairs(self, rate_bps: FloatArray, window_s: FloatArray) -> FloatArray:
        """The same over links with these rates and so much of the contact left, (S, G): it fits these shapes."""
        mean = np.asarray((self.download + self.uploads(rate_bps, window_s)) / 2)
        return mean[:, None] if mean.ndim == 1 else mean

    def uploads(self, rate_bps: FloatArray, window_s: FloatArray) -> Each:
        """Bits that are returned over links with these rates and so much of the contact left, arrays of one shape."""
        return self.upload if self.by_link is None else self.by_link.bits(rate_bps * window_s)

    def times(
        self, rate_bps: FloatArray, distance_m: FloatArray, carry_s: FloatArray, window_s: FloatArray
    ) -> Transfers:
        """Times of the two transfers (SemSpaceFL, eq. 16-17), from arrays of one shape; infinite where the rate is 0.

        Args:
            rate_bps: Rate of the link to the gateway.
            distance_m: Its length.
            carry_s: Time that a model of mean size takes to the satellite that has this link; it goes by the bits.
            window_s: What is left of the contact.
        """
        mean, upload = self.mean, self.uploads(rate_bps, window_s)

        def time_s(bits: Each) -> FloatArray:
            return link_time_s(bits, rate_bps, distance_m) + carry_s * (bits / mean)

        download_s = time_s(self.download)
        upload_s = download_s if self._alike else time_s(upload)
        return Transfers(download_s, upload_s, upload / mean)
