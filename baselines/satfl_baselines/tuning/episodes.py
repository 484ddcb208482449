"""Many rules on many seeds at once: episodes in a vector environment whose actions are the numbers of the rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from satfl_baselines.arrays import FloatArray
from satfl_baselines.policy import Policy
from satfl_baselines.rule import RuleNumbers, names, rule_policy
from satfl_env import judging_metric, make_vector_env
from satfl_env.scenarios import Scenario, Target
from satfl_env.wrappers import DecisionAction

if TYPE_CHECKING:
    from satfl_env import Decision, NetworkState

# Episodes that one process plays together: more bring little speed.
EPISODES_AT_ONCE = 32


class Episodes:
    """Plays episodes of a scenario under rules.

    Args:
        envs: A vector environment of the scenario, see `rule_episodes`.
        target: The scenario's target.
    """

    def __init__(self, envs: Any, target: Target | None) -> None:
        self._envs, self._target = envs, target

    def __call__(self, vectors: FloatArray, seeds: Sequence[int]) -> FloatArray:
        """The metric that judges, at the end of an episode, for every rule on every seed.

        Args:
            vectors: The rules as points of the unit cube, (N, 12); see `RuleNumbers.from_vector`.
            seeds: The seeds that each of them plays.

        Returns:
            The metrics, (N, number of seeds).
        """
        runs = [(vector, seed) for vector in vectors for seed in seeds]
        number = self._envs.num_envs
        finals = [self._play(runs[first : first + number]) for first in range(0, len(runs), number)]
        return np.concatenate(finals).reshape(len(vectors), len(seeds))

    def _play(self, runs: Sequence[tuple[FloatArray, int]]) -> FloatArray:
        """One episode in each environment; the last run fills those that are left."""
        filled = [*runs, *[runs[-1]] * (self._envs.num_envs - len(runs))]
        vectors = np.stack([vector for vector, _ in filled])
        self._envs.reset(seed=[seed for _, seed in filled])
        finals = np.full(len(filled), np.nan)
        while np.isnan(finals).any():
            _, _, terminated, truncated, infos = self._envs.step(vectors)
            metric = judging_metric(infos["metrics"], self._target)
            ended = (terminated | truncated) & np.isnan(finals)
            finals[ended] = infos["metrics"][metric][ended]
        return finals[: len(runs)]


@contextmanager
def rule_episodes(scenario: Scenario, most: int, workers: int = 1) -> Iterator[Episodes]:
    """Episodes of a scenario, up to `most` of them at once, divided among some processes."""
    number = min(most, workers * EPISODES_AT_ONCE)
    envs = make_vector_env(number, workers=min(workers, number), wrap=_in_numbers, scenario=scenario)
    try:
        yield Episodes(envs, scenario.target)
    finally:
        envs.close()


def _in_numbers(env: Any) -> DecisionAction:
    return DecisionAction(env, _decide, spaces.Box(0.0, 1.0, (len(names()),), np.float64))


def _decide(vector: FloatArray, state: NetworkState) -> Decision:
    return _policy(tuple(vector.tolist()))(state)


@cache
def _policy(vector: tuple[float, ...]) -> Policy:
    return rule_policy(RuleNumbers.from_vector(vector))
