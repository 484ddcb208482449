from __future__ import annotations

from itertools import pairwise

import gymnasium as gym

from satfl_baselines.seeds import HELD_OUT, TRAINING, TUNING, VALIDATION
from satfl_env.arguments import HIGHEST_SEED


def test_ranges_are_disjoint_and_seeds_that_episodes_take():
    for one, other in pairwise((TRAINING, TUNING, VALIDATION, HELD_OUT)):
        assert one.stop <= other.start
    assert HELD_OUT[-1] <= HIGHEST_SEED


def test_an_environment_draws_seeds_of_training_alone():
    env = gym.make("SatFL-v0", scenario="leo-multitask", overrides={"training.engine": "none"}).unwrapped
    env.reset(seed=HELD_OUT[-1])

    class Highest:
        def integers(self, bound: int) -> int:
            return bound - 1

    env.np_random = Highest()
    _, info = env.reset()
    assert info["seed"] == TRAINING[-1]
