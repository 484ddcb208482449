from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import Policy, make_policy, policy_names
from satfl_baselines.aggregation import fed_sel
from satfl_baselines.frequency import closed_form
from satfl_env import Decision
from tests.factories import make_state

TASKS = np.array([[1.0, 0.9, 0.2, 0.2], [0.9, 1.0, 0.2, 0.2], [0.2, 0.2, 1.0, 0.9], [0.2, 0.2, 0.9, 1.0]])


@pytest.fixture
def state():
    """Four satellites, two tasks; 0, 1, 2 go to gateway 1, the last sees nobody."""
    return make_state(
        4,
        2,
        window_s=np.array([[100.5, 200.5], [100.5, 200.5], [100.5, 200.5], [0.0, 0.0]]),
        visible=np.array([[True, True]] * 3 + [[False, False]]),
        distance_m=np.array([[1e6, 2e6]] * 4),
        similarity=TASKS,
        samples=np.array([50, 20, 40, 30]),
        last_loss=np.array([1.0, 3.0, 2.0, 1.0]),
    )


def test_names_are_those_of_the_papers_and_their_benchmarks():
    assert set(policy_names()) == {
        "full",
        "semspacefl",
        "proposed-fedavg",
        "proposed-fedavep",
        "proposed-fedindi",
        "proposed-fedlol",
        "gateway-mean-fedsel",
        "gateway-mean-fedindi",
        "gateway-mean-fedlol",
        "nearest-fedavg",
        "nearest-fedavep",
        "single-gateway-fedavg",
        "fedsat",
        "fedbuff",
        "fedleo",
        "task-clustering",
        "gap-clustering",
        "update-clustering",
        "ifca",
        "fedgroup",
        "unclustered",
        "individual",
        "max-frequency",
        "fine",
        "curriculum",
        "thrifty",
        "ration",
        "neediest",
        "random",
    }


def test_full_by_hand(state):
    decision = make_policy("full")(state)
    assert decision.association.tolist() == [1, 1, 1, 2]
    frequency = (100 / (5e-27 * 200)) ** (1 / 3)
    assert decision.cpu_frequency == pytest.approx([frequency] * 3 + [0.0])
    assert decision.cluster.tolist() == [0, 0, 2, 2]
    # Epochs 200 s f / (c D), that is 464 MHz: 18.6, 46.4, 23.2. Losses 1 and 3 give credits 3/2 and 1/2; 2 is alone.
    contributions = np.array([50 * 18 * 1.5, 20 * 46 * 0.5, 40 * 23, 0])
    assert decision.weights == pytest.approx(contributions / contributions.max())
    assert decision.gateway_weights.tolist() == [0.0, 1.0]


def test_identical_satellites_count_by_their_number_in_the_cloud():
    gateway = np.repeat([0, 1, 2], [1, 4, 5])
    sees = gateway[:, None] == np.arange(3)
    state = make_state(10, 3, visible=sees, window_s=np.where(sees, 400.0, 0.0))
    means = {"gateway-mean-fedsel", "gateway-mean-fedindi", "gateway-mean-fedlol"}
    for name in {*policy_names()} - {"single-gateway-fedavg", "random"}:
        weights = make_policy(name)(state).gateway_weights
        expected = [1 / 3, 1 / 3, 1 / 3] if name in means else [0.1, 0.4, 0.5]
        assert weights / weights.sum() == pytest.approx(expected), name


def test_gateway_means_change_the_gateways_weights_alone(state):
    seen = replace(state, window_s=np.array([[100.5, 0.0], [0.0, 200.5], [0.0, 200.5], [0.0, 0.0]]))
    sums, means = (make_policy(name)(seen) for name in ("semspacefl", "gateway-mean-fedsel"))
    assert means.weights.tolist() == sums.weights.tolist()
    ratio = means.gateway_weights / sums.gateway_weights
    assert ratio[0] / ratio[1] == pytest.approx(2.0)


def test_benchmarks_differ_from_full_where_they_should(state):
    full = make_policy("full")(state)
    assert make_policy("semspacefl")(state).cluster.tolist() == [0] * 4
    assert make_policy("nearest-fedavg")(state).association.tolist() == [0, 0, 0, 2]
    assert make_policy("nearest-fedavg")(state).weights == pytest.approx([1.0, 0.4, 0.8, 0.0])
    assert make_policy("single-gateway-fedavg")(state).association.tolist() == [0, 0, 0, 2]
    assert make_policy("task-clustering")(state).weights.tolist() == [1, 1, 1, 0]
    assert make_policy("task-clustering")(state).cluster.tolist() == full.cluster.tolist()
    assert make_policy("unclustered")(state).cluster.tolist() == [0] * 4
    assert make_policy("individual")(state).cluster.tolist() == [0, 1, 2, 3]
    assert (make_policy("max-frequency")(state).cpu_frequency == 1e9).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), num_satellites=st.integers(1, 10), num_gateways=st.integers(1, 4))
def test_every_policy_decides_within_bounds(seed, num_satellites, num_gateways):
    rng = np.random.default_rng(seed)
    visible = rng.random((num_satellites, num_gateways)) < 0.5
    half = np.triu(rng.uniform(0.3, 1, (num_satellites, num_satellites)), 1)
    state = make_state(
        num_satellites,
        num_gateways,
        visible=visible,
        window_s=np.where(visible, rng.uniform(0, 500, visible.shape), 0.0),
        link_s=rng.uniform(0, 20, visible.shape),
        energy_j=np.maximum(rng.normal(50, 50, num_satellites), 0),
        samples=rng.integers(1, 300, num_satellites),
        last_loss=rng.uniform(0, 3, num_satellites) * (rng.random() < 0.9),
        similarity=half + half.T + np.eye(num_satellites),
    )
    for name in policy_names():
        decision = make_policy(name, seed=1)(state)
        for field in fields(Decision):
            if field.default is None:  # a part that rules leave out
                continue
            length = num_gateways if field.name == "gateway_weights" else num_satellites
            assert getattr(decision, field.name).shape == (length,), name
        for values, highest in [
            (decision.association, num_gateways),
            (decision.cpu_frequency, state.cpu_max_hz),
            (decision.cluster, num_satellites - 1),
            (decision.weights, 1.0),
            (decision.gateway_weights, 1.0),
        ]:
            assert ((values >= 0) & (values <= highest)).all(), name
        sees_someone = visible.any(axis=1)
        assert (decision.association[~sees_someone] == num_gateways).all()
        assert (decision.weights[decision.association == num_gateways] == 0).all()


def test_random_follows_its_seed_alone(state):
    one, same, other = (make_policy("random", seed)(state) for seed in (1, 1, 2))
    assert all(np.array_equal(getattr(one, field.name), getattr(same, field.name)) for field in fields(Decision))
    assert not np.array_equal(one.cpu_frequency, other.cpu_frequency)


def test_unknown_policies_get_near_matches():
    with pytest.raises(ValueError, match=r"unknown policy 'semspacfl', did you mean 'semspacefl'\?; there are: full"):
        make_policy("semspacfl")


def test_policies_keep_nothing_but_the_random_ones_generator():
    assert all(make_policy(name) is make_policy(name, seed=1) for name in policy_names() if name != "random")
    assert make_policy("random") is not make_policy("random")


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint64])
def test_labels_of_rules_may_be_integers_of_any_size(kind: type[np.integer]):
    gateway, cluster = np.array([0, 1, 2, 2]), np.array([43, 99, 99, 99])
    state = make_state(4, 3, last_loss=np.array([1.0, 2.0, 3.0, 4.0]))

    def weights(kind: type[np.integer]) -> np.ndarray:
        policy = Policy("", "", lambda _: gateway.astype(kind), closed_form, lambda _: cluster.astype(kind), fed_sel)
        return policy(state).weights

    np.testing.assert_array_equal(weights(kind), weights(np.int64))
