"""Who takes part once the band is shared only among those who transmit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from satfl_env.simulation.protocols.round_protocol import Opening, Participation, RoundProtocol, Transfers
from satfl_env.simulation.state import BoolArray
from satfl_env.simulation.updates import Outcome


def settle(
    protocol: RoundProtocol,
    opening: Opening,
    transfers: Callable[[BoolArray], Transfers],
    served: Callable[[BoolArray], BoolArray],
) -> tuple[Participation, Transfers]:
    """Let those who take part share the band, and no one else.

    How long a transfer takes depends on who else transmits, and who transmits on how long it takes. The rule: whoever
    could not take part even alone on the links is out, and so is whoever is not served. The others transmit; whoever
    does not fit then is out, too, for the reason found then. This repeats until nobody is out any more, after at most
    one pass more than satellites. Nobody takes the place of those who leave.

    Args:
        protocol: Says who takes part, given the transfer times.
        opening: The round at its start, with the transfer times of links that nobody else uses.
        transfers: Gives the transfer times from the satellites that transmit, (S,).
        served: Gives those that gateways serve, of the satellites that could take part alone, (S,).

    Returns:
        Who takes part, and the transfers of those who do.
    """
    part = protocol.participate(opening)
    asks = part.transfers & np.isfinite(opening.download_s + opening.upload_s)
    transmits = served(asks)
    outcome = np.where(asks & ~transmits, Outcome.NOT_SERVED.value, part.outcome)
    while True:
        shared = transfers(transmits)
        part = protocol.participate(opening.with_transfers(shared))
        outcome = np.where(transmits, part.outcome, outcome)
        fits = transmits & part.transfers
        if (fits == transmits).all():
            return replace(part, outcome=outcome), shared
        transmits = fits
