"""The learning algorithms, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gymnasium import spaces
from sb3_contrib import TQC, MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import TrainFreq

from satfl_agents.algorithms.cem import CEM
from satfl_agents.networks.network import Network
from satfl_agents.networks.set_policies import LinearPolicy, MaskableSetPolicy, SetPolicy
from satfl_env.suggestions import did_you_mean


@dataclass(frozen=True)
class Algorithm:
    """A learning algorithm in the form of Stable-Baselines3.

    Attributes:
        name: What users call it.
        learner: Its class.
        actions: The kinds of action space that it takes.
        rollout_rounds: Rounds in a rollout of a learner, in all its environments; a run has whole rollouts.
        recurrent: Whether its policies remember what they saw.
        policies: Its classes of policies for the kinds of network that need their own.
    """

    name: str
    learner: type[BaseAlgorithm]
    actions: tuple[type[spaces.Space[Any]], ...]
    rollout_rounds: Callable[[Any], int]
    recurrent: bool = False
    policies: Mapping[str, type[BasePolicy]] = field(default_factory=dict)

    def policy_class(self, observation_space: spaces.Space[Any], network: Network) -> type[BasePolicy]:
        """The class of policies that see observations of a space.

        Raises:
            ValueError: If the algorithm has no policies with such a network.
        """
        if network.own_policies:
            return self._own_policy_class(network.kind)
        inputs = "MultiInput" if isinstance(observation_space, spaces.Dict) else "Mlp"
        return self.learner.policy_aliases[f"{inputs}{'Lstm' if self.recurrent else ''}Policy"]

    def _own_policy_class(self, kind: str) -> type[BasePolicy]:
        if kind not in self.policies:
            able = ", ".join(name for name, other in ALGORITHMS.items() if kind in other.policies)
            raise ValueError(f"networks of kind {kind!r} are for {able}, got {self.name}")
        return self.policies[kind]


def _of_steps(learner: OnPolicyAlgorithm) -> int:
    return learner.n_steps * learner.n_envs


def _of_training_steps(learner: OffPolicyAlgorithm) -> int:
    assert isinstance(learner.train_freq, TrainFreq)
    return learner.train_freq.frequency * learner.n_envs


_ANY, _CONTINUOUS, _DISCRETE = (spaces.Box, spaces.MultiDiscrete), (spaces.Box,), (spaces.MultiDiscrete,)
_SET_POLICIES: Mapping[str, type[BasePolicy]] = {"heads": SetPolicy, "linear": LinearPolicy}
ALGORITHMS = {
    each.name: each
    for each in (
        Algorithm("cem", CEM, _ANY, CEM.generation_rounds, policies=_SET_POLICIES),
        Algorithm("ppo", PPO, _ANY, _of_steps, policies=_SET_POLICIES),
        Algorithm("maskable-ppo", MaskablePPO, _DISCRETE, _of_steps, policies={"heads": MaskableSetPolicy}),
        Algorithm("recurrent-ppo", RecurrentPPO, _ANY, _of_steps, recurrent=True),
        Algorithm("sac", SAC, _CONTINUOUS, _of_training_steps),
        Algorithm("td3", TD3, _CONTINUOUS, _of_training_steps),
        Algorithm("tqc", TQC, _CONTINUOUS, _of_training_steps),
    )
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
