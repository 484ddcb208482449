"""The environment for several agents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from satfl_env.builtin import DEFAULT_SCENARIO
from satfl_env.envs import SatFLEnv
from satfl_env.imports import to_install
from satfl_env.settings import default_of
from satfl_env.suggestions import did_you_mean
from satfl_env.wrappers.agents import AGENTS
from satfl_env.wrappers.native import native_parts
from satfl_env.wrappers.sets import SetObservation

if TYPE_CHECKING:
    from satfl_env.scenarios import Scenario
    from satfl_env.wrappers.pettingzoo_env import SatFLParallelEnv


def parallel_env(
    scenario: str | Path | Scenario = DEFAULT_SCENARIO,
    agents: str = "satellites",
    *,
    similarities: bool = default_of(SetObservation, "similarities"),
    overrides: Mapping[str, Any] | None = None,
    **options: Any,
) -> SatFLParallelEnv:
    """A constellation whose satellites or gateways decide together, as a PettingZoo `ParallelEnv`.

    It plays what `SatFLEnv` plays: the choices of all agents make one native action. See
    `satfl_env.wrappers.agents.SatelliteAgents` and `satfl_env.wrappers.agents.GatewayAgents` for what an agent sees and
    chooses. All agents get the environment's reward, start together and end together. `info[agent]["action_mask"]` is
    what `env.action_space(agent).sample(mask)` takes; `env.state()` is the whole state.

    Args:
        scenario: A built-in name, a YAML file, or a loaded scenario.
        agents: `satellites` or `gateways`.
        similarities: Whether to look at the similarities of satellites, which take (S, S); see `SetObservation`.
        overrides: Scenario fields to change, dotted.
        options: Further arguments of `SatFLEnv`: `reward`, `parts`, `render_mode`, `torch_threads`.

    Raises:
        ImportError: If PettingZoo is not installed.
        ValueError: If there is no such kind of agent, or the scenario is not valid.
    """
    try:
        from satfl_env.wrappers.pettingzoo_env import SatFLParallelEnv
    except ImportError as error:
        raise ImportError(f"parallel_env needs PettingZoo: {to_install('pettingzoo')}") from error
    if agents not in AGENTS:
        raise ValueError(f"agents must be one of {', '.join(AGENTS)}, got {agents!r}{did_you_mean(agents, AGENTS)}")
    env = SetObservation(SatFLEnv(scenario, overrides, **options), similarities)
    assert isinstance(env.observation_space, spaces.Dict)
    return SatFLParallelEnv(env, AGENTS[agents](native_parts(env), env.observation_space))
