"""A network that is one weighted sum of features for every number of an action: few enough to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from satfl_agents.networks.set_networks import columns, num_pairs
from satfl_agents.priority_layout import parts_of_priority
from satfl_env.counted import counted


class LinearScores(nn.Module):
    """From the sets to the numbers of a `PriorityAction`, each the tanh of a weighted sum; all weights are 0 at first.

    A priority is a sum over the pair's features and its satellite's. A share of the charge is one over the satellite's
    features, the highest of each of its pairs' and those of the whole, a change of the rule over the latter.

    Args:
        observation_space: Space of `SetObservation`, with sets of any size.
        action_space: Space of `PriorityAction`.
    """

    def __init__(self, observation_space: spaces.Dict, action_space: spaces.Space[Any]) -> None:
        super().__init__()
        pair, satellite, whole = (columns(observation_space, key) for key in ("pair", "satellite", "globals"))
        self.priority = nn.Linear(pair + satellite, 1, bias=False)
        self.charge = nn.Linear(satellite + pair + whole, 1)
        self.rule = nn.Linear(whole, numbers_of_rule(observation_space, action_space))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, sets: Mapping[str, Tensor]) -> Tensor:
        """The numbers of B actions, (B, S * (G + 1) + numbers of the rule)."""
        pair, satellite, whole = (sets[key] for key in ("pair", "satellite", "globals"))
        own = satellite[:, :, None].expand(-1, -1, pair.shape[2], -1)
        everything = whole[:, None].expand(-1, satellite.shape[1], -1)
        priority = self.priority(torch.cat([pair, own], dim=-1))
        charge = self.charge(torch.cat([satellite, pair.amax(dim=2), everything], dim=-1))
        return torch.cat([priority.flatten(1), charge.flatten(1), self.rule(whole)], dim=1).tanh()


def numbers_of_rule(observation_space: spaces.Dict, action_space: spaces.Space[Any]) -> int:
    """How many numbers of a rule an action changes.

    Raises:
        ValueError: If actions are not those of `PriorityAction`.
    """
    satellites, gateways = num_pairs(observation_space)
    others = sum(parts_of_priority(satellites, gateways, 0))
    numbers = action_space.shape[0] - others if isinstance(action_space, spaces.Box) else 0
    if numbers < 1:
        raise ValueError(
            f"linear networks are for the actions of PriorityAction with {counted(satellites, 'satellite')} and "
            f"{counted(gateways, 'gateway')}, got {action_space}"
        )
    return numbers
