"""Single environments beside vectors of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from satfl_env import SatFLEnv, decision_to_action, make_vector_env, observation_to_state
from tests.factories import decide


def assert_vectors_play_like_singles(overrides: dict[str, Any]) -> None:
    """Two environments for three rounds, alone, in a vector and in processes: the same to the bit."""
    vectors = [make_vector_env(2, workers=workers, overrides=overrides) for workers in (1, 2)]
    singles = [SatFLEnv(overrides=overrides) for _ in range(2)]
    observations = [single.reset(seed=seed)[0] for seed, single in zip((4, 5), singles, strict=True)]
    for envs in vectors:
        envs.reset(seed=[4, 5])
    for _ in range(3):
        states = [observation_to_state(observation) for observation in observations]
        actions = [decision_to_action(decide(state), state) for state in states]
        observations = [single.step(action)[0] for single, action in zip(singles, actions, strict=True)]
        for envs in vectors:
            batch, *_ = envs.step({key: np.stack([action[key] for action in actions]) for key in actions[0]})
            for index, observation in enumerate(observations):
                for key, value in observation.items():
                    np.testing.assert_array_equal(batch[key][index], value, err_msg=key)
    for envs in vectors:
        envs.close()
