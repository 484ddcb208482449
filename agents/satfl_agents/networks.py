"""The networks of learned policies, as a file describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import nn

from satfl_env.scenarios.section import Section
from satfl_env.settings import Count

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
