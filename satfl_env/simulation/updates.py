"""The outcomes of satellites' updates, and which of them count as lost."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """The outcome of a round for one satellite.

    Attributes:
        RETURNED: Trained, and its update came back; it was aggregated, or waits for that at its gateway.
        SAT_OUT: Was not associated with any gateway, or not drawn for the round's cohort.
        NOT_VISIBLE: Was associated with a gateway that does not see it.
        OUT_OF_TIME: Not even one epoch and the model transfers fit the contact window.
        OUT_OF_ENERGY: Not even one epoch fits the energy budget.
        DIVERGED: Training gave no numbers, or a model that gives none, or the way left none of the update; it was
            dropped.
        FETCHED: Fetched its first model to train from; only where updates arrive one contact late.
        BROWNED_OUT: Its battery does not carry it through the model transfers: it neither trained nor sent.
        FAILED: Was out of order, or failed before its update was back.
        GATEWAY_DOWN: Its gateway was out of order, or failed before the update was back.
        LINK_BROKEN: Found no contact, or the contact broke off in a transfer.
        NOT_SERVED: Its gateway had no beam or no part of the band for it.
    """

    RETURNED = 0
    SAT_OUT = 1
    NOT_VISIBLE = 2
    OUT_OF_TIME = 3
    OUT_OF_ENERGY = 4
    DIVERGED = 5
    FETCHED = 6
    BROWNED_OUT = 7
    FAILED = 8
    GATEWAY_DOWN = 9
    LINK_BROKEN = 10
    NOT_SERVED = 11


_COUNTS_AS_LOST = np.array([one not in (Outcome.RETURNED, Outcome.SAT_OUT, Outcome.FETCHED) for one in Outcome])
_USES_LINKS = np.array([one in (Outcome.RETURNED, Outcome.FETCHED) for one in Outcome])


def first_reason(*reasons: tuple[Outcome, NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Outcome of each satellite: the first reason that holds for it, returned where none does, (S,)."""
    outcome = np.full(len(reasons[0][1]), Outcome.RETURNED.value)
    for reason, holds in reversed(reasons):
        outcome[holds] = reason
    return outcome


def is_lost(outcome: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether an update counts as lost, (S,): its satellite was associated, but nothing could be aggregated."""
    return np.asarray(_COUNTS_AS_LOST[outcome])


def uses_links(outcome: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a satellite fetches a model or returns one, (S,), from its outcome as known before training."""
    return np.asarray(_USES_LINKS[outcome])
