"""A policy that is trained with Stable-Baselines3 by hand, kept in the form that every command takes.

python examples/own_learner.py --rounds 40000 --out results/mine
satfl evaluate --policy results/mine --scenario leo-multitask --out results/mine-evaluated
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stable_baselines3 import PPO

from satfl_agents import Form, Network, PolicyDescription, SatFLVecEnv, save_policy, wrapped
from satfl_env import SatFLEnv

# How the policy sees and acts, and its network: what another process needs to make it anew.
OBSERVATION, ACTION, NETWORK = Form(kind="scaled"), Form(kind="rule"), Network(hidden=(64, 64))


def train(scenario: str, rounds: int, seed: int, out: Path, n_steps: int = 100) -> None:
    """Train PPO, and write its policy into a folder."""
    envs = SatFLVecEnv(8, lambda env: wrapped(env, OBSERVATION, ACTION), scenario=scenario)
    # Everything of Stable-Baselines3 may be used here: callbacks, schedules, wrappers.
    learner = PPO(
        "MlpPolicy",
        envs,
        seed=seed,
        n_steps=n_steps,
        batch_size=n_steps,
        policy_kwargs=NETWORK.policy_kwargs,
        device="cpu",
    )
    learner.learn(rounds)
    envs.close()
    description = PolicyDescription.of(
        SatFLEnv(scenario), "ppo", OBSERVATION, ACTION, NETWORK, rounds=learner.num_timesteps, seed=seed
    )
    save_policy(out, learner.policy, description)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="leo-multitask")
    parser.add_argument("--rounds", type=int, default=40000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/mine"))
    arguments = parser.parse_args()
    train(arguments.scenario, arguments.rounds, arguments.seed, arguments.out)
    print(f"policy in {arguments.out}")
