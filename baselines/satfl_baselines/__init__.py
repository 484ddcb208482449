"""The papers' scheduling rules as reference policies, and their comparison.

A policy is a function from a `NetworkState` to a `Decision`, put together from four rules: association, frequency,
clustering and aggregation. Each rule stands in the module of its name.
"""

from __future__ import annotations

from satfl_baselines.agent import as_agent
from satfl_baselines.compare import compare
from satfl_baselines.evaluate import Run, run_episode
from satfl_baselines.policies import Policy, make_policy, policy_names
from satfl_baselines.results import ResultFolder
from satfl_baselines.summary import Comparison, Estimate

__all__ = [
    "Comparison",
    "Estimate",
    "Policy",
    "ResultFolder",
    "Run",
    "as_agent",
    "compare",
    "make_policy",
    "policy_names",
    "run_episode",
]
