"""The learning algorithms, by name, and the networks of their policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gymnasium import spaces
from torch import nn

from satfl_env.imports import to_install
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count
from satfl_env.suggestions import did_you_mean

try:
    from sb3_contrib import TQC, MaskablePPO, RecurrentPPO
    from stable_baselines3 import PPO, SAC, TD3
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"training needs Stable-Baselines3 ({error}): {to_install('agents')}", name=error.name
    ) from error

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}


class Network(Section):
    """The network of a policy.

    Attributes:
        hidden: Units of each hidden layer, of the critics' as well.
        activation: What follows each.
        more: Other arguments of the algorithm's policy class, such as `lstm_hidden_size`.
    """

    hidden: tuple[Count, ...] = (64, 64)
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    more: Mapping[str, Any] = {}

    @property
    def policy_kwargs(self) -> dict[str, Any]:
        """The arguments of a policy class of Stable-Baselines3."""
        return {"net_arch": list(self.hidden), "activation_fn": ACTIVATIONS[self.activation], **self.more}


@dataclass(frozen=True)
class Algorithm:
    """A learning algorithm of Stable-Baselines3.

    Attributes:
        learner: Its class.
        actions: The kinds of action space that it takes.
        recurrent: Whether its policies remember what they saw.
    """

    learner: type[BaseAlgorithm]
    actions: tuple[type[spaces.Space[Any]], ...]
    recurrent: bool = False

    def policy_class(self, observation_space: spaces.Space[Any]) -> type[BasePolicy]:
        """The class of policies that see observations of a space."""
        inputs = "MultiInput" if isinstance(observation_space, spaces.Dict) else "Mlp"
        return self.learner.policy_aliases[f"{inputs}{'Lstm' if self.recurrent else ''}Policy"]


_ANY, _CONTINUOUS, _DISCRETE = (spaces.Box, spaces.MultiDiscrete), (spaces.Box,), (spaces.MultiDiscrete,)
ALGORITHMS = {
    "ppo": Algorithm(PPO, _ANY),
    "maskable-ppo": Algorithm(MaskablePPO, _DISCRETE),
    "recurrent-ppo": Algorithm(RecurrentPPO, _ANY, recurrent=True),
    "sac": Algorithm(SAC, _CONTINUOUS),
    "td3": Algorithm(TD3, _CONTINUOUS),
    "tqc": Algorithm(TQC, _CONTINUOUS),
}


def algorithm(name: str) -> Algorithm:
    """The algorithm of a name.

    Raises:
        ValueError: If there is none.
    """
    if name not in ALGORITHMS:
        raise ValueError(
            f"unknown algorithm {name!r}{did_you_mean(name, ALGORITHMS)}; there are: {', '.join(ALGORITHMS)}"
        )
    return ALGORITHMS[name]
