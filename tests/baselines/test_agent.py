from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_baselines import as_agent, make_policy
from satfl_env.scenarios import build, load

ROUNDS = 4
OVERRIDES = {"rounds.episode": ROUNDS, "training.batches_per_epoch": 1, "training.max_epochs": 2}
SEEDS = (3, 4)


def bare_trajectory(policy: str, seed: int) -> tuple[list[float], list[np.ndarray]]:
    simulation, decide = build(load("leo-multitask", **OVERRIDES)), make_policy(policy, seed)
    state = simulation.reset(seed)
    gains, windows = [], [state.window_s]
    for _ in range(ROUNDS):
        state, report = simulation.step(decide(state))
        before, after = (it["balanced_accuracy"].mean() for it in (report.metrics_before, report.metrics))
        gains.append(float(after - before))
        windows.append(state.window_s)
    return gains, windows


@pytest.mark.parametrize("policy", ["full", "random"])
def test_the_environment_gives_the_trajectory_of_the_simulation(policy):
    rewards, windows = bare_trajectory(policy, SEEDS[0])
    env, agent = gym.make("SatFL-v0", overrides=OVERRIDES), as_agent(make_policy(policy, SEEDS[0]))
    observation, _ = env.reset(seed=SEEDS[0])
    for expected, before, after in zip(rewards, windows, windows[1:], strict=False):
        assert observation["window_s"] == pytest.approx(before)
        observation, reward, *_ = env.step(agent(observation))
        assert reward == pytest.approx(expected)
        assert observation["window_s"] == pytest.approx(after)


def test_a_vector_environment_gives_the_trajectories_of_the_simulation():
    expected = np.array([bare_trajectory("full", seed)[0] for seed in SEEDS])
    envs = gym.make_vec("SatFL-v0", num_envs=2, vectorization_mode="sync", overrides=OVERRIDES)
    agent = as_agent(make_policy("full"))
    observations, _ = envs.reset(seed=list(SEEDS))
    for index in range(ROUNDS):
        actions = agent(observations)
        assert actions in envs.action_space
        observations, rewards, *_ = envs.step(actions)
        assert rewards == pytest.approx(expected[:, index])
    envs.close()


def test_a_list_of_observations_gives_a_list_of_actions():
    env, agent = gym.make("SatFL-v0", overrides=OVERRIDES), as_agent(make_policy("full"))
    observations = [env.reset(seed=seed)[0] for seed in SEEDS]
    actions = agent(observations)
    assert len(actions) == 2
    for observation, action in zip(observations, actions, strict=True):
        assert action in env.action_space
        assert all(np.array_equal(action[key], values) for key, values in agent(observation).items())


def test_an_observation_without_its_round_is_refused():
    with pytest.raises(ValueError, match=r"must have the part 'round', got \['kappa'\]"):
        as_agent(make_policy("full"))({"kappa": np.ones(3)})
