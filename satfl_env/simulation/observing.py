"""The network at the start of a round, as it is observed."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from satfl_env.links import link_time_s
from satfl_env.orbits import SceneSnapshot
from satfl_env.simulation.episode import Episode
from satfl_env.simulation.models import ModelStore
from satfl_env.simulation.progress import Progress
from satfl_env.simulation.protocols import Contacts
from satfl_env.simulation.state import FloatArray, IntArray, NetworkState, as_numbers
from satfl_env.simulation.streams import numpy_generator


class View(NamedTuple):
    """The network at the start of a round.

    Attributes:
        direct: Where everything is, each satellite for itself, as far as nothing is out of order.
        contacts: How satellites reach gateways, perhaps by way of each other.
        snapshot: Where everything is, with the visibility and windows of these contacts.
        state: What the decision maker may know.
    """

    direct: SceneSnapshot
    contacts: Contacts
    snapshot: SceneSnapshot
    state: NetworkState


def observe(episode: Episode, progress: Progress, models: ModelStore, cluster_loss: FloatArray) -> View:
    """Observe the network at the current time.

    Args:
        episode: What stays as it is.
        progress: What has changed by now.
        models: Who holds which model.
        cluster_loss: Loss of each satellite under the model of each cluster that it fetches, (S, K).

    Raises:
        ValueError: If the scene, the links or the energy gives NaN.
    """
    links, energy, _ = episode.equipment
    direct = episode.faults.in_order(episode.scene.at(progress.time_s))
    contacts = episode.ingredients.protocol.contacts(direct, episode.bits.mean)
    snapshot = episode.faults.in_order(contacts.snapshot)
    for name in ("distance_m", "window_s"):
        as_numbers(f"{name} of the scene at {progress.time_s:g} s", getattr(snapshot, name))
    rate_bps = as_numbers("rates of the links", links.solo_rate_bps(snapshot))
    window_s = np.minimum(snapshot.window_s, episode.ingredients.rounds.limit_s)
    mean_bits = episode.bits.mean_of_pairs(rate_bps, window_s)
    link_s = contacts.round_trip_s(link_time_s(mean_bits, rate_bps, snapshot.distance_m))
    rng = numpy_generator(episode.seed, "energy", progress.round)
    available_j = as_numbers("available energy", energy.available_j(progress.charge_j, rng))
    parts = {
        "round": progress.round,
        "time_s": progress.time_s,
        "position_m": snapshot.position_m,
        "velocity_mps": snapshot.velocity_mps,
        "distance_m": snapshot.distance_m,
        "visible": snapshot.visible,
        "window_s": snapshot.window_s,
        "rate_bps": rate_bps,
        "link_s": np.minimum(link_s, episode.scene.horizon_s),
        "energy_j": available_j,
        "last_loss": progress.last_loss,
        "last_epochs": progress.last_epochs,
        "cluster": progress.cluster,
        **episode.faults.health(progress.time_s),
        **episode.constants,
    }
    on_request = {**_on_request(episode, progress, models), "cluster_loss": cluster_loss}
    return View(direct, contacts, snapshot, NetworkState.of(parts, on_request))


def _on_request(episode: Episode, progress: Progress, models: ModelStore) -> dict[str, Any]:
    """The parts of the state that are computed when they are first read, and those that few read."""
    forecast = episode.forecast
    return {
        "similarity": episode.similarity,
        "update_similarity": progress.update_similarity.matrix,
        "contact_start_s": partial(forecast.contact_start_s, progress.time_s),
        "contact_end_s": partial(forecast.contact_end_s, progress.time_s),
        "eclipse_start_s": partial(forecast.eclipse_start_s, progress.time_s),
        "eclipse_end_s": partial(forecast.eclipse_end_s, progress.time_s),
        "gateway_version": models.gateway_version,
        "waiting": models.num_waiting,
        "beams": partial(_beams, episode),
        "rounds_to_merge": episode.ingredients.rounds.rounds_to_merge(progress.round),
        "rounds_left": episode.ingredients.rounds.episode - progress.round,
    }


def _beams(episode: Episode) -> IntArray:
    most, scene = episode.ingredients.access.most_served, episode.scene
    return np.full(scene.num_gateways, scene.num_satellites if most is None else min(most, scene.num_satellites))
