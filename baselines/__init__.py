"""The papers' scheduling rules as reference policies, and their comparison.

A policy is a function from a `NetworkState` to a `Decision`, put together from four rules: association, frequency,
clustering and aggregation. Each rule stands in the module of its name.
"""

from __future__ import annotations

from baselines.agent import as_agent
from baselines.compare import compare
from baselines.evaluate import Run, run_episode
from baselines.policies import Policy, make_policy, policy_names
from baselines.results import ResultFolder
from baselines.summary import Comparison, Estimate

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
