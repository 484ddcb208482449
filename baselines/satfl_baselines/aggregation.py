"""Aggregation rules: how much each satellite's update counts at its gateway (SemSpaceFL, section IV-B).

A rule maps the `Participants` of a round to raw non-negative weights (R,), which are normalised later inside each
(gateway, cluster) group. Raw weights are on one scale for all groups, whatever their size: credits and shares have a
mean of 1 in each group, so that identical satellites have equal raw weights wherever they are. A `GatewayRule` makes
the gateways' weights at the cloud of them. The decision is taken before the round, so losses are those of the last
trained epoch before it and epochs are predicted.
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
# Raw weights of the satellites (R,), their gateways (R,) and the number of gateways G, to raw gateway weights (G,).
GatewayRule = Callable[[FloatArray, IntArray, int], FloatArray]


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
    r"""FedIndi: samples, epochs and credit count separately, each over its mean in the group of $n$ members.

    $$w_s = \frac{1}{3} \left(\frac{n D_s}{\sum_j D_j} + \frac{n K_s}{\sum_j K_j} + c_s\right)$$
    """
    samples, epochs = (over_mean(values, participants.group) for values in (participants.samples, participants.epochs))
    return np.asarray((samples + epochs + fed_lol(participants)) / 3)


def fed_sel(participants: Participants, *, beta: float = 1.0) -> FloatArray:
    r"""FedSEL: samples, epochs and credit together, $w_s \propto D_s K_s c_s^\beta$ (SemSpaceFL, eq. 20)."""
    return fed_avep(participants) * fed_lol(participants) ** beta


def powers(participants: Participants, *, samples_power: float, epochs_power: float, credit_power: float) -> FloatArray:
    r"""Samples, epochs and credit to powers of their own, $w_s \propto D_s^a K_s^b c_s^\beta$.

    `uniform`, `fed_avg`, `fed_avep`, `fed_lol` and `fed_sel` are the cases with powers of 0 and 1.
    """
    return np.asarray(
        fed_avg(participants) ** samples_power
        * participants.epochs.astype(np.float64) ** epochs_power
        * fed_lol(participants) ** credit_power
    )


def random_weights(participants: Participants, rng: np.random.Generator) -> FloatArray:
    """Weights drawn uniformly from (0, 1]."""
    return 1.0 - rng.random(len(participants.samples))


def loss_credit(loss: FloatArray, group: IntArray) -> FloatArray:
    r"""Loss credit within a group of $n$ members: the lower the loss, the higher the credit.

    $$c_s = n \frac{\sum_j L_j - L_s}{(n - 1) \sum_j L_j}$$

    From FedLol (IEEE Trans. Veh. Technol. 73(10), arXiv 2310.13236), whose credits sum to 1; times $n$, their mean is 1
    in every group. A single member has 1, and if all losses are 0 so has everyone.
    """
    members, total = _members(group), _total(loss, group)
    defined = (members > 1) & (total > 0)
    ones = np.ones(len(loss))
    return np.asarray(np.divide(members * (total - loss), (members - 1) * total, out=ones, where=defined))


def over_mean(values: FloatArray | IntArray, group: IntArray) -> FloatArray:
    """Each member's value over the mean of its group, so that the mean is 1; 1 where all are 0."""
    total = _total(values, group)
    return np.asarray(np.divide(_members(group) * values, total, out=np.ones(len(values)), where=total > 0))


def gateway_contribution(contribution: FloatArray, association: IntArray, num_gateways: int) -> FloatArray:
    r"""Raw weight of each gateway: the sum of its satellites' raw weights (SemSpaceFL, eq. 21).

    $$\tilde{W}_g = \sum_{s \in \mathcal{U}_g} \tilde{w}_s$$

    So a satellite counts in the cloud as much as its raw weight, at whichever gateway it is.

    Args:
        contribution: Raw weights, (R,).
        association: Gateways in 0..G-1, (R,).
        num_gateways: Number of gateways, G.

    Returns:
        Raw gateway weights, (G,).
    """
    return np.asarray(np.bincount(association, weights=contribution, minlength=num_gateways), dtype=np.float64)


def gateway_mean(contribution: FloatArray, association: IntArray, num_gateways: int) -> FloatArray:
    r"""Raw weight of each gateway: the mean of its satellites' raw weights, however many they are.

    $$\tilde{W}_g = \frac{1}{|\mathcal{U}_g|} \sum_{s \in \mathcal{U}_g} \tilde{w}_s$$

    With one cluster, this is what eq. 21 gives for FedLol, FedIndi and FedSEL (beta = 1) if credits and shares sum to 1
    at each gateway: a lone satellite then counts as much as five identical ones at another. Arguments and result as in
    `gateway_contribution`; a gateway without satellites has 0.
    """
    return gateway_between(contribution, association, num_gateways, mean_power=1.0)


def gateway_between(
    contribution: FloatArray, association: IntArray, num_gateways: int, *, mean_power: float
) -> FloatArray:
    """Between the sum (`mean_power` 0, `gateway_contribution`) and the mean (1, `gateway_mean`) of its satellites'."""
    members = np.bincount(association, minlength=num_gateways)
    return gateway_contribution(contribution, association, num_gateways) / np.maximum(members, 1) ** mean_power


def _members(group: IntArray) -> IntArray:
    """Number of members of each one's group, (R,)."""
    return np.bincount(group)[group]


def _total(values: FloatArray | IntArray, group: IntArray) -> FloatArray:
    """Sum over each one's group, (R,)."""
    return np.asarray(np.bincount(group, weights=values)[group], dtype=np.float64)
