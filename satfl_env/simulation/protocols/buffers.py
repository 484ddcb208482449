"""Updates that wait at their gateway until it is decided that they count."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Combine, normalise_weights, take_rows
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Group, Intake, ModelStore, each_group
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


def staleness_discount(staleness: IntArray, power: float) -> FloatArray:
    r"""Factor $(1 + \tau)^{-a}$ of an update whose model has changed $\tau$ times since it was fetched, (S,)."""
    return np.asarray((1.0 + staleness) ** -power)


def aggregate_or_wait(
    models: ModelStore,
    decision: Decision,
    intake: Intake,
    arrivals: Arrivals,
    combine: Combine,
    *,
    staleness_power: float,
) -> None:
    """Gateways take in what has arrived, and with it what has waited there; those that wait keep it.

    A model of which updates have waited moves along their combination, each discounted by its staleness, as in FedBuff
    (Nguyen et al., AISTATS 2022, Algorithm 1); an update that has not waited has staleness 0.

    Args:
        models: Who holds which model.
        decision: Says which gateways wait.
        intake: The updates that arrive in this round.
        arrivals: The results of training.
        combine: How the updates of a group are combined.
        staleness_power: An update counts (1 + staleness)^-power.
    """
    if decision.aggregate is None and not models.waiting:
        models.change(intake, arrivals, combine)
        return
    version, later = models.version, _must_wait(models, decision, intake)
    waiting = intake.part(later)
    models.give_first_models(waiting, arrivals)
    models.change(intake.part(~later), arrivals, combine)
    updates = arrivals.received - arrivals.start[:, : models.num_shared]
    fetched = np.full(len(waiting.members), version)
    models.wait(waiting, take_rows(updates, waiting.members), fetched)
    ripe = models.ripe(decision)
    models.version = max(models.version, version + bool(ripe))
    for group in ripe:
        kept = models.waiting[group]
        discount = torch.from_numpy(staleness_discount(version - kept.version, staleness_power)).to(updates)
        models.waiting[group] = kept._replace(updates=discount[:, None] * kept.updates)
        models.move(group, combine, 1.0)


def move_by_shares(models: ModelStore, group: Group, updates: Tensor, shares: FloatArray, combine: Combine) -> None:
    """Move the model of a group along the sum of what waits for it, each times its share, as one step.

    Args:
        models: Who holds which model.
        group: Gateway and cluster.
        updates: What the updates that wait have become by now, (n, num_shared).
        shares: Their shares, not negative, (n,); they need not sum to 1.
        combine: How the updates of a group are combined.
    """
    weights, _ = normalise_weights(shares, np.zeros(len(shares), dtype=np.int64))
    each = torch.from_numpy(weights * len(shares))
    models.waiting[group] = models.waiting[group]._replace(updates=updates, weights=each)
    models.move(group, combine, float(shares.sum()))


def _must_wait(models: ModelStore, decision: Decision, intake: Intake) -> BoolArray:
    """Groups of an intake, (K,), whose gateway waits, or keeps others that come first."""
    groups = each_group(intake.groups)
    waits = [group in models.waiting or not decision.aggregates(group[0], scheduled=True) for group in groups]
    return np.array(waits, dtype=np.bool_)
