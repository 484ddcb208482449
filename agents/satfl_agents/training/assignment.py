"""What a training run is to learn, and how."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from satfl_agents.algorithms.algorithm import algorithm
from satfl_agents.hyperparameters.sections import Hyperparameters
from satfl_baselines.policies import check_policy_name
from satfl_env.scenarios import Scenario
from satfl_env.suggestions import did_you_mean

# Arguments of a learner that a run gives itself, or that cannot be continued bit for bit.
_OURS = ("self", "policy", "env", "seed", "device", "policy_kwargs", "tensorboard_log", "verbose", "_init_setup_model")
_NOT_CONTINUED = ("use_sde", "sde_sample_freq", "use_sde_at_warmup", "action_noise", "optimize_memory_usage")


@dataclass(frozen=True)
class Assignment:
    """What is to be learned, and how.

    Attributes:
        scenario: The scenario to schedule.
        algo: Name of the algorithm.
        hyperparameters: Those of the algorithm.
        seed: Seed of the learner and of its episodes.
        brought: Own parts and reward, arguments of `SatFLEnv`.
        workers: Processes to play the training episodes in.
    """

    scenario: Scenario
    algo: str
    hyperparameters: Hyperparameters
    seed: int = 0
    brought: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1

    def __post_init__(self) -> None:
        """Check what can be checked before anything is made.

        Raises:
            ValueError: If the algorithm has no such setting, or there is no policy to clone.
        """
        if self.hyperparameters.clone.policy:
            check_policy_name(self.hyperparameters.clone.policy)
        known = inspect.signature(algorithm(self.algo).learner).parameters.keys() - {*_OURS, *_NOT_CONTINUED}
        for name in self.hyperparameters.learner:
            if name not in known:
                raise ValueError(
                    f"hyperparameter learner.{name}: {self.algo} has no such setting here"
                    f"{did_you_mean(name, known)}; there are: {', '.join(sorted(known))}"
                )
