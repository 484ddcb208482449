"""Training a scheduler with proximal policy optimisation, and testing it on episodes it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from satfl_baselines import as_agent, make_policy
from satfl_env.imports import to_install
from satfl_env.scenarios import Scenario
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation
from satfl_env.wrappers.native import native_sizes

try:
    from sb3_contrib import MaskablePPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.monitor import Monitor
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"training needs Stable-Baselines3 ({error}): {to_install('agents')}", name=error.name
    ) from error

ALGORITHMS = ("ppo", "maskable-ppo")
NUM_CLUSTERS = 3
STEPS_PER_UPDATE = 200
MINIBATCH = 50
# Training episodes draw their seeds below this number, so evaluation seeds from here on are unseen.
FIRST_HELD_OUT_SEED = 2**32

Scheduler = PPO | MaskablePPO
Record = dict[str, float]


def check_algorithm(algo: str) -> None:
    """Raise `ValueError` if there is no such algorithm."""
    if algo not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {algo!r}; there are: {', '.join(ALGORITHMS)}")


def whole_updates(steps: int) -> int:
    """Rounds that are really trained on: `steps`, rounded up to whole updates of `STEPS_PER_UPDATE`."""
    return -(-steps // STEPS_PER_UPDATE) * STEPS_PER_UPDATE


def make_env(scenario: Scenario, algo: str, **brought: Any) -> gym.Env[NDArray[np.float32], Any]:
    """The environment with the flat spaces an algorithm needs; `brought` are other arguments of `SatFLEnv`."""
    env = gym.make("SatFL-v0", scenario=scenario, **brought)
    num_satellites, _ = native_sizes(env)
    num_clusters = min(NUM_CLUSTERS, num_satellites)
    if algo == "ppo":
        return ScaledObservation(BoxAction(env, num_clusters=num_clusters))
    return ScaledObservation(DiscreteAction(env, num_clusters=num_clusters))


def train(
    scenario: Scenario, algo: str, *, steps: int, seed: int, progress: Callable[[int], None], **brought: Any
) -> tuple[Scheduler, list[Record]]:
    """Train a scheduler.

    Args:
        scenario: The scenario to schedule.
        algo: "ppo" for continuous actions, "maskable-ppo" for discrete ones with masks.
        steps: Rounds to train on; see `whole_updates`.
        seed: Seed of the episodes and of the learner.
        progress: Called with the number of steps made so far.
        **brought: Other arguments of `SatFLEnv`: your own parts and reward.

    Returns:
        The scheduler, and one record per finished training episode: step, return, length and final metrics.

    Raises:
        ValueError: If there is no such algorithm.
    """
    check_algorithm(algo)
    curve: list[Record] = []

    def record(local: dict[str, Any], _: dict[str, Any]) -> bool:
        step = local["self"].num_timesteps
        for info in local["infos"]:
            if "episode" in info:
                episode = info["episode"]
                curve.append({"step": step, "return": episode["r"], "length": episode["l"], **info["metrics"]})
        progress(step)
        return True

    learner = PPO if algo == "ppo" else MaskablePPO
    scheduler = learner(
        "MlpPolicy",
        Monitor(make_env(scenario, algo, **brought)),
        n_steps=STEPS_PER_UPDATE,
        batch_size=MINIBATCH,
        seed=seed,
        device="cpu",
    )
    scheduler.learn(steps, callback=record)
    return scheduler, curve


def evaluate(scheduler: Scheduler, scenario: Scenario, algo: str, seeds: Iterable[int], **brought: Any) -> list[Record]:
    """Play one episode per seed without exploration: seed, return, length and final metrics of each."""
    env = make_env(scenario, algo, **brought)

    def act(observation: Any) -> Any:
        masks = {"action_masks": env.get_wrapper_attr("action_masks")()} if isinstance(scheduler, MaskablePPO) else {}
        return scheduler.predict(observation, deterministic=True, **masks)[0]

    return [_play(act, env, seed) for seed in seeds]


def evaluate_policy(name: str, scenario: Scenario, seeds: Iterable[int], **brought: Any) -> list[Record]:
    """The same for a policy of the baselines."""
    env = gym.make("SatFL-v0", scenario=scenario, **brought)
    return [_play(as_agent(make_policy(name, seed)), env, seed) for seed in seeds]


def _play(act: Callable[[Any], Any], env: gym.Env[Any, Any], seed: int) -> Record:
    observation, _ = env.reset(seed=seed)
    rewards, done = [], False
    while not done:
        observation, reward, terminated, truncated, info = env.step(act(observation))
        rewards.append(float(reward))
        done = terminated or truncated
    return {"seed": seed, "return": sum(rewards), "length": len(rewards), **info["metrics"]}
