"""What a scheduler decides for a round, and whether that fits the network.

`S` is the number of satellites, `G` the number of gateways.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, NetworkState


class When(IntEnum):
    """When updates count, as a decision has it for a gateway or for the cloud."""

    SCHEDULED = 0
    """As the rounds have it: a gateway at once, or when its buffer is full; the cloud every `cloud_every` rounds."""
    NOW = 1
    """At the end of this round, with everything that has waited."""
    WAIT = 2
    """Later: what has arrived waits, and so does the merge."""


@dataclass(frozen=True, eq=False)
class Decision:
    """The scheduling decision for one communication round.

    Attributes:
        association: Gateway of each satellite in 0..G-1, or G to sit the round out, (S,).
        cpu_frequency: CPU frequency in Hz, in [0, cpu_max_hz], (S,); at 0 nothing is trained. Ignored for satellites
            that sit out.
        cluster: Cluster label in 0..S-1, (S,).
        weights: Raw non-negative aggregation weights, (S,); normalised inside each (gateway, cluster) group.
        gateway_weights: Raw non-negative weights of the gateways at the cloud, (G,); at a merge a gateway has that of
            the last round in which its model changed.
        aggregate: `When` each gateway aggregates the updates that have arrived, and, as the last entry, when the cloud
            merges the gateways' models, (G + 1,); None leaves all to the schedule.
        bandwidth: Raw non-negative shares of the band, (S,), normalised inside each gateway; None: equal shares. Unused
            unless `access.sharing` is `decided`.
    """

    association: IntArray
    cpu_frequency: FloatArray
    cluster: IntArray
    weights: FloatArray
    gateway_weights: FloatArray
    aggregate: IntArray | None = None
    bandwidth: FloatArray | None = None

    @property
    def associated(self) -> BoolArray:
        """Satellites that are associated with a gateway, (S,); the others sit the round out."""
        return np.asarray(self.association < len(self.gateway_weights))

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """Index of each satellite's own entry in an array (S, G); where it sits out, that of gateway 0."""
        return np.arange(len(self.association)), np.where(self.associated, self.association, 0)

    def aggregates(self, place: int, *, scheduled: bool) -> bool:
        """Whether a gateway aggregates at the end of the round, or the cloud merges (-1), given the schedule."""
        when = When.SCHEDULED if self.aggregate is None else self.aggregate[place]
        return bool(when == When.NOW or (scheduled and when == When.SCHEDULED))


OPTIONAL_CHOICES = tuple(choice.name for choice in fields(Decision) if choice.default is None)
"""Names of what a decision, and an action, may leave out."""


def check_decision(decision: Decision, state: NetworkState) -> None:
    """Raise `ValueError` if a decision does not fit a state.

    The message names the field, what is allowed, and the first satellite or gateway whose value is not.
    """
    if not isinstance(decision, Decision):
        raise ValueError(f"a policy must return a Decision, got {type(decision).__name__}")
    num_satellites, num_gateways = state.num_satellites, state.num_gateways
    lengths = {"gateway_weights": num_gateways, "aggregate": num_gateways + 1}
    for name, value in vars(decision).items():
        if value is not None or name not in OPTIONAL_CHOICES:
            _check_array(name, value, lengths.get(name, num_satellites))
    if decision.aggregate is not None:
        _check_labels("aggregate", decision.aggregate, len(When) - 1, "scheduled, now, wait; the cloud is last")
    _check_labels("association", decision.association, num_gateways, "the last one sits out")
    _check_labels("cluster", decision.cluster, num_satellites - 1, "one label per satellite")
    for name in ("weights", "gateway_weights", "bandwidth"):
        value = getattr(decision, name)
        if value is not None:
            _check_entries(name, value, value >= 0, "must not be negative")
    frequency = decision.cpu_frequency
    possible = (frequency >= 0) & (frequency <= state.cpu_max_hz * (1 + 1e-9))
    _check_entries(
        "cpu_frequency", frequency, possible | ~decision.associated, "must lie in 0..cpu_max_hz", state.cpu_max_hz
    )


def _check_array(name: str, value: object, length: int) -> None:
    if not isinstance(value, np.ndarray) or value.shape != (length,):
        got = getattr(value, "shape", type(value).__name__)
        raise ValueError(f"decision.{name} must be an array of shape ({length},), got {got}")
    if value.dtype.kind not in "biuf":
        raise ValueError(f"decision.{name} must hold real numbers, got dtype {value.dtype}")
    if value.dtype.kind == "f":
        _check_entries(name, value, np.isfinite(value), "must be finite")


def _check_labels(name: str, value: IntArray, highest: int, meaning: str) -> None:
    if value.dtype.kind not in "iu":
        raise ValueError(f"decision.{name} must hold integers, got dtype {value.dtype}")
    _check_entries(name, value, (value >= 0) & (value <= highest), f"must lie in 0..{highest} ({meaning})")


def _check_entries(
    name: str, value: IntArray | FloatArray, fits: BoolArray, allowed: str, limit: FloatArray | None = None
) -> None:
    # Counting takes a third of the time of `all`.
    if fits.all():
        return
    index = int(fits.argmin())
    bound = "" if limit is None else f" = {limit[index]:g} Hz"
    whose = "gateway" if name in ("gateway_weights", "aggregate") else "satellite"
    raise ValueError(f"decision.{name} {allowed}{bound}, got {value[index]:g} for {whose} {index}")
