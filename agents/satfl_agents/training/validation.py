"""How good a policy is while it learns: episodes on validation seeds, beside reference policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from satfl_agents.envs.episodes import Record
from satfl_agents.hyperparameters.sections import Validation
from satfl_baselines import Comparison, Run, compare, run_episode
from satfl_baselines.seeds import VALIDATION
from satfl_baselines.suites.standings import best_rule
from satfl_env import Decision, NetworkState, Outcome, judging_metric
from satfl_env.scenarios import Scenario

_LEARNED = "learned"


class Validator:
    """Judges policies on the same episodes as the reference policies.

    Args:
        scenario: The scenario.
        settings: Which episodes and which reference policies.
        references: Folder in which the episodes of the reference policies are kept, for all runs of the scenario.
        brought: Own parts and reward, as for `compare`.
        seeds: Seeds that its episodes are the first of.
        progress: Called with the numbers of finished and of all episodes of the reference policies.
    """

    def __init__(
        self,
        scenario: Scenario,
        settings: Validation,
        references: Path,
        brought: Mapping[str, Any],
        seeds: range = VALIDATION,
        progress: Callable[[int, int], Any] = lambda finished, total: None,
    ) -> None:
        self._scenario, self._brought = scenario, brought
        self._seeds = seeds[: settings.seeds]
        rules = compare(scenario, settings.rules, self._seeds, references, progress=progress, **brought)
        self.metric = judging_metric(rules.metrics, scenario.target)
        finals = {rule: rules.outcomes(rule)[self.metric] for rule in settings.rules}
        self.best_rule = best_rule(finals, settings.rules)
        self._to_beat = float(finals[self.best_rule].mean())

    def __call__(self, policy: Callable[[NetworkState], Decision]) -> Record:
        """Means over the episodes: metrics at their end, `return`, and what they cost, in the terms of training.

        `gap` is the metric that judges less that of the best rule.
        """
        episodes = {
            Run(_LEARNED, seed): run_episode(self._scenario, policy, seed, **self._brought) for seed in self._seeds
        }
        comparison = Comparison((_LEARNED,), tuple(self._seeds), episodes)
        means = {name: float(values.mean()) for name, values in comparison.outcomes(_LEARNED).items()}
        rounds_of_satellites = sum(means[outcome.name.lower()] for outcome in Outcome)
        return {
            **{name: means[name] for name in ("return", *comparison.metrics)},
            "energy_j": means["energy_j"],
            "lost_updates": means["lost"],
            "idle_share": means[Outcome.SAT_OUT.name.lower()] / rounds_of_satellites,
            "gap": means[self.metric] - self._to_beat,
        }
