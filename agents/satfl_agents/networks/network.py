"""Networks of learned policies, as a file describes them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal

import torch
from stable_baselines3.common.policies import BasePolicy
from torch import nn

from satfl_agents.networks.set_networks import WIDTH
from satfl_agents.networks.set_policies import SetFeatures
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
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
            every satellite as well; for the actions `per-satellite` too, by `ppo`, `maskable-ppo` and `cem`. `linear`:
            weighted sums of the features of sets; for the action `priority`, by `ppo` and `cem`.
        hidden: Units of each fully connected layer, of the critics' as well; for `layers` and `sets`.
        width: Length of the vectors of satellites and pairs, for `sets`, `heads` and the network for the value of
            `linear`.
        activation: What follows each layer.
        more: Other arguments of the policy class of Stable-Baselines3, such as `lstm_hidden_size`.
    """

    kind: Literal["layers", "sets", "heads", "linear"] = "layers"
    hidden: tuple[Count, ...] = (64, 64)
    width: Count = WIDTH
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    more: Mapping[str, Any] = {}

    @property
    def own_policies(self) -> bool:
        """Whether policies with this network have classes of their own, in place of those of Stable-Baselines3."""
        return self.kind in ("heads", "linear")

    @property
    def policy_kwargs(self) -> dict[str, Any]:
        """The arguments of the policy class."""
        activation = {"activation_fn": ACTIVATIONS[self.activation]}
        if self.own_policies:
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
