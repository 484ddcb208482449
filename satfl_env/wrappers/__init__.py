"""Wrappers for learning libraries that need flat spaces: flat actions, action masks, scaled observations."""

from __future__ import annotations

from satfl_env.wrappers.box_action import BoxAction
from satfl_env.wrappers.discrete_action import DiscreteAction
from satfl_env.wrappers.one_decision import OneDecision
from satfl_env.wrappers.scaled_observation import ScaledObservation

__all__ = ["BoxAction", "DiscreteAction", "OneDecision", "ScaledObservation"]
