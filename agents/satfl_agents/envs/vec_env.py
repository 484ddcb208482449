"""Environments whose satellites train as one job, in the form that Stable-Baselines3 takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from satfl_env import make_vector_env


class SatFLVecEnv(VecEnv):
    """`SatFLVectorEnv` as a `VecEnv`, in place of `DummyVecEnv` or `SubprocVecEnv`.

    Args:
        num_envs: Number of environments.
        wrap: Gives one environment the flat spaces that the algorithm needs; see `SatFLVectorEnv`.
        workers: Processes to divide the environments among; None means one per core. See `ProcessVectorEnv`.
        **kwargs: Arguments of `SatFLEnv`, the same for all.
    """

    def __init__(
        self,
        num_envs: int,
        wrap: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]] | None = None,
        *,
        workers: int | None = 1,
        **kwargs: Any,
    ) -> None:
        self.vector = make_vector_env(
            num_envs, workers=workers, autoreset_mode=AutoresetMode.SAME_STEP, wrap=wrap, **kwargs
        )
        self._actions: Any = None
        super().__init__(num_envs, self.vector.single_observation_space, self.vector.single_action_space)

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment, with the seeds given by `seed`."""
        observations, infos = self.vector.reset(seed=self._seeds)
        self.reset_infos = self.vector.split_infos(infos)
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def seed_each(self, seeds: Sequence[int]) -> None:
        """Give every environment a seed of its own for the next `reset`, where `seed` gives them consecutive ones."""
        self._seeds = list(seeds)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Play one communication round in every environment."""
        observations, rewards, terminations, truncations, batched = self.vector.step(self._actions)
        infos = self.vector.split_infos(batched)
        ended = terminations | truncations
        for index in np.flatnonzero(ended).tolist():
            last = infos[index].pop("final_info") | {"terminal_observation": infos[index].pop("final_obs")}
            infos[index], self.reset_infos[index] = last, infos[index]
        for info, terminated, truncated in zip(infos, terminations, truncations, strict=True):
            info["TimeLimit.truncated"] = bool(truncated and not terminated)
        return observations, rewards.astype(np.float32), ended, infos

    def close(self) -> None:
        """Close the environments."""
        self.vector.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """One image per environment."""
        return self.vector.render()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Read an attribute of environments."""
        return self._each(lambda env: env.get_wrapper_attr(attr_name), indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of environments."""
        self._each(lambda env: env.set_wrapper_attr(attr_name, value), indices)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of environments."""
        return self._each(lambda env: env.get_wrapper_attr(method_name)(*method_args, **method_kwargs), indices)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Whether environments are in a certain wrapper."""
        return self._each(lambda env: is_wrapped(env, wrapper_class), indices)

    def _each(self, function: Callable[[gym.Env[Any, Any]], Any], indices: VecEnvIndices) -> list[Any]:
        return list(self.vector.apply(function, list(self._get_indices(indices))))
