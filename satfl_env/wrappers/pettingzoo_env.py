"""The environment for several agents, as PettingZoo has it; it needs PettingZoo, see `parallel_env`."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from satfl_env.envs import SatFLEnv
from satfl_env.wrappers.agents import Agents
from satfl_env.wrappers.features import LIMIT
from satfl_env.wrappers.native import network_state
from satfl_env.wrappers.sets import SetObservation

Each = dict[str, Any]


class SatFLParallelEnv(ParallelEnv[str, Each, Each]):
    """A constellation whose satellites or gateways decide together; `parallel_env` makes one.

    Args:
        env: The environment for one agent, with observations as sets.
        agents: Who the agents are.

    Attributes:
        env: That environment; `env.unwrapped` is the `SatFLEnv`.
        possible_agents: Names of all agents.
        agents: Names of those that play: all of them, or none once the episode has ended.
        state_space: Space of `state()`.
    """

    metadata = {"name": "satfl_v0", "render_modes": SatFLEnv.metadata["render_modes"], "is_parallelizable": True}  # noqa: RUF012 (the base class declares it so)

    def __init__(self, env: SetObservation, agents: Agents) -> None:
        self.env, self.render_mode = env, env.render_mode
        self.possible_agents, self.agents = agents.names, list[str]()
        self._kind = agents
        self._action_spaces = {name: agents.action_space() for name in agents.names}
        self.state_space = spaces.Box(-LIMIT, LIMIT, (spaces.flatdim(env.observation_space),), np.float32)
        self._sets: Each = {}

    def observation_space(self, agent: str) -> spaces.Dict:
        """What an agent sees: one object for all agents, so that many of them take no memory."""
        return self._kind.observation_space

    def action_space(self, agent: str) -> spaces.Dict:
        """What an agent chooses."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Each], dict[str, Each]]:
        """Start an episode.

        Args:
            seed: Seed of the episode, as for `SatFLEnv`.
            options: Not used; PettingZoo's own tests pass some.

        Raises:
            TypeError: If the seed is no integer.
            ValueError: If the seed is out of range.
        """
        self._sets, info = self.env.reset(seed=seed)
        self.agents = self.possible_agents[:]
        return self._observations(), self._infos(info)

    def step(
        self, actions: Mapping[str, Each]
    ) -> tuple[dict[str, Each], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Each]]:
        """Play one communication round; every agent gets the reward of the environment.

        Raises:
            ResetNeeded: Before the first reset, and after the end of an episode.
            ValueError: If an action is missing, of an unknown agent, or outside its space: nothing has changed then.
        """
        action = self._kind.action(self._checked(actions), network_state(self.env)) if self.agents else {}
        self._sets, reward, terminated, truncated, info = self.env.step(action)
        played = self.agents
        if terminated or truncated:
            self.agents = []
        return (
            self._observations(),
            dict.fromkeys(played, float(reward)),
            dict.fromkeys(played, terminated),
            dict.fromkeys(played, truncated),
            self._infos(info),
        )

    def state(self) -> NDArray[np.float32]:
        """The whole state for a common critic: `set_observation`, flat.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if not self._sets:
            raise ResetNeeded("call reset() before state()")
        return np.asarray(spaces.flatten(self.env.observation_space, self._sets), dtype=np.float32)

    def render(self) -> Any:
        """The last round, by `render_mode`; see `SatFLEnv.render`."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _checked(self, actions: Mapping[str, Each]) -> list[Each]:
        """The actions in the order of the agents."""
        missing = [agent for agent in self.agents if agent not in actions]
        unknown = [agent for agent in actions if agent not in self._action_spaces]
        for words, names in (("lack", missing), ("have unknown", unknown)):
            if names:
                raise ValueError(f"actions must be a dict with one for each agent; they {words} {reprlib.repr(names)}")
        return [self._checked_one(agent, actions[agent]) for agent in self.agents]

    def _checked_one(self, agent: str, action: Any) -> Each:
        """An agent's action as arrays."""
        space = self._action_spaces[agent]
        arrays = {key: np.asarray(value) for key, value in action.items()} if isinstance(action, Mapping) else {}
        if not space.contains(arrays):
            raise ValueError(f"the action of {agent} must lie in {space}, got {reprlib.repr(action)}")
        return arrays

    def _observations(self) -> dict[str, Each]:
        return {agent: self._kind.observation(self._sets, number) for number, agent in enumerate(self.possible_agents)}

    def _infos(self, info: Mapping[str, Any]) -> dict[str, Each]:
        state = network_state(self.env)
        return {
            agent: {**self._kind.info(info, number), "action_mask": self._kind.mask(state, number)}
            for number, agent in enumerate(self.possible_agents)
        }
