"""The environment: steps per second, what a step costs besides training, and memory over a long episode."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from benchmarks.memory import peak_mb
from benchmarks.timing import duration_s
from satfl_agents.vec_env import SatFLVecEnv
from satfl_baselines import make_policy
from satfl_env import Decision, NetworkState, SatFLEnv, decision_to_action
from satfl_env.federated import TrainingResult
from satfl_env.federated.hardware import available_cores
from satfl_env.scenarios import Scenario, load
from satfl_env.wrappers import BoxAction, ScaledObservation

NUM_ENVS = 8
NUM_CLUSTERS = 3
POLICY = "semspacefl"

Actions = NDArray[np.float32]


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer steps.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.
    """
    steps = 20 if quick else 60
    sizes = ((10, 3), (100, 10), (1000, 10))
    return {
        **single(steps=3 * steps),
        **vectors(steps=steps),
        **{name: value for size in sizes for name, value in besides_training(*size, steps=steps).items()},
        **satellites(few=50, many=1000, gateways=10, steps=3 if quick else 8),
        **memory(rounds=200 if quick else 1000),
    }


def single(*, steps: int) -> dict[str, float]:
    """Steps per second of one environment under a policy of the papers, resets included."""
    env, policy = SatFLEnv(), make_policy(POLICY)
    for _ in range(2):  # the first time warms up
        seconds = sum(_play(env, policy, steps))
    return {"leo-multitask, one environment: steps/s": steps / seconds}


def vectors(*, steps: int) -> dict[str, float]:
    """Steps per second of vectors of environments in the form that Stable-Baselines3 takes, on the same episodes.

    `native` has a process for every core, as `SubprocVecEnv` has one for every environment. They take turns, so that
    other load on the machine affects all of them.
    """
    actions = _recorded_actions(steps)
    vectors: dict[str, VecEnv] = {
        "native": SatFLVecEnv(NUM_ENVS, _flat, workers=available_cores()),
        "native on one core": SatFLVecEnv(NUM_ENVS, _flat),
        "DummyVecEnv": DummyVecEnv([_make_flat] * NUM_ENVS),
        "SubprocVecEnv": SubprocVecEnv([_make_flat] * NUM_ENVS, start_method="fork"),
    }
    for envs in vectors.values():
        envs.seed(0)
        envs.reset()
    seconds: dict[str, list[float]] = {name: [] for name in vectors}
    for action in actions:
        for name, envs in vectors.items():
            seconds[name].append(duration_s(partial(envs.step, action)))
    for envs in vectors.values():
        envs.close()
    warm = {name: sum(values[steps // 5 :]) for name, values in seconds.items()}
    played = NUM_ENVS * (steps - steps // 5)
    rates = {f"leo-multitask, {NUM_ENVS} environments, {name}: steps/s": played / warm[name] for name in warm}
    ratios = {
        f"leo-multitask, {NUM_ENVS} environments: native / {name}": warm[name] / warm["native"]
        for name in warm
        if "native" not in name
    }
    return rates | ratios


def besides_training(num_satellites: int, num_gateways: int, *, steps: int) -> dict[str, float]:
    """What a step costs besides training: physics and observation, aggregation, test.

    Aggregation and test work on the models themselves: their cost goes with the number of parameters, and comparing all
    updates with each other goes with the square of the satellites.
    """
    policy = make_policy(POLICY)
    name = f"S = {num_satellites}, G = {num_gateways}"
    env = SatFLEnv(_scenario(num_satellites, num_gateways, "none"))
    _play(env, policy, 3)
    physics_s = statistics.median(_play(env, policy, max(steps, 20)))

    simulation = SatFLEnv(_scenario(num_satellites, num_gateways, "stacked")).simulation
    simulation.reset(0)
    learn_s, test_s = [], []
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        opened = simulation.begin(policy(simulation.state))
        start = opened.job.parameters
        result = TrainingResult(
            parameters=start + 0.01 * torch.randn(start.shape, generator=generator),
            last_loss=np.ones(num_satellites),
            diverged=np.zeros(num_satellites, dtype=np.bool_),
            batches=opened.job.epochs,
        )
        began = time.perf_counter()
        learned = simulation.learn(opened, result)
        learn_s.append(time.perf_counter() - began)
        test_s.append(duration_s(partial(simulation.evaluate, [learned.job])))
        simulation.finish(learned, *simulation.evaluate([learned.job]))
    return {
        f"{name}: step without training, ms": 1e3 * physics_s,
        f"{name}: aggregating and comparing models, ms": 1e3 * statistics.median(learn_s),
        f"{name}: testing changed models, ms": 1e3 * statistics.median(test_s),
    }


def satellites(*, few: int, many: int, gateways: int, steps: int) -> dict[str, float]:
    """What a satellite costs in a step with training, in a small and in a large constellation."""
    cost_s = {}
    for count in (few, many):
        env = SatFLEnv(_scenario(count, gateways, "stacked"))
        cost_s[count] = statistics.median(_play(env, make_policy(POLICY), steps)) / count
    return {
        **{f"step with training, {count} satellites: ms a satellite": 1e3 * value for count, value in cost_s.items()},
        f"cost of a satellite in a step with training: {many} / {few} satellites": cost_s[many] / cost_s[few],
    }


def memory(*, rounds: int) -> dict[str, float]:
    """How much the peak memory grows over the last nine tenths of a long episode."""
    env = SatFLEnv(load("leo-multitask", **{"rounds.episode": rounds, "training.max_epochs": 1}))
    policy = make_policy(POLICY)
    before_mb = 0.0
    for number, _ in enumerate(_steps(env, policy, rounds)):
        if number == rounds // 10:
            before_mb = peak_mb()
    return {f"more memory at the peak, rounds {rounds // 10} to {rounds} of an episode: MB": peak_mb() - before_mb}


def _scenario(num_satellites: int, num_gateways: int, engine: str) -> Scenario:
    """`leo-multitask`, or its satellites on ten circles over a ring of gateways."""
    changes: dict[str, Any] = {"training.engine": engine, "rounds.episode": 10_000}
    if (num_satellites, num_gateways) == (10, 3):
        return load("leo-multitask", **changes)
    angle = 2 * np.pi * np.arange(num_gateways) / num_gateways
    constellation = {
        "kind": "planar",
        "circles": [
            {"radius_m": radius, "satellites": num_satellites // 10} for radius in np.linspace(8e5, 2.6e6, 10).tolist()
        ],
        "centre_m": [0.0, 0.0],
        "gateways_m": (1.8e6 * np.column_stack([np.cos(angle), np.sin(angle)])).tolist(),
        "coverage_radius_m": 1.6e6,
    }
    return load("leo-multitask", **changes, constellation=constellation)


def _play(env: SatFLEnv, policy: Callable[[NetworkState], Decision], steps: int) -> list[float]:
    """Seconds of each of the first steps, the resets that become necessary included; the policy does not count."""
    return list(_steps(env, policy, steps))


def _steps(env: SatFLEnv, policy: Callable[[NetworkState], Decision], steps: int) -> Iterator[float]:
    env.reset(seed=0)
    for _ in range(steps):
        state = env.simulation.state
        action = decision_to_action(policy(state), state)
        began = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
        yield time.perf_counter() - began


def _recorded_actions(steps: int) -> list[Actions]:
    """The decisions of a policy in episodes with the seeds 0, 1, ... as actions of the flat environments."""
    envs, policy = SatFLVecEnv(NUM_ENVS, _flat), make_policy(POLICY)
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


def _make_flat() -> gym.Env[Any, Any]:
    return _flat(SatFLEnv())
