"""Wrappers for learning libraries: flat actions, action masks, scaled observations, sets, several agents."""

from __future__ import annotations

from satfl_env.wrappers.box_action import BoxAction
from satfl_env.wrappers.decision_action import DecisionAction, ReversibleAction
from satfl_env.wrappers.discrete_action import DiscreteAction
from satfl_env.wrappers.features import set_observation
from satfl_env.wrappers.one_decision import OneDecision
from satfl_env.wrappers.parallel import parallel_env
from satfl_env.wrappers.scaled_observation import ScaledObservation
from satfl_env.wrappers.sets import SetObservation

__all__ = [
    "BoxAction",
    "DecisionAction",
    "DiscreteAction",
    "OneDecision",
    "ReversibleAction",
    "ScaledObservation",
    "SetObservation",
    "parallel_env",
    "set_observation",
]
