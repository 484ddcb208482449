"""Beams, subcarriers and shares of the band, against brute force and rounds in which the others sit out."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import make_policy, run_episode
from satfl_env import Decision, NetworkState, Outcome, SatFLEnv, Simulation, decision_to_action, scenarios
from satfl_env.links import RadioLinks
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import GatewayAccess
from satfl_env.simulation.access import whole_parts
from satfl_env.wrappers import BoxAction, DiscreteAction
from tests.factories import decide, make_decision, make_state, parts_of, physics_only
from tests.worlds import RELAYED, SLOW, TEN_SATELLITES

WORLDS: dict[str, dict[str, Any]] = {
    "one-contact": {},
    "late": {"rounds.late": {"buffer": 2}},
    "relays": RELAYED,
}


def build(access: dict[str, Any], world: str = "one-contact", rounds: int = 4, **changes: Any) -> Simulation:
    return scenarios.build(physics_only(rounds, **SLOW, **WORLDS[world], access=access, **changes))


@pytest.mark.parametrize("world", WORLDS)
def test_limits_that_bind_nobody_change_nothing(world):
    limited, free = build({"beams": 10, "sharing": "equal"}, world), build({}, world)
    state, twin = limited.reset(0), free.reset(0)
    while not limited.finished:
        (state, report), (twin, expected) = limited.step(decide(state)), free.step(decide(twin))
        np.testing.assert_equal(parts_of(report), parts_of(expected))
        np.testing.assert_equal(parts_of(state), parts_of(twin))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    order=st.sampled_from(["weights", "window", "rate"]),
    sharing=st.sampled_from(["equal", "need", "weights"]),
    most=st.integers(1, 4),
)
def test_the_first_in_order_are_served(seed, order, sharing, most):
    """Of all sets of satellites that a gateway could serve, none comes before the one it serves."""
    rng = np.random.default_rng(seed)
    state = make_state(
        6, window_s=rng.choice([100.0, 200.0, 300.0], (6, 2)), rate_bps=rng.choice([1e8, 2e8, 3e8], (6, 2))
    )
    decision = make_decision(rng.integers(0, 3, 6), weights=rng.choice([0.0, 1.0, 2.0], 6))
    asks = decision.associated & (rng.random(6) < 0.8)
    served = GatewayAccess(beams=most, order=order, sharing=sharing).served(state, decision, asks)
    for gateway in range(2):
        asking = [s for s in range(6) if asks[s] and decision.association[s] == gateway]
        if sharing == "weights" and any(decision.weights[s] > 0 for s in asking):
            asking = [s for s in asking if decision.weights[s] > 0]
        rank = {
            "weights": lambda s: -decision.weights[s],
            "window": lambda s, gateway=gateway: state.window_s[s, gateway],
            "rate": lambda s, gateway=gateway: -state.rate_bps[s, gateway],
        }[order]
        sets = combinations(asking, min(most, len(asking)))
        best = min((sorted((rank(s), s) for s in one) for one in sets), default=[])
        found = np.flatnonzero(served & (decision.association == gateway))
        assert found.tolist() == sorted(s for _, s in best)
    assert not (served & ~asks).any()


@settings(max_examples=100, deadline=None)
@given(
    raw=st.lists(st.floats(0.01, 1), min_size=1, max_size=4),
    spare=st.integers(0, 5),
)
def test_whole_subcarriers_are_the_nearest_to_the_shares(raw, spare):
    """No other whole numbers, at least one each, lie nearer to one each and the shares of the rest."""
    shares, parts = np.array(raw) / sum(raw), len(raw) + spare
    whole = whole_parts(shares, np.zeros(len(raw), dtype=np.int64), parts)
    assert whole.sum() == parts
    assert whole.min() >= 1
    quota = 1 + shares * spare
    others = (one for one in product(range(1, parts + 1), repeat=len(raw)) if sum(one) == parts)
    least = min(np.abs(np.array(one) - quota).sum() for one in others)
    assert np.abs(whole - quota).sum() == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("subcarriers", [None, 7])
@pytest.mark.parametrize("sharing", ["equal", "need", "weights", "decided"])
def test_shares_are_in_proportion_to_claims_and_sum_to_the_band(sharing, subcarriers):
    rng = np.random.default_rng(0)
    state = make_state(8, rate_bps=rng.uniform(1e8, 1e9, (8, 2)))
    decision = make_decision([0, 0, 0, 1, 1, 1, 1, 2], weights=rng.random(8), bandwidth=rng.random(8))
    sends = np.array([1, 1, 1, 1, 0, 1, 1, 0], dtype=bool)
    shares = GatewayAccess(sharing=sharing, subcarriers=subcarriers).shares(state, decision, sends)
    if shares is None:
        assert (sharing, subcarriers) == ("equal", None)
        return
    claims = {
        "equal": np.ones(8),
        "need": 1 / state.rate_bps[decision.pairs],
        "weights": decision.weights,
        "decided": decision.bandwidth,
    }[sharing]
    assert not shares[~sends].any()
    for gateway in range(2):
        members = sends & (decision.association == gateway)
        assert shares[members].sum() == pytest.approx(1.0)
        if subcarriers is None:
            np.testing.assert_allclose(shares[members], claims[members] / claims[members].sum())
        else:
            np.testing.assert_allclose(shares[members] * 7, np.rint(shares[members] * 7))


def test_a_claim_of_zero_is_not_served_beside_others_and_all_zero_are_equal():
    """Beside others one is not served; where all are zero they are equal; and an action may leave the part out."""
    state = make_state(4)
    some = make_decision([0, 0, 1, 1], weights=np.array([0.0, 2.0, 0.0, 0.0]))
    access = GatewayAccess(sharing="weights")
    served = access.served(state, some, np.ones(4, dtype=bool))
    assert served.tolist() == [False, True, True, True]
    assert access.shares(state, some, served).tolist() == [0.0, 1.0, 0.5, 0.5]
    assert GatewayAccess(sharing="decided").shares(state, some, np.ones(4, dtype=bool)).tolist() == [0.5] * 4


def test_need_makes_transfers_more_alike():
    spread = {}
    for sharing in ("equal", "need"):
        simulation = build({"sharing": sharing}, **{"constellation.coverage_radius_m": 3e6})
        state = simulation.reset(0)
        gateway = state.visible.sum(axis=0).argmax()
        seen = np.where(state.visible[:, gateway], gateway, state.sits_out)
        _, report = simulation.step(make_decision(seen, 3))
        assert report.returned.sum() > 3
        upload_s = report.upload_s[report.returned]
        spread[sharing] = upload_s.max() / upload_s.min()
    assert spread["need"] - 1 < 0.3 * (spread["equal"] - 1)


@pytest.mark.parametrize("sharing", ["equal", "need", "weights"])
@pytest.mark.parametrize("world", WORLDS)
def test_whoever_is_not_served_takes_no_band_and_does_no_harm(world, sharing):
    """A round is that in which the others sit out, from the same state, but for their outcomes."""
    simulation = build({"beams": 1, "sharing": sharing}, world, rounds=6)
    state, missed = simulation.reset(2), 0
    rng = np.random.default_rng(0)
    while not simulation.finished:
        decision = decide(state, weights=rng.uniform(0.1, 1, 10))
        before = simulation.get_state()
        state, report = simulation.step(decision)
        after = simulation.get_state()
        left_out = report.outcome == Outcome.NOT_SERVED.value
        missed += left_out.sum()
        assert (report.lost >= left_out).all()
        assert np.bincount(decision.association[report.returned], minlength=4).max() <= 1
        for name in ("epochs", "download_s", "upload_s", "compute_energy_j", "transmit_energy_j"):
            assert not getattr(report, name)[left_out].any()
        simulation.set_state(before)
        alone = replace(decision, association=np.where(left_out, simulation.state.sits_out, decision.association))
        _, expected = simulation.step(alone)
        found, wanted = parts_of(report), parts_of(expected)
        assert (wanted.pop("outcome")[left_out] == Outcome.SAT_OUT.value).all()
        found.pop("outcome")
        np.testing.assert_equal(found, wanted)
        state = simulation.set_state(after)
    assert missed > 0


def test_whoever_could_not_take_part_anyway_holds_no_beam():
    simulation = build({"beams": 1}, **{"constellation.coverage_radius_m": 4e6})
    state = simulation.reset(0)
    association = np.where(state.visible[:, 0], 0, state.sits_out)
    first, *others = np.flatnonzero(association == 0)
    weights = np.ones(10)
    weights[first] = 5.0
    stopped = np.full(10, 3e8)
    stopped[first] = 0.0
    _, report = simulation.step(make_decision(association, 3, weights=weights, cpu_frequency=stopped))
    assert report.outcome[first] == Outcome.OUT_OF_TIME.value
    assert report.outcome[others[0]] == Outcome.RETURNED.value
    assert (report.outcome[others[1:]] == Outcome.NOT_SERVED.value).all()


def test_a_pool_of_one_sink_takes_one_beam():
    """Two clusters are two pools at a sink: with two beams all of them are served, however many satellites they are."""
    relay = {
        "constellation": TEN_SATELLITES,
        "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}, "combine_on_board": True},
    }
    simulation = scenarios.build(physics_only(4, **SLOW, **relay, access={"beams": 2}))
    state, most, cluster = simulation.reset(0), 0, (np.arange(10) % 5 > 1).astype(int)
    while not simulation.finished:
        decision = decide(state, cluster=cluster)
        sender = simulation._view.contacts.sender[decision.pairs]
        state, report = simulation.step(decision)
        for gateway in range(2):
            here = decision.association == gateway
            asking = here & np.isin(report.outcome, (Outcome.RETURNED, Outcome.NOT_SERVED))
            pools = np.unique(np.stack([sender, cluster])[:, asking], axis=1).shape[1]
            served = np.unique(np.stack([sender, cluster])[:, here & report.returned], axis=1).shape[1]
            assert served == min(pools, 2)
            most = max(most, np.sum(here & report.returned))
    assert most > 2


ACTION = {"access": {"sharing": "decided", "beams": 2}, "training.engine": "none", "rounds.episode": 3, **SLOW}


def test_bandwidth_is_a_part_of_the_action_only_where_it_is_asked_for():
    plain, shared = (gym.make("SatFL-v0", overrides={**ACTION, "access": access}) for access in ({}, ACTION["access"]))
    assert set(shared.action_space) - set(plain.action_space) == {"bandwidth"}
    _, info = shared.reset(seed=0)
    assert info["beams"].tolist() == [2, 2, 2]
    assert "beams" not in plain.reset(seed=0)[1]
    with pytest.raises(ValueError, match=r"has unknown \['bandwidth'\]; bandwidth needs access.sharing: decided$"):
        plain.step({**plain.action_space.sample(), "bandwidth": np.ones(10)})
    with pytest.raises(ValueError, match=r"action\['bandwidth'\] must hold numbers in \[0, 1\], got 2.0 at index 0"):
        shared.step({**shared.action_space.sample(), "bandwidth": np.full(10, 2.0)})


def test_an_action_divides_the_band_in_single_and_vector_environments():
    env = gym.make("SatFL-v0", overrides=ACTION)
    envs = gym.make_vec("SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", overrides=ACTION)
    env.reset(seed=0)
    envs.reset(seed=[0, 0])
    state = env.unwrapped.simulation.state
    decision = replace(decide(state), bandwidth=np.linspace(0.1, 3.0, 10))
    action = decision_to_action(decision, state)
    equal = {key: value for key, value in action.items() if key != "bandwidth"}
    _, reward, _, _, info = env.step(action)
    report = env.unwrapped._last_round[2]
    members = report.returned & (decision.association == decision.association[report.returned][0])
    assert members.sum() == 2
    # The more of the band, the shorter.
    first, second = np.flatnonzero(members)
    assert report.upload_s[first] > report.upload_s[second]
    _, rewards, _, _, infos = envs.step({key: np.stack([value] * 2) for key, value in action.items()})
    np.testing.assert_array_equal(infos["outcome"], [info["outcome"]] * 2)
    assert rewards == pytest.approx([reward] * 2)
    # Left out, in both.
    env.step(equal)
    envs.step({key: np.stack([value] * 2) for key, value in equal.items()})


@pytest.mark.parametrize("wrapper", [BoxAction, DiscreteAction])
def test_wrappers_take_the_part_along_or_leave_it_out(wrapper):
    env = wrapper(gym.make("SatFL-v0", overrides=ACTION))
    env.reset(seed=0)
    native = env.action(env.action_space.sample())
    assert ("bandwidth" in native) == (wrapper is BoxAction)
    env.step(env.action_space.sample())


def test_reference_policies_play_under_any_access():
    for access in ({"sharing": "decided"}, {"beams": 1, "order": "window", "subcarriers": 3}):
        assert len(run_episode(physics_only(2, access=access), "full", seed=0)) == 3
    env = gym.make("SatFL-v0", overrides=ACTION)
    env.reset(seed=0)
    state = env.unwrapped.simulation.state
    env.step(decision_to_action(make_policy("full")(state), state))


def test_limits_meet_unequal_satellites_faults_and_smaller_transfers():
    changes = {
        "fleet": [{"name": "all", "transmit_power_w": {"kind": "uniform", "low": 1, "high": 20}}],
        "faults": {"contact_loss": 0.2},
        "compression": {"upload": {"kind": "quantised", "bits": 8}},
    }
    simulation = scenarios.build(
        physics_only(5, **SLOW, access={"beams": 2, "sharing": "need", "subcarriers": 5}, **changes)
    )
    state, outcomes = simulation.reset(0), set()
    while not simulation.finished:
        state, report = simulation.step(decide(state))
        assert np.isfinite(report.upload_s).all()
        outcomes |= {Outcome(one) for one in report.outcome}
    assert {Outcome.RETURNED, Outcome.NOT_SERVED} <= outcomes


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"access": {"beams": 0}}, r"access\.beams: Input should be greater than or equal to 1, got 0"),
        ({"access": {"order": "name"}}, r"access\.order: Input should be 'weights', 'window' or 'rate', got 'name'"),
        (
            {"access": {"order": "rate"}},
            "access.order must be 'weights' where beams and subcarriers are null, got",
        ),
        ({"access": {"beems": 2}}, r"access\.beems: unknown key, did you mean 'beams'"),
        (
            {"access": {"sharing": "need"}, "links": {"kind": "ideal"}},
            "access.sharing 'need' does not go with links.kind 'ideal': the rate is fixed",
        ),
    ],
)
def test_messages_name_field_value_and_what_is_allowed(changes, problem):
    with pytest.raises(ScenarioError, match=problem):
        scenarios.load("leo-multitask", **changes)


def test_bandwidth_of_a_decision_is_checked():
    simulation = build({"sharing": "decided"})
    state = simulation.reset(0)
    for bandwidth, problem in (
        (np.ones(3), r"decision\.bandwidth must be an array of shape \(10,\), got \(3,\)"),
        (-np.ones(10), r"decision\.bandwidth must not be negative, got -1 for satellite 0"),
        (np.full(10, np.nan), r"decision\.bandwidth must be finite"),
    ):
        with pytest.raises(ValueError, match=problem):
            simulation.step(decide(state, bandwidth=bandwidth))


class Lottery:
    """Gateways of somebody's own: each serves the satellite of the highest number, at half the band."""

    most_served = 1
    takes_bandwidth = False

    def served(self, state: NetworkState, decision: Decision, asks: np.ndarray) -> np.ndarray:
        served = np.zeros_like(asks)
        for gateway in range(state.num_gateways):
            served[np.flatnonzero(asks & (decision.association == gateway))[-1:]] = True
        return served

    def shares(self, state: NetworkState, decision: Decision, sends: np.ndarray) -> np.ndarray:
        return np.where(sends, 0.5, 0.0)


def own(**changes: Any) -> Lottery:
    access = Lottery()
    vars(access).update(changes)
    return access


def test_access_of_one_s_own():
    simulation = scenarios.build(physics_only(2), parts={"access": Lottery()})
    state = simulation.reset(0)
    decision = decide(state)
    _, report = simulation.step(decision)
    for gateway in np.unique(decision.association[report.returned]):
        assert np.sum(report.returned & (decision.association == gateway)) == 1
    assert (report.outcome == Outcome.NOT_SERVED.value).any()


class NoShares(RadioLinks):
    """Links from before there were shares."""

    def associated_rate_bps(self, snapshot, association):
        return super().associated_rate_bps(snapshot, association)


@pytest.mark.parametrize(
    ("parts", "error", "problem"),
    [
        ({"access": own(most_served=0)}, ValueError, r"parts\['access'\].most_served must be"),
        ({"access": own(served=lambda s, d, asks: asks)}, ValueError, r"must serve most_served = 1 at most, got 10"),
        ({"access": own(served=lambda s, d, asks: asks & (d.bandwidth > 0))}, TypeError, r"parts\['access'\]: '>' not"),
        ({"access": own(served=lambda s, d, asks: asks[:3])}, ValueError, r"served\(\) must have shape \(10,\)"),
        ({"access": own(shares=lambda s, d, sends: 2.0 * sends)}, ValueError, r"shares\(\) must sum to 1 at most"),
        ({"access": Lottery(), "links": NoShares()}, TypeError, r"share"),
    ],
)
def test_bad_access_of_one_s_own_is_refused(parts, error, problem):
    with pytest.raises(error, match=problem):
        scenarios.build(physics_only(2), parts=parts)


@pytest.mark.parametrize(
    ("access", "beams"), [({}, 10), ({"beams": 2}, 2), ({"beams": 3, "subcarriers": 2}, 2), ({"beams": 99}, 10)]
)
def test_a_state_tells_how_many_a_gateway_serves(access, beams):
    changes = {"training.engine": "none", "access": access, "observation.add": ["beams"]}
    env = SatFLEnv("leo-multitask", overrides=changes)
    observation, _ = env.reset(seed=0)
    assert observation["beams"].tolist() == [beams] * 3
    assert env.simulation.state.beams.tolist() == [beams] * 3
    assert observation in env.observation_space
