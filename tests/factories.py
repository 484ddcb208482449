"""States, decisions, scenarios and episodes that tests start from; any field can be changed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import gymnasium as gym
import numpy as np

from satfl_baselines import as_agent, make_policy
from satfl_env import Decision, NetworkState, optimal_frequency_hz
from satfl_env.scenarios import Scenario, load


def make_state(num_satellites: int = 4, num_gateways: int = 2, **changes: Any) -> NetworkState:
    """A state made by hand: everyone sees every gateway for 400 s, and then never again in the last round."""
    pairs = (num_satellites, num_gateways)
    never_s = np.full((*pairs, 1), 6000.0)
    state = NetworkState(
        round=0,
        time_s=0.0,
        position_m=np.zeros((num_satellites, 3)),
        velocity_mps=np.zeros((num_satellites, 3)),
        distance_m=np.full(pairs, 1e6),
        visible=np.ones(pairs, dtype=bool),
        window_s=np.full(pairs, 400.0),
        rate_bps=np.full(pairs, 1e9),
        link_s=np.full(pairs, 0.5),
        energy_j=np.full(num_satellites, 100.0),
        transmit_power_w=np.zeros(num_satellites),
        samples=np.full(num_satellites, 100),
        last_loss=np.ones(num_satellites),
        last_epochs=np.zeros(num_satellites, dtype=np.int64),
        cluster=np.zeros(num_satellites, dtype=np.int64),
        similarity=np.ones((num_satellites, num_satellites)),
        update_similarity=np.eye(num_satellites),
        cpu_max_hz=np.full(num_satellites, 1e9),
        cycles_per_sample=np.full(num_satellites, 1e8),
        kappa=np.full(num_satellites, 5e-27),
        max_epochs=np.full(num_satellites, 100),
        on_request={
            "contact_start_s": never_s,
            "contact_end_s": never_s,
            "rounds_left": 1,
            "beams": np.full(num_gateways, num_satellites),
            "cluster_loss": np.zeros((num_satellites, 1)),
        },
    )
    return replace(state, **changes)


def make_decision(association: Any, num_gateways: int = 2, /, **changes: Any) -> Decision:
    """A decision made by hand: 300 MHz, one cluster, equal weights."""
    num_satellites = len(association)
    decision = Decision(
        association=np.asarray(association),
        cpu_frequency=np.full(num_satellites, 3e8),
        cluster=np.zeros(num_satellites, dtype=np.int64),
        weights=np.ones(num_satellites),
        gateway_weights=np.ones(num_gateways),
    )
    return replace(decision, **changes)


def parts_of(record: Any) -> dict[str, Any]:
    """What a state or a report has, by name; what a state computes on request is computed."""
    names = (field.name for field in fields(record) if field.name != "on_request")
    return {name: value for name in names if (value := getattr(record, name)) is not None}


def decide(state: NetworkState, **changes: Any) -> Decision:
    """Longest window, closed-form frequency, one cluster, equal weights."""
    window = np.where(state.visible, state.window_s, -1.0)
    rows, best = np.arange(state.num_satellites), window.argmax(axis=1)
    frequency = optimal_frequency_hz(
        state.energy_j,
        state.window_s[rows, best],
        state.link_s[rows, best],
        cpu_max_hz=state.cpu_max_hz,
        kappa=state.kappa,
    )
    association = np.where(state.visible.any(axis=1), best, state.sits_out)
    return make_decision(association, state.num_gateways, **{"cpu_frequency": frequency, **changes})


def physics_only(rounds: int, **changes: Any) -> Scenario:
    """The default scenario in short episodes, without training."""
    return load("leo-multitask", **{"training.engine": "none", "rounds.episode": rounds, **changes})


def play_episode(env: gym.Env, policy: str, seed: int) -> list[tuple[float, bool, dict[str, Any]]]:
    """Reward, whether it terminated, and info of every step of an episode under a policy of the registry."""
    agent, (observation, _) = as_agent(make_policy(policy, seed)), env.reset(seed=seed)
    steps, done = [], False
    while not done:
        observation, reward, terminated, truncated, info = env.step(agent(observation))
        steps.append((reward, terminated, info))
        done = terminated or truncated
    return steps
