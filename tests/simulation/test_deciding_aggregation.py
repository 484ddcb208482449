"""Decisions about when gateways aggregate and when the cloud merges."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import as_agent, make_policy
from satfl_env import Decision, NetworkState, SatFLEnv, SatFLVectorEnv, Simulation, When, decision_to_action, scenarios
from satfl_env.federated import weighted_mean
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols import Fetched, OneContact
from satfl_env.wrappers import BoxAction, DiscreteAction
from tests.factories import decide, make_decision, parts_of
from tests.simulation.test_energy_of_rounds import GLOBE
from tests.simulation.test_faults import OFTEN

QUICK = {"training.max_epochs": 1, "data.test_samples": 8, "rounds.episode": 6, "rounds.cloud_every": 3}
DECIDED = {**QUICK, "rounds.aggregate": "decided"}
SATELLITES, GATEWAYS, CLUSTERS, PARAMETERS = 6, 2, 2, 5
ON_BOARD = {
    "constellation": GLOBE,
    "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}, "combine_on_board": True},
}
NOTHING = Fetched(np.full(SATELLITES, np.nan), np.zeros(SATELLITES, np.int64), np.zeros(SATELLITES))


def build(**changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **changes}))


def timing(state: NetworkState, gateways: When, cloud: When = When.SCHEDULED) -> np.ndarray:
    return np.array([gateways] * state.num_gateways + [cloud])


def play(simulation: Simulation, gateways: When | None = None, cloud: When = When.SCHEDULED) -> list:
    state, reports = simulation.reset(0), []
    while not simulation.finished:
        aggregate = None if gateways is None else timing(state, gateways, cloud)
        state, report = simulation.step(decide(state, aggregate=aggregate))
        reports.append(report)
    return reports


def every_second_round(state: NetworkState) -> Decision:
    """The policy `full`, whose gateways aggregate in every second round."""
    return replace(make_policy("full")(state), aggregate=timing(state, When.NOW if state.round % 2 else When.WAIT))


@pytest.mark.parametrize(
    ("changes", "gateways"),
    [
        ({}, When.NOW),
        ({}, When.SCHEDULED),
        ({"server": {"kind": "fedadam"}}, When.NOW),
        ({"rounds.late": {"buffer": 2}}, When.SCHEDULED),
        ({"rounds.late": {"buffer": 1}}, When.NOW),
        (ON_BOARD, When.NOW),
    ],
)
def test_aggregating_always_is_what_nobody_decides_to_the_bit(changes, gateways):
    plain, decided = play(build(**changes)), play(build(**changes, **{"rounds.aggregate": "decided"}), gateways)
    for one, other in zip(plain, decided, strict=True):
        np.testing.assert_equal(parts_of(one), parts_of(other))


rounds_of = st.lists(
    st.tuples(
        st.lists(st.sampled_from([*When]), min_size=GATEWAYS, max_size=GATEWAYS),
        st.booleans(),
        st.lists(st.booleans(), min_size=SATELLITES, max_size=SATELLITES),
        st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(played=rounds_of, power=st.sampled_from([0.0, 0.5]))
def test_waiting_updates_are_what_a_plain_loop_makes_of_them(played, power):
    """In float64: a model moves along the mean of its discounted updates as soon as its gateway aggregates."""
    held = torch.arange(1.0, PARAMETERS + 1).repeat(SATELLITES, 1).double()
    store, protocol = ModelStore(held.clone(), PARAMETERS, GATEWAYS), OneContact(staleness_power=power)
    models: dict[tuple[int, int], np.ndarray] = {}
    waiting: dict[tuple[int, int], list[tuple[np.ndarray, float, int]]] = {}
    own, changes, taken, used = held.numpy().copy(), 0, 0, 0
    for when, merges, returned, seed in played:
        rng = np.random.default_rng(seed)
        association, cluster = rng.integers(0, GATEWAYS, SATELLITES), rng.integers(0, CLUSTERS, SATELLITES)
        returned, weights = np.array(returned), rng.uniform(0.1, 1.0, SATELLITES)
        decision = make_decision(
            association, GATEWAYS, cluster=cluster, weights=weights, aggregate=np.array([*when, When.SCHEDULED])
        )
        start = store.start_parameters(decision, returned)
        trained = start + torch.from_numpy(rng.normal(size=start.shape))
        sender, samples = np.zeros((SATELLITES, GATEWAYS), np.int64), np.ones(SATELLITES, np.int64)
        arrivals = Arrivals(start, trained, trained, returned, sender, samples)
        protocol.aggregate(store, decision, arrivals, NOTHING, weighted_mean)
        store.distribute(decision, returned)

        groups = [*zip(association.tolist(), cluster.tolist(), strict=True)]
        for group in sorted({groups[it] for it in np.flatnonzero(returned)}):
            members = [it for it in np.flatnonzero(returned) if groups[it] == group]
            models.setdefault(group, np.mean([own[it] for it in members], axis=0))
            shares = weights[members] / weights[members].sum() * len(members)
            new = [
                ((trained[it] - start[it]).numpy(), share, changes) for it, share in zip(members, shares, strict=True)
            ]
            waiting[group] = [*waiting.get(group, []), *new]
            taken += len(new)
        ripe = [group for group in waiting if when[group[0]] != When.WAIT]
        for group in ripe:
            kept = waiting.pop(group)
            discounted = [share * (1.0 + changes - version) ** -power * update for update, share, version in kept]
            models[group] = models[group] + np.sum(discounted, axis=0) / len(kept)
            used += len(kept)
        changes += bool(ripe)
        for it in np.flatnonzero(returned):
            own[it] = models[groups[it]]
        assert store.version == changes
        assert store.num_waiting.sum() == taken - used
        assert store.gateway_models.keys() == models.keys()
        for group, model in models.items():
            np.testing.assert_allclose(store.gateway_models[group], model, atol=1e-9)
        if merges:
            used_weights, _ = store.merge()
            for label in range(CLUSTERS):
                if used_weights[label].any():
                    merged = sum(used_weights[label, g] * models.get((g, label), 0.0) for g in range(GATEWAYS))
                    models |= {(gateway, label): merged for gateway in range(GATEWAYS)}
        np.testing.assert_allclose(store.held, own, atol=1e-9)


def test_models_change_in_every_second_round_under_the_policy_of_that_name():
    simulation = build(**{"rounds.aggregate": "decided", "rounds.cloud_every": 100})
    state, before = simulation.reset(0), {}
    for index in range(6):
        state, report = simulation.step(every_second_round(state))
        models = simulation.get_state()["models"]
        changed = any(
            not torch.equal(model, before.get(group, model)) for group, model in models["gateway_models"].items()
        )
        assert changed == bool(index % 2)
        assert state.waiting.any() == (not index % 2 and report.returned.any())
        before = models["gateway_models"]
    assert models["version"] == 3


def test_the_cloud_merges_when_it_is_told_to():
    assert [report.merged for report in play(build(), When.NOW)] == [False, False, True] * 2
    assert not any(report.merged for report in play(build(), When.NOW, When.WAIT))
    reports = play(build(), When.NOW, When.NOW)
    assert all(report.merged for report in reports)
    assert all(report.gateway_weights[0].sum() == pytest.approx(1.0) for report in reports)


def test_late_updates_wait_beyond_the_buffer_or_not_at_all():
    full = {"rounds.late": {"buffer": 1}}
    waiting = build(**full, **{"rounds.aggregate": "decided"})
    reports = play(waiting, When.WAIT)
    assert waiting.get_state()["models"]["gateway_models"] == {}
    assert waiting.state.waiting.sum() == sum(report.returned.sum() for report in reports) > 0
    never_full = build(**{"rounds.late": {"buffer": 10_000}})
    play(never_full, When.NOW)
    assert never_full.get_state()["models"]["gateway_models"]
    assert not never_full.get_state()["models"]["waiting"]


def test_what_waits_is_taken_in_by_whoever_leaves_it_to_the_schedule():
    simulation = build(**{"rounds.aggregate": "decided"})
    state = simulation.reset(0)
    state, _ = simulation.step(decide(state, aggregate=timing(state, When.WAIT)))
    assert state.waiting.any()
    sitting_out = np.full(state.num_satellites, state.num_gateways)
    state, _ = simulation.step(decide(state, association=sitting_out))
    assert not state.waiting.any()


COMBINED = {
    "faults": {"faults": OFTEN},
    "late": {"rounds.late": {"buffer": 2}},
    "server": {"server": {"kind": "fedavgm"}, "links.upload_snr_db": 20.0},
    "relays": {"constellation": GLOBE, "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}, "faults": OFTEN},
    "onboard": ON_BOARD,
    "compressed": {"compression": {"upload": {"kind": "top-k", "share": 0.1}, "error_feedback": True}, "faults": OFTEN},
}


@pytest.mark.parametrize("changes", COMBINED.values(), ids=COMBINED)
def test_waiting_updates_go_on_from_the_middle_of_an_episode(changes):
    simulation, other = build(**DECIDED, **changes), build(**DECIDED, **changes)
    state = simulation.reset(2)
    for _ in range(3):
        state, _ = simulation.step(every_second_round(state))
    assert state.waiting.any()
    twins = [copy.deepcopy(simulation), other]
    other.set_state(simulation.get_state())
    _, report = simulation.step(every_second_round(state))
    for twin in twins:
        np.testing.assert_equal(parts_of(twin.step(every_second_round(twin.state))[1]), parts_of(report))


def test_a_state_with_waiting_updates_of_another_size_is_refused():
    simulation = build(**DECIDED)
    state = simulation.reset(0)
    simulation.step(decide(state, aggregate=timing(state, When.WAIT)))
    taken = simulation.get_state()
    group, parts = next(iter(taken["models"]["waiting"].items()))
    taken["models"]["waiting"][group] = (parts[0][:, 1:], *parts[1:])
    with pytest.raises(ValueError, match=r"\['waiting'\]\[\(\d, \d\)\] has updates of shape"):
        simulation.set_state(taken)


def test_environments_alone_and_together_decide_alike_and_show_what_waits():
    vector, agent = SatFLVectorEnv(2, overrides=DECIDED), as_agent(every_second_round)
    together, _ = vector.reset(seed=[3, 4])
    for _ in range(3):
        together, *_ = vector.step(agent(together))
    env = SatFLEnv(overrides=DECIDED)
    observation, _ = env.reset(seed=3)
    for _ in range(3):
        action = agent(observation)
        assert action in env.action_space
        observation, *_ = env.step(action)
        assert observation in env.observation_space
    np.testing.assert_array_equal(observation["waiting"], together["waiting"][0])
    assert observation["waiting"].any()


def test_an_action_may_leave_aggregation_to_the_schedule():
    agent = as_agent(make_policy("full"))
    plain, decided = SatFLEnv(overrides=QUICK), SatFLEnv(overrides=DECIDED)
    vector = SatFLVectorEnv(1, overrides=DECIDED)
    for env in (plain, decided, vector):
        env.reset(seed=0)
    action = agent(plain.reset(seed=0)[0])
    one, other = plain.step(action), decided.step(action)
    both = vector.step({key: value[None] for key, value in action.items()})
    assert one[1] == other[1] == both[1][0]
    assert set(decided.action_space) - set(plain.action_space) == {"aggregate"}
    assert set(decided.observation_space) - set(plain.observation_space) == {"waiting"}
    with pytest.raises(ValueError, match=r"has unknown \['aggregate'\]; aggregate needs rounds.aggregate: decided$"):
        plain.step({**action, "aggregate": np.zeros(4, dtype=np.int64)})


@pytest.mark.parametrize("wrapper", [BoxAction, DiscreteAction])
def test_wrappers_have_the_choice_of_when_to_aggregate(wrapper):
    plain, decided = (wrapper(SatFLEnv(overrides=overrides)) for overrides in (QUICK, DECIDED))
    choices = 3 * 4 if wrapper is BoxAction else 4
    assert decided.action_space.shape[0] == plain.action_space.shape[0] + choices
    decided.reset(seed=0)
    decided.action_space.seed(0)
    flat = decided.action_space.sample()
    expected = flat[-12:].reshape(4, 3).argmax(axis=1) if wrapper is BoxAction else flat[-4:]
    native = decided.action(flat)
    np.testing.assert_array_equal(native["aggregate"], expected)
    assert native in decided.unwrapped.action_space
    decided.step(flat)
    if wrapper is DiscreteAction:
        assert len(decided.action_masks()) == decided.action_space.nvec.sum()


@pytest.mark.parametrize(
    ("aggregate", "message"),
    [
        (
            np.array([0, 0, 0, 3]),
            r"decision.aggregate must lie in 0..2 \(scheduled, now, wait.*\), got 3 for gateway 3",
        ),
        (np.zeros(3, dtype=np.int64), r"decision.aggregate must be an array of shape \(4,\), got \(3,\)"),
        (np.zeros(4), "decision.aggregate must hold integers, got dtype float64"),
    ],
)
def test_impossible_timings_are_refused(aggregate, message):
    simulation = build()
    decision = decide(simulation.reset(0), aggregate=aggregate)
    with pytest.raises(ValueError, match=message):
        simulation.step(decision)
    with pytest.raises(ValueError, match=message):
        decision_to_action(decision, simulation.state)


def test_an_environment_made_by_name_takes_the_setting():
    env = gym.make("SatFL-v0", overrides={**DECIDED, "training.engine": "none"})
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    with pytest.raises(scenarios.ScenarioError, match=r"rounds\.aggregate: .*got 'sometimes'"):
        scenarios.load("leo-multitask", **{"rounds.aggregate": "sometimes"})
