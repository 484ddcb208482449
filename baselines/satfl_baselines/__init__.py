"""The papers' scheduling rules as reference policies, and their comparison.

A policy is a function from a `NetworkState` to a `Decision`, put together from four rules: association, frequency,
clustering and aggregation. Each rule stands in the module of its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from satfl_env.lazy import lazy_names

if TYPE_CHECKING:
    from satfl_baselines.agent import as_agent as as_agent
    from satfl_baselines.comparison import compare as compare
    from satfl_baselines.evaluate import Run as Run
    from satfl_baselines.evaluate import run_episode as run_episode
    from satfl_baselines.policies import Policy as Policy
    from satfl_baselines.policies import make_policy as make_policy
    from satfl_baselines.policies import policy_names as policy_names
    from satfl_baselines.results import ResultFolder as ResultFolder
    from satfl_baselines.summary import Comparison as Comparison
    from satfl_baselines.summary import Estimate as Estimate
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "satfl_baselines.agent": ("as_agent",),
            "satfl_baselines.comparison": ("compare",),
            "satfl_baselines.evaluate": ("Run", "run_episode"),
            "satfl_baselines.policies": ("Policy", "make_policy", "policy_names"),
            "satfl_baselines.results": ("ResultFolder",),
            "satfl_baselines.summary": ("Comparison", "Estimate"),
        },
    )
