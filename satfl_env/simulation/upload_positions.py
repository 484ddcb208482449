"""Where satellites are while they return a model: where a round began, or where the upload begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, Protocol

import numpy as np

from satfl_env.orbits import Scene, SceneSnapshot, positions_m
from satfl_env.simulation.protocols import Opening, RoundProtocol, Transfers
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

# States of satellites held at a time.
_STATES = 1_000_000

PositionsAt = Literal["start", "upload"]


class DecidedLinks(NamedTuple):
    """What transfers take over the links of a decision, with all senders at given places.

    Attributes:
        alone: The transfer times of satellites that are alone on the links.
        among: Gives the transfer times from the satellites that transmit, (S,).
    """

    alone: Transfers
    among: Callable[[BoolArray], Transfers]


class UploadPositions(Protocol):
    """A rule for where satellites are while they return a model."""

    def __call__(
        self,
        protocol: RoundProtocol,
        opening: Opening,
        now: DecidedLinks,
        later: Callable[[FloatArray], DecidedLinks],
        /,
    ) -> tuple[Opening, Callable[[BoolArray], Transfers]]:
        """The transfer times that count: in the opening for those alone on the links, and among those that transmit.

        Args:
            protocol: Says who takes part.
            opening: The round at its start, with the transfer times of `now.alone`.
            now: The links from the start's positions.
            later: Gives the links with each satellite where it is some time after the start, (S,).
        """


def at_start(
    protocol: RoundProtocol, opening: Opening, now: DecidedLinks, later: Callable[[FloatArray], DecidedLinks]
) -> tuple[Opening, Callable[[BoolArray], Transfers]]:
    """All transfers are made from where satellites are at the round's start."""
    return opening, now.among


def at_upload(
    protocol: RoundProtocol, opening: Opening, now: DecidedLinks, later: Callable[[FloatArray], DecidedLinks]
) -> tuple[Opening, Callable[[BoolArray], Transfers]]:
    """Models are returned from where each satellite is when its upload begins, as far as the round's start tells.

    The epochs that fit a contact depend on the time of the upload (SemSpaceFL, eq. 16-19), which depends on where the
    satellite is after these epochs. The circle is cut once: the start of the upload is that of a round in which nobody
    else is on the links and uploads are made from the start's positions. Epochs and transfers then follow from the
    rates there, so that all of them fit the contact.
    """
    estimate = protocol.participate(opening)
    then = later(estimate.busy_s - estimate.upload_s)

    def among(transmits: BoolArray) -> Transfers:
        return then.among(transmits)._replace(download_s=now.among(transmits).download_s)

    return opening.with_transfers(then.alone._replace(download_s=opening.download_s)), among


UPLOAD_POSITIONS: dict[PositionsAt, UploadPositions] = {"start": at_start, "upload": at_upload}


def moved(scene: Scene, senders: SceneSnapshot, gateway: IntArray, time_s: FloatArray) -> SceneSnapshot:
    """Senders where each is at a time of its own; visibility, windows and velocities stay as they are.

    A gateway that moves takes its senders along: they are placed as they are to it then.

    Args:
        scene: The scene.
        senders: The geometry, with `sender` of each row, (S,), or None.
        gateway: Gateway of each row, (S,).
        time_s: Time of each row after the start of the scene, (S,).
    """
    sender = np.arange(len(time_s)) if senders.sender is None else senders.sender
    times, when = np.unique(time_s, return_inverse=True)
    gateways_m, position_m = senders.gateway_position_m, np.empty_like(senders.position_m)
    at_once = max(1, _STATES // scene.num_satellites)
    for first in range(0, len(times), at_once):
        satellites_then_m, gateways_then_m = positions_m(scene, times[first : first + at_once])
        row = np.flatnonzero((when >= first) & (when < first + at_once))
        own = when[row] - first
        drift_m = gateways_then_m[own, gateway[row]] - gateways_m[gateway[row]]
        position_m[row] = satellites_then_m[own, sender[row]] - drift_m
    distance_m = np.linalg.norm(position_m[:, None] - gateways_m, axis=-1)
    return replace(senders, position_m=position_m, distance_m=distance_m)
