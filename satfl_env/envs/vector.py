"""Many environments as one: their satellites train as one job and are tested in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from satfl_env.envs.satfl import SatFLEnv
from satfl_env.envs.spaces import check_batch
from satfl_env.simulation import Decision, SimulationGroup

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
AnyEnv = gym.Env[Any, Any]
Step = tuple[Any, FloatArray, BoolArray, BoolArray, dict[str, Any]]

_TRANSLATORS = (gym.ActionWrapper, gym.ObservationWrapper, gym.RewardWrapper)


class SatFLVectorEnv(gym.vector.VectorEnv[Any, Any, NDArray[Any]]):
    """`num_envs` environments `SatFLEnv` that play their rounds together.

    Every environment goes the way it would go alone with the same seed and the same actions: positions, windows, links,
    epochs and energy to the bit, models and what depends on them up to float32 rounding, since one large matrix product
    may add up in another order than several small ones.

    ```python
    >>> import gymnasium as gym
    >>> import satfl_env
    >>> envs = gym.make_vec("SatFL-v0", num_envs=8, vectorization_mode="vector_entry_point")

    ```

    Args:
        num_envs: Number of environments, at least 1.
        autoreset_mode: When an environment whose episode has ended starts anew. `NextStep`: in the next step, whose
            action it ignores and whose reward is 0. `SameStep`: at once; the last observation and info of the old
            episode are then in `final_obs` and `final_info`. `Disabled`: by `reset(options={"reset_mask": ...})`.
        wrap: Puts action, observation and reward wrappers around one environment; applied to each of them.
        **kwargs: Arguments of `SatFLEnv`, the same for all.

    Raises:
        TypeError: If `wrap` uses wrappers of another kind, whose steps could not be played together.
        ValueError: If `num_envs` is below 1, or an argument of `SatFLEnv` is out of range.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        wrap: Callable[[AnyEnv], AnyEnv] | None = None,
        **kwargs: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self.num_envs = num_envs
        self.first_number = 0  # of the first environment in messages, where these are a part of more
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self._inner = [SatFLEnv(**kwargs) for _ in range(num_envs)]
        self.envs: list[AnyEnv] = [env if wrap is None else wrap(env) for env in self._inner]
        _check_wrappers(self.envs[0])
        self._group = SimulationGroup([env.simulation for env in self._inner])
        self.metadata = {**SatFLEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self._inner[0].render_mode
        self.single_action_space = self.envs[0].action_space
        self.single_observation_space = self.envs[0].observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._observations: list[Any] = [None] * num_envs
        self._ended = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: Seed of the first environment, the others count on from it; or one seed for each.
            options: `reset_mask`, bool (num_envs,), chooses the environments; the others go on.

        Raises:
            ValueError: If there are not as many seeds as environments, the mask does not fit or no environment is
                chosen, or there are other options.
        """
        seeds = seed_list(seed, self.num_envs)
        others = dict(options or {})
        chosen = checked_mask(others.pop("reset_mask", np.ones(self.num_envs, dtype=np.bool_)), self.num_envs)
        infos: dict[str, Any] = {}
        for index in np.flatnonzero(chosen).tolist():
            self._observations[index], info = self.envs[index].reset(seed=seeds[index], options=others)
            infos = self._add_info(infos, info, index)
        self._ended = self._ended & ~chosen
        return self._batch(), infos

    def step(self, actions: Any) -> Step:
        """Play one communication round in every environment.

        Raises:
            ResetNeeded: Before the first reset; with autoreset disabled, if an episode has ended.
            ValueError: If an action is outside the action space; nothing has changed then.
        """
        check_batch(actions, self.action_space, self.num_envs)
        if self.autoreset_mode == AutoresetMode.DISABLED and self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            raise ResetNeeded(f"the episodes of environments {ended} have ended: reset them first")
        restarts = self._ended
        decisions = {
            index: _begin(self.first_number + index, env, inner, action)
            for index, (env, inner, action) in enumerate(
                zip(self.envs, self._inner, iterate(self.action_space, actions), strict=True)
            )
            if not restarts[index]
        }
        rounds = self._group.step(decisions)
        rewards = np.zeros(self.num_envs)
        terminations, truncations = np.zeros((2, self.num_envs), dtype=np.bool_)
        infos: dict[str, Any] = {}
        for index, env in enumerate(self.envs):
            if restarts[index]:
                self._observations[index], info = env.reset()
            else:
                observation, reward, terminated, truncated, info = self._inner[index].finish_step(
                    decisions[index], *rounds[index]
                )
                observation, rewards[index] = _outer_observation(env, observation), _outer_reward(env, reward)
                terminations[index], truncations[index] = terminated, truncated
                if self.autoreset_mode == AutoresetMode.SAME_STEP and (terminated or truncated):
                    infos = self._add_info(infos, {"final_obs": observation, "final_info": info}, index)
                    observation, info = env.reset()
                self._observations[index] = observation
            infos = self._add_info(infos, info, index)
        if self.autoreset_mode != AutoresetMode.SAME_STEP:
            self._ended = terminations | truncations
        return self._batch(), rewards, terminations, truncations, infos

    def apply(self, function: Callable[[AnyEnv], Any], indices: Sequence[int] | None = None) -> tuple[Any, ...]:
        """What a function gives for some of the environments; None means all."""
        chosen = range(self.num_envs) if indices is None else indices
        return tuple(function(self.envs[index]) for index in chosen)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every environment, such as `action_masks`, or read an attribute."""
        return self.apply(calling(name, *args, **kwargs))

    def render(self) -> tuple[Any, ...]:
        """What `render()` of each environment returns."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()

    def _batch(self) -> Any:
        """The observations of all environments in fresh arrays."""
        space = self.single_observation_space
        empty: Any = create_empty_array(space, self.num_envs)
        return concatenate(space, self._observations, empty)


def calling(name: str, *args: Any, **kwargs: Any) -> Callable[[AnyEnv], Any]:
    """The function that calls a method of an environment, or reads an attribute."""

    def function(env: AnyEnv) -> Any:
        value = env.get_wrapper_attr(name)
        return value(*args, **kwargs) if callable(value) else value

    return function


def seed_list(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """One seed for each environment: given one by one, counting on from a single one, or None.

    Raises:
        ValueError: If there are not as many seeds as environments.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int | np.integer):
        return [int(seed) + index for index in range(num_envs)]
    seeds = list(seed)
    if len(seeds) != num_envs:
        raise ValueError(f"seed must be one number or {num_envs}, one an environment, got {len(seeds)}")
    return seeds


def checked_mask(mask: Any, num_envs: int) -> BoolArray:
    """The environments to reset, bool (num_envs,).

    Raises:
        ValueError: If the mask does not fit or chooses none.
    """
    if not isinstance(mask, np.ndarray) or mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ValueError(f"reset_mask must be a bool array of shape ({num_envs},) with at least one True, got {mask!r}")
    return mask


def _check_wrappers(env: AnyEnv) -> None:
    while isinstance(env, gym.Wrapper):
        if not isinstance(env, _TRANSLATORS):
            raise TypeError(f"wrap may use action, observation and reward wrappers only, got {type(env).__name__}")
        env = env.env


def _begin(number: int, env: AnyEnv, inner: SatFLEnv, action: Any) -> Decision:
    """The decision that one environment's action stands for; an error says which environment it is."""
    try:
        return inner.begin_step(_native_action(env, action))
    except ValueError as error:
        raise ValueError(f"environment {number}: {error}") from error


def _native_action(env: AnyEnv, action: Any) -> Any:
    """An action of the outermost wrapper, translated for the environment inside all of them."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.ActionWrapper):
            action = env.action(action)
        env = env.env
    return action


def _outer_observation(env: AnyEnv, observation: Any) -> Any:
    """An observation of the environment inside all wrappers, translated by each of them."""
    if not isinstance(env, gym.Wrapper):
        return observation
    observation = _outer_observation(env.env, observation)
    return env.observation(observation) if isinstance(env, gym.ObservationWrapper) else observation


def _outer_reward(env: AnyEnv, reward: Any) -> Any:
    """A reward of the environment inside all wrappers, translated by each of them."""
    if not isinstance(env, gym.Wrapper):
        return reward
    reward = _outer_reward(env.env, reward)
    return env.reward(reward) if isinstance(env, gym.RewardWrapper) else reward
