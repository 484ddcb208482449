"""The environment: steps per second, what a step costs besides training, and memory over a long episode.

One environment plays under `full`, the policy that trains the most. The floor of a step is the arithmetic of its
training and testing, at the rate at which this machine multiplies large matrices.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.machine import matrix_flops_per_s
from benchmarks.memory import peak_mb
from benchmarks.timing import duration_s
from satfl_baselines import make_policy
from satfl_env import Decision, NetworkState, SatFLEnv, decision_to_action
from satfl_env.federated import RowTrainer, TrainingResult, forward_flops, torch_defaults
from satfl_env.scenarios import Scenario, load

POLICY = "semspacefl"
BUSIEST_POLICY = "full"


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer steps.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.
    """
    steps = 20 if quick else 60
    sizes = ((10, 3), (100, 10), (1000, 10))
    return {
        **single(steps=3 * steps),
        **{name: value for size in sizes for name, value in besides_training(*size, steps=steps).items()},
        **satellites(few=50, many=1000, gateways=10, steps=3 if quick else 8),
        **memory(rounds=200 if quick else 1000),
    }


def single(*, steps: int) -> dict[str, float]:
    """Steps per second of one environment, resets included, and how far that is from the arithmetic alone."""
    env, policy = SatFLEnv(), make_policy(BUSIEST_POLICY)
    for _ in range(2):  # the first time warms up
        seconds = sum(_play(env, policy, steps))
    step_ms, floor_ms = 1e3 * seconds / steps, 1e3 * _floor_s(20)
    return {
        "leo-multitask, one environment: steps/s": 1e3 / step_ms,
        "leo-multitask, one environment: a step, ms": step_ms,
        "leo-multitask, one environment: arithmetic floor, ms": floor_ms,
        "leo-multitask, one environment: step / floor": step_ms / floor_ms,
    }


def _floor_s(steps: int) -> float:
    """Mean seconds a step of one environment would take if it were the large product of matrices alone."""
    simulation, policy = SatFLEnv().simulation, make_policy(BUSIEST_POLICY)
    simulation.reset(0)
    trainer, passes = simulation.trainer, 0
    assert isinstance(trainer, RowTrainer)
    for _ in range(steps):
        opened = simulation.begin(policy(simulation.state))
        learned = simulation.learn(opened, trainer.train(*opened.job))
        # Training takes three times the operations of a forward pass.
        passes += 3 * int((opened.job.data.samples * opened.job.epochs).sum())
        passes += len(learned.job.models) * len(learned.job.data.test_images)
        simulation.finish(learned, simulation.evaluate(learned.job))
    flops = forward_flops(trainer.model, opened.job.data.images)
    return passes * flops / steps / matrix_flops_per_s()


def besides_training(num_satellites: int, num_gateways: int, *, steps: int) -> dict[str, float]:
    """What a step costs besides training: physics and observation, aggregation, test, and comparing models.

    Aggregation and test work on the models themselves: their cost goes with the number of parameters. Comparing all
    updates with each other goes with the square of the satellites. A step with many only does that where the result is
    read, as by an observation that has it. All run in as many threads as a step, one.
    """
    policy = make_policy(POLICY)
    name = f"S = {num_satellites}, G = {num_gateways}"
    env = SatFLEnv(_scenario(num_satellites, num_gateways, "none"))
    _play(env, policy, 3)
    physics_s = statistics.median(_play(env, policy, max(steps, 20)))

    simulation = SatFLEnv(_scenario(num_satellites, num_gateways, "auto")).simulation
    simulation.reset(0)
    learn_s, test_s, compare_s = [], [], []
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
        with torch_defaults(simulation.torch_threads):
            began = time.perf_counter()
            learned = simulation.learn(opened, result)
            learn_s.append(time.perf_counter() - began)
            test_s.append(duration_s(partial(simulation.evaluate, learned.job)))
        simulation.finish(learned, simulation.evaluate(learned.job))
        # Of a copy, so that later rounds find a matrix that nobody has read.
        asked = copy.deepcopy(simulation.state)
        began = time.perf_counter()
        _ = asked.update_similarity
        compare_s.append(time.perf_counter() - began)
    return {
        f"{name}: step without training, ms": 1e3 * physics_s,
        f"{name}: aggregating models, ms": 1e3 * statistics.median(learn_s),
        f"{name}: comparing models, when asked, ms": 1e3 * statistics.median(compare_s),
        f"{name}: testing changed models, ms": 1e3 * statistics.median(test_s),
    }


def satellites(*, few: int, many: int, gateways: int, steps: int) -> dict[str, float]:
    """What a satellite costs in a step with training, in a small and in a large constellation."""
    cost_s = {}
    for count in (few, many):
        env = SatFLEnv(_scenario(count, gateways, "auto"))
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
