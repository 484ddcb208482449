"""Policies of Stable-Baselines3 for the observation as sets, with the networks of `set_networks`.

- `SetFeatures` reads the sets into a fixed number of features: a features extractor for any algorithm, where actions
  have a fixed length as those of `RuleAction`.
- `SetPolicy` and `MaskableSetPolicy` have the same heads for every satellite: for `PerSatelliteAction` and
  `PerSatelliteBoxAction` with PPO and CEM, and for `PerSatelliteAction` with MaskablePPO.
- `LinearPolicy` is weighted sums of features alone: for `PriorityAction` with PPO and CEM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from satfl_agents.networks.linear_scores import LinearScores, numbers_of_rule
from satfl_agents.networks.set_networks import WIDTH, SatelliteHeads, SetEncoder, SetValue, further_choices, num_pairs
from satfl_agents.priority_layout import parts_of_priority


class SetFeatures(BaseFeaturesExtractor):
    """The sets as a fixed number of features.

    Args:
        observation_space: Space of `SetObservation`.
        width: Number of features.
        activation_fn: Makes what follows each layer.
    """

    def __init__(
        self, observation_space: spaces.Dict, width: int = WIDTH, activation_fn: type[nn.Module] = nn.Tanh
    ) -> None:
        super().__init__(observation_space, width)
        self.encoder = SetEncoder(observation_space, width, activation_fn)

    def forward(self, sets: Mapping[str, Tensor]) -> Tensor:
        """The features of B observations, (B, width)."""
        whole: Tensor = self.encoder(sets).whole
        return whole


class _Unchanged(BaseFeaturesExtractor):
    """The sets as they are."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=1)  # not used, but must be positive

    def forward(self, sets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return sets


class _ActorCritic(nn.Module):
    """The two networks of a policy, in the form and with the names of the `MlpExtractor` of Stable-Baselines3."""

    def __init__(self, policy_net: nn.Module, value_net: nn.Module) -> None:
        super().__init__()
        self.policy_net, self.value_net = policy_net, value_net

    def forward(self, sets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return self.forward_actor(sets), self.forward_critic(sets)

    def forward_actor(self, sets: Mapping[str, Tensor]) -> Tensor:
        numbers: Tensor = self.policy_net(sets)
        return numbers

    def forward_critic(self, sets: Mapping[str, Tensor]) -> Tensor:
        value: Tensor = self.value_net(sets)
        return value


class SetPolicy(ActorCriticPolicy):
    """The same heads for every satellite, for PPO.

    Args:
        observation_space: Space of `SetObservation`.
        action_space: Space of `PerSatelliteAction` or `PerSatelliteBoxAction`.
        lr_schedule: Learning rate, by what is left of the training.
        width: Length of the vectors of satellites, pairs and the whole.
        **kwargs: Other arguments of `ActorCriticPolicy`; its own networks are not made.
    """

    observation_space: spaces.Dict
    log_std: nn.Parameter

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        width: int = WIDTH,
        **kwargs: Any,
    ) -> None:
        self.width = width
        super().__init__(observation_space, action_space, lr_schedule, **kwargs | _UNCHANGED)

    def _build(self, lr_schedule: Schedule) -> None:
        if isinstance(self.action_dist, DiagGaussianDistribution):
            self.log_std = nn.Parameter(torch.full((len(self._parts()),), self.log_std_init))
        _build(self, _heads(self), lr_schedule)

    def _parts(self) -> list[int]:
        """Lengths of the parts of an action; each is the same for all satellites and has one spread."""
        satellites, gateways = num_pairs(self.observation_space)
        further = len(further_choices(self.observation_space, self.action_space))
        return [satellites * (gateways + 1)] + [satellites] * further

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        if not isinstance(self.action_dist, DiagGaussianDistribution):
            return super()._get_action_dist_from_latent(latent_pi)
        spread = self.log_std.repeat_interleave(torch.tensor(self._parts(), device=self.log_std.device))
        return self.action_dist.proba_distribution(latent_pi, spread)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {"width": self.width}


class LinearPolicy(SetPolicy):
    """Weighted sums of features, `LinearScores`, for PPO and CEM; the arguments are those of `SetPolicy`.

    `action_space` is that of `PriorityAction`; `width` is that of the network for the value.
    """

    def _build(self, lr_schedule: Schedule) -> None:
        self.log_std = nn.Parameter(torch.full((len(self._parts()),), self.log_std_init))
        _build(self, LinearScores(self.observation_space, self.action_space), lr_schedule)

    def _parts(self) -> list[int]:
        rule_numbers = numbers_of_rule(self.observation_space, self.action_space)
        return parts_of_priority(*num_pairs(self.observation_space), rule_numbers)


class MaskableSetPolicy(MaskableActorCriticPolicy):
    """The same heads for every satellite, for MaskablePPO; arguments are those of `SetPolicy`."""

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        width: int = WIDTH,
        **kwargs: Any,
    ) -> None:
        self.width = width
        super().__init__(observation_space, action_space, lr_schedule, **kwargs | _UNCHANGED)

    def _build(self, lr_schedule: Schedule) -> None:
        _build(self, _heads(self), lr_schedule)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._get_constructor_parameters()
        return parameters | {"width": self.width}


_UNCHANGED = {"features_extractor_class": _Unchanged, "features_extractor_kwargs": {}}


def _heads(policy: Any) -> SatelliteHeads:
    sets = policy.observation_space
    return SatelliteHeads(sets, further_choices(sets, policy.action_space), policy.width, policy.activation_fn)


def _build(policy: Any, actor: nn.Module, lr_schedule: Schedule) -> None:
    """Give a policy its networks and its optimiser, in place of those of Stable-Baselines3."""
    value = SetValue(policy.observation_space, policy.width, policy.activation_fn)
    policy.mlp_extractor = _ActorCritic(actor, value)
    policy.action_net, policy.value_net = nn.Identity(), nn.Identity()
    policy.optimizer = policy.optimizer_class(policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs)
