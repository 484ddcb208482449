from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_env import NetworkState
from satfl_env.scenarios import build, load
from satfl_env.wrappers import BoxAction, DiscreteAction, SetObservation, set_observation
from satfl_env.wrappers.features import (
    GLOBAL_FEATURES,
    LIMIT,
    PAIR_FEATURES,
    SATELLITE_FEATURES,
    SIMILARITY_FEATURES,
    global_features,
    pair_features,
    satellite_features,
    similarity_features,
)
from tests.factories import decide, make_state

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 4}
GLOBE = {
    "kind": "walker",
    "satellites": 6,
    "planes": 2,
    "phasing": 1,
    "altitude_m": 1e6,
    "inclination_deg": 60,
    "epoch": "2026-03-20T00:00:00",
    "gateways": ["Kourou", "Svalbard", "Singapore"],
}
FEATURES = {
    "satellite": SATELLITE_FEATURES + SIMILARITY_FEATURES,
    "pair": PAIR_FEATURES,
    "globals": GLOBAL_FEATURES,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("leo-multitask", "rush-hour", "unequal", "task-clustering-mini")},
    "globe": ("leo-multitask", {"constellation": GLOBE, "observation.horizon_s": 3600}),
}


def whole_state(num_satellites: int = 4, num_gateways: int = 2, **changes: Any) -> NetworkState:
    """A state made by hand with all its parts."""
    pairs, satellites = (num_satellites, num_gateways), (num_satellites,)
    more = {
        "contact_start_s": np.full((*pairs, 2), 600.0),
        "contact_end_s": np.full((*pairs, 2), 900.0),
        "eclipse_start_s": np.full(satellites, 300.0),
        "eclipse_end_s": np.full(satellites, 2400.0),
        "gateway_version": np.zeros((num_gateways, num_satellites), dtype=np.int64),
        "rounds_to_merge": 2,
        "rounds_left": 30,
        "waiting": np.zeros(num_gateways, dtype=np.int64),
    }
    ours = {name: changes.pop(name) for name in more if name in changes}
    return make_state(num_satellites, num_gateways, on_request={**more, **ours}, **changes)


def column(state: NetworkState, key: str, feature: str) -> np.ndarray:
    return set_observation(state, similarities=True)[key][..., FEATURES[key].index(feature)]


def permuted(state: NetworkState, order: np.ndarray, turn: np.ndarray) -> NetworkState:
    """The same network with its satellites and gateways in another order; labels go with their satellites."""
    satellites, gateways = state.num_satellites, state.num_gateways
    changes: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name in (*vars(state), *state.on_request):
        if name == "on_request":
            continue
        value = getattr(state, name)
        if name == "gateway_version":
            value = value[turn][:, order]
        elif np.ndim(value) and np.shape(value)[0] == satellites:
            value = value[order]
            if name in ("similarity", "update_similarity"):
                value = value[:, order]
            elif np.ndim(value) > 1 and value.shape[1] == gateways:
                value = value[:, turn]
        elif np.ndim(value) and len(value) == gateways:
            value = value[turn]
        if name == "cluster":
            value = np.argsort(order)[value]
        (more if name in state.on_request else changes)[name] = value
    return replace(state, on_request=more, **changes)


@pytest.mark.parametrize(("scenario", "changes"), CASES.values(), ids=CASES)
def test_every_feature_is_finite_and_of_the_order_of_one(scenario, changes):
    simulation = build(load(scenario, **{**PHYSICS_ONLY, **changes}))
    state, seen = simulation.reset(2), []
    while True:
        seen.append(set_observation(state, similarities=True))
        if simulation.finished:
            break
        state, _ = simulation.step(decide(state))
    for key, names in FEATURES.items():
        values = np.stack([sets[key] for sets in seen])
        assert values.dtype == np.float32
        assert values.shape[-1] == len(names)
        assert np.isfinite(values).all()
        ends = np.abs(values).reshape(-1, len(names)).max(axis=0)
        assert (ends <= LIMIT).all()
        assert {name for name, end in zip(names, ends, strict=True) if end == LIMIT} <= {
            "energy",
            "link",
        }  # no end, and no time at all
    assert [sets["globals"][GLOBAL_FEATURES.index("progress")] for sets in seen] == [0, 0.25, 0.5, 0.75, 1]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_rows_follow_the_order_of_satellites_and_gateways(data):
    satellites, gateways = data.draw(st.integers(3, 6)), 2  # differ, so that axes are told apart by their lengths
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    similarity = rng.uniform(0.3, 1.0, (satellites, satellites))
    visible = rng.random((satellites, gateways)) < 0.6
    state = whole_state(
        satellites,
        gateways,
        visible=visible,
        window_s=np.where(visible, rng.uniform(1.0, 900.0, visible.shape), 0.0),
        link_s=rng.uniform(0.01, 500.0, visible.shape),
        distance_m=rng.uniform(5e5, 3e6, visible.shape),
        energy_j=rng.uniform(0.0, 200.0, satellites),
        samples=rng.integers(0, 200, satellites),
        last_loss=rng.uniform(0.0, 3.0, satellites),
        cluster=rng.integers(0, satellites, satellites),
        similarity=(similarity + similarity.T) / 2,
        gateway_version=rng.integers(0, 9, (gateways, satellites)),
        eclipse_start_s=rng.choice([0.0, 700.0], satellites),
        waiting=rng.integers(0, 4, gateways),
    )
    order, turn = rng.permutation(satellites), rng.permutation(gateways)
    seen, other = (
        set_observation(state, similarities=True),
        set_observation(permuted(state, order, turn), similarities=True),
    )
    np.testing.assert_allclose(other["satellite"], seen["satellite"][order], atol=1e-5)
    np.testing.assert_allclose(other["pair"], seen["pair"][order][:, turn], atol=1e-5)
    np.testing.assert_allclose(other["globals"], seen["globals"], atol=1e-5)


def test_every_feature_has_a_column_under_its_name():
    state = whole_state()
    assert (*satellite_features(state),) == SATELLITE_FEATURES
    assert (*similarity_features(state),) == SIMILARITY_FEATURES
    assert (*pair_features(state),) == PAIR_FEATURES
    assert (*global_features(state),) == GLOBAL_FEATURES


def test_features_say_what_they_mean():
    # An epoch of 100 samples takes 1e8 * 100 / 1e9 = 10 s and 5e-27 * 1e8 * 100 * 1e18 = 50 J.
    state = whole_state(
        window_s=np.full((4, 2), 90.5),
        waiting=np.array([0, 9]),
        gateway_version=np.array([[0, 4, 0, 0], [3, 5, 0, 0]]),
        cluster=np.array([0, 0, 0, 1]),
        last_epochs=np.array([9, 0, 0, 99]),
    )
    np.testing.assert_allclose(column(state, "satellite", "energy"), np.log10(1 + 100 / 50), rtol=1e-6)
    np.testing.assert_allclose(column(state, "satellite", "epochs"), [1, 0, 0, 2])
    np.testing.assert_allclose(column(state, "satellite", "cluster_size"), [0.75, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(column(state, "pair", "window"), 1.0)
    np.testing.assert_allclose(column(state, "pair", "link"), np.log10(0.5 / 90.5), rtol=1e-6)
    np.testing.assert_allclose(column(state, "pair", "waiting")[0], [0, 1])
    np.testing.assert_allclose(column(state, "pair", "holds"), [[0, 1], [0, 1], [0, 1], [1, 1]])
    np.testing.assert_allclose(column(state, "pair", "behind")[3], [np.log10(2), 0], rtol=1e-6)
    np.testing.assert_allclose(column(state, "pair", "next_length"), np.log10(31), rtol=1e-6)
    np.testing.assert_allclose(column(state, "pair", "ahead"), np.log10(61), rtol=1e-6)
    assert column(state, "globals", "merge") == 0.5


def test_epochs_and_frequency_are_those_that_the_closed_form_gives():
    state = whole_state(window_s=np.full((4, 2), 400.5))
    frequency = np.cbrt(100 / (5e-27 * 400))  # E over kappa times the time left
    np.testing.assert_allclose(column(state, "pair", "frequency"), frequency / 1e9, rtol=1e-6)
    np.testing.assert_allclose(column(state, "pair", "best_epochs"), np.log10(1 + 400 * frequency // 1e10), rtol=1e-6)


def test_the_upload_takes_from_the_energy_of_training():
    state = whole_state(window_s=np.full((4, 2), 400.5), transmit_power_w=np.full(4, 100.0))
    frequency = np.cbrt((100 - 100 * 0.5 / 2) / (5e-27 * 400))
    np.testing.assert_allclose(column(state, "pair", "frequency"), frequency / 1e9, rtol=1e-6)
    np.testing.assert_allclose(column(state, "pair", "upload"), np.log10(1 + 25 / 50), rtol=1e-6)


def test_the_sun_changes_when_an_eclipse_begins_or_ends():
    state = whole_state(2, eclipse_start_s=np.array([0.0, 300.0]), eclipse_end_s=np.array([990.0, 2400.0]))
    assert column(state, "satellite", "sunlit").tolist() == [0, 1]
    np.testing.assert_allclose(column(state, "satellite", "sun_change"), np.log10([100, 31]), rtol=1e-6)


def test_the_midpoint_lies_between_the_least_and_the_most_similar_of_all():
    similarity = np.array([[1.0, 1.0, 0.2], [1.0, 1.0, 0.65], [0.2, 0.65, 1.0]])
    assert column(whole_state(3, similarity=similarity), "satellite", "similar_midpoint").tolist() == [0.5, 1.0, 0.5]


def test_similarities_do_not_depend_on_how_many_satellites_there_are():
    one = np.array([[1.0, 0.8], [0.8, 1.0]])
    states = [whole_state(2 * copies, similarity=np.kron(np.ones((copies, copies)), one)) for copies in (3, 30)]
    for feature in ("similarity_least", "similarity_most", "similar_midpoint", "similar_0.8"):
        few, many = (column(state, "satellite", feature)[0] for state in states)
        assert many == pytest.approx(few, abs=0.12)
    assert column(states[1], "satellite", "similar_0.9")[0] == pytest.approx(29 / 59)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field in ("onboard.cycles_per_sample", "onboard.kappa", "onboard.cpu_max_hz", "constellation.speed_mps")
        for value in (1e-60, 1e60)
        if (field, value) != ("constellation.speed_mps", 1e60)  # faster than light
    ],
)
def test_numbers_far_outside_any_quantity_have_features(field, value):
    simulation = build(load("leo-multitask", **{**PHYSICS_ONLY, field: value}))
    state, _ = simulation.step(decide(simulation.reset(0)))
    for values in set_observation(state, similarities=True).values():
        assert (np.abs(values) <= LIMIT).all()


def test_a_satellite_alone_and_without_samples_has_features():
    state = whole_state(1, 1, samples=np.zeros(1, dtype=int), last_loss=np.zeros(1), energy_j=np.full(1, np.inf))
    for values in set_observation(state, similarities=True).values():
        assert np.isfinite(values).all()
        assert np.abs(values).max() <= LIMIT


def test_similarities_can_be_left_out():
    state = whole_state()
    seen = set_observation(state, similarities=False)["satellite"]
    np.testing.assert_array_equal(
        seen, set_observation(state, similarities=True)["satellite"][:, : len(SATELLITE_FEATURES)]
    )
    env = SetObservation(gym.make("SatFL-v0", overrides=PHYSICS_ONLY), similarities=False)
    assert env.reset(seed=0)[0] in env.observation_space
    assert gym.make(env.spec).observation_space == env.observation_space


@pytest.mark.parametrize("wrapper", [BoxAction, DiscreteAction])
def test_sets_pass_both_checks_without_warnings(wrapper):
    def make(**options: Any) -> gym.Env[Any, Any]:
        return SetObservation(wrapper(gym.make("SatFL-v0", overrides=PHYSICS_ONLY, **options)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Rows are neither vectors nor images; the networks for them know that.
        warnings.filterwarnings("ignore", message="Your observation satellite has an unconventional shape|.* image")
        check_env_for_sb3(make(render_mode="rgb_array"))
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(make(), skip_render_check=True)


def test_wrapper_vector_and_function_show_the_same():
    scenario = load("leo-multitask", **PHYSICS_ONLY)
    env = SetObservation(gym.make("SatFL-v0", scenario=scenario))
    envs = gym.make_vec(
        "SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", scenario=scenario, wrap=SetObservation
    )
    (seen, _), (batch, _) = env.reset(seed=3), envs.reset(seed=[3, 4])
    envs.action_space.seed(0)
    for _ in range(3):
        whole = set_observation(env.unwrapped.simulation.state, similarities=True)
        for key, values in whole.items():
            np.testing.assert_array_equal(seen[key], values)
            np.testing.assert_array_equal(batch[key][0], values)
        actions = envs.action_space.sample()
        seen, *_ = env.step({name: values[0] for name, values in actions.items()})
        batch, *_ = envs.step(actions)
    envs.close()
