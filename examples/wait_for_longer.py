"""A policy that lets a contact go by where a longer one comes soon: it reads the forecast in the observation."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np

from satfl_baselines import as_agent, make_policy
from satfl_env import Decision, NetworkState

PATIENCE_S = 600.0
FORECAST = {"observation.add": ["contact_start_s", "contact_end_s"]}

semspacefl = make_policy("semspacefl")


def wait_for_longer(state: NetworkState) -> Decision:
    """As `semspacefl`, but who soon has a contact of more than twice the time that is left now sits out."""
    decision = semspacefl(state)
    left_s = np.where(state.visible, state.window_s, 0.0).max(axis=1)
    length_s = state.contact_end_s - state.contact_start_s
    soon_s = np.where(state.contact_start_s < PATIENCE_S, length_s, 0.0).max(axis=(1, 2))
    waits = soon_s > 2 * left_s
    return replace(decision, association=np.where(waits, state.sits_out, decision.association))


def main(seed: int = 0, rounds: int = 30) -> None:
    """Play an episode with and without waiting, and print what an update is worth."""
    env = gym.make("SatFL-v0", overrides={"rounds.episode": rounds, **FORECAST})
    for policy in (semspacefl, wait_for_longer):
        agent, (observation, info) = as_agent(policy), env.reset(seed=seed)
        epochs = []
        for _ in range(rounds):
            observation, *_, info = env.step(agent(observation))
            epochs.extend(info["epochs"][info["epochs"] > 0])
        print(f"{len(epochs)} updates of {np.mean(epochs):.1f} epochs: {info['metrics']['balanced_accuracy']:.3f}")
    env.close()


if __name__ == "__main__":
    main()
