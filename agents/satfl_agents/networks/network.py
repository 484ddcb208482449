"""The networks of learned policies, as a file describes them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import nn

from satfl_agents.networks.set_networks import WIDTH
from satfl_agents.networks.set_policies import LinearPolicy, MaskableSetPolicy, SetFeatures, SetPolicy
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
# Policies with networks of a kind, by the names of the algorithms that have them.
_POLICIES: dict[str, dict[str, type[BasePolicy]]] = {
    "heads": {"PPO": SetPolicy, "MaskablePPO": MaskableSetPolicy, "CEM": SetPolicy},
    "linear": {"PPO": LinearPolicy, "CEM": LinearPolicy},
}
# Parts of a learner's policy that it needs for learning only.
_FOR_LEARNING = (
    "critic",
    "critic_target",
    "actor_target",
    "value_net",
    "mlp_extractor.value_net",
    "vf_features_extractor",
    "lstm_critic",
)


class Network(Section):
    """The network of a policy.

    Attributes:
        kind: `layers`: fully connected ones over the whole observation. `sets`: the same layers for every satellite and
            pair, then fully connected ones over what they give; for the observation `sets`. `heads`: the same heads for
            every satellite as well; for the actions `per-satellite` too, by PPO, MaskablePPO and CEM. `linear`:
            weighted sums of the features of sets; for the action `priority`, by PPO and CEM.
        hidden: Units of each fully connected layer, of the critics' as well; for `layers` and `sets`.
        width: Length of the vectors of satellites and pairs, for `sets` and `heads`.
        activation: What follows each layer.
        more: Other arguments of the policy class of Stable-Baselines3, such as `lstm_hidden_size`.
    """

    kind: Literal["layers", "sets", "heads", "linear"] = "layers"
    hidden: tuple[Count, ...] = (64, 64)
    width: Count = WIDTH
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    more: Mapping[str, Any] = {}

    def policy_class(self, learner: type[BaseAlgorithm], usual: type[BasePolicy]) -> type[BasePolicy]:
        """The class of an algorithm's policies, in place of its usual one.

        Raises:
            ValueError: If the algorithm has no such policies.
        """
        if self.kind not in _POLICIES:
            return usual
        able = _POLICIES[self.kind]
        if learner.__name__ not in able:
            raise ValueError(f"networks of kind {self.kind!r} are for {', '.join(able)}, got {learner.__name__}")
        return able[learner.__name__]

    @property
    def policy_kwargs(self) -> dict[str, Any]:
        """The arguments of the policy class."""
        activation = {"activation_fn": ACTIVATIONS[self.activation]}
        if self.kind in _POLICIES:
            return {**activation, "width": self.width, **self.more}
        layers = {**activation, "net_arch": list(self.hidden), **self.more}
        if self.kind == "layers":
            return layers
        features = {"width": self.width, **activation}
        return {"features_extractor_class": SetFeatures, "features_extractor_kwargs": features, **layers}


def deciding(policy: BasePolicy) -> dict[str, torch.Tensor]:
    """The numbers of a policy that decide, each once; critics are left out."""
    numbers = chain(policy.named_parameters(), policy.named_buffers())
    learning = tuple(f"{name}." for name in _FOR_LEARNING)
    return {name: value for name, value in numbers if not name.startswith(learning)}
