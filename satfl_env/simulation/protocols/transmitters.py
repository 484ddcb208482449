"""Who takes part once the band is shared only among those who transmit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from satfl_env.simulation.protocols.round_protocol import Opening, Participation, RoundProtocol
from satfl_env.simulation.state import BoolArray, FloatArray


def settle(protocol: RoundProtocol, opening: Opening, transfer_s: Callable[[BoolArray], FloatArray]) -> Participation:
    """Let those who take part share the band, and no one else.

    How long a transfer takes depends on who else transmits, and who transmits on how long it takes. The rule: whoever
    could not take part even alone on the links is out. The others transmit; whoever does not fit then is out, too, for
    the reason found then. This repeats until nobody is out any more, after at most one pass more than satellites.

    Args:
        protocol: Says who takes part, given the transfer times.
        opening: The round at its start, with the transfer times of links that nobody else uses.
        transfer_s: Gives the one-way transfer time of each satellite, (S,), from those that transmit, (S,); infinite
            for those that do not.
    """
    part = protocol.participate(opening)
    outcome, transmits = part.outcome, part.transfers & np.isfinite(opening.transfer_s)
    while True:
        part = protocol.participate(replace(opening, transfer_s=transfer_s(transmits)))
        outcome = np.where(transmits, part.outcome, outcome)
        fits = transmits & part.transfers
        if (fits == transmits).all():
            return replace(part, outcome=outcome)
        transmits = fits
