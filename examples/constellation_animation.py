"""An animation of a constellation at work: satellites, gateways, links and ground tracks over the Blue Marble."""

from __future__ import annotations

import sys

import gymnasium as gym
from PIL import Image

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_baselines import as_agent, make_policy


def animate(path: str, scenario: str = "walker-earth", rounds: int = 20, seed: int = 0, width: int = 900) -> None:
    """Play some rounds of a scenario under SemSpaceFL's policy and save them as a GIF.

    Args:
        path: Where to save it.
        scenario: Name or file of the scenario.
        rounds: Rounds to play, one frame each.
        seed: Seed of the episode.
        width: Width of the frames in pixels.
    """
    env = gym.make("SatFL-v0", scenario=scenario, overrides={"rounds.episode": rounds}, render_mode="rgb_array")
    agent = as_agent(make_policy("semspacefl"))
    observation, _ = env.reset(seed=seed)
    frames = [env.render()]
    for _ in range(rounds):
        observation, *_ = env.step(agent(observation))
        frames.append(env.render())
    env.close()
    first, *others = [_shrunk(frame, width) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=350, loop=0, optimize=True)


def _shrunk(frame: object, width: int) -> Image.Image:
    """A frame in the colours of a GIF."""
    image = Image.fromarray(frame)
    size = (width, round(image.height * width / image.width))
    return image.resize(size, Image.Resampling.LANCZOS).quantize(256, Image.Quantize.MAXCOVERAGE)


if __name__ == "__main__":
    animate(sys.argv[1] if len(sys.argv) > 1 else "constellation.gif", *sys.argv[2:3])
