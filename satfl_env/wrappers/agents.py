"""Who the agents are where several decide together: every satellite, or every gateway.

A kind of agent says what one of them sees and chooses, and puts the choices of all together as a native action. `S` is
the number of satellites, `G` the number of gateways, `F`, `P` and `Q` are the numbers of columns of `set_observation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from satfl_env.envs.spaces import Action
from satfl_env.simulation import NetworkState, When
from satfl_env.wrappers.features import SetArrays

# Of the environment's `info`: what concerns all agents, and what has an entry for each satellite.
_COMMON = ("seed", "time_s", "duration_s", "metrics", "test_loss", "reward_terms")
_OWN = (
    "satellite_test_loss",
    "untestable",
    "charge_j",
    "outcome",
    "epochs",
    "batches",
    "staleness",
    "energy_j",
    "harvested_j",
    "standing_j",
    "spilled_j",
    "equal_weights",
)


class Agents(Protocol):
    """A kind of agent, for a number of satellites and gateways. All of them see the same space."""

    names: list[str]
    observation_space: spaces.Dict

    def action_space(self) -> spaces.Dict:
        """A new action space, for one agent."""

    def observation(self, sets: SetArrays, number: int) -> dict[str, Any]:
        """What an agent sees of the state as sets, in fresh arrays."""

    def mask(self, state: NetworkState, number: int) -> dict[str, Any]:
        """Which choices make sense, as `sample` of its action space takes it; None where all do."""

    def info(self, info: Mapping[str, Any], number: int) -> dict[str, Any]:
        """What an agent is told of the environment's `info`."""

    def action(self, choices: Sequence[Mapping[str, Any]], state: NetworkState) -> Action:
        """The native action that the choices of all agents stand for."""


class SatelliteAgents:
    """Every satellite is an agent; it has an entry of each part of the native action.

    A satellite sees its own row of `satellite`, (F,), its pairs with gateways, (G, P), and `globals`, (Q,). It chooses
    `association`, its gateway in 0..G-1 or G to sit out, `cpu_frequency` in [0, 1] of its highest one, `cluster` in
    0..S-1, and `weights`, the raw weight of its update in [0, 1]; with `access.sharing: decided` also `bandwidth`. A
    gateway counts at the cloud as the sum of the weights of the satellites that chose it. When gateways aggregate is
    not for satellites to say: they do as scheduled.

    Args:
        native: The parts of the native action space.
        sets: The observation space of `SetObservation`.
    """

    def __init__(self, native: Mapping[str, spaces.Space[Any]], sets: spaces.Dict) -> None:
        self._satellites, self._gateways = spaces.flatdim(native["weights"]), spaces.flatdim(native["gateway_weights"])
        self._fractions = _fractions(native)
        self.names = [f"satellite_{number}" for number in range(self._satellites)]
        self.observation_space = spaces.Dict(
            {"satellite": _row(sets["satellite"]), "pair": _row(sets["pair"]), "globals": sets["globals"]}
        )
        self._unmasked = dict.fromkeys(self.action_space())

    def action_space(self) -> spaces.Dict:
        """A new action space, for one satellite."""
        return spaces.Dict(
            {
                "association": spaces.Discrete(self._gateways + 1),
                "cluster": spaces.Discrete(self._satellites),
                **{name: _fraction() for name in self._fractions},
            }
        )

    def observation(self, sets: SetArrays, number: int) -> dict[str, Any]:
        """A satellite's own rows, and the numbers for the whole network."""
        return {
            "satellite": sets["satellite"][number].copy(),
            "pair": sets["pair"][number].copy(),
            "globals": sets["globals"].copy(),
        }

    def mask(self, state: NetworkState, number: int) -> dict[str, Any]:
        """Gateways in sight, and sitting out."""
        seen = np.append(state.visible[number], True).astype(np.int8)
        return {**self._unmasked, "association": seen}

    def info(self, info: Mapping[str, Any], number: int) -> dict[str, Any]:
        """What concerns all, and the satellite's own entries."""
        metrics = {name: values[number] for name, values in info["satellite_metrics"].items()}
        own = {name: info[name][number] for name in _OWN}
        return {**_common(info), **own, "satellite_metrics": metrics}

    def action(self, choices: Sequence[Mapping[str, Any]], state: NetworkState) -> Action:
        """The native action."""
        action = {
            name: _stacked(choices, name, np.float64 if name in self._fractions else np.int64)
            for name in ("association", "cluster", *self._fractions)
        }
        # Those who sit out count at none.
        sums = np.bincount(action["association"], action["weights"], minlength=self._gateways + 1)[:-1]
        return {**action, "gateway_weights": sums / max(1.0, sums.max())}


class GatewayAgents:
    """Every gateway is an agent; it admits satellites and says what they do.

    A gateway sees the rows of all satellites, (S, F), their pairs with itself, (S, P), and `globals`, (Q,). It chooses
    whom to `admit`, 0 or 1, (S,), for each satellite the `cpu_frequency` in [0, 1] of its highest one, `cluster` in
    0..S-1 and the raw weight of its update, `weights` in [0, 1], (S,), which count if it is admitted, and its own
    weight at the cloud, `gateway_weights` in [0, 1]; with `access.sharing: decided` also `bandwidth`, (S,), and with
    `rounds.aggregate: decided` also `aggregate`, when it aggregates (`satfl_env.When`); the cloud merges as scheduled.

    A satellite that several gateways admit goes to the one that it can stay with longest, by its contact window, and to
    the first of them where that is equal; what the others say of it does not count. One that nobody admits sits out and
    keeps its cluster.

    Args:
        native: The parts of the native action space.
        sets: The observation space of `SetObservation`.
    """

    def __init__(self, native: Mapping[str, spaces.Space[Any]], sets: spaces.Dict) -> None:
        self._satellites, gateways = spaces.flatdim(native["weights"]), spaces.flatdim(native["gateway_weights"])
        self._fractions = _fractions(native)
        self._says_when = "aggregate" in native
        self.names = [f"gateway_{number}" for number in range(gateways)]
        pairs = sets["pair"]
        assert isinstance(pairs, spaces.Box)
        own = spaces.Box(pairs.low[:, 0], pairs.high[:, 0], dtype=np.float32)
        self.observation_space = spaces.Dict({"satellite": sets["satellite"], "pair": own, "globals": sets["globals"]})
        self._unmasked = dict.fromkeys(self.action_space())

    def action_space(self) -> spaces.Dict:
        """A new action space, for one gateway."""
        choices: dict[str, spaces.Space[Any]] = {
            "admit": spaces.MultiBinary(self._satellites),
            "cluster": spaces.MultiDiscrete([self._satellites] * self._satellites),
            **{name: _fraction(self._satellites) for name in self._fractions},
            "gateway_weights": _fraction(),
        }
        if self._says_when:
            choices["aggregate"] = spaces.Discrete(len(When))
        return spaces.Dict(choices)

    def observation(self, sets: SetArrays, number: int) -> dict[str, Any]:
        """The satellites, their pairs with the gateway, and the numbers for the whole network."""
        return {
            "satellite": sets["satellite"].copy(),
            "pair": sets["pair"][:, number].copy(),
            "globals": sets["globals"].copy(),
        }

    def mask(self, state: NetworkState, number: int) -> dict[str, Any]:
        """Satellites in sight: 2 where both choices make sense, else 0, as Gymnasium has it for `MultiBinary`."""
        return {**self._unmasked, "admit": (2 * state.visible[:, number]).astype(np.int8)}

    def info(self, info: Mapping[str, Any], number: int) -> dict[str, Any]:
        """What concerns all."""
        return _common(info)

    def action(self, choices: Sequence[Mapping[str, Any]], state: NetworkState) -> Action:
        """The native action."""
        admits = _stacked(choices, "admit", np.bool_)
        winner = np.where(admits, state.window_s.T, -1.0).argmax(axis=0)
        admitted, everyone = admits.any(axis=0), np.arange(self._satellites)
        said = {name: _stacked(choices, name, np.float64)[winner, everyone] * admitted for name in self._fractions}
        action = {
            "association": np.where(admitted, winner, state.sits_out),
            "cluster": np.where(admitted, _stacked(choices, "cluster", np.int64)[winner, everyone], state.cluster),
            **said,
            "gateway_weights": _stacked(choices, "gateway_weights", np.float64),
        }
        if self._says_when:
            action["aggregate"] = np.append(_stacked(choices, "aggregate", np.int64), When.SCHEDULED)
        return action


AGENTS: dict[str, type[SatelliteAgents] | type[GatewayAgents]] = {
    "satellites": SatelliteAgents,
    "gateways": GatewayAgents,
}
"""The kinds of agents by name."""


def _fractions(native: Mapping[str, spaces.Space[Any]]) -> list[str]:
    """Parts of the native action space that have a number in [0, 1] for each satellite."""
    return [name for name in ("cpu_frequency", "weights", "bandwidth") if name in native]


def _common(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: info[name] for name in _COMMON}


def _row(space: spaces.Space[Any]) -> spaces.Box:
    """The space of one row of a box."""
    assert isinstance(space, spaces.Box)
    return spaces.Box(space.low[0], space.high[0], dtype=np.float32)


def _fraction(*shape: int) -> spaces.Box:
    # Double precision, as in the native action space.
    return spaces.Box(0.0, 1.0, shape, np.float64)


def _stacked(choices: Sequence[Mapping[str, Any]], name: str, dtype: type[np.generic]) -> Any:
    """One part of all agents' choices, a row each."""
    return np.stack([choice[name] for choice in choices]).astype(dtype)
