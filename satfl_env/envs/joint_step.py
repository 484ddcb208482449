"""Steps of several environments, each in its wrappers, that play their rounds together."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from greenlet import getcurrent, greenlet

from satfl_env.simulation import Decision, NetworkState, RoundReport, Simulation


class JointStep(greenlet):
    """A step of an environment that pauses where the round is to be played, deep inside the wrappers.

    `switch(action)` starts it and returns the decision; `switch((state, report))` resumes it with the round that was
    played. A step that needs no further round is then `dead`, and `switch` has returned its result.

    Args:
        step: The `step` of the outermost wrapper.
        simulation: The simulation whose rounds the step pauses for.
    """

    def __init__(self, step: Callable[[Any], Any], simulation: Simulation) -> None:
        super().__init__(step)
        self.simulation = simulation
        self.gr_context = copy_context()  # for example NumPy's error state; a greenlet starts with an empty context


def play(simulation: Simulation, decision: Decision) -> tuple[NetworkState, RoundReport]:
    """Play a round of a simulation: inside a `JointStep` of it when that is resumed, else at once."""
    step = getcurrent()
    if isinstance(step, JointStep) and step.simulation is simulation:
        assert step.parent is not None
        state, report = step.parent.switch(decision)
        return state, report
    return simulation.step(decision)
