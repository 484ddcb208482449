r"""Radio links without shares of the band: a gateway's satellites send at once, and it tells them apart by their power.

Power-domain non-orthogonal multiple access with successive interference cancellation, as NomaFedHAP uses it: M.
Elmahallawy, T. Luo, K. Ramadan, "Communication-Efficient Federated Learning for LEO Satellite Networks Integrated with
HAPs Using Hybrid NOMA-OFDM", 2024 (arXiv 2401.00685), known to us by its abstract. The rates are those of D. Tse, P.
Viswanath, "Fundamentals of Wireless Communication", 2005, section 6.1.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.links.radio import BandLinks
from satfl_env.settings import STRICT, Each, NonNegative

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NomaLinks(BandLinks):
    r"""Radio links on which every satellite sends over the whole band, as far as it can use it.

    After the abstract of NomaFedHAP.

    A gateway decodes the strongest of its satellites first, takes it out of what it has received, and goes on with the
    next. With received powers $p_1 \ge p_2 \ge \dots$ at one gateway and the interference I of other gateways'
    satellites,

    $$R_i = b \log_2\left(1 + \frac{p_i}{\sigma^2 + I + \sum_{j > i} p_j + \rho \sum_{j < i} p_j}\right)$$

    Without a residual and interference the rates add up to the capacity $b \log_2(1 + \sum_i p_i / \sigma^2)$. The
    gateway's array does not tell its own satellites apart: each is received as it is with the beam on it. Models go
    down at the same rates. Each model that another satellite relays counts as sent by a satellite of its own.

    Attributes:
        cancellation_residual: Share rho of the power of a satellite taken out that stays, in [0, 1].

    Raises:
        ValueError: If a value is out of its range.
    """

    kind: Literal["noma"] = "noma"
    cancellation_residual: Annotated[NonNegative, Field(le=1)] = 0.0

    undivided: ClassVar[str | None] = "everyone has the whole band"

    def _bands_hz(self, association: IntArray, num_gateways: int, share: FloatArray | None) -> FloatArray:
        """The whole band for everyone who sends, whatever the share, (S,)."""
        return super()._bands_hz(association, num_gateways, np.ones(len(association)))

    def _own_gateway_w(self, power_w: Each, gain: FloatArray, association: IntArray) -> FloatArray:
        """Power that disturbs each satellite while it is decoded, from those of its own gateway, (R,)."""
        received_w = power_w * gain[np.arange(len(association)), association]
        return disturbing_w(received_w, association, self.cancellation_residual)


def disturbing_w(received_w: FloatArray, association: IntArray, residual: float) -> FloatArray:
    """Power of the weaker satellites at each one's gateway, and what is left of the stronger ones, (R,).

    Args:
        received_w: Received powers, (R,); of equal ones that of the lowest number is decoded first.
        association: Gateways, (R,).
        residual: Share of the power of a decoded satellite that stays.
    """
    disturbing = np.zeros(len(received_w))
    for gateway in np.unique(association):
        members = np.flatnonzero(association == gateway)
        ranked = members[np.argsort(-received_w[members], kind="stable")]
        power = received_w[ranked]
        weaker, stronger = np.cumsum(power[:0:-1])[::-1], np.cumsum(power[:-1])
        disturbing[ranked] = np.append(weaker, 0.0) + residual * np.append(0.0, stronger)
    return disturbing
