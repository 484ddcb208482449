"""What a training run is to learn, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from satfl_agents.hyperparameters.learner import check_learner
from satfl_agents.hyperparameters.sections import Hyperparameters
from satfl_baselines.policies import check_policy_name
from satfl_env.scenarios import Scenario


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
            ValueError: If the algorithm has no such setting, a value is out of range, or there is no policy to clone.
        """
        if self.hyperparameters.clone.policy:
            check_policy_name(self.hyperparameters.clone.policy)
        check_learner(self.algo, self.hyperparameters.learner)
