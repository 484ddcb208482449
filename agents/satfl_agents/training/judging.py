"""Judging a learner while it learns, and keeping the policy that was best."""

from __future__ import annotations

import math

from stable_baselines3.common.base_class import BaseAlgorithm

from satfl_agents.envs.episodes import Record
from satfl_agents.policies.files import PolicyDescription, save_policy
from satfl_agents.policies.trained import TrainedPolicy
from satfl_agents.training.assignment import Assignment
from satfl_agents.training.run_folder import RunFolder
from satfl_agents.training.validation import Validator
from satfl_env import SatFLEnv


class Judge:
    """Judges what a learner has learned so far.

    Args:
        assignment: What is to be learned.
        folder: Where the best policy is kept.
        validator: Plays the episodes.
        learner: The learner.

    Attributes:
        records: The judgements so far, each with the `rounds` of training before it.
    """

    def __init__(self, assignment: Assignment, folder: RunFolder, validator: Validator, learner: BaseAlgorithm) -> None:
        self._assignment, self._folder, self._validator, self._learner = assignment, folder, validator, learner
        self._native = SatFLEnv(assignment.scenario, **assignment.brought)
        settings = assignment.hyperparameters
        self._policy = TrainedPolicy(
            lambda *_: learner.policy,
            settings.observation,
            settings.action,
            self._native.observation_space,
            self._native.action_space,
        )
        self.records: list[Record] = []

    @property
    def best(self) -> float:
        """The best value so far of the metric that judges."""
        return max(record[self._validator.metric] for record in self.records)

    @property
    def last_rounds(self) -> float:
        """Rounds of training before the last judgement."""
        return self.records[-1]["rounds"] if self.records else -math.inf

    def judge(self) -> str:
        """Judge the learner now and keep its policy if it is the best so far; returns what is to be told."""
        settings = self._assignment.hyperparameters
        metric, rounds = self._validator.metric, self._learner.num_timesteps
        record = {"rounds": float(rounds), **self._validator(self._policy)}
        if not self.records or record[metric] > self.best:
            description = PolicyDescription.of(
                self._native,
                self._assignment.algo,
                settings.observation,
                settings.action,
                settings.network,
                rounds=rounds,
                seed=self._assignment.seed,
            )
            save_policy(self._folder.policy, self._learner.policy, description)
        self.records.append(record)
        return f"{metric.replace('_', ' ')} {record[metric]:.4f}, {record['gap']:+.4f} to {self._validator.best_rule}"
