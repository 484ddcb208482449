"""Networks for the observation as sets: the same layers for every satellite and pair, means and maxima over them.

Their weights do not depend on the numbers of satellites and gateways: who has trained one on ten satellites and three
gateways makes it anew for another constellation and loads the same state dict. The layers are those of deep sets
(Zaheer et al., NeurIPS 2017), with pairs inside. `set_policies` puts them into policies of Stable-Baselines3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor, nn

WIDTH = 64
# The output of an untrained policy is small, so that it starts near the zero action, or near chance.
_FIRST_OUTPUT = 0.01


class Embedded(NamedTuple):
    """The sets of B observations as vectors of the same width W.

    Attributes:
        pairs: Of pairs, (B, S, G, W).
        satellites: Of satellites, (B, S, W).
        whole: Of everything, (B, W).
    """

    pairs: Tensor
    satellites: Tensor
    whole: Tensor


class SetEncoder(nn.Module):
    """From the sets to vectors: pairs, then satellites with their pairs, then everything.

    Args:
        observation_space: Space of `SetObservation`, with sets of any size.
        width: Length of each vector, W.
        activation_fn: Makes what follows each layer.
    """

    def __init__(self, observation_space: spaces.Dict, width: int, activation_fn: type[nn.Module]) -> None:
        super().__init__()
        pair, satellite, whole = (columns(observation_space, key) for key in ("pair", "satellite", "globals"))
        self.pair = _layers(pair, width, activation_fn)
        self.satellite = _layers(satellite + 2 * width, width, activation_fn)
        self.whole = _layers(whole + 2 * width, width, activation_fn)

    def forward(self, sets: Mapping[str, Tensor]) -> Embedded:
        """The vectors of B observations, each set with a leading axis."""
        pairs = self.pair(sets["pair"])
        satellites = self.satellite(torch.cat([sets["satellite"], _pooled(pairs, 2)], dim=-1))
        whole = self.whole(torch.cat([sets["globals"], _pooled(satellites, 1)], dim=-1))
        return Embedded(pairs, satellites, whole)


class SatelliteHeads(nn.Module):
    """From the sets to the numbers of an action with the same parts for every satellite.

    A pair sees its own vector, the mean of those at its gateway, its satellite's and the whole's; so a satellite knows
    who else might come. Numbers have the order of `PerSatelliteAction`: those of gateways and of sitting out,
    S * (G + 1), then each further part's, S times its choices.

    Args:
        observation_space: As for `SetEncoder`.
        choices: Numbers of each part but the gateway.
        width: As for `SetEncoder`.
        activation_fn: As for `SetEncoder`.
    """

    def __init__(
        self, observation_space: spaces.Dict, choices: tuple[int, ...], width: int, activation_fn: type[nn.Module]
    ) -> None:
        super().__init__()
        self.choices = choices
        self.encoder = SetEncoder(observation_space, width, activation_fn)
        self.satellite = _layers(2 * width, width, activation_fn)
        self.pair = _layers(3 * width, width, activation_fn)
        self.gateway_head = _head(width, 1)
        self.satellite_head = _head(width, 1 + sum(choices))

    def forward(self, sets: Mapping[str, Tensor]) -> Tensor:
        """The numbers of B actions, (B, S * (G + 1 + further choices))."""
        embedded = self.encoder(sets)
        whole = embedded.whole[:, None].expand_as(embedded.satellites)
        satellites = self.satellite(torch.cat([embedded.satellites, whole], dim=-1))
        crowd = embedded.pairs.mean(dim=1, keepdim=True).expand_as(embedded.pairs)
        own = satellites[:, :, None].expand_as(embedded.pairs)
        gateways = self.gateway_head(self.pair(torch.cat([embedded.pairs, crowd, own], dim=-1)))[..., 0]
        sits_out, *others = self.satellite_head(satellites).split([1, *self.choices], dim=-1)
        parts = [torch.cat([gateways, sits_out], dim=-1), *others]
        return torch.cat([part.flatten(1) for part in parts], dim=1)


class SetValue(nn.Module):
    """From the sets to the value of the state, (B, 1).

    Args:
        observation_space: As for `SetEncoder`.
        width: As for `SetEncoder`.
        activation_fn: As for `SetEncoder`.
    """

    def __init__(self, observation_space: spaces.Dict, width: int, activation_fn: type[nn.Module]) -> None:
        super().__init__()
        self.encoder = SetEncoder(observation_space, width, activation_fn)
        self.head = nn.Linear(width, 1)

    def forward(self, sets: Mapping[str, Tensor]) -> Tensor:
        """The values of B observations."""
        value: Tensor = self.head(self.encoder(sets).whole)
        return value


def further_choices(observation_space: spaces.Dict, action_space: spaces.Space[Any]) -> tuple[int, ...]:
    """Numbers that a network gives for each satellite, part by part without the gateway.

    Raises:
        ValueError: If the action has not the same parts for every satellite.
    """
    satellites, gateways = num_pairs(observation_space)
    if isinstance(action_space, spaces.MultiDiscrete) and len(action_space.nvec) % satellites == 0:
        first, *others = action_space.nvec.reshape(-1, satellites)
        if (first == gateways + 1).all() and all((part == part[0]).all() for part in others):
            return tuple(int(part[0]) for part in others)
    if isinstance(action_space, spaces.Box) and action_space.shape[0] % satellites == 0:
        more = action_space.shape[0] // satellites - (gateways + 1)
        if more >= 0:
            return (1,) * more
    raise ValueError(
        f"actions must have the same parts for each of {satellites} satellites, as those of PerSatelliteAction; "
        f"got {action_space}"
    )


def num_pairs(observation_space: spaces.Space[Any]) -> tuple[int, int]:
    """Numbers of satellites and gateways in the sets.

    Raises:
        ValueError: If observations are not sets.
    """
    satellites, gateways, _ = _shape(observation_space, "pair")
    return satellites, gateways


def columns(observation_space: spaces.Space[Any], key: str) -> int:
    """Number of features in a row of a set.

    Raises:
        ValueError: If observations are not sets.
    """
    return _shape(observation_space, key)[-1]


def _shape(observation_space: spaces.Space[Any], key: str) -> tuple[int, ...]:
    if not isinstance(observation_space, spaces.Dict) or key not in observation_space.spaces:
        raise ValueError(f"networks for sets need observations as SetObservation gives them, got {observation_space}")
    shape = observation_space[key].shape
    assert shape is not None
    return shape


def _layers(inputs: int, width: int, activation_fn: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), activation_fn())


def _head(width: int, outputs: int) -> nn.Linear:
    head = nn.Linear(width, outputs)
    with torch.no_grad():
        head.weight.mul_(_FIRST_OUTPUT)
        head.bias.zero_()
    return head


def _pooled(vectors: Tensor, axis: int) -> Tensor:
    """Mean and maximum over an axis, side by side."""
    return torch.cat([vectors.mean(dim=axis), vectors.amax(dim=axis)], dim=-1)
