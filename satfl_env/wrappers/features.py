"""The state as sets: a row for each satellite, a row for each pair with a gateway, and a few numbers for the whole.

Numbers are scaled by what they mean, not by their bounds: times against the time of a local epoch, energy against its
joules, both at the satellite's highest frequency, by logarithm. A network that treats all rows alike then serves any
number of satellites and gateways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satfl_env.onboard import affordable_epochs, epoch_energy_j, epoch_time_s, optimal_frequency_hz
from satfl_env.simulation import NetworkState

FloatArray = NDArray[np.float64]
# Arrays by key; Gymnasium types the values of `spaces.Dict` as `Any`.
SetArrays = dict[str, Any]
# Arrays of the same shape by the names of their columns.
Features = dict[str, FloatArray]

LIMIT = 5.0
"""Features lie in [-LIMIT, LIMIT], most in [-3, 3]; what is higher is cut, as energy that hardly ends."""

SATELLITE_FEATURES = (
    "energy",  # log10(1 + epochs that its energy allows at its highest frequency)
    "epoch_time",  # log10(time of its epoch over the mean)
    "samples",  # log10(samples over the mean)
    "loss",  # log10(last loss over the mean)
    "epochs",  # log10(1 + last epochs)
    "frequency",  # log10(highest frequency over the mean)
    "up",  # 1 if it is not out of order
    "sunlit",  # 1 in sunlight
    "sun_change",  # log10(1 + epochs until the next eclipse begins, or this one ends)
    "sight",  # share of the gateways that it sees
    "cluster_size",  # share of the satellites that are in its cluster
)
"""Columns of `satellite`."""

SIMILARITY_LEVELS = (0.5, 0.7, 0.8, 0.9, 0.99)
SIMILARITY_FEATURES = (
    "similarity_least",  # to another satellite
    "similarity_mean",
    "similarity_most",
    "similarity_cluster",  # mean over the others in its cluster; 0 where it is alone, as in the next
    "update_cluster",  # mean cosine of its update and theirs
    "update_mean",  # mean cosine of its update and the others'
    "similar_midpoint",  # share of the others at least as similar as the middle of all least and most similar ones
    *(f"similar_{level}" for level in SIMILARITY_LEVELS),  # share of the others that are at least so similar
)
"""Further columns of `satellite`, from the similarities of every two satellites."""

PAIR_FEATURES = (
    "visible",  # 1 in contact; where it is not, window, link, frequency and epochs are 0
    "window",  # log10(1 + epochs that fit between the transfers at the highest frequency)
    "window_share",  # window over the satellite's longest one
    "link",  # log10(time of both transfers over the window)
    "upload",  # log10(1 + energy of the upload over that of an epoch)
    "frequency",  # frequency at which most epochs fit, over the highest
    "best_epochs",  # log10(1 + epochs that time and energy then allow)
    "distance",  # log10(slant range over 1000 km)
    "rate",  # log10(1 + rate in Mbit/s)
    "crowd",  # share of the satellites that see the gateway
    "up",  # 1 if the gateway is not out of order
    "holds",  # 1 if it holds a model of the satellite's cluster
    "behind",  # log10(1 + changes by which this model is behind the latest one)
    "waiting",  # log10(1 + updates that wait there)
    "next_start",  # log10(1 + epochs until the next contact)
    "next_length",  # log10(1 + epochs that it lasts)
    "ahead",  # log10(1 + epochs that all foreseen contacts last together)
)
"""Columns of `pair`."""

GLOBAL_FEATURES = (
    "progress",  # share of the episode's rounds that are played
    "rounds_left",  # log10(1 + rounds to play)
    "merge",  # 1 over the rounds until the cloud merges
    "satellites",  # log10 of their number
    "gateways",  # log10 of their number
    "samples",  # log10(1 + mean samples)
    "loss",  # log10 of the mean last loss
    "epochs",  # log10(1 + mean last epochs)
    "clusters",  # number of clusters over that of satellites
)
"""Columns of `globals`."""


def set_observation(state: NetworkState, *, similarities: bool) -> SetArrays:
    """What a learner sees of a state; `SetObservation` shows the same.

    Args:
        state: A state that has all parts, as the simulation's own one: an observed one lacks what is not observed.
        similarities: As for `SetObservation`.

    Returns:
        `satellite`, (S, F), with the columns `SATELLITE_FEATURES` and, from the similarities, `SIMILARITY_FEATURES`;
        `pair`, (S, G, P), with `PAIR_FEATURES`; `globals`, (Q,), with `GLOBAL_FEATURES`. All finite.
    """
    satellite, names = satellite_features(state), [*SATELLITE_FEATURES]
    if similarities:
        satellite, names = satellite | similarity_features(state), [*names, *SIMILARITY_FEATURES]
    return {
        "satellite": _columns(names, satellite),
        "pair": _columns(PAIR_FEATURES, pair_features(state)),
        "globals": _columns(GLOBAL_FEATURES, global_features(state)),
    }


def satellite_features(state: NetworkState) -> Features:
    """Those of `SATELLITE_FEATURES`, each (S,)."""
    epoch_s, epoch_j = _epoch(state)
    sunlit = state.eclipse_start_s > 0
    until_change_s = np.where(sunlit, state.eclipse_start_s, state.eclipse_end_s)
    _, label, size = np.unique(state.cluster, return_inverse=True, return_counts=True)
    return {
        "energy": _log(state.energy_j / epoch_j),
        "epoch_time": _log_share(epoch_s),
        "samples": _log_share(state.samples),
        "loss": _log_share(state.last_loss),
        "epochs": _log(state.last_epochs),
        "frequency": _log_share(state.cpu_max_hz),
        "up": np.ones(state.num_satellites) if state.satellite_up is None else state.satellite_up.astype(float),
        "sunlit": sunlit.astype(float),
        "sun_change": _log(until_change_s / epoch_s),
        "sight": state.visible.mean(axis=1),
        "cluster_size": size[label] / state.num_satellites,
    }


def similarity_features(state: NetworkState) -> Features:
    """Those of `SIMILARITY_FEATURES`, each (S,); 0 for a satellite without others."""
    others = ~np.eye(state.num_satellites, dtype=np.bool_)
    mates = (state.cluster[:, None] == state.cluster) & others
    count, mate_count = max(state.num_satellites - 1, 1), np.maximum(mates.sum(axis=1), 1)
    similarity, update = state.similarity, state.update_similarity
    least = similarity.min(axis=1, where=others, initial=1.0) * others.any(axis=1)
    most = similarity.max(axis=1, where=others, initial=0.0)
    midpoint = (least.min() + most.max()) / 2
    return {
        "similarity_least": least,
        "similarity_mean": similarity.sum(axis=1, where=others) / count,
        "similarity_most": most,
        "similarity_cluster": similarity.sum(axis=1, where=mates) / mate_count,
        "update_cluster": update.sum(axis=1, where=mates) / mate_count,
        "update_mean": update.sum(axis=1, where=others) / count,
        "similar_midpoint": _at_least(similarity, midpoint, others) / count,
        **{f"similar_{level}": _at_least(similarity, level, others) / count for level in SIMILARITY_LEVELS},
    }


def pair_features(state: NetworkState) -> Features:
    """Those of `PAIR_FEATURES`, each (S, G)."""
    shape = state.distance_m.shape
    epoch_s, epoch_j = (values[:, None] for values in _epoch(state))
    window_s, link_s = np.where(state.visible, state.window_s, 0.0), state.link_s
    upload_j = state.transmit_power_w[:, None] * link_s / 2
    budget_j, computer = state.energy_j[:, None] - upload_j, _computer(state)
    frequency = optimal_frequency_hz(
        budget_j, window_s, link_s, cpu_max_hz=computer["cpu_max_hz"], kappa=computer["kappa"]
    )
    epochs = affordable_epochs(
        window_s,
        link_s,
        state.samples[:, None],
        budget_j,
        frequency,
        cycles_per_sample=computer["cycles_per_sample"],
        kappa=computer["kappa"],
    )
    version = state.gateway_version[:, state.cluster].T
    length_s = state.contact_end_s - state.contact_start_s
    gateway_up = np.ones(shape[1]) if state.gateway_up is None else state.gateway_up
    per_gateway = (state.visible.mean(axis=0), gateway_up, _log(state.waiting))
    crowd, up, waiting = (np.broadcast_to(values, shape) for values in per_gateway)
    return {
        "visible": state.visible.astype(float),
        "window": _log(np.maximum(window_s - link_s, 0.0) / epoch_s),
        "window_share": window_s / np.maximum(window_s.max(axis=1, keepdims=True), 1e-9),
        "link": np.where(state.visible, _log10(np.minimum(link_s / np.maximum(window_s, 1e-9), 1.0)), 0.0),
        "upload": _log(upload_j / epoch_j),
        "frequency": frequency / computer["cpu_max_hz"],
        "best_epochs": _log(np.minimum(epochs, state.max_epochs[:, None])),
        "distance": _log10(state.distance_m / 1e6),
        "rate": _log(state.rate_bps / 1e6),
        "crowd": crowd,
        "up": up,
        "holds": (version > 0).astype(float),
        "behind": _log(version.max(initial=0) - version),
        "waiting": waiting,
        "next_start": _log(state.contact_start_s[..., 0] / epoch_s),
        "next_length": _log(length_s[..., 0] / epoch_s),
        "ahead": _log(length_s.sum(axis=2) / epoch_s),
    }


def global_features(state: NetworkState) -> Features:
    """Those of `GLOBAL_FEATURES`, each ()."""
    rounds = max(state.round + state.rounds_left, 1)
    numbers = {
        "progress": state.round / rounds,
        "rounds_left": np.log10(1.0 + state.rounds_left),
        "merge": 1.0 / state.rounds_to_merge,
        "satellites": np.log10(state.num_satellites),
        "gateways": np.log10(state.num_gateways),
        "samples": _log(state.samples.mean()),
        "loss": _log10(state.last_loss.mean()),
        "epochs": _log(state.last_epochs.mean()),
        "clusters": len(np.unique(state.cluster)) / state.num_satellites,
    }
    return {name: np.asarray(number, dtype=np.float64) for name, number in numbers.items()}


def _columns(names: Sequence[str], features: Features) -> NDArray[np.float32]:
    """Features as columns in the order of their names, within the limits."""
    columns = np.empty((*features[names[0]].shape, len(names)), dtype=np.float32)
    for index, name in enumerate(names):
        columns[..., index] = features[name]
    return np.clip(columns, -LIMIT, LIMIT, out=columns)


def _epoch(state: NetworkState) -> tuple[FloatArray, FloatArray]:
    """Time in s and energy in J of an epoch at the highest frequency, each (S,); of one sample where there is none."""
    samples, computer = np.maximum(state.samples, 1), {"cycles_per_sample": state.cycles_per_sample}
    epoch_s = epoch_time_s(samples, state.cpu_max_hz, **computer)
    return epoch_s, epoch_energy_j(samples, state.cpu_max_hz, **computer, kappa=state.kappa)


def _computer(state: NetworkState) -> dict[str, FloatArray]:
    """What computers state, for every pair: each (S, 1)."""
    return {name: getattr(state, name)[:, None] for name in ("cpu_max_hz", "cycles_per_sample", "kappa")}


def _at_least(similarity: FloatArray, level: float, others: NDArray[np.bool_]) -> NDArray[Any]:
    """Number of others that are at least so similar, up to rounding, (S,)."""
    return np.asarray(((similarity >= level - 1e-6) & others).sum(axis=1))


def _log(values: Any) -> FloatArray:
    """log10(1 + x) of numbers that are not negative."""
    return np.asarray(np.log10(1.0 + values))


def _log10(values: Any) -> FloatArray:
    """log10(x), of a millionth at least."""
    return np.asarray(np.log10(np.maximum(values, 1e-6)))


def _log_share(values: NDArray[Any]) -> FloatArray:
    """log10 of values over their mean, of a millionth at least; 0 where all are 0."""
    mean = values.mean()
    return _log10(values / mean) if mean > 0 else np.zeros(len(values))
