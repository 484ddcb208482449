"""Drive the environment with a reference policy that sees nothing but observations."""

from __future__ import annotations

import gymnasium as gym

import satfl_env  # noqa: F401  registers SatFL-v0
from baselines import as_agent, make_policy


def main(policy: str = "full", seed: int = 0) -> None:
    """Play one episode and print how it goes."""
    env = gym.make("SatFL-v0")
    agent = as_agent(make_policy(policy, seed))
    observation, _ = env.reset(seed=seed)
    total, done = 0.0, False
    while not done:
        observation, reward, terminated, truncated, info = env.step(agent(observation))
        total += float(reward)
        done = terminated or truncated
        print(f"round {int(observation['round'][0]):2d}  reward {float(reward):+.3f}  loss drop so far {total:.3f}")
    env.close()


if __name__ == "__main__":
    main()
