"""Aggregation rules: how much each satellite's update counts at its gateway (SemSpaceFL, section IV-B).

A rule maps the `Participants` of a round to raw non-negative weights (R,), which are normalised later inside each
(gateway, cluster) group. The decision is taken before the round, so losses are those of the last trained epoch before
it and epochs are predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Participants:
    """The R satellites expected to take part in a round.

    Attributes:
        samples: Training samples D, (R,).
        epochs: Predicted local epochs K, positive, (R,).
        loss: Last training loss L, not negative, (R,).
        group: Index of each one's (gateway, cluster) group, from 0, (R,).
    """

    samples: IntArray
    epochs: IntArray
    loss: FloatArray
    group: IntArray


AggregationRule = Callable[[Participants], FloatArray]


def uniform(participants: Participants) -> FloatArray:
    """Equal weights: the mean of the encoders of a cluster (task clustering, eq. 5)."""
    return np.ones(len(participants.samples))


def fed_avg(participants: Participants) -> FloatArray:
    """FedAvg: the number of samples, $D_s$."""
    return participants.samples.astype(np.float64)


def fed_avep(participants: Participants) -> FloatArray:
    r"""FedAvep: samples times epochs, $D_s K_s$ (SemSpaceFL, eq. 20 with $\beta = 0$)."""
    return fed_avg(participants) * participants.epochs


def fed_lol(participants: Participants) -> FloatArray:
    """FedLol: the loss credit $c_s$ alone, see `loss_credit`."""
    return loss_credit(participants.loss, participants.group)


def fed_indi(participants: Participants) -> FloatArray:
    r"""FedIndi: samples, epochs and credit count separately.

    $$w_s \propto \frac{1}{3} \left(\frac{D_s}{\sum_j D_j} + \frac{K_s}{\sum_j K_j} + \frac{c_s}{\sum_j c_j}\right)$$
    """
    criteria = (participants.samples, participants.epochs, loss_credit(participants.loss, participants.group))
    shares = [group_share(values, participants.group) for values in criteria]
    return np.asarray(np.mean(shares, axis=0))


def fed_sel(participants: Participants, *, beta: float = 1.0) -> FloatArray:
    r"""FedSEL: samples, epochs and credit together, $w_s \propto D_s K_s c_s^\beta$ (SemSpaceFL, eq. 20)."""
    return fed_avep(participants) * loss_credit(participants.loss, participants.group) ** beta


def random_weights(participants: Participants, rng: np.random.Generator) -> FloatArray:
    """Weights drawn uniformly from (0, 1]."""
    return 1.0 - rng.random(len(participants.samples))


def loss_credit(loss: FloatArray, group: IntArray) -> FloatArray:
    r"""Loss credit within a group of $n$ members: the lower the loss, the higher the credit.

    $$c_s = \frac{\sum_j L_j - L_s}{(n - 1) \sum_j L_j}$$

    From FedLol (IEEE Trans. Veh. Technol. 73(10), arXiv 2310.13236). The credits of a group sum to 1: a single member
    has 1, and if all losses are 0 the credits are equal.
    """
    members = np.bincount(group)[group]
    total = np.bincount(group, weights=loss)[group]
    defined = (members > 1) & (total > 0)
    return np.asarray(np.divide(total - loss, (members - 1) * total, out=1.0 / members, where=defined))


def group_share(values: FloatArray | IntArray, group: IntArray) -> FloatArray:
    """Each member's share of its group's sum; equal shares where that is 0."""
    members = np.bincount(group)[group]
    total = np.bincount(group, weights=values)[group]
    return np.asarray(np.divide(values, total, out=1.0 / members, where=total > 0))


def gateway_contribution(contribution: FloatArray, association: IntArray, num_gateways: int) -> FloatArray:
    r"""Raw weight of each gateway: the sum of its satellites' raw weights (SemSpaceFL, eq. 21).

    $$\tilde{W}_g = \sum_{s \in \mathcal{U}_g} \tilde{w}_s$$

    Args:
        contribution: Raw weights, (R,).
        association: Gateways in 0..G-1, (R,).
        num_gateways: Number of gateways, G.

    Returns:
        Raw gateway weights, (G,).
    """
    return np.asarray(np.bincount(association, weights=contribution, minlength=num_gateways), dtype=np.float64)
