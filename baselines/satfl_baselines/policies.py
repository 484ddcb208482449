"""The registry of policies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from satfl_baselines import aggregation, association, clustering, fedgroup, frequency, ration
from satfl_baselines.aggregation import gateway_mean
from satfl_baselines.epochs import one_epoch_each
from satfl_baselines.policy import Policy
from satfl_baselines.rule import RULES, rule_policy
from satfl_baselines.tuning.tuned import TUNED, tuned_policy, tuned_scenarios
from satfl_env.suggestions import did_you_mean

_FULL = rule_policy(RULES["full"], "full", "both papers' rules together")
_SEMSPACEFL = Policy(
    "semspacefl",
    "SemSpaceFL: longest window, closed-form frequency, FedSEL weights",
    association.longest_window,
    frequency.closed_form,
    clustering.one_cluster,
    aggregation.fed_sel,
)
_TASK_CLUSTERING = replace(
    _SEMSPACEFL,
    name="task-clustering",
    description="task clustering by label distributions, plain means inside clusters",
    clustering=clustering.jensen_shannon,
    aggregation=aggregation.uniform,
)
_NEAREST_FEDAVG = replace(
    _SEMSPACEFL,
    name="nearest-fedavg",
    description="SemSpaceFL's benchmark: nearest gateway, FedAvg weights",
    association=association.nearest,
    aggregation=aggregation.fed_avg,
)
# All policies but `random`, which has a generator.
_POLICIES = (
    _FULL,
    _SEMSPACEFL,
    *(
        replace(_SEMSPACEFL, name=f"proposed-{name}", description=f"longest window, {title} weights", aggregation=rule)
        for name, title, rule in (
            ("fedavg", "FedAvg", aggregation.fed_avg),
            ("fedavep", "FedAvep", aggregation.fed_avep),
            ("fedindi", "FedIndi", aggregation.fed_indi),
            ("fedlol", "FedLol", aggregation.fed_lol),
        )
    ),
    *(
        replace(
            _SEMSPACEFL,
            name=f"gateway-mean-{name}",
            description=f"longest window, {title} weights, gateways count as the mean of their satellites",
            aggregation=rule,
            gateways=gateway_mean,
        )
        for name, title, rule in (
            ("fedsel", "FedSEL", aggregation.fed_sel),
            ("fedindi", "FedIndi", aggregation.fed_indi),
            ("fedlol", "FedLol", aggregation.fed_lol),
        )
    ),
    _TASK_CLUSTERING,
    replace(
        _TASK_CLUSTERING,
        name="gap-clustering",
        description="task clustering with the widest gap between similarities as threshold",
        clustering=partial(clustering.jensen_shannon, threshold="largest-gap"),
    ),
    replace(
        _TASK_CLUSTERING,
        name="update-clustering",
        description="task clustering without labels: by the cosine of the first round's updates",
        clustering=clustering.similar_updates,
    ),
    replace(
        _TASK_CLUSTERING,
        name="ifca",
        description="IFCA: the cluster whose model has the lowest loss (with rounds.broadcast), weights by samples",
        clustering=clustering.lowest_loss,
        aggregation=aggregation.fed_avg,
    ),
    replace(
        _TASK_CLUSTERING,
        name="fedgroup",
        description="FedGroup: three groups by the directions of the first updates, weights by samples",
        clustering=fedgroup.grouped_updates,
        aggregation=aggregation.fed_avg,
    ),
    _NEAREST_FEDAVG,
    replace(
        _NEAREST_FEDAVG,
        name="nearest-fedavep",
        description="SemSpaceFL's benchmark: nearest gateway, FedAvep weights",
        aggregation=aggregation.fed_avep,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="fedsat",
        description="FedSat: every satellite in sight returns an update (with rounds.late), weights by samples",
        expected=one_epoch_each,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="fedbuff",
        description="FedBuff: every satellite in sight returns an update (with rounds.late.buffer), plain means",
        aggregation=aggregation.uniform,
        expected=one_epoch_each,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="fedleo",
        description="FedLEO: through the plane's longest contact (with rounds.relay), weights by samples",
        association=association.longest_window,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="single-gateway-fedavg",
        description="SemSpaceFL's benchmark: one gateway only, FedAvg weights",
        association=association.single_gateway,
    ),
    replace(
        _TASK_CLUSTERING,
        name="unclustered",
        description="task clustering's benchmark: plain means over everyone",
        clustering=clustering.one_cluster,
    ),
    replace(
        _TASK_CLUSTERING,
        name="individual",
        description="task clustering's benchmark: everyone trains alone",
        clustering=clustering.singletons,
    ),
    replace(
        _FULL,
        name="max-frequency",
        description="full, but every CPU at its highest frequency",
        frequency=frequency.maximum,
    ),
    rule_policy(RULES["fine"], "fine", "full, but the most similar tasks alone share a model; weights by samples"),
    rule_policy(RULES["curriculum"], "curriculum", "full's clusters for two fifths of the episode, then those of fine"),
    rule_policy(
        RULES["thrifty"],
        "thrifty",
        "curriculum, spending a quarter of the charge in a round, as slowly as time allows",
    ),
    replace(
        rule_policy(RULES["curriculum"]),
        name="ration",
        description="curriculum, its charge planned over the contacts to come",
        association=ration.rationed_association,
        frequency=ration.rationed_frequency,
    ),
    replace(
        rule_policy(RULES["curriculum"]),
        name="neediest",
        description="curriculum, beams to satellites of the highest loss and longest window",
        association=association.neediest,
    ),
)
_TABLE = {policy.name: policy for policy in _POLICIES}
RANDOM = "random"


def make_policy(name: str, seed: int = 0, scenario: str | None = None) -> Policy:
    """A policy of the registry.

    Args:
        name: One of `policy_names()`, or `tuned`.
        seed: Seeds the random rules; the others do not depend on it.
        scenario: Name of the scenario, which `tuned` is chosen by; the others do not depend on it.

    Raises:
        ValueError: If there is no policy of that name, or no tuned rule for the scenario.
    """
    check_policy_name(name)
    if name == TUNED:
        return tuned_policy(scenario)
    return _random_policy(np.random.default_rng(seed)) if name == RANDOM else _TABLE[name]


def policy_names(scenario: str | None = None) -> tuple[str, ...]:
    """Names of all policies; `tuned` is among them for the name of a scenario that the package has a tuned rule for."""
    tuned = (TUNED,) if scenario in tuned_scenarios() else ()
    return (*_TABLE, *tuned, RANDOM)


def check_policy_name(name: str) -> None:
    """Raise `ValueError` if there is no policy of that name in the registry."""
    known = (*_TABLE, TUNED, RANDOM)
    if name not in known:
        raise ValueError(f"unknown policy {name!r}{did_you_mean(str(name), known)}; there are: {', '.join(known)}")


def _random_policy(rng: np.random.Generator) -> Policy:
    return Policy(
        RANDOM,
        "every part of the decision drawn at random",
        partial(association.random_association, rng=rng),
        partial(frequency.random_frequency, rng=rng),
        partial(clustering.random_clusters, rng=rng),
        partial(aggregation.random_weights, rng=rng),
    )
