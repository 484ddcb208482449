"""What is left of a satellite's round when something fails in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from satfl_env.simulation.protocols import Participation
from satfl_env.simulation.state import FloatArray
from satfl_env.simulation.updates import Outcome


def strike(
    part: Participation, *, satellite_s: FloatArray, gateway_s: FloatArray, relay_s: FloatArray, breaks_s: FloatArray
) -> Participation:
    """A round in which some do not get to the end: what they have spent up to there is spent, the update is lost.

    A satellite that fails stops there. One that has its model and loses its gateway trains to the end, since it does
    not know; it sends as long as the link holds. Those that break off have shared the band until then, so the times of
    the others stay. Epochs count as far as they are whole.

    Args:
        part: The round without faults. What it counts as training on the way, before this contact, is spent when the
            update is back.
        satellite_s: When each satellite fails, from the start of the round, (S,); infinite where never.
        gateway_s: When its gateway does, (S,).
        relay_s: When the satellite that talks to the gateway for it does, (S,).
        breaks_s: Seconds of transfer after which its contact breaks off, (S,).
    """
    download_s, upload_s = part.download_s, part.upload_s
    between_s = part.busy_s - (download_s + upload_s)
    broken_s = np.where(breaks_s < download_s, breaks_s, breaks_s + between_s)
    link_s = np.minimum(np.minimum(gateway_s, relay_s), broken_s)
    first_s = np.minimum(satellite_s, link_s)
    hit = part.transfers & (first_s < part.busy_s)
    trained_s = np.where(first_s < download_s, 0.0, np.clip(satellite_s - download_s, 0.0, between_s))
    trained = np.divide(trained_s, between_s, out=np.zeros(len(hit)), where=between_s > 0)
    sent_s = np.clip(first_s - download_s - between_s, 0.0, upload_s)
    sent = np.divide(sent_s, upload_s, out=np.zeros(len(hit)), where=upload_s > 0)
    received_s = np.minimum(first_s, download_s)
    link_outcome = np.where(gateway_s <= link_s, Outcome.GATEWAY_DOWN, Outcome.LINK_BROKEN)
    outcome = np.where(satellite_s <= link_s, Outcome.FAILED, link_outcome)
    struck = Participation(
        outcome=outcome,
        epochs=np.floor(part.epochs * trained),
        download_s=received_s,
        compute_s=part.compute_s * trained,
        upload_s=sent_s,
        compute_energy_j=part.compute_energy_j * trained,
        transmit_energy_j=part.transmit_energy_j * sent,
        busy_s=received_s + trained_s + sent_s,
        sends=part.sends,
    )
    return replace(part, **{name: np.where(hit, value, getattr(part, name)) for name, value in vars(struck).items()})
