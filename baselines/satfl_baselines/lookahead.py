"""Look-ahead: what decisions lead to, tried out on the simulation itself.

A policy knows the state. A look-ahead also knows what is to come: it saves the simulation, plays some rounds, and goes
back. Nobody can do that with real satellites; it tells how much there is to gain by deciding better.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from satfl_baselines.evaluate import Decide
from satfl_env import Decision, NetworkState, Simulation, judging_metric
from satfl_env.arguments import checked_integer
from satfl_env.scenarios import Scenario, Target, build, resolve

BASE = "base"


def outlook(
    simulation: Simulation, decisions: Mapping[str, Decision], base: Decide, depth: int, target: Target | None = None
) -> dict[str, float]:
    """What each of some decisions leads to, if a base policy decides afterwards.

    The simulation is as before then. Its future is the one that will come: energy, minibatches and noise are drawn from
    the episode's seed.

    Args:
        simulation: In an episode that goes on.
        decisions: Decisions on its next round, by name.
        base: Decides on all later rounds; a function of the state alone.
        depth: Rounds to look ahead, at least 1; the end of the episode ends it, too.
        target: Ends the episode, and names the metric; the headline metric if None.

    Returns:
        For each decision the mean over satellites of the test metric at the end.
    """
    saved, values = simulation.get_state(), {}
    for name, decision in decisions.items():
        state, _ = simulation.step(decision)
        for _ in range(depth - 1):
            if _is_over(simulation, target):
                break
            state, _ = simulation.step(base(state))
        values[name] = _metric(simulation, target)
        simulation.set_state(saved)
    return values


class LookAhead:
    """A policy that takes the best of some candidates' decisions, if a base policy decides afterwards: a rollout.

    Rollout improves on its base (Bertsekas, *Rollout, Policy Iteration, and Distributed Reinforcement Learning*, 2020,
    chapter 2): as deep as the episode, it never ends below it, for what the base does itself is a candidate, too. It
    is no bound from above: better decisions may lie beyond the candidates, or pay after more rounds than it looks at.
    Some of its gain is that it knows the draws to come, which no policy does.

    It is bound to an episode, along which it plays in a simulation of its own: use it with the same scenario and seed,
    from the first round on, as in `run_episode(scenario, LookAhead(scenario, seed, ...), seed)`.

    Args:
        scenario: The scenario, its built-in name, or the path of a YAML file.
        seed: Seed of the episode.
        candidates: Policies by name, functions of the state.
        base: The policy that decides after the round under decision; it is the candidate `base`.
        depth: Rounds to look ahead, the one under decision included; None looks to the end of the episode.
        parts: Your own parts in place of the scenario's.

    Attributes:
        chosen: Name of the candidate taken in each round so far.

    Raises:
        TypeError: If the depth is no integer.
        ValueError: If it is below 1, or a candidate has the name `base`.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path,
        seed: int,
        candidates: Mapping[str, Decide],
        *,
        base: Decide,
        depth: int | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        if BASE in candidates:
            raise ValueError(f"candidates must have other names than {BASE!r}, which is the base policy's")
        self._scenario, self._seed, self._base = resolve(scenario), seed, base
        self._simulation = build(self._scenario, parts=parts)
        # The first of equals is taken: where nothing matters, the base decides.
        self._candidates = {BASE: base, **candidates}
        self._depth = self._scenario.rounds.episode if depth is None else checked_integer("depth", depth, 1)
        self.chosen: list[str] = []

    def __call__(self, state: NetworkState) -> Decision:
        """Decide on a round of the episode.

        Raises:
            ValueError: If the state is not the one that its decisions have led to.
        """
        if state.round == 0:
            self._simulation.reset(self._seed)
            self.chosen = []
        self._require_own(state)
        own = self._simulation.state
        decisions = {name: candidate(own) for name, candidate in self._candidates.items()}
        values = outlook(self._simulation, decisions, self._base, self._depth, self._scenario.target)
        best = max(values, key=values.__getitem__)
        self.chosen.append(best)
        self._simulation.step(decisions[best])
        return decisions[best]

    def _require_own(self, state: NetworkState) -> None:
        rounds = len(self.chosen)
        if state.round != rounds or not np.array_equal(state.position_m, self._simulation.state.position_m):
            raise ValueError(
                f"a look-ahead decides on its own episode alone: round {rounds} of seed {self._seed} comes next, got "
                f"another state, of round {state.round}"
            )


def _is_over(simulation: Simulation, target: Target | None) -> bool:
    return simulation.finished or (target is not None and target.reached(simulation.test.metrics))


def _metric(simulation: Simulation, target: Target | None) -> float:
    metrics = simulation.test.metrics
    return float(metrics[judging_metric(metrics, target)].mean())
