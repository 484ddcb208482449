"""Satellites as edge servers: devices on the ground train, satellites average, and one with a gateway delivers.

X. Pei, Z. Zhang, Y. Zhang, "Cost-Efficient Hierarchical Federated Edge Learning for Satellite-Terrestrial Internet of
Things", Mobile Networks and Applications 29, 2024. Known to us by its abstract: satellites aggregate the models of the
devices that they cover, and pass that on in their plane to the one with a link to the ground, for the cloud. How it
allocates the devices' power and band is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.orbits import SceneSnapshot
from satfl_env.settings import STRICT_WITH_OBJECTS, Count, Positive
from satfl_env.simulation.protocols.onboard_aggregation import OnboardAggregation
from satfl_env.simulation.protocols.pooled_contacts import PooledContacts
from satfl_env.simulation.protocols.round_protocol import Opening, Participation

# An epoch that takes no energy at all would be none.
_HARDLY_ANY = 1e-60
# No clock is faster, and beyond it what hardly takes energy would.
ClientHz = Annotated[Positive, Field(le=1e12)]


@dataclass(frozen=True, config=STRICT_WITH_OBJECTS)
class EdgeServers(OnboardAggregation):
    """The samples of a satellite belong to devices below it, which train at a time and send it their models.

    After the abstract of Pei, Zhang and Zhang.

    What a satellite has trained is the mean of its devices' models (`ClientTrainer`). The energy of their training is
    theirs. It waits for the device with the most samples. A model takes one more hop in both directions, on which the
    satellite draws as much power as between satellites. The decided CPU frequencies do not matter.

    Attributes:
        clients: Devices of each satellite.
        client_hz: CPU frequency of each device, at most 1e12 Hz.
        client_rate_bps: Rate in bit/s between a satellite and each of its devices, all at a time.
    """

    clients: Count = 4
    client_hz: ClientHz = 5e8
    client_rate_bps: Positive = 1e8

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> PooledContacts:
        """Through the sink, from the devices of the satellite."""
        contacts = super().contacts(snapshot, model_bits)
        return replace(contacts, carry_s=contacts.carry_s + model_bits / self.client_rate_bps)

    def participate(self, opening: Opening) -> Participation:
        """As in one contact, with the time of the devices and none of the satellite's energy for training."""
        state, decision = opening.state, opening.decision
        most_samples = -(-state.samples // self.clients)
        of_devices = replace(
            opening,
            state=replace(state, samples=most_samples, kappa=np.full_like(state.kappa, _HARDLY_ANY)),
            decision=replace(decision, cpu_frequency=np.full(len(most_samples), self.client_hz)),
        )
        part = super().participate(of_devices)
        return replace(part, compute_energy_j=np.zeros(len(most_samples)))
