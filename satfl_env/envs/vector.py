"""Many environments as one: their satellites train as one job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from satfl_env.arguments import checked_integer, checked_seed
from satfl_env.envs.batched_infos import batched_infos, split_infos
from satfl_env.envs.joint_step import JointStep
from satfl_env.envs.satfl import SatFLEnv
from satfl_env.envs.spaces import checked_batch
from satfl_env.envs.spec import PortableSpec
from satfl_env.simulation import Decision, SimulationGroup

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
AnyEnv = gym.Env[Any, Any]
Function = Callable[[AnyEnv], Any]
Step = tuple[Any, FloatArray, BoolArray, BoolArray, dict[str, Any]]


class AppliedVectorEnv(PortableSpec, gym.vector.VectorEnv[Any, Any, NDArray[Any]], ABC):
    """A vector environment that checks whole requests before any environment sees a part of them.

    It can also apply a function to its environments, in whatever process they are.

    Args:
        num_envs: Number of environments.
        autoreset_mode: When an environment whose episode has ended is reset.

    Raises:
        TypeError: If the number is no integer.
        ValueError: If it is below 1, or there is no such mode.
    """

    closed = True  # until the environments are made, so that nothing closes what is not there

    def __init__(self, num_envs: int, autoreset_mode: AutoresetMode | str) -> None:
        self.num_envs = checked_integer("num_envs", num_envs, 1)
        self.autoreset_mode = checked_mode(autoreset_mode)
        self._started, self._ended, self._broken_off = np.zeros((3, self.num_envs), dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: Seed of the first environment, from which the others count up; or one seed for each.
            options: `reset_mask`, bool (num_envs,), selects the environments to reset; the others go on.

        Raises:
            ClosedEnvironmentError: After `close`.
            ResetNeeded: If an environment that is not selected has never been reset.
            TypeError: If a seed is no integer, or the options are no mapping.
            ValueError: If there are not as many seeds as environments, a seed is out of range, the mask does not fit or
                no environment is selected, or there are other options; no environment has changed then.
        """
        self._require_open()
        seeds, others = seed_list(seed, self.num_envs), checked_options(options)
        chosen = checked_mask(others.pop("reset_mask", np.ones(self.num_envs, dtype=np.bool_)), self.num_envs)
        if others:
            raise ValueError(f"reset() takes no options but reset_mask, got {others}")
        never = np.flatnonzero(~(chosen | self._started)).tolist()
        if never:
            raise ResetNeeded(f"environments {never} have no episode to go on with: reset them as well")
        self._started &= ~chosen  # until all have their episode
        observations, infos = self._reset_chosen(chosen, seeds)
        self._started |= chosen
        self._ended &= ~chosen
        self._broken_off &= ~chosen
        return observations, infos

    def step(self, actions: Any) -> Step:
        """Play one communication round in every environment.

        Raises:
            ClosedEnvironmentError: After `close`.
            ResetNeeded: Before the first reset; with autoreset disabled, if an episode has ended; after a step or reset
                that broke off, as by an error in a part, a wrapper or a reward function, or by an interrupt.
            ValueError: If an action is outside the action space; no environment has seen any action then.
        """
        self._require_open()
        self._require_reset()
        played = ~self._ended
        actions = checked_batch(actions, self.single_action_space, played, "action")
        observations, rewards, terminations, truncations, infos = self._play(actions, played)
        if self.autoreset_mode != AutoresetMode.SAME_STEP:
            self._ended = terminations | truncations
        self._broken_off[:] = False
        return observations, rewards, terminations, truncations, infos

    def apply(self, function: Callable[[AnyEnv], Any], indices: Sequence[int] | None = None) -> tuple[Any, ...]:
        """The results of a function for some of the environments, called in their processes; None means all.

        Raises:
            ClosedEnvironmentError: After `close`.
            TypeError: If an index is no integer.
            ValueError: If there is no environment with an index.
        """
        chosen = range(self.num_envs) if indices is None else indices
        return self.apply_each([(index, function) for index in chosen])

    def apply_each(self, functions: Iterable[tuple[int, Function]]) -> tuple[Any, ...]:
        """The results of functions for environments given by their indices; see `apply`."""
        self._require_open()
        last = self.num_envs - 1
        return self._apply([(checked_integer("index", index, 0, last), function) for index, function in functions])

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every environment, such as `action_masks`, or read an attribute."""

        def function(env: AnyEnv) -> Any:
            value = env.get_wrapper_attr(name)
            return value(*args, **kwargs) if callable(value) else value

        return self.apply(function)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Read an attribute of every environment, or call a method without arguments, as in Gymnasium."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment.

        Args:
            name: The attribute.
            values: A list or tuple of one value per environment, or one value for all.

        Raises:
            ValueError: If there are not as many values as environments.
        """
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"values must be {self.num_envs}, one per environment, or one for all; got {len(each)}")
        self.apply_each([(index, partial(_set_attr, name=name, value=value)) for index, value in enumerate(each)])

    def split_infos(self, infos: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The info of each environment out of those that `reset` or `step` gave for all."""
        return split_infos(infos, self.num_envs)

    def render(self) -> tuple[Any, ...]:
        """What `render()` of each environment returns."""
        return self.call("render")

    @abstractmethod
    def _reset_chosen(self, chosen: BoolArray, seeds: Sequence[int | None]) -> tuple[Any, dict[str, Any]]:
        """Reset some environments; the observations are those of all."""

    @abstractmethod
    def _play(self, actions: Any, played: BoolArray) -> Step:
        """A round in the environments that play one; the others start anew. Both have broken off until it returns."""

    @abstractmethod
    def _apply(self, functions: Sequence[tuple[int, Function]]) -> tuple[Any, ...]:
        """The results of functions for environments given by their indices."""

    @property
    def _why_closed(self) -> str:
        return "close() has been called"

    def _require_open(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError(f"this vector environment is closed: {self._why_closed}; make another one")

    def _require_reset(self) -> None:
        """Raise `ResetNeeded` if an environment cannot play and is not reset by itself."""
        if not self._started.all():
            raise ResetNeeded(
                f"environments {np.flatnonzero(~self._started).tolist()} have no episode: reset them first"
            )
        if self._broken_off.any():
            broken_off = np.flatnonzero(self._broken_off).tolist()
            raise ResetNeeded(f"the last step of environments {broken_off} broke off: reset them first")
        if self.autoreset_mode == AutoresetMode.DISABLED and self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            raise ResetNeeded(f"the episodes of environments {ended} have ended: reset them first")


class SatFLVectorEnv(AppliedVectorEnv):
    """`num_envs` environments `SatFLEnv` that play their rounds together.

    Each environment gives what it would give alone with the same seed and the same actions: bit for bit positions,
    windows, links, epochs, energy, and models that machine code trains and tests. Other models, and what depends on
    them, agree up to float32 rounding, since one large matrix product may sum in a different order than small ones.

    ```python
    >>> import gymnasium as gym
    >>> import satfl_env
    >>> envs = gym.make_vec("SatFL-v0", num_envs=8, vectorization_mode="vector_entry_point")

    ```

    Args:
        num_envs: Number of environments, at least 1.
        autoreset_mode: When an environment whose episode has ended is reset. `NextStep`: in the next step, whose
            action it ignores and whose reward is 0. `SameStep`: at once; the last observation and info of the old
            episode are then in `final_obs` and `final_info`. `Disabled`: by `reset(options={"reset_mask": ...})`.
        wrap: Function that wraps one environment; applied to each of them.
        max_episode_steps: Most steps in an episode, after which it is truncated; None leaves that to the scenario.
        **kwargs: Arguments of `SatFLEnv`, the same for all.

    Raises:
        TypeError: If `wrap` does not return an environment.
        ValueError: If `num_envs` or `max_episode_steps` is below 1, or an argument of `SatFLEnv` is out of range.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        wrap: Callable[[AnyEnv], AnyEnv] | None = None,
        max_episode_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_envs, autoreset_mode)
        if max_episode_steps is not None:
            checked_integer("max_episode_steps", max_episode_steps, 1)
        self.first_number = 0  # of the first environment in messages, if there are more in other processes
        self._inner = [SatFLEnv(**kwargs) for _ in range(num_envs)]
        self.envs = [_wrapped(env, wrap, max_episode_steps) for env in self._inner]
        self._group = SimulationGroup([env.simulation for env in self._inner])
        self.metadata = {**SatFLEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self._inner[0].render_mode
        self.single_action_space = self.envs[0].action_space
        self.single_observation_space = self.envs[0].observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._observations: list[Any] = [None] * num_envs
        self.closed = False

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()

    def _reset_chosen(self, chosen: BoolArray, seeds: Sequence[int | None]) -> tuple[Any, dict[str, Any]]:
        infos: list[dict[str, Any]] = [{} for _ in self.envs]
        for index in np.flatnonzero(chosen).tolist():
            with self._named(index):
                self._observations[index], infos[index] = self.envs[index].reset(seed=seeds[index])
        return self._batch(), batched_infos(infos)

    def _play(self, actions: Any, played: BoolArray) -> Step:
        each = enumerate(iterate(self.action_space, actions))
        steps = self._step_together({index: action for index, action in each if played[index]})
        self._broken_off[:] = True
        rewards = np.zeros(self.num_envs)
        terminations, truncations = np.zeros((2, self.num_envs), dtype=np.bool_)
        infos: list[dict[str, Any]] = []
        for index in range(self.num_envs):
            if index not in steps:
                self._observations[index], info = self._restart(index)
            else:
                observation, rewards[index], terminated, truncated, info = steps[index]
                terminations[index], truncations[index] = terminated, truncated
                if self.autoreset_mode == AutoresetMode.SAME_STEP and (terminated or truncated):
                    final = {"final_obs": observation, "final_info": info}
                    observation, info = self._restart(index)
                    info = final | info
                self._observations[index] = observation
            infos.append(info)
        return self._batch(), rewards, terminations, truncations, batched_infos(infos)

    def _apply(self, functions: Sequence[tuple[int, Function]]) -> tuple[Any, ...]:
        return tuple(self._apply_one(index, function) for index, function in functions)

    def _apply_one(self, index: int, function: Function) -> Any:
        with self._named(index):
            return function(self.envs[index])

    def _restart(self, index: int) -> tuple[Any, dict[str, Any]]:
        with self._named(index):
            return self.envs[index].reset()

    def _step_together(self, actions: Mapping[int, Any]) -> dict[int, tuple[Any, float, bool, bool, dict[str, Any]]]:
        """Step some environments, given by their indices; no round is played before all have their decision."""
        steps = {index: JointStep(self.envs[index].step, self._inner[index].simulation) for index in actions}
        finished: dict[int, tuple[Any, float, bool, bool, dict[str, Any]]] = {}
        given: dict[int, Any] = dict(actions)
        try:
            while given:
                decisions: dict[int, Decision] = {}
                for index, value in given.items():
                    result = self._go_on(index, steps[index], value)
                    (finished if steps[index].dead else decisions)[index] = result
                self._broken_off[list(decisions)] = True
                # Wrappers close after the round what they opened before it: last in, first out.
                given = dict(reversed(self._group.step(decisions).items()))
        finally:
            for step in steps.values():
                step.throw()  # ends it if it still waits
        return finished

    def _go_on(self, index: int, step: JointStep, value: Any) -> Any:
        """Resume a step."""
        with self._named(index):
            return step.switch(value)

    @contextmanager
    def _named(self, index: int) -> Iterator[None]:
        """Let errors name the environment that they come from."""
        name = f"environment {self.first_number + index}"
        try:
            yield
        except Exception as error:
            if type(error) is ValueError:  # other classes may need more than a message
                raise ValueError(f"{name}: {error}") from error
            error.add_note(f"in {name}")
            raise

    def _batch(self) -> Any:
        """The observations of all environments in fresh arrays."""
        space = self.single_observation_space
        empty: Any = create_empty_array(space, self.num_envs)
        return concatenate(space, self._observations, empty)


def _set_attr(env: AnyEnv, name: str, value: Any) -> None:
    env.set_wrapper_attr(name, value)


def _wrapped(env: AnyEnv, wrap: Callable[[AnyEnv], AnyEnv] | None, max_episode_steps: int | None) -> AnyEnv:
    """An environment in its wrappers, the time limit innermost as in `gymnasium.make`."""
    if max_episode_steps is not None:
        env = TimeLimit(env, max_episode_steps)
    if not (wrap is None or callable(wrap)):
        raise TypeError(f"wrap must be a function of an environment or None, got {wrap!r}")
    outer = env if wrap is None else wrap(env)
    if not isinstance(outer, gym.Env):
        raise TypeError(f"wrap must give the environment in its wrappers, got {outer!r}")
    return outer


def seed_list(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """One seed for each environment: as given, counting up from a single one, or None.

    Raises:
        TypeError: If a seed is no integer.
        ValueError: If a seed is out of range, or there are not as many as environments.
    """
    if seed is None:
        return [None] * num_envs
    if not isinstance(seed, Iterable):
        first = checked_seed("seed", seed)
        return [checked_seed(f"seed of environment {index}", first + index) for index in range(num_envs)]
    seeds = list(seed)
    if len(seeds) != num_envs:
        raise ValueError(f"seed must be one number or {num_envs}, one per environment, got {len(seeds)}")
    return [None if one is None else checked_seed(f"seed of environment {i}", one) for i, one in enumerate(seeds)]


def checked_options(options: object) -> dict[str, Any]:
    """The options of a reset, as a copy.

    Raises:
        TypeError: If they are no mapping.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict or None, got {options!r}")
    return dict(options)


def checked_mode(mode: object) -> AutoresetMode:
    """The autoreset mode of this name.

    Raises:
        ValueError: If there is none.
    """
    try:
        return AutoresetMode(mode)
    except ValueError:
        names = ", ".join(repr(one.value) for one in AutoresetMode)
        raise ValueError(f"autoreset_mode must be one of {names}, got {mode!r}") from None


def checked_mask(mask: Any, num_envs: int) -> BoolArray:
    """The environments to reset, bool (num_envs,).

    Raises:
        ValueError: If the mask does not fit or selects none.
    """
    if not isinstance(mask, np.ndarray) or mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ValueError(f"reset_mask must be a bool array of shape ({num_envs},) with at least one True, got {mask!r}")
    return mask.copy()
