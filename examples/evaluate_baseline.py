"""Drive the environment with a reference policy that sees nothing but observations."""

from __future__ import annotations

import gymnasium as gym

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_baselines import as_agent, make_policy


def main(policy: str = "full", seed: int = 0) -> None:
    """Play one episode and print how it goes."""
    env = gym.make("SatFL-v0")
    agent = as_agent(make_policy(policy, seed))
    observation, info = env.reset(seed=seed)
    print(f"untrained: balanced accuracy {info['metrics']['balanced_accuracy']:.3f}")
    done = False
    while not done:
        observation, reward, terminated, truncated, info = env.step(agent(observation))
        done = terminated or truncated
        accuracy = info["metrics"]["balanced_accuracy"]
        print(f"round {int(observation['round'][0]):2d}: reward {reward:+.3f}, balanced accuracy {accuracy:.3f}")
    env.close()


if __name__ == "__main__":
    main()
