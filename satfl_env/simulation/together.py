"""Several simulations that play their rounds together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from satfl_env.federated import torch_defaults
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.simulation import Simulation
from satfl_env.simulation.state import NetworkState, RoundReport
from satfl_env.simulation.training import JointTraining


class SimulationGroup:
    """Simulations of the same ingredients whose satellites train, and are tested, as one job.

    Each gives what it would give alone, bit for bit where machine code trains and tests; in other models rounding may
    differ in the last bits.

    Args:
        simulations: At least one, from the same scenario; they are reset one by one, each with its own seed.

    Raises:
        ValueError: If there are none.
    """

    def __init__(self, simulations: Sequence[Simulation]) -> None:
        if not simulations:
            raise ValueError("a group needs at least one simulation")
        self.simulations = tuple(simulations)
        self._training = JointTraining()

    def step(self, decisions: Mapping[int, Decision]) -> dict[int, tuple[NetworkState, RoundReport]]:
        """Play one round of some of the simulations, given by their indices.

        Raises:
            ValueError: If a decision does not fit its state; no simulation has changed then.
            RuntimeError: Before a simulation's first reset or after the last round of its episode.
        """
        if not decisions:
            return {}
        playing, lead = [self.simulations[index] for index in decisions], self.simulations[0]
        with torch_defaults(lead.torch_threads):
            opened = [one.begin(decision) for one, decision in zip(playing, decisions.values(), strict=True)]
            results = self._training.train(lead.trainer, [each.job for each in opened])
            learned = [one.learn(each, result) for one, each, result in zip(playing, opened, results, strict=True)]
            tests = lead.evaluate_each([each.job for each in learned])
            steps = [one.finish(each, test) for one, each, test in zip(playing, learned, tests, strict=True)]
        return dict(zip(decisions, steps, strict=True))
