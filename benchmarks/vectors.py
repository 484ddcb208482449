"""Many environments at once, in the form that Stable-Baselines3 takes: rounds per second under the policy `full`.

`native` is `SatFLVecEnv`; all forms get the same actions and take turns, so that other load affects all of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from benchmarks.memory import forget_peak_mb, peak_mb
from benchmarks.timing import duration_s
from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_agents.surroundings import one_thread
from satfl_baselines import make_policy
from satfl_env import Decision, NetworkState, SatFLEnv, decision_to_action
from satfl_env.federated import available_cores
from satfl_env.wrappers import BoxAction, ScaledObservation

NUM_ENVS = 8
NUMBERS = (1, 8, 32, 128)
LEARNING_ENVS = 32
NUM_CLUSTERS = 3
POLICY = "full"

Actions = NDArray[np.float32]


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer steps and environments.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.
    """
    most = NUMBERS[1] if quick else NUMBERS[-1]
    return {
        **memory(most, rounds=10),  # before the others leave memory that can be used again
        **compared(steps=20 if quick else 60),
        **numbers(NUMBERS[:2] if quick else NUMBERS, steps=10 if quick else 25),
        **learning(2_000 if quick else 100_000),
    }


def memory(count: int, *, rounds: int) -> dict[str, float]:
    """More memory at the peak with many environments in this process, by playing some rounds."""
    _recorded_actions(1, rounds)  # what a first environment imports does not count
    before_mb = forget_peak_mb()
    _recorded_actions(count, rounds)
    return {f"{count} environments: more memory at the peak, MB": peak_mb() - before_mb}


def compared(*, steps: int) -> dict[str, float]:
    """Rounds per second beside Stable-Baselines3's own vectors.

    `native` has a process for every core, as `SubprocVecEnv` has one for every environment.
    """
    rates = _rates(
        {
            "native": SatFLVecEnv(NUM_ENVS, _flat, workers=available_cores()),
            "native on one core": SatFLVecEnv(NUM_ENVS, _flat),
            "DummyVecEnv": DummyVecEnv([_make_flat] * NUM_ENVS),
            "SubprocVecEnv": SubprocVecEnv([_make_flat] * NUM_ENVS, start_method="fork"),
        },
        _recorded_actions(NUM_ENVS, steps),
    )
    return {
        **{f"leo-multitask, {NUM_ENVS} environments, {name}: rounds/s": rate for name, rate in rates.items()},
        **{
            f"leo-multitask, {NUM_ENVS} environments: native / {name}": rates["native"] / rates[name]
            for name in ("DummyVecEnv", "SubprocVecEnv")
        },
    }


def numbers(counts: tuple[int, ...], *, steps: int) -> dict[str, float]:
    """Rounds per second by the number of environments and of processes."""
    processes = sorted({1, available_cores()})
    rates = _rates(
        {
            f"{count} environments, workers {workers}": SatFLVecEnv(count, _flat, workers=workers)
            for count in counts
            for workers in processes
            if workers <= count
        },
        _recorded_actions(max(counts), steps),
    )
    return {f"{name}: rounds/s": rate for name, rate in rates.items()}


def learning(rounds: int) -> dict[str, float]:
    """PPO with its usual settings on rounds that are played like those of a competent policy.

    What the learner decides is replaced by what `full` decides; everything else is as in a real run. The learner has
    one thread, as in `satfl train`.
    """
    envs = SatFLVecEnv(LEARNING_ENVS, _led, workers=available_cores())
    learner = PPO("MlpPolicy", envs, n_steps=2048 // LEARNING_ENVS, seed=0, device="cpu")
    with one_thread():
        seconds = duration_s(partial(learner.learn, rounds))
    envs.close()
    played = learner.num_timesteps
    return {
        f"PPO on {played:,} rounds, {LEARNING_ENVS} environments: s": seconds,
        f"PPO on {played:,} rounds, {LEARNING_ENVS} environments: rounds/s": played / seconds,
    }


class _Led(gym.Wrapper[Any, Any, Any, Any]):
    """Takes the decisions of a policy, whatever the action."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._policy = make_policy(POLICY)

    def step(self, action: Any) -> Any:
        state = self.get_wrapper_attr("simulation").state
        return self.env.step(_box_action(self._policy(state), state))


def _rates(vectors: Mapping[str, VecEnv], recorded: list[Actions]) -> dict[str, float]:
    """Rounds per second of each vector, by the median of its steps; they play the first rows of the actions."""
    for envs in vectors.values():
        envs.seed(0)
        envs.reset()
    seconds: dict[str, list[float]] = {name: [] for name in vectors}
    for actions in recorded:
        for name, envs in vectors.items():
            seconds[name].append(duration_s(partial(envs.step, actions[: envs.num_envs])))
    for envs in vectors.values():
        envs.close()
    warm = len(recorded) // 5
    return {name: vectors[name].num_envs / statistics.median(values[warm:]) for name, values in seconds.items()}


def _recorded_actions(num_envs: int, steps: int) -> list[Actions]:
    """The decisions of a policy in episodes with the seeds 0, 1, ... as actions of the flat environments."""
    envs, policy = SatFLVecEnv(num_envs, _flat), make_policy(POLICY)
    envs.seed(0)
    envs.reset()
    recorded = []
    for _ in range(steps):
        states = [simulation.state for simulation in envs.get_attr("simulation")]
        recorded.append(np.stack([_box_action(policy(state), state) for state in states]))
        envs.step(recorded[-1])
    return recorded


def _box_action(decision: Decision, state: NetworkState) -> Actions:
    """The `BoxAction` that stands for a decision."""
    action = decision_to_action(decision, state)
    parts = (
        np.eye(state.num_gateways + 1)[action["association"]],
        np.eye(NUM_CLUSTERS)[action["cluster"] % NUM_CLUSTERS],
        action["cpu_frequency"],
        action["weights"],
        action["gateway_weights"],
    )
    return (2.0 * np.concatenate([np.ravel(part) for part in parts]) - 1.0).astype(np.float32)


def _flat(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return ScaledObservation(BoxAction(env, num_clusters=NUM_CLUSTERS))


def _led(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return _Led(_flat(env))


def _make_flat() -> gym.Env[Any, Any]:
    return _flat(SatFLEnv())
